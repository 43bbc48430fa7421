/* usage.h: what a resource (a core, a link, a walker) did with its time: busy plus
 * idle equals elapsed, exactly, because it is one account that is always open for
 * exactly one component. */
#ifndef STILLSUIT_SIM_USAGE_H
#define STILLSUIT_SIM_USAGE_H

#include "sim/ledger.h"
#include "sim/time.h"

struct usage {
    sim_time since, measured_from;
    ledger_component component; /* 0: idle */
    sim_time spent[LEDGER_COMPONENTS_MAX];
};

/* Starts idle at `when`. */
void usage_init(struct usage *usage, sim_time when);
/* From `when` (not before the last call) the resource works for `component`;
 * 0 is idle. */
void usage_switch(struct usage *usage, ledger_component component, sim_time when);
/* Books an interval of a first-in-first-out resource computed ahead: [from, until)
 * for `component`, not before what was booked last. The resource is idle after. */
void usage_book(struct usage *usage, ledger_component component, sim_time from, sim_time until);
/* Forgets what was before `when`: the end of the warm-up. */
void usage_reset(struct usage *usage, sim_time when);
/* Closes the account at `when`, or where its last booking ends if that is later;
 * spent[] then sums to usage_elapsed. */
void usage_close(struct usage *usage, sim_time when);
sim_time usage_elapsed(const struct usage *usage);

#endif
