/* environment.h: an environment: a protection domain, what other systems call a
 * process. It has an address space, an IOMMU domain that shows its devices the same
 * addresses, capabilities, and limits to what it may take. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_ENVIRONMENT_H
#define STILLSUIT_KERNEL_MODEL_EXO_ENVIRONMENT_H

#include "hw/iommu.h"
#include "hw/mmu.h"
#include "kernel_model/exo/exokernel.h"

/* Shares of what there is. */
struct exo_limits {
    uint64_t ports;                 /* distinct local ports that its receive filters may name */
    uint64_t filters;               /* capabilities of type filter */
    uint64_t queues;                /* queue pairs */
    uint64_t frames;                /* page frames */
    uint64_t table_frames;          /* frames of its page tables, the processor's and the IOMMU's */
    uint64_t capabilities;          /* granted to it, or derived by it for whomever; reserved at its creation */
    uint64_t bindings;              /* records of what is mapped, or bound, in its address space */
    uint64_t slices;                /* positions in the vector of time slices */
    uint64_t storage_interfaces;    /* VSICs */
    uint64_t storage_queues;        /* queue pairs of VSICs */
    uint64_t storage_areas;         /* VSAs that it owns */
    uint64_t storage_bytes;         /* of all of them together */
    uint64_t storage_bytes_per_s;   /* the rate that it may give itself at most; 0: any */
    uint64_t storage_weight;        /* the weight that it may give itself at most */
    uint32_t address, address_mask; /* local addresses that its filters may name */
};
/* 1,024 ports, 64 filters, 8 queues, 65,536 frames, 16,384 of tables, 16,384 capabilities,
 * 65,536 bindings, 64 slices, no address; 4 VSICs with 8 queues, 16 VSAs of 1 TiB together, any rate,
 * weight 1. */
struct exo_limits exo_limits_default(void);

struct exo_environment {
    struct exo_environment *next;
    struct exo_kernel *kernel;
    uint32_t number; /* from 1; never used again */
    char name[32];
    struct address_space *space;
    struct iommu_domain *domain;
    struct exo_limits limits;
    uint64_t frames_held, filters_held, queues_held, bindings_held;
    uint64_t storage_interfaces_held, storage_queues_held;
    uint64_t next_virtual;  /* where the next mapping goes that asks for no address */
    uint64_t *table_frames; /* frames that its page tables take */
    uint32_t table_frame_count, table_frame_capacity;
    bool table_refused;         /* the last one, as it had its share */
    uint64_t page_faults_ended; /* of threads that are gone */
    struct exo_counters counters;
};

/* A new environment without any capability. The kernel owns it. ERR_EXHAUSTED: no memory for
 * its page tables, or not so many capabilities to reserve; ERR_SHARE: its tables are to be none. */
struct exo_environment *exo_environment_create(struct exo_kernel *kernel, const char *name,
                                               const struct exo_limits *limits, struct error *error);
/* Revokes all that it holds, with what was derived from it, and ends it: then it is charged for
 * nothing, and its page tables go, too. Its threads must not be running. */
void exo_environment_destroy(struct exo_environment *environment);

/* Derives a capability with no more rights for `to`, which may be the environment
 * itself: how authority is passed, and lessened. */
enum error_code exo_derive(struct exo_environment *environment, const struct exo_handle *handle, unsigned rights,
                           const struct exo_environment *to, struct exo_handle *out, struct error *error);
/* A new capability of `object` with all rights, below `parent` (NULL: a root), which the
 * environment pays for. ERR_SHARE, ERR_EXHAUSTED; counted. */
enum error_code exo_grant(struct exo_environment *environment, const struct exo_handle *parent, enum exo_type type,
                          void *object, struct exo_handle *out, struct error *error);
/* Counts that a capability could not be had, and says so: `code`. */
enum error_code exo_no_capability(struct exo_environment *environment, enum error_code code, struct error *error);
/* Counts that it has its share of something, and says so: ERR_SHARE. */
enum error_code exo_share(struct exo_environment *environment, const char *what, struct error *error);
/* One more address space of the environment's, whose tables it is charged for like the first's, to
 * its end. NULL: ERR_SHARE, ERR_EXHAUSTED. The caller frees it (address_space_free). */
struct address_space *exo_address_space_create(struct exo_environment *environment, struct error *error);
/* What a mapping's failure means: ERR_SHARE, counted, in place of ERR_EXHAUSTED if the
 * environment's own limit kept it from a frame for its tables. */
enum error_code exo_tables_error(struct exo_environment *environment, enum error_code code);

/* Revokes a capability and its whole subtree; takes EXO_CONTROL. */
enum error_code exo_revoke(struct exo_environment *environment, const struct exo_handle *handle, struct error *error);

/* A run of virtual addresses that nothing maps yet. */
uint64_t exo_environment_reserve(struct exo_environment *environment, uint64_t length_bytes);

#endif
