/* Ethernet, IPv4 and UDP as bytes: known packets, every verdict, and the checksum
 * against the plain sum of RFC 1071. */
#include <criterion/criterion.h>
#include <string.h>

#include "sim/random.h"
#include "stack/net_headers.h"

/* RFC 1071, section 4.1, word by word. */
static uint16_t plain_checksum(const uint8_t *bytes, size_t length) {
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

/* The bytes of RFC 1071, section 3: 0001 f203 f4f5 f6f7 sum to ddf2. */
Test(net_headers, the_checksum_of_the_rfcs_example) {
    const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    cr_assert_eq(net_checksum_fold(net_checksum_add(0, bytes, sizeof bytes)), (uint16_t)~0xddf2);
}

Test(net_headers, the_checksum_equals_the_plain_one_for_every_length_and_alignment) {
    static uint8_t bytes[2048];
    random_seed(1);
    struct random_stream *stream = random_stream_create("bytes");
    for (unsigned round = 0; round < 2000; round++) {
        const size_t at = random_below(stream, 9);
        const size_t length = round < 64 ? round : random_below(stream, 1500);
        for (size_t i = 0; i < at + length; i++) {
            bytes[i] = (uint8_t)(round % 5 == 0 ? 0xff : random_below(stream, 256));
        }
        cr_assert_eq(net_checksum_fold(net_checksum_add(0, bytes + at, (uint32_t)length)),
                     plain_checksum(bytes + at, length), "length %zu", length);
        const uint32_t cut = (uint32_t)(length / 2) & ~1U; /* in two parts, the first of even length */
        const uint32_t sum = net_checksum_add(0, bytes + at, cut);
        cr_assert_eq(net_checksum_fold(net_checksum_add(sum, bytes + at + cut, (uint32_t)length - cut)),
                     plain_checksum(bytes + at, length));
    }
    random_stream_free(stream);
}

static const struct net_udp sample = {.source_mac = {2, 0, 0, 0, 0, 1},
                                      .destination_mac = {2, 0, 0, 0, 0, 2},
                                      .source_ip = 0x0a000001,
                                      .destination_ip = 0x0a000002,
                                      .source_port = 40000,
                                      .destination_port = 7,
                                      .payload_bytes = 5};

static uint32_t make(uint8_t *frame, bool checksums) {
    memset(frame, 0xee, 128);
    memcpy(frame + NET_UDP_HEADERS_BYTES, "melange", 5);
    net_udp_write(frame, &sample, 0x1234, checksums);
    return NET_UDP_HEADERS_BYTES + 5;
}

Test(net_headers, every_byte_lies_where_the_standards_put_it) {
    /* Both checksums were summed apart from the code under test. */
    static const uint8_t expected[] = {
        2,    0,    0,   0,   0,    2,    2,    0,    0,  0,  0,    1,    0x08, 0x00,                    /* Ethernet */
        0x45, 0,    0,   33,  0x12, 0x34, 0x40, 0,    64, 17, 0x14, 0x96, 10,   0,    0, 1, 10, 0, 0, 2, /* IPv4 */
        0x9c, 0x40, 0,   7,   0,    13,   0x07, 0xc3,                                                    /* UDP */
        'm',  'e',  'l', 'a', 'n'};
    uint8_t frame[128];
    const uint32_t length = make(frame, true);
    cr_assert_eq(length, sizeof expected);
    for (size_t i = 0; i < sizeof expected; i++) {
        cr_expect_eq(frame[i], expected[i], "byte %zu is %02x, not %02x", i, frame[i], expected[i]);
    }
    cr_assert_eq(frame[sizeof expected], 0xee, "nothing is written behind the packet");
    cr_assert_eq(plain_checksum(frame + 14, 20), 0);
}

Test(net_headers, the_hardware_finds_both_fields_empty) {
    uint8_t frame[128];
    (void)make(frame, false);
    cr_assert_eq(frame[24], 0);
    cr_assert_eq(frame[25], 0);
    cr_assert_eq(frame[40], 0);
    cr_assert_eq(frame[41], 0);
}

Test(net_headers, what_is_written_is_read_back) {
    uint8_t frame[128];
    struct net_udp udp;
    uint32_t offset = 0;
    const uint32_t length = make(frame, true);
    memset(&udp, 0, sizeof udp);
    cr_assert_eq(net_udp_parse(frame, length, true, &udp, &offset), NET_OK);
    cr_assert_eq(offset, NET_UDP_HEADERS_BYTES);
    cr_assert_eq(memcmp(udp.source_mac, sample.source_mac, 6), 0);
    cr_assert_eq(memcmp(udp.destination_mac, sample.destination_mac, 6), 0);
    cr_assert_eq(udp.source_ip, sample.source_ip);
    cr_assert_eq(udp.destination_ip, sample.destination_ip);
    cr_assert_eq(udp.source_port, sample.source_port);
    cr_assert_eq(udp.destination_port, sample.destination_port);
    cr_assert_eq(udp.payload_bytes, 5);
    /* Padded to the shortest frame on the wire, it is the same. */
    cr_assert_eq(net_udp_parse(frame, 60, true, &udp, &offset), NET_OK);
    cr_assert_eq(udp.payload_bytes, 5);
}

/* Rewrites the IPv4 checksum after a field was changed. */
static void fix_ip(uint8_t *frame) {
    frame[24] = 0;
    frame[25] = 0;
    const uint16_t sum = plain_checksum(frame + 14, (size_t)(frame[14] & 15) * 4);
    frame[24] = (uint8_t)(sum >> 8);
    frame[25] = (uint8_t)sum;
}

static enum net_verdict verdict_of(const uint8_t *frame, uint32_t length, bool verify) {
    struct net_udp udp;
    uint32_t offset = 0;
    return net_udp_parse(frame, length, verify, &udp, &offset);
}

Test(net_headers, each_fault_has_its_verdict) {
    uint8_t frame[128];
    uint32_t length = make(frame, true);
    cr_assert_eq(verdict_of(frame, 13, true), NET_TRUNCATED);
    cr_assert_eq(verdict_of(frame, 33, true), NET_TRUNCATED);
    cr_assert_eq(verdict_of(frame, length - 1, true), NET_TRUNCATED);
    frame[12] = 0x86; /* IPv6: 86dd */
    frame[13] = 0xdd;
    cr_assert_eq(verdict_of(frame, length, true), NET_NOT_IPV4);
    (void)make(frame, true);
    frame[14] = 0x65;
    cr_assert_eq(verdict_of(frame, length, true), NET_BAD_VERSION);
    frame[14] = 0x44; /* a header of 16 bytes */
    cr_assert_eq(verdict_of(frame, length, true), NET_BAD_VERSION);
    (void)make(frame, true);
    frame[17] = 19; /* a datagram shorter than its header */
    cr_assert_eq(verdict_of(frame, length, true), NET_BAD_VERSION);
    (void)make(frame, true);
    frame[26] ^= 1;
    cr_assert_eq(verdict_of(frame, length, true), NET_BAD_IP_CHECKSUM);
    cr_assert_eq(verdict_of(frame, length, false), NET_OK);
    (void)make(frame, true);
    frame[20] = 0x20; /* more fragments */
    fix_ip(frame);
    cr_assert_eq(verdict_of(frame, length, true), NET_FRAGMENT);
    (void)make(frame, true);
    frame[21] = 1; /* an offset */
    fix_ip(frame);
    cr_assert_eq(verdict_of(frame, length, true), NET_FRAGMENT);
    (void)make(frame, true);
    frame[23] = NET_PROTOCOL_TCP;
    fix_ip(frame);
    cr_assert_eq(verdict_of(frame, length, true), NET_NOT_UDP);
    (void)make(frame, true);
    frame[39] = 7;
    cr_assert_eq(verdict_of(frame, length, true), NET_BAD_UDP_LENGTH);
    frame[39] = 14;
    cr_assert_eq(verdict_of(frame, length, true), NET_BAD_UDP_LENGTH);
    (void)make(frame, true);
    frame[42] ^= 0x10;
    cr_assert_eq(verdict_of(frame, length, true), NET_BAD_UDP_CHECKSUM);
    cr_assert_eq(verdict_of(frame, length, false), NET_OK);
    frame[40] = 0; /* the sender made no checksum */
    frame[41] = 0;
    cr_assert_eq(verdict_of(frame, length, true), NET_OK);
    for (int i = 0; i < NET_VERDICTS; i++) {
        cr_assert_gt(strlen(net_verdict_text((enum net_verdict)i)), 1);
    }
}

Test(net_headers, every_flipped_bit_of_a_packet_is_noticed) {
    uint8_t frame[128];
    const uint32_t length = make(frame, true);
    for (uint32_t bit = 14 * 8; bit < length * 8; bit++) {
        frame[bit / 8] ^= (uint8_t)(1U << bit % 8);
        cr_assert_neq(verdict_of(frame, length, true), NET_OK, "bit %u", bit);
        frame[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    cr_assert_eq(verdict_of(frame, length, true), NET_OK);
}

Test(net_headers, options_move_the_payload) {
    uint8_t frame[128];
    struct net_udp udp;
    uint32_t offset = 0;
    (void)make(frame, true);
    memmove(frame + 38, frame + 34, 13);
    memset(frame + 34, 1, 4); /* four no-operations */
    frame[14] = 0x46;
    frame[17] = 37;
    fix_ip(frame);
    cr_assert_eq(net_udp_parse(frame, NET_UDP_HEADERS_BYTES + 9, true, &udp, &offset), NET_OK);
    cr_assert_eq(offset, NET_UDP_HEADERS_BYTES + 4);
    cr_assert_eq(udp.destination_port, 7);
    cr_assert_eq(net_udp_checksum(frame + 14), (uint16_t)(frame[44] << 8 | frame[45]));
}

/* A checksum that comes out as 0 is sent as ffff, since 0 says that there is none. */
Test(net_headers, a_zero_checksum_is_sent_as_its_other_form) {
    uint8_t frame[128];
    struct net_udp udp = sample;
    unsigned found = 0;
    memset(frame, 0, sizeof frame);
    for (uint32_t port = 1; port < 65536; port++) {
        udp.source_port = (uint16_t)port;
        net_udp_write(frame, &udp, 0, true);
        cr_assert(frame[40] != 0 || frame[41] != 0);
        found += frame[40] == 0xff && frame[41] == 0xff ? 1 : 0;
        cr_assert_eq(verdict_of(frame, NET_UDP_HEADERS_BYTES + 5, true), NET_OK);
    }
    cr_assert_eq(found, 1);
}

Test(net_headers, random_bytes_are_never_read_beyond_their_end) {
    random_seed(2);
    struct random_stream *stream = random_stream_create("fuzz");
    for (unsigned round = 0; round < 200000; round++) {
        const uint32_t length = (uint32_t)random_below(stream, 70);
        uint8_t *frame = malloc(length + 1); /* the sanitizer sees a byte too far */
        for (uint32_t i = 0; i < length; i++) {
            frame[i] = (uint8_t)random_below(stream, 256);
        }
        if (length > 24 && round % 2 == 0) {
            frame[12] = 8;
            frame[13] = 0;
            frame[14] = (uint8_t)(0x40 | (frame[14] & 15));
            frame[16] = 0;
            frame[20] = 0x40;
            frame[21] = 0;
            frame[23] = 17;
        }
        struct net_udp udp;
        uint32_t offset = 0;
        if (net_udp_parse(frame, length, round % 4 < 2, &udp, &offset) == NET_OK) {
            cr_assert_leq(offset + udp.payload_bytes, length);
        }
        free(frame);
    }
    random_stream_free(stream);
}

Test(net_headers, addresses_as_text) {
    uint32_t address = 0;
    char text[16];
    cr_assert(net_ipv4_parse("10.0.0.1", &address));
    cr_assert_eq(address, 0x0a000001);
    cr_assert(net_ipv4_parse("255.254.0.10", &address));
    net_ipv4_print(address, text);
    cr_assert_str_eq(text, "255.254.0.10");
    static const char *const bad[] = {"",           "10",        "10.0.0",     "10.0.0.256", "10.0.0.1.",
                                      "10.0.0.1.2", "10..0.1",   "10.0.0.01",  " 10.0.0.1",  "10.0.0.1 ",
                                      "a.b.c.d",    "10.0.0.-1", "1000.0.0.1", "0x0a.0.0.1", "10.0.0.99999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not(net_ipv4_parse(bad[i], &address), "%s", bad[i]);
    }
}
