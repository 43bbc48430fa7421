#include "stack/net_headers.h"

#include <stdio.h>
#include <string.h>

/* Offsets within each header. */
enum {
    ETHERNET_SOURCE = 6,
    ETHERNET_TYPE = 12,
    IP_LENGTH = 2,
    IP_IDENTIFICATION = 4,
    IP_FRAGMENT = 6,
    IP_TIME_TO_LIVE = 8,
    IP_PROTOCOL = 9,
    IP_CHECKSUM = 10,
    IP_SOURCE = 12,
    IP_DESTINATION = 16,
    UDP_SOURCE = 0,
    UDP_DESTINATION = 2,
    UDP_LENGTH = 4,
    UDP_CHECKSUM = 6
};
enum { IP_DO_NOT_FRAGMENT = 0x4000, IP_FRAGMENT_MASK = 0x3fff /* more fragments, offset */, TIME_TO_LIVE = 64 };

/* ---- checksum ---- */

/* One's complement addition of 64 bits: the carry comes back in. */
static inline uint64_t add_with_carry(uint64_t sum, uint64_t word) {
    sum += word;
    return sum + (sum < word ? 1 : 0);
}

static inline uint64_t load64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Sums eight bytes at a time in the machine's own byte order, which RFC 1071
 * section 2 (B) allows, and turns the folded sum into network order at the end. */
uint32_t net_checksum_add(uint32_t sum, const uint8_t *bytes, uint32_t length_bytes) {
    uint64_t total = 0;
    uint32_t rest = length_bytes;
    for (; rest >= 8; rest -= 8, bytes += 8) {
        total = add_with_carry(total, load64(bytes));
    }
    uint8_t tail[8] = {0};
    memcpy(tail, bytes, rest); /* an odd byte is padded with a zero behind it */
    total = add_with_carry(total, load64(tail));
    total = (total & UINT32_MAX) + (total >> 32);
    total = (total & UINT16_MAX) + (total >> 16 & UINT16_MAX) + (total >> 32);
    total = (total & UINT16_MAX) + (total >> 16);
    total = (total & UINT16_MAX) + (total >> 16);
    uint8_t folded[2];
    const uint16_t own_order = (uint16_t)total;
    memcpy(folded, &own_order, sizeof folded);
    return sum + net_get16(folded);
}

uint16_t net_checksum_fold(uint32_t sum) {
    sum = (sum & UINT16_MAX) + (sum >> 16);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint32_t ip_header_bytes(const uint8_t *ip) {
    return (uint32_t)(ip[0] & 0xf) * 4;
}

/* RFC 768, RFC 793, 3.1: source, destination, zero, protocol and length in front. */
uint32_t net_pseudo_header_sum(const uint8_t *ip, uint8_t protocol, uint32_t payload_bytes) {
    return net_checksum_add(protocol + payload_bytes, ip + IP_SOURCE, 8);
}

uint16_t net_udp_checksum(const uint8_t *ip) {
    const uint8_t *udp = ip + ip_header_bytes(ip);
    const uint32_t udp_bytes = net_get16(udp + UDP_LENGTH);
    uint32_t sum = net_pseudo_header_sum(ip, NET_PROTOCOL_UDP, udp_bytes);
    sum = net_checksum_add(sum, udp, UDP_CHECKSUM);
    sum = net_checksum_add(sum, udp + NET_UDP_BYTES, udp_bytes - NET_UDP_BYTES);
    const uint16_t checksum = net_checksum_fold(sum);
    return checksum == 0 ? UINT16_MAX : checksum; /* 0 on the wire means that there is none */
}

/* ---- writing ---- */

void net_ip_write(uint8_t *frame, const struct net_ip *fields, uint16_t identification, bool checksum) {
    uint8_t *ip = frame + NET_ETHERNET_BYTES;
    memcpy(frame, fields->destination_mac, 6);
    memcpy(frame + ETHERNET_SOURCE, fields->source_mac, 6);
    net_put16(frame + ETHERNET_TYPE, NET_ETHERTYPE_IPV4);

    ip[0] = 4 << 4 | NET_IPV4_BYTES / 4;
    ip[1] = 0;
    net_put16(ip + IP_LENGTH, (uint16_t)(NET_IPV4_BYTES + fields->payload_bytes));
    net_put16(ip + IP_IDENTIFICATION, identification);
    net_put16(ip + IP_FRAGMENT, IP_DO_NOT_FRAGMENT);
    ip[IP_TIME_TO_LIVE] = TIME_TO_LIVE;
    ip[IP_PROTOCOL] = fields->protocol;
    net_put16(ip + IP_CHECKSUM, 0);
    net_put32(ip + IP_SOURCE, fields->source);
    net_put32(ip + IP_DESTINATION, fields->destination);
    if (checksum) {
        net_put16(ip + IP_CHECKSUM, net_checksum_fold(net_checksum_add(0, ip, NET_IPV4_BYTES)));
    }
}

void net_udp_write(uint8_t *frame, const struct net_udp *udp, uint16_t identification, bool checksums) {
    uint8_t *ip = frame + NET_ETHERNET_BYTES;
    uint8_t *header = ip + NET_IPV4_BYTES;
    const uint16_t udp_bytes = (uint16_t)(NET_UDP_BYTES + udp->payload_bytes);
    struct net_ip fields = {.source = udp->source_ip,
                            .destination = udp->destination_ip,
                            .protocol = NET_PROTOCOL_UDP,
                            .payload_bytes = udp_bytes};
    memcpy(fields.source_mac, udp->source_mac, 6);
    memcpy(fields.destination_mac, udp->destination_mac, 6);
    net_ip_write(frame, &fields, identification, checksums);
    net_put16(header + UDP_SOURCE, udp->source_port);
    net_put16(header + UDP_DESTINATION, udp->destination_port);
    net_put16(header + UDP_LENGTH, udp_bytes);
    net_put16(header + UDP_CHECKSUM, 0);
    if (checksums) {
        net_put16(header + UDP_CHECKSUM, net_udp_checksum(ip));
    }
}

/* ---- parsing ---- */

const char *net_verdict_text(enum net_verdict verdict) {
    static const char *const texts[NET_VERDICTS] = {
        [NET_OK] = "ok",
        [NET_NOT_IPV4] = "not IPv4",
        [NET_TRUNCATED] = "truncated",
        [NET_BAD_VERSION] = "bad IP version or header length",
        [NET_FRAGMENT] = "a fragment",
        [NET_BAD_IP_CHECKSUM] = "bad IP checksum",
        [NET_NOT_UDP] = "not UDP",
        [NET_BAD_UDP_LENGTH] = "bad UDP length",
        [NET_BAD_UDP_CHECKSUM] = "bad UDP checksum",
        [NET_NOT_TCP] = "not TCP",
        [NET_BAD_TCP_HEADER] = "bad TCP header length",
        [NET_BAD_TCP_CHECKSUM] = "bad TCP checksum",
    };
    SIM_ASSERT((unsigned)verdict < NET_VERDICTS);
    return texts[verdict];
}

/* Checks an IPv4 header with `available` bytes from its start; tells the length of
 * the header and of the whole datagram. */
static enum net_verdict check_ip(const uint8_t *ip, uint32_t available, bool verify, uint32_t *header_bytes,
                                 uint32_t *total_bytes) {
    if (available < NET_IPV4_BYTES) {
        return NET_TRUNCATED;
    }
    *header_bytes = ip_header_bytes(ip);
    *total_bytes = net_get16(ip + IP_LENGTH);
    if (ip[0] >> 4 != 4 || *header_bytes < NET_IPV4_BYTES || *total_bytes < *header_bytes) {
        return NET_BAD_VERSION;
    }
    if (*total_bytes > available) {
        return NET_TRUNCATED;
    }
    if (verify && net_checksum_fold(net_checksum_add(0, ip, *header_bytes)) != 0) {
        return NET_BAD_IP_CHECKSUM;
    }
    return (net_get16(ip + IP_FRAGMENT) & IP_FRAGMENT_MASK) != 0 ? NET_FRAGMENT : NET_OK;
}

enum net_verdict net_ip_parse(const uint8_t *frame, uint32_t length_bytes, bool verify, struct net_ip *fields) {
    uint32_t header_bytes = 0;
    uint32_t total_bytes = 0;
    if (length_bytes < NET_ETHERNET_BYTES) {
        return NET_TRUNCATED;
    }
    if (net_get16(frame + ETHERNET_TYPE) != NET_ETHERTYPE_IPV4) {
        return NET_NOT_IPV4;
    }
    const uint8_t *ip = frame + NET_ETHERNET_BYTES;
    const enum net_verdict verdict =
        check_ip(ip, length_bytes - NET_ETHERNET_BYTES, verify, &header_bytes, &total_bytes);
    if (verdict == NET_OK) {
        memcpy(fields->destination_mac, frame, 6);
        memcpy(fields->source_mac, frame + ETHERNET_SOURCE, 6);
        fields->source = net_get32(ip + IP_SOURCE);
        fields->destination = net_get32(ip + IP_DESTINATION);
        fields->protocol = ip[IP_PROTOCOL];
        fields->payload_offset = NET_ETHERNET_BYTES + header_bytes;
        fields->payload_bytes = total_bytes - header_bytes;
    }
    return verdict;
}

static bool udp_checksum_is_good(const uint8_t *ip, const uint8_t *udp, uint32_t udp_bytes) {
    if (net_get16(udp + UDP_CHECKSUM) == 0) {
        return true; /* the sender made none */
    }
    return net_checksum_fold(
               net_checksum_add(net_pseudo_header_sum(ip, NET_PROTOCOL_UDP, udp_bytes), udp, udp_bytes)) == 0;
}

enum net_verdict net_udp_parse(const uint8_t *frame, uint32_t length_bytes, bool verify, struct net_udp *udp,
                               uint32_t *payload_offset) {
    struct net_ip fields;
    const enum net_verdict verdict = net_ip_parse(frame, length_bytes, verify, &fields);
    if (verdict != NET_OK || fields.protocol != NET_PROTOCOL_UDP) {
        return verdict != NET_OK ? verdict : NET_NOT_UDP;
    }
    const uint8_t *header = frame + fields.payload_offset;
    const uint32_t room = fields.payload_bytes;
    if (room < NET_UDP_BYTES || net_get16(header + UDP_LENGTH) < NET_UDP_BYTES ||
        net_get16(header + UDP_LENGTH) > room) {
        return NET_BAD_UDP_LENGTH;
    }
    const uint16_t udp_bytes = net_get16(header + UDP_LENGTH);
    if (verify && !udp_checksum_is_good(frame + NET_ETHERNET_BYTES, header, udp_bytes)) {
        return NET_BAD_UDP_CHECKSUM;
    }
    memcpy(udp->destination_mac, fields.destination_mac, 6);
    memcpy(udp->source_mac, fields.source_mac, 6);
    udp->source_ip = fields.source;
    udp->destination_ip = fields.destination;
    udp->source_port = net_get16(header + UDP_SOURCE);
    udp->destination_port = net_get16(header + UDP_DESTINATION);
    udp->payload_bytes = (uint16_t)(udp_bytes - NET_UDP_BYTES);
    *payload_offset = fields.payload_offset + NET_UDP_BYTES;
    return NET_OK;
}

/* ---- addresses as text ---- */

bool net_ipv4_parse(const char *text, uint32_t *address) {
    uint32_t value = 0;
    for (unsigned part = 0; part < 4; part++) {
        uint32_t octet = 0;
        unsigned digits = 0;
        for (; *text >= '0' && *text <= '9'; text++, digits++) {
            if (digits == 3 || (digits > 0 && octet == 0)) {
                return false; /* too long, or a leading zero, which some read as octal */
            }
            octet = octet * 10 + (uint32_t)(*text - '0');
        }
        if (digits == 0 || octet > 255 || *text != (part < 3 ? '.' : '\0')) {
            return false;
        }
        text += part < 3 ? 1 : 0;
        value = value << 8 | octet;
    }
    *address = value;
    return true;
}

void net_ipv4_print(uint32_t address, char out[16]) {
    (void)snprintf(out, 16, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}
