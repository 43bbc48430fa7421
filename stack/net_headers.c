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

/* ---- bytes in network order ---- */

static uint16_t get16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t get32(const uint8_t *bytes) {
    return (uint32_t)get16(bytes) << 16 | get16(bytes + 2);
}

static void put16(uint8_t *bytes, uint16_t value) {
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static void put32(uint8_t *bytes, uint32_t value) {
    put16(bytes, (uint16_t)(value >> 16));
    put16(bytes + 2, (uint16_t)value);
}

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
    return sum + get16(folded);
}

uint16_t net_checksum_fold(uint32_t sum) {
    sum = (sum & UINT16_MAX) + (sum >> 16);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint32_t ip_header_bytes(const uint8_t *ip) {
    return (uint32_t)(ip[0] & 0xf) * 4;
}

/* RFC 768: source, destination, zero, protocol and length in front of the datagram. */
static uint32_t pseudo_header_sum(const uint8_t *ip, uint32_t udp_bytes) {
    return net_checksum_add(NET_PROTOCOL_UDP + udp_bytes, ip + IP_SOURCE, 8);
}

uint16_t net_udp_checksum(const uint8_t *ip) {
    const uint8_t *udp = ip + ip_header_bytes(ip);
    const uint32_t udp_bytes = get16(udp + UDP_LENGTH);
    uint32_t sum = pseudo_header_sum(ip, udp_bytes);
    sum = net_checksum_add(sum, udp, UDP_CHECKSUM);
    sum = net_checksum_add(sum, udp + NET_UDP_BYTES, udp_bytes - NET_UDP_BYTES);
    const uint16_t checksum = net_checksum_fold(sum);
    return checksum == 0 ? UINT16_MAX : checksum; /* 0 on the wire means that there is none */
}

/* ---- writing ---- */

void net_udp_write(uint8_t *frame, const struct net_udp *udp, uint16_t identification, bool checksums) {
    uint8_t *ip = frame + NET_ETHERNET_BYTES;
    uint8_t *header = ip + NET_IPV4_BYTES;
    const uint16_t udp_bytes = (uint16_t)(NET_UDP_BYTES + udp->payload_bytes);
    memcpy(frame, udp->destination_mac, 6);
    memcpy(frame + ETHERNET_SOURCE, udp->source_mac, 6);
    put16(frame + ETHERNET_TYPE, NET_ETHERTYPE_IPV4);

    ip[0] = 4 << 4 | NET_IPV4_BYTES / 4;
    ip[1] = 0;
    put16(ip + IP_LENGTH, (uint16_t)(NET_IPV4_BYTES + udp_bytes));
    put16(ip + IP_IDENTIFICATION, identification);
    put16(ip + IP_FRAGMENT, IP_DO_NOT_FRAGMENT);
    ip[IP_TIME_TO_LIVE] = TIME_TO_LIVE;
    ip[IP_PROTOCOL] = NET_PROTOCOL_UDP;
    put16(ip + IP_CHECKSUM, 0);
    put32(ip + IP_SOURCE, udp->source_ip);
    put32(ip + IP_DESTINATION, udp->destination_ip);

    put16(header + UDP_SOURCE, udp->source_port);
    put16(header + UDP_DESTINATION, udp->destination_port);
    put16(header + UDP_LENGTH, udp_bytes);
    put16(header + UDP_CHECKSUM, 0);
    if (checksums) {
        put16(ip + IP_CHECKSUM, net_checksum_fold(net_checksum_add(0, ip, NET_IPV4_BYTES)));
        put16(header + UDP_CHECKSUM, net_udp_checksum(ip));
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
    };
    SIM_ASSERT((unsigned)verdict < NET_VERDICTS);
    return texts[verdict];
}

/* Checks an IPv4 header with `available` bytes from its start; tells the length of
 * the header and of the whole datagram. */
static enum net_verdict parse_ip(const uint8_t *ip, uint32_t available, bool verify, uint32_t *header_bytes,
                                 uint32_t *total_bytes) {
    if (available < NET_IPV4_BYTES) {
        return NET_TRUNCATED;
    }
    *header_bytes = ip_header_bytes(ip);
    *total_bytes = get16(ip + IP_LENGTH);
    if (ip[0] >> 4 != 4 || *header_bytes < NET_IPV4_BYTES || *total_bytes < *header_bytes) {
        return NET_BAD_VERSION;
    }
    if (*total_bytes > available) {
        return NET_TRUNCATED;
    }
    if (verify && net_checksum_fold(net_checksum_add(0, ip, *header_bytes)) != 0) {
        return NET_BAD_IP_CHECKSUM;
    }
    if ((get16(ip + IP_FRAGMENT) & IP_FRAGMENT_MASK) != 0) {
        return NET_FRAGMENT;
    }
    return ip[IP_PROTOCOL] == NET_PROTOCOL_UDP ? NET_OK : NET_NOT_UDP;
}

static bool udp_checksum_is_good(const uint8_t *ip, const uint8_t *udp, uint32_t udp_bytes) {
    if (get16(udp + UDP_CHECKSUM) == 0) {
        return true; /* the sender made none */
    }
    return net_checksum_fold(net_checksum_add(pseudo_header_sum(ip, udp_bytes), udp, udp_bytes)) == 0;
}

enum net_verdict net_udp_parse(const uint8_t *frame, uint32_t length_bytes, bool verify, struct net_udp *udp,
                               uint32_t *payload_offset) {
    uint32_t header_bytes = 0;
    uint32_t total_bytes = 0;
    if (length_bytes < NET_ETHERNET_BYTES) {
        return NET_TRUNCATED;
    }
    if (get16(frame + ETHERNET_TYPE) != NET_ETHERTYPE_IPV4) {
        return NET_NOT_IPV4;
    }
    const uint8_t *ip = frame + NET_ETHERNET_BYTES;
    const enum net_verdict verdict =
        parse_ip(ip, length_bytes - NET_ETHERNET_BYTES, verify, &header_bytes, &total_bytes);
    if (verdict != NET_OK) {
        return verdict;
    }
    const uint8_t *header = ip + header_bytes;
    const uint32_t room = total_bytes - header_bytes;
    if (room < NET_UDP_BYTES || get16(header + UDP_LENGTH) < NET_UDP_BYTES || get16(header + UDP_LENGTH) > room) {
        return NET_BAD_UDP_LENGTH;
    }
    const uint16_t udp_bytes = get16(header + UDP_LENGTH);
    if (verify && !udp_checksum_is_good(ip, header, udp_bytes)) {
        return NET_BAD_UDP_CHECKSUM;
    }
    memcpy(udp->destination_mac, frame, 6);
    memcpy(udp->source_mac, frame + ETHERNET_SOURCE, 6);
    udp->source_ip = get32(ip + IP_SOURCE);
    udp->destination_ip = get32(ip + IP_DESTINATION);
    udp->source_port = get16(header + UDP_SOURCE);
    udp->destination_port = get16(header + UDP_DESTINATION);
    udp->payload_bytes = (uint16_t)(udp_bytes - NET_UDP_BYTES);
    *payload_offset = NET_ETHERNET_BYTES + header_bytes + NET_UDP_BYTES;
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
