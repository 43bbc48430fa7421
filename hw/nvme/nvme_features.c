/* Set Features and Get Features (5.13, 5.21). */
#include "hw/nvme/nvme_internal.h"

enum { SAVE_BIT = 31, SELECT_SHIFT = 8, SELECT_MASK = 7, SELECT_SUPPORTED = 3, CHANGEABLE = 1 << 2 };

static bool has_volatile_cache(const struct nvme_function *function) {
    return function->nvme->config->write_cache == NVME_CACHE_VOLATILE;
}

static uint32_t queues_granted(const struct nvme_function *function) {
    return (function->queue_count - 1) | (function->queue_count - 1) << 16;
}

/* Number of Queues: what the controller has, whatever is asked for (5.21.1.7). */
static enum nvme_status set_queues(const struct nvme_function *function, uint32_t value, uint32_t *result) {
    if ((value & 0xffff) == 0xffff || value >> 16 == 0xffff) {
        return NVME_INVALID_FIELD;
    }
    for (uint32_t i = 1; i <= function->queue_count; i++) {
        if (function->sqs[i].created || function->cqs[i].created) {
            return NVME_COMMAND_SEQUENCE_ERROR;
        }
    }
    *result = queues_granted(function);
    return NVME_SUCCESS;
}

static enum nvme_status set_vector(struct nvme_function *function, uint32_t value) {
    const uint32_t vector = value & 0xffff;
    if (vector > function->queue_count || vector >= PCIE_MSIX_MAX) {
        return NVME_INVALID_FIELD;
    }
    function->uncoalesced[vector] = (value >> 16 & 1) != 0;
    return NVME_SUCCESS;
}

enum nvme_status nvme_set_features(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                   uint32_t *result) {
    const uint32_t value = sqe->dword11;
    (void)data;
    if ((sqe->dword10 >> SAVE_BIT) != 0) {
        return NVME_FEATURE_NOT_SAVEABLE;
    }
    switch (sqe->dword10 & 0xff) {
    case NVME_FEATURE_ARBITRATION:
        function->arbitration_feature = value;
        return NVME_SUCCESS;
    case NVME_FEATURE_WRITE_CACHE:
        function->write_cache = (value & 1) != 0;
        return has_volatile_cache(function) ? NVME_SUCCESS : NVME_INVALID_FIELD;
    case NVME_FEATURE_QUEUES:
        return set_queues(function, value, result);
    case NVME_FEATURE_COALESCING:
        function->coalescing = value & 0xffff;
        return NVME_SUCCESS;
    case NVME_FEATURE_VECTOR:
        return set_vector(function, value);
    case NVME_FEATURE_EVENTS:
        function->event_mask = value;
        return NVME_SUCCESS;
    default:
        return NVME_INVALID_FIELD;
    }
}

static enum nvme_status get_value(const struct nvme_function *function, const struct nvme_sqe *sqe, uint32_t *value) {
    const uint32_t vector = sqe->dword11 & 0xffff;
    switch (sqe->dword10 & 0xff) {
    case NVME_FEATURE_ARBITRATION:
        *value = function->arbitration_feature;
        return NVME_SUCCESS;
    case NVME_FEATURE_WRITE_CACHE:
        *value = function->write_cache ? 1 : 0;
        return has_volatile_cache(function) ? NVME_SUCCESS : NVME_INVALID_FIELD;
    case NVME_FEATURE_QUEUES:
        *value = queues_granted(function);
        return NVME_SUCCESS;
    case NVME_FEATURE_COALESCING:
        *value = function->coalescing;
        return NVME_SUCCESS;
    case NVME_FEATURE_VECTOR:
        if (vector > function->queue_count || vector >= PCIE_MSIX_MAX) {
            return NVME_INVALID_FIELD;
        }
        *value = vector | (function->uncoalesced[vector] ? UINT32_C(1) << 16 : 0);
        return NVME_SUCCESS;
    case NVME_FEATURE_EVENTS:
        *value = function->event_mask;
        return NVME_SUCCESS;
    default:
        return NVME_INVALID_FIELD;
    }
}

enum nvme_status nvme_get_features(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                   uint32_t *result) {
    const uint32_t select = sqe->dword10 >> SELECT_SHIFT & SELECT_MASK;
    uint32_t value = 0;
    (void)data;
    const enum nvme_status status = get_value(function, sqe, &value);
    if (status != NVME_SUCCESS || (select != 0 && select != SELECT_SUPPORTED)) { /* nothing is saved */
        return NVME_INVALID_FIELD;
    }
    *result = select == SELECT_SUPPORTED ? CHANGEABLE : value;
    return NVME_SUCCESS;
}
