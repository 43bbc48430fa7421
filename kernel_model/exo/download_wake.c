#include "kernel_model/exo/download_wake.h"

#include <stdlib.h>

struct waiter {
    struct waiter *next;
    uint32_t owner;
    struct download_program program;
};
struct download_waiters {
    struct download_waiters_config config;
    struct waiter *first; /* in the order in which they went to sleep */
    struct download_waiters_counters counters;
};

struct download_waiters *download_waiters_create(const struct download_waiters_config *config) {
    struct download_waiters *waiters = calloc(1, sizeof *waiters);
    SIM_ASSERT(waiters != NULL);
    waiters->config = *config;
    return waiters;
}

void download_waiters_free(struct download_waiters *waiters) {
    for (struct waiter *at = waiters != NULL ? waiters->first : NULL; at != NULL;) {
        struct waiter *next = at->next;
        free(at);
        at = next;
    }
    free(waiters);
}

static struct waiter **waiter_of(struct download_waiters *waiters, uint32_t owner) {
    struct waiter **at = &waiters->first;
    while (*at != NULL && (*at)->owner != owner) {
        at = &(*at)->next;
    }
    return at;
}

enum error_code download_wait(struct download_waiters *waiters, uint32_t owner, const struct download_instruction *code,
                              uint32_t count, const struct download_region *regions, uint32_t region_count,
                              struct error *error) {
    struct waiter **at = waiter_of(waiters, owner);
    if (*at != NULL) {
        return error_set(error, ERR_EXISTS, "the environment sleeps already");
    }
    if (region_count > DOWNLOAD_REGIONS_MAX) {
        return error_set(error, ERR_RANGE, "a predicate has at most %d regions", DOWNLOAD_REGIONS_MAX);
    }
    for (uint32_t i = 0; i < region_count; i++) {
        if (!memory_contains(waiters->config.memory, regions[i].physical, regions[i].length_bytes) ||
            !waiters->config.holds(waiters->config.context, owner, regions[i].physical, regions[i].length_bytes)) {
            waiters->counters.foreign++;
            return error_set(error, ERR_DENIED, "region %u of the predicate is not its owner's to read", i);
        }
    }
    struct waiter *waiter = calloc(1, sizeof *waiter);
    SIM_ASSERT(waiter != NULL);
    waiter->owner = owner;
    const enum error_code result =
        download_verify(DOWNLOAD_PREDICATE, code, count, regions, region_count, waiters->config.costs,
                        waiters->config.limit_cycles, &waiter->program, NULL, error);
    if (result != OK) {
        waiters->counters.unsafe++;
        free(waiter);
        return result;
    }
    *at = waiter;
    waiters->counters.slept++;
    return OK;
}

bool download_wait_cancel(struct download_waiters *waiters, uint32_t owner) {
    struct waiter **at = waiter_of(waiters, owner);
    struct waiter *gone = *at;
    if (gone == NULL) {
        return false;
    }
    *at = gone->next;
    free(gone);
    return true;
}

static void touch(void *context, uint64_t physical, uint32_t length_bytes, bool write) {
    cpu_touch(context, physical, length_bytes, write);
}

uint32_t download_waiters_poll(struct download_waiters *waiters, struct context *context, struct download_woken *woken,
                               uint32_t capacity) {
    const struct download_observer observer = {context, touch};
    struct download_work work = {{0}};
    uint32_t count = 0;
    for (struct waiter **at = &waiters->first; *at != NULL && count < capacity;) {
        struct waiter *waiter = *at;
        struct download_outcome outcome;
        download_count(&work, DOWNLOAD_predicate_scan, 1);
        download_run(&waiter->program, waiters->config.memory, NULL, context != NULL ? &observer : NULL, &work,
                     &outcome);
        waiters->counters.evaluated++;
        waiters->counters.stopped += outcome.stop != DOWNLOAD_RETURNED;
        if (outcome.stop == DOWNLOAD_RETURNED && outcome.value == 0) {
            at = &waiter->next;
            continue;
        }
        woken[count++] = (struct download_woken){waiter->owner, outcome.value, outcome.stop};
        waiters->counters.woken++;
        *at = waiter->next;
        free(waiter);
    }
    waiters->counters.cycles += download_work_charge(&work, waiters->config.costs, context);
    return count;
}

const struct download_waiters_counters *download_waiters_counters(const struct download_waiters *waiters) {
    return &waiters->counters;
}
