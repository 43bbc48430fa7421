/* test_nic_filter.c: which queue a packet goes to: addresses, header filters, RSS,
 * checked against a reference that looks at every filter. */
#include "hw/nic/nic_internal.h"
#include "tests/hw/nic_fixture.h"

static const struct flow basic = {FAR, 1, 0x0a000001, 0x0a000002, 1000, 7};

/* Where a frame goes: function * 16 + queue, or -1. */
static int32_t classify(struct nic_fixture *fixture, const uint8_t *bytes, uint32_t length_bytes) {
    struct nic_headers headers;
    nic_headers_parse(bytes, length_bytes, &headers);
    const struct nic_queue *queue = nic_filter_receive(nic_of(fixture->nic), bytes, &headers);
    return queue == NULL ? -1 : (int32_t)(queue->function->number * 16 + nic_queue_number(queue));
}

static int32_t classify_flow(struct nic_fixture *fixture, const struct flow *flow) {
    uint8_t bytes[1600];
    const uint32_t length_bytes = udp_frame(bytes, flow, 18);
    return classify(fixture, bytes, length_bytes);
}

static void three_functions(struct nic_fixture *fixture, const char *settings) {
    nic_fixture_make(fixture, settings, "off");
    for (uint32_t i = 0; i < 3; i++) {
        function_start(fixture, i);
    }
}

static struct nic_filter to_port(uint16_t port, uint32_t queue, uint8_t priority) {
    struct nic_filter filter = {.priority = priority, .protocol = 17, .service_count = 1, .queue = queue};
    filter.services[0] = (struct nic_endpoints){0, 0, port, port};
    return filter;
}

Test(nic_filter, the_address_chooses_the_function) {
    struct nic_fixture fixture;
    three_functions(&fixture, "");
    struct flow flow = basic;
    cr_expect_eq(classify_flow(&fixture, &flow), 1 * 16);
    flow.to_function = 2;
    cr_expect_eq(classify_flow(&fixture, &flow), 2 * 16);
    flow.to_function = 3; /* off */
    cr_expect_eq(classify_flow(&fixture, &flow), -1);
    nic_function_enable(fixture.nic, 2, false);
    flow.to_function = 2;
    cr_expect_eq(classify_flow(&fixture, &flow), -1);
    nic_fixture_free(&fixture);
}

Test(nic_filter, header_filters_choose_within_the_function) {
    struct nic_fixture fixture;
    three_functions(&fixture, "");
    const struct nic_filter of_one = to_port(7, 1, 0);
    const struct nic_filter of_two = to_port(7, 0, 0);
    cr_assert_eq(nic_receive_filter_set(fixture.nic, 5, 1, &of_one), OK);
    cr_assert_eq(nic_receive_filter_set(fixture.nic, 4, 2, &of_two), OK);
    struct flow flow = basic;
    cr_expect_eq(classify_flow(&fixture, &flow), 1 * 16 + 1, "another function's filter takes nothing of this one's");
    flow.destination_port = 8;
    cr_expect_eq(classify_flow(&fixture, &flow), 1 * 16);
    cr_assert_eq(nic_receive_filter_set(fixture.nic, 5, 1, NULL), OK);
    flow.destination_port = 7;
    cr_expect_eq(classify_flow(&fixture, &flow), 1 * 16, "cleared, though a packet of the flow came before");
    nic_fixture_free(&fixture);
}

Test(nic_filter, by_header_filters_choose_among_functions) {
    struct nic_fixture fixture;
    three_functions(&fixture, "filtering: header");
    const struct nic_filter filter = to_port(7, 1, 0);
    cr_assert_eq(nic_receive_filter_set(fixture.nic, 0, 2, &filter), OK);
    struct flow flow = basic;
    flow.to_function = 0; /* the card's address */
    cr_expect_eq(classify_flow(&fixture, &flow), 2 * 16 + 1);
    flow.destination_port = 8;
    cr_expect_eq(classify_flow(&fixture, &flow), -1);
    flow.destination_port = 7;
    flow.to_function = 9; /* another machine's */
    cr_expect_eq(classify_flow(&fixture, &flow), -1);
    nic_fixture_free(&fixture);
}

Test(nic_filter, lower_priority_numbers_win_then_lower_slots) {
    struct nic_fixture fixture;
    three_functions(&fixture, "filtering: header");
    const struct nic_filter late = to_port(7, 0, 9);
    const struct nic_filter early = to_port(7, 1, 2);
    cr_assert_eq(nic_receive_filter_set(fixture.nic, 0, 1, &late), OK);
    cr_assert_eq(nic_receive_filter_set(fixture.nic, 7, 2, &early), OK);
    cr_expect_eq(classify_flow(&fixture, &basic), 2 * 16 + 1);
    cr_assert_eq(nic_receive_filter_set(fixture.nic, 6, 1, &early), OK);
    cr_expect_eq(classify_flow(&fixture, &basic), 1 * 16 + 1);
    nic_fixture_free(&fixture);
}

Test(nic_filter, the_rest_goes_to_the_physical_function_or_nowhere) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t broadcast[1600];
    three_functions(&fixture, "");
    driver_start(&driver, &fixture, 0, 5, 8);
    struct flow flow = basic;
    flow.to_function = 9;
    const uint32_t length_bytes = udp_frame(broadcast, &flow, 18);
    memset(broadcast, 0xff, 6);
    cr_expect_eq(classify_flow(&fixture, &flow), -1);
    cr_expect_eq(classify(&fixture, broadcast, length_bytes), -1);
    nic_set_default_to_physical(fixture.nic, true);
    cr_expect_eq(classify_flow(&fixture, &flow), 5, "its lowest queue that is on; 0 to 3 are virtual functions'");
    cr_expect_eq(classify(&fixture, broadcast, length_bytes), 5);
    flow.to_function = 0;
    cr_expect_eq(classify_flow(&fixture, &flow), 5);
    nic_fixture_free(&fixture);
}

Test(nic_filter, a_packet_that_nobody_wants_is_counted) {
    struct nic_fixture fixture;
    uint8_t bytes[1600];
    three_functions(&fixture, "");
    struct flow flow = basic;
    flow.to_function = 9;
    const uint32_t length_bytes = udp_frame(bytes, &flow, 18);
    far_send(&fixture, bytes, length_bytes, ledger_begin(fixture.ledger, fixture.client, LEDGER_SERVICE, sim_now()));
    run_for(10 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.pf", "rx_filter_drops"), 1);
    cr_expect_eq(ledger_live(fixture.ledger), 0);
    nic_fixture_free(&fixture);
}

/* A fragment has no ports: a filter by port does not take it, whatever its bytes. */
Test(nic_filter, fragments_have_no_ports) {
    struct nic_fixture fixture;
    uint8_t bytes[1600];
    three_functions(&fixture, "");
    const struct nic_filter by_port = to_port(7, 1, 0);
    cr_assert_eq(nic_receive_filter_set(fixture.nic, 0, 1, &by_port), OK);
    const uint32_t length_bytes = udp_frame(bytes, &basic, 18);
    cr_expect_eq(classify(&fixture, bytes, length_bytes), 16 + 1);
    bytes[14 + 7] = 3; /* offset 24 */
    cr_expect_eq(classify(&fixture, bytes, length_bytes), 16);
    struct nic_filter from_zero = by_port;
    from_zero.services[0] = (struct nic_endpoints){0, 0, 0, 65534};
    cr_assert_eq(nic_receive_filter_set(fixture.nic, 0, 1, &from_zero), OK);
    cr_expect_eq(classify(&fixture, bytes, length_bytes), 16, "no port is not port 0");
    struct nic_filter by_address = by_port;
    by_address.services[0] = (struct nic_endpoints){basic.destination_ip, UINT32_MAX, 0, 65535};
    cr_assert_eq(nic_receive_filter_set(fixture.nic, 0, 1, &by_address), OK);
    cr_expect_eq(classify(&fixture, bytes, length_bytes), 16 + 1);
    nic_fixture_free(&fixture);
}

Test(nic_filter, headers_that_contradict_themselves_match_no_address) {
    struct nic_headers headers;
    uint8_t bytes[1600];
    const uint32_t length_bytes = udp_frame(bytes, &basic, 18);
    nic_headers_parse(bytes, length_bytes, &headers);
    cr_expect(headers.ipv4 && headers.ports);
    const struct {
        uint32_t place;
        uint8_t value;
    } broken[] = {{12, 0x86}, {14, 0x65}, {14, 0x44}, {14, 0x4f}, {16, 0xff}, {17, 19}};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        const uint8_t kept = bytes[broken[i].place];
        bytes[broken[i].place] = broken[i].value;
        nic_headers_parse(bytes, length_bytes, &headers);
        cr_expect(!headers.ipv4, "case %zu", i);
        bytes[broken[i].place] = kept;
    }
    for (uint32_t cut = 0; cut < length_bytes; cut++) {
        nic_headers_parse(bytes, cut, &headers);
        cr_expect(!headers.ipv4, "cut to %u", cut);
    }
}

Test(nic_filter, tables_have_an_end) {
    struct nic_fixture fixture;
    three_functions(&fixture, "receive_filters: 4, transmit_filters_per_function: 2");
    struct nic_filter filter = to_port(7, 0, 0);
    cr_expect_eq(nic_receive_filter_set(fixture.nic, 3, 1, &filter), OK);
    cr_expect_eq(nic_receive_filter_set(fixture.nic, 4, 1, &filter), ERR_EXHAUSTED);
    cr_expect_eq(nic_transmit_filter_set(fixture.nic, 1, 1, &filter), OK);
    cr_expect_eq(nic_transmit_filter_set(fixture.nic, 1, 2, &filter), ERR_EXHAUSTED);
    cr_expect_eq(nic_receive_filter_set(fixture.nic, 0, 65, &filter), ERR_RANGE);
    filter.queue = 2;
    cr_expect_eq(nic_receive_filter_set(fixture.nic, 0, 1, &filter), ERR_RANGE, "a function has two queues");
    filter.queue = 0;
    filter.peer_count = NIC_FILTER_RANGES_MAX + 1;
    cr_expect_eq(nic_receive_filter_set(fixture.nic, 0, 1, &filter), ERR_RANGE);
    cr_expect_eq(nic_filter_slots(fixture.nic), 4);
    nic_fixture_free(&fixture);
}

/* ---- against a reference ---- */

static uint64_t state = 1;
static uint32_t draw(uint32_t bound) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % bound;
}

static bool in_range(const struct nic_endpoints *range, uint32_t address, uint16_t port) {
    return (address & range->mask) == (range->address & range->mask) && port >= range->port_low &&
           port <= range->port_high;
}

static bool takes(const struct nic_filter *filter, const struct flow *flow) {
    bool service = filter->service_count == 0;
    bool peer = filter->peer_count == 0;
    for (unsigned i = 0; i < filter->service_count; i++) {
        service = service || in_range(&filter->services[i], flow->destination_ip, flow->destination_port);
    }
    for (unsigned i = 0; i < filter->peer_count; i++) {
        peer = peer || in_range(&filter->peers[i], flow->source_ip, flow->source_port);
    }
    return service && peer && (filter->protocol == 0 || filter->protocol == 17);
}

static void draw_range(struct nic_endpoints *range) {
    static const uint32_t masks[] = {0, 0xff000000, 0xfffffffe, 0xffffffff};
    *range = (struct nic_endpoints){0x0a000000 + draw(8), masks[draw(4)], (uint16_t)draw(20), 0};
    range->port_high = (uint16_t)(range->port_low + draw(10));
}

/* 100 filters set, cleared and set anew between 20,000 packets: the look-aside never
 * says anything but what a look at every filter says. */
Test(nic_filter, the_look_aside_changes_no_result) {
    struct nic_fixture fixture;
    static struct nic_filter filters[100];
    static uint32_t owner[100];
    static bool used[100];
    three_functions(&fixture, "filtering: header");
    for (unsigned step = 0; step < 20000; step++) {
        if (step % 50 == 0) {
            const uint32_t slot = draw(100);
            struct nic_filter *filter = &filters[slot];
            used[slot] = draw(3) != 0;
            owner[slot] = 1 + draw(2);
            memset(filter, 0, sizeof *filter);
            filter->priority = (uint8_t)draw(4);
            filter->protocol = draw(4) == 0 ? 6 : 17;
            filter->queue = draw(2);
            filter->service_count = (uint8_t)draw(3);
            filter->peer_count = (uint8_t)draw(3);
            for (unsigned i = 0; i < 3; i++) {
                draw_range(&filter->services[i]);
                draw_range(&filter->peers[i]);
            }
            cr_assert_eq(nic_receive_filter_set(fixture.nic, slot, owner[slot], used[slot] ? filter : NULL), OK);
        }
        const struct flow flow = {
            FAR, 1, 0x0a000000 + draw(8), 0x0a000000 + draw(8), (uint16_t)draw(30), (uint16_t)draw(30)};
        int32_t expected = -1;
        uint8_t best = UINT8_MAX;
        for (uint32_t slot = 0; slot < 100; slot++) {
            if (used[slot] && filters[slot].priority < best && takes(&filters[slot], &flow)) {
                best = filters[slot].priority;
                expected = (int32_t)(owner[slot] * 16 + filters[slot].queue);
            }
        }
        cr_assert_eq(classify_flow(&fixture, &flow), expected, "step %u", step);
    }
    nic_fixture_free(&fixture);
}

/* ---- receive-side scaling ---- */

/* From the verification suite that NIC vendors share: 66.9.149.187:2794 to
 * 161.142.100.80:1766 hashes to 0x51ccc178 with ports, 0x323e8fc2 without. */
Test(nic_filter, the_hash_is_that_of_the_verification_suite) {
    struct nic_fixture fixture;
    three_functions(&fixture, "");
    struct nic_headers headers = {.ipv4 = true,
                                  .ports = true,
                                  .source = 0x420995bb,
                                  .destination = 0xa18e6450,
                                  .source_port = 2794,
                                  .destination_port = 1766};
    cr_expect_eq(nic_rss_hash(nic_of(fixture.nic), &headers), 0x51ccc178);
    headers.ports = false;
    cr_expect_eq(nic_rss_hash(nic_of(fixture.nic), &headers), 0x323e8fc2);
    headers = (struct nic_headers){.ipv4 = true,
                                   .ports = true,
                                   .source = 0xc75c6f02,
                                   .destination = 0x41458c53,
                                   .source_port = 14230,
                                   .destination_port = 4739};
    cr_expect_eq(nic_rss_hash(nic_of(fixture.nic), &headers), 0xc626b0ea);
    nic_fixture_free(&fixture);
}

Test(nic_filter, rss_spreads_flows_and_keeps_each_on_its_queue) {
    struct nic_fixture fixture;
    struct driver drivers[4];
    unsigned hits[4] = {0};
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    for (uint32_t i = 0; i < 4; i++) {
        memset(&drivers[i], 0, sizeof drivers[i]);
        drivers[i].fixture = &fixture;
        drivers[i].function = nic_function(fixture.nic, 0);
        driver_poke(&drivers[i], NIC_RX_QUEUE_BASE(i) + NIC_QUEUE_BAL, (uint32_t)(region_of(0) + i * 4096));
        driver_poke(&drivers[i], NIC_RX_QUEUE_BASE(i) + NIC_QUEUE_LEN, 1024);
        driver_poke(&drivers[i], NIC_RX_QUEUE_BASE(i) + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
    }
    nic_set_rss(fixture.nic, 4);
    struct flow flow = basic;
    flow.to_function = 0;
    for (uint16_t port = 0; port < 4000; port++) {
        flow.source_port = port;
        const int32_t queue = classify_flow(&fixture, &flow);
        cr_assert(queue >= 0 && queue < 4);
        hits[queue]++;
        cr_expect_eq(classify_flow(&fixture, &flow), queue);
    }
    for (unsigned i = 0; i < 4; i++) {
        cr_expect(hits[i] > 900 && hits[i] < 1100, "queue %u: %u", i, hits[i]);
    }
    nic_set_rss(fixture.nic, 0);
    cr_expect_eq(classify_flow(&fixture, &flow), 0);
    nic_fixture_free(&fixture);
}
