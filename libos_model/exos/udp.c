#include "libos_model/exos/udp.h"
#include "kernel_model/exo/aegis_user.h"

#include <stdio.h>
#include <string.h>

#include "kernel_model/exo/aegis_sleep.h"
#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/slice.h"

enum {
    WORD = 4,
    DATA_BYTES = EXOS_DATAGRAM_WORDS * WORD,
    UDP_BYTES = NET_UDP_BYTES + DATA_BYTES,
    FRAME_BYTES = NET_UDP_HEADERS_BYTES + DATA_BYTES,
    FRAME_WORDS = (LANCE_DRIVER_OFFSET + FRAME_BYTES) / WORD,
    HEADER_WORDS = (LANCE_DRIVER_OFFSET + NET_UDP_HEADERS_BYTES) / WORD,
    IP_WORDS = NET_IPV4_BYTES / WORD,
    PSEUDO_WORDS = 3
};
_Static_assert((LANCE_DRIVER_OFFSET + FRAME_BYTES) % WORD == 0, "whole words");

#define UDP_COST(name, text)                                                                                           \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct exos_udp_costs, name), .help = text }
const struct param exos_udp_cost_params[] = {
    UDP_COST(input, "a datagram's headers compared and its lengths checked, beside loads and sums"),
    UDP_COST(output, "a datagram's headers put together, beside stores and sums"),
    UDP_COST(sum_word, "a word added to a checksum"),
    UDP_COST(copy_sum_word, "a word copied and added to a checksum, beside its load and store"),
    {0}};

static void step(struct exos_udp *udp, struct cost *cost, uint64_t times) {
    cost->uses += times;
    aegis_user_execute(udp->environment, cost->cycles * times);
}

static uint32_t load(struct exos_udp *udp, uint32_t address) {
    uint32_t value = 0;
    (void)aegis_user_load(udp->environment, address, WORD, &value);
    return value;
}

static void store(struct exos_udp *udp, uint32_t address, uint32_t value) {
    (void)aegis_user_store(udp->environment, address, WORD, value);
}

/* ---- opening ---- */

static enum error_code take_page(struct exos_udp *udp, uint32_t at, struct exo_handle *handle, uint64_t *physical,
                                 struct error *error) {
    const enum error_code code = aegis_frame_allocate(udp->environment, 0, AEGIS_ANY_COLOR, handle, physical, error);
    return code == OK ? aegis_map_guaranteed(udp->environment, at, handle, true, error) : code;
}

#define I(name, a, b, c, immediate)                                                                                    \
    { OPERATION_##name, (a), (b), (c), (immediate) }

/* Not 0 once a packet is in the ring. */
static const struct download_instruction has_come[] = {I(set, 0, 0, 0, 0), I(load32, 1, 0, 0, AEGIS_RING_HEAD),
                                                       I(load32, 2, 0, 0, AEGIS_RING_TAIL), I(subtract, 3, 1, 2, 0),
                                                       I(return_value, 3, 0, 0, 0)};

static enum error_code download_predicate_of(struct exos_udp *udp, struct error *error) {
    const struct download_region ends = {udp->ring, AEGIS_RING_TAIL + WORD, false};
    return aegis_predicate(udp->environment, has_come, sizeof has_come / sizeof *has_come, &ends, 1, error);
}

enum error_code exos_udp_open(struct exos_udp *udp, struct error *error) {
    struct exo_handle ring, page;
    char address[16], filter[128];
    enum error_code code = take_page(udp, EXOS_PACKET_RING_AT, &ring, &udp->ring, error);
    if (code == OK) {
        code = take_page(udp, EXOS_PACKET_PAGE_AT, &page, &udp->page, error);
    }
    if (code == OK) {
        net_ipv4_print(udp->remote.destination_ip, address);
        (void)snprintf(filter, sizeof filter, "ip and src host %s and udp src port %u and dst port %u", address,
                       udp->remote.destination_port, udp->remote.source_port);
        code = aegis_packet_bind(udp->environment, filter, &ring, &udp->filter, error);
    }
    return code == OK && udp->sleeps ? download_predicate_of(udp, error) : code;
}

enum error_code exos_udp_close(struct exos_udp *udp, struct error *error) {
    return aegis_packet_release(udp->environment, &udp->filter, error);
}

/* ---- sending ---- */

/* The bytes are put together by net_udp_write; each word is stored where it belongs. */
enum error_code exos_udp_send(struct exos_udp *udp, const uint32_t *words) {
    uint8_t frame[LANCE_DRIVER_OFFSET + FRAME_BYTES] = {0};
    udp->remote.payload_bytes = DATA_BYTES;
    memcpy(frame + LANCE_DRIVER_OFFSET + NET_UDP_HEADERS_BYTES, words, DATA_BYTES);
    net_udp_write(frame + LANCE_DRIVER_OFFSET, &udp->remote, udp->identification++, true);
    step(udp, &udp->costs->output, 1);
    step(udp, &udp->costs->sum_word, IP_WORDS + PSEUDO_WORDS + NET_UDP_BYTES / WORD);
    step(udp, &udp->costs->copy_sum_word, EXOS_DATAGRAM_WORDS);
    for (uint32_t i = 0; i < FRAME_WORDS; i++) {
        uint32_t word = 0;
        memcpy(&word, frame + (size_t)i * WORD, WORD);
        if (i >= HEADER_WORDS) {
            (void)load(udp, EXOS_PACKET_PAGE_AT + EXOS_PACKET_DATA + (i - HEADER_WORDS) * WORD); /* the caller's */
        }
        store(udp, EXOS_PACKET_PAGE_AT + i * WORD, word);
    }
    return aegis_packet_send(udp->environment, EXOS_PACKET_PAGE_AT + EXOS_PACKET_FRAME, FRAME_BYTES);
}

/* ---- receiving ---- */

/* The slot that is next, once a packet is in it. */
static uint32_t await(struct exos_udp *udp) {
    while (load(udp, EXOS_PACKET_RING_AT + AEGIS_RING_HEAD) == udp->tail) {
        if (!udp->sleeps || aegis_sleep(udp->environment) != OK) {
            (void)aegis_yield(udp->environment, NULL);
        }
    }
    struct aegis_environment *environment = udp->environment;
    const uint32_t slot = AEGIS_RING_SLOTS_AT + udp->tail % AEGIS_RING_SLOTS * AEGIS_RING_SLOT_BYTES;
    struct memory *memory = environment->aegis->kernel->machine->memory;
    cpu_run(context_current());
    environment->request = memory_alight(memory, udp->ring + slot);
    (void)aegis_user_work(environment, environment->component);
    return EXOS_PACKET_RING_AT + slot;
}

static bool is_expected(const struct exos_udp *udp, const uint8_t *frame, uint32_t length_bytes, uint32_t *offset) {
    struct net_udp got;
    return net_udp_parse(frame, length_bytes, true, &got, offset) == NET_OK && got.payload_bytes == DATA_BYTES &&
           got.destination_port == udp->remote.source_port && got.source_ip == udp->remote.destination_ip;
}

static void discard(struct exos_udp *udp) {
    udp->refused++;
    cpu_run(context_current());
    if (udp->environment->request != NULL) {
        ledger_abandon(udp->environment->request, "not a good datagram", sim_now());
        udp->environment->request = NULL;
    }
    (void)aegis_user_work(udp->environment, udp->environment->component);
}

/* Reads a datagram out of its slot: the headers, and the data as it is copied. */
static bool take(struct exos_udp *udp, uint32_t slot, uint32_t *words) {
    uint8_t frame[LANCE_DRIVER_OFFSET + FRAME_BYTES] = {0};
    const uint32_t length = load(udp, slot);
    step(udp, &udp->costs->input, 1);
    step(udp, &udp->costs->sum_word, IP_WORDS + PSEUDO_WORDS + NET_UDP_BYTES / WORD);
    step(udp, &udp->costs->copy_sum_word, EXOS_DATAGRAM_WORDS);
    for (uint32_t i = 0; i < FRAME_WORDS; i++) {
        const uint32_t word = load(udp, slot + WORD + i * WORD);
        memcpy(frame + (size_t)i * WORD, &word, WORD);
        if (i >= HEADER_WORDS) {
            store(udp, EXOS_PACKET_PAGE_AT + EXOS_PACKET_DATA + (i - HEADER_WORDS) * WORD, word);
        }
    }
    uint32_t offset = 0;
    if (length < FRAME_BYTES || !is_expected(udp, frame + LANCE_DRIVER_OFFSET, FRAME_BYTES, &offset)) {
        return false;
    }
    memcpy(words, frame + LANCE_DRIVER_OFFSET + offset, DATA_BYTES);
    return true;
}

void exos_udp_receive(struct exos_udp *udp, uint32_t *words) {
    for (;;) {
        const uint32_t slot = await(udp);
        const bool good = take(udp, slot, words);
        udp->tail++;
        store(udp, EXOS_PACKET_RING_AT + AEGIS_RING_TAIL, udp->tail);
        if (good) {
            return;
        }
        discard(udp);
    }
}

/* ---- answering in the kernel ---- */

/* Places in a frame. */
enum {
    AT_MACS = 0,
    AT_ADDRESSES = 26,
    AT_PORTS = 34,
    AT_UDP = 34,
    AT_CHECKSUM = 40,
    AT_DATA = 42,
    TO_UDP = 0,              /* in region 1: where a datagram is copied to */
    TO_LIMIT = UDP_BYTES + 8 /* ... and the limit's word */
};

/* r0 is 0; r1 is the counter; r15 the answer's sum. */
static const struct download_instruction answer[] = {
    I(set, 0, 0, 0, 0), I(size, 2, 0, 0, 0), I(set, 3, 0, 0, FRAME_BYTES),
    /* Not of this length: the library's. */
    I(jump_equal, 2, 3, 0, 1), I(return_value, 0, 0, 0, 0),
    /* Checked as it is copied: header and data, then the pseudo header. */
    I(set, 4, 0, 0, TO_UDP), I(set, 5, 0, 0, AT_UDP), I(set, 6, 0, 0, UDP_BYTES),
    I(set, 7, 0, 0, NET_PROTOCOL_UDP + UDP_BYTES), I(copy_sum, 1, 0, 4, UDP_BYTES), I(set, 8, 0, 0, AT_ADDRESSES),
    I(set, 9, 0, 0, 8), I(sum, 7, 0, 8, 8), I(fold, 10, 7, 0, 0), I(jump_equal, 10, 0, 0, 1),
    I(return_value, 0, 0, 0, 0),
    /* The last one is the library's. */
    I(load32, 1, 0, 0, AT_DATA), I(load32, 2, 0, 1, TO_LIMIT), I(jump_less, 1, 2, 0, 1), I(return_value, 0, 0, 0, 0),
    I(add_immediate, 1, 1, 0, 1), I(store32, 1, 0, 0, AT_DATA),
    /* Ports, addresses and stations change places; their sums stay. */
    I(load16, 2, 0, 0, AT_PORTS), I(load16, 3, 0, 0, AT_PORTS + 2), I(store16, 3, 0, 0, AT_PORTS),
    I(store16, 2, 0, 0, AT_PORTS + 2), I(load32, 2, 0, 0, AT_ADDRESSES), I(load32, 3, 0, 0, AT_ADDRESSES + 4),
    I(store32, 3, 0, 0, AT_ADDRESSES), I(store32, 2, 0, 0, AT_ADDRESSES + 4), I(load32, 2, 0, 0, AT_MACS),
    I(load32, 3, 0, 0, AT_MACS + 6), I(store32, 3, 0, 0, AT_MACS), I(store32, 2, 0, 0, AT_MACS + 6),
    I(load16, 2, 0, 0, AT_MACS + 4), I(load16, 3, 0, 0, AT_MACS + 10), I(store16, 3, 0, 0, AT_MACS + 4),
    I(store16, 2, 0, 0, AT_MACS + 10),
    /* The answer's own checksum. */
    I(store16, 0, 0, 0, AT_CHECKSUM), I(set, 15, 0, 0, NET_PROTOCOL_UDP + UDP_BYTES), I(sum, 15, 0, 8, 8),
    I(sum, 15, 0, 5, UDP_BYTES), I(fold, 15, 15, 0, 0), I(swap16, 15, 15, 0, 0), I(store16, 15, 0, 0, AT_CHECKSUM),
    I(set, 4, 0, 0, 0), I(set, 5, 0, 0, FRAME_BYTES), I(send, 0, 0, 4, FRAME_BYTES), I(set, 1, 0, 0, 1),
    I(return_value, 1, 0, 0, 0)};

enum error_code exos_udp_download(struct exos_udp *udp, uint32_t limit, struct error *error) {
    struct aegis_environment *environment = udp->environment;
    const struct download_region own = {udp->page + EXOS_PACKET_HANDLER, TO_LIMIT + WORD, true};
    memory_write32(environment->aegis->kernel->machine->memory, own.physical + TO_LIMIT, limit);
    return aegis_packet_handler(environment, &udp->filter, answer, sizeof answer / sizeof *answer, &own, 1, error);
}
