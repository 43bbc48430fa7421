/* plot.h: the `plot:` list of an experiment, checked before anything runs. */
#ifndef STILLSUIT_EXPERIMENT_PLOT_H
#define STILLSUIT_EXPERIMENT_PLOT_H

#include <stdbool.h>

#include "sim/config.h"

/* Checks the value of the key `plot` (NULL: there is none); false if anything was
 * reported. The rows of an entry are in plot_params, for `describe`. */
bool plot_check(const struct config_node *list, struct diagnostics *diagnostics);
extern const struct param plot_params[];

#endif
