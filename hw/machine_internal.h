/* machine_internal.h: what machine.c and machine_devices.c share. */
#ifndef STILLSUIT_HW_MACHINE_INTERNAL_H
#define STILLSUIT_HW_MACHINE_INTERNAL_H

#include "hw/machine.h"

/* The devices as configured: everything is checked before anything is made. */
struct machine_plan {
    struct {
        struct device *device; /* name, ops and config set; state not yet */
        const struct config_node *node;
    } items[MACHINE_DEVICES_MAX];
    unsigned count;
};

/* Reads `devices:`; NULL stands for none. */
bool machine_plan_devices(const struct config_node *list, struct machine_plan *plan, struct diagnostics *diagnostics);
/* Frees what machine_build_devices has not taken. */
void machine_plan_free(struct machine_plan *plan);
/* Takes the devices out of the plan, in order, and lets each initialize itself. */
bool machine_build_devices(struct machine *machine, struct machine_plan *plan, struct diagnostics *diagnostics);
void machine_free_devices(struct machine *machine);

#endif
