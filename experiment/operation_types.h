/* operation_types.h: the systems that experiments of kind `kernel` know. */
#ifndef STILLSUIT_EXPERIMENT_OPERATION_TYPES_H
#define STILLSUIT_EXPERIMENT_OPERATION_TYPES_H

#include "kernel_model/common/operations.h"

const struct operations_ops *operation_type_at(size_t index); /* NULL past the end */
const struct operations_ops *operation_type_find(const char *type_name);
/* The nearest name, or NULL. */
const char *operation_type_nearest(const char *type_name);
void operation_types_declare_components(void);

#endif
