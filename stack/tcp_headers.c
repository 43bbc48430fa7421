#include "stack/tcp_headers.h"

#include <string.h>

/* Offsets within the header. */
enum {
    SOURCE = 0,
    DESTINATION = 2,
    SEQUENCE = 4,
    ACKNOWLEDGMENT = 8,
    DATA_OFFSET = 12,
    FLAGS = 13,
    WINDOW = 14,
    CHECKSUM = 16,
    URGENT = 18,
    OPTIONS = 20
};
enum { OPTION_END = 0, OPTION_NOTHING = 1, OPTION_MSS = 2, OPTION_MSS_BYTES = 4 };
enum { ETHERNET_TYPE = 12, IP_PROTOCOL = NET_ETHERNET_BYTES + 9 };

static uint16_t checksum(const uint8_t *ip, const uint8_t *header, uint32_t segment_bytes) {
    return net_checksum_fold(
        net_checksum_add(net_pseudo_header_sum(ip, NET_PROTOCOL_TCP, segment_bytes), header, segment_bytes));
}

void net_tcp_write(uint8_t *frame, const struct net_tcp *tcp, uint16_t identification, bool checksums) {
    uint8_t *ip = frame + NET_ETHERNET_BYTES;
    uint8_t *header = ip + NET_IPV4_BYTES;
    const uint32_t header_bytes = tcp->mss != 0 ? NET_TCP_SYN_BYTES : NET_TCP_BYTES;
    struct net_ip fields = {.source = tcp->source_ip,
                            .destination = tcp->destination_ip,
                            .protocol = NET_PROTOCOL_TCP,
                            .payload_bytes = header_bytes + tcp->payload_bytes};
    memcpy(fields.source_mac, tcp->source_mac, 6);
    memcpy(fields.destination_mac, tcp->destination_mac, 6);
    net_ip_write(frame, &fields, identification, checksums);
    net_put16(header + SOURCE, tcp->source_port);
    net_put16(header + DESTINATION, tcp->destination_port);
    net_put32(header + SEQUENCE, tcp->sequence);
    net_put32(header + ACKNOWLEDGMENT, tcp->acknowledgment);
    header[DATA_OFFSET] = (uint8_t)(header_bytes / 4 << 4);
    header[FLAGS] = tcp->flags;
    net_put16(header + WINDOW, tcp->window_bytes);
    net_put16(header + CHECKSUM, 0);
    net_put16(header + URGENT, 0);
    if (tcp->mss != 0) {
        header[OPTIONS] = OPTION_MSS;
        header[OPTIONS + 1] = OPTION_MSS_BYTES;
        net_put16(header + OPTIONS + 2, tcp->mss);
    }
    if (checksums) {
        net_put16(header + CHECKSUM, checksum(ip, header, header_bytes + tcp->payload_bytes));
    }
}

/* The MSS option, or 0. What is malformed ends the search. */
static uint16_t find_mss(const uint8_t *options, uint32_t length_bytes) {
    for (uint32_t at = 0; at < length_bytes && options[at] != OPTION_END;) {
        if (options[at] == OPTION_NOTHING) {
            at += 1;
            continue;
        }
        if (at + 1 >= length_bytes || options[at + 1] < 2 || at + options[at + 1] > length_bytes) {
            return 0;
        }
        if (options[at] == OPTION_MSS && options[at + 1] == OPTION_MSS_BYTES) {
            return net_get16(options + at + 2);
        }
        at += options[at + 1];
    }
    return 0;
}

enum net_verdict net_tcp_parse(const uint8_t *frame, uint32_t length_bytes, bool verify, struct net_tcp *tcp,
                               uint32_t *payload_offset) {
    struct net_ip fields;
    const enum net_verdict verdict = net_ip_parse(frame, length_bytes, verify, &fields);
    if (verdict != NET_OK || fields.protocol != NET_PROTOCOL_TCP) {
        return verdict != NET_OK ? verdict : NET_NOT_TCP;
    }
    const uint8_t *header = frame + fields.payload_offset;
    if (fields.payload_bytes < NET_TCP_BYTES) {
        return NET_BAD_TCP_HEADER;
    }
    const uint32_t header_bytes = (uint32_t)(header[DATA_OFFSET] >> 4) * 4;
    if (header_bytes < NET_TCP_BYTES || header_bytes > fields.payload_bytes) {
        return NET_BAD_TCP_HEADER;
    }
    if (verify && checksum(frame + NET_ETHERNET_BYTES, header, fields.payload_bytes) != 0) {
        return NET_BAD_TCP_CHECKSUM;
    }
    *tcp = (struct net_tcp){.source_ip = fields.source,
                            .destination_ip = fields.destination,
                            .source_port = net_get16(header + SOURCE),
                            .destination_port = net_get16(header + DESTINATION),
                            .sequence = net_get32(header + SEQUENCE),
                            .acknowledgment = net_get32(header + ACKNOWLEDGMENT),
                            .window_bytes = net_get16(header + WINDOW),
                            .flags = header[FLAGS],
                            .mss = find_mss(header + OPTIONS, header_bytes - NET_TCP_BYTES),
                            .payload_bytes = fields.payload_bytes - header_bytes};
    memcpy(tcp->source_mac, fields.source_mac, 6);
    memcpy(tcp->destination_mac, fields.destination_mac, 6);
    *payload_offset = fields.payload_offset + header_bytes;
    return NET_OK;
}

bool net_is_protocol(const uint8_t *frame, uint32_t length_bytes, uint8_t protocol) {
    return length_bytes >= NET_ETHERNET_BYTES + NET_IPV4_BYTES &&
           net_get16(frame + ETHERNET_TYPE) == NET_ETHERTYPE_IPV4 && frame[IP_PROTOCOL] == protocol;
}
