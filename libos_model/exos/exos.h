/* exos.h: a library OS on Aegis: what a program links with to live in an environment.
 *
 * exos_program.c: the kernel's notices and exceptions, handled the plain way. stride.h:
 * a scheduler. exos_system.c, exos_operations.c: the operations that experiments of
 * kind `kernel` measure, as programs that use the library. */
#ifndef STILLSUIT_LIBOS_MODEL_EXOS_EXOS_H
#define STILLSUIT_LIBOS_MODEL_EXOS_EXOS_H

#include "kernel_model/common/operations.h"
#include "kernel_model/exo/aegis.h"

/* Instructions of the library and of the measuring program, beside loads and stores;
 * profile section `exos`. */
struct exos_costs {
    struct cost loop;              /* of a repetition: count, branch, its delay slot */
    struct cost procedure_call;    /* jal and jr with their delay slots */
    struct cost exception_handler; /* entered, and back behind the instruction */
    struct cost context_save, context_restore;
    struct cost page_lookup;   /* in a linear page table, on a miss */
    struct cost revoke_choose; /* a frame to give back */
    struct cost stride_pick;
};
extern const struct param exos_cost_params[];

/* ---- exos_program.c: for a program's table ---- */
/* Restores the scratch registers from the save area and skips the instruction. */
enum r3000_resume exos_skip(struct aegis_environment *environment, struct exos_costs *costs);
/* At the end of a slice: saves the registers in the save area, yields, restores. */
void exos_slice_end(struct aegis_environment *environment, struct exos_costs *costs);
/* Gives `environment->revoke_asked` frames back: those it got last and does not
 * guarantee. */
void exos_give_back(struct aegis_environment *environment, struct exos_costs *costs);

extern const struct operations_ops aegis_operations_ops;
extern const struct operations_ops nested_operations_ops; /* nested_system.c */

/* ---- The system behind aegis_operations_ops ---- */
struct exos_profile {
    struct aegis_costs aegis;
    struct exos_costs exos;
};
struct exos_system {
    struct operations base;
    struct aegis_config config;
    struct exos_profile profile;
    struct aegis *aegis;
    struct aegis_environment *measured, *partner;
    struct operations_plan plan;
    struct operations_meter meter;
    /* The measured program's pages from EXOS_DATA_AT on: a linear page table. */
    struct exos_page *pages;
    uint64_t page_count;
};
#define EXOS_DATA_AT UINT32_C(0x10000000)
struct exos_page {
    struct exo_handle handle;
    bool write;
};
extern const struct operation exos_operations[];
/* A miss on one of the measured program's pages: binds it again. False: it is none. */
bool exos_page_fault(struct exos_system *system, const struct aegis_exception *exception);
/* The environment that answers the measured one. */
extern const struct aegis_program exos_partner_program;

#endif
