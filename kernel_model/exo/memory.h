/* memory.h: page frames, by their physical names, and mappings of them.
 *
 * Allocation exposes physical names: an environment may ask for frame 4711, and is
 * told which frames it got. A mapping is a secure binding: a page table entry for
 * the processor and the same translation in the environment's IOMMU domain for its
 * devices, so that a descriptor names the address that the program uses. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_MEMORY_H
#define STILLSUIT_KERNEL_MODEL_EXO_MEMORY_H

#include "kernel_model/exo/environment.h"

/* Where a run of frames was mapped. */
struct exo_region {
    struct exo_handle handle;
    uint64_t physical, virtual_address, length_bytes;
    uint64_t device_address; /* what a descriptor names: virtual, or physical where no IOMMU translates */
};

/* A mapping made under a capability; it goes when that is revoked. */
struct exo_mapping {
    struct exo_mapping *next;
    struct exo_environment *environment;
    uint32_t capability;
    bool device_visible;
    uint64_t virtual_address, length_bytes;
};
/* Maps physical addresses at a virtual one (0: the kernel chooses), and remembers.
 * The kernel's own: the caller has checked the capability. ERR_SHARE: the environment has its
 * share of bindings, or of frames for tables; counted. */
enum error_code exo_mapping_add(struct exo_mapping **list, struct exo_environment *environment, uint32_t capability,
                                uint64_t physical, uint64_t *virtual_address, uint64_t length_bytes, bool write,
                                bool device_visible);
/* Undoes what was mapped under a capability, or everything. */
enum { EXO_ANY_CAPABILITY = UINT32_MAX };
void exo_mappings_remove(struct exo_mapping **list, uint32_t capability);

/* Allocates whole frames that cover `length_bytes`, contiguous and zeroed: those
 * from `wanted` on, or any if it is 0. Fills handle, physical and length of
 * `region`. ERR_SHARE, ERR_EXHAUSTED. */
enum error_code exo_memory_allocate(struct exo_environment *environment, uint64_t wanted, uint64_t length_bytes,
                                    struct exo_region *region, struct error *error);
/* Maps the frames of region->handle at region->virtual_address (0: anywhere), for
 * reading or also writing, and fills the rest of `region`. */
enum error_code exo_memory_map(struct exo_environment *environment, struct exo_region *region, bool write,
                               struct error *error);

/* Which frames a capability names, if it carries `rights`. */
enum error_code exo_memory_frames(struct exo_environment *environment, const struct exo_handle *handle, unsigned rights,
                                  uint64_t *physical, uint64_t *count, struct error *error);

/* Whether an environment (by number) has capabilities of every frame of that memory, for
 * writing or for reading alone: for code that names memory by address (download_packet.h,
 * download_wake.h). */
bool exo_memory_holds(const struct exo_kernel *kernel, uint32_t environment, uint64_t physical, uint64_t length_bytes,
                      bool write);

/* The kernel's: gives frames back when their capability is revoked. */
void exo_memory_init(struct exo_kernel *kernel);

#endif
