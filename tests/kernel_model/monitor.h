/* monitor.h: a reference monitor for the exokernel, written apart from it: it includes
 * nothing of the kernel but the layout of a handle and the names of rights.
 *
 * It hears the answers of granted calls alone, keeps a model of its own (who was given
 * what, by which capability, derived from which), and says three things: whether a call may
 * be granted, by the rules in words (capability.h); what page tables, IOMMU tables and TLBs
 * have to be; and how much of the processor is whose. It walks tables by itself, as the
 * manuals have them. It knows no machine: an address space has a number, time is a number. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_MONITOR_H
#define STILLSUIT_TESTS_KERNEL_MODEL_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/memory.h"
#include "kernel_model/exo/capability.h"

enum { MONITOR_SLOTS = 65536, MONITOR_MAPPINGS = 4096, MONITOR_HOLDERS = 64, MONITOR_NONE = UINT32_MAX };

/* Something that was given to somebody. */
struct monitor_capability {
    bool live, derived;
    struct exo_handle handle; /* as it was answered */
    uint32_t holder, rights, type;
    uint32_t parent;                 /* place of the capability that it stands below; MONITOR_NONE */
    uint64_t physical, length_bytes; /* EXO_FRAMES; else 0, and */
    uint64_t object;                 /* ... whatever tells the test what it is */
};

/* Memory or registers that show up in somebody's address space. */
struct monitor_mapping {
    bool live, write;
    uint32_t environment; /* ... or its address space, where it has several */
    uint32_t capability;  /* MONITOR_NONE: the kernel's own, which stays */
    uint64_t virtual_address, physical, length_bytes;
    bool registers; /* physical is where a device's registers begin, for no DMA */
};

struct monitor {
    struct monitor_capability *at; /* by the place that the handle names */
    uint32_t used;                 /* places that were ever named lie below */
    struct monitor_mapping mappings[MONITOR_MAPPINGS];
    uint32_t mappings_used;           /* ... below */
    double entitled[MONITOR_HOLDERS]; /* processor time that its slices come to, by holder */
    uint64_t now;                     /* up to then */
    /* Told of each capability that ends. NULL: nobody. */
    void (*ended)(const struct monitor_capability *capability);
    const char *fault; /* what is wrong; NULL: nothing */
};

void monitor_init(struct monitor *monitor);
void monitor_fini(struct monitor *monitor);

/* The capability whose handle is exactly this, if it lives; else NULL. */
struct monitor_capability *monitor_find(const struct monitor *monitor, const struct exo_handle *handle);
/* Whether `holder` may use that handle as such a thing with such rights. */
bool monitor_allows(const struct monitor *monitor, uint32_t holder, const struct exo_handle *handle, uint32_t type,
                    unsigned rights);

/* A call was granted: something new, below `parent` (NULL: below nothing). A fault if the
 * handle is one that lives, or says other than what was asked. */
struct monitor_capability *monitor_granted(struct monitor *monitor, const struct exo_handle *parent, uint32_t type,
                                           uint32_t holder, const struct exo_handle *out);
/* ... frames: a fault if any of them is somebody's. */
void monitor_granted_frames(struct monitor *monitor, uint32_t holder, const struct exo_handle *out, uint64_t physical,
                            uint64_t length_bytes);
/* ... the same thing for somebody else. */
void monitor_derived(struct monitor *monitor, const struct exo_handle *parent, unsigned rights, uint32_t to,
                     const struct exo_handle *out);
/* ... an end: the capability's, and all below it. */
void monitor_revoked(struct monitor *monitor, const struct exo_handle *handle);
/* An environment ended, with all that it held. */
void monitor_holder_ended(struct monitor *monitor, uint32_t holder);
/* A thing ended for all who had a capability on it. */
void monitor_object_ended(struct monitor *monitor, uint32_t type, uint64_t object);
void monitor_mapped(struct monitor *monitor, const struct monitor_mapping *mapping);

/* A page of an address space is bound to a frame under a capability, in place of what it was
 * bound to; or to nothing. No more than the capability allows: faults otherwise. */
void monitor_bound(struct monitor *monitor, uint32_t space, uint64_t page, const struct exo_handle *handle, bool write);
void monitor_unbound(struct monitor *monitor, uint32_t space, uint64_t page);
bool monitor_is_bound(struct monitor *monitor, uint32_t space, uint64_t page);
void monitor_space_ended(struct monitor *monitor, uint32_t space);
/* The kernel took a frame by force, and said so: the capability on it ends. False: the
 * monitor knows of none. */
bool monitor_frame_taken(struct monitor *monitor, uint32_t holder, uint64_t physical);
/* Whether a TLB may hold an entry: that page is bound to that frame, to be written if it
 * says so; faults otherwise. */
void monitor_check_entry(struct monitor *monitor, uint32_t space, uint64_t page, uint64_t physical, bool write);

/* ---- time: the slices of the vector are capabilities of type EXO_SLICE ---- */
/* Before slices change hands, and before a check: up to `now` they were as they are. A
 * position that nobody has is passed over. */
void monitor_time(struct monitor *monitor, uint64_t now);
/* Whether who used so much in all, and lost no more than `slack`, had what its slices come
 * to; faults otherwise. */
void monitor_check_time(struct monitor *monitor, uint32_t holder, uint64_t used, uint64_t slack);

/* Whether every frame of a range is under a capability of `holder`'s with these rights. */
bool monitor_holds(const struct monitor *monitor, uint32_t holder, uint64_t physical, uint64_t length_bytes,
                   unsigned rights);
/* Whom a frame belongs to, or 0. */
uint32_t monitor_owner_of(const struct monitor *monitor, uint64_t physical);
/* Whether an environment's page table (x86-64, four levels, from `root`) is exactly what
 * was mapped; faults otherwise. */
void monitor_check_page_table(struct monitor *monitor, const struct memory *memory, uint64_t root,
                              uint32_t environment);
/* Whether an address space's page table holds what monitor_check_entry lets a TLB hold. */
void monitor_check_bindings(struct monitor *monitor, const struct memory *memory, uint64_t root, uint32_t space);
/* Whether an IOMMU table (VT-d, second level) is what was mapped, and beside that only up
 * to `spare` frames that are nobody's (the kernel's admin queues). */
void monitor_check_device_table(struct monitor *monitor, const struct memory *memory, uint64_t root,
                                uint32_t environment, uint64_t spare);

#endif
