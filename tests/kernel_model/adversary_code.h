/* adversary_code.h: what Alice has downloaded; random calls of others that download theirs;
 * and looks at who gets packets. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_ADVERSARY_CODE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_ADVERSARY_CODE_H

#include "kernel_model/exo/download_bind.h"
#include "kernel_model/exo/memory.h"
#include "tests/kernel_model/adversary_blocks.h"
#include "tests/kernel_model/adversary_fixture.h"

enum { PACKET_BYTES = 64, DOWNLOAD_LIMIT_CYCLES = 2000 };

static struct exo_bound_downloads *downloads;
static uint32_t delivered;
static uint64_t handlers, sleepers;

static void deliver(void *context, uint32_t owner, uint32_t number, uint64_t physical, uint32_t length_bytes,
                    struct request *request) {
    (void)context, (void)number, (void)physical, (void)length_bytes, (void)request;
    delivered = owner;
}

static void transmit(void *context, uint32_t owner, struct download_send frame, struct request *request) {
    (void)context, (void)owner, (void)frame, (void)request;
}

static void make_code(void) {
    uint32_t number = 0;
    const struct exo_bound_downloads_config with = {.packets = {.memory = fixture_machine->memory,
                                                                .costs = &xn_download_costs,
                                                                .engine = DOWNLOAD_MERGED,
                                                                .handler_limit_cycles = DOWNLOAD_LIMIT_CYCLES,
                                                                .send = transmit,
                                                                .deliver = deliver},
                                                    .predicate_limit_cycles = DOWNLOAD_LIMIT_CYCLES};
    downloads = exo_bound_downloads_create(kernel, &with);
    make_blocks(kernel);
    cr_assert_eq(exo_bound_filter_text(downloads, alice, NULL, "udp dst port 7", &number, &downloaded, &error), OK);
    (void)monitor_granted(&monitor, NULL, EXO_DOWNLOADED, alice->number, &downloaded);
    cr_assert_eq(exo_derive(alice, &directories, EXO_BIND | EXO_GRANT, mallory[0], &pool[EXO_TEMPLATE][0], &error), OK);
    monitor_derived(&monitor, &directories, EXO_BIND | EXO_GRANT, mallory[0]->number, &pool[EXO_TEMPLATE][0]);
}

/* ---- looks ---- */

/* A datagram to that port arrives; whose filter took it, or 0. */
static uint32_t arrive(uint8_t port) {
    const uint8_t bytes[PACKET_BYTES] = {[12] = 8, [14] = 0x45, [23] = 17, [37] = port};
    memory_write(fixture_machine->memory, packet.physical, bytes, sizeof bytes);
    delivered = 0;
    (void)exo_download_packet(exo_bound_packets(downloads), NULL, packet.physical, sizeof bytes, NULL);
    return delivered;
}

static void look_at_code(void) {
    look_at_blocks();
    MUST(arrive(7) == alice->number, "Alice's packet went elsewhere");
}

/* ---- downloaded code ---- */

static void filter_call(struct exo_environment *e) {
    static const struct {
        const char *text;
        bool alices; /* it takes packets of hers */
    } filters[] = {{"udp dst port 7", true},
                   {"udp dst port 8", false},
                   {"ip", true},
                   {"udp", true},
                   {"portrange 7-9", true},
                   {"len > 10", true},
                   {"tcp dst port 7", false},
                   {"not tcp", true},
                   {"udp dst port 9", false},
                   {"udp dst port 10", false},
                   {"", true},
                   {"udp dst portrange 9-10", false}};
    struct exo_handle made;
    uint32_t number = 0;
    const uint32_t which = draw(sizeof filters / sizeof *filters);
    if (answered(exo_bound_filter_text(downloads, e, NULL, filters[which].text, &number, &made, NULL),
                 !filters[which].alices, false)) {
        (void)monitor_granted(&monitor, NULL, EXO_DOWNLOADED, e->number, &made);
        keep(EXO_DOWNLOADED, &made);
    }
}

/* Its own memory, more or less; hers; any. */
static struct download_region some_region(void) {
    const struct exo_handle frames = some_handle(EXO_FRAMES);
    const struct monitor_capability *held = monitor_find(&monitor, &frames);
    struct download_region region = {draw(256 << 20), draw(8192), draw(2) == 0};
    if (draw(3) != 0 && held != NULL && held->type == EXO_FRAMES) {
        region.physical = held->physical + (draw(4) == 0 ? draw(8192) : 0);
        region.length_bytes = 1 + (draw(4) == 0 ? draw(1 << 16) : draw((uint32_t)held->length_bytes));
    } else if (draw(2) == 0) {
        region.physical = memory[draw(3)].physical;
    }
    return region;
}

/* Nonsense, but of operations that there are; or a store, or a load, at a region's start. */
static uint32_t some_code(instruction *code) {
    static const instruction stores[] = {I(set, 0, 0, 0, 0), I(store32, 0, 0, 1, 0), I(return_value, 0, 0, 0, 0)};
    static const instruction loads[] = {I(set, 0, 0, 0, 0), I(load32, 0, 0, 0, 0), I(return_value, 0, 0, 0, 0)};
    for (int i = 0; i < 6; i++) {
        code[i] = (instruction){(uint8_t)draw(36), (uint8_t)draw(8), (uint8_t)draw(8), (uint8_t)draw(4),
                                (int32_t)draw(70) - 2};
    }
    const uint32_t which = draw(4);
    if (which < 2) {
        return 6;
    }
    memcpy(code, which == 2 ? stores : loads, sizeof stores);
    code[1].immediate = (int32_t)draw(3) * 4;
    return 3;
}

static bool holds(const struct exo_environment *e, const struct download_region *region, bool write) {
    const unsigned rights = EXO_READ | (write ? (unsigned)EXO_WRITE : 0U);
    return monitor_holds(&monitor, e->number, region->physical, region->length_bytes, rights);
}

static void code_call(struct exo_environment *e) {
    instruction code[6];
    const struct exo_handle handle = some_handle(EXO_DOWNLOADED);
    const struct download_region region = some_region();
    const uint32_t count = some_code(code), regions = draw(2);
    switch (draw(4)) {
    case 0:
        filter_call(e);
        break;
    case 1: /* a predicate only reads; one without memory is refused */
        if (answered(exo_bound_wait(downloads, e, code, count, &region, regions, NULL),
                     regions == 1 && holds(e, &region, false), false)) {
            sleepers++;
        }
        break;
    case 2:
        (void)arrive((uint8_t)(8 + draw(3)));
        break;
    default:
        if (answered(exo_bound_handler(downloads, e, &handle, code, count, &region, 1, NULL),
                     holds(e, &region, region.writable) &&
                         monitor_allows(&monitor, e->number, &handle, EXO_DOWNLOADED, EXO_BIND),
                     false)) {
            handlers++;
        }
        break;
    }
}

#endif
