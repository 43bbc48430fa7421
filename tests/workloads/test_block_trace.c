/* test_block_trace.c: traces as others recorded them, and lines that are none. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workloads/block_trace.h"

static char *printed;

/* Loads a text as the file "t" of a folder of its own. */
static struct block_trace *load(const char *text, size_t length, const struct block_trace_options *options) {
    char folder[] = "/tmp/stillsuit-test-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    FILE *file = fopen("t", "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, length, file), length);
    (void)fclose(file);
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct block_trace *trace = block_trace_load("t", options, &diagnostics);
    size_t bytes = 0;
    FILE *out = open_memstream(&printed, &bytes);
    diagnostics_print(&diagnostics, out);
    (void)fclose(out);
    cr_expect_eq(trace == NULL, diagnostics.errors > 0, "%s", printed);
    diagnostics_free(&diagnostics);
    (void)unlink("t");
    cr_assert_eq(chdir("/"), 0);
    (void)rmdir(folder);
    return trace;
}

static struct block_trace *load_text(const char *text, const struct block_trace_options *options) {
    return load(text, strlen(text), options);
}

static const struct block_trace_options msr = {.format = BLOCK_TRACE_MSR};
static const struct block_trace_options disksim = {.format = BLOCK_TRACE_DISKSIM, .time_unit = SIM_MS};

Test(block_trace, reads_msr_cambridge) {
    struct block_trace *trace = load_text("# usr_0\n"
                                          "128166372003061629,usr,0,Read,7014609920,24576,41286\n"
                                          "128166372016382155,usr,0,Write,2657792,4096,1963\r\n"
                                          "\n"
                                          "128166372016382155,usr,1,write,0,512,1\n",
                                          &msr);
    cr_assert_not_null(trace, "%s", printed);
    cr_assert_eq(trace->count, 3);
    cr_expect_eq(trace->requests[0].at, 0);
    cr_expect_not(trace->requests[0].write);
    cr_expect_eq(trace->requests[0].offset_bytes, UINT64_C(7014609920));
    cr_expect_eq(trace->requests[1].at, UINT64_C(13320526) * 100 * SIM_NS);
    cr_expect(trace->requests[1].write);
    cr_expect_eq(trace->requests[1].length_bytes, 4096);
    cr_expect_eq(trace->requests[2].device, 1);
    cr_expect_eq(trace->end_bytes, UINT64_C(7014609920) + 24576);
    block_trace_free(trace);
}

Test(block_trace, reads_disksim_in_either_unit) {
    static const char text[] = "0.500 0  303567  8 1\n 1.25  0 1000 16 0\n";
    struct block_trace *trace = load_text(text, &disksim);
    cr_assert_not_null(trace, "%s", printed);
    cr_assert_eq(trace->count, 2);
    cr_expect_not(trace->requests[0].write);
    cr_expect_eq(trace->requests[0].offset_bytes, 303567 * 512);
    cr_expect_eq(trace->requests[1].at, 750 * SIM_US);
    cr_expect(trace->requests[1].write);
    cr_expect_eq(trace->requests[1].length_bytes, 8192);
    block_trace_free(trace);
    const struct block_trace_options ns = {.format = BLOCK_TRACE_DISKSIM, .time_unit = SIM_NS};
    trace = load_text("1000 0 0 8 0\n3500 0 8 8 0\n", &ns);
    cr_assert_not_null(trace, "%s", printed);
    cr_expect_eq(trace->requests[1].at, 2500 * SIM_NS);
    block_trace_free(trace);
}

Test(block_trace, takes_one_device_and_no_more_than_asked) {
    static const char text[] = "0 0 0 8 0\n1 1 8 8 0\n2 1 16 8 0\n3 1 24 8 0\nno line\n";
    const struct block_trace_options options = {
        .format = BLOCK_TRACE_DISKSIM, .time_unit = SIM_MS, .most = 2, .one_device = true, .device = 1};
    struct block_trace *trace = load_text(text, &options);
    cr_assert_not_null(trace, "what lies behind the last is not read: %s", printed);
    cr_assert_eq(trace->count, 2);
    cr_expect_eq(trace->requests[1].offset_bytes, 16 * 512);
    block_trace_free(trace);
}

Test(block_trace, names_each_malformed_line) {
    cr_assert_null(load_text("128166372003061629,usr,0,Read,1,4096,1\n"
                             "128166372003061630,usr,0,Trim,1,4096,1\n"
                             "128166372003061631,usr,0,Read,1,x,1\n"
                             "128166372003061632,usr,0,Read,1\n"
                             "128166372003061628,usr,0,Read,1,4096,1\n"
                             "128166372003061632,usr,0,Read,1,0,1\n",
                             &msr));
    cr_assert_str_eq(printed,
                     "t:2:26: type 'Trim'; expected Read or Write\n"
                     "t:3:33: size 'x'; expected a whole number up to 9223372036854775807\n"
                     "t:4:1: this line has 5 fields: '128166372003061632'; expected 7 fields: "
                     "timestamp,hostname,disk,type,offset,size,response\n"
                     "t:5:1: timestamp '128166372003061628'; expected one that is not before the line above\n"
                     "t:6:33: size '0'; expected more than nothing\n",
                     "%s", printed);
    cr_assert_null(load_text("0 0 0 8 0\n-1 0 0 8 0\n2 0 0 8 0\n1 0 0 8 0\n3 0 a 8 0\n", &disksim));
    cr_assert_str_eq(printed,
                     "t:2:1: arrival time '-1'; expected a number that is not negative\n"
                     "t:4:1: time '1'; expected one that is not before the line above\n"
                     "t:5:5: sector 'a'; expected a whole number up to 18014398509481983\n",
                     "%s", printed);
}

Test(block_trace, does_not_list_errors_without_end) {
    char text[30 * 2 + 1] = "";
    for (size_t i = 0; i < 30; i++) {
        memcpy(text + 2 * i, "x\n", 3);
    }
    cr_assert_null(load_text(text, &disksim));
    cr_assert_not_null(strstr(printed, "t:20:1:"));
    cr_assert_null(strstr(printed, "t:21:1:"));
    cr_assert_not_null(strstr(printed, "t:30:1: and 10 more malformed lines\n"));
}

Test(block_trace, refuses_what_is_no_trace) {
    cr_assert_null(load_text("# nothing\n", &disksim));
    cr_assert_str_eq(printed, "t:1:1: this trace has no request\n");
    cr_assert_null(load("0 0 0 8 0\n\0\0\n", 13, &disksim));
    cr_assert_str_eq(printed, "t:2:1: this is not text: a zero byte\n");
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    cr_assert_null(block_trace_load("/nonexistent", &msr, &diagnostics));
    cr_assert_eq(diagnostics.errors, 1);
    diagnostics_free(&diagnostics);
}
