#include "kernel_model/exo/download_wake.h"

#include <stdlib.h>

struct waiter {
    struct waiter *next;
    uint32_t owner;
    bool asleep;
    struct download_program program;
};
struct download_waiters {
    struct download_waiters_config config;
    struct waiter *first; /* those asleep in the order in which they went to sleep */
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

static void forget(struct waiter **at) {
    struct waiter *gone = *at;
    *at = gone->next;
    free(gone);
}

enum error_code download_predicate(struct download_waiters *waiters, uint32_t owner,
                                   const struct download_instruction *code, uint32_t count,
                                   const struct download_region *regions, uint32_t region_count, struct error *error) {
    struct waiter **old = waiter_of(waiters, owner);
    if (*old != NULL && (*old)->asleep) {
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
    if (*old != NULL) {
        forget(old);
    }
    *waiter_of(waiters, 0) = waiter; /* at the end: nobody is number 0 */
    return OK;
}

enum error_code download_sleep(struct download_waiters *waiters, uint32_t owner) {
    struct waiter **at = waiter_of(waiters, owner), *waiter = *at;
    if (waiter == NULL || waiter->asleep) {
        return waiter == NULL ? ERR_NOT_FOUND : ERR_EXISTS;
    }
    *at = waiter->next;
    waiter->next = NULL;
    waiter->asleep = true;
    *waiter_of(waiters, 0) = waiter;
    waiters->counters.slept++;
    return OK;
}

enum error_code download_wait(struct download_waiters *waiters, uint32_t owner, const struct download_instruction *code,
                              uint32_t count, const struct download_region *regions, uint32_t region_count,
                              struct error *error) {
    const enum error_code result = download_predicate(waiters, owner, code, count, regions, region_count, error);
    return result == OK ? download_sleep(waiters, owner) : result;
}

bool download_wait_cancel(struct download_waiters *waiters, uint32_t owner) {
    struct waiter **at = waiter_of(waiters, owner);
    const bool asleep = *at != NULL && (*at)->asleep;
    if (*at != NULL) {
        forget(at);
    }
    return asleep;
}

static void touch(void *context, uint64_t physical, uint32_t length_bytes, bool write) {
    cpu_touch(context, physical, length_bytes, write);
}

/* Whether one that sleeps wants to run; it does not sleep any more then. */
static bool evaluate(struct download_waiters *waiters, struct waiter *waiter, struct context *context,
                     struct download_work *work, struct download_woken *woken) {
    const struct download_observer observer = {context, touch};
    struct download_outcome outcome;
    download_count(work, DOWNLOAD_predicate_scan, 1);
    download_run(&waiter->program, waiters->config.memory, NULL, context != NULL ? &observer : NULL, work, &outcome);
    waiters->counters.evaluated++;
    waiters->counters.stopped += outcome.stop != DOWNLOAD_RETURNED;
    if (outcome.stop == DOWNLOAD_RETURNED && outcome.value == 0) {
        return false;
    }
    *woken = (struct download_woken){waiter->owner, outcome.value, outcome.stop};
    waiters->counters.woken++;
    waiter->asleep = false;
    return true;
}

bool download_waiter_poll(struct download_waiters *waiters, struct context *context, uint32_t owner,
                          struct download_woken *woken) {
    struct waiter *waiter = *waiter_of(waiters, owner);
    struct download_work work = {{0}};
    const bool wakes = waiter != NULL && waiter->asleep && evaluate(waiters, waiter, context, &work, woken);
    waiters->counters.cycles += download_work_charge(&work, waiters->config.costs, context);
    return wakes;
}

uint32_t download_waiters_poll(struct download_waiters *waiters, struct context *context, struct download_woken *woken,
                               uint32_t capacity) {
    struct download_work work = {{0}};
    uint32_t count = 0;
    for (struct waiter *at = waiters->first; at != NULL && count < capacity; at = at->next) {
        count += at->asleep && evaluate(waiters, at, context, &work, &woken[count]) ? 1 : 0;
    }
    waiters->counters.cycles += download_work_charge(&work, waiters->config.costs, context);
    return count;
}

const struct download_waiters_counters *download_waiters_counters(const struct download_waiters *waiters) {
    return &waiters->counters;
}
