/* exos_operations.c: what can be measured: each operation as a program would do it. */
#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/transfer.h"
#include "libos_model/exos/exos.h"

enum { DATA_AT = 0x10000000 };

static struct exos_system *system_of(struct operations *base) {
    return (struct exos_system *)base;
}

static void step(const struct exos_system *system, struct cost *cost) {
    cost->uses++;
    r3000_execute(system->aegis->cpu, cost->cycles);
}

/* ---- Table 4 ---- */

static void run_procedure_call(struct operations *base) {
    struct exos_system *system = system_of(base);
    step(system, &system->profile.exos.procedure_call);
}

static void run_getpid(struct operations *base) {
    (void)aegis_number(system_of(base)->measured, false);
}

static void run_getpid_stack(struct operations *base) {
    (void)aegis_number(system_of(base)->measured, true);
}

/* ---- Table 5: an exception goes to the application, which skips the instruction ---- */

/* A page that may be read, and not written. */
static enum error_code prepare_page(struct operations *base, struct error *error) {
    struct exos_system *system = system_of(base);
    enum error_code code =
        system->page_physical != 0
            ? OK
            : aegis_frame_allocate(system->measured, 0, AEGIS_ANY_COLOR, &system->page, &system->page_physical, error);
    return code == OK ? aegis_tlb_insert(system->measured, DATA_AT, &system->page, false, error) : code;
}

static void run_unaligned(struct operations *base) {
    uint32_t value = 0;
    (void)r3000_load(system_of(base)->aegis->cpu, DATA_AT + 1, 4, &value);
}

static void run_overflow(struct operations *base) {
    int32_t sum = 0;
    (void)r3000_add(system_of(base)->aegis->cpu, INT32_MAX, 1, &sum);
}

static void run_coprocessor(struct operations *base) {
    (void)r3000_coprocessor(system_of(base)->aegis->cpu, 1);
}

static void run_protection(struct operations *base) {
    (void)r3000_store(system_of(base)->aegis->cpu, DATA_AT, 4, 1);
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
    while (aegis_transfer(environment, system->measured->environment->number, AEGIS_SYNCHRONOUS) == OK) {
    }
}

const struct aegis_program exos_partner_program = {.name = "partner", .entered = partner_entered};

/* ---- misses of the hardware's TLB that the software TLB serves ---- */

/* Pages enough that each is out of the hardware's TLB when its turn comes again. */
enum { WALK_PAGES = 128 };

static enum error_code prepare_walk(struct operations *base, struct error *error) {
    struct exos_system *system = system_of(base);
    enum error_code code = OK;
    for (uint32_t i = 1; i <= WALK_PAGES && code == OK; i++) {
        struct exo_handle handle;
        uint64_t physical = 0;
        code = aegis_frame_allocate(system->measured, 0, AEGIS_ANY_COLOR, &handle, &physical, error);
        if (code == OK) {
            code = aegis_tlb_insert(system->measured, DATA_AT + i * AEGIS_PAGE, &handle, true, error);
        }
    }
    return code;
}

static void run_walk(struct operations *base) {
    uint32_t value = 0;
    for (uint32_t i = 1; i <= WALK_PAGES; i++) {
        (void)r3000_load(system_of(base)->aegis->cpu, DATA_AT + i * AEGIS_PAGE, 4, &value);
    }
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
    {"walk", "a load from each of 128 pages: more than the hardware's TLB holds", prepare_walk, run_walk},
    {0}};
