/* tcp_headers.h: TCP's header as bytes on the wire. RFC 9293, 3.1; its one option
 * here is the maximum segment size (3.7.1), on segments with SYN: 24 bytes then, 20
 * otherwise. Other options are skipped as they arrive. */
#ifndef STILLSUIT_STACK_TCP_HEADERS_H
#define STILLSUIT_STACK_TCP_HEADERS_H

#include "stack/net_headers.h"

enum {
    NET_TCP_BYTES = 20,
    NET_TCP_SYN_BYTES = 24, /* with the MSS option */
    NET_TCP_HEADERS_BYTES = NET_ETHERNET_BYTES + NET_IPV4_BYTES + NET_TCP_BYTES,
    NET_TCP_MSS_ETHERNET = 1500 - NET_IPV4_BYTES - NET_TCP_BYTES,
    NET_TCP_MSS_DEFAULT = 536 /* where none was offered: RFC 9293, 3.7.1 */
};

enum net_tcp_flags { NET_TCP_FIN = 1, NET_TCP_SYN = 2, NET_TCP_RST = 4, NET_TCP_PSH = 8, NET_TCP_ACK = 16 };

/* One segment's addressing and header, in host byte order. */
struct net_tcp {
    uint8_t source_mac[6], destination_mac[6];
    uint32_t source_ip, destination_ip;
    uint16_t source_port, destination_port;
    uint32_t sequence, acknowledgment;
    uint16_t window_bytes;
    uint8_t flags; /* enum net_tcp_flags */
    uint16_t mss;  /* 0: no such option */
    uint32_t payload_bytes;
};

/* Bytes of all headers in front of the payload. */
static inline uint32_t net_tcp_headers_bytes(const struct net_tcp *tcp) {
    return NET_ETHERNET_BYTES + NET_IPV4_BYTES + (uint32_t)(tcp->mss != 0 ? NET_TCP_SYN_BYTES : NET_TCP_BYTES);
}

/* Writes the headers in front of a payload that lies at net_tcp_headers_bytes. With
 * `checksums` false both checksum fields stay 0 for the hardware to fill in. */
void net_tcp_write(uint8_t *frame, const struct net_tcp *tcp, uint16_t identification, bool checksums);

/* Parses a frame's headers. `verify` also checks both checksums. Tells where the
 * payload lies by `payload_offset`. */
enum net_verdict net_tcp_parse(const uint8_t *frame, uint32_t length_bytes, bool verify, struct net_tcp *tcp,
                               uint32_t *payload_offset);

/* Whether an Ethernet frame holds a whole IPv4 packet of that protocol. */
bool net_is_protocol(const uint8_t *frame, uint32_t length_bytes, uint8_t protocol);

#endif
