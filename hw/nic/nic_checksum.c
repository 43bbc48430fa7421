/* Checksum offload: RFC 1071 over the real bytes, received and sent. */
#include <string.h>

#include "hw/nic/nic_internal.h"

enum {
    IP_CHECKSUM = 10, /* offsets within the headers */
    IP_ADDRESSES = 12,
    UDP_CHECKSUM = 6,
    TCP_CHECKSUM = 16,
    UDP_BYTES = 8,
    TCP_BYTES = 20,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17
};

/* The one's complement sum does not depend on byte order (RFC 1071, 2 (B)): words are
 * added as the host has them, four bytes at a time. */
static uint64_t add(uint64_t sum, const uint8_t *bytes, uint32_t length_bytes) {
    for (; length_bytes >= 4; bytes += 4, length_bytes -= 4) {
        uint32_t word = 0;
        memcpy(&word, bytes, sizeof word);
        sum += word;
    }
    if (length_bytes > 0) {
        uint32_t word = 0;
        memcpy(&word, bytes, length_bytes);
        sum += word;
    }
    return sum;
}

static uint16_t fold(uint64_t sum) {
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static uint64_t add_pseudo_header(uint64_t sum, const uint8_t *ip, uint8_t protocol, uint32_t l4_bytes) {
    const uint8_t rest[4] = {0, protocol, (uint8_t)(l4_bytes >> 8), (uint8_t)l4_bytes};
    return add(add(sum, ip + IP_ADDRESSES, 8), rest, sizeof rest);
}

static uint16_t get16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

uint32_t nic_checksum_status(const uint8_t *bytes, const struct nic_headers *headers) {
    if (!headers->ipv4) {
        return 0;
    }
    const uint8_t *ip = bytes + headers->ip_offset;
    const uint8_t *l4 = bytes + headers->l4_offset;
    uint32_t l4_bytes = headers->end - headers->l4_offset;
    uint32_t status = NIC_RX_IPCS;
    if (fold(add(0, ip, headers->l4_offset - headers->ip_offset)) != 0xffff) {
        status |= NIC_RX_ERROR_IP;
    }
    if (!headers->ports) {
        return status;
    }
    if (headers->protocol == PROTOCOL_UDP) {
        const uint32_t udp_bytes = get16(l4 + 4);
        status |= NIC_RX_UDPCS;
        if (udp_bytes < UDP_BYTES || udp_bytes > l4_bytes) {
            return status | NIC_RX_L4CS | NIC_RX_ERROR_L4;
        }
        if (get16(l4 + UDP_CHECKSUM) == 0) { /* none was sent (RFC 768) */
            return status;
        }
        l4_bytes = udp_bytes;
    }
    status |= NIC_RX_L4CS;
    if (fold(add_pseudo_header(add(0, l4, l4_bytes), ip, headers->protocol, l4_bytes)) != 0xffff) {
        status |= NIC_RX_ERROR_L4;
    }
    return status;
}

static void insert(uint8_t *field, uint64_t sum, bool zero_means_none) {
    uint16_t value = (uint16_t)~fold(sum);
    if (value == 0 && zero_means_none) {
        value = 0xffff;
    }
    memcpy(field, &value, sizeof value);
}

static bool insert_l4(uint8_t *bytes, uint32_t length_bytes, const struct nic_tx_context *context) {
    uint8_t *ip = bytes + context->ip_offset;
    uint8_t *l4 = ip + context->ip_bytes;
    const uint32_t total_bytes = get16(ip + 2);
    const uint32_t header_bytes = context->tcp ? TCP_BYTES : UDP_BYTES;
    if (total_bytes < context->ip_bytes + header_bytes || context->ip_offset + total_bytes > length_bytes) {
        return false;
    }
    const uint32_t l4_bytes = total_bytes - context->ip_bytes;
    uint8_t *field = l4 + (context->tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
    memset(field, 0, 2);
    const uint8_t protocol = context->tcp ? PROTOCOL_TCP : PROTOCOL_UDP;
    insert(field, add_pseudo_header(add(0, l4, l4_bytes), ip, protocol, l4_bytes), !context->tcp);
    return true;
}

bool nic_checksum_insert(uint8_t *bytes, uint32_t length_bytes, const struct nic_tx_context *context,
                         uint32_t options) {
    enum { ETHERNET_BYTES = 14, IP_BYTES = 20 };
    if (options == 0) {
        return true;
    }
    if (!context->set || context->ip_offset < ETHERNET_BYTES || context->ip_bytes < IP_BYTES ||
        context->ip_offset + context->ip_bytes > length_bytes) {
        return false;
    }
    if ((options & NIC_TX_POPTS_TXSM) != 0 && !insert_l4(bytes, length_bytes, context)) {
        return false;
    }
    if ((options & NIC_TX_POPTS_IXSM) != 0) {
        uint8_t *ip = bytes + context->ip_offset;
        memset(ip + IP_CHECKSUM, 0, 2);
        insert(ip + IP_CHECKSUM, add(0, ip, context->ip_bytes), false);
    }
    return true;
}
