/* What the emulation of an interface costs a write of 1 KB: the emulating core's code,
 * and what it waits for its caches, per request, on the machine's default caches. */
#include "tests/libos_model/storage_fixture.h"

enum { WRITES = 10000, WARM_UP = 1000, BLOCKS = 2 };

static double mean_ns, emulation_ns, cache_ns, out_ns, in_ns;

/* One write at a time, each from the next of 64 buffers, as an application with its
 * own buffers has it. */
static void write_all(void) {
    struct error error = {OK, ""};
    struct libos_thread *thread = libos_thread_of(st_thread);
    struct libos_area *area = NULL;
    bool made = false;
    cr_assert_eq(libos_area_open(thread, "area", 32 << 20, &area, &made, &error), OK, "%s", error.text);
    const uint64_t buffers = libos_memory(thread->process, 64 * 4096, &error);
    ledger_record(st_ledger, false);
    for (uint32_t i = 0; i < WRITES + WARM_UP; i++) {
        struct block_io io = {.operation = BLOCK_WRITE, .block = (uint64_t)i * BLOCKS % 65536, .blocks = BLOCKS};
        ledger_record(st_ledger, i >= WARM_UP);
        io.request = st_request();
        io.owner = system_components.app;
        cpu_work_for(thread->context, system_components.app, io.request);
        cpu_touch(thread->context, buffers + i % 64 * 4096, BLOCKS * 512, true); /* its bytes are new */
        cr_assert_eq(libos_segments(thread, &io, buffers + i % 64 * 4096, BLOCKS * 512), OK);
        cr_assert_eq(block_submit(&area->device, thread->context, &io), OK);
        block_wait(&area->device, thread->context, &io);
        cr_assert_eq(io.status, OK);
        cpu_work_for(thread->context, system_components.app, io.request);
        st_request_end(io.request);
    }
    const ledger_component cache = ledger_find("vsic_emulation_cache");
    mean_ns = histogram_mean(ledger_latency(st_ledger)) / 1e6;
    emulation_ns = st_mean_ns("vsic_emulation");
    cache_ns = cache != 0 ? histogram_mean(ledger_spent(st_ledger, cache, LEDGER_KINDS)) / 1e6 : 0;
    out_ns = st_mean_ns("storage_out");
    in_ns = st_mean_ns("storage_in");
}

static void print(const char *name) {
    cr_log_info("%s: %.0f ns a write; emulation %.0f ns, of which caches %.0f; library out %.0f, in %.0f", name,
                mean_ns, emulation_ns, cache_ns, out_ns, in_ns);
}

Test(libos_vsic_cost, a_write_of_1_kb_in_hardware) {
    st_run(&arrakis_posix_ops, 1, "protected", "", write_all);
    print("hardware");
    cr_assert_eq(ledger_completed(st_ledger), WRITES);
    cr_assert_eq(emulation_ns, 0);
}

Test(libos_vsic_cost, a_write_of_1_kb_emulated) {
    st_run(&arrakis_posix_ops, 0, "protected", ", emulation: true, emulation_core: 1", write_all);
    print("emulated");
    cr_assert_eq(ledger_completed(st_ledger), WRITES);
    /* The code of the steps that a write passes through, by the profile, is in it; and
     * lines that come from the other core's caches. */
    const struct exo_costs *costs = &((struct libos_system *)(void *)st_system)->profile.exokernel;
    const double code_ns =
        (double)(costs->emulation_request.cycles + costs->emulation_walk.cycles + costs->emulation_submit.cycles +
                 costs->emulation_reap.cycles + costs->emulation_complete.cycles) *
        1e9 / (double)core_configuration(fixture_machine->cores[0])->clock_hz;
    cr_assert_geq(emulation_ns - cache_ns, code_ns);
    cr_assert_gt(cache_ns, 0);
}
