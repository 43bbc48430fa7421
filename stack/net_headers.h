/* net_headers.h: Ethernet, IPv4 and UDP as bytes on the wire.
 * IEEE 802.3, 3.1; RFC 791, 3.1; RFC 768; RFC 1071 (checksum). */
#ifndef STILLSUIT_STACK_NET_HEADERS_H
#define STILLSUIT_STACK_NET_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/error.h"

enum {
    NET_ETHERNET_BYTES = 14,
    NET_IPV4_BYTES = 20, /* without options */
    NET_UDP_BYTES = 8,
    NET_UDP_HEADERS_BYTES = NET_ETHERNET_BYTES + NET_IPV4_BYTES + NET_UDP_BYTES,
    NET_ETHERTYPE_IPV4 = 0x0800,
    NET_PROTOCOL_TCP = 6,
    NET_PROTOCOL_UDP = 17
};

/* One UDP datagram's addressing, in host byte order. */
struct net_udp {
    uint8_t source_mac[6], destination_mac[6];
    uint32_t source_ip, destination_ip;
    uint16_t source_port, destination_port;
    uint16_t payload_bytes;
};

/* One's complement sum of `length_bytes` bytes added to `sum`, not yet folded; and
 * folded, complemented, in host order. RFC 1071. */
uint32_t net_checksum_add(uint32_t sum, const uint8_t *bytes, uint32_t length_bytes);
uint16_t net_checksum_fold(uint32_t sum);
/* The UDP checksum of a datagram at `ip` (header and payload), computed anew. */
uint16_t net_udp_checksum(const uint8_t *ip);

/* Writes the 42 bytes of headers before `payload_bytes` of payload at
 * frame + NET_UDP_HEADERS_BYTES. `identification` goes into the IPv4 header. With
 * `checksums` false both checksum fields stay 0 for the hardware to fill in. */
void net_udp_write(uint8_t *frame, const struct net_udp *udp, uint16_t identification, bool checksums);

enum net_verdict {
    NET_OK,
    NET_NOT_IPV4,
    NET_TRUNCATED,
    NET_BAD_VERSION,
    NET_FRAGMENT,
    NET_BAD_IP_CHECKSUM,
    NET_NOT_UDP,
    NET_BAD_UDP_LENGTH,
    NET_BAD_UDP_CHECKSUM,
    NET_NOT_TCP,
    NET_BAD_TCP_HEADER,
    NET_BAD_TCP_CHECKSUM,
    NET_VERDICTS
};
const char *net_verdict_text(enum net_verdict verdict);

/* Parses a frame's headers. `verify` also checks both checksums (a UDP checksum of
 * 0 means none was sent). Tells where the payload lies by `payload_offset`. */
enum net_verdict net_udp_parse(const uint8_t *frame, uint32_t length_bytes, bool verify, struct net_udp *udp,
                               uint32_t *payload_offset);

/* ---- for protocols above IPv4 ---- */

/* The addressing of an IPv4 packet, in host byte order, and where its payload lies. */
struct net_ip {
    uint8_t source_mac[6], destination_mac[6];
    uint32_t source, destination;
    uint8_t protocol;
    uint32_t payload_offset, payload_bytes; /* in the frame */
};
/* Ethernet's and IPv4's 34 bytes before `payload_bytes` of payload. */
void net_ip_write(uint8_t *frame, const struct net_ip *ip, uint16_t identification, bool checksum);
/* Parses and checks them, up to the protocol, which is the caller's to look at. */
enum net_verdict net_ip_parse(const uint8_t *frame, uint32_t length_bytes, bool verify, struct net_ip *ip);
/* One's complement sum of the pseudo header of the IPv4 header at `ip`. */
uint32_t net_pseudo_header_sum(const uint8_t *ip, uint8_t protocol, uint32_t payload_bytes);

/* Words in network order. */
static inline uint16_t net_get16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}
static inline uint32_t net_get32(const uint8_t *bytes) {
    return (uint32_t)net_get16(bytes) << 16 | net_get16(bytes + 2);
}
static inline void net_put16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}
static inline void net_put32(uint8_t *bytes, uint32_t value) {
    net_put16(bytes, (uint16_t)(value >> 16));
    net_put16(bytes + 2, (uint16_t)value);
}

/* "10.0.0.1" to and from host order. */
bool net_ipv4_parse(const char *text, uint32_t *address);
void net_ipv4_print(uint32_t address, char out[16]);

#endif
