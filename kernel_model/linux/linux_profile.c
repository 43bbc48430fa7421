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
            visit(context, key, (const struct cost *)(const void *)((const char *)&profile->stack + row->offset));
        }
    }
}
