/* test_tcp_headers.c: TCP's header as bytes. */
#include <criterion/criterion.h>
#include <string.h>

#include "stack/tcp_headers.h"

static const struct net_tcp example = {.source_mac = {2, 0, 0, 0, 0, 1},
                                       .destination_mac = {2, 0, 0, 0, 0, 2},
                                       .source_ip = 0x0a000001,
                                       .destination_ip = 0x0a000002,
                                       .source_port = 40000,
                                       .destination_port = 7,
                                       .sequence = 0xfffffff0,
                                       .acknowledgment = 0x01020304,
                                       .window_bytes = 65535,
                                       .flags = NET_TCP_ACK | NET_TCP_PSH,
                                       .payload_bytes = 33};

static uint32_t write_example(uint8_t *frame, const struct net_tcp *tcp) {
    memset(frame, 0xa5, 200);
    net_tcp_write(frame, tcp, 9, true);
    return net_tcp_headers_bytes(tcp) + tcp->payload_bytes;
}

static void check_same(const struct net_tcp *a, const struct net_tcp *b) {
    cr_assert_arr_eq(a->source_mac, b->source_mac, 6);
    cr_assert_arr_eq(a->destination_mac, b->destination_mac, 6);
    cr_assert_eq(a->source_ip, b->source_ip);
    cr_assert_eq(a->destination_ip, b->destination_ip);
    cr_assert_eq(a->source_port, b->source_port);
    cr_assert_eq(a->destination_port, b->destination_port);
    cr_assert_eq(a->sequence, b->sequence);
    cr_assert_eq(a->acknowledgment, b->acknowledgment);
    cr_assert_eq(a->window_bytes, b->window_bytes);
    cr_assert_eq(a->flags, b->flags);
    cr_assert_eq(a->mss, b->mss);
    cr_assert_eq(a->payload_bytes, b->payload_bytes);
}

Test(tcp_headers, what_is_written_is_parsed) {
    uint8_t frame[200];
    struct net_tcp parsed;
    uint32_t offset = 0;
    const uint32_t bytes = write_example(frame, &example);
    cr_assert_eq(net_tcp_parse(frame, bytes, true, &parsed, &offset), NET_OK);
    check_same(&parsed, &example);
    cr_assert_eq(offset, (uint32_t)NET_TCP_HEADERS_BYTES);
    cr_assert(net_is_protocol(frame, bytes, NET_PROTOCOL_TCP));
    cr_assert_not(net_is_protocol(frame, bytes, NET_PROTOCOL_UDP));
}

Test(tcp_headers, syn_carries_the_mss) {
    uint8_t frame[200];
    struct net_tcp parsed, syn = example;
    uint32_t offset = 0;
    syn.flags = NET_TCP_SYN;
    syn.mss = 1460;
    syn.payload_bytes = 0;
    const uint32_t bytes = write_example(frame, &syn);
    cr_assert_eq(net_tcp_parse(frame, bytes, true, &parsed, &offset), NET_OK);
    check_same(&parsed, &syn);
    cr_assert_eq(offset, (uint32_t)NET_TCP_HEADERS_BYTES + 4);
}

/* The checksum by hand: RFC 9293, 3.1, over pseudo header, header and payload. */
Test(tcp_headers, the_checksum_is_that_of_rfc_1071) {
    uint8_t frame[200];
    const uint32_t bytes = write_example(frame, &example);
    uint32_t sum = NET_PROTOCOL_TCP + (bytes - 34);
    for (uint32_t at = 26; at < bytes; at += 2) { /* addresses, then the segment */
        sum += (uint32_t)frame[at] << 8 | (at + 1 < bytes ? frame[at + 1] : 0);
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    cr_assert_eq(sum, 0xffffU);
}

Test(tcp_headers, any_flipped_bit_is_found) {
    uint8_t frame[200];
    const uint32_t bytes = write_example(frame, &example);
    for (uint32_t bit = 26 * 8; bit < bytes * 8; bit++) {
        struct net_tcp parsed;
        uint32_t offset = 0;
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_neq(net_tcp_parse(frame, bytes, true, &parsed, &offset), NET_OK, "bit %u", bit);
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

Test(tcp_headers, bad_lengths_and_options_are_refused_or_skipped) {
    uint8_t frame[200];
    struct net_tcp parsed, syn = example;
    uint32_t offset = 0;
    uint32_t bytes = write_example(frame, &example);
    frame[NET_ETHERNET_BYTES + NET_IPV4_BYTES + 12] = 4 << 4; /* shorter than a header */
    cr_assert_eq(net_tcp_parse(frame, bytes, false, &parsed, &offset), NET_BAD_TCP_HEADER);
    frame[NET_ETHERNET_BYTES + NET_IPV4_BYTES + 12] = 15 << 4; /* longer than the packet */
    cr_assert_eq(net_tcp_parse(frame, bytes, false, &parsed, &offset), NET_BAD_TCP_HEADER);
    syn.mss = 1460;
    syn.payload_bytes = 0;
    bytes = write_example(frame, &syn);
    uint8_t *option = frame + NET_TCP_HEADERS_BYTES;
    for (unsigned length = 0; length < 256; length++) { /* malformed: ends the search, and reads nothing behind */
        option[0] = 8;
        option[1] = (uint8_t)length;
        cr_assert_eq(net_tcp_parse(frame, bytes, false, &parsed, &offset), NET_OK);
        cr_assert_eq(parsed.mss, 0);
    }
}
