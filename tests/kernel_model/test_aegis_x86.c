/* test_aegis_x86.c: Aegis on an x86-64 core: its paths cycle by cycle, its page tables
 * entry by entry. */
#include "tests/kernel_model/aegis_x86_fixture.h"

#include "hw/mmu_regs.h"
#include "tests/kernel_model/aegis_fixture.h"

enum { LEVEL = 4, WALK = 3 + 4 * LEVEL }; /* the kernel's own walk to a leaf: three loads, instructions a level */

static struct aegis_environment *alice, *bob;

static void run_alice(void (*main)(struct aegis_environment *environment),
                      enum aegis_resume (*exception)(struct aegis_environment *environment,
                                                     const struct aegis_exception *exception)) {
    static struct aegis_program program;
    static const struct aegis_program idle = {.name = "bob"};
    program = (struct aegis_program){.name = "alice", .main = main, .exception = exception, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &program, 1);
    bob = fixture_environment("bob", &idle, 0);
    fixture_run(SIM_S);
    fixture_check_accounts();
}

/* The leaf of a page, by the test's own reading; 0: a table is missing. */
static uint64_t leaf(const struct aegis_environment *environment, uint64_t page) {
    uint64_t table = address_space_root(environment->environment->space);
    for (unsigned level = 4; level > 1; level--) {
        table = memory_read64(machine->memory, table + (page >> (12 + 9 * (level - 1)) & 511) * 8) & MMU_PTE_ADDRESS;
        if (table == 0) {
            return 0;
        }
    }
    return memory_read64(machine->memory, table + (page >> 12 & 511) * 8);
}

/* ---- paths ---- */

static void calls(struct aegis_environment *environment) {
    sim_time from = fixture_now();
    cr_expect_eq(aegis_number(environment, false), environment->environment->number);
    const uint64_t plain = fixture_cycles(from);
    /* The number; SYSCALL; the table, the step; two loads; SYSRET. */
    cr_expect_eq(plain, 1 + X86_SYSCALL_CYCLES + 1 + costs.system_call.cycles + 2 + X86_SYSRET_CYCLES);
    from = fixture_now();
    cr_expect_eq(aegis_number(environment, true), environment->environment->number);
    cr_expect_eq(fixture_cycles(from), plain + 1 + 4 + costs.system_call_stack.cycles + 4,
                 "the stack: its address, four stores, four loads");
}
Test(aegis_x86, a_system_call_is_the_sum_of_its_steps) {
    run_alice(calls, fixture_skip);
}

static sim_time time_at_handler;
static enum aegis_resume look(struct aegis_environment *environment, const struct aegis_exception *exception) {
    const struct aegis_registers *names = &aegis->machine->registers;
    time_at_handler = fixture_now();
    cr_expect(aegis->machine->is_user(aegis), "the handler runs in user mode");
    cr_expect_eq(aegis->x86->rip, AEGIS_CODE_HANDLER, "where IRET led");
    cr_expect_eq(aegis_register(environment, names->scratch[1]), exception->bad_address);
    cr_expect_eq(aegis_register(environment, names->scratch[2]), X86_PF);
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_eq(memory_read64(machine->memory, environment->save_area + 8 * i), UINT64_C(0x1234567800000000) + i,
                     "a register is saved whole");
    }
    aegis_user_restore_scratch(environment);
    return fixture_skip(environment, exception);
}
static void miss(struct aegis_environment *environment) {
    const struct aegis_registers *names = &aegis->machine->registers;
    uint32_t value = 0;
    for (uint32_t i = 0; i < 3; i++) {
        aegis_set_register(environment, names->scratch[i], UINT64_C(0x1234567800000000) + i);
    }
    const uint64_t calls_before = aegis->x86->counters.system_calls;
    const sim_time from = fixture_now();
    cr_expect_not(fixture_load(PAGE_X, 4, &value));
    /* The load; delivery; the block and the save area found; three registers stored; error code and
     * CR2, RIP; the handler found, the step; the frame's RIP, IRET. */
    cr_expect_eq(sim_clock_cycles(core_clock(aegis->core), time_at_handler - from),
                 1 + X86_EXCEPTION_CYCLES + 2 + 3 + 2 + 1 + 1 + costs.exception_dispatch.cycles + 1 + X86_IRET_CYCLES);
    cr_expect_eq(aegis->x86->counters.system_calls, calls_before, "and back without the kernel");
    cr_expect(last_exception.code == AEGIS_CAUSE_MISS_LOAD && last_exception.bad_address == PAGE_X);
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_eq(aegis_register(environment, names->scratch[i]), UINT64_C(0x1234567800000000) + i);
    }
}
Test(aegis_x86, an_exception_is_the_sum_of_its_steps) {
    run_alice(miss, look);
    cr_expect_eq(handled, 1);
}

static sim_time entered_at;
static uint64_t flags_at_entry;
static void answer(struct aegis_environment *environment) {
    for (;;) {
        entered_at = fixture_now();
        flags_at_entry = aegis->x86->rflags;
        cr_expect_eq(aegis->x86->space->tag, environment->asid);
        x86_set_flags(aegis->x86, 0);
        (void)aegis_transfer(environment, alice->environment->number, AEGIS_SYNCHRONOUS);
    }
}
static void ping(struct aegis_environment *environment) {
    const struct aegis_registers *names = &aegis->machine->registers;
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned m = 0; m < AEGIS_MESSAGE; m++) {
            aegis_set_register(environment, names->message[m], UINT64_C(0xabcdef0000000000) + m);
        }
        const sim_time from = fixture_now();
        cr_expect_eq(aegis_transfer(environment, bob->environment->number, AEGIS_SYNCHRONOUS), OK);
        /* The callee's number; SYSCALL; three loads and the step; the caller's address stored; the
         * block, what is saved (two) and restored (two), CR3's value; MOV to CR3; SYSRET. */
        cr_expect_eq(sim_clock_cycles(core_clock(aegis->core), entered_at - from),
                     1 + X86_SYSCALL_CYCLES + 3 + costs.transfer.cycles + 1 + 1 + 2 + 2 + 1 + X86_CR3_CYCLES +
                         X86_SYSRET_CYCLES);
        for (unsigned m = 0; m < AEGIS_MESSAGE; m++) {
            cr_expect_eq(aegis_register(environment, names->message[m]), UINT64_C(0xabcdef0000000000) + m);
        }
        cr_expect_neq(aegis->x86->rflags & X86_RFLAGS_AC, 0, "each has flags of its own");
        cr_expect_eq(flags_at_entry & X86_RFLAGS_AC, i == 0 ? X86_RFLAGS_AC : 0);
    }
}
Test(aegis_x86, a_transfer_is_the_sum_of_its_steps) {
    static const struct aegis_program serves = {.name = "bob", .entered = answer};
    static const struct aegis_program asks = {.name = "alice", .main = ping, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &asks, 1);
    bob = fixture_environment("bob", &serves, 0);
    fixture_run(SIM_S);
    cr_expect_eq(aegis->counters.transfers, 6);
    fixture_check_accounts();
}

/* ---- tables ---- */

static void bindings(struct aegis_environment *environment) {
    uint64_t physical = 0, second = 0;
    uint32_t value = 0;
    const struct exo_handle handle = fixture_frame(environment, &physical);
    const struct exo_handle other = fixture_frame(environment, &second);
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &handle, false, NULL), OK);
    cr_expect_eq(leaf(environment, PAGE_X), physical | MMU_PTE_PRESENT | MMU_PTE_USER);
    cr_expect(fixture_load(PAGE_X, 4, &value));
    cr_expect_eq(leaf(environment, PAGE_X), physical | MMU_PTE_PRESENT | MMU_PTE_USER | MMU_PTE_ACCESSED);
    const uint64_t walks = aegis->x86->translation.walks;
    cr_expect(fixture_load(PAGE_X + 4, 4, &value));
    cr_expect_eq(aegis->x86->translation.walks, walks, "a hit of the TLB");
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &other, true, NULL), OK);
    memory_write32(machine->memory, second, 0x2222);
    cr_expect(fixture_load(PAGE_X, 4, &value) && value == 0x2222, "not the frame that was bound before");
    cr_expect(fixture_store(PAGE_X, 4, 1));
    cr_expect_neq(leaf(environment, PAGE_X) & MMU_PTE_DIRTY, 0);
    aegis_tlb_remove(environment, PAGE_X);
    cr_expect_eq(leaf(environment, PAGE_X), 0);
    for (uint32_t i = 0; i < 500; i++) { /* more than the TLB has */
        cr_assert_eq(aegis_tlb_insert(environment, PAGE_X + i * AEGIS_PAGE, &handle, true, NULL), OK);
    }
    for (uint32_t i = 0; i < 500; i++) {
        cr_assert(fixture_load(PAGE_X + i * AEGIS_PAGE, 4, &value));
    }
    cr_expect_eq(handled, 0, "no miss comes up for a page that is bound");
}
Test(aegis_x86, what_is_bound_stands_in_the_page_table) {
    run_alice(bindings, fixture_skip);
}

static void tables_count(struct aegis_environment *environment) {
    uint64_t physical = 0;
    struct error error = {OK, ""};
    enum error_code code = OK;
    const struct exo_handle handle = fixture_frame(environment, &physical);
    const uint64_t free_before = frames_available(aegis->kernel->frames);
    uint32_t far = 0;
    for (; far < 600 && code == OK; far++) { /* a table more each time */
        code = aegis_tlb_insert(environment, PAGE_X + far * (1U << 21), &handle, true, &error);
    }
    cr_expect_eq(code, ERR_SHARE, "%s", error.text);
    cr_expect_eq(environment->environment->table_frame_count, 24);
    cr_expect_geq(frames_available(aegis->kernel->frames), free_before - 24);
    unsigned wrong = 0;
    for (uint64_t at = 0; at < memory_size(machine->memory); at += AEGIS_PAGE) {
        wrong += aegis_frame_is_free(environment, at) != frames_is_free(aegis->kernel->frames, at);
    }
    cr_expect_eq(wrong, 0, "the free map is wrong of %u frames", wrong);
}
Test(aegis_x86, page_tables_are_the_environments_to_pay) {
    static const struct aegis_program program = {
        .name = "alice", .main = tables_count, .exception = fixture_skip, .notice = fixture_obey};
    struct error error = {OK, ""};
    struct exo_limits limits = exo_limits_default();
    struct exo_handle slice;
    fixture_make();
    limits.table_frames = 24;
    alice = aegis_environment_create(aegis, "alice", &limits, &program, NULL, &error);
    cr_assert_not_null(alice);
    cr_assert_eq(aegis_slice_allocate(alice, AEGIS_ANY_POSITION, &slice, &error), OK);
    fixture_run(SIM_S);
}

/* ---- protection, in runs ---- */

enum { RUN_PAGES = 40 };

static uint64_t protect_cycles(struct aegis_environment *environment, uint64_t pages, enum aegis_protection how) {
    const sim_time from = fixture_now();
    cr_expect_eq(aegis_tlb_protect(environment, PAGE_X, pages, how, NULL), OK);
    return fixture_cycles(from);
}
static void runs(struct aegis_environment *environment) {
    uint64_t physical = 0;
    uint32_t value = 0;
    const struct exo_handle handle = fixture_frame(environment, &physical);
    for (uint32_t i = 0; i < RUN_PAGES; i++) {
        cr_assert_eq(aegis_tlb_insert(environment, PAGE_X + i * AEGIS_PAGE, &handle, true, NULL), OK);
        cr_assert(fixture_store(PAGE_X + i * AEGIS_PAGE, 4, i));
    }
    const uint64_t none = protect_cycles(environment, 0, AEGIS_READ_ONLY);
    const uint64_t page = costs.protect_page.cycles + WALK + 2; /* the walk; the entry's load and store */
    cr_expect_eq(protect_cycles(environment, 1, AEGIS_NO_ACCESS), none + page + X86_INVLPG_CYCLES);
    cr_expect_not(fixture_load(PAGE_X, 4, &value));
    cr_expect_eq(protect_cycles(environment, 1, AEGIS_READ_WRITE), none + page + costs.binding_find.cycles,
                 "a right that is given needs no invalidation");
    cr_expect(fixture_store(PAGE_X, 4, 7));
    cr_expect_eq(protect_cycles(environment, RUN_PAGES, AEGIS_READ_ONLY),
                 none + RUN_PAGES * (page + costs.binding_find.cycles) + X86_CR3_CYCLES,
                 "so many that the whole space's translations go at once");
    for (uint32_t i = 0; i < RUN_PAGES; i++) {
        cr_expect_not(fixture_store(PAGE_X + i * AEGIS_PAGE, 4, i), "page %u", i);
    }
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_PROTECTION);
    cr_expect_neq(leaf(environment, PAGE_X) & MMU_PTE_DIRTY, 0, "what was dirty is so still");
    cr_expect_eq(protect_cycles(environment, RUN_PAGES, AEGIS_READ_WRITE),
                 none + RUN_PAGES * (page + costs.binding_find.cycles));
    for (uint32_t i = 0; i < RUN_PAGES; i++) {
        cr_expect(fixture_store(PAGE_X + i * AEGIS_PAGE, 4, i));
    }
}
Test(aegis_x86, protection_is_the_entry_and_an_invalidation) {
    run_alice(runs, fixture_skip);
}

/* ---- another's translation, in the TLB under another tag ---- */

static struct exo_handle bobs, derived;
static uint64_t bobs_frame;
static unsigned reached;
static uint64_t revoke_cycles;

static void borrow(struct aegis_environment *environment) {
    uint32_t value = 0;
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &derived, false, NULL), OK);
    cr_expect(fixture_load(PAGE_X, 4, &value) && value == 0x5ec2e7);
    reached++;
    (void)aegis_yield(environment, bob); /* who takes it back */
    value = 0;
    cr_expect_not(fixture_load(PAGE_X, 4, &value), "the TLB has it still");
    cr_expect_neq(value, 0x5ec2e7);
    reached++;
}
static void take_back(struct aegis_environment *environment) {
    const sim_time from = fixture_now();
    cr_expect_eq(aegis_revoke(environment, &bobs, NULL), OK);
    revoke_cycles = fixture_cycles(from);
    aegis_exit(environment);
}
Test(aegis_x86, a_revoked_frame_is_in_no_tag_of_the_tlb) {
    static const struct aegis_program borrows = {
        .name = "alice", .main = borrow, .exception = fixture_skip, .notice = fixture_obey};
    static const struct aegis_program lends = {.name = "bob", .main = take_back, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &borrows, 1);
    bob = fixture_environment("bob", &lends, 0);
    bobs = fixture_frame(bob, &bobs_frame);
    memory_write32(machine->memory, bobs_frame, 0x5ec2e7);
    cr_assert_eq(exo_derive(bob->environment, &bobs, EXO_READ, alice->environment, &derived, NULL), OK);
    fixture_run(SIM_S);
    cr_expect_eq(reached, 2);
    cr_expect_eq(handled, 1);
    cr_expect_geq(revoke_cycles, X86_INVLPG_CYCLES + 2 * X86_CR3_CYCLES, "a visit to alice's space for it");
    fixture_check_accounts();
}

/* ---- the end of an environment ---- */

static void short_life(struct aegis_environment *environment) {
    uint64_t physical = 0;
    const struct exo_handle handle = fixture_frame(environment, &physical);
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &handle, true, NULL), OK);
    cr_expect(fixture_store(PAGE_X, 4, 1));
    aegis_exit(environment);
}
Test(aegis_x86, an_environment_that_ends_leaves_no_table_and_no_translation) {
    static const struct aegis_program idle = {.name = "bob"};
    static const struct aegis_program brief = {.name = "alice", .main = short_life, .notice = fixture_obey};
    fixture_make();
    bob = fixture_environment("bob", &idle, 0); /* with it, what the IOMMU has for all */
    const uint64_t before = frames_available(aegis->kernel->frames);
    alice = fixture_environment("alice", &brief, 1);
    fixture_run(SIM_S);
    cr_expect_eq(aegis->destroyed, 1);
    cr_expect_eq(frames_available(aegis->kernel->frames), before);
    for (unsigned i = 0; i < MMU_NESTED_TLB_ENTRIES; i++) {
        const struct mmu_nested_entry *entry = &aegis->x86->translation.tlb[i];
        cr_expect(entry->page == 0 || entry->tag != alice->home);
    }
    unsigned wrong = 0;
    for (uint64_t i = 0; i < memory_size(machine->memory) / AEGIS_PAGE; i++) {
        const uint32_t word = memory_read32(machine->memory, aegis->free_map + i / 32 * 4);
        wrong += ((word >> i % 32 & 1) != 0) != frames_is_free(aegis->kernel->frames, i * AEGIS_PAGE);
    }
    cr_expect_eq(wrong, 0, "the free map is wrong of %u frames", wrong);
    fixture_check_accounts();
}
