/* test_switch.c: store and forward, learning, flooding, queues that fill. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "hw/machine.h"
#include "hw/wire.h"

enum { ENDS = 3 };
struct end {
    struct port port;
    struct link *link;
    unsigned count, with_request;
    sim_time first, last;
};

static struct {
    struct ethernet_switch *fabric;
    struct end ends[ENDS];
    struct ledger *ledger;
    ledger_component client;
} net;

static void end_receive(struct port *port, struct frame *frame) {
    struct end *end = port->owner;
    end->first = end->count == 0 ? sim_now() : end->first;
    end->last = sim_now();
    end->count++;
    if (frame->request != NULL) {
        end->with_request++;
        ledger_end(frame->request, ledger_find("wire"), sim_now());
    }
    frame_release(frame);
}

static void make_net(sim_time latency, uint64_t queue_bytes, uint64_t rate_of_last) {
    static const struct ledger_declaration client = {"client", NULL, "Client", "wire"};
    machine_declare_components();
    net.client = ledger_declare(&client);
    net.ledger = ledger_create("test");
    ledger_record(net.ledger, true);
    const struct switch_config config = {latency, queue_bytes};
    net.fabric = switch_create("fabric", &config, ENDS);
    for (unsigned i = 0; i < ENDS; i++) {
        const struct link_config cable = {i + 1 == ENDS ? rate_of_last : UINT64_C(10000000000), 0};
        struct end *end = &net.ends[i];
        memset(end, 0, sizeof *end);
        end->port.receive = end_receive;
        end->port.owner = end;
        end->link = link_create("cable", &cable);
        link_connect(end->link, &end->port, switch_port(net.fabric, i));
    }
}

static void free_net(void) {
    cr_expect_eq(ledger_audit(net.ledger, sim_now()), 0);
    for (unsigned i = 0; i < ENDS; i++) {
        link_free(net.ends[i].link);
    }
    switch_free(net.fabric);
    ledger_free(net.ledger);
}

static void send_from(unsigned from, uint8_t to, uint32_t length_bytes) {
    struct frame *frame = frame_allocate();
    frame->length_bytes = length_bytes;
    memset(frame->bytes, to == 0xff ? 0xff : 0, 12);
    frame->bytes[0] = to == 0xff ? 0xff : 2;
    frame->bytes[5] = to;
    memset(frame->bytes + 6, 0, length_bytes - 6);
    frame->bytes[6] = 2;
    frame->bytes[11] = (uint8_t)from;
    frame->request = ledger_begin(net.ledger, net.client, LEDGER_SERVICE, sim_now());
    (void)link_send(&net.ends[from].port, frame, net.client, sim_now());
}

static uint64_t counter_value;
static const char *counter_instance, *counter_name;
static void note_counter(void *context, const char *instance, const char *counter, uint64_t value) {
    (void)context;
    if (strcmp(instance, counter_instance) == 0 && strcmp(counter, counter_name) == 0) {
        counter_value = value;
    }
}
static uint64_t counter(const char *instance, const char *name) {
    const struct stats_sink sink = {NULL, note_counter, NULL};
    counter_value = UINT64_MAX;
    counter_instance = instance;
    counter_name = name;
    switch_visit_stats(net.fabric, &sink);
    return counter_value;
}

static void learn_all(void) {
    for (unsigned i = 0; i < ENDS; i++) {
        const uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)i};
        switch_learn(net.fabric, mac, i);
    }
}

Test(switch, forwards_after_store_and_latency) {
    make_net(900 * SIM_NS, 1 << 20, UINT64_C(10000000000));
    learn_all();
    send_from(0, 1, 60);
    sim_run(SIM_TIME_MAX);
    cr_expect_eq(net.ends[1].count, 1);
    cr_expect_eq(net.ends[1].first, 57600 * SIM_PS + 900 * SIM_NS + 57600 * SIM_PS);
    cr_expect_eq(net.ends[2].count, 0);
    free_net();
}

Test(switch, learns_from_source_addresses) {
    make_net(900 * SIM_NS, 1 << 20, UINT64_C(10000000000));
    send_from(0, 1, 60);
    sim_run(SIM_TIME_MAX);
    cr_expect_eq(net.ends[1].count + net.ends[2].count, 2, "unknown: to all others");
    cr_expect_eq(net.ends[0].count, 0);
    send_from(1, 0, 60);
    sim_run(SIM_TIME_MAX);
    cr_expect_eq(net.ends[0].count, 1);
    cr_expect_eq(net.ends[2].count, 1, "known by now");
    cr_expect_eq(counter("fabric", "floods"), 1);
    free_net();
}

Test(switch, a_flooded_request_follows_one_frame) {
    make_net(900 * SIM_NS, 1 << 20, UINT64_C(10000000000));
    send_from(2, 0xff, 60);
    sim_run(SIM_TIME_MAX);
    cr_expect_eq(net.ends[0].count, 1);
    cr_expect_eq(net.ends[1].count, 1);
    cr_expect_eq(net.ends[0].with_request, 1);
    cr_expect_eq(net.ends[1].with_request, 0);
    cr_expect_eq(ledger_completed(net.ledger), 1);
    free_net();
}

Test(switch, what_lies_behind_its_own_port_is_filtered) {
    make_net(900 * SIM_NS, 1 << 20, UINT64_C(10000000000));
    const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
    switch_learn(net.fabric, mac, 0);
    send_from(0, 9, 60);
    sim_run(SIM_TIME_MAX);
    cr_expect_eq(net.ends[0].count + net.ends[1].count + net.ends[2].count, 0);
    cr_expect_eq(counter("fabric", "filtered"), 1);
    cr_expect_eq(ledger_live(net.ledger), 0);
    free_net();
}

/* Ten frames at 10 Gb/s into a port of 1 Gb/s whose queue holds four. */
Test(switch, a_full_queue_drops_and_counts) {
    make_net(0, 4 * 1000, UINT64_C(1000000000));
    learn_all();
    for (unsigned i = 0; i < 10; i++) {
        send_from(0, 2, 1000);
    }
    sim_run(SIM_TIME_MAX);
    /* The first leaves at once; four wait. Frame n arrives at (n+1)*819.2 ns, one
     * leaves each 8192 ns: nothing leaves before the tenth has come. */
    cr_expect_eq(net.ends[2].count, 5);
    cr_expect_eq(counter("fabric.2", "drops"), 5);
    cr_expect_eq(counter("fabric.2", "queued_bytes_max"), 4000);
    const struct ledger_drop *drops = NULL;
    cr_assert_eq(ledger_drops(net.ledger, &drops), 1);
    cr_expect_eq(drops[0].count, 5);
    cr_expect_eq(drops[0].owner, ledger_find("switch"));
    const sim_time spacing = 1024 * 8 * SIM_NS;
    cr_expect_eq(net.ends[2].last - net.ends[2].first, 4 * spacing);
    free_net();
}

Test(switch, the_queue_of_one_port_does_not_hold_up_another) {
    make_net(0, 4 * 1000, UINT64_C(1000000000));
    learn_all();
    for (unsigned i = 0; i < 10; i++) {
        send_from(0, 2, 1000);
    }
    send_from(0, 1, 60);
    sim_run(SIM_TIME_MAX);
    /* 10 frames with gaps of 1024 bytes, and its own 72 twice. */
    cr_expect_eq(net.ends[1].first, 10 * 1024 * 800 * SIM_PS + 2 * 57600 * SIM_PS);
    free_net();
}
