/* Parameters of the controller. */
#include "hw/nvme/nvme_internal.h"

static const char *const arbitrations[] = {"round_robin", "weighted", NULL};
static const char *const caches[] = {"none", "volatile", "protected", NULL};

#define ROW(key_text, kind, field, standard, least, most, help_text)                                                   \
    {                                                                                                                  \
        .key = key_text, .type = kind, .offset = offsetof(struct nvme_config, field), .default_text = standard,        \
        .minimum = least, .maximum = most, .help = help_text                                                           \
    }

const struct param nvme_params[] = {
    PCIE_LINK_ROWS("pcie_", offsetof(struct nvme_config, link)),
    ROW("capacity", PARAM_BYTES, capacity_bytes, "100 GB", "1 MiB", "100 TB", "of the drive; whole blocks of it"),
    ROW("block", PARAM_BYTES, block_bytes, "512 B", "512 B", "4 KiB", "a logical block: 512 B or 4 KiB"),
    ROW("virtual_functions", PARAM_INTEGER, virtual_functions, "0", "0", "255",
        "SR-IOV virtual controllers besides the physical one"),
    ROW("queues_per_function", PARAM_INTEGER, queues_per_function, "8", "1", "127",
        "I/O queue pairs of a virtual controller"),
    ROW("physical_queues", PARAM_INTEGER, physical_queues, "32", "1", "127", "I/O queue pairs of the physical one"),
    ROW("queue_entries", PARAM_INTEGER, queue_entries, "1024", "2", "65536", "of a queue at most"),
    ROW("namespaces", PARAM_INTEGER, namespaces, "256", "1", "65536", "that the drive keeps (virtual storage areas)"),
    ROW("extents_per_namespace", PARAM_INTEGER, extents, "128", "1", "65536", "that a namespace may be made of"),
    ROW("max_transfer", PARAM_BYTES, max_transfer_bytes, "128 KiB", "4 KiB", "1 MiB",
        "of a command; a power of two (MDTS)"),
    ROW("doorbell_stride", PARAM_BYTES, doorbell_stride, "4 B", "4 B", "4096 B",
        "bytes from doorbell to doorbell; a power of two; 4096 lets each be mapped alone"),
    {.key = "arbitration",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct nvme_config, arbitration),
     .default_text = "round_robin",
     .choices = arbitrations,
     .help = "among controllers: `arbitration_burst` commands a turn each, or as many as each one's weight"},
    ROW("arbitration_burst", PARAM_INTEGER, burst, "4", "1", "64", "commands a turn under round robin (assumed)"),
    ROW("fetch_max", PARAM_INTEGER, fetch_max, "8", "1", "16", "commands that one DMA read brings (assumed)"),
    ROW("commands", PARAM_INTEGER, commands, "256", "1", "65536", "under way in the drive at once (assumed)"),
    ROW("commands_per_function", PARAM_INTEGER, commands_per_function, "0", "0", "65536",
        "of those, one controller's at most; 0: all"),
    ROW("processors", PARAM_INTEGER, processors, "4", "1", "256", "that work on commands side by side (assumed)"),
    ROW("command_processing", PARAM_TIME, processing, "1 us", "0 ns", "1 ms",
        "of a command by a processor, beside its transfers and the medium (assumed; 0.5 to 4 us)"),
    {.key = "write_cache",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct nvme_config, write_cache),
     .default_text = "none",
     .choices = caches,
     .help = "in front of the medium: none, lost with the power until a flush, or kept"},
    ROW("write_cache_size", PARAM_BYTES, cache_bytes, "64 MiB", "4 KiB", "64 GiB", "bytes not yet on the medium"),
    ROW("write_cache_latency", PARAM_TIME, cache_latency, "1 us", "0 ns", "1 ms",
        "of a write into the cache, and of a read from it (assumed; 0.5 to 5 us)"),
    ROW("destage_outstanding", PARAM_INTEGER, destage_outstanding, "32", "1", "1024",
        "writes under way from the cache to the medium (assumed)"),
    ROW("destage_from", PARAM_BYTES, destage_from_bytes, "0 B", NULL, NULL,
        "bytes that may stay in the cache until a flush or need of room"),
    ROW("default_namespace", PARAM_BOOL, default_namespace, "true", NULL, NULL,
        "NSID 1 is the whole drive, attached to the physical function; off: none exists"),
    {.key = "media",
     .type = PARAM_NODE,
     .offset = offsetof(struct nvme_config, media),
     .help = "the medium: {type, ...}; `list` shows the types"},
    {0},
};

static bool is_power_of_two(uint64_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}

enum error_code nvme_config_check(const struct nvme_config *config, struct error *error) {
    if (config->block_bytes != 512 && config->block_bytes != 4096) {
        return error_set(error, ERR_RANGE, "block: %llu B is neither 512 B nor 4 KiB",
                         (unsigned long long)config->block_bytes);
    }
    if (config->capacity_bytes % config->block_bytes != 0) {
        return error_set(error, ERR_RANGE, "capacity: %llu B are not whole blocks of %llu B",
                         (unsigned long long)config->capacity_bytes, (unsigned long long)config->block_bytes);
    }
    if (!is_power_of_two(config->max_transfer_bytes)) {
        return error_set(error, ERR_RANGE, "max_transfer: %llu B is no power of two",
                         (unsigned long long)config->max_transfer_bytes);
    }
    if (!is_power_of_two(config->doorbell_stride)) {
        return error_set(error, ERR_RANGE, "doorbell_stride: %llu B is no power of two",
                         (unsigned long long)config->doorbell_stride);
    }
    if (config->media == NULL) {
        return error_set(error, ERR_CONFIG, "'media' is missing: {type: ...}");
    }
    return pcie_link_check(&config->link, error);
}
