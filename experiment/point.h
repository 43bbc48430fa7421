/* point.h: building and running one point, in the process that is its own. */
#ifndef STILLSUIT_EXPERIMENT_POINT_H
#define STILLSUIT_EXPERIMENT_POINT_H

#include <stdio.h>

#include "experiment/plan.h"

/* Builds everything without running it; false with diagnostics. */
bool point_check(const struct plan_point *point, struct diagnostics *diagnostics);

/* Builds and runs, writing result records (results.h) to `out`. */
enum error_code point_run(const struct plan_point *point, FILE *out, struct error *error);

#endif
