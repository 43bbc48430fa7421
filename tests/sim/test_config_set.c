/* test_config_set.c: --set and the points of a matrix. */
#include "config_fixture.h"

static const char base[] =
    "machine:\n  nics:\n    - {name: a, rate: 1 Gbps}\n    - {name: b, rate: 2 Gbps}\n  cores: 4\nx: 1\n";

Test(config_set, replaces_and_adds) {
    struct config *config = parsed(base);
    cr_expect(config_set(config, "machine.cores=8", &said));
    cr_expect(config_set(config, "machine.nics[1].rate=5 Gbps", &said));
    cr_expect(config_set(config, "machine.nics[a].rate=\"6 Gbps\"", &said));
    cr_expect(config_set(config, "machine.memory={size: 4 GiB, a: [1, 2]}", &said));
    cr_expect(config_set(config, "x=a=b", &said));
    cr_expect(config_set(config, "empty=", &said));
    expect_said("");
    expect_written(config,
                   "machine:\n  nics:\n    - name: a\n      rate: \"6 Gbps\"\n    - name: b\n      rate: 5 Gbps\n"
                   "  cores: 8\n  memory:\n    size: 4 GiB\n    a:\n      - 1\n      - 2\nx: a=b\nempty:\n");
    const struct config_node *cores = config_path(config_root(config), "machine.cores");
    cr_expect_str_eq(cores->file, "--set machine.cores");
    cr_expect_eq(cores->line, 1);
    cr_expect_eq(cores->column, 1);
    config_free(config);
}

Test(config_set, many_added_keys_keep_their_order) {
    struct config *config = parsed("a: 1\n");
    char assignment[32];
    for (int i = 0; i < 100; ++i) {
        (void)snprintf(assignment, sizeof assignment, "k%d=%d", i, i);
        cr_assert(config_set(config, assignment, &said));
    }
    cr_expect_eq(config_root(config)->count, 101);
    cr_expect_str_eq(config_root(config)->keys[100], "k99");
    cr_expect_str_eq(config_root(config)->children[50]->text, "49");
    config_free(config);
}

Test(config_set, wrong_paths_are_reported_with_the_nearest) {
    static const struct {
        const char *assignment, *expected;
    } cases[] = {
        {"machin.cores=8", "--set machin.cores:1:1: there is no 'machin'; did you mean 'machine'?\n"},
        {"machine.nisc[0].rate=1",
         "--set machine.nisc[0].rate:1:1: there is no 'nisc' in machine; did you mean 'nics'?\n"},
        {"machine.disks[0].rate=1", "--set machine.disks[0].rate:1:1: there is no 'disks' in machine\n"},
        {"machine.nics[2].rate=1",
         "--set machine.nics[2].rate:1:1: there is no [2] in machine.nics, which has 2 elements\n"},
        {"machine.nics[2]=1", "--set machine.nics[2]:1:1: there is no [2] in machine.nics, which has 2 elements\n"},
        {"machine.nics[c].rate=1",
         "--set machine.nics[c].rate:1:1: there is no [c] in machine.nics, which has 2 elements\n"},
        {"machine.nics.rate=1", "--set machine.nics.rate:1:1: there is no 'rate' in machine.nics, which is a list\n"},
        {"machine.cores.rate=1",
         "--set machine.cores.rate:1:1: there is no 'rate' in machine.cores, which is a single value\n"},
        {"machine[0]=1", "--set machine[0]:1:1: there is no '0' in machine, which is a mapping\n"},
        {"machine.cores", "--set machine.cores:1:1: an assignment is due, such as machine.nics[0].rate=10 Gbps\n"},
        {"=5", "--set :1:1: '' is not a path such as machine.nics[0].rate\n"},
        {"machine..cores=5", "--set machine..cores:1:1: 'machine..cores' is not a path such as machine.nics[0].rate\n"},
        {"machine.=5", "--set machine.:1:1: 'machine.' is not a path such as machine.nics[0].rate\n"},
        {"machine.include=a.yaml", "--set machine.include:1:1: include cannot be set; set what it would bring\n"},
        {"x=[1", "--set x:2:1: syntax: did not find expected ',' or ']' while parsing a flow sequence that began in "
                 "line 1, column 1\n"},
        {"x={a: 1, a: 2}", "--set x:1:8: duplicate key 'a'; it is in line 1 already\n"},
        {"x={include: /nonexistent/a.yaml}",
         "--set x:1:11: cannot include '/nonexistent/a.yaml': No such file or directory\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct config *config = parsed(base);
        char *before = written(config_root(config));
        cr_expect_not(config_set(config, cases[i].assignment, &said), "%s", cases[i].assignment);
        expect_said(cases[i].expected);
        expect_written(config, before); /* what fails changes nothing */
        free(before);
        config_free(config);
    }
}

Test(config_matrix, no_matrix_is_one_point) {
    struct config *config = parsed(base);
    struct config_matrix matrix;
    cr_expect(config_matrix_read(config_get(config_root(config), "matrix"), &matrix, &said));
    cr_expect_eq(matrix.points, 1);
    cr_expect_eq(matrix.count, 0);
    struct config *point = config_matrix_point(config, &matrix, 0, NULL, &said);
    cr_assert_not_null(point);
    config_free(point);
    config_matrix_free(&matrix);
    config_free(config);
    expect_said("");
}

Test(config_matrix, points_are_row_major) {
    struct config *config = parsed("machine: {cores: 1, nics: [{name: a, rate: 1}]}\n"
                                   "matrix:\n  machine.cores: [1, 2]\n"
                                   "  machine.nics[a].rate: {as: nic_rate, values: [1 Gbps, 10 Gbps, 40 Gbps]}\n");
    struct config_matrix matrix;
    cr_assert(config_matrix_read(config_get(config_root(config), "matrix"), &matrix, &said));
    cr_expect_eq(matrix.points, 6);
    cr_assert_eq(matrix.count, 2);
    cr_expect_str_eq(matrix.axes[0].name, "cores");
    cr_expect_str_eq(matrix.axes[1].name, "nic_rate");
    static const char *const rates[] = {"1 Gbps", "10 Gbps", "40 Gbps"};
    for (size_t i = 0; i < matrix.points; ++i) {
        const char *values[2];
        struct config *point = config_matrix_point(config, &matrix, i, values, &said);
        cr_assert_not_null(point);
        cr_expect_str_eq(values[0], i < 3 ? "1" : "2");
        cr_expect_str_eq(values[1], rates[i % 3]);
        cr_expect_str_eq(config_path(config_root(point), "machine.cores")->text, values[0]);
        const struct config_node *rate = config_path(config_root(point), "machine.nics[0].rate");
        cr_expect_str_eq(rate->text, values[1]);
        cr_expect_eq(rate->line, 4);
        config_free(point);
    }
    cr_expect_str_eq(config_path(config_root(config), "machine.nics[0].rate")->text, "1");
    config_matrix_free(&matrix);
    config_free(config);
    expect_said("");
}

Test(config_matrix, errors_are_reported_all_at_once) {
    struct config *config = parsed("machine: {cores: 1, nics: [1]}\n"
                                   "matrix:\n"
                                   "  machin.cores: [1]\n"
                                   "  machine.cores: 5\n"
                                   "  machine.nics[0]: [1]\n"
                                   "  machine.a: []\n"
                                   "  machine.b: [{x: 1}]\n"
                                   "  machine.c: {as: a b, values: [1]}\n"
                                   "  machine.d: {is: d, values: [1]}\n"
                                   "  c.d: [1]\n"
                                   "  machine.e: [1]\n"
                                   "  machine.f: {as: e, values: [1]}\n"
                                   "  machine.g: {as: g}\n");
    struct config_matrix matrix;
    cr_expect_not(config_matrix_read(config_get(config_root(config), "matrix"), &matrix, &said));
    expect_said("t.yaml:3:3: there is no 'machin'; did you mean 'machine'?\n"
                "t.yaml:4:3: machine.cores: another axis is called 'cores' already; add as:\n"
                "t.yaml:4:18: machine.cores: an axis is a list of values, [a, b], or {as: name, values: [a, b]}\n"
                "t.yaml:5:3: machine.nics[0]: 'nics[0]' cannot name a column; add as: with letters, digits and _\n"
                "t.yaml:6:14: machine.a: an axis is a list of values, [a, b], or {as: name, values: [a, b]}\n"
                "t.yaml:7:15: machine.b: each value of an axis is a single value\n"
                "t.yaml:8:3: machine.c: 'a b' cannot name a column; add as: with letters, digits and _\n"
                "t.yaml:9:15: unknown key 'is' in matrix.machine.d; did you mean 'as'?\n"
                "t.yaml:10:3: c.d: another axis is called 'd' already; add as:\n"
                "t.yaml:10:3: there is no 'c'\n"
                "t.yaml:12:3: machine.f: another axis is called 'e' already; add as:\n"
                "t.yaml:13:14: machine.g: an axis is a list of values, [a, b], or {as: name, values: [a, b]}\n");
    config_matrix_free(&matrix);
    config_free(config);
}

Test(config_matrix, too_many_points_are_refused) {
    struct config *config = parsed("matrix:\n  a: [1,1,1,1,1,1,1,1,1,1]\n  b: [1,1,1,1,1,1,1,1,1,1]\n"
                                   "  c: [1,1,1,1,1,1,1,1,1,1]\n  d: [1,1,1,1,1,1,1,1,1,1]\n"
                                   "  e: [1,1,1,1,1,1,1,1,1,1]\n  f: [1,1,1,1,1,1,1,1,1,1]\n  g: [1, 2]\n");
    struct config_matrix matrix;
    cr_expect_not(config_matrix_read(config_get(config_root(config), "matrix"), &matrix, &said));
    expect_said("t.yaml:2:3: matrix: more than 1000000 points\n");
    config_matrix_free(&matrix);
    config_free(config);
}

Test(config_matrix, a_list_is_no_matrix) {
    struct config *config = parsed("matrix: [1]\n");
    struct config_matrix matrix;
    cr_expect_not(config_matrix_read(config_get(config_root(config), "matrix"), &matrix, &said));
    expect_said("t.yaml:1:9: matrix: a mapping of paths to lists of values is due\n");
    config_matrix_free(&matrix);
    config_free(config);
}
