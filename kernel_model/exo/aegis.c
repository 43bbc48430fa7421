/* aegis.c: boot, parameters and counters. */
#include "kernel_model/exo/aegis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/aegis_network.h"
#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/revocation.h"
#include "kernel_model/exo/slice.h"

struct aegis_components aegis_components;

#define AEGIS_COST(name, text)                                                                                         \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct aegis_costs, name), .help = text }
const struct param aegis_cost_params[] = {
    AEGIS_COST(system_call, "from the general vector to a call's own code"),
    AEGIS_COST(system_call_stack, "setting a kernel stack up for a call that needs one"),
    AEGIS_COST(exception_dispatch, "from the general vector into the application's handler"),
    AEGIS_COST(stlb_probe, "one look into the software TLB"),
    AEGIS_COST(guaranteed_probe, "comparing one guaranteed mapping"),
    AEGIS_COST(capability_check, "comparing a presented capability with the kernel's"),
    AEGIS_COST(capability_derive, "a slot filled below another"),
    AEGIS_COST(capability_revoke, "a subtree walked; what was bound under it costs its own"),
    AEGIS_COST(name_space_create, "an address-space id for an environment, or its end; what is bound costs its own"),
    AEGIS_COST(name_space_enter, "an environment's addresses are those of another of its name spaces"),
    {.key = "nest",
     .type = PARAM_COST,
     .offset = offsetof(struct aegis_costs, nest),
     .default_text = "0",
     .help = "a virtual machine for an environment's own page tables, where the processor has them"},
    AEGIS_COST(tlb_insert, "recording a binding"),
    AEGIS_COST(tlb_remove, "finding the binding to undo"),
    AEGIS_COST(protect_page, "changing what a bound page allows, in a run of pages"),
    AEGIS_COST(binding_find, "finding a page's binding, to allow what it was made for"),
    AEGIS_COST(frame_allocate, "finding a free frame, and a capability for it"),
    AEGIS_COST(frame_release, "ending a capability of a frame"),
    AEGIS_COST(transfer, "a protected control transfer, one way"),
    AEGIS_COST(slice_allocate, "a position in the vector"),
    AEGIS_COST(slice_tick, "the timer's interrupt: whose slice is next"),
    AEGIS_COST(slice_switch, "choosing and entering the next environment"),
    AEGIS_COST(upcall, "into an environment's notice entry"),
    AEGIS_COST(repossess, "taking one frame by force"),
    {0}};

const struct param aegis_params[] = {
    {"stlb_entries", PARAM_INTEGER, offsetof(struct aegis_config, stlb_entries), "4096", "0", "65536", NULL,
     "entries of the software TLB, 8 bytes each, a power of two; 0: none"},
    {"quantum", PARAM_TIME, offsetof(struct aegis_config, quantum), "15.625 ms", "10 us", "10 s", NULL,
     "length of a time slice (Exokernel, SOSP'95: 15.625 ms)"},
    {"slices", PARAM_INTEGER, offsetof(struct aegis_config, slices), "16", "1", "64", NULL,
     "positions in the vector of time slices"},
    {"epilogue", PARAM_TIME, offsetof(struct aegis_config, epilogue), "200 us", "0 us", "1 s", NULL,
     "what an environment may take to leave at the end of its slice before it overruns (assumed, 50 to 1000 us)"},
    {"excess_threshold", PARAM_INTEGER, offsetof(struct aegis_config, excess_threshold), "8", "1", "1000000", NULL,
     "timer interrupts in one overrun before the environment is destroyed (assumed, 2 to 64)"},
    {"guaranteed_pages", PARAM_INTEGER, offsetof(struct aegis_config, guaranteed_pages), "8", "2", "16", NULL,
     "pages that stay with an environment whatever is revoked (SOSP'95: 5 to 10); its save area is one"},
    {"page_colors", PARAM_INTEGER, offsetof(struct aegis_config, page_colors), "16", "1", "4096", NULL,
     "colors of frames: bytes of the direct-mapped cache by bytes of a page (64 KiB: 16)"},
    {"packet_handlers", PARAM_BOOL, offsetof(struct aegis_config, packet_handlers), "false", NULL, NULL, NULL,
     "packets may be answered by code that was downloaded into the kernel"},
    {"wake_predicates", PARAM_BOOL, offsetof(struct aegis_config, wake_predicates), "false", NULL, NULL, NULL,
     "who waits for a packet sleeps on a predicate that the kernel evaluates, and does not look for itself"},
    {"revoke_time", PARAM_TIME, offsetof(struct aegis_config, revoke_time), "0 us", "0 us", "10 s", NULL,
     "when no frame is free, who holds most is asked for one, to be given back by then; 0: nobody is asked"},
    {0}};

void aegis_declare_components(void) {
    static const struct ledger_declaration table[] = {{"exo_trap", "cpu", "Into the kernel and out", NULL},
                                                      {"exo_stlb", "cpu", "Software TLB", NULL},
                                                      {"exo_dispatch", "cpu", "Exception dispatch", NULL},
                                                      {"exo_transfer", "cpu", "Protected control transfer", NULL},
                                                      {"exo_binding", "cpu", "Secure bindings", NULL},
                                                      {"exo_slice", "cpu", "Time slices", NULL},
                                                      {"exo_revocation", "cpu", "Revocation", NULL},
                                                      {"exo_network", "cpu", "Packets: driver and rings", NULL},
                                                      {0}};
    ledger_component out[8];
    ledger_declare_all(table, out);
    exo_download_declare_components();
    aegis_components = (struct aegis_components){out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7]};
}

/* ---- life ---- */

static bool boot_memory(struct aegis *aegis) {
    struct frames *frames = aegis->kernel->frames;
    aegis->globals = frames_allocate(frames);
    aegis->free_map = frames_allocate(frames);
    return aegis->globals != 0 && aegis->free_map != 0;
}

const struct aegis_machine *aegis_machine_of(const struct machine *machine) {
    return machine->r3000 != NULL ? &aegis_r3000 : machine->x86 != NULL ? &aegis_x86 : NULL;
}

static enum error_code check(const struct machine *machine, const struct aegis_config *config, struct error *error) {
    enum { FREE_MAP_BITS = MEMORY_FRAME_BYTES * 8 };
    if (aegis_machine_of(machine) == NULL) {
        return error_set(error, ERR_UNSUPPORTED, "aegis needs a machine whose cores are 'r3000' or 'x86'");
    }
    if ((config->stlb_entries & (config->stlb_entries - 1)) != 0) {
        return error_set(error, ERR_RANGE, "stlb_entries: %llu is not a power of two",
                         (unsigned long long)config->stlb_entries);
    }
    if (memory_size(machine->memory) > (uint64_t)FREE_MAP_BITS * MEMORY_FRAME_BYTES) {
        return error_set(error, ERR_RANGE, "aegis needs a machine with at most 128 MiB: one page maps its free frames");
    }
    return OK;
}

struct aegis *aegis_create(struct machine *machine, const struct aegis_config *config, struct aegis_costs *costs,
                           struct error *error) {
    if (check(machine, config, error) != OK) {
        return NULL;
    }
    struct aegis *aegis = calloc(1, sizeof *aegis);
    SIM_ASSERT(aegis != NULL);
    aegis->config = *config;
    aegis->costs = costs;
    aegis->machine = aegis_machine_of(machine);
    aegis->core = machine->cores[0];
    aegis->kernel = exo_kernel_create(machine, &aegis->exo_costs, EXO_IDLE_POLL, error);
    if (aegis->kernel == NULL || !boot_memory(aegis) || aegis->machine->boot(aegis, error) != OK) {
        (void)error_set(error, ERR_EXHAUSTED, "no memory for the exokernel");
        exo_kernel_free(aegis->kernel);
        free(aegis);
        return NULL;
    }
    aegis_binding_init(aegis);
    aegis_slice_init(aegis);
    aegis->interrupt =
        context_create(aegis->core, CORE_INTERRUPT, "aegis.interrupt", NULL, aegis_interrupt_body, aegis);
    return aegis;
}

void aegis_free(struct aegis *aegis) {
    if (aegis == NULL) {
        return;
    }
    while (aegis->environments != NULL) {
        aegis_environment_destroy(aegis->environments);
    }
    while (aegis->graveyard != NULL) {
        struct aegis_environment *dead = aegis->graveyard;
        aegis->graveyard = dead->next;
        free(dead);
    }
    aegis->machine->shutdown(aegis);
    context_kill(aegis->interrupt);
    aegis_network_free(aegis);
    aegis_binding_fini(aegis);
    exo_kernel_free(aegis->kernel);
    free(aegis->slices);
    free(aegis);
}

void aegis_start(struct aegis *aegis) {
    aegis->since = sim_now();
    aegis->machine->timer_start(aegis, aegis->config.quantum);
    struct aegis_environment *first = aegis_next(aegis, NULL);
    if (first != NULL) {
        aegis_account(aegis, first);
        aegis_switch(aegis, first);
        aegis->machine->leave_to(aegis, aegis_turn(first, AEGIS_SLICE_BEGIN));
    } else {
        aegis->machine->leave_to(aegis, NULL);
    }
}

/* ---- counters ---- */

static void visit_counters(const struct stats_sink *sink, const char *instance, const struct aegis_counters *counters) {
    stats_counter(sink, instance, "exceptions_dispatched", counters->exceptions);
    stats_counter(sink, instance, "tlb_upcalls", counters->tlb_upcalls);
    stats_counter(sink, instance, "guaranteed_hits", counters->guaranteed_hits);
    stats_counter(sink, instance, "transfers", counters->transfers);
    stats_counter(sink, instance, "yields", counters->yields);
    stats_counter(sink, instance, "slices", counters->slices);
    stats_counter(sink, instance, "overruns", counters->overruns);
    stats_counter(sink, instance, "excess_ticks", counters->excess_ticks);
    stats_counter(sink, instance, "slices_forfeited", counters->forfeited);
    stats_counter(sink, instance, "frames_repossessed", counters->repossessed);
    stats_counter(sink, instance, "notices", counters->notices);
    stats_counter(sink, instance, "sleeps", counters->sleeps);
    stats_counter(sink, instance, "predicates_evaluated", counters->predicates);
}

void aegis_visit_stats(const struct aegis *aegis, const struct stats_sink *sink) {
    exo_visit_stats(aegis->kernel, sink);
    aegis_network_visit_stats(aegis, sink);
    visit_counters(sink, "aegis", &aegis->counters);
    stats_counter(sink, "aegis", "stlb_hits", aegis->stlb.hits);
    stats_counter(sink, "aegis", "stlb_misses", aegis->stlb.misses);
    stats_counter(sink, "aegis", "stlb_inserts", aegis->stlb.inserts);
    stats_counter(sink, "aegis", "stlb_conflicts", aegis->stlb.conflicts);
    stats_counter(sink, "aegis", "environments_destroyed", aegis->destroyed);
    for (const struct aegis_environment *at = aegis->environments; at != NULL; at = at->next) {
        char instance[64];
        (void)snprintf(instance, sizeof instance, "aegis.%s", at->environment->name);
        visit_counters(sink, instance, &at->counters);
        stats_counter(sink, instance, "used_ns", (uint64_t)(at->used / SIM_NS));
        stats_counter(sink, instance, "asid", at->asid);
    }
}

void aegis_reset_stats(struct aegis *aegis) {
    memset(&aegis->counters, 0, sizeof aegis->counters);
    aegis_network_reset_stats(aegis);
    aegis->stlb.hits = aegis->stlb.misses = aegis->stlb.inserts = aegis->stlb.conflicts = 0;
    for (struct aegis_environment *at = aegis->environments; at != NULL; at = at->next) {
        memset(&at->counters, 0, sizeof at->counters);
    }
}
