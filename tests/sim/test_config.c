/* test_config.c: trees, places, includes, copies, what is written and read again. */
#include <sys/stat.h>
#include <unistd.h>

#include "config_fixture.h"

static void put_file(const char *path, const char *text) {
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
}

static char temporary[] = "/tmp/stillsuit-test-XXXXXX";

static void enter_folder(void) {
    cr_assert_not_null(mkdtemp(temporary));
    cr_assert_eq(chdir(temporary), 0);
    cr_assert_eq(mkdir("parts", 0700), 0);
}

static void leave_folder(void) {
    char command[128];
    cr_assert_eq(chdir("/"), 0);
    (void)snprintf(command, sizeof command, "rm -r %s", temporary);
    cr_assert_eq(system(command), 0);
}

Test(config, nodes_remember_their_places) {
    struct config *config = parsed("machine:\n  nics:\n    - {name: a, rate: '10 Gbps'}\n");
    const struct config_node *rate = config_path(config_root(config), "machine.nics[0].rate");
    cr_assert_not_null(rate);
    cr_expect_str_eq(rate->file, "t.yaml");
    cr_expect_eq(rate->line, 3);
    cr_expect_eq(rate->column, 23);
    cr_expect_str_eq(rate->text, "10 Gbps");
    cr_expect(rate->quoted);
    cr_expect_eq(rate->parent->key_nodes[1]->column, 17);
    config_free(config);
    expect_said("");
}

Test(config, paths_lead_to_nodes) {
    struct config *config = parsed("a: {b: [1, {name: x, c: 2}, [3, 4]]}\n");
    const struct config_node *root = config_root(config);
    cr_expect_str_eq(config_text(config_path(root, "a.b[0]"), "-"), "1");
    cr_expect_str_eq(config_text(config_path(root, "a.b[1].c"), "-"), "2");
    cr_expect_str_eq(config_text(config_path(root, "a.b[x].c"), "-"), "2");
    cr_expect_str_eq(config_text(config_path(root, "a.b[2][1]"), "-"), "4");
    cr_expect_str_eq(config_text(config_path(config_get(root, "a"), "b[0]"), "-"), "1");
    cr_expect_eq(config_path(root, ""), root);
    static const char *const nowhere[] = {"b",
                                          "a.b[3]",
                                          "a.b.c",
                                          "a[0]",
                                          "a.b[y]",
                                          "a..b",
                                          "a.",
                                          ".a",
                                          "a.b[",
                                          "a.b[]",
                                          "a.b]",
                                          "a.b[0]c",
                                          "a.b[99999999999999999999]"};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; ++i) {
        cr_expect_null(config_path(root, nowhere[i]), "%s", nowhere[i]);
    }
    cr_expect_null(config_path(NULL, "a"));
    cr_expect_null(config_get(config_path(root, "a.b"), "a"));
    cr_expect_str_eq(config_text(config_get(root, "a"), "-"), "-");
    config_free(config);
}

Test(config, names_are_paths) {
    struct config *config = parsed("a: {b: [1, {name: x, c: 2}]}\n");
    char name[64];
    config_name(config_path(config_root(config), "a.b[1].c"), name, sizeof name);
    cr_expect_str_eq(name, "a.b[x].c");
    config_name(config_path(config_root(config), "a.b[0]"), name, sizeof name);
    cr_expect_str_eq(name, "a.b[0]");
    config_name(config_root(config), name, sizeof name);
    cr_expect_str_eq(name, "");
    char small[5];
    config_name(config_path(config_root(config), "a.b[1].c"), small, sizeof small);
    cr_expect_str_eq(small, "a.b[");
    config_free(config);
}

Test(config, freeing_nothing_is_fine) {
    config_free(NULL);
}

Test(config, the_first_of_duplicates_stays) {
    struct config *config = parsed("a: 1\nb: 2\na: 3\n");
    cr_expect_str_eq(config_text(config_get(config_root(config), "a"), "-"), "1");
    config_free(config);
    expect_said("t.yaml:3:1: duplicate key 'a'; it is in line 1 already\n");
}

Test(config, no_tree_from_what_is_no_yaml) {
    cr_expect_null(config_parse("t.yaml", "a: [1\n", &said));
    expect_said(
        "t.yaml:2:1: syntax: did not find expected ',' or ']' while parsing a flow sequence that began in line 1, "
        "column 4\n");
}

Test(config, own_keys_win_over_included, .init = enter_folder, .fini = leave_folder) {
    put_file("parts/base.yaml", "seed: 1\nmachine: {name: base, nic: {rate: 10 Gbps, queues: 4}, list: [1, 2]}\n");
    put_file("main.yaml", "machine:\n  nic: {queues: 8, vfs: 2}\n  list: [3]\ninclude: parts/base.yaml\nlast: 1\n");
    struct config *config = config_load("main.yaml", &said);
    expect_said("");
    expect_written(config, "seed: 1\nmachine:\n  name: base\n  nic:\n    rate: 10 Gbps\n    queues: 8\n    vfs: 2\n"
                           "  list:\n    - 3\nlast: 1\n");
    const struct config_node *rate = config_path(config_root(config), "machine.nic.rate");
    cr_expect_str_eq(rate->file, "parts/base.yaml");
    cr_expect_eq(rate->line, 2);
    char name[64];
    config_name(rate, name, sizeof name);
    cr_expect_str_eq(name, "machine.nic.rate");
    config_free(config);
}

Test(config, later_includes_win_over_earlier, .init = enter_folder, .fini = leave_folder) {
    put_file("parts/a.yaml", "x: a\ny: a\nz: a\n");
    put_file("parts/b.yaml", "include: c.yaml\ny: b\nz: b\n");
    put_file("parts/c.yaml", "x: c\ny: c\nw: c\n");
    put_file("main.yaml", "top:\n  include: [parts/a.yaml, parts/b.yaml]\n  z: own\n");
    struct config *config = config_load("main.yaml", &said);
    expect_said("");
    cr_expect_str_eq(config_text(config_path(config_root(config), "top.w"), "-"), "c");
    cr_expect_str_eq(config_text(config_path(config_root(config), "top.x"), "-"), "c");
    cr_expect_str_eq(config_text(config_path(config_root(config), "top.y"), "-"), "b");
    cr_expect_str_eq(config_text(config_path(config_root(config), "top.z"), "-"), "own");
    cr_expect_eq(config_path(config_root(config), "top")->count, 4);
    config_free(config);
}

Test(config, includes_work_inside_lists, .init = enter_folder, .fini = leave_folder) {
    put_file("parts/a.yaml", "rate: 1 Gbps\n");
    put_file("main.yaml", "nics:\n  - {include: parts/a.yaml, name: x}\n  - include: parts/a.yaml\n");
    struct config *config = config_load("main.yaml", &said);
    expect_said("");
    expect_written(config, "nics:\n  - rate: 1 Gbps\n    name: x\n  - rate: 1 Gbps\n");
    config_free(config);
}

Test(config, a_value_and_its_provenance_are_replaced_together, .init = enter_folder, .fini = leave_folder) {
    put_file("parts/a.yaml", "step: {cycles: 10, lines: 2, source: paper}\nrate: {value: 1 Gbps, source: paper}\n"
                             "plain: {source: a, target: b}\n");
    put_file("main.yaml", "include: parts/a.yaml\nstep: {cycles: 20, assumed: why, range: [1, 30]}\nrate: 2 Gbps\n"
                          "plain: {target: c}\n");
    struct config *config = config_load("main.yaml", &said);
    expect_said("");
    expect_written(config, "step:\n  cycles: 20\n  assumed: why\n  range:\n    - 1\n    - 30\nrate: 2 Gbps\n"
                           "plain:\n  source: a\n  target: c\n");
    config_free(config);
}

Test(config, a_loop_over_three_files_is_found, .init = enter_folder, .fini = leave_folder) {
    put_file("a.yaml", "include: parts/b.yaml\n");
    put_file("parts/b.yaml", "x:\n  include: c.yaml\n");
    put_file("parts/c.yaml", "include: ../a.yaml\n");
    struct config *config = config_load("a.yaml", &said);
    expect_said("parts/c.yaml:1:10: include loop: a.yaml -> parts/b.yaml -> parts/c.yaml -> parts/../a.yaml\n");
    config_free(config);
}

Test(config, the_same_file_twice_is_no_loop, .init = enter_folder, .fini = leave_folder) {
    put_file("parts/a.yaml", "x: 1\nx: 2\n");
    put_file("main.yaml", "a: {include: parts/a.yaml}\nb: {include: parts/a.yaml}\n");
    struct config *config = config_load("main.yaml", &said);
    cr_expect_str_eq(config_text(config_path(config_root(config), "b.x"), "-"), "1");
    config_free(config);
    expect_said("parts/a.yaml:2:1: duplicate key 'x'; it is in line 1 already\n"); /* said once */
}

static void round_trip(const char *text) {
    struct config *first = parsed(text);
    char *once = written(config_root(first));
    struct config *second = config_parse("again.yaml", once, &said);
    expect_said("");
    cr_assert_not_null(second, "%s", once);
    char *twice = written(config_root(second));
    cr_expect_str_eq(once, twice);
    config_free(first);
    config_free(second);
    free(once);
    free(twice);
}

/* Same kinds, texts, keys, order. */
static void expect_same(const struct config_node *a, const struct config_node *b) {
    cr_assert_eq(a->kind, b->kind);
    cr_assert_eq(a->count, b->count);
    if (a->kind == CONFIG_SCALAR) {
        cr_expect_str_eq(a->text, b->text);
    }
    for (size_t i = 0; i < a->count; ++i) {
        if (a->kind == CONFIG_MAPPING) {
            cr_expect_str_eq(a->keys[i], b->keys[i]);
        }
        expect_same(a->children[i], b->children[i]);
    }
}

Test(config, what_is_written_loads_to_the_same_tree) {
    static const char text[] =
        "a: 10 Gbps\n"
        "b: \"quoted \\\"x\\\" \\\\ \\n\\t\\x01 \\u0085\\L\\P\\uFEFF\xC3\xBC\"\n"
        "c: 'it''s # not a comment'\n"
        "d: |\n  several\n  lines\n"
        "e: []\nf: {}\ng:\nh: ''\n"
        "i: [[1, [2, -]], {x: 1, 'y: z': 2}, [], {}]\n"
        "j: [-, -1, ?x, 'a ', ' b', '---', '- x', '# y', \"{\", '*', '&', '!', '%', '@', '`']\n"
        "'[k]': [{a: [{b: 1}, {c: 2}]}]\n"
        "l: a plain\n  text on\n\n  lines\n"
        "? aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n: {x: [1]}\n"
        "m: ${processing}\nn: http://x:80/\no: null\np: 0x1F\n";
    round_trip(text);
    struct config *first = parsed(text);
    char *once = written(config_root(first));
    struct config *second = parsed(once);
    expect_same(config_root(first), config_root(second));
    cr_expect_str_eq(config_text(config_path(config_root(second), "l"), "-"), "a plain text on\nlines");
    cr_expect_str_eq(config_text(config_path(config_root(second), "i[0][1][1]"), "-"), "-");
    free(once);
    config_free(first);
    config_free(second);
}

Test(config, a_single_value_is_written_too) {
    struct config *config = parsed("a: {b: 'x'}\nc: {}\n");
    char *text = written(config_path(config_root(config), "a.b"));
    cr_expect_str_eq(text, "\"x\"\n");
    free(text);
    text = written(config_path(config_root(config), "c"));
    cr_expect_str_eq(text, "{}\n");
    free(text);
    config_free(config);
}

Test(config, a_clone_stands_alone) {
    struct config *config = parsed("a: {b: [1, 2]}\n");
    struct config *clone = config_clone(config);
    cr_expect(config_set(clone, "a.b[0]=7", &said));
    expect_written(config, "a:\n  b:\n    - 1\n    - 2\n");
    config_free(config);
    expect_written(clone, "a:\n  b:\n    - 7\n    - 2\n");
    cr_expect_str_eq(config_path(config_root(clone), "a.b[1]")->file, "t.yaml");
    config_free(clone);
    expect_said("");
}

Test(config, unknown_keys_are_reported_with_the_nearest) {
    static const char *const allowed[] = {"rate", "rate_limit", "queues", NULL};
    struct config *config = parsed("nic:\n  rate: 1\n  rate_limt: 2\n  Queues: 3\n  colour: 4\nqeues: 5\n");
    cr_expect_not(config_check_keys(config_get(config_root(config), "nic"), allowed, &said));
    expect_said("t.yaml:3:3: unknown key 'rate_limt' in nic; did you mean 'rate_limit'?\n"
                "t.yaml:4:3: unknown key 'Queues' in nic; did you mean 'queues'?\n"
                "t.yaml:5:3: unknown key 'colour' in nic\n");
    cr_expect_not(config_check_keys(config_root(config), allowed, &said));
    expect_said("t.yaml:1:1: unknown key 'nic'\n"
                "t.yaml:6:1: unknown key 'qeues'; did you mean 'queues'?\n");
    cr_expect(config_check_keys(NULL, allowed, &said));
    config_free(config);
}

Test(config, the_nearest_word_is_near) {
    static const char *const words[] = {"latency", "bandwidth", "rate", "io", NULL};
    cr_expect_str_eq(config_nearest("latncy", words), "latency");
    cr_expect_str_eq(config_nearest("bandwith", words), "bandwidth");
    cr_expect_str_eq(config_nearest("badnwidth", words), "bandwidth");
    cr_expect_str_eq(config_nearest("rtae", words), "rate");
    cr_expect_str_eq(config_nearest("RATE", words), "rate");
    cr_expect_null(config_nearest("colour", words));
    cr_expect_null(config_nearest("", words));
    char very_long[200];
    memset(very_long, 'a', sizeof very_long);
    very_long[sizeof very_long - 1] = '\0';
    cr_expect_null(config_nearest(very_long, words));
}

Test(config, diagnostics_are_printed_in_order_of_place) {
    diagnostics_add(&said, "b.yaml", 1, 1, "x");
    diagnostics_add(&said, "a.yaml", 12, 1, "later");
    diagnostics_add(&said, "a.yaml", 2, 10, "ten");
    diagnostics_add(&said, "a.yaml", 2, 9, "nine");
    diagnostics_add(&said, "c.yaml", 0, 0, "no place, %d", 5);
    diagnostics_add(&said, "b.yaml", 1, 1, "x");
    diagnostics_add(&said, NULL, 0, 0, "no\nfile");
    struct config *config = parsed("a: 1\n");
    diagnostics_warn(&said, config_get(config_root(config), "a"), "no %s", "effect");
    cr_expect_eq(said.errors, 7);
    cr_expect_eq(said.count, 8);
    config_free(config); /* the diagnostics own their files */
    expect_said("no file\na.yaml:2:9: nine\na.yaml:2:10: ten\na.yaml:12:1: later\nb.yaml:1:1: x\nc.yaml: no place, 5\n"
                "t.yaml:1:4: warning: no effect\n");
}
