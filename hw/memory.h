/* memory.h: physical memory with real contents, sparse by frame.
 *
 * Rings, packets, page tables and blocks lie here as bytes. Reading and writing
 * cost no simulated time by themselves: what a core pays comes from hw/cache.h,
 * what a device pays from hw/pcie.h. */
#ifndef STILLSUIT_HW_MEMORY_H
#define STILLSUIT_HW_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/ledger.h"

enum { MEMORY_FRAME_BYTES = 4096, MEMORY_LINE_BYTES = 64 };

struct memory;

/* Memory of `size_bytes` (a multiple of a frame); frames come into being, zeroed,
 * when they are first written. The caller frees it. */
struct memory *memory_create(uint64_t size_bytes);
void memory_free(struct memory *memory);
uint64_t memory_size(const struct memory *memory);

/* Whether [address, address + length) lies inside, without wrapping. */
bool memory_contains(const struct memory *memory, uint64_t address, uint64_t length);

/* Contents; the range must lie inside. */
void memory_read(const struct memory *memory, uint64_t address, void *out, size_t length_bytes);
void memory_write(struct memory *memory, uint64_t address, const void *data, size_t length_bytes);
void memory_copy(struct memory *memory, uint64_t to, uint64_t from, size_t length_bytes);
void memory_fill(struct memory *memory, uint64_t address, uint8_t value, size_t length_bytes);
/* Little-endian words, as the hardware modelled here has them; naturally aligned. */
uint32_t memory_read32(const struct memory *memory, uint64_t address);
uint64_t memory_read64(const struct memory *memory, uint64_t address);
void memory_write32(struct memory *memory, uint64_t address, uint32_t value);
void memory_write64(struct memory *memory, uint64_t address, uint64_t value);
/* The bytes at `address`, valid up to the end of its frame, until memory_free. A frame
 * begins on 16 bytes of the host. */
uint8_t *memory_at(struct memory *memory, uint64_t address);
/* Bytes of host memory that the contents take. */
uint64_t memory_resident_bytes(const struct memory *memory);

/* ---- Passengers: which request a buffer's bytes belong to. ----
 * A packet in memory is bytes; the ledger's request rides along, keyed by the
 * address of its first byte. A device boards it as it writes, software alights it
 * as it takes the packet (and the reverse on the way out). At most one at an
 * address; boarding again replaces. */
void memory_board(struct memory *memory, uint64_t address, struct request *request);
/* Takes the passenger off; NULL if none. */
struct request *memory_alight(struct memory *memory, uint64_t address);

/* ---- Watches: software that polls memory. ----
 * A core that spins on a line costs no event per poll: the watch tells when a
 * device wrote the line. Owned by the caller; one line may have several watches,
 * which run in the order in which they were set. */
struct memory_watch {
    uint64_t line;
    void (*written)(void *context);
    void *context;
    struct memory_watch *next;
    bool armed;
};
void memory_watch_set(struct memory *memory, struct memory_watch *watch, uint64_t address,
                      void (*written)(void *context), void *context);
void memory_watch_clear(struct memory *memory, struct memory_watch *watch);
/* Called by who writes for a device, after the bytes are in place. */
void memory_device_wrote(struct memory *memory, uint64_t address, size_t length_bytes);

#endif
