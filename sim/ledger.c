/* Requests: their lives and hand-overs. What they add up to is in ledger_accounts.c. */
#include "sim/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/engine.h"
#include "sim/error.h"
#include "sim/ledger_internal.h"

struct ledger *ledger_create(const char *name) {
    struct ledger *ledger = calloc(1, sizeof *ledger);
    SIM_ASSERT(ledger != NULL);
    (void)snprintf(ledger->name, sizeof ledger->name, "%s", name);
    histogram_init(&ledger->latency);
    for (size_t i = 0; i < LEDGER_COMPONENTS_MAX; i++) {
        struct ledger_account *account = &ledger->accounts[i];
        histogram_init(&account->view);
        for (size_t kind = 0; kind < LEDGER_KINDS; kind++) {
            histogram_init(&account->one[kind]);
        }
        for (size_t kind = 0; kind <= LEDGER_KINDS; kind++) {
            histogram_init(&account->both[kind]);
        }
    }
    return ledger;
}

static void free_list(struct request *list) {
    while (list != NULL) {
        struct request *next = list->next;
        free(list);
        list = next;
    }
}

void ledger_free(struct ledger *ledger) {
    if (ledger == NULL) {
        return;
    }
    free_list(ledger->living);
    free_list(ledger->pool);
    histogram_free(&ledger->latency);
    for (size_t i = 0; i < LEDGER_COMPONENTS_MAX; i++) {
        struct ledger_account *account = &ledger->accounts[i];
        histogram_free(&account->view);
        for (size_t kind = 0; kind < LEDGER_KINDS; kind++) {
            histogram_free(&account->one[kind]);
        }
        for (size_t kind = 0; kind <= LEDGER_KINDS; kind++) {
            histogram_free(&account->both[kind]);
        }
    }
    for (size_t i = 0; i < ledger->group_count; i++) {
        histogram_free(&ledger->groups[i].spent);
    }
    free(ledger);
}

const char *ledger_name(const struct ledger *ledger) {
    return ledger->name;
}

void ledger_record(struct ledger *ledger, bool on) {
    ledger->recording = on;
}

static struct request *bring_to_life(struct ledger *ledger, ledger_component owner, enum ledger_kind kind,
                                     sim_time when) {
    struct request *request = ledger->pool;
    if (request != NULL) {
        ledger->pool = request->next;
    } else {
        request = calloc(1, sizeof *request);
        SIM_ASSERT(request != NULL);
        request->ledger = ledger;
    }
    request->born = when;
    request->since = when;
    request->owner = owner;
    request->kind = (uint8_t)kind;
    request->live = true;
    request->trunk = NULL;
    request->dropped = NULL;
    request->keeper = NULL;
    request->touched_count = 0;
    request->tag = 0;
    request->previous = NULL;
    request->next = ledger->living;
    if (ledger->living != NULL) {
        ledger->living->previous = request;
    }
    ledger->living = request;
    ledger->live++;
    return request;
}

struct request *ledger_begin(struct ledger *ledger, ledger_component owner, enum ledger_kind kind, sim_time when) {
    SIM_ASSERT_MSG(owner != 0, "a request begins with an owner");
    struct request *request = bring_to_life(ledger, owner, kind, when);
    request->id = ++ledger->begun;
    request->measured = ledger->recording;
    return request;
}

/* Books the time since the last hand-over. */
static inline void book(struct request *request, sim_time when) {
    SIM_ASSERT_MSG(when >= request->since, "a request's time runs backwards in %s",
                   ledger_component_name(request->owner));
    const sim_time span = when - request->since;
    if (span > 0) {
        sim_time *spent = request->spent[request->owner];
        if ((spent[LEDGER_WAITING] | spent[LEDGER_SERVICE]) == 0) {
            request->touched[request->touched_count++] = request->owner;
        }
        spent[request->kind] += span;
        request->since = when;
    }
}

static void clear(struct request *request) {
    for (unsigned i = 0; i < request->touched_count; i++) {
        memset(request->spent[request->touched[i]], 0, sizeof request->spent[0]);
    }
    request->touched_count = 0;
}

static void bury(struct request *request) {
    struct ledger *ledger = request->ledger;
    if (request->previous != NULL) {
        request->previous->next = request->next;
    } else {
        ledger->living = request->next;
    }
    if (request->next != NULL) {
        request->next->previous = request->previous;
    }
    clear(request);
    request->keeper = NULL;
    request->live = false;
    request->owner = 0;
    request->next = ledger->pool;
    ledger->pool = request;
    ledger->live--;
}

/* The hand-over that the checks below do not let through at once: the first after a
 * declaration, and one that is wrong. */
static __attribute__((noinline)) void hand_over_checked(struct request *request, ledger_component from,
                                                        ledger_component to, enum ledger_kind kind, sim_time when) {
    SIM_ASSERT_MSG(request->live, "a request that has ended is handed over to %s", ledger_component_name(to));
    SIM_ASSERT_MSG(request->owner == from, "%s hands over a request that %s owns", ledger_component_name(from),
                   ledger_component_name(request->owner));
    SIM_ASSERT_MSG(ledger_allows(from, to), "%s may not hand over to %s", ledger_component_name(from),
                   ledger_component_name(to));
    book(request, when);
    request->owner = to;
    request->kind = (uint8_t)kind;
}

void ledger_hand_over_at(struct request *request, ledger_component from, ledger_component to, enum ledger_kind kind,
                         sim_time when) {
    if (request == NULL) {
        return;
    }
    if (!request->live || request->owner != from || !component_set_has(&ledger_allowed[from], to)) {
        hand_over_checked(request, from, to, kind, when);
        return;
    }
    book(request, when);
    request->owner = to;
    request->kind = (uint8_t)kind;
}

void ledger_hand_over(struct request *request, ledger_component from, ledger_component to, enum ledger_kind kind) {
    ledger_hand_over_at(request, from, to, kind, sim_now());
}

void ledger_turn_at(struct request *request, enum ledger_kind kind, sim_time when) {
    if (request != NULL) {
        SIM_ASSERT(request->live);
        book(request, when);
        request->kind = (uint8_t)kind;
    }
}

void ledger_end(struct request *request, ledger_component owner, sim_time when) {
    if (request == NULL) {
        return;
    }
    SIM_ASSERT_MSG(request->live && request->owner == owner, "%s ends a request that %s owns",
                   ledger_component_name(owner), ledger_component_name(request->owner));
    SIM_ASSERT_MSG(request->trunk == NULL, "a branch is joined or released, not ended");
    book(request, when);
    if (request->measured) {
        ledger_add_up(request->ledger, request, when);
    }
    bury(request);
}

static void count_drop(const struct request *request, const char *reason) {
    struct ledger *ledger = request->ledger;
    size_t i = 0;
    while (i < ledger->drop_count &&
           (ledger->drops[i].owner != request->owner || strcmp(ledger->drops[i].reason, reason) != 0)) {
        i++;
    }
    SIM_ASSERT_MSG(i < LEDGER_DROPS_MAX, "more than %d reasons to drop", LEDGER_DROPS_MAX);
    if (i == ledger->drop_count) {
        ledger->drops[ledger->drop_count++] = (struct ledger_drop){request->owner, reason, 0};
    }
    ledger->drops[i].count += request->measured ? 1 : 0;
}

void ledger_abandon(struct request *request, const char *reason, sim_time when) {
    if (request == NULL) {
        return;
    }
    SIM_ASSERT(request->live);
    book(request, when);
    count_drop(request, reason);
    if (request->keeper == NULL) {
        bury(request);
        return;
    }
    void *keeper = request->keeper;
    request->keeper = NULL;
    request->owner = ledger_retransmit();
    request->kind = LEDGER_WAITING;
    request->dropped(keeper, request);
}

void ledger_keep(struct request *request, void (*dropped)(void *keeper, struct request *request), void *keeper) {
    if (request != NULL) {
        SIM_ASSERT(request->live);
        request->dropped = dropped;
        request->keeper = keeper;
    }
}

void ledger_give_up(struct request *request, const char *reason, sim_time when) {
    ledger_keep(request, NULL, NULL);
    ledger_abandon(request, reason, when);
}

ledger_component ledger_retransmit(void) {
    static const struct ledger_declaration declaration = {"retransmit", NULL, "Waiting to be sent again", "cpu client"};
    return ledger_declare(&declaration);
}

struct request *ledger_fork(struct request *trunk, sim_time when) {
    if (trunk == NULL) {
        return NULL;
    }
    book(trunk, when);
    struct request *branch = bring_to_life(trunk->ledger, trunk->owner, (enum ledger_kind)trunk->kind, when);
    branch->id = trunk->id;
    branch->tag = trunk->tag;
    branch->measured = false;
    branch->trunk = trunk;
    return branch;
}

void ledger_join(struct request *trunk, struct request *last, sim_time when) {
    if (trunk == NULL) {
        return;
    }
    SIM_ASSERT_MSG(last->trunk == trunk && trunk->since == last->born, "a branch joins the trunk it left");
    book(last, when);
    for (unsigned i = 0; i < last->touched_count; i++) {
        const ledger_component component = last->touched[i];
        sim_time *spent = trunk->spent[component];
        if ((spent[LEDGER_WAITING] | spent[LEDGER_SERVICE]) == 0) {
            trunk->touched[trunk->touched_count++] = component;
        }
        spent[LEDGER_WAITING] += last->spent[component][LEDGER_WAITING];
        spent[LEDGER_SERVICE] += last->spent[component][LEDGER_SERVICE];
    }
    trunk->since = last->since;
    trunk->owner = last->owner;
    trunk->kind = last->kind;
    bury(last);
}

void ledger_release(struct request *branch, sim_time when) {
    if (branch != NULL) {
        SIM_ASSERT(branch->trunk != NULL);
        book(branch, when);
        bury(branch);
    }
}

uint64_t ledger_audit(struct ledger *ledger, sim_time when) {
    uint64_t found = 0;
    for (const struct request *request = ledger->living; request != NULL; request = request->next) {
        SIM_ASSERT_MSG(request->owner != 0, "request %llu has no owner", (unsigned long long)request->id);
        sim_time total = 0;
        for (unsigned i = 0; i < request->touched_count; i++) {
            const sim_time *spent = request->spent[request->touched[i]];
            total += spent[LEDGER_WAITING] + spent[LEDGER_SERVICE];
        }
        SIM_ASSERT(total == request->since - request->born);
        found++;
    }
    (void)when;
    SIM_ASSERT(found == ledger->live);
    histogram_sum all = 0;
    for (size_t component = 0; component < LEDGER_COMPONENTS_MAX; component++) {
        all += ledger_sum(ledger, (ledger_component)component, LEDGER_WAITING) +
               ledger_sum(ledger, (ledger_component)component, LEDGER_SERVICE);
    }
    SIM_ASSERT_MSG(all == ledger->latency.sum, "the parts of ledger %s do not add up", ledger->name);
    return found;
}
