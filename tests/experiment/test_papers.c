/* test_papers.c: published figures beside what a results folder has. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/papers.h"
#include "tests/experiment/support.h"

static const char paper_text[] =
    "paper: made-up\n"
    "title: \"A paper for tests\"\n"
    "tables:\n"
    "  echo:\n"
    "    title: \"Echo\"\n"
    "    use: {a: calibration, total: prediction}\n"
    "    unit: us\n"
    "    experiment: ../echo.yaml\n"
    "    source: {file: breakdown.csv, column: mean_ns, scale: 0.001, where: {kind: total}}\n"
    "    row_key: component\n"
    "    row_sources:\n"
    "      total: {component: rows}\n"
    "      sigma: {component: rows, column: stddev_ns}\n"
    "    rows: [a, b, total, sigma]\n"
    "    columns:\n"
    "      linux: [2.0, 0, 4.0, 0.5]\n"
    "      arrakis: [1.0, 0, null, 0.1]\n"
    "      exos: [1.0, 1.0, 1.0, 1.0]\n"
    "  rate:\n"
    "    title: \"Rate\"\n"
    "    use: calibration\n"
    "    unit: kpps\n"
    "    experiment: /elsewhere/rate.yaml\n"
    "    source: {file: throughput.csv, column: completed_per_s, scale: 0.001}\n"
    "    row_key: processing\n"
    "    rows: [0 us, 8 us]\n"
    "    columns: {linux: [100, 50]}\n"
    "  odd:\n"
    "    use: prediction\n"
    "    experiment: ../echo.yaml\n"
    "    source: {file: latency.csv, column: p50_ns}\n"
    "    rows: [a]\n"
    "    columns: {linux: [1]}\n"
    "  column:\n"
    "    use: prediction\n"
    "    experiment: ../echo.yaml\n"
    "    source: {column: mean_us}\n"
    "    rows: [a]\n"
    "    columns: {linux: [1]}\n";

static const char breakdown[] = "point,system,component,kind,mean_ns,stddev_ns,p50_ns,p99_ns,share_percent\n"
                                "0,linux,a,waiting,500,0,0,0,10\n"
                                "0,linux,a,service,1600,0,0,0,30\n"
                                "0,linux,a,total,2100,0,0,0,40\n"
                                "0,linux,b,total,0.000,0,0,0,0\n"
                                "0,linux,rows,total,3000,250,0,0,100\n"
                                "1,arrakis,a,total,900,0,0,0,90\n"
                                "1,arrakis,b,total,100,0,0,0,10\n"
                                "1,arrakis,rows,total,1000,120,0,0,100\n";

static const char throughput[] = "point,system,processing,offered_per_s,completed_per_s,dropped_per_s,bytes_per_s\n"
                                 "0,linux,0 us,120000,110000,0,1\n"
                                 "1,linux,8 us,120000,45000,0,1\n";

static char folder[SUPPORT_PATH_BYTES];

static struct paper *begin(void) {
    make_temporary_folder(folder);
    write_text(path_in(folder, "paper.yaml"), paper_text);
    write_text(path_in(folder, "breakdown.csv"), breakdown);
    write_text(path_in(folder, "throughput.csv"), throughput);
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct paper *paper = paper_load(path_in(folder, "paper.yaml"), &diagnostics);
    char *messages = text_of(&diagnostics);
    cr_assert_not_null(paper, "%s", messages);
    free(messages);
    return paper;
}

static void end(struct paper *paper) {
    paper_free(paper);
    remove_folder(folder);
}

static struct paper_figure figure_of(const struct paper_figure *figures, size_t count, const char *column,
                                     const char *row) {
    size_t i = 0;
    while (i < count && (strcmp(figures[i].column, column) != 0 || strcmp(figures[i].row, row) != 0)) {
        i++;
    }
    cr_assert_lt(i, count, "there is no figure %s, %s", column, row);
    return figures[i];
}

Test(papers, tables_are_found_by_name) {
    struct paper *paper = begin();
    char experiment[256], expected[SUPPORT_PATH_BYTES + 32];
    cr_expect_str_eq(paper_name(paper), "made-up");
    cr_expect_str_eq(paper_title(paper), "A paper for tests");
    cr_expect_eq(paper_tables(paper), 4);
    cr_expect_eq(paper_table_find(paper, "rate"), 1);
    cr_expect_eq(paper_table_find(paper, "nothing"), paper_tables(paper));
    cr_expect_str_eq(paper_table_name(paper, 1), "rate");
    cr_expect_str_eq(paper_table_title(paper, 1), "Rate");
    cr_expect_str_eq(paper_table_title(paper, 2), "odd", "without a title its name");
    /* Relative to the paper, unless it is absolute. */
    paper_table_experiment(paper, 0, experiment, sizeof experiment);
    (void)snprintf(expected, sizeof expected, "%s/../echo.yaml", folder);
    cr_expect_str_eq(experiment, expected);
    paper_table_experiment(paper, 1, experiment, sizeof experiment);
    cr_expect_str_eq(experiment, "/elsewhere/rate.yaml");
    end(paper);
}

Test(papers, figures_are_matched_scaled_and_compared) {
    struct paper *paper = begin();
    struct paper_figure figures[32];
    struct error error = {0};
    const size_t count = paper_figures(paper, 0, folder, figures, 32, &error);
    cr_assert_eq(count, 11, "twelve values, of which one is null");
    const struct paper_figure a = figure_of(figures, count, "linux", "a");
    cr_expect_float_eq(a.published, 2.0, 1e-12);
    cr_expect_float_eq(a.simulated, 2.1, 1e-12, "of kind total, in us");
    cr_expect_float_eq(a.error_percent, 5.0, 1e-9);
    cr_expect_str_eq(a.unit, "us");
    cr_expect_float_eq(figure_of(figures, count, "arrakis", "a").error_percent, -10, 1e-9);
    end(paper);
}

Test(papers, a_row_may_have_a_source_of_its_own) {
    struct paper *paper = begin();
    struct paper_figure figures[32];
    const size_t count = paper_figures(paper, 0, folder, figures, 32, NULL);
    cr_expect_float_eq(figure_of(figures, count, "linux", "total").simulated, 3.0, 1e-12);
    cr_expect_float_eq(figure_of(figures, count, "linux", "total").error_percent, -25, 1e-9);
    cr_expect_float_eq(figure_of(figures, count, "linux", "sigma").simulated, 0.25, 1e-12);
    cr_expect_float_eq(figure_of(figures, count, "arrakis", "sigma").error_percent, 20, 1e-9);
    end(paper);
}

Test(papers, the_use_is_the_tables_or_the_rows) {
    struct paper *paper = begin();
    struct paper_figure figures[32];
    size_t count = paper_figures(paper, 0, folder, figures, 32, NULL);
    cr_expect(figure_of(figures, count, "linux", "a").calibration);
    cr_expect_not(figure_of(figures, count, "linux", "total").calibration);
    cr_expect_not(figure_of(figures, count, "linux", "b").calibration, "a row that is not named is predicted");
    count = paper_figures(paper, 1, folder, figures, 32, NULL);
    cr_expect_eq(count, 2);
    cr_expect(figures[0].calibration && figures[1].calibration);
    cr_expect_float_eq(figure_of(figures, count, "linux", "0 us").simulated, 110, 1e-9);
    cr_expect_float_eq(figure_of(figures, count, "linux", "8 us").error_percent, -10, 1e-9);
    end(paper);
}

Test(papers, zero_is_compared_without_dividing) {
    struct paper *paper = begin();
    struct paper_figure figures[32];
    const size_t count = paper_figures(paper, 0, folder, figures, 32, NULL);
    cr_expect_eq(figure_of(figures, count, "linux", "b").error_percent, 0);
    cr_expect(isnan(figure_of(figures, count, "arrakis", "b").error_percent), "0 published, 0.1 simulated");
    end(paper);
}

Test(papers, what_was_not_simulated_is_no_number) {
    struct paper *paper = begin();
    struct paper_figure figures[32];
    size_t count = paper_figures(paper, 0, folder, figures, 32, NULL);
    cr_expect(isnan(figure_of(figures, count, "exos", "a").simulated));
    cr_expect(isnan(figure_of(figures, count, "exos", "a").error_percent));
    count = paper_figures(paper, 0, NULL, figures, 32, NULL);
    cr_expect_eq(count, 11, "published values alone");
    cr_expect(isnan(figures[0].simulated));
    count = paper_figures(paper, 3, folder, figures, 32, NULL);
    cr_expect_eq(count, 1);
    cr_expect(isnan(figures[0].simulated), "a column that the CSV does not have");
    end(paper);
}

Test(papers, no_more_than_the_capacity_is_stored) {
    struct paper *paper = begin();
    struct paper_figure figures[3] = {{0}};
    cr_expect_eq(paper_figures(paper, 0, folder, figures, 2, NULL), 11);
    cr_expect_not_null(figures[1].row);
    cr_expect_null(figures[2].row);
    end(paper);
}

Test(papers, a_missing_csv_is_an_error) {
    struct paper *paper = begin();
    struct paper_figure figures[4];
    struct error error = {0};
    cr_expect_eq(paper_figures(paper, 2, folder, figures, 4, &error), 0);
    cr_expect_neq(error.code, OK);
    cr_expect_not_null(strstr(error.text, "latency.csv"), "%s", error.text);
    end(paper);
}

static char *messages_of(const char *path) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct paper *paper = paper_load(path, &diagnostics);
    cr_expect_eq(paper == NULL, diagnostics.errors > 0, "%s", path);
    paper_free(paper);
    return text_of(&diagnostics);
}

Test(papers, each_malformed_one_is_refused_as_written_beside_it, .init = enter_sources) {
    cr_expect_geq(check_corpus("tests/bad_configs/papers", messages_of), 20);
}

/* ---- validate ---- */

/* Papers about the small echo, each with its own way of use. */
static void write_papers(void) {
    char text[4096];
    static const char table[] = "    unit: us\n"
                                "    experiment: " SOURCE_DIR "/tests/experiment/data/echo.yaml\n"
                                "    source: {file: breakdown.csv, column: mean_ns, scale: 0.001, "
                                "where: {kind: total, payload: 64 B}}\n"
                                "    rows: [app, end_to_end]\n"
                                "    columns: {driver: [0.5, 1000], linux: [0.5, null]}\n";
    (void)snprintf(text, sizeof text, "paper: first\ntables:\n  one:\n    use: calibration\n%s", table);
    write_text(path_in(folder, "papers/first.yaml"), text);
    (void)snprintf(text, sizeof text,
                   "paper: second\ntables:\n  one:\n    use: prediction\n%s  two:\n    use: prediction\n%s", table,
                   table);
    write_text(path_in(folder, "papers/second.yaml"), text);
}

static enum error_code validate(const char *paper, char **text, struct error *error) {
    size_t bytes = 0;
    char papers[SUPPORT_PATH_BYTES + 16], out_folder[SUPPORT_PATH_BYTES + 16];
    (void)snprintf(papers, sizeof papers, "%s/papers", folder);
    (void)snprintf(out_folder, sizeof out_folder, "%s/validation", folder);
    const struct validate_options options = {.papers_folder = papers, .paper = paper, .out = out_folder, .jobs = 2};
    FILE *out = open_memstream(text, &bytes);
    const enum error_code code = validate_run(&options, out, error);
    (void)fclose(out);
    return code;
}

static void begin_validation(void) {
    enter_sources();
    make_temporary_folder(folder);
    char command[SUPPORT_PATH_BYTES + 32];
    (void)snprintf(command, sizeof command, "mkdir '%s/papers'", folder);
    cr_assert_eq(system(command), 0);
    write_papers();
}

Test(validate, every_figure_of_every_paper_is_in_one_table, .init = begin_validation) {
    char *text = NULL;
    struct error error = {0};
    cr_assert_eq(validate(NULL, &text, &error), OK, "%s", error.text);
    struct csv_table csv = read_csv(path_in(folder, "validation"), "validation.csv");
    char *header = read_text(path_in(path_in(folder, "validation"), "validation.csv"));
    header[strcspn(header, "\n")] = '\0';
    cr_expect_str_eq(header, "paper,table,row,column,unit,use,published,simulated,error_percent");
    cr_expect_eq(csv.row_count, 9, "three tables of three figures");
    const char *const *app =
        WHERE("paper", "second", "table", "two", "row", "app", "column", "driver", "use", "prediction");
    cr_expect_float_eq(number_where(&csv, "simulated", app), 0.5, 0.001);
    cr_expect_float_eq(number_where(&csv, "error_percent", app), 0, 0.2);
    const char *const *whole = WHERE("paper", "first", "row", "end_to_end", "column", "driver", "use", "calibration");
    const double simulated = number_where(&csv, "simulated", whole);
    cr_expect_float_eq(number_where(&csv, "error_percent", whole), 100 * (simulated - 1000) / 1000, 0.01);
    cr_expect_not_null(strstr(text, "<- miss"), "%s", text);
    cr_expect_not_null(strstr(text, "6 figures predicted: 4 within 10 %"), "%s", text);
    cr_expect_not_null(strstr(text, "; 3 calibrated"), "%s", text);
    csv_table_free(&csv);
    free(header);
    free(text);
    remove_folder(folder);
}

Test(validate, one_paper_can_be_chosen, .init = begin_validation) {
    char *text = NULL;
    struct error error = {0};
    cr_assert_eq(validate("first", &text, &error), OK, "%s", error.text);
    struct csv_table csv = read_csv(path_in(folder, "validation"), "validation.csv");
    cr_expect_eq(csv.row_count, 3);
    cr_expect_eq(csv_table_find(&csv, 0, WHERE("paper", "second")), csv.row_count);
    csv_table_free(&csv);
    free(text);
    cr_expect_eq(validate("third", &text, &error), ERR_NOT_FOUND);
    cr_expect_not_null(strstr(error.text, "there is no paper 'third'"), "%s", error.text);
    free(text);
    remove_folder(folder);
}
