/* op_table.c: the operations of scripts, one row each. */
#include <string.h>

#include "workloads/op.h"

static const struct op_type *const table[] = {
    &op_socket, &op_wait,    &op_receive,   &op_while_receive, &op_send,  &op_compute, &op_branch,
    &op_repeat, &op_measure, &op_misbehave, &op_listen,        &op_serve, &op_log,     &op_append,
    &op_pop,    &op_trim,    &op_file,      &op_write,         &op_read,  &op_sync,    &op_choose,
    &op_table,  &op_lookup,  &op_fetch,     &op_store,         &op_replay};

enum { TYPES = sizeof table / sizeof table[0] };

const struct op_type *op_type_at(size_t index) {
    return index < TYPES ? table[index] : NULL;
}

const struct op_type *op_type_find(const char *name) {
    for (size_t i = 0; i < TYPES; ++i) {
        if (strcmp(table[i]->name, name) == 0) {
            return table[i];
        }
    }
    return NULL;
}

const char *const *op_type_names(void) {
    static const char *names[TYPES + 1];
    for (size_t i = 0; i < TYPES; ++i) {
        names[i] = table[i]->name;
    }
    return names;
}
