/* The protocol code: what it charges, what it touches, what it tells. Clock 1 GHz;
 * the cache is flat, 7 cycles a line, so that every charge can be counted by hand. */
#include <criterion/criterion.h>
#include <string.h>

#include "hw/machine.h"
#include "sim/config.h"
#include "stack/udp_stack.h"

enum { LINE = 7, WORKING_SET = 0x400000, PACKET = 0x500040 };

static struct machine machine;
static struct udp_stack stack;
static struct udp_stack_costs costs = {
    .ip_input = {.cycles = 300, .lines = 2},
    .udp_input = {.cycles = 200, .lines = 3},
    .ip_output = {.cycles = 250, .lines = 1},
    .udp_output = {.cycles = 150, .lines = 4},
    .checksum_per_kib = {.cycles = 512, .lines = 0},
};

static void run(void (*body)(void *), void *argument) {
    struct error error = {0};
    core_declare_components();
    machine.clock = sim_clock_make(1000000000);
    machine.memory = memory_create(UINT64_C(16) << 20);
    const struct cache_config cache = {.model = 1, .flat_cycles = LINE, .line_fill_buffers = 10};
    machine.cache = cache_create(&cache, 1, &machine.clock, &error);
    cr_assert_not_null(machine.cache, "%s", error.text);
    const struct core_config config = {.count = 1, .clock_hz = 1000000000, .copy_bytes_per_cycle = 16};
    struct core *core = core_create(&machine, 0, &config);
    udp_stack_init(&stack, machine.memory, &costs, WORKING_SET);
    core_dispatch(core, CORE_THREAD, context_create(core, CORE_THREAD, "t", NULL, body, argument));
    sim_run(SIM_TIME_MAX);
    core_free(core);
    cache_free(machine.cache);
    memory_free(machine.memory);
}

static const struct net_udp sample = {.source_ip = 0x0a000001,
                                      .destination_ip = 0x0a000002,
                                      .source_port = 40000,
                                      .destination_port = 7,
                                      .payload_bytes = 64};
enum { LENGTH = NET_UDP_HEADERS_BYTES + 64 };

/* Executes what was charged; how many cycles it was. */
static uint64_t cycles_of(struct context *self) {
    const sim_time before = sim_now();
    cpu_run(self);
    return (sim_now() - before) / SIM_NS;
}

static void put_packet(uint64_t physical, bool checksums) {
    uint8_t frame[LENGTH];
    memset(frame, 'x', sizeof frame);
    net_udp_write(frame, &sample, 1, checksums);
    memory_write(machine.memory, physical, frame, sizeof frame);
}

static void input_body(void *argument) {
    struct context *self = context_current();
    struct net_udp udp;
    uint32_t offset = 0;
    (void)argument;
    put_packet(PACKET, true);
    cr_assert_eq(udp_stack_input(&stack, self, PACKET, LENGTH, true, &udp, &offset), NET_OK);
    cr_assert_eq(udp.destination_port, 7);
    cr_assert_eq(offset, NET_UDP_HEADERS_BYTES);
    /* The packet's first line, and the lines and cycles of IP and UDP. */
    cr_assert_eq(cycles_of(self), LINE + 300 + 2 * LINE + 200 + 3 * LINE);
    /* In software also the 92 bytes behind the Ethernet header, at 512 cycles a KiB:
     * bytes 78 to 170 of a frame, which lie on two lines. */
    cr_assert_eq(udp_stack_input(&stack, self, PACKET, LENGTH, false, &udp, &offset), NET_OK);
    cr_assert_eq(cycles_of(self), LINE + 300 + 2 * LINE + 200 + 3 * LINE + 46 + 2 * LINE);
    cr_assert_eq(costs.ip_input.uses, 2);
    cr_assert_eq(costs.checksum_per_kib.uses, 1);
    cr_assert_eq(stack.verdicts[NET_OK], 2);
}

Test(udp_stack, input_charges_its_steps) {
    run(input_body, NULL);
}

static void refused_body(void *argument) {
    struct context *self = context_current();
    struct net_udp udp;
    uint32_t offset = 0;
    (void)argument;
    put_packet(PACKET, true);
    *memory_at(machine.memory, PACKET + 12) = 0x86;
    cr_assert_eq(udp_stack_input(&stack, self, PACKET, LENGTH, true, &udp, &offset), NET_NOT_IPV4);
    cr_assert_eq(cycles_of(self), LINE);
    put_packet(PACKET, true);
    *memory_at(machine.memory, PACKET + 23) = NET_PROTOCOL_TCP;
    cr_assert_eq(udp_stack_input(&stack, self, PACKET, LENGTH, true, &udp, &offset), NET_NOT_UDP);
    cr_assert_eq(cycles_of(self), LINE + 300 + 2 * LINE);
    put_packet(PACKET, true);
    *memory_at(machine.memory, PACKET + 50) ^= 1;
    cr_assert_eq(udp_stack_input(&stack, self, PACKET, LENGTH, false, &udp, &offset), NET_BAD_UDP_CHECKSUM);
    cr_assert_eq(cycles_of(self), LINE + 300 + 2 * LINE + 200 + 3 * LINE + 46 + 2 * LINE);
    cr_assert_eq(udp_stack_input(&stack, self, PACKET, 10, false, &udp, &offset), NET_TRUNCATED);
    cr_assert_eq(stack.verdicts[NET_NOT_IPV4], 1);
    cr_assert_eq(stack.verdicts[NET_NOT_UDP], 1);
    cr_assert_eq(stack.verdicts[NET_BAD_UDP_CHECKSUM], 1);
    cr_assert_eq(stack.verdicts[NET_TRUNCATED], 1);
}

Test(udp_stack, a_refused_packet_costs_what_was_done_for_it) {
    run(refused_body, NULL);
}

static void output_body(void *argument) {
    struct context *self = context_current();
    uint8_t frame[LENGTH];
    struct net_udp udp;
    uint32_t offset = 0;
    (void)argument;
    memory_fill(machine.memory, PACKET + NET_UDP_HEADERS_BYTES, 'y', 64);
    udp_stack_output(&stack, self, PACKET, &sample, true);
    cr_assert_eq(cycles_of(self), 150 + 4 * LINE + 250 + LINE + LINE);
    memory_read(machine.memory, PACKET, frame, sizeof frame);
    cr_assert_eq(frame[40] | frame[41], 0);
    udp_stack_output(&stack, self, PACKET, &sample, false);
    cr_assert_eq(cycles_of(self), 150 + 4 * LINE + 250 + LINE + LINE + 46 + 2 * LINE);
    memory_read(machine.memory, PACKET, frame, sizeof frame);
    cr_assert_eq(net_udp_parse(frame, LENGTH, true, &udp, &offset), NET_OK);
    cr_assert_eq(frame[NET_UDP_HEADERS_BYTES], 'y');
    cr_assert_eq(frame[19], 1, "the second packet has identification 1");
    cr_assert_eq(udp.source_port, 40000);
}

Test(udp_stack, output_writes_headers_and_charges) {
    run(output_body, NULL);
}

/* The same packet where it crosses from one frame of memory into the next. */
static void crossing_body(void *argument) {
    struct context *self = context_current();
    struct net_udp udp;
    uint32_t offset = 0;
    uint8_t frame[LENGTH];
    (void)argument;
    for (uint64_t before = 1; before < LENGTH; before += 7) {
        const uint64_t at = 0x600000 - before;
        put_packet(at, true);
        cr_assert_eq(udp_stack_input(&stack, self, at, LENGTH, false, &udp, &offset), NET_OK);
        cr_assert_eq(udp.payload_bytes, 64);
        udp_stack_output(&stack, self, at, &sample, false);
        memory_read(machine.memory, at, frame, sizeof frame);
        cr_assert_eq(net_udp_parse(frame, LENGTH, true, &udp, &offset), NET_OK);
        cr_assert_eq(frame[LENGTH - 1], 'x');
    }
}

Test(udp_stack, packets_may_cross_frames) {
    run(crossing_body, NULL);
}

static void variation_body(void *argument) {
    struct context *self = context_current();
    struct cost cost = {.cycles = 101, .lines = 2};
    (void)argument;
    cr_assert_eq(stack_charge(self, &cost, 1.5, WORKING_SET), WORKING_SET + 128);
    cr_assert_eq(cycles_of(self), 152 + 2 * LINE); /* 151.5 is rounded up */
    cr_assert_eq(stack_charge(self, &cost, 0.5, WORKING_SET), WORKING_SET + 128);
    cr_assert_eq(cycles_of(self), 51 + 2 * LINE);
    cr_assert_eq(cost.uses, 2);
    cr_assert_eq(udp_stack_working_set_bytes(&costs), 10 * 64);
}

Test(udp_stack, variation_scales_code_and_not_memory) {
    run(variation_body, NULL);
}

Test(udp_stack, every_cost_is_required_and_has_its_source) {
    struct udp_stack_costs bound;
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct config *config = config_parse("stack.yaml",
                                         "ip_input: {cycles: 300, lines: 2, source: \"counted\"}\n"
                                         "udp_input: {cycles: 200, lines: 3, assumed: \"a guess\", range: [100, 300]}\n"
                                         "ip_output: {cycles: 250, source: \"counted\"}\n"
                                         "udp_output: {cycles: 150, source: \"counted\"}\n"
                                         "checksum_per_kib: {cycles: 512, source: \"counted\"}\n",
                                         &diagnostics);
    cr_assert(config_bind(config_root(config), udp_stack_params, &bound, &diagnostics));
    cr_assert_eq(bound.udp_input.cycles, 200);
    cr_assert_eq(bound.udp_input.lines, 3);
    cr_assert_str_eq(bound.ip_input.source, "counted");
    cr_assert_eq(diagnostics.errors, 0);
    cr_assert_not(config_bind(NULL, udp_stack_params, &bound, &diagnostics));
    cr_assert_eq(diagnostics.errors, 5);
    config_free(config);
    diagnostics_free(&diagnostics);
}
