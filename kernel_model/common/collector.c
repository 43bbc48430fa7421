#include "kernel_model/common/collector.h"

#include <stdlib.h>

#include "sim/error.h"

void collector_init(struct collector *collector, uint64_t pages) {
    SIM_ASSERT(pages >= (uint64_t)2 * COLLECTOR_LIVE_EVERY);
    *collector = (struct collector){.space_pages = pages / 2, .stamp = (uint32_t)pages};
    collector->expected = calloc(collector->space_pages, sizeof *collector->expected);
    SIM_ASSERT(collector->expected != NULL);
    for (uint64_t i = 0; i < collector->space_pages; i++) {
        collector->expected[i] = (uint32_t)i;
    }
}

void collector_free(struct collector *collector) {
    free(collector->expected);
    collector->expected = NULL;
}

static void used(const struct collector_memory *memory, uint64_t page) {
    if (memory->used != NULL) {
        memory->used(memory->context, page);
    }
}

/* Returns how many pages of the other space are in use then. */
static uint64_t collect(struct collector *collector, const struct collector_memory *memory, uint64_t from,
                        uint64_t to) {
    uint64_t copied = 0;
    for (uint64_t i = 0; i < collector->space_pages; i++) {
        if (i % COLLECTOR_LIVE_EVERY == 0) {
            const uint32_t object = memory->load(memory->context, from + i);
            SIM_ASSERT_MSG(object == collector->expected[i], "page %llu of a heap has lost its content",
                           (unsigned long long)(from + i));
            used(memory, from + i);
            memory->store(memory->context, to + copied, object);
            used(memory, to + copied);
            collector->expected[copied] = object;
            copied++;
        }
        if (memory->dead != NULL) {
            memory->dead(memory->context, from + i);
        }
    }
    return copied;
}

void collector_cycle(struct collector *collector, const struct collector_memory *memory) {
    const uint64_t from = collector->second ? collector->space_pages : 0;
    const uint64_t to = collector->second ? 0 : collector->space_pages;
    for (uint64_t i = collect(collector, memory, from, to); i < collector->space_pages; i++) {
        memory->store(memory->context, to + i, ++collector->stamp);
        used(memory, to + i);
        collector->expected[i] = collector->stamp;
    }
    collector->second = !collector->second;
}
