/* Identify (5.15). */
#include <stdio.h>
#include <string.h>

#include "hw/nvme/nvme_internal.h"

static void put16(uint8_t *data, size_t offset, uint32_t value) {
    const uint16_t narrow = (uint16_t)value;
    memcpy(data + offset, &narrow, sizeof narrow);
}

static void put32(uint8_t *data, size_t offset, uint32_t value) {
    memcpy(data + offset, &value, sizeof value);
}

static void put64(uint8_t *data, size_t offset, uint64_t value) {
    memcpy(data + offset, &value, sizeof value);
}

/* Text fields are filled up with spaces and have no end mark. */
static void put_text(uint8_t *data, size_t offset, size_t bytes, const char *text) {
    const size_t length = strlen(text);
    memset(data + offset, ' ', bytes);
    memcpy(data + offset, text, length < bytes ? length : bytes);
}

static uint32_t transfer_exponent(const struct nvme *nvme) {
    return (uint32_t)__builtin_ctzll(nvme->config->max_transfer_bytes / NVME_PAGE_BYTES);
}

static void identify_controller(const struct nvme_function *function, uint8_t *data) {
    enum { VENDOR_UNASSIGNED = 0xffff, SERIAL_BYTES = 20, MODEL_BYTES = 40, FIRMWARE_BYTES = 8 };
    const struct nvme *nvme = function->nvme;
    const bool physical = function->number == 0;
    put16(data, NVME_ID_VID, VENDOR_UNASSIGNED);
    put16(data, NVME_ID_VID + 2, VENDOR_UNASSIGNED);
    put_text(data, NVME_ID_SERIAL, SERIAL_BYTES, nvme->device->name);
    put_text(data, NVME_ID_MODEL, MODEL_BYTES, "stillsuit nvme");
    put_text(data, NVME_ID_FIRMWARE, FIRMWARE_BYTES, STILLSUIT_VERSION);
    data[NVME_ID_CMIC] = 0x6; /* several controllers, SR-IOV (bits 1 and 2) */
    data[NVME_ID_MDTS] = (uint8_t)transfer_exponent(nvme);
    put16(data, NVME_ID_CNTLID, function->number);
    put32(data, NVME_ID_VERSION, NVME_VERSION_1_4);
    put16(data, NVME_ID_OACS, physical ? NVME_OACS_NAMESPACES : 0);
    data[NVME_ID_ACL] = 3; /* 0's based */
    data[NVME_ID_AERL] = NVME_EVENTS_MAX - 1;
    data[NVME_ID_SQES] = NVME_CC_IOSQES << 4 | NVME_CC_IOSQES;
    data[NVME_ID_CQES] = NVME_CC_IOCQES << 4 | NVME_CC_IOCQES;
    put32(data, NVME_ID_NN, (uint32_t)nvme->config->namespaces);
    put16(data, NVME_ID_ONCS, NVME_ONCS_DATASET_MANAGEMENT);
    data[NVME_ID_VWC] = nvme->config->write_cache == NVME_CACHE_VOLATILE ? 0x7 : 0x6;
}

/* `space` NULL: what all have in common. */
static void identify_namespace(const struct nvme *nvme, const struct nvme_namespace *space, uint8_t *data) {
    const uint32_t shift = (uint32_t)__builtin_ctz(nvme->block_bytes);
    if (space != NULL) {
        put64(data, NVME_NS_SIZE, nvme_size_of(space));
        put64(data, NVME_NS_CAPACITY, nvme_size_of(space));
        put64(data, NVME_NS_UTILIZATION, nvme_size_of(space));
    }
    data[NVME_NS_NMIC] = 1; /* may be shared */
    data[NVME_NS_DLFEAT] = 1;
    put32(data, NVME_NS_LBAF0, shift << 16);
}

/* NSIDs above the one given, ascending: those attached here, or all that exist. */
static void list_namespaces(const struct nvme_function *function, uint32_t after, bool all, uint8_t *data) {
    const struct nvme *nvme = function->nvme;
    uint32_t count = 0;
    for (uint64_t nsid = (uint64_t)after + 1; nsid <= nvme->config->namespaces && count < NVME_LIST_MAX; nsid++) {
        if (nvme->namespaces[nsid].exists && (all || function->rights[nsid] != 0)) {
            put32(data, 4 * (size_t)count++, (uint32_t)nsid);
        }
    }
}

static enum nvme_status identify_one(const struct nvme_function *function, uint32_t nsid, bool allocated,
                                     uint8_t *data) {
    const struct nvme *nvme = function->nvme;
    if (nsid == NVME_NSID_ALL && function->number == 0 && !allocated) {
        identify_namespace(nvme, NULL, data);
        return NVME_SUCCESS;
    }
    if (nsid == 0 || nsid > nvme->config->namespaces) {
        return NVME_INVALID_NAMESPACE;
    }
    const struct nvme_namespace *space = nvme_namespace_of(nvme, nsid);
    if (space != NULL && (allocated || function->rights[nsid] != 0)) {
        identify_namespace(nvme, space, data);
    }
    return NVME_SUCCESS; /* of an inactive one: zeroes */
}

enum nvme_status nvme_identify(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                               uint32_t *result) {
    const uint32_t what = sqe->dword10 & 0xff;
    const bool list = what == NVME_CNS_ACTIVE_NAMESPACES || what == NVME_CNS_ALLOCATED_NAMESPACES;
    (void)result;
    memset(data, 0, NVME_IDENTIFY_BYTES);
    if (list && sqe->nsid >= NVME_NSID_ALL - 1) {
        return NVME_INVALID_NAMESPACE;
    }
    if (function->number != 0 && (what == NVME_CNS_ALLOCATED_NAMESPACES || what == NVME_CNS_ALLOCATED_NAMESPACE)) {
        return NVME_INVALID_FIELD; /* without namespace management */
    }
    switch (what) {
    case NVME_CNS_CONTROLLER:
        identify_controller(function, data);
        return NVME_SUCCESS;
    case NVME_CNS_NAMESPACE:
    case NVME_CNS_ALLOCATED_NAMESPACE:
        return identify_one(function, sqe->nsid, what == NVME_CNS_ALLOCATED_NAMESPACE, data);
    case NVME_CNS_ACTIVE_NAMESPACES:
    case NVME_CNS_ALLOCATED_NAMESPACES:
        list_namespaces(function, sqe->nsid, what == NVME_CNS_ALLOCATED_NAMESPACES, data);
        return NVME_SUCCESS;
    default:
        return NVME_INVALID_FIELD;
    }
}
