/* x86_execute.c: instructions and memory accesses. */
#include "hw/x86/x86.h"
#include "hw/x86/x86_internal.h"

/* ---- what takes time ---- */

void x86_cycles(struct x86 *cpu, uint64_t cycles) {
    struct context *context = context_current();
    (void)cpu;
    if (context != NULL && cycles > 0) {
        cpu_charge(context, cycles);
    }
}

void x86_settle(void) {
    struct context *context = context_current();
    if (context != NULL) {
        cpu_run(context);
    }
}

void x86_execute(struct x86 *cpu, uint64_t cycles) {
    x86_cycles(cpu, cycles);
}

static void charge_access(struct x86 *cpu, uint64_t physical, uint32_t size_bytes, bool write) {
    struct context *context = context_current();
    if (context == NULL) {
        return;
    }
    cpu->counters.loads += write ? 0 : 1;
    cpu->counters.stores += write ? 1 : 0;
    cpu_charge(context, 1);
    cpu_touch(context, physical, size_bytes, write);
}

/* ---- contents: little-endian, within a frame ---- */

static uint64_t read_bytes(struct x86 *cpu, uint64_t physical, uint32_t size_bytes) {
    uint64_t value = 0;
    for (uint32_t i = size_bytes; i > 0; i--) {
        value = value << 8 | *memory_at(cpu->memory, physical + i - 1);
    }
    return value;
}

static void write_bytes(struct x86 *cpu, uint64_t physical, uint32_t size_bytes, uint64_t value) {
    uint8_t bytes[8];
    for (uint32_t i = 0; i < size_bytes; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    memory_write(cpu->memory, physical, bytes, size_bytes);
}

/* ---- the kernel's own accesses ---- */

static uint64_t direct(const struct x86 *cpu, uint64_t address, uint32_t size_bytes) {
    const uint64_t physical = address - X86_DIRECT_MAP;
    SIM_ASSERT_MSG(address >= X86_DIRECT_MAP && address % size_bytes == 0 &&
                       memory_contains(cpu->memory, physical, size_bytes),
                   "%s: the kernel accesses 0x%llx", cpu->name, (unsigned long long)address);
    return physical;
}

uint64_t x86_kernel_load(struct x86 *cpu, uint64_t address, uint32_t size_bytes) {
    const uint64_t physical = direct(cpu, address, size_bytes);
    charge_access(cpu, physical, size_bytes, false);
    return read_bytes(cpu, physical, size_bytes);
}

void x86_kernel_store(struct x86 *cpu, uint64_t address, uint32_t size_bytes, uint64_t value) {
    const uint64_t physical = direct(cpu, address, size_bytes);
    charge_access(cpu, physical, size_bytes, true);
    write_bytes(cpu, physical, size_bytes, value);
}

/* ---- translation ---- */

static bool is_canonical(uint64_t address) {
    const uint64_t high = address >> X86_CANONICAL_SHIFT;
    return high == 0 || high == UINT64_MAX >> X86_CANONICAL_SHIFT;
}

/* The kernel's direct map is in every space, and nobody else's. */
static bool is_direct(const struct x86 *cpu, uint64_t address) {
    return !cpu->guest && address >= X86_DIRECT_MAP && address - X86_DIRECT_MAP < memory_size(cpu->memory);
}

static void describe(const struct x86 *cpu, uint64_t address, bool write, bool second, struct x86_fault *fault) {
    const struct mmu_nested *translation = &cpu->translation;
    const bool present = translation->fault_present || is_direct(cpu, address);
    fault->vector = X86_PF;
    fault->error_code = (present ? X86_PF_P : 0) | (write ? X86_PF_WR : 0) | X86_PF_US;
    fault->address = address;
    fault->second_level = second;
    fault->qualification = (write ? X86_EPT_WRITE : X86_EPT_READ) | (present ? X86_EPT_READABLE : 0) |
                           X86_EPT_LINEAR_VALID | (translation->fault_of_table ? 0 : X86_EPT_OF_TRANSLATION);
}

bool x86_translate(struct x86 *cpu, uint64_t address, bool write, uint64_t *physical, struct x86_fault *fault) {
    struct mmu_nested *translation = &cpu->translation;
    const uint64_t marks = translation->marks;
    SIM_ASSERT_MSG(cpu->space != NULL, "%s: a user access, and no space", cpu->name);
    const enum mmu_nested_result result = mmu_nested_access(translation, context_current(), address, write, physical);
    x86_cycles(cpu, (translation->marks - marks) * cpu->config.assist_cycles);
    if (result == MMU_NESTED_OK) {
        SIM_ASSERT_MSG(memory_contains(cpu->memory, *physical, 1), "%s: 0x%llx is no memory", cpu->name,
                       (unsigned long long)*physical);
        return true;
    }
    /* Without a root of its own, a program in a virtual machine names the second level's
     * addresses. */
    describe(cpu, address, write, result == MMU_NESTED_SECOND || (cpu->guest && translation->root == MMU_NO_ROOT),
             fault);
    fault->physical = *physical;
    return false;
}

/* ---- user mode ---- */

/* An operand's bytes: up to the end of its page, and in the next. */
struct operand {
    uint64_t physical[2];
    uint32_t size[2];
};

static bool find(struct x86 *cpu, uint64_t address, uint32_t size_bytes, bool write, struct operand *operand,
                 struct x86_fault *fault) {
    const uint32_t room = X86_PAGE_BYTES - (uint32_t)(address % X86_PAGE_BYTES);
    *fault = (struct x86_fault){.vector = X86_GP};
    if (!is_canonical(address) || !is_canonical(address + size_bytes - 1)) {
        return false;
    }
    if (address % size_bytes != 0 && (cpu->cr0 & X86_CR0_AM) != 0 && (cpu->rflags & X86_RFLAGS_AC) != 0 &&
        (cpu->cs & X86_RPL) == X86_RPL) {
        fault->vector = X86_AC;
        return false;
    }
    operand->size[0] = size_bytes < room ? size_bytes : room;
    operand->size[1] = size_bytes - operand->size[0];
    return x86_translate(cpu, address, write, &operand->physical[0], fault) &&
           (operand->size[1] == 0 || x86_translate(cpu, address + room, write, &operand->physical[1], fault));
}

/* Until it succeeds, or is skipped. */
static bool reach(struct x86 *cpu, uint64_t address, uint32_t size_bytes, bool write, struct operand *operand) {
    SIM_ASSERT_MSG(size_bytes == 1 || size_bytes == 2 || size_bytes == 4 || size_bytes == 8, "an access of %u bytes",
                   size_bytes);
    for (;;) {
        struct x86_fault fault;
        x86_settle();
        if (find(cpu, address, size_bytes, write, operand, &fault)) {
            return true;
        }
        x86_cycles(cpu, 1);
        if (x86_raise_fault(cpu, &fault) == X86_SKIP) {
            return false;
        }
    }
}

bool x86_load(struct x86 *cpu, uint64_t address, uint32_t size_bytes, uint64_t *value) {
    struct operand operand;
    *value = 0;
    if (!reach(cpu, address, size_bytes, false, &operand)) {
        return false;
    }
    charge_access(cpu, operand.physical[0], operand.size[0], false);
    *value = read_bytes(cpu, operand.physical[0], operand.size[0]);
    if (operand.size[1] > 0) {
        charge_access(cpu, operand.physical[1], operand.size[1], false);
        *value |= read_bytes(cpu, operand.physical[1], operand.size[1]) << (8 * operand.size[0]);
    }
    return true;
}

bool x86_store(struct x86 *cpu, uint64_t address, uint32_t size_bytes, uint64_t value) {
    struct operand operand;
    if (!reach(cpu, address, size_bytes, true, &operand)) {
        return false;
    }
    charge_access(cpu, operand.physical[0], operand.size[0], true);
    write_bytes(cpu, operand.physical[0], operand.size[0], value);
    if (operand.size[1] > 0) {
        charge_access(cpu, operand.physical[1], operand.size[1], true);
        write_bytes(cpu, operand.physical[1], operand.size[1], value >> (8 * operand.size[0]));
    }
    return true;
}

/* `cycles` of an instruction that faults as long as `*good` says no. */
static bool attempt(struct x86 *cpu, uint64_t cycles, bool (*good)(const struct x86 *cpu, const void *operands),
                    const void *operands, enum x86_vector vector) {
    for (;;) {
        x86_settle();
        x86_cycles(cpu, cycles);
        if (good(cpu, operands)) {
            return true;
        }
        if (x86_raise_fault(cpu, &(struct x86_fault){.vector = vector}) == X86_SKIP) {
            return false;
        }
    }
}

static bool fits(const struct x86 *cpu, const void *operands) {
    const int64_t *exact = operands;
    (void)cpu;
    return *exact >= INT32_MIN && *exact <= INT32_MAX;
}

/* INT 4 is where jo leads: one instruction more. */
bool x86_add(struct x86 *cpu, int32_t a, int32_t b, int32_t *sum) {
    const int64_t exact = (int64_t)a + b;
    const bool overflows = !fits(cpu, &exact);
    if (!attempt(cpu, overflows ? 3 : 2, fits, &exact, X86_OF)) {
        return false;
    }
    *sum = (int32_t)exact;
    return true;
}

static bool divides(const struct x86 *cpu, const void *operands) {
    const int64_t *pair = operands;
    (void)cpu;
    if (pair[1] == 0 || (pair[0] == INT64_MIN && pair[1] == -1)) {
        return false;
    }
    const int64_t quotient = pair[0] / pair[1];
    return fits(cpu, &quotient);
}

bool x86_divide(struct x86 *cpu, int64_t a, int32_t b, int32_t *quotient) {
    enum { DIVIDE_CYCLES = 28 }; /* Intel 64 Optimization Manual, Sandy Bridge: IDIV r32, 20 to 28 */
    const int64_t pair[2] = {a, b};
    if (!attempt(cpu, DIVIDE_CYCLES, divides, pair, X86_DE)) {
        return false;
    }
    *quotient = (int32_t)(pair[0] / pair[1]);
    return true;
}

static bool is_usable(const struct x86 *cpu, const void *operands) {
    (void)operands;
    return (cpu->cr0 & X86_CR0_TS) == 0;
}

bool x86_float(struct x86 *cpu) {
    return attempt(cpu, 1, is_usable, NULL, X86_NM);
}

static bool is_kernel(const struct x86 *cpu, const void *operands) {
    (void)operands;
    return !x86_is_user(cpu);
}

bool x86_privileged(struct x86 *cpu) {
    return attempt(cpu, 1, is_kernel, NULL, X86_GP);
}

void x86_int(struct x86 *cpu, unsigned vector) {
    SIM_ASSERT(vector < X86_EXCEPTIONS);
    x86_settle();
    x86_cycles(cpu, 1);
    const uint64_t gate = memory_read64(cpu->memory, cpu->idt + (uint64_t)vector * X86_GATE_BYTES);
    struct x86_fault fault = {.vector = (enum x86_vector)vector};
    if (!cpu->guest && (gate & X86_GATE_DPL) != X86_GATE_DPL) {
        fault.vector = X86_GP;
        fault.error_code = (uint64_t)vector << X86_ERROR_SELECTOR_SHIFT | X86_ERROR_IDT;
    }
    (void)x86_raise_fault(cpu, &fault);
}

void x86_set_flags(struct x86 *cpu, uint64_t flags) {
    x86_cycles(cpu, 1);
    cpu->rflags = (cpu->rflags & ~X86_RFLAGS_USER) | (flags & X86_RFLAGS_USER);
}
