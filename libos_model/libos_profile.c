#include "libos_model/libos_profile.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stack/net_headers.h"

const struct param libos_profile_params[] = {
#define LIBOS_STEP_ROW(name, systems, text)                                                                            \
    {.key = #name,                                                                                                     \
     .type = PARAM_COST,                                                                                               \
     .offset = offsetof(struct libos_profile, steps) + LIBOS_##name * sizeof(struct cost),                             \
     .help = (text)},
    LIBOS_STEPS(LIBOS_STEP_ROW)
#undef LIBOS_STEP_ROW
#define LIBOS_STREAM_STEP_ROW(name, text)                                                                              \
    {.key = #name,                                                                                                     \
     .type = PARAM_COST,                                                                                               \
     .offset = offsetof(struct libos_profile, stream_steps) + LIBOS_STREAM_##name * sizeof(struct cost),               \
     .help = (text)},
        LIBOS_STREAM_STEPS(LIBOS_STREAM_STEP_ROW)
#undef LIBOS_STREAM_STEP_ROW
            {.key = "variation",
             .type = PARAM_REAL,
             .offset = offsetof(struct libos_profile, variation),
             .default_text = "0",
             .minimum = "0",
             .maximum = "3",
             .help = "coefficient of variation of code cycles: one lognormal factor for each stage of a packet"},
    {.key = "stack",
     .type = PARAM_NODE,
     .offset = offsetof(struct libos_profile, stack_node),
     .help = "costs of the shared protocol code (configs/profiles/stack-ip.yaml)"},
    {.key = "exokernel",
     .type = PARAM_NODE,
     .offset = offsetof(struct libos_profile, exokernel_node),
     .help = "costs of the exokernel's calls"},
    {.key = "storage",
     .type = PARAM_NODE,
     .offset = offsetof(struct libos_profile, storage_node),
     .default_text = "none",
     .help = "costs of storage: driver, log, files"},
    {0}};

static const unsigned step_systems[LIBOS_STEP_COUNT] = {
#define LIBOS_STEP_SYSTEMS(name, systems, help) systems,
    LIBOS_STEPS(LIBOS_STEP_SYSTEMS)
#undef LIBOS_STEP_SYSTEMS
};

bool libos_profile_bind(const struct config_node *node, struct libos_profile *profile,
                        struct diagnostics *diagnostics) {
    memset(profile, 0, sizeof *profile);
    bool good = config_bind(node, libos_profile_params, profile, diagnostics);
    if (profile->stack_node != NULL) {
        good = config_bind(profile->stack_node, udp_stack_params, &profile->stack, diagnostics) && good;
    }
    if (profile->stack.tcp_node != NULL) {
        good = config_bind(profile->stack.tcp_node, tcp_stack_params, &profile->tcp, diagnostics) && good;
    }
    if (profile->exokernel_node != NULL) {
        good = config_bind(profile->exokernel_node, exo_cost_params, &profile->exokernel, diagnostics) && good;
    }
    if (profile->storage_node != NULL) {
        good = config_bind(profile->storage_node, libos_storage_cost_params, &profile->storage, diagnostics) && good;
    }
    return good;
}

void libos_profile_visit(const struct libos_profile *profile, enum libos_kind kind, bool checksum_offload, bool streams,
                         void (*visit)(void *context, const char *key, const struct cost *cost), void *context) {
    for (size_t i = 0; i < LIBOS_STEP_COUNT; i++) {
        if ((step_systems[i] & (unsigned)kind) != 0) {
            visit(context, libos_profile_params[i].key, &profile->steps[i]);
        }
    }
    if ((kind & LIBOS_STACK) != 0) {
        visit(context, "stack.ip_input", &profile->stack.ip_input);
        visit(context, "stack.udp_input", &profile->stack.udp_input);
        visit(context, "stack.ip_output", &profile->stack.ip_output);
        visit(context, "stack.udp_output", &profile->stack.udp_output);
        if (!checksum_offload) {
            visit(context, "stack.checksum_per_kib", &profile->stack.checksum_per_kib);
        }
    }
    for (size_t i = 0; streams && i < LIBOS_STREAM_STEP_COUNT; i++) {
        visit(context, libos_profile_params[LIBOS_STEP_COUNT + i].key, &profile->stream_steps[i]);
    }
    if (streams) {
        visit(context, "stack.tcp.input", &profile->tcp.input);
        visit(context, "stack.tcp.ack_input", &profile->tcp.ack_input);
        visit(context, "stack.tcp.output", &profile->tcp.output);
        visit(context, "stack.tcp.ack_output", &profile->tcp.ack_output);
        visit(context, "stack.tcp.open", &profile->tcp.open);
        visit(context, "stack.tcp.connection", &profile->tcp.connection);
    }
    /* Opening a socket is the one kernel call that every run makes. */
    visit(context, "exokernel.crossing", &profile->exokernel.crossing);
    visit(context, "exokernel.capability_check", &profile->exokernel.capability_check);
    visit(context, "exokernel.filter_install", &profile->exokernel.filter_install);
}

uint64_t libos_profile_working_set_bytes(const struct libos_profile *profile) {
    uint64_t bytes = udp_stack_working_set_bytes(&profile->stack);
    for (size_t i = 0; i < LIBOS_STEP_COUNT; i++) {
        bytes += (uint64_t)profile->steps[i].lines * MEMORY_LINE_BYTES;
    }
    return bytes;
}

uint64_t libos_profile_stream_working_set_bytes(const struct libos_profile *profile) {
    uint64_t bytes = tcp_stack_working_set_bytes(&profile->tcp);
    for (size_t i = 0; i < LIBOS_STREAM_STEP_COUNT; i++) {
        bytes += (uint64_t)profile->stream_steps[i].lines * MEMORY_LINE_BYTES;
    }
    return bytes;
}

/* ---- the entry ---- */

static const char *const idle_choices[] = {"poll", "halt", NULL};

#define ROW(name, kind, member, value, low, high, text)                                                                \
    {                                                                                                                  \
        .key = (name), .type = (kind), .offset = offsetof(struct libos_config, member), .default_text = (value),       \
        .minimum = (low), .maximum = (high), .help = (text)                                                            \
    }

const struct param libos_config_params[] = {
    ROW("nic", PARAM_TEXT, nic, "nic", NULL, NULL, "the network device whose virtual functions are granted"),
    ROW("ip", PARAM_TEXT, ip_text, "10.0.0.1", NULL, NULL, "the IPv4 address that processes may serve"),
    ROW("mac", PARAM_TEXT, mac_text, "02:00:00:00:00:01", NULL, NULL,
        "MAC address of the first process; with filtering by MAC the next ones count up"),
    ROW("ring", PARAM_INTEGER, ring, "512", "64", "4096", "descriptors of each ring, a multiple of 8"),
    ROW("buffers", PARAM_INTEGER, buffers, "2048", "128", "65536", "packet buffers of 2 KiB of each thread"),
    ROW("refill_batch", PARAM_INTEGER, refill_batch, "1", "1", "64",
        "receive buffers given to the NIC with one doorbell (assumed, 1 to 64: Barrelfish's e10k adds one at a time)"),
    ROW("rate_limit", PARAM_BIT_RATE, rate_limit, "0 bps", NULL, NULL,
        "rate specifier of each thread's transmit queue; 0 bps for none"),
    {.key = "checksum_offload",
     .type = PARAM_BOOL,
     .offset = offsetof(struct libos_config, checksum_offload),
     .default_text = "true",
     .help = "the NIC checks and inserts checksums"},
    {.key = "idle",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct libos_config, idle),
     .default_text = "halt",
     .choices = idle_choices,
     .help = "what a core does while its thread sleeps: poll, or halt in the shallowest idle state"},
    ROW("tcp", PARAM_NODE, tcp_node, "", NULL, NULL, "how its TCP behaves"),
    ROW("port_share", PARAM_INTEGER, limits.ports, "1024", "0", "65536", "ports that a process's filters may name"),
    ROW("filter_share", PARAM_INTEGER, limits.filters, "64", "0", "65536", "filters that a process may have"),
    ROW("queue_share", PARAM_INTEGER, limits.queues, "8", "0", "1024", "queue pairs that a process may have"),
    {.key = "storage",
     .type = PARAM_NODE,
     .offset = offsetof(struct libos_config, storage_node),
     .default_text = "none",
     .help = "the drive whose virtual functions are granted; left out: none"},
    ROW("storage_interface_share", PARAM_INTEGER, limits.storage_interfaces, "4", "0", "64",
        "virtual storage interfaces that a process may have"),
    ROW("storage_queue_share", PARAM_INTEGER, limits.storage_queues, "8", "0", "1024",
        "queue pairs of them that a process may have"),
    ROW("storage_area_share", PARAM_INTEGER, limits.storage_areas, "16", "0", "1024",
        "virtual storage areas that a process may own"),
    ROW("storage_share", PARAM_BYTES, limits.storage_bytes, "1 TiB", NULL, NULL, "bytes of them together"),
    ROW("frame_share", PARAM_INTEGER, limits.frames, "65536", "0", "16777216", "page frames that a process may have"),
    ROW("table_share", PARAM_INTEGER, limits.table_frames, "16384", "2", "16777216",
        "page frames that its page tables may take, the processor's and the IOMMU's"),
    ROW("capability_share", PARAM_INTEGER, limits.capabilities, "16384", "1", "1048576",
        "capabilities that a process may have or derive; they are reserved for it"),
    ROW("binding_share", PARAM_INTEGER, limits.bindings, "65536", "0", "16777216", "mappings that a process may have"),
    {0}};

/* What the entry holds beside them. */
static const struct param entry_params[] = {
    ROW("name", PARAM_TEXT, name, "libos", NULL, NULL, "the system's name in results"),
    ROW("type", PARAM_TEXT, type, "arrakis_posix", NULL, NULL, "the type of system"),
    ROW("profile", PARAM_NODE, profile_node, NULL, NULL, NULL, "the cost profile")};
enum {
    CONFIG_ROWS = sizeof libos_config_params / sizeof libos_config_params[0], /* with the end */
    ENTRY_ROWS = sizeof entry_params / sizeof entry_params[0]
};

/* "02:00:00:00:00:01" */
static bool parse_mac(const char *text, uint8_t mac[6]) {
    for (int i = 0; i < 6; i++) {
        char *end = NULL;
        const unsigned long byte = strtoul(text, &end, 16);
        if (end != text + 2 || byte > UINT8_MAX || *end != (i < 5 ? ':' : '\0')) {
            return false;
        }
        mac[i] = (uint8_t)byte;
        text = end + 1;
    }
    return true;
}

static bool check(const struct config_node *node, struct libos_config *config, struct diagnostics *diagnostics) {
    bool good = true;
    const struct config_node *ip = config_get(node, "ip");
    const struct config_node *mac = config_get(node, "mac");
    if (!net_ipv4_parse(config->ip_text, &config->ip)) {
        diagnostics_at(diagnostics, ip != NULL ? ip : node, "ip: \"%s\" is no IPv4 address", config->ip_text);
        good = false;
    }
    if (!parse_mac(config->mac_text, config->mac) || (config->mac[0] & 1) != 0) {
        diagnostics_at(diagnostics, mac != NULL ? mac : node,
                       "mac: \"%s\" is no MAC address of one station, such as 02:00:00:00:00:01", config->mac_text);
        good = false;
    }
    if (config->ring % 8 != 0) {
        diagnostics_at(diagnostics, config_get(node, "ring"), "ring: %llu is no multiple of 8",
                       (unsigned long long)config->ring);
        good = false;
    }
    if (config->buffers < 2 * config->ring || config->refill_batch >= config->ring) {
        diagnostics_at(diagnostics, node,
                       "%llu buffers are too few for rings of %llu descriptors: twice as many are due",
                       (unsigned long long)config->buffers, (unsigned long long)config->ring);
        good = false;
    }
    return good;
}

bool libos_config_bind(const struct config_node *node, struct libos_config *config, struct diagnostics *diagnostics) {
    struct param rows[ENTRY_ROWS + CONFIG_ROWS];
    memcpy(rows, entry_params, sizeof entry_params);
    memcpy(rows + ENTRY_ROWS, libos_config_params, sizeof libos_config_params);
    memset(config, 0, sizeof *config);
    const bool bound = config_bind(node, rows, config, diagnostics);
    if (!config_bind(config->tcp_node, tcp_config_params, &config->tcp, diagnostics) || !bound ||
        !check(node, config, diagnostics) || !libos_storage_config_bind(config, diagnostics)) {
        return false;
    }
    config->limits.address = config->ip;
    config->limits.address_mask = UINT32_MAX;
    return true;
}
