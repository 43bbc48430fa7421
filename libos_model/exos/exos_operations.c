/* exos_operations.c: what can be measured: each operation as a program would do it. */
#include <stdlib.h>

#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/transfer.h"
#include "libos_model/exos/exos.h"

static struct exos_system *system_of(struct operations *base) {
    return (struct exos_system *)base;
}

static void step(const struct exos_system *system, struct cost *cost) {
    cost->uses++;
    r3000_execute(system->aegis->cpu, cost->cycles);
}

/* ---- the measured program's pages ---- */

/* At least `count` pages, the first of them bound with that right. */
static enum error_code pages_make(struct exos_system *system, uint64_t count, bool write, struct error *error) {
    enum error_code code = OK;
    if (count > system->page_count) {
        system->pages = realloc(system->pages, count * sizeof *system->pages);
        SIM_ASSERT(system->pages != NULL);
    }
    for (uint64_t i = 0; i < count && code == OK; i++) {
        struct exos_page *page = &system->pages[i];
        uint64_t physical = 0;
        if (i == system->page_count) {
            code = aegis_frame_allocate(system->measured, 0, AEGIS_ANY_COLOR, &page->handle, &physical, error);
            system->page_count += code == OK ? 1 : 0;
        }
        page->write = write;
        if (code == OK) {
            code = aegis_tlb_insert(system->measured, EXOS_DATA_AT + (uint32_t)i * AEGIS_PAGE, &page->handle, write,
                                    error);
        }
    }
    return code;
}

bool exos_page_fault(struct exos_system *system, const struct aegis_exception *exception) {
    const uint64_t index = ((uint64_t)exception->bad_address - EXOS_DATA_AT) / AEGIS_PAGE;
    const bool missing = exception->code == R3000_TLBL || exception->code == R3000_TLBS;
    if (!missing || exception->bad_address < EXOS_DATA_AT || index >= system->page_count) {
        return false;
    }
    step(system, &system->profile.exos.page_lookup);
    return aegis_tlb_insert(system->measured, exception->bad_address, &system->pages[index].handle,
                            system->pages[index].write, NULL) == OK;
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
    return pages_make(system_of(base), 1, false, error);
}

static void run_unaligned(struct operations *base) {
    uint32_t value = 0;
    (void)r3000_load(system_of(base)->aegis->cpu, EXOS_DATA_AT + 1, 4, &value);
}

static void run_overflow(struct operations *base) {
    int32_t sum = 0;
    (void)r3000_add(system_of(base)->aegis->cpu, INT32_MAX, 1, &sum);
}

static void run_coprocessor(struct operations *base) {
    (void)r3000_coprocessor(system_of(base)->aegis->cpu, 1);
}

static void run_protection(struct operations *base) {
    (void)r3000_store(system_of(base)->aegis->cpu, EXOS_DATA_AT, 4, 1);
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

/* ---- a working set ---- */

static enum error_code prepare_walk(struct operations *base, struct error *error) {
    return pages_make(system_of(base), system_of(base)->plan.pages, true, error);
}

static void run_walk(struct operations *base) {
    const struct exos_system *system = system_of(base);
    uint32_t value = 0;
    for (uint64_t i = 0; i < system->plan.pages; i++) {
        (void)r3000_load(system->aegis->cpu, EXOS_DATA_AT + (uint32_t)i * AEGIS_PAGE, 4, &value);
    }
}

/* ---- a page's rights ---- */

static enum error_code prepare_protect(struct operations *base, struct error *error) {
    return pages_make(system_of(base), 1, true, error);
}

static void set_right(struct exos_system *system, bool write) {
    system->pages[0].write = write;
    step(system, &system->profile.exos.page_lookup);
    const enum error_code code =
        aegis_tlb_insert(system->measured, EXOS_DATA_AT, &system->pages[0].handle, write, NULL);
    SIM_ASSERT(code == OK);
}

static void run_protect(struct operations *base) {
    set_right(system_of(base), false);
    set_right(system_of(base), true);
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
    {"walk", "a load from each of `pages` pages", prepare_walk, run_walk},
    {"protect", "the right to write a page taken away, and given back", prepare_protect, run_protect},
    {0}};
