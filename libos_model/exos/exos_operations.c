/* exos_operations.c: what can be measured: each operation as a program would do it. */
#include <stdlib.h>

#include "kernel_model/exo/aegis_user.h"
#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/name_space.h"
#include "kernel_model/exo/transfer.h"
#include "libos_model/exos/exos.h"
#include "libos_model/exos/pmap.h"

static struct exos_system *system_of(struct operations *base) {
    return (struct exos_system *)base;
}

void exos_step(const struct exos_system *system, struct cost *cost) {
    cost->uses++;
    aegis_user_execute(system->measured, cost->cycles);
}

/* ---- Table 4 ---- */

static void run_procedure_call(struct operations *base) {
    struct exos_system *system = system_of(base);
    exos_step(system, &system->profile.exos.procedure_call);
}

static void run_getpid(struct operations *base) {
    (void)aegis_number(system_of(base)->measured, false);
}

static void run_getpid_stack(struct operations *base) {
    (void)aegis_number(system_of(base)->measured, true);
}

/* ---- Table 5: an exception goes to the application, which skips the instruction ---- */

/* A page that may be read, and not written; its exceptions go past the library. */
static enum error_code prepare_page(struct operations *base, struct error *error) {
    struct exos_system *system = system_of(base);
    const enum error_code code = exos_vm_grow(&system->vm, 1, error);
    if (code == OK) {
        system->own_handler = true;
        exos_vm_protect(&system->vm, EXOS_DATA_AT, 1, AEGIS_READ_ONLY);
    }
    return code;
}

static void run_unaligned(struct operations *base) {
    uint32_t value = 0;
    (void)aegis_user_load(system_of(base)->measured, EXOS_DATA_AT + 1, 4, &value);
}

static void run_overflow(struct operations *base) {
    int32_t sum = 0;
    (void)aegis_user_add(system_of(base)->measured, INT32_MAX, 1, &sum);
}

static void run_coprocessor(struct operations *base) {
    (void)aegis_user_coprocessor(system_of(base)->measured, 1);
}

static void run_protection(struct operations *base) {
    (void)aegis_user_store(system_of(base)->measured, EXOS_DATA_AT, 4, 1);
}

/* ---- Table 6: to the partner and back ---- */

static void run_transfer(struct operations *base) {
    struct exos_system *system = system_of(base);
    const enum error_code code =
        aegis_transfer(system->measured, system->partner->environment->number, AEGIS_SYNCHRONOUS);
    SIM_ASSERT_MSG(code == OK, "the partner cannot be entered");
}

/* Answers each transfer with the registers as they are. */
static void partner_entered(struct aegis_environment *environment) {
    const struct exos_system *system = environment->state;
    const enum error_code code = exos_start(environment, &system->profile.vm, NULL);
    SIM_ASSERT_MSG(code == OK, "the partner cannot begin");
    while (aegis_transfer(environment, system->measured->environment->number, AEGIS_SYNCHRONOUS) == OK) {
    }
}

const struct aegis_program exos_partner_program = {.name = "partner", .entered = partner_entered};

/* ---- a working set ---- */

static enum error_code prepare_walk(struct operations *base, struct error *error) {
    return exos_vm_grow(&system_of(base)->vm, system_of(base)->plan.pages, error);
}

static void run_walk(struct operations *base) {
    const struct exos_system *system = system_of(base);
    uint32_t value = 0;
    for (uint64_t i = 0; i < system->plan.pages; i++) {
        (void)aegis_user_load(system->measured, EXOS_DATA_AT + (uint32_t)i * AEGIS_PAGE, 4, &value);
    }
}

/* Every line of a data cache with lines of that size. */
static void run_scan(struct operations *base) {
    enum { LINE_BYTES = 16 };
    const struct exos_system *system = system_of(base);
    uint32_t value = 0;
    for (uint32_t at = 0; at < system->plan.pages * AEGIS_PAGE; at += LINE_BYTES) {
        (void)aegis_user_load(system->measured, EXOS_DATA_AT + at, 4, &value);
    }
}

/* ---- a page's rights ---- */

/* Below the library's protection: the one page's translation alone. */
static enum error_code prepare_protect(struct operations *base, struct error *error) {
    return exos_vm_grow(&system_of(base)->vm, 1, error);
}

static void run_protect(struct operations *base) {
    struct exos_vm *vm = &system_of(base)->vm;
    vm->pmap->bind(vm, EXOS_DATA_AT, false);
    vm->pmap->bind(vm, EXOS_DATA_AT, true);
}

/* ---- two sets of addresses ---- */

static enum error_code prepare_name_space(struct operations *base, struct error *error) {
    struct exos_system *system = system_of(base);
    struct aegis_environment *environment = system->measured;
    struct exo_handle handle;
    uint64_t physical = 0;
    enum error_code code = exos_vm_grow(&system->vm, 1, error);
    code = code == OK ? aegis_name_space_create(environment, &system->name_space, error) : code;
    code = code == OK ? aegis_frame_allocate(environment, 0, AEGIS_ANY_COLOR, &handle, &physical, error) : code;
    code = code == OK ? aegis_name_space_enter(environment, system->name_space, error) : code;
    code = code == OK ? aegis_tlb_insert(environment, EXOS_DATA_AT, &handle, true, error) : code;
    return code == OK ? aegis_name_space_enter(environment, environment->home, error) : code;
}

static void run_name_space(struct operations *base) {
    const struct exos_system *system = system_of(base);
    uint32_t value = 0;
    (void)aegis_name_space_enter(system->measured, system->name_space, NULL);
    (void)aegis_user_load(system->measured, EXOS_DATA_AT, 4, &value);
    (void)aegis_name_space_enter(system->measured, system->measured->home, NULL);
}

const struct operation exos_operations[] = {
    {"procedure_call", "a call of an empty procedure", NULL, run_procedure_call},
    {"getpid", "a system call that needs no kernel stack", NULL, run_getpid},
    {"getpid_stack", "a system call that sets a kernel stack up", NULL, run_getpid_stack},
    {"exception_unaligned", "an unaligned load, handled by the application", prepare_page, run_unaligned},
    {"exception_overflow", "an arithmetic overflow, handled by the application", NULL, run_overflow},
    {"exception_coprocessor", "an instruction of an unusable coprocessor, handled by the application", NULL,
     run_coprocessor},
    {"exception_protection", "a store to a read-only page, handled by the application", prepare_page, run_protection},
    {"transfer", "a protected control transfer to another environment, and one back", NULL, run_transfer},
    {"name_space", "another name space of the environment's entered, a load there, and back", prepare_name_space,
     run_name_space},
    {"walk", "a load from each of `pages` pages", prepare_walk, run_walk},
    {"scan", "a load from every 16 bytes of `pages` pages", prepare_walk, run_scan},
    {"cycle", "a load from the next of `pages` pages, again and again, in fewer frames", exos_prepare_cycle,
     exos_run_cycle},
    {"collect", "a collection of a heap of two semispaces of `pages` pages in all, and the allocations until the next",
     exos_prepare_collect, exos_run_collect},
    {"protect", "the right to write a page taken away, and given back", prepare_protect, run_protect},
    {"dirty", "whether a page is dirty", exos_prepare_pages, exos_run_dirty},
    {"prot1", "a page protected from reading", exos_prepare_pages, exos_run_protect_one},
    {"protect_pages", "`pages` pages protected from reading, in one call", exos_prepare_pages, exos_run_protect_all},
    {"unprotect_pages", "`pages` pages unprotected, in one call", exos_prepare_pages, exos_run_unprotect_all},
    {"reprotect", "`pages` pages protected from reading in one call, and unprotected in another", exos_prepare_pages,
     exos_run_reprotect},
    {"trap", "an access to a protected page, handled by the application", exos_prepare_trap, exos_run_trap},
    {"appel1", "a protected page accessed, its handler protecting another and unprotecting it", exos_prepare_appel1,
     exos_run_appel1},
    {"appel2", "`pages` pages protected, each accessed in random order, and unprotected", exos_prepare_appel2,
     exos_run_appel2},
    {"pipe", "a word through a pipe, and one back", NULL, exos_run_pipe},
    {"pipe_inlined", "the same with the pipe's procedures expanded in line", NULL, exos_run_pipe_inlined},
    {"pipe_checked", "the same between two who do not trust each other: a page each, positions checked", NULL,
     exos_run_pipe_checked},
    {"pipe_one_way", "the same with one who is trusted, and does not trust: it alone checks positions", NULL,
     exos_run_pipe_one_way},
    {"shm", "a counter in shared memory counted on by turns, there and back", NULL, exos_run_counter},
    {"lrpc", "a call of a server that is not trusted with registers, and its reply", NULL, exos_run_call},
    {"compute", "a slice's worth of computing, with `tickets` of six under a stride scheduler", NULL, exos_run_compute},
    {"compute_beside_overrunner", "the same with a slice of its own, beside a program that hangs in the end", NULL,
     exos_run_compute_beside_overrunner},
    {"compute_library_fault", "1/64 s of computing beside two programs, of which one's library has a fault", NULL,
     exos_run_compute_library_fault},
    {"compute_kernel_fault", "the same, and the fault is in the kernel", NULL, exos_run_compute_kernel_fault},
    {"need_frame", "a frame, when a program has them all that gives back what it is asked for", NULL,
     exos_run_need_frame},
    {"need_frame_of_deaf", "a frame, when a program has them all that does not answer", NULL,
     exos_run_need_frame_of_deaf},
    {"tlrpc", "a call of a server that is", NULL, exos_run_trusting_call},
    {"udp", "`round_trips` datagrams to the far end of the wire and back", NULL, exos_run_udp},
    {0}};
