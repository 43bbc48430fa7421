#include "libos_model/exos/ipc.h"

#include "kernel_model/exo/aegis_user.h"
#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/slice.h"
#include "kernel_model/exo/transfer.h"

/* A ring: whose words lie where in it. */
enum { RING_HEAD = 0, RING_TAIL = 4, RING_DATA = 8, WORD = 4 };
/* A leaf of the library that calls on keeps ra and three of its own. */
enum { FRAME_WORDS = 4 };
/* The library's and the caller's words, in the upper half of the stack's page. */
#define DESCRIPTORS_AT (EXOS_STACK_AT + AEGIS_PAGE / 2)
#define BUFFER_AT (DESCRIPTORS_AT + 64)

#define IPC_COST(name, text)                                                                                           \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct exos_ipc_costs, name), .help = text }
const struct param exos_ipc_cost_params[] = {
    IPC_COST(call, "calling a library procedure and returning from it, beside its frame's stores and loads"),
    IPC_COST(descriptor, "a file descriptor checked and resolved to a pipe, beside the table's loads"),
    IPC_COST(pipe_write, "finding room in a pipe's ring and moving its head"),
    IPC_COST(pipe_read, "finding content in a pipe's ring and moving its tail"),
    IPC_COST(copy, "setting a copy up: lengths and alignments"),
    IPC_COST(copy_word, "one word of a copy, beside its load and store"),
    IPC_COST(ring_check, "the other's position in a ring compared with what it can be, if it is not trusted"),
    IPC_COST(yield_stub, "around a yield: arguments and result"),
    IPC_COST(counter, "comparing a shared counter and counting on"),
    IPC_COST(client_stub, "a client's stub: the procedure's number, the result"),
    IPC_COST(server_stub, "a server's stub: stack, procedure by number, the jump"),
    {0}};

static void step(struct exos_ipc *ipc, struct cost *cost) {
    aegis_user_step(ipc->environment, cost);
}

static uint32_t load(struct exos_ipc *ipc, uint32_t address) {
    uint32_t value = 0;
    (void)aegis_user_load(ipc->environment, address, WORD, &value);
    return value;
}

static void store(struct exos_ipc *ipc, uint32_t address, uint32_t value) {
    (void)aegis_user_store(ipc->environment, address, WORD, value);
}

/* Registers to the stack, and back. */
static void save(struct exos_ipc *ipc, uint32_t words) {
    const struct aegis_registers *names = aegis_register_names(ipc->environment);
    for (uint32_t i = 0; i < words; i++) {
        aegis_user_save_register(ipc->environment, EXOS_STACK_AT + names->bytes * (ipc->depth + i), names->saved[i]);
    }
    ipc->depth += words;
}

static void restore(struct exos_ipc *ipc, uint32_t words) {
    const struct aegis_registers *names = aegis_register_names(ipc->environment);
    ipc->depth -= words;
    for (uint32_t i = 0; i < words; i++) {
        aegis_user_restore_register(ipc->environment, EXOS_STACK_AT + names->bytes * (ipc->depth + i), names->saved[i]);
    }
}

/* ---- making it ---- */

static enum error_code bind_own(struct aegis_environment *environment, uint32_t at, struct exo_handle *handle,
                                struct error *error) {
    uint64_t physical = 0;
    const enum error_code code = aegis_frame_allocate(environment, 0, AEGIS_ANY_COLOR, handle, &physical, error);
    return code == OK ? aegis_tlb_insert(environment, at, handle, true, error) : code;
}

static enum error_code make_stacks(struct exos_ipc *first, struct exos_ipc *second, struct error *error) {
    enum error_code code = OK;
    if (first->stack_handle.code == 0) {
        code = bind_own(first->environment, EXOS_STACK_AT, &first->stack_handle, error);
    }
    first->other = second->environment;
    second->other = first->environment;
    second->serves = true;
    return code == OK ? bind_own(second->environment, EXOS_STACK_AT, &second->stack_handle, error) : code;
}

/* A page of one's own, which the other can read. */
static enum error_code show_page(struct exos_ipc *own, struct exos_ipc *other, uint32_t at, struct error *error) {
    own->shared = other->theirs = at;
    enum error_code code = bind_own(own->environment, at, &own->page_handle, error);
    if (code == OK) {
        code = aegis_derive(own->environment, &own->page_handle, EXO_READ, other->environment, &other->theirs_handle,
                            error);
    }
    return code == OK ? aegis_tlb_insert(other->environment, at, &other->theirs_handle, false, error) : code;
}

enum error_code exos_ipc_connect_apart(struct exos_ipc *first, struct exos_ipc *second, struct error *error) {
    const uint32_t at = first->shared;
    enum error_code code = make_stacks(first, second, error);
    code = code == OK ? show_page(first, second, at, error) : code;
    return code == OK ? show_page(second, first, at + AEGIS_PAGE, error) : code;
}

enum error_code exos_ipc_connect_one_way(struct exos_ipc *first, struct exos_ipc *second, struct error *error) {
    first->trusts = true;
    return exos_ipc_connect_apart(first, second, error);
}

enum error_code exos_ipc_connect(struct exos_ipc *first, struct exos_ipc *second, struct error *error) {
    struct exo_handle *page = &first->page_handle, *derived = &second->page_handle;
    enum error_code code = make_stacks(first, second, error);
    code = code == OK ? bind_own(first->environment, first->shared, page, error) : code;
    if (code == OK) {
        code = aegis_derive(first->environment, page, EXO_READ | EXO_WRITE, second->environment, derived, error);
    }
    second->shared = first->shared;
    return code == OK ? aegis_tlb_insert(second->environment, first->shared, derived, true, error) : code;
}

bool exos_ipc_fault(struct exos_ipc *ipc, const struct aegis_exception *exception) {
    const uint32_t page = exception->bad_address & AEGIS_PAGE_MASK;
    const bool missing = exception->code == AEGIS_CAUSE_MISS_LOAD || exception->code == AEGIS_CAUSE_MISS_STORE;
    const struct exo_handle *handle = page == EXOS_STACK_AT                     ? &ipc->stack_handle
                                      : page == ipc->shared                     ? &ipc->page_handle
                                      : ipc->theirs != 0 && page == ipc->theirs ? &ipc->theirs_handle
                                                                                : NULL;
    if (!missing || handle == NULL) {
        return false;
    }
    const bool bound = aegis_tlb_insert(ipc->environment, page, handle, handle != &ipc->theirs_handle, NULL) == OK;
    aegis_user_restore_scratch(ipc->environment);
    return bound;
}

/* ---- yielding to the other ---- */

void exos_ipc_yield(struct exos_ipc *ipc) {
    ipc->yields++;
    step(ipc, &ipc->costs->yield_stub);
    save(ipc, aegis_register_names(ipc->environment)->saved_count);
    if (!ipc->serves) { /* the other works for what waits for it */
        ipc->other->request = ipc->environment->request;
    }
    (void)aegis_yield(ipc->environment, ipc->other);
    if (!ipc->serves) {
        ipc->other->request = NULL;
    }
    restore(ipc, aegis_register_names(ipc->environment)->saved_count);
}

/* ---- a counter ---- */

void exos_counter_take(struct exos_ipc *ipc, bool odd) {
    uint32_t counter = 0;
    for (;;) {
        counter = load(ipc, ipc->shared + EXOS_SHARED_COUNTER);
        step(ipc, &ipc->costs->counter);
        if ((counter % 2 == 1) == odd) {
            break;
        }
        exos_ipc_yield(ipc);
    }
    store(ipc, ipc->shared + EXOS_SHARED_COUNTER, counter + 1);
}

/* ---- a pipe ---- */

/* From read() or write() to the pipe's procedure: two calls and the descriptor's words,
 * which lie in the library's own memory; nothing of it is left once it is inlined. */
static void enter_procedure(struct exos_ipc *ipc) {
    for (unsigned depth = 0; !ipc->inlined && depth < 2; depth++) {
        step(ipc, &ipc->costs->call);
        save(ipc, FRAME_WORDS);
    }
    if (!ipc->inlined) {
        step(ipc, &ipc->costs->descriptor);
        (void)load(ipc, DESCRIPTORS_AT);
        (void)load(ipc, DESCRIPTORS_AT + WORD);
    }
}

static void leave_procedure(struct exos_ipc *ipc) {
    for (unsigned depth = 0; !ipc->inlined && depth < 2; depth++) {
        restore(ipc, FRAME_WORDS);
    }
}

static uint32_t ring_place(uint32_t ring, uint32_t position) {
    return ring + RING_DATA + position % EXOS_RING_BYTES;
}

static uint32_t others_end(const struct exos_ipc *ipc, uint32_t ring) {
    return (ipc->theirs != 0 ? ipc->theirs : ipc->shared) + ring;
}

/* How many bytes are in the ring. Of a position that cannot be, from one who is not trusted:
 * `instead`, with which one waits. The position was loaded once: what is checked is what is
 * used, whatever the other writes meanwhile. */
static uint32_t content(struct exos_ipc *ipc, uint32_t head, uint32_t tail, uint32_t instead) {
    if (ipc->theirs == 0 || ipc->trusts) {
        return head - tail;
    }
    step(ipc, &ipc->costs->ring_check);
    const bool can_be = head - tail <= EXOS_RING_BYTES && (head - tail) % WORD == 0;
    ipc->refused += can_be ? 0 : 1;
    return can_be ? head - tail : instead;
}

void exos_pipe_write(struct exos_ipc *ipc, enum exos_shared ring, const uint32_t *words, uint32_t count) {
    const uint32_t at = ipc->shared + (uint32_t)ring, other = others_end(ipc, (uint32_t)ring);
    enter_procedure(ipc);
    uint32_t head = load(ipc, at + RING_HEAD);
    while (EXOS_RING_BYTES - content(ipc, head, load(ipc, other + RING_TAIL), EXOS_RING_BYTES) < count * WORD) {
        exos_ipc_yield(ipc);
    }
    step(ipc, &ipc->costs->pipe_write);
    step(ipc, &ipc->costs->copy);
    for (uint32_t i = 0; i < count; i++, head += WORD) {
        step(ipc, &ipc->costs->copy_word);
        (void)load(ipc, BUFFER_AT); /* the caller's buffer */
        store(ipc, ring_place(at, head), words[i]);
    }
    store(ipc, at + RING_HEAD, head);
    leave_procedure(ipc);
}

uint32_t exos_pipe_read(struct exos_ipc *ipc, enum exos_shared ring, uint32_t *words, uint32_t count) {
    const uint32_t at = ipc->shared + (uint32_t)ring, other = others_end(ipc, (uint32_t)ring);
    enter_procedure(ipc);
    uint32_t tail = load(ipc, at + RING_TAIL), bytes = 0;
    while ((bytes = content(ipc, load(ipc, other + RING_HEAD), tail, 0)) == 0) {
        exos_ipc_yield(ipc);
    }
    step(ipc, &ipc->costs->pipe_read);
    step(ipc, &ipc->costs->copy);
    uint32_t got = 0;
    for (; got < count && bytes > 0; got++, tail += WORD, bytes -= WORD) {
        step(ipc, &ipc->costs->copy_word);
        words[got] = load(ipc, ring_place(other, tail));
        store(ipc, BUFFER_AT, words[got]); /* the caller's buffer */
    }
    store(ipc, at + RING_TAIL, tail);
    leave_procedure(ipc);
    return got;
}

/* ---- a remote procedure ---- */

enum error_code exos_call(struct exos_ipc *ipc, uint32_t procedure, bool trusting) {
    step(ipc, &ipc->costs->client_stub);
    if (!trusting) {
        save(ipc, aegis_register_names(ipc->environment)->saved_count);
    }
    aegis_set_register(ipc->environment, aegis_register_names(ipc->environment)->message[0], procedure);
    const enum error_code code = aegis_transfer(ipc->environment, ipc->other->environment->number, AEGIS_SYNCHRONOUS);
    if (!trusting) {
        restore(ipc, aegis_register_names(ipc->environment)->saved_count);
    }
    return code;
}

enum error_code exos_reply(struct exos_ipc *ipc) {
    step(ipc, &ipc->costs->server_stub);
    return aegis_transfer(ipc->environment, ipc->other->environment->number, AEGIS_SYNCHRONOUS);
}
