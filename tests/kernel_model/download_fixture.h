/* download_fixture.h: packets for the tests of downloaded code. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_DOWNLOAD_FIXTURE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_DOWNLOAD_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "kernel_model/exo/download_demux.h"
#include "sim/random.h"

/* A small world, so that packets often match: four hosts, six ports, few protocols. */
struct fixture_packet {
    uint8_t bytes[128];
    struct download_packet view;
};

static inline void fixture_put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* An IPv4 packet with `options` words of options; protocol 6 or 17. */
static inline void fixture_packet_ip(struct fixture_packet *packet, uint8_t protocol, uint8_t source_host,
                                     uint8_t destination_host, uint16_t source_port, uint16_t destination_port,
                                     uint8_t options) {
    memset(packet, 0, sizeof *packet);
    fixture_put16(packet->bytes + 12, 0x0800);
    packet->bytes[14] = (uint8_t)(0x45 + options);
    packet->bytes[23] = protocol;
    memcpy(packet->bytes + 26, (uint8_t[]){10, 0, 0, source_host, 10, 0, 0, destination_host}, 8);
    uint8_t *transport = packet->bytes + 14 + 20 + 4 * options;
    fixture_put16(transport, source_port);
    fixture_put16(transport + 2, destination_port);
    packet->view = (struct download_packet){packet->bytes, 64};
}

static inline void fixture_packet_random(struct random_stream *random, struct fixture_packet *packet) {
    const uint8_t protocol = random_below(random, 3) == 0 ? 17 : 6;
    fixture_packet_ip(packet, protocol, (uint8_t)(1 + random_below(random, 4)), (uint8_t)(1 + random_below(random, 4)),
                      (uint16_t)(80 + random_below(random, 6)), (uint16_t)(80 + random_below(random, 6)),
                      (uint8_t)random_below(random, 3));
    if (random_below(random, 8) == 0) {
        packet->bytes[20] = (uint8_t)random_below(random, 256); /* fragments */
    }
    if (random_below(random, 8) == 0) {
        fixture_put16(packet->bytes + 12, random_below(random, 2) == 0 ? 0x86dd : 0x0806);
    }
    if (random_below(random, 6) == 0) {
        packet->view.length_bytes = (uint32_t)random_below(random, 61);
    }
    for (uint64_t flips = random_below(random, 3); flips > 0; flips--) {
        packet->bytes[random_below(random, 64)] ^= (uint8_t)random_below(random, 256);
    }
}

/* A filter expression of that world. */
static inline void fixture_filter_text(struct random_stream *random, char *text, size_t bytes) {
    const unsigned host = 1 + (unsigned)random_below(random, 4), other = 1 + (unsigned)random_below(random, 4);
    const unsigned port = 80 + (unsigned)random_below(random, 6), second = 80 + (unsigned)random_below(random, 6);
    const char *protocol = random_below(random, 2) == 0 ? "tcp" : "udp";
    switch (random_below(random, 10)) {
    case 0:
        (void)snprintf(text, bytes, "port %u", port);
        break;
    case 1:
        (void)snprintf(text, bytes, "ip and %s portrange %u-%u", protocol, port, port + 2);
        break;
    case 2:
        (void)snprintf(text, bytes, "not %s and dst host 10.0.0.%u", protocol, host);
        break;
    case 3:
        (void)snprintf(text, bytes, "ip[8] + ip[9] > 20 and src host 10.0.0.%u", host);
        break;
    case 4:
        (void)snprintf(text, bytes, "%s[0:2] = %s[2:2]", protocol, protocol);
        break;
    case 5:
        (void)snprintf(text, bytes, "len > %u and %s", port - 40, protocol);
        break;
    case 6:
        (void)snprintf(text, bytes, "arp or ip6 or dst net 10.0.0.%u/31", host & ~1u);
        break;
    default:
        (void)snprintf(text, bytes, "%s and src host 10.0.0.%u and dst host 10.0.0.%u and src port %u and dst port %u",
                       protocol, host, other, port, second);
        break;
    }
}

#endif
