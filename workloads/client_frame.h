/* client_frame.h: the frames of a client's flow: written from a template, replies
 * checked in full without summing the payload anew.
 *
 * Payload: 8 bytes of cookie, big-endian, then a fixed pattern. */
#ifndef STILLSUIT_WORKLOADS_CLIENT_FRAME_H
#define STILLSUIT_WORKLOADS_CLIENT_FRAME_H

#include "hw/wire.h"
#include "stack/net_headers.h"
#include "workloads/client.h"

/* What all frames of a client carry. */
struct client_payload {
    uint32_t length_bytes;
    uint32_t pattern_sum;              /* one's complement sum of what follows the cookie, folded */
    uint8_t bytes[CLIENT_PAYLOAD_MAX]; /* the cookie's place is 0 */
};
void client_payload_init(struct client_payload *payload, uint32_t length_bytes);

/* One flow: its headers with identification and cookie 0, checksums included. */
struct client_flow {
    struct net_udp udp;
    uint8_t headers[NET_UDP_HEADERS_BYTES];
    uint16_t ip_checksum, udp_checksum; /* of the template, as written */
    uint16_t identification;            /* of the next frame */
};
void client_flow_init(struct client_flow *flow, const struct net_udp *udp, const struct client_payload *payload);

/* Writes the flow's next frame, padded. Checksums are patched: RFC 1624, eqn. 3,
 * HC' = ~(~HC + ~m + m'), where every m is 0 in the template. */
void client_flow_write(struct client_flow *flow, const struct client_payload *payload, uint64_t cookie,
                       struct frame *frame);

enum client_verdict { CLIENT_GOOD, CLIENT_CORRUPT, CLIENT_MISMATCHED };
/* Whether a frame is a well-formed UDP datagram with right checksums and the
 * client's payload; gives its addressing and cookie. Whose it is, is the caller's. */
enum client_verdict client_reply_check(const struct client_payload *payload, const struct frame *frame,
                                       struct net_udp *udp, uint64_t *cookie);

#endif
