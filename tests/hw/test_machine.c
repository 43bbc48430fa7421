/* test_machine.c: a machine from YAML, and what is wrong with one. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/hw/pcie_fixture.h"

/* Checks a text and returns its diagnostics as printed; the caller frees. */
static char *complaints(const char *text, bool *good) {
    struct diagnostics diagnostics;
    char *out = NULL;
    size_t bytes = 0;
    diagnostics_init(&diagnostics);
    struct config *config = config_parse("m.yaml", text, &diagnostics);
    *good = machine_create(config_root(config), NULL, &diagnostics);
    FILE *file = open_memstream(&out, &bytes);
    diagnostics_print(&diagnostics, file);
    cr_assert_eq(fclose(file), 0);
    cr_expect_eq(*good, diagnostics.errors == 0);
    diagnostics_free(&diagnostics);
    config_free(config);
    return out;
}

static void expect_complaint(const char *text, const char *expected) {
    bool good = true;
    char *found = complaints(text, &good);
    cr_expect(!good && strstr(found, expected) != NULL, "'%s' is not in:\n%s", expected, found);
    free(found);
}

Test(machine, parts_are_as_configured) {
    struct machine *machine = make_machine("name: small\n"
                                           "memory: {size: 128 MiB}\n"
                                           "core: {count: 3, clock: 2 GHz}\n"
                                           "pcie: {read_latency: 500 ns}\n"
                                           "devices:\n"
                                           "  - {name: one, type: \"null\"}\n"
                                           "  - {name: two, type: \"null\", pcie_lanes: 4}\n");
    cr_expect_str_eq(machine->name, "small");
    cr_expect_eq(memory_size(machine->memory), UINT64_C(128) << 20);
    cr_expect_eq(machine->core_count, 3);
    cr_expect_eq(core_index(machine->cores[2]), 2);
    cr_expect_eq(machine->clock.frequency_hz, UINT64_C(2000000000));
    cr_expect_eq(pcie_root_configuration(machine->pcie)->read_latency, 500 * SIM_NS);
    cr_expect_eq(machine->device_count, 2);
    cr_expect_str_eq(machine->devices[1]->name, "two");
    cr_expect_eq(machine_device(machine, "one"), machine->devices[0]);
    cr_expect(machine_device(machine, "three") == NULL);
    machine_free(machine);
}

Test(machine, all_defaults_fit) {
    struct machine *machine = make_machine("{}\n");
    cr_expect_eq(memory_size(machine->memory), UINT64_C(4) << 30);
    cr_expect_lt(memory_resident_bytes(machine->memory), 1 << 20);
    machine_free(machine);
}

Test(machine, a_good_one_passes_the_check) {
    bool good = false;
    char *found = complaints("devices: [{name: a, type: \"null\"}, {name: t, type: timer/pit, clock: 1 MHz}]\n", &good);
    cr_expect(good, "%s", found);
    cr_expect_str_empty(found);
    free(found);
}

Test(machine, errors_name_their_place) {
    expect_complaint("memry: {size: 1 GiB}\n", "m.yaml:1:1: unknown key 'memry'; did you mean 'memory'?");
    expect_complaint("memory: {size: 5000000 B}\n", "m.yaml:1:9: memory.size: 5000000 bytes are not a whole number");
    expect_complaint("pcie:\n  read_latncy: 1 us\n", "did you mean 'read_latency'?");
    expect_complaint("pcie: {device_window_base: 1 GiB}\n", "device_window_base");
    expect_complaint("pcie: {completion_bytes: 65 B}\n", "completion_bytes");
    expect_complaint("cache: {l1_ways: 7}\n", "m.yaml:1:8: cache: l1_bytes is not a multiple");
}

Test(machine, what_is_no_mapping_is_refused) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct config *config = config_parse("m.yaml", "machine: [1, 2]\n", &diagnostics);
    cr_expect(!machine_create(config_get(config_root(config), "machine"), NULL, &diagnostics));
    cr_expect(!machine_create(NULL, NULL, &diagnostics));
    cr_assert_eq(diagnostics.errors, 2);
    cr_expect(strstr(diagnostics.items[0].text, "a machine is a mapping") != NULL);
    config_free(config);
    diagnostics_free(&diagnostics);
}

Test(machine, device_errors_name_their_place) {
    expect_complaint("devices: {name: a}\n", "a list of {name, type, ...} is due");
    expect_complaint("devices: [null]\n", "a device is a mapping");
    expect_complaint("devices:\n  - {name: a}\n", "m.yaml:2:5: a device needs its 'type'");
    expect_complaint("devices:\n  - {name: a, type: timer/pti}\n",
                     "m.yaml:2:21: unknown device type 'timer/pti'; did you mean 'timer/pit'?");
    expect_complaint("devices:\n  - {type: \"null\"}\n", "'name' is required");
    expect_complaint("devices:\n  - {name: a b, type: \"null\"}\n", "letters, digits");
    expect_complaint("devices:\n  - {name: a, type: \"null\"}\n  - {name: a, type: \"null\"}\n",
                     "m.yaml:3:12: there is a device 'a' already");
    expect_complaint("devices:\n  - {name: a, type: \"null\", initial_valu: 3}\n", "did you mean 'initial_value'?");
    expect_complaint("devices:\n  - {name: a, type: null, pcie_lanes: 3}\n", "a link of 3 lanes does not exist");
}

Test(machine, all_errors_come_at_once) {
    bool good = true;
    char *found = complaints("memory: {size: 1}\n"
                             "pcie: {nonsense: 1}\n"
                             "devices:\n"
                             "  - {name: a, type: nul}\n"
                             "  - {name: b, type: \"null\", pcie_lanes: 3}\n",
                             &good);
    cr_expect(!good);
    for (const char *line = "1245"; *line != '\0'; line++) {
        char place[32];
        (void)snprintf(place, sizeof place, "m.yaml:%c:", *line);
        cr_expect(strstr(found, place) != NULL, "nothing about line %c in:\n%s", *line, found);
    }
    free(found);
}

Test(machine, every_part_is_described) {
    const char *name = NULL;
    const char *help = NULL;
    size_t count = 0;
    for (; machine_part_at(count, &name, &help) != NULL; count++) {
        cr_expect(strlen(name) > 0 && strlen(help) > 0);
    }
    cr_expect_eq(count, 7);
}

/* ---- device types ---- */

Test(machine, the_table_of_types_is_sound) {
    const struct device_ops *ops = NULL;
    size_t count = 0;
    for (; (ops = device_type_at(count)) != NULL; count++) {
        cr_expect_eq(device_type_find(ops->type_name), ops);
        cr_expect(ops->help != NULL && ops->params != NULL && ops->init != NULL);
    }
    cr_expect_geq(count, 4);
    cr_expect(device_type_find("nul") == NULL);
    cr_expect(device_type_find("") == NULL);
}

Test(machine, a_library_that_is_none_is_refused) {
    struct error error = {0};
    cr_expect_eq(device_type_load("/nonexistent/device.so", &error), ERR_IO);
    cr_expect(strstr(error.text, "/nonexistent/device.so") != NULL, "%s", error.text);
    cr_expect_eq(device_type_load("libm.so.6", &error), ERR_NOT_FOUND);
    cr_expect(strstr(error.text, "stillsuit_device_ops") != NULL, "%s", error.text);
}

/* Compiles a device into a shared object; false where there is no compiler. */
static bool compile_device(const char *source, const char *object) {
    char command[512];
    (void)snprintf(command, sizeof command, "cc -shared -fPIC -std=c11 -I %s -o %s %s 2>/dev/null", SOURCE_DIR, object,
                   source);
    return system(command) == 0; /* NOLINT: a test's own command */
}

static void write_device(const char *path, const char *type_name) {
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL);
    (void)fprintf(file,
                  "#include \"hw/device.h\"\n"
                  "static const struct param params[] = {{0}};\n"
                  "static enum error_code init(struct device *d, struct error *e) { (void)e; *(int *)d->state = 7; "
                  "return OK; }\n"
                  "const struct device_ops stillsuit_device_ops = {.type_name = \"%s\", .help = \"a test\", .params = "
                  "params, .state_bytes = sizeof(int), .init = init};\n",
                  type_name);
    cr_assert_eq(fclose(file), 0);
}

Test(machine, a_shared_object_brings_a_type) {
    char folder[] = "/tmp/stillsuit-device-XXXXXX";
    char source[64], object[64];
    struct error error = {0};
    cr_assert(mkdtemp(folder) != NULL);
    (void)snprintf(source, sizeof source, "%s/device.c", folder);
    (void)snprintf(object, sizeof object, "%s/device.so", folder);
    write_device(source, "from/outside");
    cr_assert(compile_device(source, object));
    cr_assert_eq(device_type_load(object, &error), OK, "%s", error.text);
    cr_expect_eq(device_type_load(object, &error), ERR_EXISTS);
    struct machine *machine = make_machine("devices: [{name: guest, type: from/outside}]\n");
    cr_expect_eq(*(int *)machine_device(machine, "guest")->state, 7);
    machine_free(machine);
    (void)unlink(source);
    (void)unlink(object);
    (void)rmdir(folder);
}
