/* linux_profile.c: the tables behind the profile and the system's entry. */
#include "kernel_model/linux/linux_profile.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "hw/memory.h"

const struct param linux_profile_params[] = {
#define LINUX_STEP_ROW(name, text)                                                                                     \
    {.key = #name, .type = PARAM_COST, .offset = offsetof(struct linux_profile, name.cost), .help = (text)},
    LINUX_STEPS(LINUX_STEP_ROW) LINUX_STREAM_STEPS(LINUX_STEP_ROW)
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
    LINUX_STEPS(LINUX_STEP_OFFSET)};
static const struct step_row stream_rows[] = {LINUX_STREAM_STEPS(LINUX_STEP_OFFSET)};
#undef LINUX_STEP_OFFSET
enum { STEP_ROWS = sizeof step_rows / sizeof step_rows[0], STREAM_ROWS = sizeof stream_rows / sizeof stream_rows[0] };

bool linux_profile_bind(const struct config_node *node, struct linux_profile *profile,
                        struct diagnostics *diagnostics) {
    memset(profile, 0, sizeof *profile);
    bool good = config_bind(node, linux_profile_params, profile, diagnostics);
    if (profile->stack_node != NULL) {
        good = config_bind(profile->stack_node, udp_stack_params, &profile->stack, diagnostics) && good;
    }
    if (profile->stack.tcp_node != NULL) {
        good = config_bind(profile->stack.tcp_node, tcp_stack_params, &profile->tcp, diagnostics) && good;
    }
    return good;
}

static struct linux_step *step_at(struct linux_profile *profile, const struct step_row *row) {
    return (struct linux_step *)(void *)((char *)profile + row->offset);
}

/* Regions for some steps, one behind the other, and so many bytes behind them. */
static uint64_t place(struct linux_profile *profile, const struct step_row *rows, size_t count, uint64_t behind,
                      struct frames *frames) {
    uint64_t bytes = behind;
    for (size_t i = 0; i < count; ++i) {
        bytes += (uint64_t)step_at(profile, &rows[i])->cost.lines * MEMORY_LINE_BYTES;
    }
    uint64_t address = frames_allocate_contiguous(frames, bytes / MEMORY_FRAME_BYTES + 1);
    if (address == 0) {
        return 0;
    }
    for (size_t i = 0; i < count; ++i) {
        struct linux_step *step = step_at(profile, &rows[i]);
        step->lines_at = address;
        address += (uint64_t)step->cost.lines * MEMORY_LINE_BYTES;
    }
    return address;
}

uint64_t linux_profile_place(struct linux_profile *profile, struct frames *frames) {
    return place(profile, step_rows, STEP_ROWS, udp_stack_working_set_bytes(&profile->stack), frames);
}

uint64_t linux_profile_place_streams(struct linux_profile *profile, struct frames *frames) {
    return place(profile, stream_rows, STREAM_ROWS, tcp_stack_working_set_bytes(&profile->tcp), frames);
}

static void visit_steps(const struct linux_profile *profile, const struct step_row *rows, size_t count,
                        param_cost_visitor *visit, void *context) {
    for (size_t i = 0; i < count; ++i) {
        const struct linux_step *step =
            (const struct linux_step *)(const void *)((const char *)profile + rows[i].offset);
        visit(context, rows[i].key, &step->cost);
    }
}

void linux_profile_visit(const struct linux_profile *profile, bool streams, param_cost_visitor *visit, void *context) {
    visit_steps(profile, step_rows, STEP_ROWS, visit, context);
    param_visit_costs(udp_stack_params, &profile->stack, "stack", visit, context);
    if (streams) {
        visit_steps(profile, stream_rows, STREAM_ROWS, visit, context);
        param_visit_costs(tcp_stack_params, &profile->tcp, "stack.tcp", visit, context);
    }
}
