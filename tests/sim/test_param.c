/* test_param.c: literals of every unit, and what is said of those that are none. */
#include "config_fixture.h"
#include "sim/time.h"

struct integer_case {
    enum param_type type;
    const char *text;
    uint64_t value;
};

Test(param, integers_with_units_are_exact) {
    static const struct integer_case cases[] = {
        {PARAM_TIME, "1 fs", 1},
        {PARAM_TIME, "1 ps", SIM_PS},
        {PARAM_TIME, "1 ns", SIM_NS},
        {PARAM_TIME, "1 us", SIM_US},
        {PARAM_TIME, "1 ms", SIM_MS},
        {PARAM_TIME, "1 s", SIM_S},
        {PARAM_TIME, "25us", 25 * SIM_US},
        {PARAM_TIME, "1.26 us", 1260000000},
        {PARAM_TIME, "0.1 ns", 100000},
        {PARAM_TIME, "0.000000000000001 s", 1},
        {PARAM_TIME, "454545.5 ps", 454545500},
        {PARAM_TIME, "0 ns", 0},
        {PARAM_TIME, "0.000 ns", 0},
        {PARAM_TIME, "18446.744073709551615 s", UINT64_MAX},
        {PARAM_TIME, "2e3 ns", 2 * SIM_US},
        {PARAM_TIME, "1.5e-3 s", 1500 * SIM_US},
        {PARAM_TIME, "+3 ns", 3 * SIM_NS},
        {PARAM_TIME, "-0 ns", 0},
        {PARAM_BYTES, "1 B", 1},
        {PARAM_BYTES, "1 KB", 1000},
        {PARAM_BYTES, "1 KiB", 1024},
        {PARAM_BYTES, "1 MB", 1000000},
        {PARAM_BYTES, "1 MiB", 1048576},
        {PARAM_BYTES, "1 GB", 1000000000},
        {PARAM_BYTES, "1 GiB", 1073741824},
        {PARAM_BYTES, "1 TB", 1000000000000},
        {PARAM_BYTES, "1 TiB", 1099511627776},
        {PARAM_BYTES, "64KiB", 65536},
        {PARAM_BYTES, "1.5 KiB", 1536},
        {PARAM_BYTES, "0.5 GiB", 536870912},
        {PARAM_BIT_RATE, "1 bps", 1},
        {PARAM_BIT_RATE, "1 kbps", 1000},
        {PARAM_BIT_RATE, "1 Mbps", 1000000},
        {PARAM_BIT_RATE, "10 Gbps", 10000000000},
        {PARAM_BIT_RATE, "2.5Gbps", 2500000000},
        {PARAM_BYTE_RATE, "1 B/s", 1},
        {PARAM_BYTE_RATE, "1 KB/s", 1000},
        {PARAM_BYTE_RATE, "1 KiB/s", 1024},
        {PARAM_BYTE_RATE, "1 MB/s", 1000000},
        {PARAM_BYTE_RATE, "1 MiB/s", 1048576},
        {PARAM_BYTE_RATE, "32 GB/s", 32000000000},
        {PARAM_BYTE_RATE, "1 GiB/s", 1073741824},
        {PARAM_FREQUENCY, "1 Hz", 1},
        {PARAM_FREQUENCY, "1 kHz", 1000},
        {PARAM_FREQUENCY, "25 MHz", 25000000},
        {PARAM_FREQUENCY, "2.2 GHz", 2200000000},
        {PARAM_FREQUENCY, "2.2GHz", 2200000000},
        {PARAM_FREQUENCY, "3.579545 MHz", 3579545},
        {PARAM_CYCLES, "130 cycles", 130},
        {PARAM_CYCLES, "1 cycle", 1},
        {PARAM_CYCLES, "0 cycles", 0},
        {PARAM_INTEGER, "64", 64},
        {PARAM_INTEGER, "0", 0},
        {PARAM_INTEGER, "1e6", 1000000},
        {PARAM_INTEGER, "2.0", 2},
        {PARAM_INTEGER, "007", 7},
        {PARAM_INTEGER, "18446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        uint64_t value = 12345;
        char why[256] = "";
        const bool good = param_parse(cases[i].type, cases[i].text, &value, why, sizeof why);
        cr_expect(good, "%s: %s", cases[i].text, why);
        cr_expect_eq(value, cases[i].value, "%s gave %llu", cases[i].text, (unsigned long long)value);
    }
}

Test(param, numbers_are_rounded_once) {
    static const struct {
        enum param_type type;
        const char *text;
        double value;
    } cases[] = {
        {PARAM_RATE, "1 pps", 1},
        {PARAM_RATE, "270 kpps", 270000},
        {PARAM_RATE, "1.5 Mpps", 1500000},
        {PARAM_RATE, "5 /s", 5},
        {PARAM_RATE, "5/s", 5},
        {PARAM_RATE, "0.1 Mpps", 100000},
        {PARAM_RATE, "0.3 /s", 0.3},
        {PARAM_REAL, "0.35", 0.35},
        {PARAM_REAL, "-2.5", -2.5},
        {PARAM_REAL, "1e-9", 1e-9},
        {PARAM_REAL, "0", 0},
        {PARAM_REAL, "1e308", 1e308},
        {PARAM_SHARE, "7 %", 0.07},
        {PARAM_SHARE, "7%", 0.07},
        {PARAM_SHARE, "100 %", 1},
        {PARAM_SHARE, "0 %", 0},
        {PARAM_SHARE, "99.9 %", 0.999},
        {PARAM_SHARE, "0.1 %", 0.001},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        double value = -1;
        char why[256] = "";
        cr_expect(param_parse(cases[i].type, cases[i].text, &value, why, sizeof why), "%s: %s", cases[i].text, why);
        cr_expect(value == cases[i].value, "%s gave %.17g", cases[i].text, value);
    }
}

Test(param, booleans_and_texts) {
    bool boolean = false;
    const char *text = NULL;
    char why[256] = "";
    cr_expect(param_parse(PARAM_BOOL, "true", &boolean, why, sizeof why));
    cr_expect(boolean);
    cr_expect(param_parse(PARAM_BOOL, "false", &boolean, why, sizeof why));
    cr_expect_not(boolean);
    cr_expect_not(param_parse(PARAM_BOOL, "yes", &boolean, why, sizeof why));
    cr_expect_str_eq(why, "'yes' is neither true nor false");
    cr_expect(param_parse(PARAM_TEXT, "a b", &text, why, sizeof why));
    cr_expect_str_eq(text, "a b");
    cr_expect_not(param_parse(PARAM_COST, "5", &text, why, sizeof why));
    cr_expect_str_eq(why, "a cost is not a literal");
}

Test(param, what_is_no_literal_is_explained) {
    static const struct {
        enum param_type type;
        const char *text, *why;
    } cases[] = {
        {PARAM_TIME, "25", "'25' has no unit; write for example '25 us'"},
        {PARAM_TIME, "0", "'0' has no unit; write for example '0 us'"},
        {PARAM_TIME, "1.5 ", "'1.5 ' has no unit; write for example '1.5 us'"},
        {PARAM_BYTES, "64", "'64' has no unit; write for example '64 KiB'"},
        {PARAM_BIT_RATE, "10", "'10' has no unit; write for example '10 Gbps'"},
        {PARAM_BYTE_RATE, "32", "'32' has no unit; write for example '32 GB/s'"},
        {PARAM_FREQUENCY, "2.2", "'2.2' has no unit; write for example '2.2 GHz'"},
        {PARAM_CYCLES, "130", "'130' has no unit; write for example '130 cycles'"},
        {PARAM_RATE, "270", "'270' has no unit; write for example '270 kpps'"},
        {PARAM_SHARE, "0.07", "'0.07' has no unit; write for example '0.07 %'"},
        {PARAM_TIME, "5 hours", "'5 hours': 'hours' is not a unit of time; the units are fs, ps, ns, us, ms, s"},
        {PARAM_TIME, "5 us later",
         "'5 us later': 'us later' is not a unit of time; the units are fs, ps, ns, us, ms, s"},
        {PARAM_TIME, "5 us ", "'5 us ': 'us ' is not a unit of time; the units are fs, ps, ns, us, ms, s"},
        {PARAM_BIT_RATE, "10 gbps", "'10 gbps': 'gbps' is not a unit of bit rate; the units are bps, kbps, Mbps, Gbps"},
        {PARAM_BIT_RATE, "10 GB/s", "'10 GB/s': 'GB/s' is not a unit of bit rate; the units are bps, kbps, Mbps, Gbps"},
        {PARAM_BYTES, "1 kB",
         "'1 kB': 'kB' is not a unit of bytes; the units are B, KB, KiB, MB, MiB, GB, GiB, TB, TiB"},
        {PARAM_BYTES, "1 e", "'1 e': 'e' is not a unit of bytes; the units are B, KB, KiB, MB, MiB, GB, GiB, TB, TiB"},
        {PARAM_RATE, "1 Gpps", "'1 Gpps': 'Gpps' is not a unit of rate; the units are pps, kpps, Mpps, /s"},
        {PARAM_TIME, "fast", "'fast' is not a time such as '25 us'"},
        {PARAM_TIME, "", "'' is not a time such as '25 us'"},
        {PARAM_TIME, "us", "'us' is not a time such as '25 us'"},
        {PARAM_TIME, ".5 us", "'.5 us' is not a time such as '25 us'"},
        {PARAM_TIME, "5. us", "'5. us' is not a time such as '25 us'"},
        {PARAM_TIME, "1,5 us", "'1,5 us': ',5 us' is not a unit of time; the units are fs, ps, ns, us, ms, s"},
        {PARAM_TIME, "nan", "'nan' is not a time such as '25 us'"},
        {PARAM_REAL, "inf", "'inf' is not a number such as '0.35'"},
        {PARAM_REAL, "0x10", "'0x10' is not a number such as '0.35'"},
        {PARAM_REAL, "0.5 %", "'0.5 %' is not a number such as '0.35'"},
        {PARAM_REAL, "1e309", "'1e309' is too large"},
        {PARAM_REAL, "1e99999", "'1e99999' has too many digits"},
        {PARAM_INTEGER, "64 B", "'64 B' is not an integer such as '64'"},
        {PARAM_INTEGER, "many", "'many' is not an integer such as '64'"},
        {PARAM_INTEGER, "2.5", "'2.5' is not a whole number"},
        {PARAM_INTEGER, "-1", "'-1' is negative"},
        {PARAM_INTEGER, "18446744073709551616", "'18446744073709551616' is too large"},
        {PARAM_INTEGER, "1e300", "'1e300' is too large"},
        {PARAM_TIME, "-5 us", "'-5 us' is negative"},
        {PARAM_TIME, "0.5 fs", "'0.5 fs' is not a whole number of femtoseconds"},
        {PARAM_TIME, "18446.744073709551616 s", "'18446.744073709551616 s' is too large"},
        {PARAM_BYTES, "1.5 B", "'1.5 B' is not a whole number of bytes"},
        {PARAM_BYTES, "0.1 KiB", "'0.1 KiB' is not a whole number of bytes"},
        {PARAM_FREQUENCY, "0.5 Hz", "'0.5 Hz' is not a whole number of hertz"},
        {PARAM_CYCLES, "1.5 cycles", "'1.5 cycles' is not a whole number of cycles"},
        {PARAM_SHARE, "100.1 %", "100.1 % is outside 0 %..100 %"},
        {PARAM_SHARE, "-1 %", "'-1 %' is negative"},
        {PARAM_INTEGER, "1234567890123456789012345678901", "'1234567890123456789012345678901' has too many digits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        uint64_t value = 12345;
        char why[256] = "";
        cr_expect_not(param_parse(cases[i].type, cases[i].text, &value, why, sizeof why), "%s", cases[i].text);
        cr_expect_str_eq(why, cases[i].why, "%s: got\n%s", cases[i].text, why);
        cr_expect_eq(value, 12345, "%s was stored", cases[i].text);
    }
}

/* Property: n units of a power of ten are n times the power, for many n. */
Test(param, decimals_shift_exactly) {
    for (uint64_t n = 1; n < 100000; n += 37) {
        char text[64];
        char why[256] = "";
        uint64_t value = 0;
        (void)snprintf(text, sizeof text, "%llu.%03llu us", (unsigned long long)(n / 1000),
                       (unsigned long long)(n % 1000));
        cr_assert(param_parse(PARAM_TIME, text, &value, why, sizeof why), "%s", why);
        cr_assert_eq(value, n * SIM_NS, "%s", text);
    }
}

Test(param, every_example_parses) {
    for (int type = PARAM_TIME; type <= PARAM_BOOL; ++type) {
        uint64_t value = 0;
        char why[256] = "";
        cr_expect(
            param_parse((enum param_type)type, param_type_example((enum param_type)type), &value, why, sizeof why),
            "%s", why);
        cr_expect_neq(param_type_name((enum param_type)type)[0], '\0');
    }
}

Test(param, a_long_text_is_cut_in_the_explanation) {
    char text[500];
    char why[256] = "";
    uint64_t value = 0;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    cr_expect_not(param_parse(PARAM_TIME, text, &value, why, sizeof why));
    cr_expect_str_eq(why,
                     "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' is not a time such as '25 us'");
}
