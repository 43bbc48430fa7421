/* xn.h: disk blocks multiplexed among file systems that the kernel does not understand,
 * as XN does (Kaashoek et al., SOSP 1997).
 *
 * A library OS teaches the kernel one thing about a type of metadata: a downloaded
 * function `owns`, which reads a block of that type and emits the extents of blocks
 * that it points to, with their types. The code is verified and reads nothing but the
 * block (download_verify.h), so that the same bytes always give the same answer. From
 * there the kernel protects what it cannot read:
 * - A change to metadata says what it does to ownership: nothing, allocate an extent,
 *   free one. The kernel runs `owns` before and after; if the difference is not what
 *   was said, the change is rolled back.
 * - A block is owned once. What is allocated was free; what is freed was owned by the
 *   block that was changed, and owns nothing itself.
 * - No block is reused while metadata on the disk still points to it: the kernel
 *   counts pointers on the disk, and a freed block that has one waits on a list.
 * - No metadata goes to the disk that points to a block which was not yet written
 *   since it was allocated: after a crash it would be read as what another left there.
 *   (The third rule for moving a block, set the new pointer
 *   before the old one goes, protects a file system only from itself and is its own.)
 * After a crash the registry is built anew from the roots by running `owns`. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_XN_H
#define STILLSUIT_KERNEL_MODEL_EXO_XN_H

#include "kernel_model/exo/download_run.h"
#include "sim/stats_sink.h"

enum { XN_DATA = 0, XN_TYPES_MAX = 32, XN_ROOTS_MAX = 32, XN_WRITES_MAX = 8 };

struct xn_config {
    struct memory *memory;
    struct download_costs *costs;
    uint32_t block_bytes, blocks;
    uint32_t slots;          /* blocks that the cache holds */
    uint64_t cache_physical; /* slots * block_bytes of the kernel's */
    uint64_t disk_physical;  /* blocks * block_bytes: the disk's contents */
    uint64_t owns_limit_cycles;
};

enum xn_change { XN_KEEP, XN_ALLOCATE, XN_FREE };

/* Bytes of a block to be replaced. */
struct xn_write {
    uint32_t offset, length_bytes;
    const void *bytes;
};

struct xn_counters {
    uint64_t changes;                  /* to metadata, made */
    uint64_t lies;                     /* refused, rolled back: ownership did not change as declared */
    uint64_t stolen;                   /* refused: an extent that is not free */
    uint64_t faults;                   /* refused: owns was stopped, or its output is no set of blocks */
    uint64_t denied;                   /* refused: another's block, or a block of another kind */
    uint64_t not_empty;                /* refused: freed metadata that owns something */
    uint64_t tainted;                  /* writes refused: points to a block not yet written */
    uint64_t unsafe;                   /* templates refused by the verifier */
    uint64_t deferred;                 /* freed, but pointed to on the disk */
    uint64_t reads, writes, evictions; /* of blocks, from and to the disk */
    uint64_t cycles;
};

struct xn;

/* All blocks free, the disk as it is. The caller frees it; `config` is copied. */
struct xn *xn_create(const struct xn_config *config);
void xn_free(struct xn *xn);

/* Downloads a type of metadata; region 0 of the code is the block. ERR_DENIED: the
 * verifier refuses; ERR_EXHAUSTED. */
enum error_code xn_template(struct xn *xn, const struct download_instruction *owns, uint32_t count, uint32_t *type,
                            struct error *error);

/* Allocates a free block as a root: metadata that no other points to, known by name
 * after a crash. Its contents come with xn_initialise. ERR_OVERLAP, ERR_EXHAUSTED. */
enum error_code xn_root(struct xn *xn, uint32_t owner, uint32_t type, uint32_t block, struct error *error);

/* The first contents of allocated metadata: `block_bytes` bytes that own nothing. */
enum error_code xn_initialise(struct xn *xn, uint32_t owner, uint32_t block, const void *bytes, struct error *error);

/* Changes initialised metadata, and what it owns as declared; `extent` matters unless
 * the change is XN_KEEP. Atomic: refused, nothing has changed. ERR_DENIED: not the
 * owner's; ERR_FAULT: owns lies, or fails; ERR_OVERLAP: the extent is not free;
 * ERR_RANGE; ERR_EXHAUSTED: every slot of the cache is dirty. */
enum error_code xn_modify(struct xn *xn, uint32_t owner, uint32_t block, const struct xn_write *writes, uint32_t count,
                          enum xn_change change, struct download_extent extent, struct error *error);

/* Writes to a data block of the owner's: any bytes. */
enum error_code xn_write_data(struct xn *xn, uint32_t owner, uint32_t block, const struct xn_write *write,
                              struct error *error);
/* Reads a block of the owner's through the cache. */
enum error_code xn_read(struct xn *xn, uint32_t owner, uint32_t block, uint32_t offset, uint32_t length_bytes,
                        void *out, struct error *error);

/* Writes a dirty block of the owner's to the disk. ERR_AGAIN: it points to a block
 * that has to be written first. */
enum error_code xn_flush(struct xn *xn, uint32_t owner, uint32_t block, struct error *error);

/* The power fails: cache and registry are lost and built anew from the roots on the
 * disk. ERR_FAULT: the disk is not consistent, which no sequence of the calls above
 * may lead to. */
enum error_code xn_crash_and_recover(struct xn *xn, struct error *error);

/* What the kernel knows of a block; the free list is for all to read. */
enum xn_state { XN_STATE_FREE, XN_STATE_ALLOCATED, XN_STATE_WILL_FREE };
enum xn_state xn_state(const struct xn *xn, uint32_t block);
uint32_t xn_type(const struct xn *xn, uint32_t block);
uint32_t xn_disk_pointers(const struct xn *xn, uint32_t block);
bool xn_is_dirty(const struct xn *xn, uint32_t block);
const struct xn_counters *xn_counters(const struct xn *xn);
void xn_visit_stats(const struct xn *xn, const char *instance, const struct stats_sink *sink);

#endif
