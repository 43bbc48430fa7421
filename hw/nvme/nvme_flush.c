/* Who waits for the write cache: writes for room, flushes for what was written before
 * them, shutdowns for all of it. */
#include "hw/nvme/nvme_internal.h"

/* ---- room ---- */

void nvme_wait_for_room(struct nvme_command *command) {
    struct nvme_cache *cache = &command->nvme->cache;
    nvme_own(command, command->nvme->components.cache, LEDGER_WAITING);
    cache->room_waits++;
    command->next = NULL;
    *cache->room_waiters_end = command;
    cache->room_waiters_end = &command->next;
    nvme_cache_destage(command->nvme);
}

static void let_in(struct nvme *nvme) {
    struct nvme_cache *cache = &nvme->cache;
    while (cache->room_waiters != NULL && nvme_cache_room(nvme, cache->room_waiters->length_bytes)) {
        struct nvme_command *command = cache->room_waiters;
        cache->room_waiters = command->next;
        cache->room_waiters_end = cache->room_waiters == NULL ? &cache->room_waiters : cache->room_waiters_end;
        nvme_write_cached(command);
    }
}

/* ---- flush ---- */

/* Everything up to a sequence has reached the medium. */
static bool is_clean(const struct nvme *nvme, const struct nvme_namespace *space, uint64_t sequence) {
    const struct nvme_cache_entry *oldest = space != NULL ? space->dirty_first : nvme->cache.first;
    return oldest == NULL || oldest->sequence > sequence;
}

static void flushed(struct nvme_command *command) {
    nvme_own(command, command->nvme->components.processing, LEDGER_SERVICE);
    nvme_complete(command, NVME_SUCCESS);
}

void nvme_flush(struct nvme_command *command) {
    struct nvme *nvme = command->nvme;
    struct nvme_cache *cache = &nvme->cache;
    command->flush_sequence = cache->sequence;
    if (nvme->config->write_cache != NVME_CACHE_VOLATILE || is_clean(nvme, command->space, command->flush_sequence)) {
        nvme_complete(command, NVME_SUCCESS);
        return;
    }
    nvme_own(command, nvme->components.cache, LEDGER_WAITING);
    command->next = NULL;
    *cache->flush_waiters_end = command;
    cache->flush_waiters_end = &command->next;
    nvme_cache_destage(nvme);
}

static void let_flushes_go(struct nvme *nvme) {
    struct nvme_cache *cache = &nvme->cache;
    struct nvme_command **at = &cache->flush_waiters;
    while (*at != NULL) {
        struct nvme_command *command = *at;
        if (!is_clean(nvme, command->space, command->flush_sequence)) {
            at = &command->next;
            continue;
        }
        *at = command->next;
        flushed(command);
    }
    cache->flush_waiters_end = at;
}

/* ---- shutdown ---- */

enum { SHUTDOWN_OCCURRING = 1, SHUTDOWN_COMPLETE = 2 };

void nvme_shutdown(struct nvme_function *function) {
    struct nvme *nvme = function->nvme;
    const bool clean = nvme->config->write_cache != NVME_CACHE_VOLATILE || nvme->cache.first == NULL;
    function->shutdown = clean ? SHUTDOWN_COMPLETE : SHUTDOWN_OCCURRING;
}

static void let_shutdowns_end(struct nvme *nvme) {
    for (uint32_t i = 0; nvme->cache.first == NULL && i < nvme->function_count; i++) {
        if (nvme->functions[i].shutdown == SHUTDOWN_OCCURRING) {
            nvme->functions[i].shutdown = SHUTDOWN_COMPLETE;
        }
    }
}

void nvme_cache_settled(struct nvme *nvme) {
    if (nvme->cache.flush_waiters != NULL) {
        let_flushes_go(nvme);
    }
    if (nvme->cache.room_waiters != NULL) {
        let_in(nvme);
    }
    if (nvme->cache.first == NULL) {
        let_shutdowns_end(nvme);
    }
}

/* ---- reset ---- */

static void drop_from(struct nvme_command **list, struct nvme_command ***list_end,
                      const struct nvme_function *function) {
    struct nvme_command *dropped = NULL;
    struct nvme_command **at = list;
    while (*at != NULL) {
        struct nvme_command *command = *at;
        if (command->function == function) {
            *at = command->next;
            command->next = dropped;
            dropped = command;
        } else {
            at = &command->next;
        }
    }
    *list_end = at;
    while (dropped != NULL) {
        struct nvme_command *next = dropped->next;
        nvme_drop(dropped);
        dropped = next;
    }
}

void nvme_cache_waiters_drop(struct nvme_function *function) {
    struct nvme_cache *cache = &function->nvme->cache;
    drop_from(&cache->room_waiters, &cache->room_waiters_end, function);
    drop_from(&cache->flush_waiters, &cache->flush_waiters_end, function);
}
