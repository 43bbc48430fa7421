/* param_internal.h: what param.c, param_bind.c and param_describe.c share. */
#ifndef STILLSUIT_SIM_PARAM_INTERNAL_H
#define STILLSUIT_SIM_PARAM_INTERNAL_H

#include "sim/param.h"

/* The value of a scalar type, as param_parse stores it. */
union param_value {
    uint64_t integer; /* sim_time too */
    double real;
    bool boolean;
    const char *text;
};

/* Bytes of the C type that a type is stored as. */
size_t param_type_bytes(enum param_type type);
/* The name with its article: "a size in bytes". */
const char *param_type_phrase(enum param_type type);
/* -1, 0, 1 for two values of a type that has an order. */
int param_compare(enum param_type type, const union param_value *a, const union param_value *b);

#endif
