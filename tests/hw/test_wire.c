/* test_wire.c: links: exact times, order, the ledger, padding. */
#include <criterion/criterion.h>
#include <string.h>

#include "hw/machine.h"
#include "hw/wire.h"

struct end {
    struct port port;
    unsigned count;
    sim_time when[16];
    uint32_t length_bytes[16];
    uint8_t first_byte[16], last_byte[16];
};

static void end_receive(struct port *port, struct frame *frame) {
    struct end *end = port->owner;
    end->when[end->count] = sim_now();
    end->length_bytes[end->count] = frame->length_bytes;
    end->first_byte[end->count] = frame->bytes[0];
    end->last_byte[end->count++] = frame->bytes[frame->length_bytes - 1];
    if (frame->request != NULL) {
        ledger_end(frame->request, ledger_find("wire"), sim_now());
    }
    frame_release(frame);
}

static struct link *connect(struct end *a, struct end *b, uint64_t rate, sim_time propagation) {
    machine_declare_components();
    const struct link_config config = {rate, propagation};
    struct link *link = link_create("cable", &config);
    memset(a, 0, sizeof *a);
    memset(b, 0, sizeof *b);
    a->port.receive = b->port.receive = end_receive;
    a->port.owner = a;
    b->port.owner = b;
    link_connect(link, &a->port, &b->port);
    return link;
}

static struct frame *make_frame(uint32_t length_bytes, uint8_t mark) {
    struct frame *frame = frame_allocate();
    frame->length_bytes = length_bytes;
    memset(frame->bytes, mark, length_bytes);
    return frame;
}

/* IEEE 802.3: time on the wire at 10 Gb/s by frame size with FCS. */
Test(wire, frame_times_at_10_gbps) {
    static const struct {
        uint32_t bytes_with_fcs;
        sim_time time;
    } published[] = {{64, 67200 * SIM_PS},
                     {128, 118400 * SIM_PS},
                     {512, 425600 * SIM_PS},
                     {1024, 835200 * SIM_PS},
                     {1518, 1230400 * SIM_PS}};
    struct end a, b;
    struct link *link = connect(&a, &b, UINT64_C(10000000000), 0);
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        cr_expect_eq(link_frame_time(link, published[i].bytes_with_fcs - 4), published[i].time);
    }
    link_free(link);
}

Test(wire, arrival_is_that_of_the_last_bit) {
    struct end a, b;
    struct link *link = connect(&a, &b, UINT64_C(10000000000), 25 * SIM_NS);
    const sim_time end = link_send(&a.port, make_frame(60, 7), 0, 100 * SIM_NS);
    sim_run(SIM_TIME_MAX);
    /* (8 preamble + 60 + 4 FCS) * 0.8 ns; the gap of 12 bytes follows. */
    cr_expect_eq(b.count, 1);
    cr_expect_eq(b.when[0], 100 * SIM_NS + 57600 * SIM_PS + 25 * SIM_NS);
    cr_expect_eq(end, 100 * SIM_NS + 67200 * SIM_PS);
    cr_expect_eq(link_free_at(&a.port), end);
    cr_expect_eq(link_free_at(&b.port), 0, "the other direction is its own");
    link_free(link);
}

Test(wire, frames_follow_each_other_at_line_rate) {
    struct end a, b;
    struct link *link = connect(&a, &b, UINT64_C(10000000000), 0);
    for (uint8_t i = 0; i < 10; i++) {
        (void)link_send(&a.port, make_frame(1514, i), 0, 0);
        (void)link_send(&b.port, make_frame(60, i), 0, 0);
    }
    sim_run(SIM_TIME_MAX);
    for (unsigned i = 0; i < 10; i++) {
        cr_expect_eq(b.when[i], i * 1230400 * SIM_PS + (8 + 1514 + 4) * 800 * SIM_PS);
        cr_expect_eq(a.when[i], i * 67200 * SIM_PS + 57600 * SIM_PS);
        cr_expect_eq(b.first_byte[i], i);
    }
    link_free(link);
}

Test(wire, short_frames_are_padded_with_zeros) {
    struct end a, b;
    struct link *link = connect(&a, &b, UINT64_C(1000000000), 0);
    struct frame *dirty = make_frame(60, 0xff);
    frame_release(dirty);
    (void)link_send(&a.port, make_frame(20, 9), 0, 0);
    sim_run(SIM_TIME_MAX);
    cr_expect_eq(b.length_bytes[0], 60);
    cr_expect_eq(b.first_byte[0], 9);
    cr_expect_eq(b.last_byte[0], 0);
    cr_expect_eq(b.when[0], 72 * 8 * SIM_NS);
    link_free(link);
}

Test(wire, ledger_tells_waiting_from_crossing) {
    static const struct ledger_declaration client_declaration = {"client", NULL, "Client", "wire"};
    struct end a, b;
    struct link *link = connect(&a, &b, UINT64_C(10000000000), 10 * SIM_NS);
    const ledger_component client = ledger_declare(&client_declaration);
    const ledger_component wire = ledger_find("wire");
    struct ledger *ledger = ledger_create("test");
    ledger_record(ledger, true);
    for (unsigned i = 0; i < 2; i++) {
        struct frame *frame = make_frame(60, 1);
        frame->request = ledger_begin(ledger, client, LEDGER_SERVICE, 0);
        (void)link_send(&a.port, frame, client, 5 * SIM_NS);
    }
    sim_run(SIM_TIME_MAX);
    cr_expect_eq((sim_time)ledger_sum(ledger, wire, LEDGER_WAITING), 67200 * SIM_PS,
                 "only the second waits, for the first and its gap");
    cr_expect_eq((sim_time)ledger_sum(ledger, wire, LEDGER_SERVICE), 2 * (57600 * SIM_PS + 10 * SIM_NS));
    cr_expect_eq((sim_time)ledger_sum(ledger, client, LEDGER_SERVICE), 2 * 5 * SIM_NS);
    cr_expect_eq(ledger_audit(ledger, sim_now()), 0);
    ledger_free(ledger);
    link_free(link);
}

static uint64_t busy_fs;
static void note_usage(void *context, const char *resource, const struct usage *usage) {
    (void)context;
    if (strcmp(resource, "cable.0") == 0) {
        busy_fs = usage->spent[ledger_find("wire")];
    }
}

Test(wire, usage_is_busy_for_frames_with_their_gaps) {
    struct end a, b;
    struct link *link = connect(&a, &b, UINT64_C(10000000000), 0);
    (void)link_send(&a.port, make_frame(60, 1), 0, 0);
    (void)link_send(&a.port, make_frame(60, 1), 0, 500 * SIM_NS);
    sim_run(SIM_TIME_MAX);
    const struct stats_sink sink = {NULL, NULL, note_usage};
    link_visit_stats(link, &sink);
    cr_expect_eq(busy_fs, 2 * 67200 * SIM_PS);
    link_reset_stats(link);
    link_visit_stats(link, &sink);
    cr_expect_eq(busy_fs, 0);
    link_free(link);
}
