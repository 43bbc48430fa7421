/* nvme.h: the NVMe controller ("nvme") with virtual controllers, as a kernel's
 * physical-function driver sees it. Data-path software sees registers, queues and
 * commands (nvme_regs.h) alone.
 *
 * Function 0 is physical; function n (1..) is virtual function n-1. Each is a
 * controller of its own: registers, an admin queue, I/O queues: a virtual storage
 * interface (VSIC). A namespace is made of extents of the drive: a virtual storage
 * area (VSA). It is attached to controllers, with rights; the drive maps and checks
 * every access: what is not attached, out of range or read-only gets the
 * specification's status.
 *
 * Namespaces can be managed by admin commands of the physical function (Namespace
 * Management and Attachment, the extents in the vendor-specific part), or by the
 * functions here, which do the same without a queue: the kernel's control path takes
 * the time that the kernel says, and what real drives need for these commands is
 * unknown (and off every data path). Virtual functions' controllers do not know
 * these commands.
 *
 * An operation of a function that the IOMMU refuses ends with Data Transfer Error,
 * also where it was a posted write, of which a real function learns only if it
 * translates addresses itself (ATS). A refused fetch of commands or write of a
 * completion is fatal for that one controller (CSTS.CFS). */
#ifndef STILLSUIT_HW_NVME_NVME_H
#define STILLSUIT_HW_NVME_NVME_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/device.h"
#include "hw/media/block_store.h"
#include "hw/nvme/nvme_regs.h"
#include "sim/random.h"

extern const struct device_ops nvme_ops;

/* ---- What the drive is ---- */
uint32_t nvme_virtual_functions(const struct device *nvme);
/* I/O queue pairs of a virtual function, and of the physical one. */
uint32_t nvme_queues_per_function(const struct device *nvme);
uint32_t nvme_physical_queues(const struct device *nvme);
uint32_t nvme_queue_entries(const struct device *nvme);   /* of a queue at most (CAP.MQES + 1) */
uint32_t nvme_namespaces(const struct device *nvme);      /* NSIDs are 1..this */
uint32_t nvme_extents_max(const struct device *nvme);     /* of a namespace */
uint32_t nvme_transfer_blocks(const struct device *nvme); /* of a command at most (MDTS) */
uint32_t nvme_block_bytes(const struct device *nvme);
uint64_t nvme_blocks(const struct device *nvme);          /* of the drive */
uint32_t nvme_doorbell_stride(const struct device *nvme); /* bytes; a frame: each doorbell can be mapped alone */
bool nvme_volatile_cache(const struct device *nvme);

/* The PCIe function: BAR 0, requester id, MSI-X routing. NULL out of range. MSI-X
 * vector 0 is the admin queue's; Create I/O CQ names a queue's own. */
struct pcie_function *nvme_function(struct device *nvme, uint32_t function);

/* ---- Control path: the physical function's driver alone. ---- */
/* Brings a virtual function's controller on line (with DMA) or off; off resets it and
 * detaches its namespaces. The physical function is always on line. */
void nvme_function_enable(struct device *nvme, uint32_t function, bool enabled);

/* A run of the drive's blocks. */
struct nvme_extent {
    uint64_t first_block, blocks;
};
/* Makes a namespace of these extents, in this order; its NSID. ERR_RANGE: an empty
 * extent, or one beyond the drive; ERR_OVERLAP: among themselves or with another
 * namespace's; ERR_EXHAUSTED: no NSID free, or too many extents. Blocks read as
 * zeroes until they are written: nothing of a former owner is left. */
enum error_code nvme_namespace_create(struct device *nvme, const struct nvme_extent *extents, uint32_t count,
                                      uint32_t *nsid);
/* The same, of the first free blocks that there are (ERR_EXHAUSTED). */
enum error_code nvme_namespace_allocate(struct device *nvme, uint64_t blocks, uint32_t *nsid);
/* Gives a namespace another list of extents. Block n of it keeps its contents where
 * it stays at its place on the drive; blocks that leave the namespace are
 * deallocated. Commands under way for it end with Invalid Field. */
enum error_code nvme_namespace_resize(struct device *nvme, uint32_t nsid, const struct nvme_extent *extents,
                                      uint32_t count);
/* Detaches it everywhere and deallocates its blocks. ERR_NOT_FOUND. */
enum error_code nvme_namespace_delete(struct device *nvme, uint32_t nsid);
/* Its extents: writes up to `capacity`, returns how many it has (0: no such NSID). */
uint32_t nvme_namespace_extents(const struct device *nvme, uint32_t nsid, struct nvme_extent *out, uint32_t capacity);
uint64_t nvme_namespace_blocks(const struct device *nvme, uint32_t nsid); /* 0: no such NSID */

enum nvme_rights { NVME_RIGHT_READ = 1, NVME_RIGHT_WRITE = 2 };
/* Attaches, or changes the rights (NVME_RIGHT_READ alone: read-only). ERR_NOT_FOUND,
 * ERR_RANGE: no such function. A controller may hold many namespaces, a namespace may
 * be attached to many controllers. */
enum error_code nvme_namespace_attach(struct device *nvme, uint32_t function, uint32_t nsid, unsigned rights);
/* Commands under way there end with Invalid Field. */
enum error_code nvme_namespace_detach(struct device *nvme, uint32_t function, uint32_t nsid);

/* Share of a controller under `arbitration: weighted`: commands a round. ERR_RANGE:
 * no such function, or 0. */
enum error_code nvme_set_weight(struct device *nvme, uint32_t function, uint32_t weight);
/* Token buckets of a controller; a rate of 0 lifts that limit. A bucket holds what
 * the rate gives in `burst` of time; a command passes if the bucket is not in debt. */
struct nvme_rate {
    uint64_t bytes_per_s;
    uint64_t commands_per_s;
    sim_time burst;
};
enum error_code nvme_set_rate(struct device *nvme, uint32_t function, const struct nvme_rate *rate);

/* ---- Set-up and inspection outside of time ---- */
/* Executes one admin command of a function at once, as at boot: no queue, no DMA, no
 * simulated time. `data` (NULL if the command has none) stands for the 4 KiB that its
 * PRPs would name, both ways. The controller must be enabled. Returns the status;
 * `result` (may be NULL) receives dword 0. Abort, Asynchronous Event Request and the
 * deletion of queues with commands under way are refused (NVME_COMMAND_SEQUENCE_ERROR). */
enum nvme_status nvme_admin_now(struct device *nvme, uint32_t function, const struct nvme_sqe *command, void *data,
                                uint32_t *result);
/* The drive's contents: to prepare them before a run and to look at them after. */
struct block_store *nvme_store(struct device *nvme);
/* The power is cut at sim_now(): controllers are reset, commands under way are lost
 * (nobody hears of them), and each block of a volatile cache is kept with probability
 * `kept`. What a protected cache holds is on the medium. The drive can be enabled
 * again. */
void nvme_power_cut(struct device *nvme, struct random_stream *random, double kept);

/* Counters of a function, in the order of their reports. */
#define NVME_COUNTERS(X)                                                                                               \
    X(admin_commands)                                                                                                  \
    X(reads)                                                                                                           \
    X(writes)                                                                                                          \
    X(flushes)                                                                                                         \
    X(deallocates)                                                                                                     \
    X(read_bytes)                                                                                                      \
    X(write_bytes)                                                                                                     \
    X(completions)                                                                                                     \
    X(errors)                                                                                                          \
    X(refused_not_attached)                                                                                            \
    X(refused_out_of_range)                                                                                            \
    X(refused_read_only)                                                                                               \
    X(transfer_faults)                                                                                                 \
    X(fatal_faults)                                                                                                    \
    X(limited)                                                                                                         \
    X(cache_hits)                                                                                                      \
    X(doorbells)                                                                                                       \
    X(bad_doorbells)                                                                                                   \
    X(bad_register_accesses)                                                                                           \
    X(interrupts)                                                                                                      \
    X(aborted)
#define NVME_COUNTER_FIELD(name) uint64_t name;
struct nvme_counters {
    NVME_COUNTERS(NVME_COUNTER_FIELD)
};
#undef NVME_COUNTER_FIELD
const struct nvme_counters *nvme_counters(const struct device *nvme, uint32_t function);

/* Components: "nvme" with nvme_queue (in a submission queue, for arbitration or a
 * command processor), nvme_limit (for its controller's rate limit), nvme_processing,
 * nvme_cache (for room in the write cache, or for a flush); "media" with what the
 * medium declares. A command's request rides on the doorbell write that announces it,
 * or is boarded (memory_board) at the physical address of its submission entry by
 * whoever below "cpu", or "doorbell", has it. When done it is owned by "ready",
 * boarded at the physical address of its completion entry. */
void nvme_declare_components(void);

#endif
