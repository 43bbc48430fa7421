#include "kernel_model/common/operations.h"

#include <string.h>

#include "kernel_model/common/system.h"

const struct operation *operation_find(const struct operations_ops *ops, const char *name, const char **nearest) {
    enum { NAMES_MAX = 128 };
    const char *names[NAMES_MAX + 1] = {NULL};
    for (size_t i = 0; ops->operations[i].name != NULL; i++) {
        if (strcmp(ops->operations[i].name, name) == 0) {
            return &ops->operations[i];
        }
        if (i < NAMES_MAX) {
            names[i] = ops->operations[i].name;
        }
    }
    *nearest = config_nearest(name, names);
    return NULL;
}

enum error_code operations_prepare(struct operations *system, const struct operations_plan *plan, struct error *error) {
    enum error_code code = OK;
    for (size_t i = 0; i < plan->count && code == OK; i++) {
        if (plan->sequence[i]->prepare != NULL) {
            code = plan->sequence[i]->prepare(system, error);
        }
    }
    return code;
}

void operations_repeat(const struct operations_loop *loop, const struct operations_plan *plan,
                       const struct operations_meter *meter) {
    struct operations *system = loop->system;
    const ledger_component app = system_components.app;
    for (;;) {
        cpu_run(loop->context); /* what is to come is the next repetition's */
        struct request *request = ledger_begin(meter->ledger, app, LEDGER_SERVICE, sim_now());
        loop->work(system, request);
        loop->step(system);
        for (size_t i = 0; i < plan->count; i++) {
            plan->sequence[i]->run(system);
        }
        loop->work(system, request);
        cpu_run(loop->context);
        ledger_end(request, app, sim_now());
        loop->work(system, NULL);
        meter->completed(meter->context);
    }
}
