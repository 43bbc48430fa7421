/* ipc.h: communication between two environments as a library: a pipe, a counter in
 * shared memory, and calls to a server that is trusted with registers or is not.
 *
 * Those who do not trust each other have a page each, which the other can only read (the
 * derived capability has no right to write): a pipe's writer keeps the words and the head
 * in its own, the reader the tail in its own, and each checks what the other's says. Words are
 * copied out before they are looked at: a copy is nobody else's to change.
 *
 * Trust may also be one way, as of a client in its server: the same pages, but the side that
 * trusts takes the other's positions as they are. It stands and falls with the other; the other
 * does not with it.
 *
 * What the others share is one page, bound in both under capabilities: the second's is derived
 * from the first's. Whoever waits yields the slice to the other by name; the kernel knows
 * nothing of pipes. A library's procedures keep what a calling convention keeps: each
 * call stores and loads its frame on the environment's stack. */
#ifndef STILLSUIT_LIBOS_MODEL_EXOS_IPC_H
#define STILLSUIT_LIBOS_MODEL_EXOS_IPC_H

#include "kernel_model/exo/aegis.h"
#include "sim/param.h"

/* Instructions beside loads, stores and kernel calls; profile section `ipc`. */
struct exos_ipc_costs {
    struct cost call, descriptor, pipe_write, pipe_read, copy, copy_word;
    struct cost ring_check;
    struct cost yield_stub, counter, client_stub, server_stub;
};
extern const struct param exos_ipc_cost_params[];

/* Where shared pages lie, one behind the other, and the stack, in every environment. */
#define EXOS_SHARED_AT UINT32_C(0x20000000)
#define EXOS_STACK_AT UINT32_C(0x7ff00000)
/* ... and what in the shared page: a counter, two rings. */
enum exos_shared { EXOS_SHARED_COUNTER = 0x000, EXOS_SHARED_REQUESTS = 0x100, EXOS_SHARED_REPLIES = 0x800 };
enum { EXOS_RING_BYTES = 1024 };

/* One side of the page. */
struct exos_ipc {
    struct aegis_environment *environment, *other;
    struct exos_ipc_costs *costs;
    struct exo_handle stack_handle, page_handle; /* to bind them again after a miss */
    uint32_t shared;                             /* the shared page: EXOS_SHARED_AT, or a page behind it */
    uint32_t theirs;                             /* 0, or the other's page; `shared` is its own then */
    struct exo_handle theirs_handle;             /* for reading */
    bool trusts;                                 /* takes the positions in `theirs` as they are */
    uint64_t refused;                            /* positions of the other's that cannot be */
    bool inlined;                                /* a pipe's procedures are expanded where they are called */
    bool serves;                                 /* works for the other's request */
    uint32_t depth;                              /* words on the stack */
    uint64_t yields;
};

/* Makes the shared page, at first->shared in both, and the stacks, before the run. An
 * environment with several partners has a page with each and one stack: a side whose
 * stack_handle is set keeps it. ERR_EXHAUSTED. */
enum error_code exos_ipc_connect(struct exos_ipc *first, struct exos_ipc *second, struct error *error);

/* The same for two that do not trust each other: the first's page at first->shared in both, the
 * second's in the page behind it. Pipes alone work over these. */
enum error_code exos_ipc_connect_apart(struct exos_ipc *first, struct exos_ipc *second, struct error *error);

/* The same when the first trusts the second, and the second not the first. */
enum error_code exos_ipc_connect_one_way(struct exos_ipc *first, struct exos_ipc *second, struct error *error);

/* A miss on the shared page or the stack, which the software TLB has lost to another page:
 * bound again. False: it is about neither. */
bool exos_ipc_fault(struct exos_ipc *ipc, const struct aegis_exception *exception);

/* Gives the rest of the slice to the other side. Across it the library saves the registers
 * that its caller expects to keep, as for any procedure call. */
void exos_ipc_yield(struct exos_ipc *ipc);
/* Bytes, whole words, into the ring at that place in the page, or out of it; waits for room,
 * or for a first word. Returns how many were read. */
void exos_pipe_write(struct exos_ipc *ipc, enum exos_shared ring, const uint32_t *words, uint32_t count);
uint32_t exos_pipe_read(struct exos_ipc *ipc, enum exos_shared ring, uint32_t *words, uint32_t count);
/* Waits until the shared counter is odd (or even), and counts it on. */
void exos_counter_take(struct exos_ipc *ipc, bool odd);
/* A call of the server by protected control transfer: arguments and results in registers.
 * A client that does not trust it with its registers saves and restores them. */
enum error_code exos_call(struct exos_ipc *ipc, uint32_t procedure, bool trusting);
/* The server's side: called when it was entered; it answers and waits to be entered
 * again. */
enum error_code exos_reply(struct exos_ipc *ipc);

#endif
