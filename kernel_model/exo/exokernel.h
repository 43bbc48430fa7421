/* exokernel.h: the kernel as a whole: what it keeps, what its calls cost.
 *
 * It multiplexes and abstracts nothing: it knows frames, functions, queues,
 * filters, interrupt vectors, storage areas and cores, who holds each (capability.h), and the
 * secure bindings by which hardware enforces that without the kernel: page tables,
 * IOMMU tables, NIC filters, interrupt routes. Read in this order: capability.h,
 * environment.h, memory.h, vnic.h, filter.h, vsic.h, vsa.h, doorbell.h, scheduler.h.
 *
 * Kernel calls are made by an environment's thread (they then cost a crossing and
 * their own work, booked to "control_plane", nobody's request) or before the run
 * (no thread: they cost nothing). */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_EXOKERNEL_H
#define STILLSUIT_KERNEL_MODEL_EXO_EXOKERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/machine.h"
#include "kernel_model/common/frames.h"
#include "kernel_model/exo/capability.h"
#include "sim/param.h"

enum { EXO_CAPABILITIES_MAX = 1 << 21 };

/* Cycles of the kernel's own work; profile section `exokernel`. */
struct exo_costs {
    struct cost crossing;         /* into the kernel and back */
    struct cost capability_check; /* the code's computation and the slot */
    struct cost memory_allocate, memory_map;
    struct cost function_grant, queue_grant, rate_set;
    struct cost filter_check; /* against one existing filter */
    struct cost filter_install;
    struct cost end_point_wait;     /* of the call that sleeps */
    struct cost doorbell_interrupt; /* from vector to end point */
    struct cost doorbell_upcall;    /* ... whose thread runs: into it */
    struct cost doorbell_wake;      /* ... whose thread sleeps: puts it onto its core */
    struct cost vsic_grant, storage_queue_grant;
    struct cost vsa_create; /* or resize, or delete: extents and the drive's namespace */
    struct cost vsa_attach; /* or detach */
    struct cost vsa_name;   /* finding one by its name: acquire, export */
    /* Of the core that emulates VSICs: a turn over the rings; a request's checks; a walk
     * of a page table beyond its loads; a command, a completion of the physical
     * function's queue; an answer. */
    struct cost emulation_poll, emulation_request, emulation_walk, emulation_submit, emulation_reap, emulation_complete;
};
extern const struct param exo_cost_params[];

/* What a core does while its thread sleeps. */
enum exo_idle { EXO_IDLE_POLL, EXO_IDLE_HALT };

struct exo_environment;
struct exo_function;
struct exo_filter;
struct exo_doorbell;
struct exo_vsic;
struct exo_vsa;
struct exo_drive;
struct exo_core;

/* Protection at work: what was refused, by reason. */
struct exo_counters {
    uint64_t refused[EXO_REFUSALS]; /* capabilities; [EXO_ALLOWED] counts what passed */
    uint64_t overlaps;              /* filters that overlap another's */
    uint64_t greedy;                /* filters for what is not the environment's to have */
    uint64_t shares;                /* more than its limits allow */
    uint64_t spoofs;                /* transmit filters for services that it does not own */
    uint64_t exhausted;             /* nothing left to give */
    uint64_t storage_refusals;      /* VSAs asked for by a name that is another's, and not exported */
};

struct exo_kernel {
    struct machine *machine;
    struct exo_costs *costs; /* the caller's */
    enum exo_idle idle;
    struct frames *frames;
    struct exo_capabilities *capabilities;
    struct exo_environment *environments; /* in order of creation */
    struct exo_function *functions;
    struct exo_filter *filters;
    struct exo_doorbell *doorbells;
    struct exo_vsic *vsics;
    struct exo_vsa *vsas;
    struct exo_drive *drives;
    struct exo_core *cores; /* one a core of the machine */
    uint64_t working_set;   /* physical: lines that the kernel's steps touch */
    uint32_t last_environment, last_vector;
    struct exo_counters counters;
    /* Told when a capability of frames ends, before the frames are given back, so that
     * who caches translations (a TLB, a software TLB) drops those made under capability
     * `index`, or every one of the frames if it was not `derived`. NULL: nobody. */
    void (*frames_released)(void *context, uint64_t physical, uint64_t count, uint32_t index, bool derived);
    void *frames_released_context;
};

/* Boots on a machine: takes its memory, its interrupts. The key of the capabilities
 * comes from the random stream "exokernel". The caller frees it, which destroys the
 * environments that are left. */
struct exo_kernel *exo_kernel_create(struct machine *machine, struct exo_costs *costs, enum exo_idle idle,
                                     struct error *error);
void exo_kernel_free(struct exo_kernel *kernel);

/* Components: "control_plane" (kernel calls), "exo_doorbell" (interrupts turned into
 * notifications), "exo_idle_exit", all under "cpu". */
struct exo_components {
    ledger_component control_plane, doorbell, idle_exit;
};
extern struct exo_components exo_components;
void exo_declare_components(void);

/* ---- For the kernel's own files. ---- */
/* Enters the kernel for a call whose own work is `cost` (may be NULL): on a thread,
 * charges and executes it before the call takes effect. */
void exo_enter(struct exo_kernel *kernel, struct cost *cost);
/* More work within a call, executed with the next exo_enter or cpu_run. */
void exo_work(struct exo_kernel *kernel, struct cost *cost);
/* Checks what an environment presents, and counts. ERR_DENIED. */
enum error_code exo_check(struct exo_environment *environment, const struct exo_handle *handle, enum exo_type type,
                          unsigned rights, void **object, struct error *error);
/* A device register of the kernel's: posted on a thread, at once before the run. */
void exo_register_write(struct exo_kernel *kernel, uint64_t physical, uint32_t value);

/* Counters as instances "exokernel" and "exokernel.<environment>". */
void exo_visit_stats(const struct exo_kernel *kernel, const struct stats_sink *sink);

#endif
