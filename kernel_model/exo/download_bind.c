#include "kernel_model/exo/download_bind.h"

#include <stdlib.h>

#include "kernel_model/exo/memory.h"

/* The object behind a capability of type EXO_DOWNLOADED. */
struct bound_filter {
    struct exo_bound_downloads *downloads;
    struct exo_environment *environment;
    uint32_t number;
};

/* Memory that code of an environment's uses. */
struct use {
    struct use *next;
    uint32_t environment;
    bool sleeps; /* it is a predicate's; else a handler's */
    struct download_region region;
};

struct exo_bound_downloads {
    struct exo_kernel *kernel;
    struct exo_bound_downloads_config config;
    struct exo_download *packets;
    struct download_waiters *waiters;
    struct use *uses;
    void (*below)(void *context, uint64_t physical, uint64_t count, uint32_t index, bool derived);
    void *below_context;
};

/* ---- what the packet path asks and does ---- */

static bool holds(void *context, uint32_t owner, uint64_t physical, uint32_t length_bytes, bool write) {
    const struct exo_bound_downloads *downloads = context;
    return exo_memory_holds(downloads->kernel, owner, physical, length_bytes, write);
}

static bool holds_to_read(void *context, uint32_t owner, uint64_t physical, uint32_t length_bytes) {
    return holds(context, owner, physical, length_bytes, false);
}

static void send(void *context, uint32_t owner, struct download_send frame, struct request *request) {
    const struct exo_download_config *to = &((struct exo_bound_downloads *)context)->config.packets;
    to->send(to->context, owner, frame, request);
}

static void deliver(void *context, uint32_t owner, uint32_t filter, uint64_t physical, uint32_t length_bytes,
                    struct request *request) {
    const struct exo_download_config *to = &((struct exo_bound_downloads *)context)->config.packets;
    to->deliver(to->context, owner, filter, physical, length_bytes, request);
}

/* ---- what uses which memory ---- */

static bool is_known(const struct exo_bound_downloads *downloads, uint32_t environment, bool sleeps,
                     const struct download_region *region) {
    const struct use *at = downloads->uses;
    while (at != NULL &&
           (at->environment != environment || at->sleeps != sleeps || at->region.physical != region->physical ||
            at->region.length_bytes != region->length_bytes || at->region.writable != region->writable)) {
        at = at->next;
    }
    return at != NULL;
}

static void use_add(struct exo_bound_downloads *downloads, uint32_t environment, bool sleeps,
                    const struct download_region *regions, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (is_known(downloads, environment, sleeps, &regions[i])) {
            continue;
        }
        struct use *use = malloc(sizeof *use);
        SIM_ASSERT(use != NULL);
        *use = (struct use){downloads->uses, environment, sleeps, regions[i]};
        downloads->uses = use;
    }
}

static void use_remove(struct exo_bound_downloads *downloads, uint32_t environment, bool sleeps) {
    for (struct use **at = &downloads->uses; *at != NULL;) {
        struct use *use = *at;
        if (use->environment == environment && use->sleeps == sleeps) {
            *at = use->next;
            free(use);
        } else {
            at = &use->next;
        }
    }
}

static bool is_lost(const struct exo_bound_downloads *downloads, const struct use *use) {
    const struct download_region *at = &use->region;
    return !exo_memory_holds(downloads->kernel, use->environment, at->physical, at->length_bytes, at->writable);
}

static void lose(struct exo_bound_downloads *downloads, uint32_t environment, bool sleeps) {
    use_remove(downloads, environment, sleeps);
    if (!sleeps) {
        exo_download_forget(downloads->packets, environment);
    } else if (download_wait_cancel(downloads->waiters, environment) && downloads->config.woken != NULL) {
        downloads->config.woken(downloads->config.packets.context, environment);
    }
}

/* A capability of frames has ended; who still holds them by another keeps its code. */
static void on_released(void *context, uint64_t physical, uint64_t count, uint32_t index, bool derived) {
    struct exo_bound_downloads *downloads = context;
    for (const struct use *at = downloads->uses; at != NULL;) {
        const struct download_region *region = &at->region;
        const bool touched = region->physical < physical + count * MEMORY_FRAME_BYTES &&
                             physical < region->physical + region->length_bytes;
        if (touched && is_lost(downloads, at)) {
            lose(downloads, at->environment, at->sleeps);
            at = downloads->uses; /* the list has changed */
        } else {
            at = at->next;
        }
    }
    if (downloads->below != NULL) {
        downloads->below(downloads->below_context, physical, count, index, derived);
    }
}

static void filter_release(void *context, void *object, uint32_t index, bool derived) {
    (void)context;
    (void)index;
    struct bound_filter *filter = object;
    if (derived) {
        return;
    }
    const struct exo_bound_downloads *downloads = filter->downloads;
    const uint32_t owner = filter->environment->number;
    exo_download_unhandle(downloads->packets, filter->number);
    (void)download_demux_remove(exo_download_filters(downloads->packets), owner, filter->number);
    filter->environment->filters_held--;
    if (downloads->config.removed != NULL) {
        downloads->config.removed(downloads->config.packets.context, owner, filter->number);
    }
    free(filter);
}

/* ---- life ---- */

struct exo_bound_downloads *exo_bound_downloads_create(struct exo_kernel *kernel,
                                                       const struct exo_bound_downloads_config *config) {
    struct exo_bound_downloads *downloads = calloc(1, sizeof *downloads);
    SIM_ASSERT(downloads != NULL);
    downloads->kernel = kernel;
    downloads->config = *config;
    struct exo_download_config packets = config->packets;
    packets.context = downloads;
    packets.holds = holds;
    packets.send = send;
    packets.deliver = deliver;
    downloads->packets = exo_download_create(&packets);
    const struct download_waiters_config waiters = {.memory = packets.memory,
                                                    .costs = packets.costs,
                                                    .limit_cycles = config->predicate_limit_cycles,
                                                    .context = downloads,
                                                    .holds = holds_to_read};
    downloads->waiters = download_waiters_create(&waiters);
    downloads->below = kernel->frames_released;
    downloads->below_context = kernel->frames_released_context;
    kernel->frames_released = on_released;
    kernel->frames_released_context = downloads;
    exo_capabilities_on_release(kernel->capabilities, EXO_DOWNLOADED, filter_release, NULL);
    return downloads;
}

void exo_bound_downloads_free(struct exo_bound_downloads *downloads) {
    if (downloads == NULL) {
        return;
    }
    while (downloads->uses != NULL) {
        struct use *use = downloads->uses;
        downloads->uses = use->next;
        free(use);
    }
    exo_download_free(downloads->packets);
    download_waiters_free(downloads->waiters);
    free(downloads);
}

struct exo_download *exo_bound_packets(struct exo_bound_downloads *downloads) {
    return downloads->packets;
}

struct download_waiters *exo_bound_waiters(struct exo_bound_downloads *downloads) {
    return downloads->waiters;
}

/* ---- calls ---- */

static enum error_code check_share(struct exo_environment *environment, struct error *error) {
    const bool has_room = environment->filters_held < environment->limits.filters;
    return has_room ? OK : exo_share(environment, "filters", error);
}

/* A filter that was installed gets its capability. */
static enum error_code grant(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                             uint32_t number, struct exo_handle *out, struct error *error) {
    struct bound_filter *filter = malloc(sizeof *filter);
    SIM_ASSERT(filter != NULL);
    *filter = (struct bound_filter){downloads, environment, number};
    environment->filters_held++;
    const enum error_code code = exo_grant(environment, NULL, EXO_DOWNLOADED, filter, out, error);
    if (code != OK) {
        filter_release(NULL, filter, 0, false);
    }
    return code;
}

enum error_code exo_bound_filter_text(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                                      const struct download_scope *scope, const char *text, uint32_t *number,
                                      struct exo_handle *out, struct error *error) {
    exo_enter(downloads->kernel, NULL);
    enum error_code code = check_share(environment, error);
    if (code == OK) {
        code = download_demux_install_text(exo_download_filters(downloads->packets), environment->number, scope, text,
                                           number, error);
    }
    return code != OK ? code : grant(downloads, environment, *number, out, error);
}

enum error_code exo_bound_filter(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                                 const struct download_scope *scope, const struct download_bpf_instruction *program,
                                 uint32_t count, uint32_t *number, struct exo_handle *out, struct error *error) {
    exo_enter(downloads->kernel, NULL);
    enum error_code code = check_share(environment, error);
    if (code == OK) {
        code = download_demux_install(exo_download_filters(downloads->packets), environment->number, scope, program,
                                      count, number, error);
    }
    return code != OK ? code : grant(downloads, environment, *number, out, error);
}

enum error_code exo_bound_handler(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                                  const struct exo_handle *filter, const struct download_instruction *program,
                                  uint32_t count, const struct download_region *regions, uint32_t region_count,
                                  struct error *error) {
    exo_enter(downloads->kernel, NULL);
    void *object = NULL;
    enum error_code code = exo_check(environment, filter, EXO_DOWNLOADED, EXO_BIND, &object, error);
    if (code == OK) {
        code =
            exo_download_handler(downloads->packets, environment->number, ((const struct bound_filter *)object)->number,
                                 program, count, regions, region_count, error);
    }
    if (code == OK) {
        use_add(downloads, environment->number, false, regions, region_count);
    }
    return code;
}

enum error_code exo_bound_predicate(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                                    const struct download_instruction *program, uint32_t count,
                                    const struct download_region *regions, uint32_t region_count, struct error *error) {
    exo_enter(downloads->kernel, NULL);
    if (region_count == 0) {
        return error_set(error, ERR_RANGE, "%s: a predicate without memory never changes", environment->name);
    }
    const enum error_code code =
        download_predicate(downloads->waiters, environment->number, program, count, regions, region_count, error);
    if (code == OK) {
        use_remove(downloads, environment->number, true); /* of the predicate that it had */
        use_add(downloads, environment->number, true, regions, region_count);
    }
    return code;
}

enum error_code exo_bound_wait(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                               const struct download_instruction *program, uint32_t count,
                               const struct download_region *regions, uint32_t region_count, struct error *error) {
    const enum error_code code =
        exo_bound_predicate(downloads, environment, program, count, regions, region_count, error);
    return code == OK ? download_sleep(downloads->waiters, environment->number) : code;
}

void exo_bound_forget(struct exo_bound_downloads *downloads, const struct exo_environment *environment) {
    use_remove(downloads, environment->number, true);
    use_remove(downloads, environment->number, false);
    exo_download_forget(downloads->packets, environment->number);
    (void)download_wait_cancel(downloads->waiters, environment->number);
}
