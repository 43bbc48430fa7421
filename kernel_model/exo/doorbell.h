/* doorbell.h: doorbells (in Arrakis' sense: a notification to software) and the end
 * points that they ring.
 *
 * A doorbell binds an interrupt vector of a virtual function to an end point of a
 * thread. The interrupt goes to the thread's core; the kernel's handler there looks
 * up the end point and, if its thread runs, upcalls into it, else puts it back onto
 * the core. The kernel never looks at the packet. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOORBELL_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOORBELL_H

#include "kernel_model/exo/scheduler.h"
#include "kernel_model/exo/vnic.h"

enum { EXO_VECTORS = 128 }; /* at a core, for doorbells */

struct exo_end_point {
    struct exo_end_point *next; /* of the same thread */
    struct exo_thread *thread;
    struct exo_handle handle;
    bool pending; /* rung since the last wait */
    bool waiting; /* its thread sleeps on it */
};

struct exo_doorbell {
    struct exo_doorbell *next; /* the kernel's list */
    struct exo_function *function;
    struct exo_end_point *end_point;
    uint32_t entry;  /* MSI-X table entry: the queue */
    uint32_t vector; /* at the core */
    struct exo_doorbell *next_rung;
    bool rung;
    uint64_t rings;
};

/* An end point that notifies a thread of the environment; it ends with the thread. */
enum error_code exo_end_point_create(struct exo_thread *thread, struct exo_handle *out, struct error *error);
/* [thread] Sleeps until the end point is rung; returns at once if it was since the
 * last wait. Takes EXO_CONTROL; the thread must be the end point's. */
enum error_code exo_end_point_wait(struct exo_thread *thread, const struct exo_handle *handle, struct error *error);
/* Binds the interrupt of the function's queue to an end point: takes EXO_BIND on
 * both. ERR_EXISTS: the queue has a doorbell. */
enum error_code exo_doorbell_create(struct exo_environment *environment, const struct exo_handle *function,
                                    uint32_t queue, const struct exo_handle *end_point, struct exo_handle *out,
                                    struct error *error);

/* The core's timer, which the kernel shares out, has reached the instant that a thread
 * asked for: it notifies the end point as its doorbell does, with an interrupt at the
 * thread's core. */
void exo_end_point_alarm(struct exo_environment *environment, const struct exo_handle *handle);

/* ---- For the kernel's own files. ---- */
void exo_doorbell_init(struct exo_kernel *kernel);
/* At the interrupt: remembers the ring. False: nobody's vector. */
bool exo_doorbell_rung(struct exo_core *core, uint32_t vector);
/* On the interrupt context: delivers what was rung. */
void exo_doorbells_deliver(struct exo_core *core, struct context *context);

#endif
