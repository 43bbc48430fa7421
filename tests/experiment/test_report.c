/* test_report.c: the tables of a results folder made by hand. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiment/experiment.h"

static char folder[64];

static void write_file(const char *name, const char *text) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out, "%s", path);
    (void)fputs(text, out);
    (void)fclose(out);
}

static void make_folder(void) {
    (void)snprintf(folder, sizeof folder, "/tmp/stillsuit_report_XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    write_file("config.yaml", "name: made\n"
                              "title: \"A title\"\n"
                              "report: {counters: {refused: [a.b.one, a.b.two], none: a.x}}\n");
    write_file("latency.csv", "point,system,how,requests,mean_ns,stddev_ns,p50_ns,p99_ns,p999_ns\n"
                              "0,linux,a_long_name,10,1500,0,1000,1000,4000\n"
                              "1,arrakis,b,10,20,0,20,20,25\n");
    write_file("throughput.csv", "point,system,how,offered_per_s,completed_per_s,dropped_per_s,bytes_per_s\n"
                                 "0,linux,a_long_name,5,5,0,0\n"
                                 "1,arrakis,b,2000,2000,0,0\n");
    write_file("counters.csv", "point,system,how,instance,counter,value\n"
                               "0,linux,a_long_name,a.b,one,3\n"
                               "0,linux,a_long_name,a.b,two,4\n"
                               "1,arrakis,b,a.b,two,5\n");
}

static void remove_folder(void) {
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    cr_expect_eq(system(command), 0);
}

static char *print(size_t width) {
    char *text = NULL;
    size_t length = 0;
    struct error error = {0};
    FILE *out = open_memstream(&text, &length);
    cr_assert_eq(report_print(folder, width, out, &error), OK, "%s", error.text);
    (void)fclose(out);
    return text;
}

TestSuite(report, .init = make_folder, .fini = remove_folder);

Test(report, what_says_nothing_is_left_out) {
    char *text = print(0);
    cr_expect_str_eq(text,
                     "A title\n"
                     "\n"
                     "Latency, end to end\n"
                     "\n"
                     "system   how          mean us  p50 us  p99 us  p99.9 us\n"
                     "-------------------------------------------------------\n"
                     "linux    a_long_name   1.5000  1.0000  1.0000    4.0000\n"
                     "arrakis  b             0.0200  0.0200  0.0200    0.0250\n"
                     "\n"
                     "Throughput\n"
                     "\n"
                     "system   how          done k/s\n"
                     "------------------------------\n"
                     "linux    a_long_name   0.00500\n"
                     "arrakis  b             2.00000\n"
                     "\n"
                     "Counters\n"
                     "\n"
                     "system   how          refused  none\n"
                     "-----------------------------------\n"
                     "linux    a_long_name        7     -\n"
                     "arrakis  b                  5     -\n",
                     "%s", text);
    free(text);
}

Test(report, a_narrow_terminal_gets_blocks) {
    char *text = print(40);
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        cr_expect_leq(strcspn(line, "\n"), 40U, "%.*s", (int)strcspn(line, "\n"), line);
    }
    cr_expect_not_null(strstr(text, "system   how          p99 us  p99.9 us\n"), "%s", text);
    free(text);
}
