/* libos_storage_profile.c: what storage costs a library, and what an entry may say of it. */
#include <stddef.h>

#include "hw/memory.h"
#include "libos_model/libos_profile.h"

#define COST(name, text)                                                                                               \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct libos_storage_costs, name), .help = text }
const struct param libos_storage_cost_params[] = {
    COST(submit, "driver: a command into the submission queue"),
    COST(complete, "driver: a completion taken"),
    COST(log_create, "log: an entry from the pool"),
    COST(log_append, "log: an entry's header and marker, its place in the log"),
    COST(log_checksum_per_kib, "log: checksum of 1 KiB of payload"),
    COST(log_complete, "log: an entry's completion, and who is acknowledged by it"),
    COST(file_call, "file layer: a call, without its pages"),
    COST(file_page, "file layer: finding a page in memory"),
    {0}};

uint64_t libos_storage_working_set_bytes(const struct libos_storage_costs *costs) {
    uint64_t lines = 0;
    for (const struct param *row = libos_storage_cost_params; row->key != NULL; row++) {
        lines += ((const struct cost *)(const void *)((const char *)costs + row->offset))->lines;
    }
    return lines * MEMORY_LINE_BYTES;
}

static const char *const durabilities[] = {"flush", "force_unit_access", "nothing", NULL};

#define ROW(name, kind, value, low, high, text)                                                                        \
    {                                                                                                                  \
        .key = #name, .type = (kind), .offset = offsetof(struct libos_storage_config, name), .default_text = (value),  \
        .minimum = (low), .maximum = (high), .help = (text)                                                            \
    }
const struct param libos_storage_params[] = {
    ROW(drive, PARAM_TEXT, NULL, NULL, NULL, "the NVMe device whose virtual functions are granted"),
    ROW(area, PARAM_BYTES, "64 MiB", "1 MiB", NULL, "the virtual storage area in which a thread's files lie"),
    ROW(queue, PARAM_INTEGER, "64", "2", "4096", "entries of each thread's queue pair, a power of two"),
    ROW(log_in_flight, PARAM_INTEGER, "32", "1", "1024", "appends to a log that may be under way"),
    ROW(log_entry, PARAM_BYTES, "16 KiB", "64 B", "120 KiB", "the largest entry of a log"),
    ROW(log_repair, PARAM_INTEGER, "1024", "0", "1000000000",
        "entries after which a log's header is brought up to date; 0: only by trim, pop and close"),
    {.key = "log_durability",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct libos_storage_config, log_durability),
     .default_text = "flush",
     .choices = durabilities,
     .help = "how an entry becomes durable on a drive with a volatile cache; \"nothing\" loses it with the power"},
    ROW(weight, PARAM_INTEGER, "1", "1", "256", "of each process's interface among the drive's"),
    ROW(rate, PARAM_BYTE_RATE, "0 B/s", NULL, NULL, "rate specifier of each process's interface; 0 B/s for none"),
    {.key = "processes",
     .type = PARAM_NODE,
     .offset = offsetof(struct libos_storage_config, processes),
     .default_text = "",
     .help = "{name: {weight, rate}}: for that process instead of these; 'server' is that of `workload`"},
    {.key = "emulation",
     .type = PARAM_BOOL,
     .offset = offsetof(struct libos_storage_config, emulation),
     .default_text = "false",
     .help = "interfaces are emulated once the drive has no virtual function left"},
    ROW(emulation_core, PARAM_INTEGER, "1", "0", "1023", "the core that emulates"),
    ROW(emulation_queue, PARAM_INTEGER, "256", "2", "4096", "entries of the physical function's queue pair"),
    {0}};

#define SHARE(name, kind, value, low, high, text)                                                                      \
    {                                                                                                                  \
        .key = #name, .type = (kind), .offset = offsetof(struct libos_share, name), .default_text = (value),           \
        .minimum = (low), .maximum = (high), .help = (text)                                                            \
    }
const struct param libos_share_params[] = {
    SHARE(weight, PARAM_INTEGER, "1", "1", "256", "of its interface among the drive's"),
    SHARE(rate, PARAM_BYTE_RATE, "0 B/s", NULL, NULL, "of its interface; 0 B/s for none"),
    {0}};

struct libos_share libos_share_of(const struct libos_storage_config *config, const char *process) {
    struct libos_share share = {.weight = config->weight, .rate = config->rate};
    const struct config_node *own = config_get(config->processes, process);
    struct libos_share bound = share;
    struct diagnostics unused; /* was checked */
    diagnostics_init(&unused);
    if (own != NULL && config_bind(own, libos_share_params, &bound, &unused)) {
        share.weight = config_get(own, "weight") != NULL ? bound.weight : share.weight;
        share.rate = config_get(own, "rate") != NULL ? bound.rate : share.rate;
    }
    diagnostics_free(&unused);
    return share;
}

static bool check_shares(const struct config_node *processes, struct diagnostics *diagnostics) {
    struct libos_share unused;
    bool good = processes == NULL || processes->kind == CONFIG_MAPPING;
    if (!good) {
        diagnostics_at(diagnostics, processes, "processes: a mapping of names to {weight, rate} is due");
    }
    for (size_t i = 0; processes != NULL && good && i < processes->count; i++) {
        good = config_bind(processes->children[i], libos_share_params, &unused, diagnostics);
    }
    return good;
}

bool libos_storage_config_bind(struct libos_config *config, struct diagnostics *diagnostics) {
    if (config->storage_node == NULL) {
        return true;
    }
    struct libos_storage_config *storage = &config->storage;
    if (!config_bind(config->storage_node, libos_storage_params, storage, diagnostics)) {
        return false;
    }
    const char *const keys[] = {"queue", "emulation_queue"};
    const uint64_t values[] = {storage->queue, storage->emulation_queue};
    bool good = check_shares(storage->processes, diagnostics);
    for (int i = 0; i < 2; i++) {
        if ((values[i] & (values[i] - 1)) != 0) {
            const struct config_node *place = config_get(config->storage_node, keys[i]);
            diagnostics_at(diagnostics, place != NULL ? place : config->storage_node, "%s: %llu is no power of two",
                           keys[i], (unsigned long long)values[i]);
            good = false;
        }
    }
    config->limits.storage_weight = storage->weight;
    config->limits.storage_bytes_per_s = storage->rate;
    return good;
}
