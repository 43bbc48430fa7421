/* test_client_frame.c: frames from templates, and what is found wrong with replies. */
#include <criterion/criterion.h>
#include <string.h>

#include "sim/random.h"
#include "workloads/client_frame.h"

enum { PACKETS = 10000 };

static const struct net_udp addressing = {.source_mac = {2, 0, 0, 0, 0, 1},
                                          .destination_mac = {2, 0, 0, 0, 0, 2},
                                          .source_ip = 0x0a000101,
                                          .destination_ip = 0x0a000001,
                                          .source_port = 32768,
                                          .destination_port = 7};

static uint16_t read16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* RFC 1071, word by word, apart from the code under test. */
static uint16_t plain_checksum(const uint8_t *bytes, size_t length, uint32_t sum) {
    for (size_t i = 0; i < length; i += 2) {
        sum += (uint32_t)bytes[i] << 8 | (i + 1 < length ? bytes[i + 1] : 0u);
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static uint16_t full_udp(const uint8_t *frame, uint32_t payload) {
    uint8_t copy[1600];
    memcpy(copy, frame + 34, 8 + payload);
    copy[6] = copy[7] = 0;
    const uint32_t pseudo =
        (uint32_t)read16(frame + 26) + read16(frame + 28) + read16(frame + 30) + read16(frame + 32) + 17 + 8 + payload;
    const uint16_t checksum = plain_checksum(copy, 8 + payload, pseudo);
    return checksum == 0 ? 0xffff : checksum;
}

static uint16_t full_ip(const uint8_t *frame) {
    uint8_t copy[20];
    memcpy(copy, frame + 14, 20);
    copy[10] = copy[11] = 0;
    return plain_checksum(copy, 20, 0);
}

static void check_patched(uint32_t payload_bytes) {
    struct client_payload payload;
    struct client_flow flow;
    struct random_stream *random = random_stream_create("cookies");
    client_payload_init(&payload, payload_bytes);
    client_flow_init(&flow, &addressing, &payload);
    struct frame *frame = frame_allocate();
    for (unsigned i = 0; i < PACKETS; ++i) {
        const uint64_t cookie = i < 8 ? (uint64_t[]){0, 1, UINT64_MAX, 0xffff, 0xffff0000, 1ull << 63, 0xfffe, 2}[i]
                                      : random_below(random, UINT64_MAX);
        client_flow_write(&flow, &payload, cookie, frame);
        cr_assert_eq(read16(frame->bytes + 24), full_ip(frame->bytes), "packet %u", i);
        cr_assert_eq(read16(frame->bytes + 40), full_udp(frame->bytes, payload_bytes), "packet %u", i);
        cr_assert_eq(read16(frame->bytes + 18), (uint16_t)(i + 1), "the identification counts");
    }
    frame_release(frame);
    random_stream_free(random);
}

Test(client_frame, patched_checksums_equal_full_ones) {
    check_patched(1024);
    check_patched(8);
    check_patched(9);
    check_patched(1471);
}

Test(client_frame, a_checksum_that_comes_to_zero_is_sent_as_ones) {
    struct client_payload payload;
    struct client_flow flow;
    client_payload_init(&payload, 64);
    client_flow_init(&flow, &addressing, &payload);
    struct frame *frame = frame_allocate();
    /* The template's own checksum, as the lowest word, makes the sum all ones. */
    client_flow_write(&flow, &payload, flow.udp_checksum, frame);
    cr_assert_eq(read16(frame->bytes + 40), 0xffff);
    struct net_udp udp;
    uint64_t cookie;
    cr_assert_eq(client_reply_check(&payload, frame, &udp, &cookie), CLIENT_GOOD);
    frame_release(frame);
}

static struct client_payload payload;
static struct frame *frame;
static enum client_verdict check(uint64_t *cookie) {
    struct net_udp udp;
    return client_reply_check(&payload, frame, &udp, cookie);
}
static void make_frame(void) {
    struct client_flow flow;
    client_payload_init(&payload, 100);
    client_flow_init(&flow, &addressing, &payload);
    frame = frame_allocate();
    client_flow_write(&flow, &payload, 0x0123456789abcdef, frame);
}

Test(client_frame, a_good_frame_gives_its_cookie_and_addressing) {
    struct net_udp udp;
    uint64_t cookie;
    make_frame();
    cr_assert_eq(client_reply_check(&payload, frame, &udp, &cookie), CLIENT_GOOD);
    cr_assert_eq(cookie, 0x0123456789abcdef);
    cr_assert_eq(udp.source_ip, addressing.source_ip);
    cr_assert_eq(udp.destination_port, 7);
    cr_assert_eq(udp.payload_bytes, 100);
    cr_assert_eq(frame->length_bytes, 142);
}

Test(client_frame, every_flipped_bit_of_the_datagram_is_found) {
    uint64_t cookie;
    make_frame();
    for (unsigned byte = 14; byte < 142; ++byte) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            frame->bytes[byte] = (uint8_t)(frame->bytes[byte] ^ 1u << bit);
            /* An ethertype, a protocol or a length that is not ours is no damage to tell. */
            cr_assert_neq(check(&cookie), CLIENT_GOOD, "byte %u bit %u", byte, bit);
            if (byte >= 42) {
                cr_assert_eq(check(&cookie), CLIENT_CORRUPT, "byte %u bit %u", byte, bit);
            }
            frame->bytes[byte] = (uint8_t)(frame->bytes[byte] ^ 1u << bit);
        }
    }
    cr_assert_eq(check(&cookie), CLIENT_GOOD);
}

Test(client_frame, another_payload_under_a_right_checksum_is_a_mismatch) {
    uint64_t cookie;
    make_frame();
    frame->bytes[80] ^= 0x55;
    const uint16_t checksum = full_udp(frame->bytes, 100);
    frame->bytes[40] = (uint8_t)(checksum >> 8);
    frame->bytes[41] = (uint8_t)checksum;
    cr_assert_eq(check(&cookie), CLIENT_MISMATCHED);
}

Test(client_frame, no_udp_checksum_is_allowed) {
    uint64_t cookie;
    make_frame();
    frame->bytes[40] = frame->bytes[41] = 0;
    cr_assert_eq(check(&cookie), CLIENT_GOOD);
    frame->bytes[100] ^= 1;
    cr_assert_eq(check(&cookie), CLIENT_MISMATCHED, "the content is compared nevertheless");
}

Test(client_frame, short_payloads_are_padded) {
    struct client_flow flow;
    uint64_t cookie;
    client_payload_init(&payload, 8);
    client_flow_init(&flow, &addressing, &payload);
    frame = frame_allocate();
    memset(frame->bytes, 0xaa, sizeof frame->bytes);
    client_flow_write(&flow, &payload, 5, frame);
    cr_assert_eq(frame->length_bytes, FRAME_BYTES_MIN);
    for (unsigned i = 50; i < FRAME_BYTES_MIN; ++i) {
        cr_assert_eq(frame->bytes[i], 0);
    }
    cr_assert_eq(check(&cookie), CLIENT_GOOD);
    cr_assert_eq(cookie, 5);
}
