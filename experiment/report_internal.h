/* report_internal.h: what the files that print reports share. */
#ifndef STILLSUIT_EXPERIMENT_REPORT_INTERNAL_H
#define STILLSUIT_EXPERIMENT_REPORT_INTERNAL_H

#include <stdio.h>

#include "sim/config.h"
#include "sim/error.h"

/* The table of the paper that the experiment's `report` (NULL: none) names, at most `width`
 * characters wide (0: as wide as it is). */
enum error_code report_print_published(const struct config_node *report, const char *folder, size_t width, FILE *out,
                                       struct error *error);

/* What `report.counters` asks for, a row a point. */
void report_print_counters(const struct config_node *report, const char *folder, size_t width, FILE *out);
/* `report.counters` is a mapping from a column's head to "instance.counter", or to a list of
 * those, which are added. */
bool report_check_counters(const struct config_node *counters, struct diagnostics *diagnostics);

#endif
