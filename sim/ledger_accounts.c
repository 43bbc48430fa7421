/* What the requests of a ledger add up to. */
#include <string.h>

#include "sim/error.h"
#include "sim/ledger.h"
#include "sim/ledger_internal.h"

static __attribute__((noinline)) void account_add_both(struct ledger_account *account,
                                                       const sim_time spent[LEDGER_KINDS]) {
    histogram_add(&account->both[LEDGER_WAITING], spent[LEDGER_WAITING]);
    histogram_add(&account->both[LEDGER_SERVICE], spent[LEDGER_SERVICE]);
    histogram_add(&account->both[LEDGER_KINDS], spent[LEDGER_WAITING] + spent[LEDGER_SERVICE]);
}

static inline void account_add(struct ledger_account *account, const sim_time spent[LEDGER_KINDS]) {
    if (spent[LEDGER_WAITING] != 0 && spent[LEDGER_SERVICE] != 0) {
        account_add_both(account, spent);
        return;
    }
    const enum ledger_kind kind = spent[LEDGER_WAITING] != 0 ? LEDGER_WAITING : LEDGER_SERVICE;
    histogram_add(&account->one[kind], spent[LEDGER_WAITING] + spent[LEDGER_SERVICE]);
}

void ledger_add_up(struct ledger *ledger, const struct request *request, sim_time when) {
    ledger_component roots[LEDGER_COMPONENTS_MAX];
    unsigned found = 0;
    sim_time total = 0;
    for (unsigned i = 0; i < request->touched_count; i++) {
        const ledger_component component = request->touched[i];
        const sim_time *spent = request->spent[component];
        total += spent[LEDGER_WAITING] + spent[LEDGER_SERVICE];
        for (ledger_component up = component; up != 0; up = ledger_component_parent(up)) {
            sim_time *subtree = ledger->subtree[up];
            if ((subtree[LEDGER_WAITING] | subtree[LEDGER_SERVICE]) == 0) {
                roots[found++] = up;
            }
            subtree[LEDGER_WAITING] += spent[LEDGER_WAITING];
            subtree[LEDGER_SERVICE] += spent[LEDGER_SERVICE];
        }
    }
    SIM_ASSERT_MSG(total == when - request->born, "a request's parts do not add up to its latency");
    for (size_t group = 0; group < ledger->group_count; group++) {
        sim_time sum = 0;
        for (unsigned i = 0; i < found; i++) {
            if ((ledger->groups[group].members[roots[i] / 64] >> (roots[i] % 64) & 1) != 0) {
                sum += ledger->subtree[roots[i]][LEDGER_WAITING] + ledger->subtree[roots[i]][LEDGER_SERVICE];
            }
        }
        histogram_add(&ledger->groups[group].spent, sum);
    }
    for (unsigned i = 0; i < found; i++) {
        account_add(&ledger->accounts[roots[i]], ledger->subtree[roots[i]]);
        memset(ledger->subtree[roots[i]], 0, sizeof ledger->subtree[0]);
    }
    histogram_add(&ledger->latency, total);
    ledger->completed++;
    if (ledger->observer != NULL) {
        ledger->observer(ledger->observer_context, request);
    }
}

uint64_t ledger_completed(const struct ledger *ledger) {
    return ledger->completed;
}

uint64_t ledger_live(const struct ledger *ledger) {
    return ledger->live;
}

const struct histogram *ledger_latency(const struct ledger *ledger) {
    return &ledger->latency;
}

const struct histogram *ledger_spent(struct ledger *ledger, ledger_component component, enum ledger_kind kind) {
    struct ledger_account *account = &ledger->accounts[component];
    histogram_clear(&account->view);
    if (kind == LEDGER_KINDS) {
        histogram_merge(&account->view, &account->one[LEDGER_WAITING]);
        histogram_merge(&account->view, &account->one[LEDGER_SERVICE]);
    } else {
        histogram_merge(&account->view, &account->one[kind]);
    }
    histogram_merge(&account->view, &account->both[kind]);
    histogram_add_zeros(&account->view, ledger->completed - account->view.count);
    return &account->view;
}

/* Over the component and all below it. */
static histogram_sum subtree_sum(const struct ledger *ledger, ledger_component component, enum ledger_kind kind) {
    const struct ledger_account *account = &ledger->accounts[component];
    return account->one[kind].sum + account->both[kind].sum;
}

histogram_sum ledger_sum(const struct ledger *ledger, ledger_component component, enum ledger_kind kind) {
    histogram_sum sum = subtree_sum(ledger, component, kind);
    for (size_t child = 1; component != 0 && child <= ledger_component_count(); child++) {
        if (ledger_component_parent((ledger_component)child) == component) {
            sum -= subtree_sum(ledger, (ledger_component)child, kind);
        }
    }
    return sum;
}

size_t ledger_drops(const struct ledger *ledger, const struct ledger_drop **drops) {
    *drops = ledger->drops;
    return ledger->drop_count;
}

size_t ledger_group_add(struct ledger *ledger, const ledger_component *components, size_t count) {
    SIM_ASSERT(ledger->group_count < LEDGER_GROUPS_MAX);
    const size_t group = ledger->group_count++;
    histogram_init(&ledger->groups[group].spent);
    for (size_t i = 0; i < count; i++) {
        ledger->groups[group].members[components[i] / 64] |= UINT64_C(1) << (components[i] % 64);
    }
    return group;
}

const struct histogram *ledger_group_spent(struct ledger *ledger, size_t group) {
    return &ledger->groups[group].spent;
}

void ledger_observe(struct ledger *ledger, void (*observer)(void *context, const struct request *request),
                    void *context) {
    ledger->observer = observer;
    ledger->observer_context = context;
}
