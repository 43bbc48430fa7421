/* scheduler.h: threads, placed in space: each core belongs to one thread at most,
 * for as long as the thread lives. (Time slices as a resource can come on top: what
 * a core is given to is decided in one place, exo_thread_run.) */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_SCHEDULER_H
#define STILLSUIT_KERNEL_MODEL_EXO_SCHEDULER_H

#include "hw/core.h"
#include "kernel_model/exo/environment.h"

struct exo_thread {
    struct exo_environment *environment;
    struct exo_core *home;
    struct context *context;
    struct exo_end_point *end_points;
    bool sleeping;
    uint64_t upcalls; /* notifications that met it running */
};

/* A core as the kernel sees it. */
struct exo_core {
    struct exo_kernel *kernel;
    struct core *core;
    struct exo_thread *thread;      /* the one that it belongs to */
    bool dedicated;                 /* to work of the kernel's own: no thread may have it */
    struct context *interrupt;      /* the kernel's own context on it */
    struct exo_doorbell *rung;      /* doorbells rung and not yet delivered, in order */
    struct exo_doorbell **rung_end; /* where the next one is linked */
    struct sim_event rest;          /* enters the idle state once the thread is off */
};

/* A thread of an environment with a core of its own; it runs body(argument) from
 * the start of the run on. The kernel owns it. ERR_RANGE: no such core;
 * ERR_EXHAUSTED: it has a thread. */
struct exo_thread *exo_thread_create(struct exo_environment *environment, unsigned core, const char *name,
                                     void (*body)(void *argument), void *argument, struct error *error);
/* Takes a thread off its core for good (before its environment is destroyed). */
void exo_thread_destroy(struct exo_thread *thread);

/* ---- For the kernel's own files. ---- */
/* The calling thread, with nothing charged that has not been executed, sleeps until
 * exo_thread_run: no instant lies between the caller's decision and its sleep. */
void exo_thread_sleep(struct exo_thread *thread);
/* Puts a sleeping thread back onto its core. */
void exo_thread_run(struct exo_thread *thread);
void exo_scheduler_init(struct exo_kernel *kernel);
void exo_scheduler_fini(struct exo_kernel *kernel);

#endif
