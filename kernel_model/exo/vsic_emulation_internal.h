/* vsic_emulation_internal.h: the state of an emulation: its core, its queue, its
 * interfaces. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_VSIC_EMULATION_INTERNAL_H
#define STILLSUIT_KERNEL_MODEL_EXO_VSIC_EMULATION_INTERNAL_H

#include "kernel_model/exo/vsic_emulation.h"

struct exo_emulated {
    struct exo_emulation *emulation;
    struct exo_vsic *vsic; /* NULL: gone, and waits for its last command */
    struct exo_mapping *mappings;
    uint64_t physical;        /* of the rings */
    uint64_t state;           /* lines that the kernel's own state of it takes */
    uint64_t taken, answered; /* requests, completions: places in the rings and their laps */
    uint32_t under_way;
    struct {
        struct exo_vsa *vsa; /* NULL: free */
        unsigned rights;
    } areas[EXO_VSIC_AREAS];
    struct memory_watch watch;
};

/* A command of the physical function's, under way. */
struct exo_emulated_io {
    struct block_io io;
    struct exo_emulated *emulated;
    uint64_t copy; /* physical: the kernel's copy of the descriptor */
    uint16_t id;
    struct exo_emulated_io *next_free;
};

struct exo_emulation {
    struct exo_drive *drive;
    struct exo_kernel *kernel;
    unsigned core;
    struct context *context;
    struct iommu_domain *domain; /* of the physical function */
    struct pcie_function *pcie;
    struct nvme_pair pair;
    struct memory_watch watch;
    struct exo_emulated *emulated[EXO_EMULATED_MAX];
    uint32_t next; /* whose turn it is */
    struct exo_emulated_io *ios, *free_ios;
    struct exo_emulation_counters counters;
};

extern ledger_component exo_emulation_component;

/* Reads one request into the command's segments, with all checks; OK or what it is
 * answered with. */
enum error_code exo_emulation_translate(struct exo_emulation *emulation, struct exo_emulated *emulated,
                                        const struct exo_ring_request *request, struct exo_emulated_io *slot);
/* The body of the core's context. */
void exo_emulation_main(void *emulation);
static inline uint64_t exo_emulated_request_at(const struct exo_emulated *emulated, uint64_t number) {
    return emulated->physical + number % EXO_RING_ENTRIES * sizeof(struct exo_ring_request);
}
static inline uint64_t exo_emulated_completion_at(const struct exo_emulated *emulated, uint64_t number) {
    return emulated->physical + EXO_RING_COMPLETIONS_AT +
           number % EXO_RING_ENTRIES * sizeof(struct exo_ring_completion);
}

#endif
