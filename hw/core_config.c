/* core_config.c: a core's part of a machine file. The idle states are a list, each
 * element with a table of its own. */
#include <stddef.h>

#include "hw/core.h"
#include "sim/config.h"

/* The configuration with the node of the list, which the table finds. */
struct core_file {
    struct core_config config;
    const struct config_node *idle;
};

const struct param core_params[] = {
    {.key = "count",
     .type = PARAM_INTEGER,
     .offset = offsetof(struct core_file, config.count),
     .default_text = "6",
     .minimum = "1",
     .maximum = "256",
     .help = "cores; Xeon E5-2430: 6"},
    {.key = "clock",
     .type = PARAM_FREQUENCY,
     .offset = offsetof(struct core_file, config.clock_hz),
     .default_text = "2.2 GHz",
     .minimum = "1 MHz",
     .maximum = "10 GHz",
     .help = "clock of all cores, held constant; Xeon E5-2430: 2.2 GHz"},
    {.key = "interrupt_cycles",
     .type = PARAM_CYCLES,
     .offset = offsetof(struct core_file, config.interrupt_cycles),
     .default_text = "900 cycles",
     .maximum = "1000000 cycles",
     .help = "entry to and return from an interrupt, hardware and stub (assumed, 600 to 1200)"},
    {.key = "inter_processor_latency",
     .type = PARAM_TIME,
     .offset = offsetof(struct core_file, config.inter_processor_latency),
     .default_text = "1.5 us",
     .maximum = "1 ms",
     .help = "inter-processor interrupt, sender to the receiver's pin (assumed, 1 to 2 us)"},
    {.key = "copy_bytes_per_cycle",
     .type = PARAM_INTEGER,
     .offset = offsetof(struct core_file, config.copy_bytes_per_cycle),
     .default_text = "16",
     .minimum = "1",
     .maximum = "64",
     .help = "a copy within L1; Sandy Bridge stores 16 bytes a cycle"},
    {.key = "idle",
     .type = PARAM_NODE,
     .offset = offsetof(struct core_file, idle),
     .default_text = "",
     .help = "list of up to 4 idle states, shallow to deep: {name, exit_latency, target_residency, flushes_caches}; "
             "C1, C1E, C3 and C6 of Sandy Bridge if absent (Linux, intel_idle.c)"},
    {0},
};

static const struct param idle_params[] = {
    {.key = "name",
     .type = PARAM_TEXT,
     .offset = offsetof(struct core_idle_state, name),
     .help = "its name, such as C1E"},
    {.key = "exit_latency",
     .type = PARAM_TIME,
     .offset = offsetof(struct core_idle_state, exit_latency),
     .maximum = "100 ms",
     .help = "from the interrupt to the first instruction"},
    {.key = "target_residency",
     .type = PARAM_TIME,
     .offset = offsetof(struct core_idle_state, target_residency),
     .maximum = "10 s",
     .help = "worth entering for at least this long"},
    {.key = "flushes_caches",
     .type = PARAM_BOOL,
     .offset = offsetof(struct core_idle_state, flushes_caches),
     .default_text = "false",
     .help = "the core's own caches are written back on entry"},
    {0},
};

/* Linux, drivers/idle/intel_idle.c, snb_cstates. */
static const struct core_idle_state sandy_bridge[CORE_IDLE_STATES] = {
    {"C1", 2 * SIM_US, 2 * SIM_US, false},
    {"C1E", 10 * SIM_US, 20 * SIM_US, false},
    {"C3", 80 * SIM_US, 211 * SIM_US, true},
    {"C6", 104 * SIM_US, 345 * SIM_US, true},
};

static bool bind_idle(const struct config_node *list, struct core_config *config, struct diagnostics *diagnostics) {
    if (list->kind != CONFIG_SEQUENCE || list->count > CORE_IDLE_STATES) {
        diagnostics_at(diagnostics, list, "idle: a list of up to %d idle states is due", (int)CORE_IDLE_STATES);
        return false;
    }
    bool good = true;
    for (size_t i = 0; i < list->count; i++) {
        const bool bound = config_bind(list->children[i], idle_params, &config->idle[i], diagnostics);
        if (bound && i > 0 && config->idle[i].target_residency < config->idle[i - 1].target_residency) {
            diagnostics_at(diagnostics, list->children[i],
                           "idle: %s has a shorter target residency than the state before it; shallow to deep is due",
                           config->idle[i].name);
            good = false;
        }
        good = bound && good;
    }
    return good;
}

bool core_config_bind(const struct config_node *node, struct core_config *config, struct diagnostics *diagnostics) {
    struct core_file file = {0};
    bool good = config_bind(node, core_params, &file, diagnostics);
    if (file.idle != NULL) {
        good = bind_idle(file.idle, &file.config, diagnostics) && good;
    } else {
        for (size_t i = 0; i < CORE_IDLE_STATES; i++) {
            file.config.idle[i] = sandy_bridge[i];
        }
    }
    *config = file.config;
    return good;
}
