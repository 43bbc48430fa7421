#include "kernel_model/exo/download_demux.h"

#include <stdlib.h>
#include <string.h>

#include "kernel_model/exo/download_collapse.h"

struct filter {
    struct filter *next;
    uint32_t number, owner;
    struct download_bpf program;
    struct download_paths paths;
};
struct download_demux {
    struct filter *filters, **end; /* in order of installation, that is of number */
    uint32_t count, last_number;
    struct download_trie *tries[2]; /* by enum download_walk */
    struct download_collapse *collapse;
    struct download_demux_counters counters;
};

/* What is made of the filters beside the list. */
static void forms_create(struct download_demux *demux) {
    demux->tries[DOWNLOAD_WALK_INTERPRETED] = download_trie_create(DOWNLOAD_WALK_INTERPRETED);
    demux->tries[DOWNLOAD_WALK_COMPILED] = download_trie_create(DOWNLOAD_WALK_COMPILED);
    demux->collapse = download_collapse_create();
}

static void forms_free(struct download_demux *demux) {
    download_trie_free(demux->tries[DOWNLOAD_WALK_INTERPRETED]);
    download_trie_free(demux->tries[DOWNLOAD_WALK_COMPILED]);
    download_collapse_free(demux->collapse);
}

struct download_demux *download_demux_create(void) {
    struct download_demux *demux = calloc(1, sizeof *demux);
    SIM_ASSERT(demux != NULL);
    demux->end = &demux->filters;
    forms_create(demux);
    return demux;
}

void download_demux_free(struct download_demux *demux) {
    if (demux == NULL) {
        return;
    }
    forms_free(demux);
    for (struct filter *at = demux->filters; at != NULL;) {
        struct filter *next = at->next;
        free(at);
        at = next;
    }
    free(demux);
}

/* ---- installation ---- */

static enum error_code check(struct download_demux *demux, const struct filter *filter,
                             const struct download_scope *scope, struct error *error) {
    if (demux->count == DOWNLOAD_FILTERS_MAX) {
        demux->counters.full++;
        return error_set(error, ERR_EXHAUSTED, "the kernel holds %d filters, and no more", DOWNLOAD_FILTERS_MAX);
    }
    if (scope != NULL && !download_paths_within(&filter->paths, scope->atoms, scope->count)) {
        demux->counters.greedy++;
        return error_set(error, ERR_DENIED, "the filter takes packets that the environment may not have");
    }
    for (const struct filter *at = demux->filters; at != NULL; at = at->next) {
        if (at->owner != filter->owner && download_paths_overlap(&at->paths, &filter->paths)) {
            demux->counters.overlaps++;
            return error_set(error, ERR_OVERLAP, "the filter may take packets of filter %u, which is another's",
                             at->number);
        }
    }
    return OK;
}

static void enter(struct download_demux *demux, struct filter *filter) {
    *demux->end = filter;
    demux->end = &filter->next;
    demux->count++;
    download_trie_add(demux->tries[DOWNLOAD_WALK_INTERPRETED], filter->number, &filter->program, &filter->paths);
    download_trie_add(demux->tries[DOWNLOAD_WALK_COMPILED], filter->number, &filter->program, &filter->paths);
    download_collapse_add(demux->collapse, filter->number, &filter->program);
}

/* Takes `filter`, whose program is safe. */
static enum error_code install(struct download_demux *demux, uint32_t owner, const struct download_scope *scope,
                               struct filter *filter, uint32_t *number, struct error *error) {
    filter->owner = owner;
    download_paths_extract(&filter->program, &filter->paths);
    const enum error_code code = check(demux, filter, scope, error);
    if (code != OK) {
        free(filter);
        return code;
    }
    filter->number = ++demux->last_number;
    enter(demux, filter);
    demux->counters.installed++;
    *number = filter->number;
    return OK;
}

enum error_code download_demux_install_text(struct download_demux *demux, uint32_t owner,
                                            const struct download_scope *scope, const char *text, uint32_t *number,
                                            struct error *error) {
    struct filter *filter = calloc(1, sizeof *filter);
    SIM_ASSERT(filter != NULL);
    const enum error_code code = download_bpf_compile(text, &filter->program, error);
    if (code != OK) {
        demux->counters.unsafe++;
        free(filter);
        return code;
    }
    return install(demux, owner, scope, filter, number, error);
}

enum error_code download_demux_install(struct download_demux *demux, uint32_t owner, const struct download_scope *scope,
                                       const struct download_bpf_instruction *code, uint32_t count, uint32_t *number,
                                       struct error *error) {
    struct filter *filter = calloc(1, sizeof *filter);
    SIM_ASSERT(filter != NULL);
    const enum error_code accepted = download_bpf_accept(code, count, &filter->program, error);
    if (accepted != OK) {
        demux->counters.unsafe++;
        free(filter);
        return accepted;
    }
    return install(demux, owner, scope, filter, number, error);
}

enum error_code download_demux_remove(struct download_demux *demux, uint32_t owner, uint32_t number) {
    struct filter **at = &demux->filters;
    while (*at != NULL && (*at)->number != number) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        return ERR_NOT_FOUND;
    }
    if ((*at)->owner != owner) {
        return ERR_DENIED;
    }
    struct filter *gone = *at;
    struct filter *left = demux->filters == gone ? gone->next : demux->filters;
    *at = gone->next;
    demux->counters.removed++;
    /* The merged forms are made anew from what is left. */
    forms_free(demux);
    forms_create(demux);
    demux->filters = NULL;
    demux->end = &demux->filters;
    demux->count = 0;
    while (left != NULL) {
        struct filter *next = left->next;
        left->next = NULL;
        enter(demux, left);
        left = next;
    }
    free(gone);
    return OK;
}

/* ---- asking ---- */

static uint32_t find_linear(const struct download_demux *demux, struct download_packet packet,
                            struct download_work *work) {
    for (const struct filter *at = demux->filters; at != NULL; at = at->next) {
        if (download_bpf_run(&at->program, packet, work) != 0) {
            return at->number;
        }
    }
    return DOWNLOAD_NONE;
}

uint32_t download_demux_find(const struct download_demux *demux, enum download_engine engine,
                             struct download_packet packet, struct download_work *work) {
    switch (engine) {
    case DOWNLOAD_LINEAR:
        return find_linear(demux, packet, work);
    case DOWNLOAD_COLLAPSED:
        return download_collapse_find(demux->collapse, packet, work);
    case DOWNLOAD_COMPILED:
        return download_trie_find(demux->tries[DOWNLOAD_WALK_COMPILED], packet, work);
    default:
        return download_trie_find(demux->tries[DOWNLOAD_WALK_INTERPRETED], packet, work);
    }
}

uint32_t download_demux_owner(const struct download_demux *demux, uint32_t number) {
    for (const struct filter *at = demux->filters; at != NULL; at = at->next) {
        if (at->number == number) {
            return at->owner;
        }
    }
    return 0;
}

uint32_t download_demux_count(const struct download_demux *demux) {
    return demux->count;
}

uint32_t download_demux_exact(const struct download_demux *demux) {
    uint32_t exact = 0;
    for (const struct filter *at = demux->filters; at != NULL; at = at->next) {
        bool whole = true;
        for (uint32_t i = 0; i < at->paths.count; i++) {
            whole = whole && at->paths.path[i].exact;
        }
        exact += whole;
    }
    return exact;
}

const struct download_demux_counters *download_demux_counters(const struct download_demux *demux) {
    return &demux->counters;
}
