/* r3000_execute.c: instructions, memory accesses and exceptions. */
#include "hw/r3000/r3000.h"
#include "hw/r3000/r3000_internal.h"

/* ---- what takes time ---- */

static void charge(struct r3000 *cpu, uint64_t cycles) {
    struct context *context = context_current();
    if (context != NULL && cycles > 0) {
        cpu->cycles += cycles;
        cpu_charge(context, cycles);
    }
}

static void settle(void) {
    struct context *context = context_current();
    if (context != NULL) {
        cpu_run(context);
    }
}

/* An interrupt has displaced the running context between two instructions: what it
 * works for waits (an empty charge names it) until it has the core again. */
static void stand_aside(void) {
    struct context *context = context_current();
    if (context != NULL) {
        cpu_charge(context, 0);
        cpu_run(context);
    }
}

void r3000_execute(struct r3000 *cpu, uint64_t count) {
    const uint64_t executed = context_current() != NULL ? count : 0;
    cpu->counters.instructions += executed;
    cpu->counters.kernel_instructions += r3000_is_user(cpu) ? 0 : executed;
    charge(cpu, count);
}

/* A load in the data cache; what was at its line's place is replaced. */
static bool hits(struct r3000 *cpu, uint32_t physical) {
    if (cpu->cache_tags == NULL) {
        return true;
    }
    const uint32_t line = physical / (uint32_t)cpu->config.cache_line_bytes;
    uint32_t *tag = &cpu->cache_tags[line % (cpu->config.cache_bytes / cpu->config.cache_line_bytes)];
    const bool hit = *tag == line + 1;
    *tag = line + 1;
    cpu->counters.cache_misses += hit ? 0 : 1;
    return hit;
}

static void charge_load(struct r3000 *cpu, uint32_t physical, bool cached) {
    r3000_execute(cpu, 1);
    cpu->counters.loads++;
    if (!cached) {
        charge(cpu, cpu->config.uncached_cycles);
    } else if (!hits(cpu, physical)) {
        charge(cpu, cpu->config.cache_miss_cycles);
    }
}

/* Every store goes to memory (the caches write through), by way of the write buffer:
 * a full one holds the processor up until memory has taken the oldest. */
static void charge_store(struct r3000 *cpu) {
    if (context_current() == NULL) {
        return;
    }
    r3000_execute(cpu, 1);
    cpu->counters.stores++;
    const uint64_t entries = cpu->config.write_buffer_entries;
    const uint64_t oldest = cpu->writes[cpu->write_next];
    if (oldest > cpu->cycles) {
        cpu->counters.write_stall_cycles += oldest - cpu->cycles;
        charge(cpu, oldest - cpu->cycles);
    }
    const uint64_t last = cpu->writes[(cpu->write_next + entries - 1) % entries];
    cpu->writes[cpu->write_next] = (last > cpu->cycles ? last : cpu->cycles) + cpu->config.write_cycles;
    cpu->write_next = (uint32_t)((cpu->write_next + 1) % entries);
}

/* ---- the kernel's own accesses ---- */

static uint32_t unmapped(const struct r3000 *cpu, uint32_t address) {
    SIM_ASSERT_MSG(address >= R3000_KSEG0 && address < R3000_KSEG2 && address % 4 == 0 &&
                       memory_contains(cpu->memory, address & R3000_UNMAPPED_MASK, 4),
                   "%s: the kernel accesses 0x%x", cpu->name, address);
    return address & R3000_UNMAPPED_MASK;
}

uint32_t r3000_kernel_load(struct r3000 *cpu, uint32_t address) {
    const uint32_t physical = unmapped(cpu, address);
    charge_load(cpu, physical, address < R3000_KSEG1);
    return memory_read32(cpu->memory, physical);
}

void r3000_kernel_store(struct r3000 *cpu, uint32_t address, uint32_t value) {
    const uint32_t physical = unmapped(cpu, address);
    charge_store(cpu);
    memory_write32(cpu->memory, physical, value);
}

/* ---- exceptions ---- */

void r3000_enter(struct r3000 *cpu, enum r3000_code code) {
    const uint32_t stack = cpu->status & R3000_STATUS_STACK;
    cpu->status = (cpu->status & ~R3000_STATUS_STACK) | (stack << 2 & R3000_STATUS_STACK);
    cpu->cause = (cpu->cause & ~(R3000_CAUSE_CODE | R3000_CAUSE_COPROCESSOR)) |
                 ((uint32_t)code << R3000_CAUSE_CODE_SHIFT & R3000_CAUSE_CODE);
    cpu->counters.exceptions[code]++;
    if (cpu->vectors.entering != NULL && context_current() != NULL) {
        cpu->vectors.entering(cpu->vectors.os, cpu);
    }
    charge(cpu, cpu->config.exception_cycles);
}

static enum r3000_resume raise_fault(struct r3000 *cpu, enum r3000_code code, uint32_t address, bool refill) {
    SIM_ASSERT_MSG(cpu->vectors.general != NULL, "%s: an exception, and no vectors", cpu->name);
    cpu->bad_address = address;
    cpu->context = (cpu->context & R3000_CONTEXT_BASE) |
                   (address >> R3000_PAGE_BITS << R3000_CONTEXT_VPN_SHIFT & R3000_CONTEXT_VPN);
    if (code == R3000_TLBL || code == R3000_TLBS || code == R3000_MOD) {
        cpu->entry_hi = (address & R3000_HI_VPN) | (cpu->entry_hi & R3000_HI_ASID);
    }
    cpu->counters.refills += refill ? 1 : 0;
    r3000_enter(cpu, code);
    return refill ? cpu->vectors.refill(cpu->vectors.os, cpu) : cpu->vectors.general(cpu->vectors.os, cpu);
}

static enum r3000_resume raise_coprocessor(struct r3000 *cpu, unsigned number) {
    r3000_enter(cpu, R3000_CPU);
    cpu->cause |= (uint32_t)number << R3000_CAUSE_COPROCESSOR_SHIFT & R3000_CAUSE_COPROCESSOR;
    return cpu->vectors.general(cpu->vectors.os, cpu);
}

/* ---- interrupts ---- */

static bool is_let_through(const struct r3000 *cpu) {
    return (cpu->status & R3000_STATUS_IE_CURRENT) != 0 && (cpu->cause & cpu->status & R3000_CAUSE_PENDING) != 0;
}

static void take_interrupt(struct r3000 *cpu) {
    const uint32_t stack = cpu->status & R3000_STATUS_STACK;
    cpu->status = (cpu->status & ~R3000_STATUS_STACK) | (stack << 2 & R3000_STATUS_STACK);
    cpu->cause &= ~R3000_CAUSE_CODE;
    cpu->counters.interrupts++;
    cpu->vectors.interrupt(cpu->vectors.os, cpu);
}

void r3000_raise(struct r3000 *cpu, unsigned line) {
    SIM_ASSERT(line < R3000_LINES);
    cpu->cause |= UINT32_C(1) << (R3000_CAUSE_PENDING_SHIFT + line);
    if (is_let_through(cpu)) {
        take_interrupt(cpu);
    }
}

void r3000_acknowledge(struct r3000 *cpu, unsigned line) {
    cpu->cause &= ~(UINT32_C(1) << (R3000_CAUSE_PENDING_SHIFT + line));
}

void r3000_on_pin(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)core, (void)raised, (void)awake;
    r3000_raise(os, vector % R3000_LINES);
}

static void pop_status(struct r3000 *cpu) {
    const uint32_t stack = cpu->status & R3000_STATUS_STACK;
    cpu->status = (cpu->status & ~(R3000_STATUS_STACK & ~R3000_STATUS_OLD)) | stack >> 2;
}

void r3000_rfe(struct r3000 *cpu) {
    r3000_execute(cpu, 1);
    settle();
    pop_status(cpu);
    if (is_let_through(cpu)) {
        take_interrupt(cpu);
        stand_aside();
    }
}

void r3000_leave_to(struct r3000 *cpu, struct context *next) {
    core_dispatch(cpu->core, CORE_THREAD, next);
    pop_status(cpu);
    if (is_let_through(cpu)) {
        take_interrupt(cpu);
    }
}

void r3000_interrupt_begin(struct r3000 *cpu, struct context *context) {
    cpu->cycles += cpu->config.exception_cycles;
    cpu_charge(context, cpu->config.exception_cycles);
}

/* Nothing happens between the last look at the lines and leaving the core: what is
 * raised later meets an idle interrupt level. */
void r3000_interrupt_return(struct r3000 *cpu, struct context *context) {
    r3000_execute(cpu, 1);
    cpu_run(context);
    pop_status(cpu);
    if (is_let_through(cpu)) {
        take_interrupt(cpu); /* the same context again: it stays on the core */
        return;
    }
    cpu_block(context);
}

/* ---- user mode ---- */

/* Until it succeeds, or is skipped. */
static bool reach(struct r3000 *cpu, uint32_t address, uint32_t size_bytes, bool write, uint32_t *physical,
                  bool *cached) {
    SIM_ASSERT_MSG(size_bytes == 1 || size_bytes == 2 || size_bytes == 4, "an access of %u bytes", size_bytes);
    for (;;) {
        settle();
        bool refill = false;
        enum r3000_code code = R3000_INT;
        if (address % size_bytes != 0) {
            code = write ? R3000_ADES : R3000_ADEL;
        } else {
            code = r3000_translate(cpu, address, write, physical, cached, &refill);
        }
        if (code == R3000_INT && !memory_contains(cpu->memory, *physical, size_bytes)) {
            code = R3000_DBE;
        }
        if (code == R3000_INT) {
            return true;
        }
        r3000_execute(cpu, 1);
        if (raise_fault(cpu, code, address, refill) == R3000_SKIP) {
            return false;
        }
    }
}

bool r3000_load(struct r3000 *cpu, uint32_t address, uint32_t size_bytes, uint32_t *value) {
    uint32_t physical = 0;
    bool cached = true;
    *value = 0;
    if (!reach(cpu, address, size_bytes, false, &physical, &cached)) {
        return false;
    }
    charge_load(cpu, physical, cached);
    for (uint32_t i = size_bytes; i > 0; i--) {
        *value = *value << 8 | *memory_at(cpu->memory, physical + i - 1);
    }
    return true;
}

bool r3000_store(struct r3000 *cpu, uint32_t address, uint32_t size_bytes, uint32_t value) {
    uint32_t physical = 0;
    bool cached = true;
    if (!reach(cpu, address, size_bytes, true, &physical, &cached)) {
        return false;
    }
    charge_store(cpu);
    uint8_t bytes[4];
    for (uint32_t i = 0; i < size_bytes; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    memory_write(cpu->memory, physical, bytes, size_bytes);
    return true;
}

bool r3000_add(struct r3000 *cpu, int32_t a, int32_t b, int32_t *sum) {
    const int64_t exact = (int64_t)a + b;
    for (;;) {
        settle();
        r3000_execute(cpu, 1);
        if (exact >= INT32_MIN && exact <= INT32_MAX) {
            *sum = (int32_t)exact;
            return true;
        }
        if (raise_fault(cpu, R3000_OV, 0, false) == R3000_SKIP) {
            return false;
        }
    }
}

bool r3000_coprocessor(struct r3000 *cpu, unsigned number) {
    SIM_ASSERT(number >= 1 && number <= 3);
    for (;;) {
        settle();
        r3000_execute(cpu, 1);
        if ((cpu->status & R3000_STATUS_COPROCESSOR(number)) != 0) {
            return true;
        }
        if (raise_coprocessor(cpu, number) == R3000_SKIP) {
            return false;
        }
    }
}
