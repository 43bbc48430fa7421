#include "sim/usage.h"

#include <string.h>

#include "sim/error.h"

void usage_init(struct usage *usage, sim_time when) {
    memset(usage, 0, sizeof *usage);
    usage->since = when;
    usage->measured_from = when;
}

void usage_switch(struct usage *usage, ledger_component component, sim_time when) {
    SIM_ASSERT_MSG(when >= usage->since, "a resource's account runs backwards");
    usage->spent[usage->component] += when - usage->since;
    usage->since = when;
    usage->component = component;
}

void usage_book(struct usage *usage, ledger_component component, sim_time from, sim_time until) {
    SIM_ASSERT_MSG(from >= usage->since && until >= from, "a resource is booked twice");
    usage->spent[usage->component] += from - usage->since;
    usage->spent[component] += until - from;
    usage->component = 0;
    usage->since = until;
}

/* What is booked ahead of `when` stays booked: the account then begins there. */
void usage_reset(struct usage *usage, sim_time when) {
    memset(usage->spent, 0, sizeof usage->spent);
    if (when > usage->since) {
        usage->since = when;
    }
    usage->measured_from = usage->since;
}

/* A booking that reaches past `when` is kept whole: the account then ends where the
 * booking does, and its parts still sum to its length. */
void usage_close(struct usage *usage, sim_time when) {
    if (when > usage->since) {
        usage_switch(usage, usage->component, when);
    }
}

sim_time usage_elapsed(const struct usage *usage) {
    return usage->since - usage->measured_from;
}
