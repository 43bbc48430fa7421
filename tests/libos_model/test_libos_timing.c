/* What each row of the ledger is made of, as arithmetic: on a flat cache, where each
 * line touched costs LINE cycles, and without variation. */
#include "tests/libos_model/libos_fixture.h"

enum { LINE = 20, PAYLOAD = 1024 };

static struct libos_profile *profile;

static void run(const struct system_ops *ops, enum system_wait how, const char *more) {
    fixture_more = "cache: {model: flat, flat_cycles: 20 cycles}\npcie: {mmio_write_cycles: 100 cycles}";
    libos_profile_more = ", variation: 0";
    fixture_machine_make("on", "mac");
    echo.how = how;
    echo.payload_bytes = PAYLOAD;
    echo.compute = 2 * SIM_US;
    echo_prepare(ops, more, 200, 1);
    sim_run(200 * SIM_US);
    ledger_record(echo.ledger, true);
    sim_run(20 * SIM_MS);
    cr_assert_eq(echo.replies, 200U);
    cr_assert_gt(ledger_completed(echo.ledger), 150U);
    profile = &((struct libos_system *)(void *)echo.system)->profile;
}

/* Code and lines of one cost. */
static uint64_t cost(const struct cost *one) {
    return one->cycles + (uint64_t)LINE * one->lines;
}
static uint64_t step(enum libos_step which) {
    return cost(&profile->steps[which]);
}

static void is_cycles(const char *component, uint64_t cycles) {
    const double clock_hz = (double)fixture_machine->clock.frequency_hz;
    cr_assert_float_eq(echo_mean_ns(component), (double)cycles / clock_hz * 1e9, 0.01, "%s: %g ns, not %llu cycles",
                       component, echo_mean_ns(component), (unsigned long long)cycles);
}

static uint64_t stack_in(void) {
    const uint64_t descriptor_and_headers = 2 * LINE;
    return step(LIBOS_rx_descriptor) + cost(&profile->stack.ip_input) + cost(&profile->stack.udp_input) +
           step(LIBOS_demultiplex) + descriptor_and_headers;
}
static uint64_t stack_out(void) {
    const uint64_t descriptor_and_headers = 2 * LINE, store = 100;
    return cost(&profile->stack.ip_output) + cost(&profile->stack.udp_output) + step(LIBOS_tx_descriptor) +
           descriptor_and_headers + store;
}

Test(libos_timing, native_is_the_sum_of_its_stages) {
    run(&arrakis_native_ops, SYSTEM_WAIT_SPIN, "");
    is_cycles("net_stack_in", stack_in());
    is_cycles("net_stack_out", stack_out());
    is_cycles("doorbell_write", 100);
    is_cycles("copy_in", 0);
    is_cycles("copy_out", 0);
    is_cycles("control_plane", 0);
    is_cycles("driver_housekeeping", 0);
    is_cycles("socket_queue", 0);
    is_cycles("app", sim_clock_cycles(&fixture_machine->clock, 2 * SIM_US));
}

Test(libos_timing, posix_adds_the_socket_layer_and_the_copies) {
    run(&arrakis_posix_ops, SYSTEM_WAIT_SPIN, "");
    is_cycles("net_stack_in", stack_in() + step(LIBOS_socket_receive));
    is_cycles("net_stack_out", stack_out() + step(LIBOS_socket_send));
    /* 1,024 bytes from byte 42 of a buffer lie in 17 lines, in the application in 16;
     * the streams overlap, so the longer one counts, shared by the fill buffers where
     * the model lets misses overlap. */
    const uint64_t bytes = PAYLOAD / core_configuration(fixture_machine->cores[0])->copy_bytes_per_cycle;
    const double in = echo_mean_ns("copy_in"), out = echo_mean_ns("copy_out");
    const double hz = (double)fixture_machine->clock.frequency_hz;
    const double least_in = (double)(step(LIBOS_copy_in) + bytes) / hz * 1e9;
    const double least_out = (double)(step(LIBOS_copy_out) + bytes) / hz * 1e9;
    cr_assert(in > least_in && in < least_in + 17 * LINE / hz * 1e9 + 0.01, "%g, %g", in, least_in);
    cr_assert(out > least_out && out < least_out + 17 * LINE / hz * 1e9 + 0.01, "%g, %g", out, least_out);
}

Test(libos_timing, the_driver_has_no_protocol_code) {
    run(&libos_driver_ops, SYSTEM_WAIT_SPIN, "");
    is_cycles("net_stack_in", step(LIBOS_rx_descriptor) + LINE);
    is_cycles("net_stack_out", step(LIBOS_bounce) + step(LIBOS_tx_descriptor) + 2 * LINE + 100);
}

/* A packet waits for the poll under way, never longer. */
Test(libos_timing, polling_notices_within_one_turn) {
    run(&arrakis_native_ops, SYSTEM_WAIT_SPIN, "");
    const struct histogram *ready = ledger_spent(echo.ledger, ledger_find("ready"), LEDGER_KINDS);
    const uint64_t turn = sim_clock_time(&fixture_machine->clock, profile->steps[LIBOS_poll].cycles);
    cr_assert_leq(histogram_quantile(ready, 1.0), turn + turn / 50, "%g ns", echo_mean_ns("ready"));
    cr_assert_gt(histogram_mean(ready), 0);
}

/* Asleep: the interrupt's way to the core, the kernel's handler, the thread. */
static double notice_ns(const char *idle) {
    run(&arrakis_native_ops, SYSTEM_WAIT_BLOCK, idle);
    return echo_mean_ns("ready");
}

Test(libos_timing, a_polling_core_is_woken_by_the_doorbell_alone) {
    const double noticed = notice_ns("idle: poll");
    const struct exo_costs *costs = &profile->exokernel;
    const uint64_t cycles = core_configuration(fixture_machine->cores[0])->interrupt_cycles +
                            cost(&costs->doorbell_interrupt) + cost(&costs->doorbell_wake);
    const double code_ns = (double)cycles / (double)fixture_machine->clock.frequency_hz * 1e9;
    const double message_ns = sim_time_ns(pcie_root_configuration(fixture_machine->pcie)->msi_latency);
    /* The message crosses the link (some 30 bytes) behind the packet's own DMA. */
    cr_assert(noticed > code_ns + message_ns && noticed < code_ns + message_ns + 50, "%g, not %g + %g ns", noticed,
              code_ns, message_ns);
}

Test(libos_timing, a_halted_core_leaves_its_idle_state_first) {
    const double noticed = notice_ns("idle: halt");
    const struct exo_costs *costs = &profile->exokernel;
    const uint64_t cycles = core_configuration(fixture_machine->cores[0])->interrupt_cycles +
                            cost(&costs->doorbell_interrupt) + cost(&costs->doorbell_wake);
    const double code_ns = (double)cycles / (double)fixture_machine->clock.frequency_hz * 1e9;
    const double exit_ns = sim_time_ns(core_configuration(fixture_machine->cores[0])->idle[0].exit_latency);
    const double message_ns = sim_time_ns(pcie_root_configuration(fixture_machine->pcie)->msi_latency);
    const double sum = code_ns + message_ns + exit_ns;
    cr_assert(noticed > sum && noticed < sum + 50, "%g, not %g ns", noticed, sum);
}
