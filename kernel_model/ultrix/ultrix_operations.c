/* ultrix_operations.c: each operation as a program for Ultrix would do it. */
#include <stdlib.h>

#include "kernel_model/ultrix/ultrix_system.h"

static struct ultrix_system *system_of(struct operations *base) {
    return (struct ultrix_system *)base;
}

static uint32_t page_at(uint64_t index) {
    return ULTRIX_DATA_AT + (uint32_t)index * ULTRIX_PAGE;
}

static bool touch(struct ultrix_system *system, uint64_t index) {
    uint32_t value = 0;
    return r3000_load(system->ultrix->cpu, page_at(index), 4, &value);
}

static void protect(struct ultrix_system *system, uint64_t first, uint64_t pages, enum ultrix_protection protection) {
    const enum error_code code = ultrix_mprotect(system->measured, page_at(first), pages, protection);
    SIM_ASSERT(code == OK);
}

/* ---- calls and exceptions ---- */

static void run_procedure_call(struct operations *base) {
    struct ultrix_system *system = system_of(base);
    ultrix_user_step(system->ultrix, &system->costs.procedure_call);
}

static void run_getpid(struct operations *base) {
    (void)ultrix_getpid(system_of(base)->measured);
}

static void run_overflow(struct operations *base) {
    int32_t sum = 0;
    (void)r3000_add(system_of(base)->ultrix->cpu, INT32_MAX, 1, &sum);
}

static void run_unaligned(struct operations *base) {
    uint32_t value = 0;
    (void)r3000_load(system_of(base)->ultrix->cpu, ULTRIX_DATA_AT + 1, 4, &value);
}

static void run_coprocessor(struct operations *base) {
    (void)r3000_coprocessor(system_of(base)->ultrix->cpu, 2);
}

static enum error_code prepare_pages(struct operations *base, struct error *error) {
    struct ultrix_system *system = system_of(base);
    const enum error_code code = ultrix_data_grow(system->measured, system->plan.pages, error);
    for (uint64_t i = 0; i < system->plan.pages && code == OK; i++) {
        (void)touch(system, i);
    }
    return code;
}

static enum error_code prepare_read_only(struct operations *base, struct error *error) {
    const enum error_code code = prepare_pages(base, error);
    if (code == OK) {
        protect(system_of(base), 0, 1, ULTRIX_READ_ONLY);
    }
    return code;
}

static void run_protection(struct operations *base) {
    (void)r3000_store(system_of(base)->ultrix->cpu, ULTRIX_DATA_AT, 4, 1);
}

/* ---- virtual memory ---- */

static void run_prot1(struct operations *base) {
    protect(system_of(base), 0, 1, ULTRIX_NO_ACCESS);
}

static void run_protect_pages(struct operations *base) {
    protect(system_of(base), 0, system_of(base)->plan.pages, ULTRIX_NO_ACCESS);
}

static void run_unprotect_pages(struct operations *base) {
    protect(system_of(base), 0, system_of(base)->plan.pages, ULTRIX_READ_WRITE);
}

static enum error_code prepare_trap(struct operations *base, struct error *error) {
    const enum error_code code = prepare_pages(base, error);
    if (code == OK) {
        protect(system_of(base), 0, 1, ULTRIX_NO_ACCESS);
    }
    return code;
}

static void run_trap(struct operations *base) {
    const bool reached = touch(system_of(base), 0);
    SIM_ASSERT(!reached);
}

enum r3000_resume ultrix_on_signal(struct ultrix_process *process, enum ultrix_signal signal, uint32_t address) {
    struct ultrix_system *system = process->state;
    return signal == ULTRIX_SIGSEGV && system->on_trap != NULL ? system->on_trap(system, address) : R3000_SKIP;
}

/* The page that was accessible is protected, and the one that trapped is not any more. */
static enum r3000_resume exchange(struct ultrix_system *system, uint32_t address) {
    const uint64_t page = (address - ULTRIX_DATA_AT) / ULTRIX_PAGE;
    protect(system, system->last_unprotected, 1, ULTRIX_NO_ACCESS);
    protect(system, page, 1, ULTRIX_READ_WRITE);
    system->last_unprotected = page;
    return R3000_RETRY;
}

static enum r3000_resume unprotect(struct ultrix_system *system, uint32_t address) {
    protect(system, (address - ULTRIX_DATA_AT) / ULTRIX_PAGE, 1, ULTRIX_READ_WRITE);
    return R3000_RETRY;
}

static enum error_code prepare_appel1(struct operations *base, struct error *error) {
    struct ultrix_system *system = system_of(base);
    if (system->plan.pages < 2) {
        return error_set(error, ERR_RANGE, "kernel.pages: appel1 takes at least 2 pages");
    }
    const enum error_code code = prepare_pages(base, error);
    if (code == OK) {
        system->on_trap = exchange;
        system->last_unprotected = 0;
        protect(system, 1, system->plan.pages - 1, ULTRIX_NO_ACCESS);
    }
    return code;
}

static void run_appel1(struct operations *base) {
    struct ultrix_system *system = system_of(base);
    const uint64_t other = 1 + random_below(system->order, system->plan.pages - 1);
    (void)touch(system, (system->last_unprotected + other) % system->plan.pages);
}

static enum error_code prepare_appel2(struct operations *base, struct error *error) {
    struct ultrix_system *system = system_of(base);
    const uint64_t pages = system->plan.pages;
    free(system->permutation);
    system->permutation = malloc(pages * sizeof *system->permutation);
    SIM_ASSERT(system->permutation != NULL);
    for (uint64_t i = 0; i < pages; i++) {
        system->permutation[i] = (uint32_t)i;
    }
    system->on_trap = unprotect;
    return prepare_pages(base, error);
}

static void run_appel2(struct operations *base) {
    struct ultrix_system *system = system_of(base);
    const uint64_t pages = system->plan.pages;
    protect(system, 0, pages, ULTRIX_NO_ACCESS);
    for (uint64_t i = 0; i < pages; i++) {
        uint32_t *other = &system->permutation[i + random_below(system->order, pages - i)];
        const uint32_t page = *other;
        *other = system->permutation[i];
        system->permutation[i] = page;
        (void)touch(system, page);
    }
}

/* ---- communication, there and back ---- */

static void run_pipe(struct operations *base) {
    struct ultrix_system *system = system_of(base);
    uint32_t word = 1;
    ultrix_write(system->measured, system->requests, &word, 1);
    (void)ultrix_read(system->measured, system->replies, &word, 1);
}

/* Counts on in shared memory, tells the other by a signal and waits for its own: there is
 * no other way to give the processor to a process by name. */
static void count_on(struct ultrix_process *process, struct ultrix_process *other) {
    struct r3000 *cpu = process->ultrix->cpu;
    uint32_t counter = 0;
    process->masked = UINT32_C(1) << ULTRIX_SIGUSR; /* it has called sigblock, once */
    (void)r3000_load(cpu, ULTRIX_SHARED_AT, 4, &counter);
    (void)r3000_store(cpu, ULTRIX_SHARED_AT, 4, counter + 1);
    ultrix_kill(process, other, ULTRIX_SIGUSR);
    ultrix_sigpause(process);
}

static void run_counter(struct operations *base) {
    const struct ultrix_system *system = system_of(base);
    count_on(system->measured, system->peer);
}

static bool uses_counter(const struct ultrix_system *system) {
    for (size_t i = 0; i < system->plan.count; i++) {
        if (system->plan.sequence[i]->run == run_counter) {
            return true;
        }
    }
    return false;
}

/* It serves one of the two: a process waits in one place. */
void ultrix_peer_main(struct ultrix_process *process) {
    const struct ultrix_system *system = process->state;
    const bool counts = uses_counter(system);
    for (;;) {
        uint32_t word = 0;
        if (counts) {
            count_on(process, system->measured);
        } else {
            (void)ultrix_read(process, system->requests, &word, 1);
            ultrix_write(process, system->replies, &word, 1);
        }
    }
}

/* The peer does not serve both. */
static enum error_code prepare_pipe(struct operations *base, struct error *error) {
    return uses_counter(system_of(base))
               ? error_set(error, ERR_UNSUPPORTED, "kernel.operation: pipe and shm are not measured in one list")
               : OK;
}

/* ---- a datagram to the far end and back ---- */

/* Its first word counts the wire's crossings. */
void ultrix_run_udp(struct operations *base) {
    struct ultrix_system *system = system_of(base);
    uint32_t words[ULTRIX_DATAGRAM_WORDS] = {0};
    do {
        words[0]++;
        ultrix_sendto(system->measured, system->net, words);
        ultrix_recvfrom(system->measured, system->net, words);
    } while (words[0] < 2 * system->plan.round_trips);
}

void ultrix_answer_udp(struct ultrix_system *system) {
    uint32_t words[ULTRIX_DATAGRAM_WORDS] = {0};
    for (;;) {
        ultrix_recvfrom(system->measured, system->net, words);
        words[0]++;
        ultrix_sendto(system->measured, system->net, words);
    }
}

const struct operation ultrix_operations[] = {
    {"procedure_call", "a call of an empty procedure", NULL, run_procedure_call},
    {"getpid", "a null system call", NULL, run_getpid},
    {"getpid_stack", "the same: a system call sets a kernel stack up whether it needs one or not", NULL, run_getpid},
    {"exception_unaligned", "an unaligned load, as a signal", prepare_pages, run_unaligned},
    {"exception_overflow", "an arithmetic overflow, as a signal", NULL, run_overflow},
    {"exception_coprocessor", "an instruction of an unusable coprocessor, as a signal", NULL, run_coprocessor},
    {"exception_protection", "a store to a read-only page, as a signal", prepare_read_only, run_protection},
    {"prot1", "a page protected from reading", prepare_pages, run_prot1},
    {"protect_pages", "`pages` pages protected from reading, in one call", prepare_pages, run_protect_pages},
    {"unprotect_pages", "`pages` pages unprotected, in one call", prepare_pages, run_unprotect_pages},
    {"trap", "an access to a protected page, as a signal", prepare_trap, run_trap},
    {"appel1", "a protected page accessed, its handler protecting another and unprotecting it", prepare_appel1,
     run_appel1},
    {"appel2", "`pages` pages protected, each accessed in random order, and unprotected", prepare_appel2, run_appel2},
    {"cycle", "a load from the next of `pages` pages, again and again, in fewer frames", ultrix_prepare_cycle,
     ultrix_run_cycle},
    {"collect", "a collection of a heap of two semispaces of `pages` pages in all, and the allocations until the next",
     ultrix_prepare_collect, ultrix_run_collect},
    {"compute_library_fault", "1/64 s of computing beside two programs, of which one's library has a fault", NULL,
     ultrix_run_compute_library_fault},
    {"compute_kernel_fault", "the same, and the fault is in the kernel", NULL, ultrix_run_compute_kernel_fault},
    {"pipe", "a word through a pipe, and one back", prepare_pipe, run_pipe},
    {"shm", "a counter in shared memory counted on by turns, there and back", NULL, run_counter},
    {"udp", "`round_trips` datagrams to the far end of the wire and back", NULL, ultrix_run_udp},
    {0}};
