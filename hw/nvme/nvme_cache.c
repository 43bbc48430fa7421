/* The write cache: runs of blocks in the order in which they came, destaged to the
 * medium in that order in the background.
 *
 * Which entry has the newest version of a block is kept by block. A destage carries
 * what the cache has of its blocks when it begins; when it ends that is durable, under
 * what may have been written since. An entry of which every block has been written
 * again needs no destaging, unless a flush waits that knows nothing of the new
 * versions. The bytes are the block store's: in its volatile layer, or, if the cache is
 * protected, durable from the start. */
#include <stdlib.h>
#include <string.h>

#include "hw/nvme/nvme_internal.h"
#include "sim/error.h"

void nvme_cache_init(struct nvme *nvme) {
    nvme->cache.room_waiters_end = &nvme->cache.room_waiters;
    nvme->cache.flush_waiters_end = &nvme->cache.flush_waiters;
}

static void free_entry(struct nvme_cache_entry *entry) {
    free(entry->bytes);
    free(entry->overtaken);
    free(entry);
}

void nvme_cache_free(struct nvme *nvme) {
    struct nvme_cache *cache = &nvme->cache;
    while (cache->first != NULL) {
        struct nvme_cache_entry *entry = cache->first;
        cache->first = entry->next;
        free_entry(entry);
    }
    while (cache->pool != NULL) {
        struct nvme_cache_entry *entry = cache->pool;
        cache->pool = entry->next;
        free_entry(entry);
    }
    line_map_free(&cache->latest);
}

/* ---- what it has ---- */

bool nvme_cache_has(const struct nvme *nvme, uint64_t block, uint32_t blocks) {
    for (uint32_t i = 0; i < blocks; i++) {
        if (line_map_get(&nvme->cache.latest, block + i) == 0) {
            return false;
        }
    }
    return true;
}

bool nvme_cache_room(const struct nvme *nvme, uint64_t bytes) {
    const uint64_t taken = nvme->cache.dirty_bytes + nvme->cache.promised_bytes;
    return taken == 0 || taken + bytes <= nvme->config->cache_bytes;
}

/* Of these blocks, what is on its way to the medium and was loaded before `sequence` is
 * older than what is there now. */
static void overtake(struct nvme *nvme, uint64_t block, uint64_t blocks, uint64_t sequence) {
    const struct nvme_cache *cache = &nvme->cache;
    for (struct nvme_cache_entry *entry = cache->first; entry != cache->undestaged; entry = entry->next) {
        for (uint32_t i = 0; entry->carried < sequence && i < entry->blocks; i++) {
            if (entry->block + i - block < blocks) {
                entry->overtaken[i] = 1;
            }
        }
    }
}

void nvme_cache_forget(struct nvme *nvme, uint64_t block, uint64_t blocks) {
    struct line_map *latest = &nvme->cache.latest;
    overtake(nvme, block, blocks, UINT64_MAX);
    if (blocks > latest->count) { /* a large run: look at what there is instead */
        for (struct nvme_cache_entry *entry = nvme->cache.first; entry != NULL; entry = entry->next) {
            for (uint32_t i = 0; i < entry->blocks; i++) {
                if (entry->block + i - block < blocks) {
                    line_map_remove(latest, entry->block + i);
                }
            }
        }
        return;
    }
    for (uint64_t i = 0; i < blocks; i++) {
        line_map_remove(latest, block + i);
    }
}

/* ---- entries ---- */

static struct nvme_cache_entry *take_entry(struct nvme *nvme) {
    struct nvme_cache_entry *entry = nvme->cache.pool;
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        SIM_ASSERT_MSG(entry != NULL, "out of memory");
        return entry;
    }
    nvme->cache.pool = entry->next;
    return entry;
}

static void append(struct nvme_cache_entry *entry) {
    struct nvme_cache *cache = &entry->nvme->cache;
    struct nvme_namespace *space = entry->space;
    entry->next = entry->space_next = NULL;
    entry->previous = cache->last;
    *(cache->last != NULL ? &cache->last->next : &cache->first) = entry;
    cache->last = entry;
    entry->space_previous = space->dirty_last;
    *(space->dirty_last != NULL ? &space->dirty_last->space_next : &space->dirty_first) = entry;
    space->dirty_last = entry;
    if (cache->undestaged == NULL) {
        cache->undestaged = entry;
    }
}

static void unhook(struct nvme_cache_entry *entry) {
    struct nvme_cache *cache = &entry->nvme->cache;
    struct nvme_namespace *space = entry->space;
    *(entry->previous != NULL ? &entry->previous->next : &cache->first) = entry->next;
    *(entry->next != NULL ? &entry->next->previous : &cache->last) = entry->previous;
    *(entry->space_previous != NULL ? &entry->space_previous->space_next : &space->dirty_first) = entry->space_next;
    *(entry->space_next != NULL ? &entry->space_next->space_previous : &space->dirty_last) = entry->space_previous;
}

static void retire(struct nvme_cache_entry *entry) {
    struct nvme *nvme = entry->nvme;
    unhook(entry);
    nvme->cache.dirty_bytes -= (uint64_t)entry->blocks * nvme->block_bytes;
    entry->next = nvme->cache.pool;
    nvme->cache.pool = entry;
}

void nvme_cache_put(struct nvme *nvme, struct nvme_namespace *space, uint64_t block, uint32_t blocks,
                    const void *data) {
    struct nvme_cache *cache = &nvme->cache;
    struct nvme_cache_entry *entry = take_entry(nvme);
    entry->nvme = nvme;
    entry->space = space;
    entry->block = block;
    entry->blocks = blocks;
    entry->sequence = ++cache->sequence;
    entry->started = entry->dropped = false;
    append(entry);
    cache->dirty_bytes += (uint64_t)blocks * nvme->block_bytes;
    for (uint32_t i = 0; i < blocks; i++) {
        line_map_put(&cache->latest, block + i, entry->sequence);
    }
    block_store_write(nvme->store, block, blocks, data, nvme->config->write_cache == NVME_CACHE_PROTECTED);
}

/* ---- destaging ---- */

static void block_is_down(struct nvme_cache_entry *entry, uint32_t index) {
    struct nvme *nvme = entry->nvme;
    const uint64_t block = entry->block + index;
    const uint64_t latest = line_map_get(&nvme->cache.latest, block);
    if (latest == 0 || entry->overtaken[index] != 0) {
        return;
    }
    if (latest <= entry->carried) {
        line_map_remove(&nvme->cache.latest, block);
        block_store_flush_blocks(nvme->store, block, 1);
    } else if (nvme->config->write_cache == NVME_CACHE_VOLATILE) { /* written again meanwhile */
        block_store_write_below(nvme->store, block, 1, entry->bytes + (size_t)index * nvme->block_bytes);
    }
}

static void destaged(struct media_command *command) {
    struct nvme_cache_entry *entry = command->context;
    struct nvme *nvme = entry->nvme;
    nvme->cache.destaging--;
    if (entry->dropped) { /* the power was cut meanwhile */
        entry->next = nvme->cache.pool;
        nvme->cache.pool = entry;
        return;
    }
    for (uint32_t i = 0; i < entry->blocks; i++) {
        block_is_down(entry, i);
    }
    overtake(nvme, entry->block, entry->blocks, entry->carried);
    retire(entry);
    nvme_cache_settled(nvme);
    nvme_cache_destage(nvme);
}

/* A flush waits that covers the entry, but not the newer version. */
static bool is_awaited(const struct nvme_cache_entry *entry, uint64_t latest) {
    for (const struct nvme_command *flush = entry->nvme->cache.flush_waiters; flush != NULL; flush = flush->next) {
        if (flush->flush_sequence >= entry->sequence && flush->flush_sequence < latest) {
            return true;
        }
    }
    return false;
}

static bool is_needed(const struct nvme_cache_entry *entry) {
    for (uint32_t i = 0; i < entry->blocks; i++) {
        const uint64_t latest = line_map_get(&entry->nvme->cache.latest, entry->block + i);
        if (latest == entry->sequence || (latest > entry->sequence && is_awaited(entry, latest))) {
            return true;
        }
    }
    return false;
}

/* What it carries is copied: the cache may get a newer version on the way. */
static void load(struct nvme_cache_entry *entry) {
    const struct nvme *nvme = entry->nvme;
    if (entry->blocks > entry->capacity) {
        free(entry->bytes);
        free(entry->overtaken);
        entry->bytes = malloc((size_t)entry->blocks * nvme->block_bytes);
        entry->overtaken = malloc(entry->blocks);
        SIM_ASSERT_MSG(entry->bytes != NULL && entry->overtaken != NULL, "out of memory");
        entry->capacity = entry->blocks;
    }
    memset(entry->overtaken, 0, entry->blocks);
    entry->carried = nvme->cache.sequence;
    if (nvme->config->write_cache == NVME_CACHE_VOLATILE) {
        block_store_read(nvme->store, entry->block, entry->blocks, entry->bytes);
    }
}

static void start(struct nvme_cache_entry *entry) {
    struct nvme *nvme = entry->nvme;
    struct media_command *command = &entry->command;
    load(entry);
    entry->started = true;
    nvme->cache.destaging++;
    nvme->cache.destages++;
    command->operation = MEDIA_WRITE;
    command->offset_bytes = entry->block * nvme->block_bytes;
    command->length_bytes = (uint64_t)entry->blocks * nvme->block_bytes;
    command->request = NULL; /* nobody's: who wrote it has been told already */
    command->owner = nvme->components.cache;
    command->done = destaged;
    command->context = entry;
    media_submit(nvme->media, command);
}

static bool is_due(const struct nvme *nvme) {
    const struct nvme_cache *cache = &nvme->cache;
    return cache->dirty_bytes > nvme->config->destage_from_bytes || cache->flush_waiters != NULL ||
           cache->room_waiters != NULL;
}

void nvme_cache_destage(struct nvme *nvme) {
    struct nvme_cache *cache = &nvme->cache;
    bool retired = false;
    while (cache->undestaged != NULL && cache->destaging < nvme->config->destage_outstanding && is_due(nvme)) {
        struct nvme_cache_entry *entry = cache->undestaged;
        cache->undestaged = entry->next;
        if (is_needed(entry)) {
            start(entry);
        } else {
            cache->superseded++;
            retire(entry);
            retired = true;
        }
    }
    if (retired) {
        nvme_cache_settled(nvme);
    }
}

/* What was on its way to the medium is counted lost or kept by the block store. */
void nvme_cache_power_cut(struct nvme *nvme) {
    struct nvme_cache *cache = &nvme->cache;
    while (cache->first != NULL) {
        struct nvme_cache_entry *entry = cache->first;
        const bool started = entry->started;
        unhook(entry);
        entry->dropped = true;
        if (!started) {
            entry->next = cache->pool;
            cache->pool = entry;
        }
    }
    cache->undestaged = NULL;
    cache->dirty_bytes = 0;
    line_map_free(&cache->latest);
}
