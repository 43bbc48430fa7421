/* test_param_bind.c: tables that fill structs, and all that they report. */
#include <stddef.h>

#include "config_fixture.h"
#include "sim/time.h"

struct nic {
    sim_time delay;
    uint64_t buffer_bytes, rate_bps, vf_count;
    double share, load;
    bool polled;
    int mode;
    const char *name;
    struct cost step;
    const struct config_node *queues;
};

static const char *const modes[] = {"interrupt", "poll", "adaptive", NULL};

#define FIELD(member) offsetof(struct nic, member)
static const struct param table[] = {
    {"delay", PARAM_TIME, FIELD(delay), "5 us", "1 ns", "1 ms", NULL, "how long a frame stays"},
    {"buffer", PARAM_BYTES, FIELD(buffer_bytes), "64 KiB", "1 KiB", NULL, NULL, "packet buffer"},
    {"rate", PARAM_BIT_RATE, FIELD(rate_bps), NULL, "1 bps", "100 Gbps", NULL, "of the link"},
    {"vf_count", PARAM_INTEGER, FIELD(vf_count), "64", "1", "256", NULL, "virtual functions"},
    {"share", PARAM_SHARE, FIELD(share), "10 %", NULL, NULL, NULL, "of the cache"},
    {"load", PARAM_REAL, FIELD(load), "0.5", NULL, "0.9", NULL, NULL},
    {"polled", PARAM_BOOL, FIELD(polled), "false", NULL, NULL, NULL, NULL},
    {"mode", PARAM_CHOICE, FIELD(mode), "poll", NULL, NULL, modes, NULL},
    {"name", PARAM_TEXT, FIELD(name), "", NULL, NULL, NULL, NULL},
    {"step", PARAM_COST, FIELD(step), "0 cycles", NULL, "10000 cycles", NULL, "each frame"},
    {"queues", PARAM_NODE, FIELD(queues), "", NULL, NULL, NULL, NULL},
    {0},
};

/* Binds the mapping `nic` of a text, and compares what is said of it. */
static struct nic bound_at(int line, const char *text, bool good, const char *expected) {
    struct nic nic;
    struct config *config = parsed(text);
    memset(&nic, 0xAA, sizeof nic);
    const bool result = config_bind(config_get(config_root(config), "nic"), table, &nic, &said);
    cr_expect_eq(result, good, "line %d", line);
    expect_said_at(line, expected);
    config_free(config);
    nic.name = NULL; /* went with the configuration */
    return nic;
}
#define bound(text) bound_at(__LINE__, text, true, "")
#define refused(text, expected) (void)bound_at(__LINE__, text, false, expected)

Test(param_bind, defaults_and_values) {
    const struct nic nic = bound("nic: {rate: 10 Gbps, vf_count: 256, polled: true, mode: adaptive, share: 7 %}\n");
    cr_expect_eq(nic.delay, 5 * SIM_US);
    cr_expect_eq(nic.buffer_bytes, 65536);
    cr_expect_eq(nic.rate_bps, 10000000000);
    cr_expect_eq(nic.vf_count, 256);
    cr_expect(nic.share == 0.07);
    cr_expect(nic.load == 0.5);
    cr_expect(nic.polled);
    cr_expect_eq(nic.mode, 2);
    cr_expect_eq(nic.step.cycles, 0);
    cr_expect_null(nic.queues);
}

Test(param_bind, no_mapping_is_defaults_alone) {
    static const struct param optional[] = {{"vf_count", PARAM_INTEGER, FIELD(vf_count), "64", "1", "256", NULL, NULL},
                                            {0}};
    struct nic nic;
    cr_expect(config_bind(NULL, optional, &nic, &said));
    cr_expect_eq(nic.vf_count, 64);
    expect_said("");
    cr_expect_not(config_bind(NULL, table, &nic, &said));
    expect_said("'rate' is required (a bit rate such as 10 Gbps)\n");
}

Test(param_bind, texts_and_nodes_are_the_configurations) {
    struct config *config = parsed("{rate: 1 bps, name: 'a b', queues: [1, 2]}\n");
    struct nic nic;
    cr_expect(config_bind(config_root(config), table, &nic, &said));
    cr_expect_str_eq(nic.name, "a b");
    cr_expect_eq(nic.queues, config_get(config_root(config), "queues"));
    config_free(config);
    expect_said("");
}

Test(param_bind, one_error_each) {
    refused("nic:\n  rate: 1 bps\n  vf_count: 300\n", "t.yaml:3:13: nic.vf_count: 300 is outside 1..256\n");
    refused("nic: {rate: 1 bps, vf_count: 0}\n", "t.yaml:1:30: nic.vf_count: 0 is outside 1..256\n");
    refused("nic: {rate: 101 Gbps}\n", "t.yaml:1:13: nic.rate: 101 Gbps is outside 1 bps..100 Gbps\n");
    refused("nic: {rate: 1 bps, buffer: 1 KB}\n", "t.yaml:1:28: nic.buffer: 1 KB is below 1 KiB\n");
    refused("nic: {rate: 1 bps, load: 0.95}\n", "t.yaml:1:26: nic.load: 0.95 is above 0.9\n");
    refused("nic: {rate: 10}\n", "t.yaml:1:13: nic.rate: '10' has no unit; write for example '10 Gbps'\n");
    refused("nic: {rate: 0}\n", "t.yaml:1:13: nic.rate: '0' has no unit; write for example '0 Gbps'\n");
    refused("nic:\n  rate:\n", "t.yaml:2:8: nic.rate: there is no value\n");
    refused("nic: {rate: [1]}\n", "t.yaml:1:13: nic.rate: a list where a bit rate such as '10 Gbps' is due\n");
    refused("nic: {rate: {x: 1}}\n", "t.yaml:1:13: nic.rate: a mapping where a bit rate such as '10 Gbps' is due; with "
                                     "its provenance it is {value: ..., source: \"...\"}\n");
    refused("nic: {rate: 1 bps, polled: yes}\n", "t.yaml:1:28: nic.polled: 'yes' is neither true nor false\n");
    refused("nic: {rate: 1 bps, mode: pol}\n",
            "t.yaml:1:26: nic.mode: 'pol' is not one of interrupt, poll, adaptive; did you mean 'poll'?\n");
    refused("nic: {rate: 1 bps, mode: never}\n",
            "t.yaml:1:26: nic.mode: 'never' is not one of interrupt, poll, adaptive\n");
    refused("nic: {rate: 1 bps, share: 107 %}\n", "t.yaml:1:27: nic.share: 107 % is outside 0 %..100 %\n");
    refused("nic: {rate: 1 bps, rat: 2}\n", "t.yaml:1:20: unknown key 'rat' in nic; did you mean 'rate'?\n");
    refused("nic:\n  vf_count: 3\n", "t.yaml:2:3: nic: 'rate' is required (a bit rate such as 10 Gbps)\n");
    refused("nic: fast\n", "t.yaml:1:6: nic: a single value where a mapping of keys is due\n");
    refused("nic: [fast]\n", "t.yaml:1:6: nic: a list where a mapping of keys is due\n");
    refused("nic:\n", "t.yaml:1:5: nic: nothing where a mapping of keys is due\n");
}

Test(param_bind, all_errors_at_once_in_order_of_place) {
    refused("nic:\n  zzz: 1\n  vf_count: 300\n  delay: 5\n  mode: none\n  step: 5\n",
            "t.yaml:2:3: nic: 'rate' is required (a bit rate such as 10 Gbps)\n"
            "t.yaml:2:3: unknown key 'zzz' in nic\n"
            "t.yaml:3:13: nic.vf_count: 300 is outside 1..256\n"
            "t.yaml:4:10: nic.delay: '5' has no unit; write for example '5 us'\n"
            "t.yaml:5:9: nic.mode: 'none' is not one of interrupt, poll, adaptive\n"
            "t.yaml:6:9: nic.step: a cost is a mapping such as {cycles: 130, lines: 4, source: \"...\"}\n");
}

Test(param_bind, what_is_wrong_keeps_its_default) {
    const struct nic nic = bound_at(__LINE__, "nic: {rate: 1 bps, vf_count: 300}\n", false,
                                    "t.yaml:1:30: nic.vf_count: 300 is outside 1..256\n");
    cr_expect_eq(nic.vf_count, 64);
}

Test(param_bind, values_with_provenance) {
    const struct nic nic = bound("nic:\n  rate: {value: 10 Gbps, source: datasheet}\n"
                                 "  delay: {value: 20 us, assumed: a guess, range: [10 us, 30 us]}\n"
                                 "  vf_count: {value: 8, fit: paper/table}\n"
                                 "  mode: {value: interrupt, source: x}\n  polled: {value: true, source: x}\n");
    cr_expect_eq(nic.rate_bps, 10000000000);
    cr_expect_eq(nic.delay, 20 * SIM_US);
    cr_expect_eq(nic.vf_count, 8);
    cr_expect_eq(nic.mode, 0);
    cr_expect(nic.polled);
}

Test(param_bind, wrong_provenance_is_reported) {
#define RATE(rest) "nic:\n  rate: {value: 10 Gbps" rest "}\n"
    refused(RATE(""), "t.yaml:2:9: nic.rate: exactly one of source, fit and assumed is due, and there is none\n");
    refused(RATE(", source: a, fit: b"),
            "t.yaml:2:9: nic.rate: exactly one of source, fit and assumed is due, and there are several\n");
    refused(RATE(", assumed: a"), "t.yaml:2:9: nic.rate: an assumed value needs its range: [low, high]\n");
    refused(RATE(", source: ''"), "t.yaml:2:34: nic.rate.source: a text is due\n");
    refused(RATE(", sorce: a"),
            "t.yaml:2:9: nic.rate: exactly one of source, fit and assumed is due, and there is none\n"
            "t.yaml:2:26: unknown key 'sorce' in nic.rate; did you mean 'source'?\n");
    refused(RATE(", assumed: a, range: [20 Gbps, 30 Gbps]"),
            "t.yaml:2:45: nic.rate.range: 20 Gbps..30 Gbps does not contain 10 Gbps\n");
    refused(RATE(", assumed: a, range: [20 Gbps, 1 Gbps]"), "t.yaml:2:45: nic.rate.range: 20 Gbps is above 1 Gbps\n");
    refused(RATE(", assumed: a, range: [1 Gbps]"), "t.yaml:2:45: nic.rate.range: two values are due: [low, high]\n");
    refused(RATE(", assumed: a, range: 5"), "t.yaml:2:45: nic.rate.range: two values are due: [low, high]\n");
    refused(RATE(", assumed: a, range: [1, 2 m]"),
            "t.yaml:2:46: nic.rate.range: '1' has no unit; write for example '1 Gbps'\n"
            "t.yaml:2:49: nic.rate.range: '2 m': 'm' is not a unit of bit rate; the units are bps, kbps, Mbps, Gbps\n");
    refused("nic: {rate: {value: 10, source: a}}\n",
            "t.yaml:1:21: nic.rate: '10' has no unit; write for example '10 Gbps'\n");
    refused("nic: {rate: 1 bps, polled: {value: true, assumed: a, range: [false, true]}}\n",
            "t.yaml:1:61: nic.polled.range: a value of this type has no range\n");
}

Test(param_bind, costs) {
    struct nic nic = bound("nic: {rate: 1 bps, step: {cycles: 130, lines: 4, source: a paper}}\n");
    cr_expect_eq(nic.step.cycles, 130);
    cr_expect_eq(nic.step.lines, 4);
    cr_expect_eq(nic.step.uses, 0);
    nic = bound("nic: {rate: 1 bps, step: {cycles: 200 cycles, fit: paper/table}}\n");
    cr_expect_eq(nic.step.cycles, 200);
    cr_expect_eq(nic.step.lines, 0);
    nic = bound("nic: {rate: 1 bps, step: {cycles: 7, assumed: a guess, range: [5, 9 cycles]}}\n");
    cr_expect_eq(nic.step.cycles, 7);
}

Test(param_bind, a_costs_words_are_kept) {
    struct config *config = parsed("{rate: 1 bps, step: {cycles: 7, assumed: a guess, range: [7, 7]}}\n");
    struct nic nic;
    cr_expect(config_bind(config_root(config), table, &nic, &said));
    cr_expect_str_eq(nic.step.assumed, "a guess");
    cr_expect_null(nic.step.source);
    cr_expect_null(nic.step.fit);
    config_free(config);
    expect_said("");
}

Test(param_bind, wrong_costs_are_reported) {
#define STEP(inside) "nic:\n  rate: 1 bps\n  step: {" inside "}\n"
    refused(STEP("cycles: 130"),
            "t.yaml:3:9: nic.step: exactly one of source, fit and assumed is due, and there is none\n");
    refused(STEP("cycles: 1, source: a, assumed: b, range: [1, 2]"),
            "t.yaml:3:9: nic.step: exactly one of source, fit and assumed is due, and there are several\n");
    refused(STEP("cycles: 1, assumed: b"), "t.yaml:3:9: nic.step: an assumed value needs its range: [low, high]\n");
    refused(STEP("lines: 1, source: a"), "t.yaml:3:9: nic.step: 'cycles' is required\n");
    refused(STEP("cycles: 5 us, source: a"),
            "t.yaml:3:18: nic.step.cycles: '5 us': 'us' is not a unit of cycles; the units are cycles, cycle\n");
    refused(STEP("cycles: -5, source: a"),
            "t.yaml:3:18: nic.step.cycles: '-5' has no unit; write for example '-5 cycles'\n");
    refused(STEP("cycles: 20000, source: a"), "t.yaml:3:18: nic.step.cycles: 20000 is above 10000 cycles\n");
    refused(STEP("cycles: 1, lines: 4294967296, source: a"),
            "t.yaml:3:28: nic.step.lines: 4294967296 is above 4294967295\n");
    refused(STEP("cycles: 1, lines: x, source: a"),
            "t.yaml:3:28: nic.step.lines: 'x' is not an integer such as '64'\n");
    refused(STEP("cycles: 1, assumed: a, range: [2, 3]"), "t.yaml:3:40: nic.step.range: 2..3 does not contain 1\n");
    refused(STEP("cycles: 1, line: 1, source: a"),
            "t.yaml:3:21: unknown key 'line' in nic.step; did you mean 'lines'?\n");
}

Test(param_bind, a_failed_include_is_not_followed_by_missing_keys) {
    refused("nic:\n  include: /nonexistent/a.yaml\n  vf_count: 300\n",
            "t.yaml:2:12: cannot include '/nonexistent/a.yaml': No such file or directory\n"
            "t.yaml:3:13: nic.vf_count: 300 is outside 1..256\n");
}

Test(param_bind, a_table_describes_itself) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    param_describe(table, out);
    (void)fclose(out);
    const char *expected = "key       type      default   range                        meaning\n"
                           "delay     time      5 us      1 ns..1 ms                   how long a frame stays\n"
                           "buffer    bytes     64 KiB    >= 1 KiB                     packet buffer\n"
                           "rate      bit rate  required  1 bps..100 Gbps              of the link\n"
                           "vf_count  integer   64        1..256                       virtual functions\n"
                           "share     share     10 %      0 %..100 %                   of the cache\n"
                           "load      number    0.5       <= 0.9\n"
                           "polled    boolean   false\n"
                           "mode      choice    poll      interrupt | poll | adaptive\n"
                           "name      text      none\n"
                           "step      cost      0 cycles  <= 10000 cycles              each frame\n"
                           "queues    mapping   none\n";
    cr_expect_str_eq(text, expected, "%s", text);
    free(text);
}

Test(error, codes_and_texts) {
    struct error error = {OK, ""};
    cr_expect_eq(error_set(&error, ERR_RANGE, "queue %d of %d", 9, 8), ERR_RANGE);
    cr_expect_str_eq(error.text, "queue 9 of 8");
    cr_expect_eq(error_set(NULL, ERR_IO, "x"), ERR_IO);
    for (int code = 0; code < ERROR_CODES; ++code) {
        cr_expect_neq(error_code_text((enum error_code)code)[0], '\0');
    }
    cr_expect_str_eq(error_code_text(ERR_DENIED), "the capability does not allow this");
    cr_expect_str_eq(error_code_text((enum error_code)999), "an unknown error");
}
