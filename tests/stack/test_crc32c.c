/* The checksum against the published vectors (RFC 3720, appendix B.4). */
#include <criterion/criterion.h>
#include <string.h>

#include "stack/crc32c.h"

Test(crc32c, has_the_values_of_the_standard) {
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    cr_assert_eq(crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    cr_assert_eq(crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = i;
    }
    cr_assert_eq(crc32c(0, bytes, sizeof bytes), 0x46dd794e);
    cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283);
}

Test(crc32c, goes_on_where_it_ended) {
    const uint32_t first = crc32c(0, "1234", 4);
    cr_assert_eq(crc32c(first, "56789", 5), 0xe3069283);
    cr_assert_eq(crc32c(0, "", 0), 0);
}
