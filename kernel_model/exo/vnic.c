#include "kernel_model/exo/vnic.h"

#include <stdlib.h>
#include <string.h>

#include "hw/nic/nic_regs.h"

static enum error_code exhausted(struct exo_environment *environment, struct error *error, const char *what) {
    environment->counters.exhausted++;
    environment->kernel->counters.exhausted++;
    return error_set(error, ERR_EXHAUSTED, "%s: no %s is left", environment->name, what);
}

/* ---- functions ---- */

static struct exo_function *find_function(struct exo_kernel *kernel, const struct device *nic, uint32_t number) {
    struct exo_function *at = kernel->functions;
    while (at != NULL && (at->nic != nic || at->number != number)) {
        at = at->next;
    }
    return at;
}

static void function_release(void *context, void *object, uint32_t index, bool derived) {
    struct exo_kernel *kernel = context;
    struct exo_function *function = object;
    exo_mappings_remove(&function->mappings, derived ? index : (uint32_t)EXO_ANY_CAPABILITY);
    if (derived) {
        return;
    }
    nic_function_enable(function->nic, function->number, false);
    (void)iommu_attach(kernel->machine->iommu, function->pcie->requester_id, NULL); /* blocks: cannot fail */
    struct exo_function **at = &kernel->functions;
    while (*at != function) {
        at = &(*at)->next;
    }
    *at = function->next;
    free(function);
}

/* Where functions are told apart by address, an address has one owner. */
static bool mac_in_use(const struct exo_kernel *kernel, const struct device *nic, const uint8_t mac[6]) {
    for (const struct exo_function *at = kernel->functions; at != NULL; at = at->next) {
        if (at->nic == nic && memcmp(at->mac, mac, sizeof at->mac) == 0) {
            return nic_filter_mode(nic) == NIC_FILTER_MAC;
        }
    }
    return false;
}

static enum error_code check_mac(struct exo_environment *environment, const struct device *nic, const uint8_t mac[6],
                                 struct error *error) {
    if ((mac[0] & 1) != 0) {
        return error_set(error, ERR_RANGE, "%s: the address is a group's", environment->name);
    }
    if (mac_in_use(environment->kernel, nic, mac)) {
        environment->counters.overlaps++;
        environment->kernel->counters.overlaps++;
        return error_set(error, ERR_OVERLAP, "%s: another function has that MAC address", environment->name);
    }
    return OK;
}

enum error_code exo_function_grant(struct exo_environment *environment, struct device *nic, const uint8_t mac[6],
                                   struct exo_handle *out, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->function_grant);
    enum error_code code = check_mac(environment, nic, mac, error);
    if (code != OK) {
        return code;
    }
    uint32_t number = 1;
    while (number <= nic_virtual_functions(nic) && find_function(kernel, nic, number) != NULL) {
        number++;
    }
    if (number > nic_virtual_functions(nic)) {
        return exhausted(environment, error, "virtual function");
    }
    struct exo_function *function = calloc(1, sizeof *function);
    SIM_ASSERT(function != NULL);
    *function = (struct exo_function){.next = kernel->functions,
                                      .kernel = kernel,
                                      .holder = environment,
                                      .nic = nic,
                                      .number = number,
                                      .pcie = nic_function(nic, number)};
    memcpy(function->mac, mac, sizeof function->mac);
    kernel->functions = function;
    code = iommu_attach(kernel->machine->iommu, function->pcie->requester_id, environment->domain);
    if (code != OK) {
        function_release(kernel, function, 0, false);
        return exhausted(environment, error, "frame for the IOMMU");
    }
    nic_function_set_mac(nic, number, mac);
    nic_function_enable(nic, number, true);
    code = exo_grant(environment, NULL, EXO_FUNCTION, function, out, error);
    if (code != OK) {
        function_release(kernel, function, 0, false);
    }
    return code;
}

enum error_code exo_function_map(struct exo_environment *environment, const struct exo_handle *handle,
                                 uint64_t *virtual_address, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->memory_map);
    void *object = NULL;
    enum error_code code = exo_check(environment, handle, EXO_FUNCTION, EXO_WRITE, &object, error);
    if (code != OK) {
        return code;
    }
    struct exo_function *function = object;
    *virtual_address = 0;
    code = exo_mapping_add(&function->mappings, environment, handle->index, function->pcie->bar_address[0],
                           virtual_address, function->pcie->bar_bytes[0], true, false);
    return code == OK ? OK : error_set(error, code, "%s: %s", environment->name, error_code_text(code));
}

/* ---- queue pairs ---- */

/* Queues that nobody may use any more are stopped, by their own enable bits. */
static void queue_stop(const struct exo_queue *queue) {
    struct exo_kernel *kernel = queue->function->kernel;
    const uint64_t registers = queue->function->pcie->bar_address[0];
    exo_register_write(kernel, registers + NIC_RX_QUEUE_BASE(queue->index) + NIC_QUEUE_CTL, 0);
    exo_register_write(kernel, registers + NIC_VF_TX_QUEUE_BASE(queue->index) + NIC_QUEUE_CTL, 0);
}

/* The rate of a queue is the physical function's to set, by absolute number. */
static void rate_write(const struct exo_queue *queue, uint32_t factor) {
    const struct exo_function *function = queue->function;
    const uint64_t registers = nic_function(function->nic, 0)->bar_address[0];
    const uint32_t absolute = (function->number - 1) * nic_queues_per_function(function->nic) + queue->index;
    exo_register_write(function->kernel, registers + NIC_RATE_SELECT, absolute);
    exo_register_write(function->kernel, registers + NIC_RATE_FACTOR, factor);
}

static void queue_release(void *context, void *object, uint32_t index, bool derived) {
    (void)context;
    (void)index;
    struct exo_queue *queue = object;
    if (derived) {
        return;
    }
    queue_stop(queue);
    if (queue->limited) {
        rate_write(queue, 0);
    }
    queue->function->queues &= ~(UINT64_C(1) << queue->index);
    queue->holder->queues_held--;
    free(queue);
}

enum error_code exo_queue_grant(struct exo_environment *environment, const struct exo_handle *function, uint32_t *index,
                                struct exo_handle *out, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->queue_grant);
    void *object = NULL;
    enum error_code code = exo_check(environment, function, EXO_FUNCTION, EXO_BIND, &object, error);
    if (code != OK) {
        return code;
    }
    struct exo_function *owner = object;
    if (environment->queues_held >= environment->limits.queues) {
        return exo_share(environment, "queues", error);
    }
    uint32_t free_index = 0;
    while (free_index < nic_queues_per_function(owner->nic) && (owner->queues >> free_index & 1) != 0) {
        free_index++;
    }
    if (free_index == nic_queues_per_function(owner->nic)) {
        return exhausted(environment, error, "queue pair");
    }
    struct exo_queue *queue = calloc(1, sizeof *queue);
    SIM_ASSERT(queue != NULL);
    *queue = (struct exo_queue){.function = owner, .holder = environment, .index = free_index};
    code = exo_grant(environment, function, EXO_QUEUE, queue, out, error);
    if (code != OK) {
        free(queue);
        return code;
    }
    owner->queues |= UINT64_C(1) << free_index;
    environment->queues_held++;
    *index = free_index;
    return OK;
}

enum error_code exo_queue_set_rate(struct exo_environment *environment, const struct exo_handle *queue,
                                   uint64_t bits_per_s, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->rate_set);
    void *object = NULL;
    const enum error_code code = exo_check(environment, queue, EXO_QUEUE, EXO_CONTROL, &object, error);
    if (code != OK) {
        return code;
    }
    struct exo_queue *target = object;
    uint32_t factor = 0;
    if (bits_per_s != 0) {
        /* 82599 datasheet, 8.2.3.10.16: line rate / rate, with 14 bits of fraction. */
        const uint64_t line_rate = nic_line_rate(target->function->nic);
        const uint64_t fixed = ((line_rate << NIC_RATE_FRACTION_BITS) + bits_per_s / 2) / bits_per_s;
        if (fixed < UINT64_C(1) << NIC_RATE_FRACTION_BITS ||
            fixed >= UINT64_C(1) << (NIC_RATE_FRACTION_BITS + NIC_RATE_INTEGER_BITS)) {
            return error_set(error, ERR_RANGE, "%s: a queue cannot be limited to %llu bit/s", environment->name,
                             (unsigned long long)bits_per_s);
        }
        factor = NIC_RATE_ENABLE | (uint32_t)fixed;
    }
    target->limited = bits_per_s != 0;
    rate_write(target, factor);
    return OK;
}

void exo_vnic_init(struct exo_kernel *kernel) {
    exo_capabilities_on_release(kernel->capabilities, EXO_FUNCTION, function_release, kernel);
    exo_capabilities_on_release(kernel->capabilities, EXO_QUEUE, queue_release, kernel);
}
