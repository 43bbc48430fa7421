/* linux_skb.c: socket buffers, and memory that the device may reach. */
#include <stdlib.h>

#include "kernel_model/linux/linux_internal.h"

enum { SKBS_A_CHUNK = 64, BUFFERS_A_FRAME = MEMORY_FRAME_BYTES / LINUX_BUFFER_BYTES };

/* The host's memory for so many at a time. */
struct linux_skb_chunk {
    struct linux_skb_chunk *next;
    struct linux_skb skbs[SKBS_A_CHUNK];
};

uint64_t linux_dma_allocate(struct linux_system *system, uint64_t count) {
    const uint64_t address = frames_allocate_contiguous(system->frames, count);
    if (address != 0 && system->domain != NULL &&
        iommu_map(system->domain, address, address, count * MEMORY_FRAME_BYTES, IOMMU_READ | IOMMU_WRITE) != OK) {
        return 0;
    }
    return address;
}

static bool grow(struct linux_system *system) {
    const uint64_t address = linux_dma_allocate(system, SKBS_A_CHUNK / BUFFERS_A_FRAME);
    if (address == 0) {
        return false;
    }
    struct linux_skb_chunk *chunk = calloc(1, sizeof *chunk);
    SIM_ASSERT_MSG(chunk != NULL, "out of memory");
    chunk->next = system->skb_chunks;
    system->skb_chunks = chunk;
    for (unsigned i = SKBS_A_CHUNK; i-- > 0;) {
        chunk->skbs[i].physical = address + (uint64_t)i * LINUX_BUFFER_BYTES;
        linux_skb_release(system, &chunk->skbs[i]);
    }
    return true;
}

struct linux_skb *linux_skb_allocate(struct linux_system *system) {
    if (system->free_skbs == NULL && !grow(system)) {
        return NULL;
    }
    struct linux_skb *skb = system->free_skbs;
    system->free_skbs = skb->next;
    *skb = (struct linux_skb){.physical = skb->physical, .variation = 1};
    return skb;
}

/* Last in, first out, as the page and slab allocators' per-CPU lists: warm first. */
void linux_skb_release(struct linux_system *system, struct linux_skb *skb) {
    if (skb->held || skb->on_ring) {
        return; /* the other who has it releases it */
    }
    skb->next = system->free_skbs;
    system->free_skbs = skb;
}

void linux_skb_pool_free(struct linux_system *system) {
    while (system->skb_chunks != NULL) {
        struct linux_skb_chunk *chunk = system->skb_chunks;
        system->skb_chunks = chunk->next;
        free(chunk);
    }
    system->free_skbs = NULL;
}
