/* Registers of a controller, and its doorbells. */
#include "hw/nvme/nvme_internal.h"

#define NOTHING UINT64_MAX /* what a function that is off answers */

static uint64_t capabilities(const struct nvme *nvme) {
    const uint64_t stride = (uint64_t)__builtin_ctzll(nvme->config->doorbell_stride / 4);
    return (nvme->config->queue_entries - 1) | UINT64_C(1) << NVME_CAP_CQR_BIT | UINT64_C(1) << NVME_CAP_TO_SHIFT |
           stride << NVME_CAP_DSTRD_SHIFT | UINT64_C(1) << NVME_CAP_CSS_NVM_BIT;
}

static uint32_t status_of(const struct nvme_function *function) {
    return (function->ready ? (uint32_t)NVME_CSTS_READY : 0U) | (function->fatal ? (uint32_t)NVME_CSTS_FATAL : 0U) |
           function->shutdown << NVME_CSTS_SHUTDOWN_SHIFT;
}

/* ---- enabling ---- */

static bool configuration_is_possible(const struct nvme_function *function) {
    const uint32_t cc = function->cc;
    const uint32_t sq_entries = (function->aqa >> NVME_AQA_ASQS_SHIFT & NVME_AQA_MASK) + 1;
    const uint32_t cq_entries = (function->aqa >> NVME_AQA_ACQS_SHIFT & NVME_AQA_MASK) + 1;
    return (cc >> NVME_CC_MPS_SHIFT & NVME_CC_MPS_MASK) == 0 && (cc >> NVME_CC_CSS_SHIFT & NVME_CC_CSS_MASK) == 0 &&
           (cc >> NVME_CC_AMS_SHIFT & NVME_CC_AMS_MASK) == 0 && sq_entries >= NVME_QUEUE_MIN &&
           cq_entries >= NVME_QUEUE_MIN && function->asq % NVME_PAGE_BYTES == 0 && function->acq % NVME_PAGE_BYTES == 0;
}

static void enable(struct nvme_function *function) {
    if (!configuration_is_possible(function)) {
        function->fatal = true;
        return;
    }
    const uint32_t sq_entries = (function->aqa >> NVME_AQA_ASQS_SHIFT & NVME_AQA_MASK) + 1;
    const uint32_t cq_entries = (function->aqa >> NVME_AQA_ACQS_SHIFT & NVME_AQA_MASK) + 1;
    nvme_cq_create(&function->cqs[0], function->acq, cq_entries, true, 0);
    nvme_sq_create(&function->sqs[0], &function->cqs[0], function->asq, sq_entries);
    function->ready = true;
}

static void write_configuration(struct nvme_function *function, uint32_t value) {
    const bool was_on = (function->cc & NVME_CC_ENABLE) != 0;
    const bool on = (value & NVME_CC_ENABLE) != 0;
    const bool shuts_down = (value >> NVME_CC_SHN_SHIFT & NVME_CC_SHN_MASK) != 0 &&
                            (function->cc >> NVME_CC_SHN_SHIFT & NVME_CC_SHN_MASK) == 0;
    function->cc = value;
    if (was_on && !on) {
        nvme_function_reset(function);
        function->cc = value;
    } else if (!was_on && on) {
        enable(function);
    }
    if (shuts_down) {
        nvme_shutdown(function);
    }
}

/* ---- registers ---- */

static bool read_register(const struct nvme_function *function, uint64_t offset, uint32_t *value) {
    switch (offset) {
    case NVME_REG_CAP:
        *value = (uint32_t)capabilities(function->nvme);
        return true;
    case NVME_REG_CAP + 4:
        *value = (uint32_t)(capabilities(function->nvme) >> 32);
        return true;
    case NVME_REG_VS:
        *value = NVME_VERSION_1_4;
        return true;
    case NVME_REG_INTMS:
    case NVME_REG_INTMC:
        *value = 0;
        return true;
    case NVME_REG_CC:
        *value = function->cc;
        return true;
    case NVME_REG_CSTS:
        *value = status_of(function);
        return true;
    case NVME_REG_AQA:
        *value = function->aqa;
        return true;
    case NVME_REG_ASQ:
    case NVME_REG_ACQ:
        *value = (uint32_t)(offset == NVME_REG_ASQ ? function->asq : function->acq);
        return true;
    case NVME_REG_ASQ + 4:
    case NVME_REG_ACQ + 4:
        *value = (uint32_t)((offset == NVME_REG_ASQ + 4 ? function->asq : function->acq) >> 32);
        return true;
    default:
        return false;
    }
}

static void put_half(uint64_t *whole, bool high, uint32_t value) {
    *whole = high ? (*whole & UINT32_MAX) | (uint64_t)value << 32 : (*whole & ~(uint64_t)UINT32_MAX) | value;
}

static bool write_register(struct nvme_function *function, uint64_t offset, uint32_t value) {
    const bool on = (function->cc & NVME_CC_ENABLE) != 0;
    switch (offset) {
    case NVME_REG_INTMS:
    case NVME_REG_INTMC: /* of pins and MSI */
        return true;
    case NVME_REG_CC:
        write_configuration(function, value);
        return true;
    case NVME_REG_AQA: /* the admin queue is set while the controller is off (3.1.8 to 3.1.10) */
        function->aqa = on ? function->aqa : value;
        return !on;
    case NVME_REG_ASQ:
    case NVME_REG_ASQ + 4:
    case NVME_REG_ACQ:
    case NVME_REG_ACQ + 4:
        if (!on) {
            const bool submission = offset < NVME_REG_ACQ;
            put_half(submission ? &function->asq : &function->acq, offset % 8 == 4, value);
        }
        return !on;
    default:
        return false;
    }
}

/* ---- doorbells ---- */

/* True: the request, if there is one, has been taken. */
static bool ring(struct nvme_function *function, uint64_t offset, uint32_t value, struct request *request) {
    const uint64_t stride = function->nvme->config->doorbell_stride;
    const uint64_t number = (offset - NVME_REG_DOORBELLS) / stride;
    const uint64_t queue = number / 2;
    const bool completion = number % 2 == 1;
    function->counters.doorbells++;
    const bool created = (offset - NVME_REG_DOORBELLS) % stride == 0 && queue <= function->queue_count &&
                         (completion ? function->cqs[queue].created : function->sqs[queue].created);
    if (!created || !function->ready || function->fatal) {
        function->counters.bad_doorbells++;
        nvme_event(function, NVME_EVENT_INVALID_DOORBELL, (uint16_t)(queue <= UINT16_MAX ? queue : UINT16_MAX));
        return false;
    }
    struct nvme_cq *cq = &function->cqs[queue];
    struct nvme_sq *sq = &function->sqs[queue];
    /* A CQ's head moves only over entries that have been written. */
    const bool good = completion ? value < cq->entries && nvme_ring_distance(cq->head, value, cq->entries) <=
                                                              nvme_ring_distance(cq->head, cq->tail, cq->entries)
                                 : value < sq->entries;
    if (!good) {
        function->counters.bad_doorbells++;
        nvme_event(function, NVME_EVENT_INVALID_DOORBELL_VALUE, (uint16_t)queue);
        return false;
    }
    if (completion) {
        nvme_cq_rung(cq, value);
        return false;
    }
    nvme_sq_rung(sq, value, request);
    return true;
}

/* ---- access ---- */

static bool access_is_possible(const struct nvme_function *function, unsigned bar, uint64_t offset,
                               uint32_t size_bytes) {
    return bar == 0 && function->online && offset % size_bytes == 0 && (size_bytes == 4 || size_bytes == 8);
}

uint64_t nvme_mmio_read(struct device *device, struct pcie_function *pcie, unsigned bar, uint64_t offset,
                        uint32_t size_bytes) {
    struct nvme_function *function = &nvme_of(device)->functions[pcie->number];
    uint32_t low = 0;
    uint32_t high = 0;
    if (!access_is_possible(function, bar, offset, size_bytes) || !read_register(function, offset, &low) ||
        (size_bytes == 8 && !read_register(function, offset + 4, &high))) {
        function->counters.bad_register_accesses++;
        return NOTHING;
    }
    return low | (uint64_t)high << 32;
}

void nvme_mmio_write(struct device *device, struct pcie_function *pcie, unsigned bar, uint64_t offset,
                     uint32_t size_bytes, uint64_t value, struct request *request) {
    struct nvme_function *function = &nvme_of(device)->functions[pcie->number];
    bool taken = false;
    bool good = access_is_possible(function, bar, offset, size_bytes);
    if (good && offset >= NVME_REG_DOORBELLS) {
        good = size_bytes == 4;
        taken = good && ring(function, offset, (uint32_t)value, request);
    } else if (good) {
        good = write_register(function, offset, (uint32_t)value) &&
               (size_bytes == 4 || write_register(function, offset + 4, (uint32_t)(value >> 32)));
    }
    function->counters.bad_register_accesses += good ? 0 : 1;
    if (!taken) {
        nvme_abandon(request, "doorbell without effect");
    }
}
