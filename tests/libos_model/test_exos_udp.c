/* test_exos_udp.c: datagrams to an environment on Aegis: answered by its handler whoever
 * runs, or found in its ring; and nobody gets what is not his. */
#include "tests/libos_model/exos_wire_fixture.h"

enum { THERE = 0x0a000002, START = 1000, CYCLE_NS = 40 };

static struct exos_udp_costs udp_costs;
static struct exos_udp udp;
static struct ledger *ledger;
static unsigned answers;
static uint8_t answer[FRAME];
static uint32_t received[4], received_count;

static void far_receive(struct port *port, struct frame *frame) {
    (void)port;
    answers++;
    memcpy(answer, frame->bytes, FRAME);
    if (frame->request != NULL) {
        ledger_hand_over(frame->request, ledger_find("wire"), client, LEDGER_SERVICE);
        ledger_end(frame->request, client, sim_now());
    }
    frame_release(frame);
}

static void set_up(void) {
    wire_fixture_make(far_receive);
    exos_fixture_costs("exos-udp-1995.yaml", exos_udp_cost_params, &udp_costs);
    ledger = ledger_create("datagrams");
    ledger_record(ledger, true);
}
static void tear_down(void) {
    (void)ledger_audit(ledger, sim_now());
    ledger_free(ledger);
    wire_fixture_free();
}
TestSuite(exos_udp, .init = set_up, .fini = tear_down);

static void open_for(struct aegis_environment *environment) {
    struct error error = {OK, ""};
    udp = (struct exos_udp){
        .environment = environment,
        .costs = &udp_costs,
        .remote = {.source_ip = HERE, .destination_ip = THERE, .source_port = PORT, .destination_port = PORT}};
    memcpy(udp.remote.source_mac, here, 6);
    memcpy(udp.remote.destination_mac, there, 6);
    cr_assert_eq(exos_udp_open(&udp, &error), OK, "%s", error.text);
}

/* A datagram whose first word is `word` leaves the far end; `spoil` is added to a byte of it. */
static void arrive(uint32_t word, uint8_t spoil) {
    struct net_udp header = {.source_ip = THERE, .destination_ip = HERE, .payload_bytes = FRAME - 42};
    header.source_port = header.destination_port = PORT;
    memcpy(header.source_mac, there, 6);
    memcpy(header.destination_mac, here, 6);
    struct frame *frame = frame_allocate();
    memset(frame->bytes, 0, FRAME);
    memcpy(frame->bytes + 42, &word, sizeof word);
    net_udp_write(frame->bytes, &header, 1, true);
    frame->bytes[60] = (uint8_t)(frame->bytes[60] + spoil);
    frame->length_bytes = FRAME;
    frame->request = ledger_begin(ledger, client, LEDGER_SERVICE, sim_now());
    (void)link_send(&far, frame, client, sim_now());
}

static void start(void) {
    fixture_run(START * SIM_US); /* the adapter initializes itself */
}

/* ---- programs ---- */

static void spin(struct aegis_environment *environment) {
    for (;;) {
        fixture_compute(environment, SIM_MS);
    }
}
static void receive(struct aegis_environment *environment) {
    (void)environment;
    for (;;) {
        uint32_t words[EXOS_DATAGRAM_WORDS];
        exos_udp_receive(&udp, words);
        received[received_count++] = words[0];
        cpu_run(context_current());
        ledger_abandon(udp.environment->request, "end of the test", sim_now());
        udp.environment->request = NULL;
        (void)aegis_user_work(environment, system_components.app);
    }
}
static const struct aegis_program passive = {.name = "passive"};
static const struct aegis_program busy = {.name = "busy", .main = spin, .notice = fixture_obey};
static const struct aegis_program receiver = {.name = "receiver", .main = receive, .notice = fixture_obey};

/* ---- tests ---- */

Test(exos_udp, handler_answers_while_another_computes) {
    open_for(fixture_environment("passive", &passive, 0));
    (void)fixture_environment("busy", &busy, 1);
    cr_assert_eq(exos_udp_download(&udp, UINT32_MAX, NULL), OK);
    start();
    arrive(5, 0);
    sim_run((START + 250) * SIM_US);
    cr_assert_eq(answers, 1);
    struct net_udp got;
    uint32_t offset = 0, word = 0;
    cr_assert_eq(net_udp_parse(answer, FRAME, true, &got, &offset), NET_OK, "both checksums are right");
    memcpy(&word, answer + offset, sizeof word);
    cr_assert_eq(word, 6);
    cr_assert_eq(got.source_ip, HERE);
    cr_assert_eq(got.destination_ip, THERE);
    cr_assert_eq(memcmp(got.destination_mac, there, 6), 0);
    cr_assert_eq(udp.environment->used, 0, "its environment did not run");
    cr_assert_eq(ledger_completed(ledger), 1);
    const histogram_sum kernel = ledger_sum(ledger, exo_download_components.demux, LEDGER_SERVICE) +
                                 ledger_sum(ledger, exo_download_components.handler, LEDGER_SERVICE);
    cr_assert_eq(kernel, aegis_network_counters(aegis)->cycles * CYCLE_NS * SIM_NS);
}

Test(exos_udp, wrong_checksums_and_last_datagrams_are_the_librarys) {
    open_for(fixture_environment("receiver", &receiver, 1));
    cr_assert_eq(exos_udp_download(&udp, 9, NULL), OK);
    start();
    arrive(5, 1);
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(answers, 0);
    cr_assert_eq(udp.refused, 1);
    arrive(9, 0);
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(answers, 0);
    cr_assert_eq(received_count, 1);
    cr_assert_eq(received[0], 9);
    arrive(8, 0);
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(answers, 1);
    cr_assert_eq(aegis_network_counters(aegis)->delivered, 2);
}

Test(exos_udp, library_waits_for_its_turn) {
    open_for(fixture_environment("receiver", &receiver, 1));
    (void)fixture_environment("busy", &busy, 1);
    start();
    arrive(1, 0);
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(received_count, 0, "another has the processor");
    sim_run(sim_now() + 2 * config.quantum);
    cr_assert_eq(received_count, 1);
}

Test(exos_udp, full_ring_drops) {
    open_for(fixture_environment("passive", &passive, 0));
    start();
    for (uint32_t i = 0; i < AEGIS_RING_SLOTS + 2; i++) {
        arrive(i, 0);
        sim_run(sim_now() + SIM_MS);
    }
    cr_assert_eq(memory_read32(machine->memory, udp.ring + AEGIS_RING_HEAD), AEGIS_RING_SLOTS);
    for (uint64_t i = 0; i < AEGIS_RING_SLOTS; i++) {
        struct request *waiting =
            memory_alight(machine->memory, udp.ring + AEGIS_RING_SLOTS_AT + i * AEGIS_RING_SLOT_BYTES);
        cr_assert_not_null(waiting);
        ledger_abandon(waiting, "end of the test", sim_now());
    }
}

Test(exos_udp, anothers_packets_and_memory_are_refused) {
    struct aegis_environment *mine = fixture_environment("passive", &passive, 0);
    struct aegis_environment *other = fixture_environment("other", &passive, 0);
    uint64_t physical = 0;
    struct exo_handle filter;
    open_for(mine);
    const struct exo_handle handle = fixture_frame(other, &physical);
    cr_assert_eq(aegis_packet_bind(other, "udp dst port 7", &handle, &filter, NULL), ERR_OVERLAP);
    const struct exo_handle stolen = mine->frames->handle;
    cr_assert_eq(aegis_packet_bind(other, "udp dst port 8", &stolen, &filter, NULL), ERR_DENIED);
    const struct download_instruction nothing[] = {{OPERATION_set, 0, 0, 0, 0}, {OPERATION_return_value, 0, 0, 0, 0}};
    const struct download_region foreign = {physical, 64, true}, across = {udp.page + AEGIS_PAGE - 32, 64, true};
    cr_assert_eq(aegis_packet_handler(mine, &udp.filter, nothing, 2, &foreign, 1, NULL), ERR_DENIED);
    cr_assert_eq(aegis_packet_handler(mine, &udp.filter, nothing, 2, &across, 1, NULL), ERR_DENIED);
    cr_assert_eq(aegis_packet_handler(other, &udp.filter, nothing, 2, NULL, 0, NULL), ERR_DENIED);
}

Test(exos_udp, dead_environments_get_nothing) {
    struct aegis_environment *mine = fixture_environment("passive", &passive, 0);
    open_for(mine);
    cr_assert_eq(exos_udp_download(&udp, UINT32_MAX, NULL), OK);
    aegis_environment_destroy(mine);
    start();
    arrive(1, 0);
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(answers, 0);
    cr_assert_eq(aegis_network_counters(aegis)->unclaimed, 1);
}

static enum error_code unbound, odd, good;
static void send_some(struct aegis_environment *environment) {
    const uint32_t words[EXOS_DATAGRAM_WORDS] = {1};
    unbound = aegis_packet_send(environment, 0x40000002, 60);
    odd = aegis_packet_send(environment, EXOS_PACKET_PAGE_AT + AEGIS_PAGE - 30, 60);
    good = exos_udp_send(&udp, words);
}
static const struct aegis_program sender = {.name = "sender", .main = send_some, .notice = fixture_obey};

Test(exos_udp, only_bound_pages_are_sent) {
    open_for(fixture_environment("sender", &sender, 1));
    start();
    sim_run(sim_now() + 5 * SIM_MS);
    cr_assert_eq(unbound, ERR_DENIED);
    cr_assert_eq(odd, ERR_RANGE);
    cr_assert_eq(good, OK);
    cr_assert_eq(answers, 1);
    uint32_t offset = 0;
    struct net_udp got;
    cr_assert_eq(net_udp_parse(answer, FRAME, true, &got, &offset), NET_OK);
}
