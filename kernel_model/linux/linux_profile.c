/* linux_profile.c: the tables behind the profile and the system's entry. */
#include "kernel_model/linux/linux_profile.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "hw/memory.h"

const struct param linux_profile_params[] = {
#define LINUX_STEP_ROW(name, text)                                                                                     \
    {.key = #name, .type = PARAM_COST, .offset = offsetof(struct linux_profile, name.cost), .help = (text)},
    LINUX_STEPS(LINUX_STEP_ROW)
#undef LINUX_STEP_ROW
    {.key = "variation",
     .type = PARAM_REAL,
     .offset = offsetof(struct linux_profile, variation),
     .default_text = "0",
     .minimum = "0",
     .maximum = "3",
     .help = "coefficient of variation of the kernel's cycles for a packet: one lognormal factor a packet"},
    {.key = "stack",
     .type = PARAM_NODE,
     .offset = offsetof(struct linux_profile, stack_node),
     .help = "costs of the shared protocol code (configs/profiles/stack-ip.yaml)"},
    {0}};

struct step_row {
    const char *key;
    size_t offset;
};

static const struct step_row step_rows[] = {
#define LINUX_STEP_OFFSET(name, text) {#name, offsetof(struct linux_profile, name)},
    LINUX_STEPS(LINUX_STEP_OFFSET)
#undef LINUX_STEP_OFFSET
};
enum { STEP_ROWS = sizeof step_rows / sizeof step_rows[0] };

bool linux_profile_bind(const struct config_node *node, struct linux_profile *profile,
                        struct diagnostics *diagnostics) {
    memset(profile, 0, sizeof *profile);
    bool good = config_bind(node, linux_profile_params, profile, diagnostics);
    if (profile->stack_node != NULL) {
        good = config_bind(profile->stack_node, udp_stack_params, &profile->stack, diagnostics) && good;
    }
    return good;
}

uint64_t linux_profile_place(struct linux_profile *profile, struct frames *frames) {
    const uint64_t stack_bytes = udp_stack_working_set_bytes(&profile->stack);
    uint64_t bytes = stack_bytes;
    for (size_t i = 0; i < STEP_ROWS; ++i) {
        const struct linux_step *step =
            (const struct linux_step *)(const void *)((const char *)profile + step_rows[i].offset);
        bytes += (uint64_t)step->cost.lines * MEMORY_LINE_BYTES;
    }
    uint64_t address = frames_allocate_contiguous(frames, bytes / MEMORY_FRAME_BYTES + 1);
    if (address == 0) {
        return 0;
    }
    for (size_t i = 0; i < STEP_ROWS; ++i) {
        struct linux_step *step = (struct linux_step *)(void *)((char *)profile + step_rows[i].offset);
        step->lines_at = address;
        address += (uint64_t)step->cost.lines * MEMORY_LINE_BYTES;
    }
    return address;
}

void linux_profile_visit(const struct linux_profile *profile,
                         void (*visit)(void *context, const char *key, const struct cost *cost), void *context) {
    char key[64];
    for (size_t i = 0; i < STEP_ROWS; ++i) {
        const struct linux_step *step =
            (const struct linux_step *)(const void *)((const char *)profile + step_rows[i].offset);
        visit(context, step_rows[i].key, &step->cost);
    }
    for (const struct param *row = udp_stack_params; row->key != NULL; ++row) {
        if (row->type == PARAM_COST) {
            (void)snprintf(key, sizeof key, "stack.%s", row->key);
            visit(context, key,
                  (const struct cost *)(const void *)((const char *)&profile->stack + row->offset));
        }
    }
}

static const char *const wait_with_choices[] = {"recv", "epoll", NULL};
static const char *const throttle_choices[] = {"adaptive", "fixed", "off", NULL};

#define LINUX_CONFIG_ROWS                                                                                              \
    ROW("nic", PARAM_TEXT, nic, "nic", NULL, NULL, "the network device of the machine that the driver takes")          \
    ROW("ip", PARAM_TEXT, ip_text, "10.0.0.1", NULL, NULL, "the server's IPv4 address")                                \
    ROW("mac", PARAM_TEXT, mac_text, "02:00:00:00:00:01", NULL, NULL, "the server's MAC address")                      \
    ROW("queues", PARAM_INTEGER, queues, "1", "1", "16", "queue pairs, by receive-side scaling")                       \
    ROW("interrupt_core", PARAM_INTEGER, interrupt_core, "0", "0", "63",                                               \
        "the core that queue 0 interrupts; queue n interrupts the n-th after it")                                      \
    ROW("receive_ring", PARAM_INTEGER, receive_ring, "512", "64", "4096", "receive descriptors of a queue (ixgbe)")    \
    ROW("transmit_ring", PARAM_INTEGER, transmit_ring, "512", "64", "4096", "transmit descriptors of a queue (ixgbe)") \
    ROW("napi_weight", PARAM_INTEGER, napi_weight, "64", "1", "4096", "packets that one poll may take")                \
    ROW("netdev_budget", PARAM_INTEGER, netdev_budget, "300", "1", "100000",                                           \
        "packets that one round of net_rx_action may take")                                                            \
    ROW("softirq_restarts", PARAM_INTEGER, softirq_restarts, "10", "1", "1000",                                        \
        "rounds of __do_softirq before the rest is left to ksoftirqd")                                                 \
    ROW("receive_buffer", PARAM_BYTES, receive_buffer_bytes, "212992 B", "2304 B", "1 GiB", "net.core.rmem_default")   \
    ROW("send_buffer", PARAM_BYTES, send_buffer_bytes, "212992 B", "2304 B", "1 GiB", "net.core.wmem_default")         \
    ROW("truesize", PARAM_BYTES, truesize_bytes, "2304 B", "256 B", "64 KiB",                                          \
        "what a packet counts against a socket's buffer: 2 KiB of page and the socket buffer's header (assumed)")      \
    ROW("tick", PARAM_FREQUENCY, tick_hz, "250 Hz", "1 Hz", "10 kHz", "CONFIG_HZ (Ubuntu: 250)")                       \
    ROW("idle_latency_limit", PARAM_TIME, idle_latency_limit, "2 us", "0 us", "10 ms",                                 \
        "the governor takes no idle state that is slower to leave (pm_qos); assumed: tuned for latency")               \
    ROW("sched_latency", PARAM_TIME, sched_latency, "6 ms", "100 us", "1 s",                                           \
        "CFS: period in which each runs once; times 1 + log2(cores)")                                                  \
    ROW("sched_min_granularity", PARAM_TIME, sched_min_granularity, "750 us", "10 us", "1 s",                          \
        "CFS: the shortest slice; times 1 + log2(cores)")                                                              \
    ROW("sched_wakeup_granularity", PARAM_TIME, sched_wakeup_granularity, "1 ms", "0 us", "1 s",                       \
        "CFS: lead that a woken thread needs to pre-empt; times 1 + log2(cores)")

const struct param linux_config_params[] = {
#define ROW(name, kind, member, value, low, high, text)                                                                \
    {.key = name,                                                                                                      \
     .type = kind,                                                                                                     \
     .offset = offsetof(struct linux_config, member),                                                                  \
     .default_text = (value),                                                                                          \
     .minimum = (low),                                                                                                 \
     .maximum = (high),                                                                                                \
     .help = (text)},
    LINUX_CONFIG_ROWS
#undef ROW
    {0}};
