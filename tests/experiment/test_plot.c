/* test_plot.c: plots from results folders made by hand. */
#include <sys/stat.h>
#include <unistd.h>

#include "experiment/experiment.h"
#include "experiment/plot.h"
#include "tests/experiment/program.h"

static char folder[64];

static void write_file(const char *name, const char *text) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out, "%s", path);
    (void)fputs(text, out);
    (void)fclose(out);
}

static char *read_file(const char *name, size_t *length) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *in = fopen(path, "rb");
    cr_assert_not_null(in, "%s", path);
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    for (int c; (c = fgetc(in)) != EOF;) {
        (void)fputc(c, out);
    }
    (void)fclose(in);
    (void)fclose(out);
    return text;
}

static void make_folder(void) {
    (void)snprintf(folder, sizeof folder, "/tmp/stillsuit_plot_XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(SOURCE_DIR), 0);
    write_file("breakdown.csv", "point,system,component,kind,mean_ns,stddev_ns,p50_ns,p99_ns,share_percent\n"
                                "0,linux,net_stack_in,waiting,100,1,1,1,1\n"
                                "0,linux,net_stack_in,total,1250,1,1,1,1\n"
                                "0,linux,copy_in,total,250,1,1,1,1\n"
                                "0,linux,rows,total,1500,400,1,1,1\n"
                                "1,arrakis,net_stack_in,total,320,1,1,1,1\n"
                                "1,arrakis,copy_in,total,0,0,0,0,0\n"
                                "1,arrakis,rows,total,320,10,1,1,1\n");
    write_file("throughput.csv", "point,system,size,offered_per_s,completed_per_s,dropped_per_s,bytes_per_s\n"
                                 "0,linux,1 KiB,300000,200000,100000,1\n"
                                 "1,linux,64 B,300000,250000,50000,1\n"
                                 "2,arrakis,1 KiB,300000,300000,0,1\n"
                                 "3,arrakis,64 B,300000,300000,0,1\n");
    write_file("paper.yaml", "paper: paper\n"
                             "title: a paper\n"
                             "tables:\n"
                             "  parts:\n"
                             "    title: parts\n"
                             "    use: calibration\n"
                             "    unit: us\n"
                             "    experiment: none.yaml\n"
                             "    source: {file: breakdown.csv, column: mean_ns, scale: 0.001, where: {kind: total}}\n"
                             "    row_key: component\n"
                             "    rows: [net_stack_in, copy_in, total]\n"
                             "    columns:\n"
                             "      linux: [1.3, 0.2, 1.5]\n"
                             "  sizes:\n"
                             "    title: sizes\n"
                             "    use: prediction\n"
                             "    unit: kpps\n"
                             "    experiment: none.yaml\n"
                             "    source: {file: throughput.csv, column: completed_per_s, scale: 0.001}\n"
                             "    row_key: size\n"
                             "    rows: [64 B, 1 KiB]\n"
                             "    columns:\n"
                             "      arrakis: [290, 310]\n");
}

static void remove_folder(void) {
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    cr_expect_eq(system(command), 0);
}

static void configure(const char *plots) {
    char text[2048];
    (void)snprintf(text, sizeof text, "name: made\nreport: {rows: [net_stack_in, copy_in]}\nplot:\n%s", plots);
    write_file("config.yaml", text);
}

static void draw(enum error_code expected, const char *words) {
    struct error error = {0};
    FILE *out = fopen("/dev/null", "w");
    const enum error_code code = plot_run(folder, out, &error);
    (void)fclose(out);
    cr_expect_eq(code, expected, "code %d: %s", (int)code, error.text);
    cr_expect_not_null(strstr(error.text, words), "'%s' does not say '%s'", error.text, words);
}

static void expect_pictures(const char *name) {
    char file[64];
    size_t length;
    (void)snprintf(file, sizeof file, "%s.png", name);
    char *png = read_file(file, &length);
    cr_expect(length > 1000 && memcmp(png, "\x89PNG\r\n\x1a\n", 8) == 0, "%s is no PNG", file);
    free(png);
    (void)snprintf(file, sizeof file, "%s.svg", name);
    char *svg = read_file(file, &length);
    cr_expect_not_null(strstr(svg, "</svg>"), "%s is no whole SVG", file);
    free(svg);
}

static void expect_in_file(const char *name, const char *text) {
    size_t length;
    char *found = read_file(name, &length);
    cr_expect_not_null(strstr(found, text), "%s has no '%s':\n%s", name, text, found);
    free(found);
}

TestSuite(plot, .init = make_folder, .fini = remove_folder);

Test(plot, a_breakdown_stacks_simulated_and_published) {
    configure("  - {kind: breakdown, name: parts, title: \"It's a title\", published: {paper: paper, table: parts}}\n");
    draw(OK, "");
    expect_pictures("parts");
    /* row, group, published, from, to */
    expect_in_file("parts.dat", "1 1 0 0 1.25\n2 1 0 1.25 1.5\n1 1 1 0 1.3\n2 1 1 1.3 1.5\n1 2 0 0 0.32\n");
    expect_in_file("parts.dat", "1 0 1.5 1.5 0.4\n1 1 1.5 1.5 0\n2 0 0.32 0.32 0.01\n");
    expect_in_file("parts.gp", "plot_title = 'It''s a title'");
    expect_in_file("parts.svg", "It's a title");
}

Test(plot, lines_are_sorted_by_x_over_mixed_units) {
    configure("  - {kind: lines, name: sizes, x: size, y: throughput, xscale: log,\n"
              "     published: {paper: ../papers/paper.yaml, table: sizes}, labels: {linux: \"Linux 3.8\"}}\n");
    draw(OK, "");
    expect_pictures("sizes");
    expect_in_file("sizes.dat", "# simulated1\n64 250 0\n1024 200 0\n");
    expect_in_file("sizes.dat", "# simulated2\n64 300 0\n1024 300 0\n");
    expect_in_file("sizes.dat", "# published2\n64 290\n1024 310\n");
    expect_in_file("sizes.svg", "Linux 3.8");
    expect_in_file("sizes.svg", "1 KiB");
}

Test(plot, where_narrows_what_is_drawn) {
    configure("  - {kind: lines, name: one, x: size, y: throughput, where: {system: arrakis}}\n");
    draw(OK, "");
    expect_in_file("one.gp", "series = 1\n");
    expect_in_file("one.dat", "64 300 0\n1024 300 0\n");
}

Test(plot, a_label_says_what_tells_lines_apart) {
    configure("  - {kind: lines, name: a, x: point, y: throughput, deviations: false, where: {size: 64 B},\n"
              "     labels: {linux: Linux}}\n");
    draw(OK, "");
    expect_in_file("a.gp", "series_label[1] = 'Linux'\n");
    configure("  - {kind: lines, name: a, x: point, y: throughput, labels: {linux: \"\", 64 B: small}}\n");
    draw(OK, "");
    expect_in_file("a.gp", "series_label[1] = '1 KiB'\n");
    expect_in_file("a.gp", "series_label[2] = 'small'\n");
    expect_in_file("a.gp", "series_label[3] = 'Arrakis, 1 KiB'\n");
}

Test(plot, a_line_can_be_relative_to_a_system) {
    configure("  - {kind: lines, name: ratio, x: size, xscale: log, relative_to: arrakis}\n");
    draw(OK, "");
    expect_in_file("ratio.dat", "64 0.833333333 0\n");
    expect_in_file("ratio.dat", "64 1 0\n");
    configure("  - {kind: lines, name: ratio, x: size, xscale: log, relative_to: arakis}\n");
    draw(ERR_CONFIG, "has no system 'arakis'");
}

Test(plot, a_line_can_be_relative_to_a_place) {
    configure("  - {kind: lines, name: ratio, x: size, xscale: log, relative_to_place: {size: 1 KiB}}\n");
    draw(OK, "");
    expect_in_file("ratio.dat", "# simulated1\n64 1.25 0\n1024 1 0\n");
    expect_in_file("ratio.dat", "# simulated2\n64 1 0\n1024 1 0\n");
    configure("  - {kind: lines, name: ratio, x: size, relative_to_place: {sise: 1 KiB}}\n");
    draw(ERR_CONFIG, "has no column 'sise'");
    configure("  - {kind: lines, name: ratio, x: size, relative_to_place: 1 KiB}\n");
    draw(ERR_CONFIG, "expected {column: text}");
}

Test(plot, names_have_places_in_their_order) {
    write_file("latency.csv", "point,system,operation,requests,mean_ns,stddev_ns\n"
                              "0,one,pipe,1,2000,0\n"
                              "1,one,getpid,1,1000,0\n"
                              "2,two,pipe,1,6000,0\n"
                              "3,two,getpid,1,1500,0\n");
    configure("  - {kind: lines, name: names, x: operation, y: latency, relative_to_place: {operation: getpid}}\n");
    draw(OK, "");
    expect_pictures("names");
    expect_in_file("names.dat", "# simulated1\n1 2 0\n2 1 0\n");
    expect_in_file("names.dat", "# simulated2\n1 4 0\n2 1 0\n");
    expect_in_file("names.svg", "getpid");
}

Test(plot, what_cannot_be_drawn_is_said) {
    configure("  - {kind: lines, name: a, x: sise, y: throughput}\n");
    draw(ERR_CONFIG, "has no column 'sise'");
    configure("  - {kind: lines, name: a, x: size, y: latency}\n");
    draw(ERR_NOT_FOUND, "latency.csv");
    configure("  - {kind: lines, name: a, x: size, unit: us}\n");
    draw(ERR_CONFIG, "cannot be shown in 'us'");
    configure("  - {kind: breakdown, name: a, published: {paper: paper, table: partz}}\n");
    draw(ERR_NOT_FOUND, "has no table 'partz'");
    configure("  - {kind: lines, name: a/b, x: size}\n");
    draw(ERR_CONFIG, "a plot's name");
    configure("  - {kind: lines, name: a}\n");
    draw(ERR_CONFIG, "lines need an 'x'");
}

Test(plot, without_gnuplot_the_package_is_named) {
    configure("  - {kind: lines, name: a, x: size}\n");
    char line[128];
    (void)snprintf(line, sizeof line, "plot %s", folder);
    const struct outcome outcome = run_with("PATH=/nonexistent", line);
    cr_expect_eq(outcome.status, 1);
    cr_expect_not_null(strstr(outcome.text, "gnuplot-nox"), "%s", outcome.text);
    free(outcome.text);
}
