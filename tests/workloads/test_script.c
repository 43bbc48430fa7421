/* test_script.c: scripts from YAML: parameters, merging, and everything that is wrong. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workloads/op.h"
#include "workloads/script.h"

enum { TEXT_BYTES = 16384, BAD_SCRIPTS_MIN = 30 };

static struct diagnostics diagnostics;
static char printed[TEXT_BYTES];

/* The diagnostics as they are printed. */
static const char *print(void) {
    FILE *out = fmemopen(printed, sizeof printed, "w");
    diagnostics_print(&diagnostics, out);
    (void)fclose(out);
    return printed;
}

static struct script *parse(const char *text) {
    diagnostics_init(&diagnostics);
    return script_parse("test.yaml", text, NULL, NULL, &diagnostics);
}

/* ---- bad scripts: each beside what it says ---- */

static void read_file(const char *path, char *text) {
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s is missing", path);
    const size_t length = fread(text, 1, TEXT_BYTES - 1, file);
    text[length] = '\0';
    (void)fclose(file);
}

/* An experiment has a `workload`; the others are scripts. */
static void load(const char *path) {
    diagnostics_init(&diagnostics);
    struct config *config = config_load(path, &diagnostics);
    const struct config_node *workload = config == NULL ? NULL : config_get(config_root(config), "workload");
    if (workload != NULL) {
        cr_expect_null(script_load_workload(workload, &diagnostics), "%s", path);
    } else {
        diagnostics_free(&diagnostics);
        diagnostics_init(&diagnostics);
        cr_expect_null(script_load(path, NULL, NULL, &diagnostics), "%s", path);
    }
    config_free(config);
}

Test(script, bad_scripts_say_what_is_wrong_and_where) {
    static const char folder[] = "tests/bad_configs/workloads";
    unsigned found = 0;
    cr_assert_eq(chdir(SOURCE_DIR), 0);
    DIR *directory = opendir(folder);
    cr_assert_not_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[512];
        char expected[TEXT_BYTES];
        const char *end = strstr(entry->d_name, ".yaml");
        if (end == NULL) {
            continue;
        }
        const int stem = (int)(end - entry->d_name);
        (void)snprintf(path, sizeof path, "%s/%.*s.expected", folder, stem, entry->d_name);
        read_file(path, expected);
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        load(path);
        cr_expect_str_eq(print(), expected, "%s:\n%s", path, printed);
        cr_expect_gt(diagnostics.errors, 0);
        found += 1;
    }
    (void)closedir(directory);
    cr_assert_geq(found, BAD_SCRIPTS_MIN);
}

/* ---- good ones ---- */

static const char echo[] = "parameters:\n"
                           "  processing: {type: time, default: 0 us, maximum: 1 s, help: work}\n"
                           "  how: {type: choice, choices: [block, spin], default: block}\n"
                           "  size: {type: bytes, default: 64 B}\n"
                           "  unit: {type: text, default: us}\n"
                           "server:\n"
                           "  setup: [{socket: {name: s, port: 7}}]\n"
                           "  loop:\n"
                           "    - wait: {on: s, how: \"${how}\"}\n"
                           "    - receive: {from: s, into: buf}\n"
                           "    - compute: ${processing}\n"
                           "    - compute: 3 ${unit}\n"
                           "    - send: {to: s, from: buf}\n"
                           "client: {arrivals: {process: closed, outstanding: 2}, payload: \"${size}\", hosts: 3}\n";

/* With an experiment's `workload:`. */
static struct script *parse_with(const char *experiment) {
    diagnostics_init(&diagnostics);
    struct config *config = config_parse("experiment.yaml", experiment, &diagnostics);
    const struct config_node *root = config_root(config);
    struct script *script =
        script_parse("test.yaml", echo, config_get(root, "parameters"), config_get(root, "client"), &diagnostics);
    config_free(config);
    return script;
}

Test(script, defaults_stand_where_nothing_is_given) {
    struct script *script = parse(echo);
    cr_assert_not_null(script, "%s", print());
    cr_assert_eq(diagnostics.count, 0);
    cr_assert_str_eq(script_parameter_text(script, "processing"), "0 us");
    cr_assert_null(script_parameter_text(script, "unknown"));
    cr_assert_eq(script_client(script)->payload_bytes, 64);
    cr_assert_eq(script_client(script)->arrivals.outstanding, 2);
    cr_assert_eq(script_threads(script), 1);
    cr_assert_eq(script_server_port(script), 7);
    cr_assert_eq(script_server_ports(script), 1);
    script_free(script);
}

Test(script, an_experiments_parameters_win) {
    struct script *script = parse_with("parameters: {processing: {value: 8 us, source: the paper}, size: 1 KiB}");
    cr_assert_not_null(script, "%s", print());
    const struct config_node *resolved = script_resolved(script);
    cr_assert_str_eq(config_text(config_path(resolved, "server.loop[2].compute"), ""), "8 us");
    cr_assert_str_eq(config_text(config_path(resolved, "server.loop[3].compute"), ""), "3 us");
    cr_assert_eq(script_client(script)->payload_bytes, 1024);
    script_free(script);
}

Test(script, declared_parameters_are_a_table) {
    struct script *script = parse(echo);
    const struct param *params = script_params(script);
    cr_assert_str_eq(params[0].key, "processing");
    cr_assert_eq(params[0].type, PARAM_TIME);
    cr_assert_str_eq(params[0].default_text, "0 us");
    cr_assert_str_eq(params[0].maximum, "1 s");
    cr_assert_str_eq(params[0].help, "work");
    cr_assert_eq(params[1].type, PARAM_CHOICE);
    cr_assert_str_eq(params[1].choices[1], "spin");
    cr_assert_null(params[4].key);
    script_free(script);
}

Test(script, types_of_parameters_have_the_names_of_types) {
    const char *const *names = script_parameter_params[0].choices;
    int type = 0;
    for (; names[type] != NULL; ++type) {
        cr_assert_str_eq(names[type], param_type_name((enum param_type)type));
    }
    cr_assert_eq(type, PARAM_TEXT + 1);
}

Test(script, an_experiments_client_is_merged_key_by_key) {
    struct script *script = parse_with("client: {arrivals: {outstanding: 9}, think: 5 us}");
    cr_assert_not_null(script, "%s", print());
    const struct client_config *client = script_client(script);
    cr_assert_eq(client->arrivals.process, CLIENT_CLOSED);
    cr_assert_eq(client->arrivals.outstanding, 9);
    cr_assert_eq(client->think, 5 * SIM_US);
    cr_assert_eq(client->hosts, 3);
    cr_assert_eq(client->payload_bytes, 64);
    script_free(script);
}

Test(script, another_process_replaces_the_arrivals) {
    struct script *script = parse_with("client: {arrivals: {process: poisson, rate: 270 kpps}, payload: \"${size}\"}");
    cr_assert_not_null(script, "%s", print());
    cr_assert_eq(script_client(script)->arrivals.process, CLIENT_POISSON);
    cr_assert_eq(script_client(script)->arrivals.rate, 270000.0);
    cr_assert_null(config_path(script_resolved(script), "client.arrivals.outstanding"));
    script_free(script);
}

Test(script, mistakes_in_an_experiment_are_told_where_they_stand) {
    cr_assert_null(parse_with("parameters:\n  procesing: 8 us\n  size: 8 us\n  how: sleep\n"
                              "client: {arrivals: {process: poisson, rate: 5}, paylod: 64 B}"));
    cr_assert_str_eq(
        print(),
        "experiment.yaml:2:3: unknown key 'procesing' in parameters; did you mean 'processing'?\n"
        "experiment.yaml:3:9: parameters.size: '8 us': 'us' is not a unit of bytes; the units are B, KB, KiB, MB, "
        "MiB, GB, GiB, TB, TiB\n"
        "experiment.yaml:4:8: parameters.how: 'sleep' is not one of block, spin\n"
        "experiment.yaml:5:45: client.arrivals.rate: '5' has no unit; write for example '5 kpps'\n"
        "experiment.yaml:5:49: unknown key 'paylod' in client; did you mean 'payload'?\n");
}

Test(script, an_unused_parameter_is_a_warning) {
    struct script *script =
        parse("parameters: {unused: {type: time, default: 0 us}}\nserver: {loop: [{compute: 1 us}]}");
    cr_assert_not_null(script);
    cr_assert_eq(diagnostics.errors, 0);
    cr_assert_str_eq(print(), "test.yaml:1:14: warning: parameter 'unused' is not used in the script\n");
    script_free(script);
}

Test(script, ports_of_threads_are_counted) {
    struct script *script = parse("server:\n  threads: 4\n  setup: [{socket: {name: s, port: 100, per_thread: true}}]\n"
                                  "  loop: [{wait: s}]\n");
    cr_assert_not_null(script, "%s", print());
    cr_assert_eq(script_server_port(script), 100);
    cr_assert_eq(script_server_ports(script), 4);
    cr_assert_eq(script_threads(script), 4);
    script_free(script);
}

Test(script, a_script_lies_beside_the_experiment_that_names_it) {
    char folder[] = "/tmp/stillsuit-script-XXXXXX";
    char path[128];
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/small.yaml", folder);
    FILE *file = fopen(path, "w");
    (void)fputs("help: a small one\nserver: {loop: [{compute: 1 us}]}\n", file);
    (void)fclose(file);
    char experiment[128];
    (void)snprintf(experiment, sizeof experiment, "%s/experiment.yaml", folder);
    file = fopen(experiment, "w");
    (void)fputs("workload: {script: small.yaml, client: {hosts: 5}}\n", file);
    (void)fclose(file);
    diagnostics_init(&diagnostics);
    struct config *config = config_load(experiment, &diagnostics);
    struct script *script = script_load_workload(config_get(config_root(config), "workload"), &diagnostics);
    config_free(config);
    (void)remove(path);
    (void)remove(experiment);
    (void)rmdir(folder);
    cr_assert_not_null(script, "%s", print());
    cr_assert_str_eq(script_help(script), "a small one");
    cr_assert_eq(script_client(script)->hosts, 5);
    script_free(script);
}

Test(script, every_operation_is_complete) {
    size_t count = 0;
    for (const struct op_type *type; (type = op_type_at(count)) != NULL; ++count) {
        cr_assert_not_null(type->run, "%s", type->name);
        cr_assert_not_null(type->help, "%s", type->name);
        cr_assert_eq(op_type_find(type->name), type);
        cr_assert_str_eq(op_type_names()[count], type->name);
        for (const struct param *param = type->params; param->key != NULL; ++param) {
            cr_assert_not_null(param->help, "%s.%s", type->name, param->key);
            cr_assert_lt(param->offset, type->config_bytes);
        }
    }
    cr_assert_geq(count, 8);
    cr_assert_null(op_type_find("fsync"));
}
