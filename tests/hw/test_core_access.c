/* What a context does with memory and devices: charges of touches and copies, user
 * accesses through an address space. Clock 1 GHz. */
#include "tests/hw/core_fixture.h"

static void run(struct address_space *space, void (*body)(void *)) {
    struct core *core = machine.cores[0];
    core_dispatch(core, CORE_THREAD, context_create(core, CORE_THREAD, "t", space, body, NULL));
    sim_run(SIM_TIME_MAX);
}

static void touches(void *argument) {
    struct context *self = context_current();
    (void)argument;
    cpu_touch(self, 0x200000, 64, false);
    cpu_run(self);
    cr_assert_eq(sim_now(), FIXTURE_FLAT_CYCLES * SIM_NS);
    cpu_touch(self, 0x200020, 64, true); /* two lines */
    cpu_run(self);
    cr_assert_eq(sim_now(), 3 * FIXTURE_FLAT_CYCLES * SIM_NS);
    memory_write(machine.memory, 0x201000, "spice", 6);
    /* 100 bytes: two lines read, three written; 7 cycles of copying at 16 bytes each. */
    cpu_copy(self, 0x203030, 0x201000, 100);
    cpu_run(self);
    char copied[6];
    memory_read(machine.memory, 0x203030, copied, sizeof copied);
    cr_assert_str_eq(copied, "spice");
    cr_assert_eq(sim_now(), (3 + 3) * FIXTURE_FLAT_CYCLES * SIM_NS + 7 * SIM_NS);
    cpu_copy(self, 0x203030, 0x201000, 0);
    cpu_run(self);
    cr_assert_eq(sim_now(), (3 + 3) * FIXTURE_FLAT_CYCLES * SIM_NS + 7 * SIM_NS);
}

Test(core_access, touches_and_copies_are_charged_by_the_cache) {
    fixture_make(1000000000);
    run(NULL, touches);
    fixture_free();
}

static struct ledger *stall_ledger;
static void stalls(void *argument) {
    struct context *self = context_current();
    const ledger_component work = ledger_find("ready");
    (void)argument;
    struct request *request = ledger_begin(stall_ledger, work, LEDGER_WAITING, sim_now());
    const ledger_component app = ledger_find("stall_test");
    cpu_work_for(self, app, request);
    cpu_charge(self, 5);
    cpu_touch(self, 0x200000, 64, false);
    cpu_charge(self, 6);
    cpu_touch(self, 0x300000, 64, false);
    cpu_run(self);
    cr_assert_eq(request->owner, app, "the code's component owns it in the end");
    ledger_end(request, app, sim_now());
}

Test(core_access, stalls_are_told_apart_from_code) {
    static const struct ledger_declaration app = {"stall_test", "cpu", "Application", NULL};
    fixture_make(1000000000);
    (void)ledger_declare(&app);
    stall_ledger = ledger_create("stalls");
    ledger_record(stall_ledger, true);
    run(NULL, stalls);
    const struct histogram *latency = ledger_latency(stall_ledger);
    cr_assert_eq(latency->maximum, (11 + 2 * FIXTURE_FLAT_CYCLES) * SIM_NS);
    const ledger_component stall = ledger_find("stall_test_cache");
    cr_assert_neq(stall, 0);
    cr_assert(ledger_sum(stall_ledger, stall, LEDGER_SERVICE) == 2 * FIXTURE_FLAT_CYCLES * SIM_NS);
    cr_assert(ledger_sum(stall_ledger, ledger_find("stall_test"), LEDGER_SERVICE) == 11 * SIM_NS);
    ledger_free(stall_ledger);
    fixture_free();
}

/* ---- user mode ---- */

static uint64_t next_frame = 0x100000;
static uint64_t allocate_frame(void *context) {
    (void)context;
    next_frame += MEMORY_FRAME_BYTES;
    return next_frame;
}

static struct {
    unsigned writes;
    uint64_t offset, value;
    sim_time when, served;
} rung;
static void device_write(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                         uint32_t size_bytes, uint64_t value, struct request *request) {
    (void)device, (void)function, (void)bar, (void)size_bytes;
    rung.writes++;
    rung.offset = offset;
    rung.value = value;
    rung.when = sim_now();
    if (request != NULL) {
        cr_assert_eq(request->owner, ledger_find("doorbell"));
        rung.served = request->spent[component.alpha][LEDGER_SERVICE];
        ledger_end(request, ledger_find("doorbell"), sim_now());
    }
}
static uint64_t device_read(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                            uint32_t size_bytes) {
    (void)device, (void)function, (void)bar, (void)size_bytes;
    return 0x1000 + offset;
}

static const uint64_t USER_BAR = UINT64_C(0x700000000), USER_MEMORY = UINT64_C(0x600000000);
static const struct device_ops bell_ops = {.type_name = "bell", .mmio_read = device_read, .mmio_write = device_write};
static struct device bell = {.ops = &bell_ops, .name = "bell"};
static struct pcie_function bell_function;
static struct address_space *user;

static struct ledger *ledger;

static void make_bell(void) {
    fixture_make(1000000000);
    ledger = ledger_create("test");
    struct error error = {0};
    const struct pcie_link_config config = {
        .generation = 2, .lanes = 8, .max_payload_bytes = 256, .max_read_request_bytes = 512, .tags = 32};
    const uint64_t bars[PCIE_BARS] = {MEMORY_FRAME_BYTES, 0};
    bell.machine = &machine;
    struct pcie_link *link = pcie_link_create(machine.pcie, "bell", &config, &error);
    cr_assert_not_null(link, "%s", error.text);
    pcie_function_attach(link, &bell_function, &bell, 0, bars);
    user = address_space_create(machine.memory, allocate_frame, NULL);
    cr_assert_eq(
        address_space_map(user, USER_BAR, bell_function.bar_address[0], MEMORY_FRAME_BYTES, MMU_USER | MMU_WRITE), OK);
    cr_assert_eq(address_space_map(user, USER_MEMORY, 0x300000, MEMORY_FRAME_BYTES, MMU_USER), OK);
}

static sim_time left;
static void rings(void *argument) {
    struct context *self = context_current();
    struct request *request = ledger_begin(ledger, component.outside, LEDGER_WAITING, sim_now());
    uint64_t value = 0;
    (void)argument;
    cpu_work_for(self, component.alpha, request);
    cpu_charge(self, 500);
    cr_assert(cpu_mmio_write(self, USER_BAR + 8, 4, 0x1234, request, component.alpha));
    left = sim_now();
    cpu_charge(self, 10); /* nobody's: the request is gone */
    cpu_run(self);

    cr_assert_not(cpu_mmio_write(self, USER_BAR + MEMORY_FRAME_BYTES, 4, 1, NULL, 0)); /* not mapped */
    cr_assert_not(cpu_mmio_write(self, USER_BAR + 2, 4, 1, NULL, 0));                  /* misaligned */
    cr_assert_not(cpu_mmio_write(self, USER_MEMORY, 4, 1, NULL, 0));                   /* read-only */
    cr_assert_eq(context_page_faults(self), 3);

    const sim_time before = sim_now();
    cr_assert(cpu_mmio_read(self, USER_BAR + 0x10, 4, &value));
    cr_assert_eq(value, 0x1010);
    cr_assert_eq(sim_now() - before, 700 * SIM_NS);
    memory_write64(machine.memory, 0x300008, 0x1122334455667788);
    cr_assert(cpu_mmio_read(self, USER_MEMORY + 8, 8, &value));
    cr_assert_eq(value, 0x1122334455667788);

    address_space_unmap(user, USER_BAR, MEMORY_FRAME_BYTES);
    cr_assert_not(cpu_mmio_write(self, USER_BAR + 8, 4, 0x1234, NULL, 0));
    cr_assert_eq(context_page_faults(self), 4);
}

Test(core_access, a_user_access_reaches_what_is_mapped_and_nothing_else) {
    make_bell();
    run(user, rings);
    cr_assert_eq(left, (500 + FIXTURE_MMIO_WRITE_CYCLES) * SIM_NS);
    cr_assert_eq(rung.writes, 1);
    cr_assert_eq(rung.offset, 8);
    cr_assert_eq(rung.value, 0x1234);
    cr_assert_geq(rung.when, left + 300 * SIM_NS);
    cr_assert_eq(rung.served, left);
    cr_assert_eq(fixture_account(machine.cores[0]).page_faults, 4);
    address_space_free(user);
    cr_assert_eq(ledger_audit(ledger, sim_now()), 0);
    ledger_free(ledger);
    fixture_free();
}

static void revoke(void *argument) {
    (void)argument;
    address_space_unmap(user, USER_BAR, MEMORY_FRAME_BYTES);
}
static void rings_late(void *argument) {
    struct context *self = context_current();
    (void)argument;
    cpu_charge(self, 500);
    cr_assert_not(cpu_mmio_write(self, USER_BAR, 4, 1, NULL, 0));
    cr_assert_eq(context_page_faults(self), 1);
}

/* The instruction executes at 600 ns; the page is taken at 300 ns. */
Test(core_access, a_binding_revoked_before_the_instruction_is_gone) {
    make_bell();
    struct fixture_call call;
    fixture_call_at(&call, 300 * SIM_NS, revoke, NULL);
    run(user, rings_late);
    cr_assert_eq(rung.writes, 0);
    address_space_free(user);
    cr_assert_eq(ledger_audit(ledger, sim_now()), 0);
    ledger_free(ledger);
    fixture_free();
}
