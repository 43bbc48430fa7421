/* linux_config.c: the entry of type "linux": the tunables of kernel and driver. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_model/linux/linux_profile.h"
#include "kernel_model/linux/linux_storage.h"
#include "stack/net_headers.h"

static const char *const wait_with_choices[] = {"recv", "epoll", NULL};
static const char *const throttle_choices[] = {"adaptive", "fixed", "off", NULL};

/* key, type, member, default, minimum, maximum, help */
#define ROW(name, kind, member, value, low, high, text)                                                                \
    {                                                                                                                  \
        .key = (name), .type = (kind), .offset = offsetof(struct linux_config, member), .default_text = (value),       \
        .minimum = (low), .maximum = (high), .help = (text)                                                            \
    }
#define CHOICE(name, list, member, value, text)                                                                        \
    {                                                                                                                  \
        .key = (name), .type = PARAM_CHOICE, .offset = offsetof(struct linux_config, member), .default_text = (value), \
        .choices = (list), .help = (text)                                                                              \
    }

const struct param linux_config_params[] = {
    ROW("nic", PARAM_TEXT, nic, "nic", NULL, NULL, "the network device that the driver takes"),
    ROW("ip", PARAM_TEXT, ip_text, "10.0.0.1", NULL, NULL, "the server's IPv4 address"),
    ROW("mac", PARAM_TEXT, mac_text, "02:00:00:00:00:01", NULL, NULL, "the server's MAC address"),
    ROW("queues", PARAM_INTEGER, queues, "1", "1", "16", "queue pairs, by receive-side scaling"),
    ROW("interrupt_core", PARAM_INTEGER, interrupt_core, "0", "0", "63",
        "the core that queue 0 interrupts; queue n interrupts the n-th after it"),
    ROW("receive_ring", PARAM_INTEGER, receive_ring, "512", "64", "4096", "receive descriptors a queue (ixgbe: 512)"),
    ROW("transmit_ring", PARAM_INTEGER, transmit_ring, "512", "64", "4096",
        "transmit descriptors a queue (ixgbe: 512; a packet takes two)"),
    ROW("napi_weight", PARAM_INTEGER, napi_weight, "64", "1", "4096", "packets that one poll may take (ixgbe: 64)"),
    ROW("netdev_budget", PARAM_INTEGER, netdev_budget, "300", "1", "100000",
        "packets that one round of net_rx_action may take (net.core.netdev_budget)"),
    ROW("softirq_restarts", PARAM_INTEGER, softirq_restarts, "10", "1", "1000",
        "rounds of __do_softirq before the rest is left to ksoftirqd (MAX_SOFTIRQ_RESTART)"),
    ROW("receive_buffer", PARAM_BYTES, receive_buffer_bytes, "212992 B", "256 B", "1 GiB", "net.core.rmem_default"),
    ROW("send_buffer", PARAM_BYTES, send_buffer_bytes, "212992 B", "256 B", "1 GiB", "net.core.wmem_default"),
    ROW("truesize", PARAM_BYTES, truesize_bytes, "2304 B", "256 B", "64 KiB",
        "what a packet counts against a socket's buffers: 2 KiB of page and the header (assumed)"),
    ROW("storage", PARAM_NODE, storage_node, "", NULL, NULL, "block device and file system; without it there are none"),
    ROW("tcp", PARAM_NODE, tcp_node, "", NULL, NULL, "how its TCP behaves"),
    ROW("tick", PARAM_FREQUENCY, tick_hz, "250 Hz", "1 Hz", "10 kHz", "CONFIG_HZ (Ubuntu: 250)"),
    ROW("idle_latency_limit", PARAM_TIME, idle_latency_limit, "2 us", "0 us", "10 ms",
        "no idle state that takes longer to leave (pm_qos; assumed: a machine tuned for latency; 0..200 us)"),
    ROW("sched_latency", PARAM_TIME, sched_latency, "6 ms", "100 us", "1 s",
        "CFS: the period in which each thread runs; times 1 + log2(cores)"),
    ROW("sched_min_granularity", PARAM_TIME, sched_min_granularity, "750 us", "10 us", "1 s",
        "CFS: the shortest slice; times 1 + log2(cores)"),
    ROW("sched_wakeup_granularity", PARAM_TIME, sched_wakeup_granularity, "1 ms", "0 us", "1 s",
        "CFS: the lead that a woken thread needs to pre-empt; times 1 + log2(cores)"),
    CHOICE("wait_with", wait_with_choices, wait_with, "recv",
           "the call that a waiting thread sleeps in: recv itself, or epoll_wait before it"),
    CHOICE("interrupt_throttle", throttle_choices, interrupt_throttle, "adaptive",
           "ixgbe's interrupt moderation: adaptive, fixed at throttle_lowest, or off"),
    ROW("throttle_lowest", PARAM_TIME, throttle_lowest, "10 us", "0 us", "1022 us",
        "interrupt interval of the lowest-latency class (ixgbe: 100,000 a second)"),
    ROW("throttle_low", PARAM_TIME, throttle_low, "50 us", "0 us", "1022 us",
        "interrupt interval of the low-latency class (ixgbe: 20,000 a second)"),
    ROW("throttle_bulk", PARAM_TIME, throttle_bulk, "126 us", "0 us", "1022 us",
        "interrupt interval of the bulk class (ixgbe: 8,000 a second)"),
    {0}};

/* What the entry holds beside them. */
static const struct param entry_params[] = {
    ROW("name", PARAM_TEXT, name, "linux", NULL, NULL, "the system's name in results"),
    ROW("type", PARAM_TEXT, type, "linux", NULL, NULL, "the type of system"),
    ROW("profile", PARAM_NODE, profile_node, NULL, NULL, NULL, "the cost profile")};
enum {
    CONFIG_ROWS = sizeof linux_config_params / sizeof linux_config_params[0], /* with the end */
    ENTRY_ROWS = sizeof entry_params / sizeof entry_params[0]
};

/* "02:00:00:00:00:01" */
static bool parse_mac(const char *text, uint8_t mac[6]) {
    for (unsigned i = 0; i < 6; ++i) {
        char *end = NULL;
        const unsigned long byte = strtoul(text, &end, 16);
        if (end == text || end - text > 2 || byte > 0xff || *end != (i < 5 ? ':' : '\0')) {
            return false;
        }
        mac[i] = (uint8_t)byte;
        text = end + 1;
    }
    return true;
}

bool linux_config_bind(const struct config_node *node, struct linux_config *config, struct diagnostics *diagnostics) {
    struct param table[ENTRY_ROWS + CONFIG_ROWS];
    memcpy(table, entry_params, sizeof entry_params);
    memcpy(table + ENTRY_ROWS, linux_config_params, sizeof linux_config_params);
    memset(config, 0, sizeof *config);
    bool good = config_bind(node, table, config, diagnostics);
    if (config->storage_node != NULL) {
        struct linux_storage_config storage;
        struct linux_storage_profile profile;
        good = linux_storage_bind(config->storage_node, &storage, &profile, diagnostics) && good;
    }
    good = config_bind(config->tcp_node, tcp_config_params, &config->tcp, diagnostics) && good;
    if (good && !net_ipv4_parse(config->ip_text, &config->ip)) {
        diagnostics_at(diagnostics, config_get(node, "ip"), "'%s' is not an IPv4 address such as 10.0.0.1",
                       config->ip_text);
        good = false;
    }
    if (good && (!parse_mac(config->mac_text, config->mac) || (config->mac[0] & 1) != 0)) {
        diagnostics_at(diagnostics, config_get(node, "mac"),
                       "'%s' is not the MAC address of a station, such as 02:00:00:00:00:01", config->mac_text);
        good = false;
    }
    return good;
}
