/* test_download_packet.c: a packet's way to a handler or to its library, what it takes
 * to the cycle, and predicates that wake. */
#include "kernel_model/exo/download_packet.h"
#include "kernel_model/exo/download_wake.h"
#include "tests/hw/core_fixture.h"
#include "tests/kernel_model/download_fixture.h"

typedef struct download_instruction instruction;
#define I(name, a, b, c, immediate)                                                                                    \
    { OPERATION_##name, (a), (b), (c), (immediate) }

enum { BUFFER = 0x10000, OWN = 0x20000, FOREIGN = 0x30000, HZ = 25000000 };
static struct download_costs costs;
static struct exo_download *download;
static struct download_send sent[8];
static uint32_t sent_count, delivered_count, delivered_owner;
static uint8_t sent_bytes[64];

static bool holds(void *context, uint32_t owner, uint64_t physical, uint32_t length_bytes, bool write) {
    (void)context;
    (void)write;
    const uint64_t base = owner == 1 ? OWN : FOREIGN;
    return physical >= base && physical + length_bytes <= base + 0x1000;
}

static bool holds_for_reading(void *context, uint32_t owner, uint64_t physical, uint32_t length_bytes) {
    return holds(context, owner, physical, length_bytes, false);
}

static void send(void *context, uint32_t owner, struct download_send frame, struct request *request) {
    (void)context;
    (void)owner;
    memory_read(machine.memory, frame.physical, sent_bytes, sizeof sent_bytes);
    sent[sent_count++] = frame;
    if (request != NULL) {
        ledger_end(request, exo_download_components.handler, sim_now());
    }
}

static void deliver(void *context, uint32_t owner, uint32_t filter, uint64_t physical, uint32_t length_bytes,
                    struct request *request) {
    (void)context;
    (void)filter;
    cr_assert_eq(physical, BUFFER);
    cr_assert_eq(length_bytes, 64);
    delivered_owner = owner;
    delivered_count++;
    if (request != NULL) {
        ledger_end(request, exo_download_components.upcall, sim_now());
    }
}

static void set_up(void) {
    fixture_make(HZ);
    exo_download_declare_components();
    download_costs_default(&costs);
    const struct exo_download_config config = {.memory = machine.memory,
                                               .costs = &costs,
                                               .engine = DOWNLOAD_MERGED,
                                               .handler_limit_cycles = 2000,
                                               .holds = holds,
                                               .send = send,
                                               .deliver = deliver};
    download = exo_download_create(&config);
}
static void tear_down(void) {
    exo_download_free(download);
    fixture_free();
}
TestSuite(download_packet, .init = set_up, .fini = tear_down);

static uint32_t filter_add(uint32_t owner, uint16_t port) {
    char text[64];
    uint32_t number = 0;
    (void)snprintf(text, sizeof text, "ip and udp dst port %u", port);
    cr_assert_eq(download_demux_install_text(exo_download_filters(download), owner, NULL, text, &number, NULL), OK);
    return number;
}

static enum exo_packet_fate arrive(uint16_t port) {
    struct fixture_packet packet;
    fixture_packet_ip(&packet, 17, 1, 2, 1000, port, 0);
    memory_write(machine.memory, BUFFER, packet.bytes, 64);
    return exo_download_packet(download, NULL, BUFFER, 64, NULL);
}

/* Answers: exchanges the ports in the packet's own buffer, copies and sums it into the
 * owner's memory, sends the packet back. */
static const instruction echo[] = {I(set, 0, 0, 0, 34),        I(load16, 1, 0, 0, 0),  I(load16, 2, 0, 0, 2),
                                   I(store16, 2, 0, 0, 0),     I(store16, 1, 0, 0, 2), I(set, 4, 0, 0, 0),
                                   I(set, 5, 0, 0, 0),         I(size, 6, 0, 0, 0),    I(set, 7, 0, 0, 0),
                                   I(copy_sum, 1, 0, 4, 64),   I(send, 0, 0, 5, 64),   I(set, 0, 0, 0, 1),
                                   I(return_value, 0, 0, 0, 0)};
static const struct download_region own = {OWN, 64, true}, foreign = {FOREIGN, 64, true};
#define HANDLER(owner, filter, code, region)                                                                           \
    exo_download_handler(download, (owner), (filter), (code), sizeof(code) / sizeof *(code), (region), 1, NULL)

Test(download_packet, goes_to_whom_it_is_for) {
    (void)filter_add(1, 7);
    (void)filter_add(2, 8);
    cr_assert_eq(arrive(8), EXO_PACKET_DELIVERED);
    cr_assert_eq(delivered_owner, 2);
    cr_assert_eq(arrive(7), EXO_PACKET_DELIVERED);
    cr_assert_eq(delivered_owner, 1);
    cr_assert_eq(arrive(9), EXO_PACKET_UNCLAIMED);
    cr_assert_eq(exo_download_counters(download)->unclaimed, 1);
}

Test(download_packet, handler_answers) {
    const uint32_t filter = filter_add(1, 7);
    cr_assert_eq(HANDLER(1, filter, echo, &own), OK);
    cr_assert_eq(arrive(7), EXO_PACKET_HANDLED);
    cr_assert_eq(sent_count, 1);
    cr_assert_eq(sent[0].physical, BUFFER);
    cr_assert_eq(sent[0].length_bytes, 64);
    cr_assert_eq(sent_bytes[34] << 8 | sent_bytes[35], 7);
    cr_assert_eq(sent_bytes[36] << 8 | sent_bytes[37], 1000);
    uint8_t copied[64];
    memory_read(machine.memory, OWN, copied, 64);
    cr_assert_eq(memcmp(copied, sent_bytes, 64), 0);
    cr_assert_eq(delivered_count, 0);
    exo_download_forget(download, 1);
    cr_assert_eq(arrive(7), EXO_PACKET_DELIVERED);
}

Test(download_packet, handlers_of_others_memory_or_filters_are_refused) {
    const uint32_t filter = filter_add(1, 7), other = filter_add(2, 8);
    const struct download_region beyond = {UINT64_MAX - 8, 64, true};
    cr_assert_eq(HANDLER(1, filter, echo, &foreign), ERR_DENIED);
    cr_assert_eq(HANDLER(1, filter, echo, &beyond), ERR_DENIED);
    cr_assert_eq(HANDLER(1, other, echo, &own), ERR_DENIED);
    cr_assert_eq(HANDLER(1, 99, echo, &own), ERR_NOT_FOUND);
    const instruction loop[] = {I(set, 0, 0, 0, 1), I(jump, 0, 0, 0, -1), I(return_value, 0, 0, 0, 0)};
    cr_assert_eq(HANDLER(1, filter, loop, &own), ERR_DENIED);
    cr_assert_eq(exo_download_counters(download)->foreign, 2);
    cr_assert_eq(exo_download_counters(download)->unsafe, 1);
}

Test(download_packet, a_stopped_handler_has_sent_nothing) {
    const instruction bad[] = {I(set, 0, 0, 0, 0), I(size, 1, 0, 0, 0), I(send, 0, 0, 0, 64), I(load8, 2, 1, 0, 0),
                               I(return_value, 1, 0, 0, 0)}; /* past the packet's end */
    cr_assert_eq(HANDLER(1, filter_add(1, 7), bad, &own), OK);
    cr_assert_eq(arrive(7), EXO_PACKET_DELIVERED);
    cr_assert_eq(sent_count, 0);
    cr_assert_eq(exo_download_counters(download)->stopped, 1);
}

/* ---- on a core ---- */

static struct ledger *packets;
static enum exo_packet_fate fate;
static sim_time latency_fs;
static void observe(void *context, const struct request *request) {
    (void)context;
    latency_fs = sim_now() - request->born;
}
static void receive(void *context) {
    struct request *request = ledger_begin(packets, component.alpha, LEDGER_WAITING, sim_now());
    fate = exo_download_packet(download, *(struct context **)context, BUFFER, 64, request);
}

Test(download_packet, takes_the_sum_of_its_steps) {
    static struct context *context;
    const uint32_t filter = filter_add(1, 7);
    cr_assert_eq(HANDLER(1, filter, echo, &own), OK);
    struct fixture_packet packet;
    fixture_packet_ip(&packet, 17, 1, 2, 1000, 7, 0);
    memory_write(machine.memory, BUFFER, packet.bytes, 64);
    packets = ledger_create("packets");
    ledger_record(packets, true);
    ledger_observe(packets, observe, NULL);
    context = context_create(machine.cores[0], CORE_THREAD, "kernel", NULL, receive, &context);
    core_dispatch(machine.cores[0], CORE_THREAD, context);
    sim_run(SIM_MS);
    cr_assert_eq(fate, EXO_PACKET_HANDLED);
    cr_assert_eq(ledger_completed(packets), 1);
    /* Type, fragment, protocol and port; a line for the header. The handler's 13 instructions, 16 words, and lines. */
    const struct cost *c = costs.step;
    const uint64_t demux = c[DOWNLOAD_demux_call].cycles + 5 * c[DOWNLOAD_demux_node].cycles +
                           4 * c[DOWNLOAD_demux_field].cycles + c[DOWNLOAD_demux_base].cycles +
                           4 * c[DOWNLOAD_demux_compare].cycles + c[DOWNLOAD_demux_leaf].cycles;
    const uint64_t handler = c[DOWNLOAD_code_entry].cycles + 7 * c[DOWNLOAD_code_alu].cycles +
                             2 * c[DOWNLOAD_code_load].cycles + 2 * c[DOWNLOAD_code_store].cycles +
                             c[DOWNLOAD_code_bulk].cycles + 16 * c[DOWNLOAD_code_copy_sum_word].cycles +
                             c[DOWNLOAD_code_send].cycles;
    const uint64_t lines = FIXTURE_FLAT_CYCLES * (1 + 4 + 2 + 1);
    cr_assert_eq(exo_download_counters(download)->cycles, demux + handler);
    cr_assert_eq(latency_fs, (demux + handler + lines) * (SIM_S / HZ));
    cr_assert_eq(ledger_sum(packets, exo_download_components.demux, LEDGER_SERVICE), demux * (SIM_S / HZ));
    ledger_free(packets);
}

/* ---- predicates ---- */

Test(download_packet, predicates_wake_when_they_come_true) {
    const struct download_waiters_config config = {
        .memory = machine.memory, .costs = &costs, .limit_cycles = 200, .holds = holds_for_reading};
    struct download_waiters *waiters = download_waiters_create(&config);
    struct download_woken woken[4];
    const instruction nonzero[] = {I(set, 0, 0, 0, 0), I(load32, 0, 0, 0, 0), I(return_value, 0, 0, 0, 0)};
    const instruction quotient[] = {I(set, 0, 0, 0, 0), I(load32, 1, 0, 0, 0), I(divide, 0, 0, 1, 0),
                                    I(return_value, 0, 0, 0, 0)};
    const instruction stores[] = {I(set, 0, 0, 0, 0), I(store8, 0, 0, 0, 0), I(return_value, 0, 0, 0, 0)};
    cr_assert_eq(download_wait(waiters, 1, stores, 3, &own, 1, NULL), ERR_DENIED, "reads only");
    cr_assert_eq(download_wait(waiters, 1, nonzero, 3, &foreign, 1, NULL), ERR_DENIED);
    cr_assert_eq(download_wait(waiters, 1, nonzero, 3, &own, 1, NULL), OK);
    cr_assert_eq(download_wait(waiters, 1, nonzero, 3, &own, 1, NULL), ERR_EXISTS);
    cr_assert_eq(download_waiters_poll(waiters, NULL, woken, 4), 0);
    const uint64_t evaluation = costs.step[DOWNLOAD_predicate_scan].cycles + costs.step[DOWNLOAD_code_entry].cycles +
                                costs.step[DOWNLOAD_code_load].cycles + 2 * costs.step[DOWNLOAD_code_alu].cycles;
    cr_assert_eq(download_waiters_counters(waiters)->cycles, evaluation);
    cr_assert_eq(download_wait(waiters, 2, quotient, 4, &foreign, 1, NULL), OK);
    cr_assert_eq(download_waiters_poll(waiters, NULL, woken, 4), 1, "its division by zero wakes it");
    cr_assert_eq(woken[0].owner, 2);
    cr_assert_eq(woken[0].stop, DOWNLOAD_BY_ZERO);
    memory_write32(machine.memory, OWN, 5);
    cr_assert_eq(download_waiters_poll(waiters, NULL, woken, 4), 1);
    cr_assert_eq(woken[0].owner, 1);
    cr_assert_eq(woken[0].value, 5);
    cr_assert_not(download_wait_cancel(waiters, 1));
    cr_assert_eq(download_wait(waiters, 1, nonzero, 3, &own, 1, NULL), OK);
    cr_assert(download_wait_cancel(waiters, 1));
    cr_assert_eq(download_waiters_poll(waiters, NULL, woken, 4), 0);
    download_waiters_free(waiters);
}
