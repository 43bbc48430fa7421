#include "stack/crc32c.h"

#include <stdbool.h>

enum { BYTE_VALUES = 256 };

static uint32_t table[BYTE_VALUES];

static void table_fill(void) {
    const uint32_t polynomial = 0x82f63b78; /* bits reversed */
    for (uint32_t value = 0; value < BYTE_VALUES; value++) {
        uint32_t rest = value;
        for (int bit = 0; bit < 8; bit++) {
            rest = (rest >> 1) ^ ((rest & 1) != 0 ? polynomial : 0);
        }
        table[value] = rest;
    }
}

uint32_t crc32c(uint32_t before, const void *data, size_t length_bytes) {
    if (table[1] == 0) {
        table_fill();
    }
    const uint8_t *bytes = data;
    uint32_t rest = ~before;
    for (size_t i = 0; i < length_bytes; i++) {
        rest = (rest >> 8) ^ table[(rest ^ bytes[i]) & UINT8_MAX];
    }
    return ~rest;
}
