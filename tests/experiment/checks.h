/* checks.h: what must hold of every results folder, whatever ran. */
#ifndef STILLSUIT_TESTS_EXPERIMENT_CHECKS_H
#define STILLSUIT_TESTS_EXPERIMENT_CHECKS_H

#include "experiment/experiment.h"

/* The columns of the five CSVs are those that docs/results.md promises. */
void check_headers(const char *folder, const struct experiment *experiment);
/* In every point, components and kinds add up: what the roots had is the whole,
 * waiting and service are the total, and no part exceeds what it is part of. */
void check_breakdown(const char *folder);
/* What each resource did adds up to 100 %. */
void check_utilization(const char *folder);
/* A point for each one that was asked for, with something measured, and quantiles
 * in their order. `may_be_empty`: a point may have measured nothing. */
void check_latency(const char *folder, size_t points, bool may_be_empty);

#endif
