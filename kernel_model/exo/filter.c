#include "kernel_model/exo/filter.h"

#include <stdlib.h>

#include "kernel_model/exo/header_space.h"

/* ---- the questions ---- */

static enum error_code refuse(struct exo_environment *environment, struct error *error, enum error_code code,
                              const char *why) {
    struct exo_counters *counters[2] = {&environment->counters, &environment->kernel->counters};
    for (int i = 0; i < 2; i++) {
        counters[i]->overlaps += code == ERR_OVERLAP;
        counters[i]->shares += code == ERR_SHARE;
        counters[i]->exhausted += code == ERR_EXHAUSTED;
    }
    return error_set(error, code, "%s: a filter was refused: %s", environment->name, why);
}

static enum error_code refuse_greedy(struct exo_environment *environment, struct error *error) {
    environment->counters.greedy++;
    environment->kernel->counters.greedy++;
    return refuse(environment, error, ERR_DENIED, "it takes packets for addresses that are not this environment's");
}

static enum error_code refuse_spoof(struct exo_environment *environment, struct error *error) {
    environment->counters.spoofs++;
    environment->kernel->counters.spoofs++;
    return refuse(environment, error, ERR_DENIED, "it sends from services that this environment does not own");
}

static enum error_code check_receive(struct exo_environment *environment, const struct nic_filter *space,
                                     struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    const struct exo_limits *limits = &environment->limits;
    if (!header_space_under_prefix(space, limits->address, limits->address_mask)) {
        return refuse_greedy(environment, error);
    }
    struct port_set ports = {{0}};
    port_set_add(&ports, space);
    for (const struct exo_filter *at = kernel->filters; at != NULL; at = at->next) {
        if ((at->directions & EXO_FILTER_RX) == 0) {
            continue;
        }
        exo_work(kernel, &kernel->costs->filter_check);
        const bool own = at->environment == environment;
        if ((!own || at->space.priority == space->priority) && header_space_overlaps(&at->space, space)) {
            return refuse(environment, error, ERR_OVERLAP, "it overlaps one that exists");
        }
        if (own) {
            port_set_add(&ports, &at->space);
        }
    }
    if (port_set_count(&ports) > limits->ports) {
        return refuse(environment, error, ERR_SHARE, "it goes beyond the environment's share of ports");
    }
    return OK;
}

/* Whether what the environment receives covers what `space` sends; `also` counts as
 * received, too (NULL: nothing). */
static bool sends_its_own(const struct exo_environment *environment, const struct nic_filter *space,
                          const struct nic_filter *also) {
    const struct nic_filter **owned = calloc(environment->filters_held + 2, sizeof *owned);
    SIM_ASSERT(owned != NULL);
    size_t count = 0;
    if (also != NULL) {
        owned[count++] = also;
    }
    for (const struct exo_filter *at = environment->kernel->filters; at != NULL; at = at->next) {
        if (at->environment == environment && (at->directions & EXO_FILTER_RX) != 0) {
            owned[count++] = &at->space;
        }
    }
    const bool within = header_space_services_within(space, owned, count);
    free(owned);
    return within;
}

static enum error_code check(struct exo_environment *environment, const struct exo_function *function,
                             unsigned directions, const struct nic_filter *space, struct error *error) {
    if (directions == 0 || (directions & ~(unsigned)(EXO_FILTER_RX | EXO_FILTER_TX)) != 0 ||
        !header_space_valid(space)) {
        return refuse(environment, error, ERR_RANGE, "it is no convex part of header space");
    }
    if (environment->filters_held >= environment->limits.filters) {
        return refuse(environment, error, ERR_SHARE, "the environment has its share of filters");
    }
    if ((directions & EXO_FILTER_RX) != 0) {
        if (space->queue >= 64 || (function->queues >> space->queue & 1) == 0) {
            return refuse(environment, error, ERR_RANGE, "its queue was not granted");
        }
        const enum error_code code = check_receive(environment, space, error);
        if (code != OK) {
            return code;
        }
    }
    const bool receives = (directions & EXO_FILTER_RX) != 0;
    if ((directions & EXO_FILTER_TX) != 0 && !sends_its_own(environment, space, receives ? space : NULL)) {
        return refuse_spoof(environment, error);
    }
    return OK;
}

/* ---- the binding in hardware ---- */

static bool receive_slot_used(const struct exo_kernel *kernel, const struct device *nic, uint32_t slot) {
    for (const struct exo_filter *at = kernel->filters; at != NULL; at = at->next) {
        if (at->function->nic == nic && at->receive_slot == slot) {
            return true;
        }
    }
    return false;
}

static bool transmit_slot_used(const struct exo_kernel *kernel, const struct exo_function *function, uint32_t slot) {
    for (const struct exo_filter *at = kernel->filters; at != NULL; at = at->next) {
        if (at->function == function && at->transmit_slot == slot) {
            return true;
        }
    }
    return false;
}

static void uninstall(struct exo_filter *filter) {
    struct exo_function *function = filter->function;
    if (filter->receive_slot != EXO_NO_SLOT) {
        (void)nic_receive_filter_set(function->nic, filter->receive_slot, function->number, NULL);
        filter->receive_slot = EXO_NO_SLOT;
    }
    if (filter->transmit_slot != EXO_NO_SLOT) {
        (void)nic_transmit_filter_set(function->nic, function->number, filter->transmit_slot, NULL);
        filter->transmit_slot = EXO_NO_SLOT;
    }
}

static bool install_receive(struct exo_filter *filter) {
    struct exo_function *function = filter->function;
    for (uint32_t slot = 0; slot < nic_filter_slots(function->nic); slot++) {
        if (!receive_slot_used(function->kernel, function->nic, slot)) {
            const enum error_code code = nic_receive_filter_set(function->nic, slot, function->number, &filter->space);
            filter->receive_slot = code == OK ? slot : (uint32_t)EXO_NO_SLOT;
            return code == OK;
        }
    }
    return nic_filter_mode(function->nic) == NIC_FILTER_MAC;
}

static bool install_transmit(struct exo_filter *filter) {
    struct exo_function *function = filter->function;
    uint32_t slot = 0;
    while (transmit_slot_used(function->kernel, function, slot)) {
        slot++;
    }
    if (nic_transmit_filter_set(function->nic, function->number, slot, &filter->space) != OK) {
        return false;
    }
    filter->transmit_slot = slot;
    return true;
}

/* ---- grant and revocation ---- */

static void unlink_filter(struct exo_filter *filter) {
    struct exo_filter **at = &filter->function->kernel->filters;
    while (*at != filter) {
        at = &(*at)->next;
    }
    *at = filter->next;
}

/* Transmit filters that stood on a receive filter which is gone go, too. */
static void revoke_unfounded(struct exo_environment *environment) {
    struct exo_kernel *kernel = environment->kernel;
    struct exo_filter *at = kernel->filters;
    while (at != NULL) {
        if (at->environment == environment && (at->directions & EXO_FILTER_TX) != 0 &&
            !sends_its_own(environment, &at->space, NULL)) {
            exo_capability_revoke(kernel->capabilities, &at->handle);
            at = kernel->filters; /* the list has changed */
        } else {
            at = at->next;
        }
    }
}

static void release(void *context, void *object, uint32_t index, bool derived) {
    (void)context;
    (void)index;
    if (derived) {
        return;
    }
    struct exo_filter *filter = object;
    struct exo_environment *environment = filter->environment;
    const bool received = (filter->directions & EXO_FILTER_RX) != 0;
    uninstall(filter);
    unlink_filter(filter);
    environment->filters_held--;
    free(filter);
    if (received) {
        revoke_unfounded(environment);
    }
}

enum error_code exo_filter_create(struct exo_environment *environment, const struct exo_handle *function,
                                  unsigned directions, const struct nic_filter *space, struct exo_handle *out,
                                  struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->filter_install);
    void *object = NULL;
    enum error_code code = exo_check(environment, function, EXO_FUNCTION, EXO_BIND, &object, error);
    if (code != OK) {
        return code;
    }
    code = check(environment, object, directions, space, error);
    if (code != OK) {
        return code;
    }
    struct exo_filter *filter = calloc(1, sizeof *filter);
    SIM_ASSERT(filter != NULL);
    *filter = (struct exo_filter){.next = kernel->filters,
                                  .function = object,
                                  .environment = environment,
                                  .space = *space,
                                  .directions = directions,
                                  .receive_slot = EXO_NO_SLOT,
                                  .transmit_slot = EXO_NO_SLOT};
    kernel->filters = filter;
    environment->filters_held++;
    const bool installed = ((directions & EXO_FILTER_RX) == 0 || install_receive(filter)) &&
                           ((directions & EXO_FILTER_TX) == 0 || install_transmit(filter));
    code = installed ? exo_grant(environment, function, EXO_FILTER, filter, &filter->handle, error)
                     : refuse(environment, error, ERR_EXHAUSTED, "no slot is left");
    if (code != OK) {
        release(kernel, filter, 0, false);
        return code;
    }
    *out = filter->handle;
    return OK;
}

void exo_filter_init(struct exo_kernel *kernel) {
    exo_capabilities_on_release(kernel->capabilities, EXO_FILTER, release, kernel);
}
