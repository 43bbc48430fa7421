#include "stack/crc32c.h"

#include <stdbool.h>

/* Eight bytes at a step ("slicing by 8", Kounavis and Berry, ISCC 2005): tables[n][b] is
 * what byte b does to the sum n bytes later. */
enum { BYTE_VALUES = 256, SLICES = 8 };

static uint32_t tables[SLICES][BYTE_VALUES];

static void tables_fill(void) {
    const uint32_t polynomial = 0x82f63b78; /* bits reversed */
    for (uint32_t value = 0; value < BYTE_VALUES; value++) {
        uint32_t rest = value;
        for (int bit = 0; bit < 8; bit++) {
            rest = (rest >> 1) ^ ((rest & 1) != 0 ? polynomial : 0);
        }
        tables[0][value] = rest;
    }
    for (int slice = 1; slice < SLICES; slice++) {
        for (uint32_t value = 0; value < BYTE_VALUES; value++) {
            const uint32_t before = tables[slice - 1][value];
            tables[slice][value] = (before >> 8) ^ tables[0][before & UINT8_MAX];
        }
    }
}

static uint32_t little_endian(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint32_t crc32c(uint32_t before, const void *data, size_t length_bytes) {
    if (tables[0][1] == 0) {
        tables_fill();
    }
    const uint8_t *bytes = data;
    uint32_t rest = ~before;
    for (; length_bytes >= SLICES; bytes += SLICES, length_bytes -= SLICES) {
        const uint32_t low = rest ^ little_endian(bytes);
        const uint32_t high = little_endian(bytes + 4);
        rest = tables[7][low & UINT8_MAX] ^ tables[6][low >> 8 & UINT8_MAX] ^ tables[5][low >> 16 & UINT8_MAX] ^
               tables[4][low >> 24] ^ tables[3][high & UINT8_MAX] ^ tables[2][high >> 8 & UINT8_MAX] ^
               tables[1][high >> 16 & UINT8_MAX] ^ tables[0][high >> 24];
    }
    for (; length_bytes > 0; bytes++, length_bytes--) {
        rest = (rest >> 8) ^ tables[0][(rest ^ *bytes) & UINT8_MAX];
    }
    return ~rest;
}
