/* exos.h: a library OS on Aegis: what a program links with to live in an environment.
 *
 * exos_program.c: the kernel's notices and exceptions, handled the plain way. vm.h:
 * virtual memory. ipc.h: pipes, shared memory, remote calls. stride.h: a scheduler.
 * exos_system.c and exos_*_operations.c: the operations that experiments of kind `kernel`
 * measure, as programs that use the library. */
#ifndef STILLSUIT_LIBOS_MODEL_EXOS_EXOS_H
#define STILLSUIT_LIBOS_MODEL_EXOS_EXOS_H

#include "kernel_model/common/collector.h"
#include "kernel_model/common/operations.h"
#include "kernel_model/common/progress.h"
#include "kernel_model/exo/aegis.h"
#include "libos_model/exos/ipc.h"
#include "libos_model/exos/paging.h"
#include "libos_model/exos/stride.h"
#include "libos_model/exos/udp.h"
#include "libos_model/exos/vm.h"
#include "sim/random.h"

/* Instructions of the library and of the measuring program, beside loads and stores;
 * profile section `exos`. */
struct exos_costs {
    struct cost loop;              /* of a repetition: count, branch, its delay slot */
    struct cost procedure_call;    /* jal and jr with their delay slots */
    struct cost exception_handler; /* entered, and back behind the instruction */
    struct cost context_save, context_restore;
    struct cost revoke_choose; /* a frame to give back */
    struct cost stride_pick;
};
extern const struct param exos_cost_params[];

/* ---- exos_program.c: for a program's table ---- */
/* [env] What a program does first, by the form of page table that it is to have: pmap.h. */
enum error_code exos_start(struct aegis_environment *environment, const struct exos_vm_costs *costs,
                           struct error *error);
/* Restores the scratch registers from the save area and skips the instruction. */
enum aegis_resume exos_skip(struct aegis_environment *environment, struct exos_costs *costs);
/* At the end of a slice: saves the registers in the save area, yields, restores. */
void exos_slice_end(struct aegis_environment *environment, struct exos_costs *costs);
/* Gives `environment->revoke_asked` frames back: those it got last and does not
 * guarantee. */
void exos_give_back(struct aegis_environment *environment, struct exos_costs *costs);

extern const struct operations_ops aegis_operations_ops;

/* ---- The system behind aegis_operations_ops ---- */
struct exos_profile {
    struct aegis_costs aegis;
    struct exos_costs exos;
    struct exos_vm_costs vm;
    struct exos_ipc_costs ipc;
    struct exos_udp_costs udp;
    struct aegis_network_costs network;
    bool has_network; /* else the two above are nothing */
};
/* A partner of the measured program, with the page that they share. */
struct exos_peer {
    struct aegis_environment *environment; /* NULL: nothing measured needs it */
    struct exos_ipc near, far;             /* the measured program's side, and its own */
};
struct exos_system {
    struct operations base;
    struct aegis_config config;
    struct exos_profile profile;
    struct aegis *aegis;
    struct aegis_environment *measured, *partner;
    struct exos_peer pipe, counter, server, stranger, trusted;
    uint32_t shared_pages;
    struct exo_handle stack_handle; /* of the measured program's stack, once it has one */
    struct operations_plan plan;
    struct operations_meter meter;
    struct exos_vm vm; /* the measured program's */
    struct exos_paging paging;
    uint64_t scanned; /* accesses of a cyclic scan */
    struct collector collector;
    struct progress progress; /* exos_fault_operations.c */
    bool library_fault;
    struct sim_event fault, rebooted;
    bool own_handler; /* takes exceptions about its pages past the library */
    struct random_stream *order;
    uint32_t *permutation; /* of its pages */
    uint64_t last_unprotected;
    unsigned name_space; /* beside its first, in which its first page is another frame */
    struct stride stride;
    struct exos_udp udp;
    bool hoarder_grabs, hoarder_abstains;
    uint64_t overrunner_slices; /* that it left in time */
};
/* Environments with a position in the vector of slices each, before the run. ERR_EXHAUSTED,
 * ERR_SHARE. */
enum error_code exos_make_programs(struct exos_system *system, const struct aegis_program *const *programs,
                                   size_t count, struct error *error);

extern const struct operation exos_operations[];
/* A step of the measuring program or of the library for it. */
void exos_step(const struct exos_system *system, struct cost *cost);
/* The environment that answers the measured one. */
extern const struct aegis_program exos_partner_program;

/* ---- exos_vm_operations.c ---- */
operation_prepare exos_prepare_pages;
operation_run exos_run_dirty, exos_run_protect_one, exos_run_protect_all, exos_run_unprotect_all, exos_run_reprotect,
    exos_run_trap, exos_run_appel1, exos_run_appel2;
operation_prepare exos_prepare_cycle, exos_prepare_collect;
operation_run exos_run_cycle, exos_run_collect;
operation_prepare exos_prepare_trap, exos_prepare_appel1, exos_prepare_appel2;

/* ---- exos_ipc_operations.c ---- */
/* Makes the partners that the plan's operations need, before the run. */
enum error_code exos_make_peers(struct exos_system *system, struct error *error);
/* A miss of the measured program's on what it shares with one of them. */
bool exos_peers_fault(struct exos_system *system, const struct aegis_exception *exception);
/* Whether the plan has one of two operations. */
bool exos_is_planned(const struct exos_system *system, operation_run *one, operation_run *other);
operation_run exos_run_pipe_checked, exos_run_pipe_one_way;
operation_run exos_run_pipe, exos_run_pipe_inlined, exos_run_counter, exos_run_call, exos_run_trusting_call;

/* ---- exos_stride_operations.c ---- */
/* A scheduler, which has the slice, and programs beside the measured one; before the run. */
enum error_code exos_make_scheduler(struct exos_system *system, struct error *error);
operation_run exos_run_compute;
/* Computes for ever: a program's main; its state is the struct exos_system. */
void exos_spin(struct aegis_environment *environment);
/* Does so, and leaves when its slice ends. */
extern const struct aegis_program exos_other_program;

/* ---- exos_overrun_operations.c ---- */
/* Two programs beside the measured one, with a slice each; before the run. */
enum error_code exos_make_overrunner(struct exos_system *system, struct error *error);
operation_run exos_run_compute_beside_overrunner;

/* ---- exos_fault_operations.c ---- */
/* Two programs beside the measured one, with a slice each, and a fault at the plan's time, in
 * the library of one of them or in the kernel; before the run. */
enum error_code exos_make_mortals(struct exos_system *system, bool library, struct error *error);
operation_run exos_run_compute_library_fault, exos_run_compute_kernel_fault;
/* The environment of the measured program: exos_system.c. */
enum error_code exos_make_measured(struct exos_system *system, struct error *error);

/* ---- exos_udp_operations.c ---- */
/* The adapter, the filter and the handler of the measured program, if the plan has any use
 * for them, and at the far end the programs beside it; before the run. */
enum error_code exos_make_network(struct exos_system *system, struct error *error);
operation_run exos_run_udp;
/* The far end's program. */
void exos_answer_udp(struct exos_system *system);

/* ---- exos_revocation_operations.c ---- */
/* A program that takes all frames; before the run. */
enum error_code exos_make_hoarder(struct exos_system *system, struct error *error);
operation_run exos_run_need_frame, exos_run_need_frame_of_deaf;

#endif
