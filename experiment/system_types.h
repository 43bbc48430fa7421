/* system_types.h: the systems that an experiment can name. */
#ifndef STILLSUIT_EXPERIMENT_SYSTEM_TYPES_H
#define STILLSUIT_EXPERIMENT_SYSTEM_TYPES_H

#include "kernel_model/common/system.h"

/* The type of that name, or NULL; and all of them: NULL past the end. */
const struct system_ops *system_type_find(const char *type_name);
const struct system_ops *system_type_at(size_t index);
/* The one nearest in spelling, or NULL. */
const char *system_type_nearest(const char *type_name);
/* Declares the components of every system, of the clients and of all hardware: a
 * report may then name any of them, whichever system a point runs. */
void system_types_declare_components(void);

#endif
