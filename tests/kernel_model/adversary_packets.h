/* adversary_packets.h: on Aegis, datagrams that arrive for Bob and for others, Bob's ring, and
 * random calls of Mallory's on filters, rings, handlers and frames to send.
 *
 * For test_aegis_adversary.c, whose monitor, handles and answers it uses. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_ADVERSARY_PACKETS_H
#define STILLSUIT_TESTS_KERNEL_MODEL_ADVERSARY_PACKETS_H

#include "hw/device.h"
#include "hw/wire.h"
#include "kernel_model/exo/aegis_network.h"
#include "stack/net_headers.h"

enum {
    BOBS_PORT = 7,
    PORTS = 4, /* from Bob's on */
    FRAME = 74,
    RING_AT = PAGE_Y + (BOBS_PAGES + 1) * AEGIS_PAGE,
    FILTERS_MAX = 64,
    ARRIVAL = 5 /* ms between two */
};
static const uint8_t here[6] = {8, 0, 0x2b, 0, 0, 1}, there[6] = {8, 0, 0x2b, 0, 0, 2};

static struct aegis_network_costs network_costs;
static struct port far;
static ledger_component far_client;
static struct exo_handle ring, bobs_filter;
static uint64_t ring_physical;
static uint32_t sent, taken; /* of Bob's datagrams */
static uint64_t others_sent, filters_made, handlers_made, frames_sent;
/* Mallory's filters, and what their rings are. */
static struct {
    struct exo_handle handle;
    uint64_t ring;
} filters[FILTERS_MAX];

static void far_receive(struct port *port, struct frame *frame) {
    (void)port;
    frame_release(frame);
}

static void packet_costs(const char *file, const struct param *params, void *out) {
    char path[512];
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    (void)snprintf(path, sizeof path, SOURCE_DIR "/configs/profiles/%s", file);
    struct config *profile = config_load(path, &diagnostics);
    cr_assert(profile != NULL && config_bind(config_root(profile), params, out, &diagnostics));
}

/* After fixture_make, before the environments. */
static void make_network(void) {
    static const struct ledger_declaration client = {"client", NULL, "Client", "wire"};
    static const struct link_config link = {10000000, 0};
    far_client = ledger_declare(&client);
    packet_costs("lance-r3000.yaml", lance_driver_cost_params, &network_costs.lance);
    packet_costs("download-r3000.yaml", download_cost_params, &network_costs.download);
    cr_assert_eq(aegis_network_create(aegis, &network_costs, here, &error), OK, "%s", error.text);
    struct device *device = machine_device(machine, "ln");
    far.receive = far_receive;
    link_connect(link_create("cable", &link), &far, device->ops->network_port(device, 0));
}

/* A datagram for that port leaves the far end; its first word is `word`. */
static void send_to(uint16_t port, uint32_t word) {
    struct net_udp header = {.source_ip = 2, .destination_ip = 1, .payload_bytes = FRAME - NET_UDP_HEADERS_BYTES};
    header.source_port = header.destination_port = port;
    memcpy(header.source_mac, there, 6);
    memcpy(header.destination_mac, here, 6);
    struct frame *frame = frame_allocate();
    memset(frame->bytes, 0, FRAME);
    memcpy(frame->bytes + NET_UDP_HEADERS_BYTES, &word, sizeof word);
    net_udp_write(frame->bytes, &header, 1, true);
    frame->length_bytes = FRAME;
    (void)link_send(&far, frame, far_client, sim_now());
}

/* Bob's datagrams are sent when his ring has room, so that each of them has to be in it when
 * the next is due; others' whenever. */
static void arrivals(void *context) {
    struct sim_event *event = context;
    const uint32_t head = memory_read32(machine->memory, ring_physical + AEGIS_RING_HEAD);
    MUST(bobs_filter.type == EXO_NONE || head == sent, "a datagram of Bob's is not in his ring");
    if (bobs_filter.type != EXO_NONE && head - taken < AEGIS_RING_SLOTS && draw(2) == 0) {
        send_to(BOBS_PORT, ++sent);
    } else {
        send_to((uint16_t)(BOBS_PORT + 1 + draw(PORTS - 1)), draw(UINT32_MAX));
        others_sent++;
    }
    sim_schedule(event, ARRIVAL * SIM_MS);
}

/* ---- Bob ---- */

static void bob_binds(struct aegis_environment *environment) {
    cr_assert_eq(aegis_tlb_insert(environment, RING_AT, &ring, true, NULL), OK);
    monitor_bound(&monitor, bob->asid, RING_AT, &ring, true);
    struct exo_handle made_filter;
    cr_assert_eq(aegis_packet_bind(environment, "udp dst port 7", &ring, &made_filter, &error), OK, "%s", error.text);
    (void)monitor_granted(&monitor, NULL, EXO_DOWNLOADED, bob->environment->number, &made_filter);
    bobs_filter = made_filter;
}

/* What is in his ring are his datagrams, in order. Returns how often something was wrong. */
static uint64_t bob_takes(void) {
    uint32_t head = 0, word = 0, port = 0;
    uint64_t errors = fixture_load(RING_AT + AEGIS_RING_HEAD, 4, &head) ? 0 : 1;
    while (taken != head && errors == 0) {
        const uint32_t slot = RING_AT + AEGIS_RING_SLOTS_AT + taken % AEGIS_RING_SLOTS * AEGIS_RING_SLOT_BYTES;
        const uint32_t frame = slot + AEGIS_RING_FRAME;
        errors += fixture_load(frame + NET_UDP_HEADERS_BYTES, 4, &word) && word == taken + 1 ? 0 : 1;
        errors += fixture_load(frame + 36, 2, &port) && port == BOBS_PORT << 8 ? 0 : 1; /* destination port */
        errors += fixture_store(RING_AT + AEGIS_RING_TAIL, 4, ++taken) ? 0 : 1;
    }
    return errors;
}

/* ---- Mallory ---- */

/* A filter ends with the right to write its ring. */
static void settle_filters(void) {
    for (unsigned i = 0; i < FILTERS_MAX; i++) {
        if (filters[i].handle.type != EXO_NONE &&
            !monitor_holds(&monitor, mallory->environment->number, filters[i].ring, AEGIS_PAGE, EXO_READ | EXO_WRITE)) {
            monitor_revoked(&monitor, &filters[i].handle);
            filters[i].handle.type = EXO_NONE;
        }
    }
}

static void bind_filter(void) {
    static const struct {
        const char *text;
        bool bobs; /* it takes datagrams of his */
    } texts[] = {{"udp dst port 7", true},
                 {"udp dst port 8", false},
                 {"ip", true},
                 {"udp dst port 9", false},
                 {"udp dst port 10", false},
                 {"portrange 7-9", true},
                 {"tcp dst port 7", false},
                 {"not tcp", true},
                 {"", true},
                 {"udp dst port 11", false},
                 {"udp dst portrange 9-10", false}};
    const uint32_t which = draw(sizeof texts / sizeof *texts);
    const struct exo_handle on = some_handle(EXO_FRAMES);
    const struct monitor_capability *held = monitor_find(&monitor, &on);
    const uint64_t physical = held != NULL ? held->physical : 0;
    struct exo_handle made_filter;
    if (held != NULL && held->type == EXO_FRAMES && (held->rights & EXO_READ) == 0) {
        return; /* a ring that only the kernel reads may end with any capability on its frame */
    }
    const bool before = allows(&on, EXO_FRAMES, EXO_WRITE);
    const enum error_code code = aegis_packet_bind(mallory, texts[which].text, &on, &made_filter, NULL);
    MUST(code != OK || !texts[which].bobs || bobs_filter.type == EXO_NONE, "a filter over Bob's datagrams");
    if (answered_in_time(code, before, allows(&on, EXO_FRAMES, EXO_WRITE), true)) {
        (void)monitor_granted(&monitor, NULL, EXO_DOWNLOADED, mallory->environment->number, &made_filter);
        for (unsigned i = 0; i < FILTERS_MAX; i++) {
            if (filters[i].handle.type == EXO_NONE || monitor_find(&monitor, &filters[i].handle) == NULL) {
                filters[i].handle = made_filter;
                filters[i].ring = physical;
                break;
            }
        }
        settle_filters();
        keep(EXO_DOWNLOADED, &made_filter);
        filters_made++;
    }
}

static void release_filter(void) {
    const struct exo_handle filter = some_handle(EXO_DOWNLOADED);
    const bool before = allows(&filter, EXO_DOWNLOADED, EXO_CONTROL);
    const enum error_code code = aegis_packet_release(mallory, &filter, NULL);
    if (answered_in_time(code, before, allows(&filter, EXO_DOWNLOADED, EXO_CONTROL), true)) {
        monitor_revoked(&monitor, &filter);
    }
}

/* A handler that stores a word where it may, or not. */
static void put_handler(void) {
    static const struct download_instruction stores[] = {
        {OPERATION_set, 0, 0, 0, 0}, {OPERATION_store32, 0, 0, 1, 0}, {OPERATION_return_value, 0, 0, 0, 0}};
    const struct exo_handle filter = some_handle(EXO_DOWNLOADED), on = some_handle(EXO_FRAMES);
    const struct monitor_capability *held = monitor_find(&monitor, &on);
    struct download_region region = {draw(1 << 23), 1 + draw(8192), draw(4) != 0};
    if (draw(4) != 0 && held != NULL) {
        region.physical = held->physical;
        region.length_bytes = 4 + draw(AEGIS_PAGE - 3);
    } else if (draw(2) == 0) {
        region.physical = bobs_frames[draw(BOBS_PAGES)];
    }
    const unsigned rights = EXO_READ | (region.writable ? (unsigned)EXO_WRITE : 0U);
    const uint32_t number = mallory->environment->number;
    hear_force();
    const bool holds = monitor_holds(&monitor, number, region.physical, region.length_bytes, rights);
    const bool before = holds && allows(&filter, EXO_DOWNLOADED, EXO_BIND);
    const enum error_code code = aegis_packet_handler(mallory, &filter, stores, 3, &region, 1, NULL);
    handlers_made += answered_in_time(code, before, allows(&filter, EXO_DOWNLOADED, EXO_BIND), false) ? 1 : 0;
}

/* Frames leave from pages that are bound, and no others. */
static void send_frame(void) {
    const uint32_t address = (some_page() & ~3U) + (draw(8) != 0 ? 2 : draw(4));
    const uint32_t length = draw(8) == 0 ? draw(UINT32_MAX) : draw(1600);
    hear_force();
    const bool bound = monitor_is_bound(&monitor, mallory->asid, address & AEGIS_PAGE_MASK);
    const enum error_code code = aegis_packet_send(mallory, address, length);
    hear_force();
    MUST(code != OK || bound, "a page was sent that is not bound");
    frames_sent += code == OK;
}

static void packet_call(void) {
    switch (draw(4)) {
    case 0:
        bind_filter();
        break;
    case 1:
        release_filter();
        break;
    case 2:
        put_handler();
        break;
    default:
        send_frame();
        break;
    }
}

#endif
