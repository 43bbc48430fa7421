/* test_exos_packet_adversary.c: an environment makes random calls about packets with valid, stale,
 * edited and another's arguments; another's packets come to it and to nobody else, and its
 * memory is what it was. Each failure names the call; the seed is the fixture's. */
#include "kernel_model/exo/aegis_sleep.h"
#include "tests/libos_model/exos_wire_fixture.h"

enum { CALLS = 20000, BETWEEN = 100, HANDLES = 48, AT_DATA = 42, MARK = 0xa5 };

static const struct aegis_program passive = {.name = "passive"};
static struct aegis_environment *alice, *mallory;
static struct exo_handle alice_ring, alice_filter, alice_page;
static uint64_t ring, page;
static struct random_stream *dice;
static struct exo_handle handles[HANDLES];
static struct download_region regions[HANDLES];
static uint64_t granted, call;

static void set_up(void) {
    struct error error = {OK, ""};
    wire_fixture_make(wire_fixture_ignore);
    alice = fixture_environment("alice", &passive, 0);
    mallory = fixture_environment("mallory", &passive, 0);
    alice_ring = fixture_frame(alice, &ring);
    alice_page = fixture_frame(alice, &page);
    memory_fill(machine->memory, page, MARK, AEGIS_PAGE);
    cr_assert_eq(aegis_packet_bind(alice, "udp dst port 7", &alice_ring, &alice_filter, &error), OK, "%s", error.text);
    dice = random_stream_create("test.mallory");
}

static uint32_t draw(uint32_t below) {
    return (uint32_t)random_below(dice, below);
}

/* ---- what Mallory presents ---- */

static struct exo_handle some_handle(void) {
    struct exo_handle handle = handles[draw(HANDLES)];
    switch (draw(8)) {
    case 0:
        return alice_ring;
    case 1:
        return alice_filter;
    case 2:
        handle.index += draw(3);
        handle.holder += draw(2);
        return handle;
    case 3:
        handle.rights |= (uint16_t)draw(EXO_ALL + 1);
        return handle;
    default:
        return handle;
    }
}

static struct download_region some_region(void) {
    struct download_region region = regions[draw(HANDLES)];
    const uint64_t foreign[] = {ring, page, aegis->globals, aegis->free_map, alice->block, alice->save_area};
    if (draw(3) == 0) {
        region.physical = foreign[draw(6)];
    }
    region.physical += draw(2) == 0 ? 0 : draw(AEGIS_PAGE);
    region.length_bytes = 4 + draw(256);
    region.writable = draw(2) == 0;
    return region;
}

static bool is_mallorys(const struct download_region *region) {
    const uint64_t first = region->physical / AEGIS_PAGE,
                   last = (region->physical + region->length_bytes - 1) / AEGIS_PAGE;
    for (uint64_t frame = first; frame <= last; frame++) {
        const struct aegis_frame *at = mallory->frames;
        while (at != NULL && at->physical != frame * AEGIS_PAGE) {
            at = at->next;
        }
        if (at == NULL) {
            return false;
        }
    }
    return true;
}

/* ---- calls; what was granted must have been Mallory's to have ---- */

static void download(void) {
    static const struct download_instruction reads[] = {
        {OPERATION_set, 0, 0, 0, 0}, {OPERATION_load32, 1, 0, 0, 0}, {OPERATION_return_value, 1, 0, 0, 0}};
    static const struct download_instruction stores[] = {
        {OPERATION_set, 0, 0, 0, 0}, {OPERATION_store32, 0, 0, 1, 0}, {OPERATION_return_value, 0, 0, 0, 0}};
    const struct download_region region = some_region();
    const struct exo_handle filter = some_handle();
    const bool handler = draw(2) == 0;
    const enum error_code code = handler ? aegis_packet_handler(mallory, &filter, stores, 3, &region, 1, NULL)
                                         : aegis_predicate(mallory, reads, 3, &region, 1, NULL);
    cr_assert(code != OK || is_mallorys(&region), "call %llu: code over 0x%llx", (unsigned long long)call,
              (unsigned long long)region.physical);
    granted += code == OK;
}

static void bind(void) {
    static const char *const texts[] = {"udp dst port 7", "udp",        "ip",
                                        "udp dst port 8", "tcp",        "udp dst port 9 or udp dst port 7",
                                        "not udp",        "arp",        "udp dst port 70",
                                        "greater 60",     "ip proto 6", "udp[2:2] = 7"};
    static const bool takes[] = {true, true, true, false, false, true, false, false, false, true, false, true};
    const uint32_t which = draw(sizeof texts / sizeof *texts), at = draw(HANDLES);
    const struct exo_handle page_handle = some_handle();
    struct exo_handle made;
    if (aegis_packet_bind(mallory, texts[which], &page_handle, &made, NULL) == OK) {
        cr_assert_not(takes[which], "call %llu: \"%s\" takes Alice's packets", (unsigned long long)call, texts[which]);
        handles[at] = made;
        granted++;
    }
}

static void one_call(void) {
    const struct exo_handle handle = some_handle();
    const uint32_t at = draw(HANDLES);
    uint64_t physical = 0;
    switch (draw(6)) {
    case 0:
        if (aegis_frame_allocate(mallory, 0, AEGIS_ANY_COLOR, &handles[at], &physical, NULL) == OK) {
            regions[at] = (struct download_region){physical, 64, true};
        }
        break;
    case 1:
        granted += aegis_frame_release(mallory, &handle, NULL) == OK;
        break;
    case 2:
        granted += aegis_packet_release(mallory, &handle, NULL) == OK;
        break;
    case 3:
        granted +=
            aegis_derive(mallory, &handle, draw(EXO_ALL + 1), draw(2) == 0 ? alice : mallory, &handles[at], NULL) == OK;
        break;
    case 4:
        bind();
        break;
    default:
        download();
        break;
    }
}

/* ---- what Alice has ---- */

static void send_to_alice(uint8_t secret) {
    struct net_udp header = {.source_ip = HERE + 1, .destination_ip = HERE, .payload_bytes = FRAME - AT_DATA};
    header.source_port = header.destination_port = PORT;
    memcpy(header.source_mac, there, 6);
    memcpy(header.destination_mac, here, 6);
    struct frame *frame = frame_allocate();
    memset(frame->bytes, secret, FRAME);
    net_udp_write(frame->bytes, &header, 1, true);
    frame->length_bytes = FRAME;
    frame->request = NULL;
    (void)link_send(&far, frame, client, sim_now());
}

static void check_alice(uint32_t count) {
    const uint8_t secret = (uint8_t)(count | 0x80);
    send_to_alice(secret);
    sim_run(sim_now() + SIM_MS);
    const uint64_t slot = ring + AEGIS_RING_SLOTS_AT + count % AEGIS_RING_SLOTS * AEGIS_RING_SLOT_BYTES;
    cr_assert_eq(memory_read32(machine->memory, ring + AEGIS_RING_HEAD), count + 1, "call %llu: her packet is lost",
                 (unsigned long long)call);
    for (uint64_t i = AT_DATA; i < FRAME; i++) {
        cr_assert_eq(*(const uint8_t *)memory_at(machine->memory, slot + AEGIS_RING_FRAME + i), secret);
    }
    for (uint64_t i = 0; i < AEGIS_PAGE; i++) {
        cr_assert_eq(*(const uint8_t *)memory_at(machine->memory, page + i), MARK, "call %llu: her page",
                     (unsigned long long)call);
    }
    memory_write32(machine->memory, ring + AEGIS_RING_TAIL, count + 1);
    cr_assert(mallory->dead || mallory->environment->filters_held <= mallory->environment->limits.filters);
    cr_assert_eq(alice->environment->filters_held, 1);
    cr_assert_eq(exo_capabilities_charged(aegis->kernel->capabilities, alice->environment->number), 4);
}

Test(exos_packet_adversary, random_calls_get_at_no_packet_and_no_memory_of_anothers) {
    set_up();
    fixture_run(SIM_MS);
    for (call = 0; call < CALLS; call++) {
        one_call();
        if (call % BETWEEN == 0) {
            check_alice((uint32_t)(call / BETWEEN));
        }
    }
    cr_expect_gt(granted, CALLS / 20, "too few were granted for the test to say much: %llu",
                 (unsigned long long)granted);
    cr_expect_gt(mallory->environment->counters.refused[EXO_NOT_HOLDER], 100);
    cr_expect_gt(mallory->environment->counters.refused[EXO_FORGED], 100);
    aegis_environment_destroy(mallory);
    check_alice(CALLS / BETWEEN);
    random_stream_free(dice);
}
