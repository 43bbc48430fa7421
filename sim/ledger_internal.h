/* ledger_internal.h: what the ledger's files share. */
#ifndef STILLSUIT_SIM_LEDGER_INTERNAL_H
#define STILLSUIT_SIM_LEDGER_INTERNAL_H

#include "sim/ledger.h"

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
    histogram_sum sums[LEDGER_COMPONENTS_MAX][LEDGER_KINDS];
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
