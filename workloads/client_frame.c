/* client_frame.c: writing and checking the frames of a client. */
#include "workloads/client_frame.h"

#include <string.h>

enum {
    IP_IDENTIFICATION = NET_ETHERNET_BYTES + 4, /* RFC 791, 3.1 */
    IP_CHECKSUM = NET_ETHERNET_BYTES + 10,
    IP_ADDRESSES = NET_ETHERNET_BYTES + 12,
    UDP_HEADER = NET_ETHERNET_BYTES + NET_IPV4_BYTES,
    UDP_CHECKSUM = UDP_HEADER + 6, /* RFC 768 */
    COOKIE_BYTES = 8
};

static uint32_t read16(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static void write16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static uint64_t read64(const uint8_t *bytes) {
    return (uint64_t)read16(bytes) << 48 | (uint64_t)read16(bytes + 2) << 32 | (uint64_t)read16(bytes + 4) << 16 |
           read16(bytes + 6);
}

static void write64(uint8_t *bytes, uint64_t value) {
    for (unsigned i = 0; i < 4; ++i) {
        write16(bytes + 2 * i, (uint16_t)(value >> (48 - 16 * i)));
    }
}

static uint16_t fold(uint32_t sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)(sum + (sum >> 16));
}

static uint32_t cookie_sum(uint64_t cookie) {
    return (uint32_t)(cookie >> 48) + (uint32_t)(cookie >> 32 & 0xffff) + (uint32_t)(cookie >> 16 & 0xffff) +
           (uint32_t)(cookie & 0xffff);
}

/* A UDP checksum that comes to 0 is sent as all ones: 0 means that there is none. */
static uint16_t udp_written(uint16_t checksum) {
    return checksum == 0 ? 0xffff : checksum;
}

void client_payload_init(struct client_payload *payload, uint32_t length_bytes) {
    SIM_ASSERT(length_bytes >= CLIENT_PAYLOAD_MIN && length_bytes <= CLIENT_PAYLOAD_MAX);
    memset(payload, 0, sizeof *payload);
    payload->length_bytes = length_bytes;
    for (uint32_t i = COOKIE_BYTES; i < length_bytes; ++i) {
        payload->bytes[i] = (uint8_t)(i * 37 + (i >> 8) + 1); /* no two neighbours alike */
    }
    const uint16_t checksum =
        net_checksum_fold(net_checksum_add(0, payload->bytes + COOKIE_BYTES, length_bytes - COOKIE_BYTES));
    payload->pattern_sum = (uint16_t)~checksum;
}

void client_flow_init(struct client_flow *flow, const struct net_udp *udp, const struct client_payload *payload) {
    uint8_t frame[NET_UDP_HEADERS_BYTES + CLIENT_PAYLOAD_MAX];
    *flow = (struct client_flow){.udp = *udp, .identification = 1};
    flow->udp.payload_bytes = (uint16_t)payload->length_bytes;
    memcpy(frame + NET_UDP_HEADERS_BYTES, payload->bytes, payload->length_bytes);
    net_udp_write(frame, &flow->udp, 0, true);
    memcpy(flow->headers, frame, sizeof flow->headers);
    flow->ip_checksum = (uint16_t)read16(frame + IP_CHECKSUM);
    flow->udp_checksum = (uint16_t)read16(frame + UDP_CHECKSUM);
}

void client_flow_write(struct client_flow *flow, const struct client_payload *payload, uint64_t cookie,
                       struct frame *frame) {
    uint8_t *bytes = frame->bytes;
    const uint16_t identification = flow->identification++;
    memcpy(bytes, flow->headers, NET_UDP_HEADERS_BYTES);
    memcpy(bytes + NET_UDP_HEADERS_BYTES, payload->bytes, payload->length_bytes);
    write16(bytes + IP_IDENTIFICATION, identification);
    write16(bytes + IP_CHECKSUM, (uint16_t)~fold((uint16_t)~flow->ip_checksum + (uint32_t)identification));
    write64(bytes + NET_UDP_HEADERS_BYTES, cookie);
    write16(bytes + UDP_CHECKSUM, udp_written((uint16_t)~fold((uint16_t)~flow->udp_checksum + cookie_sum(cookie))));
    frame->length_bytes = NET_UDP_HEADERS_BYTES + payload->length_bytes;
    if (frame->length_bytes < FRAME_BYTES_MIN) {
        memset(bytes + frame->length_bytes, 0, FRAME_BYTES_MIN - frame->length_bytes);
        frame->length_bytes = FRAME_BYTES_MIN;
    }
}

/* The checksum of a datagram that carries the client's pattern: addresses, protocol,
 * length, UDP header, cookie, and the pattern's sum, which is known. */
static uint16_t expected_checksum(const struct client_payload *payload, const uint8_t *bytes, uint64_t cookie) {
    const uint32_t length = NET_UDP_BYTES + payload->length_bytes;
    uint32_t sum = NET_PROTOCOL_UDP + length + length + payload->pattern_sum + cookie_sum(cookie);
    for (unsigned i = 0; i < 4; ++i) {
        sum += read16(bytes + IP_ADDRESSES + 2 * i);
    }
    sum += read16(bytes + UDP_HEADER) + read16(bytes + UDP_HEADER + 2);
    return udp_written((uint16_t)~fold(sum));
}

/* A payload that is not the pattern: damaged on the way, or sent so. */
static enum client_verdict judge(const uint8_t *bytes, uint32_t checksum) {
    const bool right = checksum == 0 || checksum == net_udp_checksum(bytes + NET_ETHERNET_BYTES);
    return right ? CLIENT_MISMATCHED : CLIENT_CORRUPT;
}

enum client_verdict client_reply_check(const struct client_payload *payload, const struct frame *frame,
                                       struct net_udp *udp, uint64_t *cookie) {
    const uint8_t *bytes = frame->bytes;
    uint32_t offset = 0;
    const enum net_verdict verdict = net_udp_parse(bytes, frame->length_bytes, false, udp, &offset);
    if (verdict == NET_NOT_IPV4 || verdict == NET_NOT_UDP) {
        return CLIENT_MISMATCHED;
    }
    if (verdict != NET_OK || net_checksum_fold(net_checksum_add(0, bytes + NET_ETHERNET_BYTES, NET_IPV4_BYTES)) != 0) {
        return CLIENT_CORRUPT;
    }
    const uint32_t checksum = read16(bytes + UDP_CHECKSUM);
    if (offset != NET_UDP_HEADERS_BYTES || udp->payload_bytes != payload->length_bytes ||
        memcmp(bytes + offset + COOKIE_BYTES, payload->bytes + COOKIE_BYTES, payload->length_bytes - COOKIE_BYTES) !=
            0) {
        return judge(bytes, checksum);
    }
    *cookie = read64(bytes + offset);
    const bool right = checksum == 0 || checksum == expected_checksum(payload, bytes, *cookie);
    return right ? CLIENT_GOOD : CLIENT_CORRUPT;
}
