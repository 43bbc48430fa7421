/* crc32c.h: the Castagnoli checksum (RFC 3720, appendix B.4; the polynomial of
 * iSCSI, SCTP, ext4 and btrfs), as on-media structures carry it. */
#ifndef STILLSUIT_STACK_CRC32C_H
#define STILLSUIT_STACK_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what came before (0 at first) and these bytes. */
uint32_t crc32c(uint32_t before, const void *data, size_t length_bytes);

#endif
