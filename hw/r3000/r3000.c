/* r3000.c: the processor's life, its TLB, its timer and its counters. */
#include "hw/r3000/r3000.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/machine.h"
#include "hw/r3000/r3000_internal.h"

const struct param r3000_params[] = {
    {"tlb_entries", PARAM_INTEGER, offsetof(struct r3000_config, tlb_entries), "64", "2", "64", NULL,
     "entries of the TLB, fully associative; R3000: 64"},
    {"tlb_wired", PARAM_INTEGER, offsetof(struct r3000_config, tlb_wired), "8", "0", "63", NULL,
     "entries that Random never names; R3000: 8"},
    {"exception_cycles", PARAM_CYCLES, offsetof(struct r3000_config, exception_cycles), "3 cycles", "0 cycles",
     "100 cycles", NULL, "instructions behind the faulting one that are annulled (assumed, 2 to 5)"},
    {"uncached_cycles", PARAM_CYCLES, offsetof(struct r3000_config, uncached_cycles), "15 cycles", "0 cycles",
     "1000 cycles", NULL, "stall of a load that no cache serves (assumed, 8 to 30)"},
    {"write_buffer_entries", PARAM_INTEGER, offsetof(struct r3000_config, write_buffer_entries), "4", "1", "16", NULL,
     "stores that wait for memory before the processor does (assumed, 4 to 6)"},
    {"write_cycles", PARAM_CYCLES, offsetof(struct r3000_config, write_cycles), "5 cycles", "0 cycles", "100 cycles",
     NULL, "memory's time for a store (assumed, 2 to 10)"},
    {"cache", PARAM_BYTES, offsetof(struct r3000_config, cache_bytes), "0 B", "0 B", "1 MiB", NULL,
     "a direct-mapped data cache of that size; 0: every load hits, as the tables' warm ones do"},
    {"cache_line", PARAM_BYTES, offsetof(struct r3000_config, cache_line_bytes), "16 B", "4 B", "128 B", NULL,
     "its lines; size and line are powers of two"},
    {"cache_miss_cycles", PARAM_CYCLES, offsetof(struct r3000_config, cache_miss_cycles), "15 cycles", "0 cycles",
     "1000 cycles", NULL, "stall of a load that misses it (assumed, 10 to 30)"},
    {0}};

static void on_tick(void *context);

struct r3000 *r3000_create(struct machine *machine, struct core *core, const struct r3000_config *config) {
    struct r3000 *cpu = calloc(1, sizeof *cpu);
    SIM_ASSERT(cpu != NULL && config->tlb_wired < config->tlb_entries);
    cpu->config = *config;
    cpu->core = core;
    cpu->memory = machine->memory;
    if (config->cache_bytes > 0) {
        SIM_ASSERT(config->cache_bytes >= config->cache_line_bytes);
        cpu->cache_tags = calloc(config->cache_bytes / config->cache_line_bytes, sizeof *cpu->cache_tags);
        SIM_ASSERT(cpu->cache_tags != NULL);
    }
    (void)snprintf(cpu->name, sizeof cpu->name, "r3000.%u", core_index(core));
    interval_init(&cpu->timer, on_tick, cpu);
    core_set_interrupt_handler(core, r3000_on_pin, cpu);
    return cpu;
}

void r3000_free(struct r3000 *cpu) {
    if (cpu != NULL) {
        interval_stop(&cpu->timer);
        free(cpu->cache_tags);
        free(cpu);
    }
}

void r3000_boot(struct r3000 *cpu, const struct r3000_vectors *vectors) {
    cpu->vectors = *vectors;
    core_set_interrupt_handler(cpu->core, r3000_on_pin, cpu);
    cpu->status = R3000_STATUS_MASK | R3000_STATUS_IE_PREVIOUS | R3000_STATUS_USER_PREVIOUS;
}

/* ---- the TLB ---- */

/* An entry matches if its page does and its ASID does or need not. The hardware
 * compares all at once, and shuts the TLB down when two match. */
static int find(struct r3000 *cpu, uint32_t hi) {
    int found = -1;
    for (int i = 0; i < (int)cpu->config.tlb_entries; i++) {
        const struct r3000_tlb_entry *entry = &cpu->tlb[i];
        const uint32_t differ = entry->hi ^ hi;
        if ((differ & R3000_HI_VPN) != 0 || ((entry->lo & R3000_LO_GLOBAL) == 0 && (differ & R3000_HI_ASID) != 0)) {
            continue;
        }
        if (found >= 0 && (entry->lo & cpu->tlb[found].lo & R3000_LO_VALID) != 0) {
            cpu->status |= R3000_STATUS_TLB_SHUTDOWN;
            cpu->counters.tlb_shutdowns++;
        }
        if (found < 0 || (cpu->tlb[found].lo & R3000_LO_VALID) == 0) {
            found = i;
        }
    }
    return found;
}

void r3000_tlbp(struct r3000 *cpu) {
    r3000_execute(cpu, 1);
    const int found = find(cpu, cpu->entry_hi);
    cpu->index = found < 0 ? R3000_INDEX_PROBE_FAILED : (uint32_t)found << R3000_INDEX_SHIFT;
}

void r3000_tlbr(struct r3000 *cpu) {
    r3000_execute(cpu, 1);
    const struct r3000_tlb_entry entry = cpu->tlb[(cpu->index & R3000_INDEX) >> R3000_INDEX_SHIFT];
    cpu->entry_hi = entry.hi;
    cpu->entry_lo = entry.lo;
}

static void write_entry(struct r3000 *cpu, uint32_t index) {
    SIM_ASSERT_MSG(index < cpu->config.tlb_entries, "%s: TLB entry %u", cpu->name, index);
    cpu->tlb[index] = (struct r3000_tlb_entry){
        cpu->entry_hi & (R3000_HI_VPN | R3000_HI_ASID),
        cpu->entry_lo & (R3000_LO_PFN | R3000_LO_NONCACHEABLE | R3000_LO_DIRTY | R3000_LO_VALID | R3000_LO_GLOBAL)};
    cpu->counters.tlb_writes++;
}

void r3000_tlbwi(struct r3000 *cpu) {
    r3000_execute(cpu, 1);
    write_entry(cpu, (cpu->index & R3000_INDEX) >> R3000_INDEX_SHIFT);
}

void r3000_tlbwr(struct r3000 *cpu) {
    r3000_execute(cpu, 1);
    write_entry(cpu, r3000_random(cpu) >> R3000_INDEX_SHIFT);
}

uint32_t r3000_random(const struct r3000 *cpu) {
    const uint64_t span = cpu->config.tlb_entries - cpu->config.tlb_wired;
    return (uint32_t)(cpu->config.tlb_entries - 1 - cpu->cycles % span) << R3000_INDEX_SHIFT;
}

void r3000_set_entry_hi(struct r3000 *cpu, uint32_t value) {
    r3000_execute(cpu, 1);
    cpu->entry_hi = value & (R3000_HI_VPN | R3000_HI_ASID);
}

void r3000_set_entry_lo(struct r3000 *cpu, uint32_t value) {
    r3000_execute(cpu, 1);
    cpu->entry_lo = value;
}

enum r3000_code r3000_translate(struct r3000 *cpu, uint32_t address, bool write, uint32_t *physical, bool *cached,
                                bool *refill) {
    const enum r3000_code missing = write ? R3000_TLBS : R3000_TLBL;
    *refill = false;
    *cached = true;
    if (address >= R3000_KSEG0 && r3000_is_user(cpu)) {
        return write ? R3000_ADES : R3000_ADEL;
    }
    if (address >= R3000_KSEG0 && address < R3000_KSEG2) {
        *physical = address & R3000_UNMAPPED_MASK;
        *cached = address < R3000_KSEG1;
        return R3000_INT;
    }
    const int found = find(cpu, (address & R3000_HI_VPN) | (cpu->entry_hi & R3000_HI_ASID));
    if (found < 0) {
        *refill = address < R3000_KSEG0;
        return missing;
    }
    const uint32_t lo = cpu->tlb[found].lo;
    if ((lo & R3000_LO_VALID) == 0) {
        return missing;
    }
    if (write && (lo & R3000_LO_DIRTY) == 0) {
        return R3000_MOD;
    }
    *physical = (lo & R3000_LO_PFN) | (address & ~R3000_HI_VPN);
    *cached = (lo & R3000_LO_NONCACHEABLE) == 0;
    return R3000_INT;
}

/* ---- the interval timer ---- */

static void on_tick(void *context) {
    r3000_raise(context, R3000_TIMER_LINE);
}

void r3000_timer_start(struct r3000 *cpu, sim_time period) {
    interval_start(&cpu->timer, period);
}

/* ---- counters ---- */

void r3000_visit_stats(const struct r3000 *cpu, const struct stats_sink *sink) {
    static const char *const names[R3000_CODES] = {[R3000_MOD] = "exceptions_tlb_modified",
                                                   [R3000_TLBL] = "exceptions_tlb_load",
                                                   [R3000_TLBS] = "exceptions_tlb_store",
                                                   [R3000_ADEL] = "exceptions_address_load",
                                                   [R3000_ADES] = "exceptions_address_store",
                                                   [R3000_DBE] = "exceptions_bus",
                                                   [R3000_SYS] = "system_calls",
                                                   [R3000_CPU] = "exceptions_coprocessor",
                                                   [R3000_OV] = "exceptions_overflow"};
    for (int i = 0; i < R3000_CODES; i++) {
        if (names[i] != NULL) {
            stats_counter(sink, cpu->name, names[i], cpu->counters.exceptions[i]);
        }
    }
    stats_counter(sink, cpu->name, "instructions", cpu->counters.instructions);
    stats_counter(sink, cpu->name, "kernel_instructions", cpu->counters.kernel_instructions);
    stats_counter(sink, cpu->name, "loads", cpu->counters.loads);
    stats_counter(sink, cpu->name, "stores", cpu->counters.stores);
    stats_counter(sink, cpu->name, "write_stall_cycles", cpu->counters.write_stall_cycles);
    stats_counter(sink, cpu->name, "cache_misses", cpu->counters.cache_misses);
    stats_counter(sink, cpu->name, "tlb_refills", cpu->counters.refills);
    stats_counter(sink, cpu->name, "tlb_writes", cpu->counters.tlb_writes);
    stats_counter(sink, cpu->name, "tlb_shutdowns", cpu->counters.tlb_shutdowns);
    stats_counter(sink, cpu->name, "interrupts", cpu->counters.interrupts);
}

void r3000_reset_stats(struct r3000 *cpu) {
    memset(&cpu->counters, 0, sizeof cpu->counters);
}
