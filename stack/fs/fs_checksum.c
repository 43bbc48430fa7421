#include "stack/fs/fs_layout.h"

/* Eight tables (Intel's slicing by 8): a crash test reads many images. */
static uint32_t tables[8][256];

static void make_tables(void) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (unsigned bit = 0; bit < 8; ++bit) {
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
        }
        tables[0][byte] = crc;
    }
    for (unsigned t = 1; t < 8; ++t) {
        for (uint32_t byte = 0; byte < 256; ++byte) {
            tables[t][byte] = tables[t - 1][byte] >> 8 ^ tables[0][tables[t - 1][byte] & 0xff];
        }
    }
}

uint32_t fs_crc32c(uint32_t crc, const void *data, size_t length_bytes) {
    const uint8_t *bytes = data;
    if (tables[0][1] == 0) {
        make_tables();
    }
    crc = ~crc;
    for (; length_bytes >= 8; length_bytes -= 8, bytes += 8) {
        crc ^= (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        crc = tables[7][crc & 0xff] ^ tables[6][crc >> 8 & 0xff] ^ tables[5][crc >> 16 & 0xff] ^ tables[4][crc >> 24] ^
              tables[3][bytes[4]] ^ tables[2][bytes[5]] ^ tables[1][bytes[6]] ^ tables[0][bytes[7]];
    }
    for (; length_bytes > 0; --length_bytes) {
        crc = crc >> 8 ^ tables[0][(crc ^ *bytes++) & 0xff];
    }
    return ~crc;
}
