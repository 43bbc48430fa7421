/* spans.h: how long the measured operations of a script take for each message: what a
 * paper reports that put time stamps around calls.
 *
 * A span is an interval of the thread's time, of the operation `measure`. The spans of
 * one name add up for a message; a message is over when the next is taken or the loop
 * starts anew. A span that a message never met counts 0 for it. They lie across the
 * ledger's components (a call is crossing, copy and protocol code), and add nothing
 * to it. */
#ifndef STILLSUIT_WORKLOADS_SPANS_H
#define STILLSUIT_WORKLOADS_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/histogram.h"
#include "sim/time.h"

enum { SPANS_MAX = 32 };

struct spans {
    size_t count;
    bool open;                   /* a measured message is under way */
    sim_time present[SPANS_MAX]; /* of it */
    struct histogram each[SPANS_MAX], sum;
};

void spans_init(struct spans *spans, size_t count);
void spans_free(struct spans *spans);
/* A message is taken: the one before is over. Only measured ones are added up. */
void spans_begin(struct spans *spans, bool measured);
void spans_add(struct spans *spans, size_t index, sim_time duration);
/* The message that is under way, put aside: it is not over, and others come before it
 * goes on. spans_swap exchanges it with the present one. */
struct spans_message {
    bool open;
    sim_time present[SPANS_MAX];
};
void spans_swap(struct spans *spans, struct spans_message *message);
/* The message, if there is one, is over. */
void spans_end(struct spans *spans);
/* The end of the warm-up: what was added up is forgotten. */
void spans_reset(struct spans *spans);
/* Adds all of `from` to `into`. */
void spans_merge(struct spans *into, const struct spans *from);

#endif
