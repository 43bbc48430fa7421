/* Receive-side scaling: the Toeplitz hash (82599 datasheet, 7.1.2.8) over a table
 * that is made once, so that a packet costs twelve look-ups. */
#include <string.h>

#include "hw/nic/nic_internal.h"

/* The key that drivers install by default, as in the specification's test suite. */
static const uint8_t key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
                                0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
                                0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

/* 32 bits of the key from bit `from`. */
static uint32_t key_window(uint32_t from) {
    uint32_t window = 0;
    for (uint32_t bit = from; bit < from + 32; bit++) {
        window = window << 1 | ((uint32_t)key[bit / 8] >> (7 - bit % 8) & 1u);
    }
    return window;
}

void nic_rss_init(struct nic *nic) {
    for (uint32_t place = 0; place < 12; place++) {
        for (uint32_t value = 0; value < 256; value++) {
            uint32_t hash = 0;
            for (uint32_t bit = 0; bit < 8; bit++) {
                hash ^= (value >> (7 - bit) & 1u) != 0 ? key_window(8 * place + bit) : 0;
            }
            nic->rss_hash[place][value] = hash;
        }
    }
}

static uint32_t hash_word(const struct nic *nic, uint32_t place, uint32_t word) {
    return nic->rss_hash[place][word >> 24] ^ nic->rss_hash[place + 1][word >> 16 & 0xff] ^
           nic->rss_hash[place + 2][word >> 8 & 0xff] ^ nic->rss_hash[place + 3][word & 0xff];
}

uint32_t nic_rss_hash(const struct nic *nic, const struct nic_headers *headers) {
    uint32_t hash = hash_word(nic, 0, headers->source) ^ hash_word(nic, 4, headers->destination);
    if (headers->ports) {
        hash ^= hash_word(nic, 8, (uint32_t)headers->source_port << 16 | headers->destination_port);
    }
    return hash;
}

void nic_physical_queues_changed(struct nic *nic) {
    uint32_t found = 0;
    struct nic_queue *queues[NIC_RSS_TABLE];
    nic->physical_default = NULL;
    for (uint32_t i = 0; i < nic->queue_count && found < NIC_RSS_TABLE; i++) {
        struct nic_queue *queue = &nic->queues[i];
        if (queue->function->number == 0 && queue->rx.ring.enabled) {
            nic->physical_default = found == 0 ? queue : nic->physical_default;
            queues[found++] = queue;
        }
    }
    const uint32_t used = found < nic->rss_queues ? found : nic->rss_queues;
    for (uint32_t i = 0; i < NIC_RSS_TABLE; i++) {
        nic->rss_table[i] = used > 0 ? queues[i % used] : NULL;
    }
}
