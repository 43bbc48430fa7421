/* ledger_internal.h: what the ledger's files share. */
#ifndef STILLSUIT_SIM_LEDGER_INTERNAL_H
#define STILLSUIT_SIM_LEDGER_INTERNAL_H

#include "sim/ledger.h"

struct component_set {
    uint64_t words[LEDGER_COMPONENTS_MAX / 64];
};

static inline void component_set_add(struct component_set *set, ledger_component component) {
    set->words[component / 64] |= UINT64_C(1) << (component % 64);
}

static inline bool component_set_has(const struct component_set *set, ledger_component component) {
    return (set->words[component / 64] >> (component % 64) & 1) != 0;
}

/* Who may take over from whom, by who hands over. Empty until somebody asks
 * ledger_allows after a declaration: what stands here holds, what does not may. */
extern struct component_set ledger_allowed[LEDGER_COMPONENTS_MAX];

enum { LEDGER_GROUPS_MAX = 8, LEDGER_DROPS_MAX = 64 };

/* A distribution over all measured requests, kept so that the usual request costs
 * one histogram entry and not three: most spend time in a component in one kind
 * only, and the other kind's zero and the total need not be written then. */
struct ledger_account {
    struct histogram one[LEDGER_KINDS];      /* requests with time of this kind alone */
    struct histogram both[LEDGER_KINDS + 1]; /* requests with both: each kind, and the total */
    struct histogram view;                   /* what ledger_spent put together last */
};

struct ledger {
    char name[64];
    bool recording;
    uint64_t begun, completed, live;
    struct request *living, *pool;
    struct histogram latency;
    struct ledger_account accounts[LEDGER_COMPONENTS_MAX];
    struct {
        uint64_t members[LEDGER_COMPONENTS_MAX / 64];
        struct histogram spent;
    } groups[LEDGER_GROUPS_MAX];
    size_t group_count;
    struct ledger_drop drops[LEDGER_DROPS_MAX];
    size_t drop_count;
    void (*observer)(void *context, const struct request *request);
    void *observer_context;
    /* Scratch of ledger_add_up: one request's time by subtree. */
    sim_time subtree[LEDGER_COMPONENTS_MAX][LEDGER_KINDS];
};

/* Adds an ended request to the accounts. */
void ledger_add_up(struct ledger *ledger, const struct request *request, sim_time when);

#endif
