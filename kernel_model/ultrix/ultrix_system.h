/* ultrix_system.h: Ultrix as a set of operations that experiments of kind `kernel` can
 * measure ("ultrix"), by the names under which Aegis offers its own. */
#ifndef STILLSUIT_KERNEL_MODEL_ULTRIX_ULTRIX_SYSTEM_H
#define STILLSUIT_KERNEL_MODEL_ULTRIX_ULTRIX_SYSTEM_H

#include "kernel_model/common/collector.h"
#include "kernel_model/common/progress.h"
#include "kernel_model/ultrix/paging.h"
#include "kernel_model/ultrix/ultrix_net.h"
#include "sim/random.h"

struct ultrix_system {
    struct operations base;
    struct ultrix_config config;
    struct ultrix_costs costs;
    struct ultrix_paging_costs paging_costs;
    struct ultrix_net_costs net_costs;
    struct lance_driver_costs lance_costs;
    struct ultrix *ultrix;
    struct ultrix_process *measured, *peer;
    struct ultrix_pipe *requests, *replies;
    struct ultrix_net *net;       /* NULL: nothing measured needs it */
    struct ultrix_paging *paging; /* NULL: nothing measured needs it */
    uint64_t scanned;             /* accesses of a cyclic scan */
    struct collector collector;
    struct progress progress; /* ultrix_fault_operations.c */
    bool library_fault;
    struct sim_event fault, rebooted;
    struct operations_plan plan;
    struct operations_meter meter;
    struct random_stream *order;
    uint32_t *permutation; /* of the measured process's pages */
    uint64_t last_unprotected;
    /* What its handler of SIGSEGV does; NULL: skips the instruction. */
    enum r3000_resume (*on_trap)(struct ultrix_system *system, uint32_t address);
};

extern const struct operations_ops ultrix_operations_ops;
extern const struct operation ultrix_operations[];
operation_run ultrix_run_udp;
/* ultrix_paging_operations.c */
operation_prepare ultrix_prepare_cycle, ultrix_prepare_collect;
operation_run ultrix_run_cycle, ultrix_run_collect;
/* ultrix_fault_operations.c: two programs beside the measured one, and a fault at the plan's
 * time, in the library of one of them or in the kernel; before the run. */
enum error_code ultrix_make_mortals(struct ultrix_system *system, bool library, struct error *error);
operation_run ultrix_run_compute_library_fault, ultrix_run_compute_kernel_fault;
/* The process of the measured program: ultrix_system.c. */
enum error_code ultrix_make_measured(struct ultrix_system *system, struct error *error);
/* The far end's program. */
void ultrix_answer_udp(struct ultrix_system *system);
/* The program on the other side of pipes and of the shared counter. */
void ultrix_peer_main(struct ultrix_process *process);
/* The measured process's handler of signals. */
enum r3000_resume ultrix_on_signal(struct ultrix_process *process, enum ultrix_signal signal, uint32_t address);

#endif
