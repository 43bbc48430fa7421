/* Namespaces: extents of the drive, checked for overlap, mapped by binary search,
 * attached to controllers with rights. */
#include <stdlib.h>
#include <string.h>

#include "hw/nvme/nvme_internal.h"
#include "sim/error.h"

struct nvme_namespace *nvme_namespace_of(const struct nvme *nvme, uint32_t nsid) {
    const bool exists = nsid >= 1 && nsid <= nvme->config->namespaces && nvme->namespaces[nsid].exists;
    return exists ? &nvme->namespaces[nsid] : NULL;
}

uint64_t nvme_map(const struct nvme_namespace *space, uint64_t block, uint64_t *run) {
    uint32_t low = 0;
    uint32_t high = space->extent_count;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (space->starts[middle] <= block) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const uint64_t within = block - space->starts[low];
    *run = space->extents[low].blocks - within;
    return space->extents[low].first_block + within;
}

/* ---- extents ---- */

static bool overlap(const struct nvme_extent *a, const struct nvme_extent *b) {
    return a->first_block < b->first_block + b->blocks && b->first_block < a->first_block + a->blocks;
}

static bool overlaps_others(const struct nvme *nvme, const struct nvme_extent *extent, uint32_t except) {
    for (uint32_t nsid = 1; nsid <= nvme->config->namespaces; nsid++) {
        const struct nvme_namespace *space = &nvme->namespaces[nsid];
        for (uint32_t i = 0; space->exists && nsid != except && i < space->extent_count; i++) {
            if (overlap(extent, &space->extents[i])) {
                return true;
            }
        }
    }
    return false;
}

static enum error_code check_extents(const struct nvme *nvme, const struct nvme_extent *extents, uint32_t count,
                                     uint32_t except) {
    if (count == 0) {
        return ERR_RANGE;
    }
    if (count > nvme->config->extents) {
        return ERR_EXHAUSTED;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct nvme_extent *extent = &extents[i];
        if (extent->blocks == 0 || extent->first_block >= nvme->blocks ||
            extent->blocks > nvme->blocks - extent->first_block) {
            return ERR_RANGE;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (overlap(extent, &extents[j])) {
                return ERR_OVERLAP;
            }
        }
        if (overlaps_others(nvme, extent, except)) {
            return ERR_OVERLAP;
        }
    }
    return OK;
}

static void set_extents(struct nvme_namespace *space, const struct nvme_extent *extents, uint32_t count) {
    free(space->extents);
    free(space->starts);
    space->extents = calloc(count, sizeof *space->extents);
    space->starts = calloc((size_t)count + 1, sizeof *space->starts);
    SIM_ASSERT_MSG(space->extents != NULL && space->starts != NULL, "out of memory");
    space->extent_count = count;
    for (uint32_t i = 0; i < count; i++) {
        space->extents[i] = extents[i];
        space->starts[i + 1] = space->starts[i] + extents[i].blocks;
    }
}

/* Whoever gets these blocks next reads zeroes. */
static void wipe(struct nvme *nvme, uint64_t block, uint64_t blocks) {
    nvme_cache_forget(nvme, block, blocks);
    block_store_deallocate(nvme->store, block, blocks);
}

/* ---- create, resize, delete ---- */

enum error_code nvme_namespace_create(struct device *device, const struct nvme_extent *extents, uint32_t count,
                                      uint32_t *nsid) {
    struct nvme *nvme = nvme_of(device);
    const enum error_code code = check_extents(nvme, extents, count, 0);
    if (code != OK) {
        return code;
    }
    for (uint32_t i = 1; i <= nvme->config->namespaces; i++) {
        struct nvme_namespace *space = &nvme->namespaces[i];
        if (!space->exists) {
            set_extents(space, extents, count);
            space->exists = true;
            *nsid = i;
            return OK;
        }
    }
    return ERR_EXHAUSTED;
}

static int by_place(const void *a, const void *b) {
    const struct nvme_extent *one = a;
    const struct nvme_extent *other = b;
    return one->first_block < other->first_block ? -1 : one->first_block > other->first_block ? 1 : 0;
}

/* Everything that is taken, in order; the caller frees it. */
static struct nvme_extent *taken_extents(const struct nvme *nvme, size_t *count) {
    *count = 0;
    for (uint32_t nsid = 1; nsid <= nvme->config->namespaces; nsid++) {
        *count += nvme->namespaces[nsid].exists ? nvme->namespaces[nsid].extent_count : 0;
    }
    struct nvme_extent *taken = calloc(*count + 1, sizeof *taken);
    SIM_ASSERT_MSG(taken != NULL, "out of memory");
    size_t filled = 0;
    for (uint32_t nsid = 1; nsid <= nvme->config->namespaces; nsid++) {
        const struct nvme_namespace *space = &nvme->namespaces[nsid];
        for (uint32_t i = 0; space->exists && i < space->extent_count; i++) {
            taken[filled++] = space->extents[i];
        }
    }
    qsort(taken, *count, sizeof *taken, by_place);
    taken[*count] = (struct nvme_extent){nvme->blocks, 0};
    return taken;
}

enum error_code nvme_namespace_allocate(struct device *device, uint64_t blocks, uint32_t *nsid) {
    const struct nvme *nvme = nvme_of(device);
    struct nvme_extent *extents = calloc(nvme->config->extents, sizeof *extents);
    SIM_ASSERT_MSG(extents != NULL, "out of memory");
    size_t taken_count = 0;
    struct nvme_extent *taken = taken_extents(nvme, &taken_count);
    uint64_t at = 0;
    uint32_t count = 0;
    uint64_t left = blocks;
    for (size_t i = 0; i <= taken_count && left > 0 && count < nvme->config->extents; i++) {
        const uint64_t room = taken[i].first_block - at;
        if (room > 0) {
            const uint64_t run = room < left ? room : left;
            extents[count++] = (struct nvme_extent){at, run};
            left -= run;
        }
        at = taken[i].first_block + taken[i].blocks;
    }
    const enum error_code code = left > 0 ? ERR_EXHAUSTED : nvme_namespace_create(device, extents, count, nsid);
    free(extents);
    free(taken);
    return code;
}

/* What block `block` of the namespace was, is at its old place under the new list. */
static bool stays(const struct nvme_extent *extents, uint32_t count, uint64_t start, const struct nvme_extent *old) {
    uint64_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (at <= start && start + old->blocks <= at + extents[i].blocks) {
            return extents[i].first_block + (start - at) == old->first_block;
        }
        at += extents[i].blocks;
    }
    return false;
}

/* Old extents are compared in pieces that neither list's boundaries cut. */
static void wipe_what_leaves(struct nvme *nvme, const struct nvme_namespace *space, const struct nvme_extent *extents,
                             uint32_t count) {
    for (uint32_t i = 0; i < space->extent_count; i++) {
        uint64_t start = space->starts[i];
        while (start < space->starts[i + 1]) {
            uint64_t end = space->starts[i + 1];
            uint64_t boundary = 0;
            for (uint32_t j = 0; j < count; j++) {
                boundary += extents[j].blocks;
                end = boundary > start && boundary < end ? boundary : end;
            }
            const struct nvme_extent piece = {space->extents[i].first_block + (start - space->starts[i]), end - start};
            if (!stays(extents, count, start, &piece)) {
                wipe(nvme, piece.first_block, piece.blocks);
            }
            start = end;
        }
    }
}

enum error_code nvme_namespace_resize(struct device *device, uint32_t nsid, const struct nvme_extent *extents,
                                      uint32_t count) {
    struct nvme *nvme = nvme_of(device);
    struct nvme_namespace *space = nvme_namespace_of(nvme, nsid);
    if (space == NULL) {
        return ERR_NOT_FOUND;
    }
    const enum error_code code = check_extents(nvme, extents, count, nsid);
    if (code != OK) {
        return code;
    }
    wipe_what_leaves(nvme, space, extents, count);
    set_extents(space, extents, count);
    space->generation++;
    return OK;
}

enum error_code nvme_namespace_delete(struct device *device, uint32_t nsid) {
    struct nvme *nvme = nvme_of(device);
    struct nvme_namespace *space = nvme_namespace_of(nvme, nsid);
    if (space == NULL) {
        return ERR_NOT_FOUND;
    }
    for (uint32_t i = 0; i < space->extent_count; i++) {
        wipe(nvme, space->extents[i].first_block, space->extents[i].blocks);
    }
    for (uint32_t i = 0; i < nvme->function_count; i++) {
        nvme->functions[i].rights[nsid] = 0;
    }
    space->exists = false;
    space->generation++;
    space->extent_count = 0;
    return OK;
}

uint32_t nvme_namespace_extents(const struct device *device, uint32_t nsid, struct nvme_extent *out,
                                uint32_t capacity) {
    const struct nvme_namespace *space = nvme_namespace_of(nvme_of(device), nsid);
    for (uint32_t i = 0; space != NULL && i < space->extent_count && i < capacity; i++) {
        out[i] = space->extents[i];
    }
    return space != NULL ? space->extent_count : 0;
}

uint64_t nvme_namespace_blocks(const struct device *device, uint32_t nsid) {
    const struct nvme_namespace *space = nvme_namespace_of(nvme_of(device), nsid);
    return space != NULL ? nvme_size_of(space) : 0;
}

/* ---- attach, detach ---- */

enum error_code nvme_namespace_attach(struct device *device, uint32_t function, uint32_t nsid, unsigned rights) {
    struct nvme *nvme = nvme_of(device);
    if (function >= nvme->function_count || rights == 0 || (rights & ~3U) != 0) {
        return ERR_RANGE;
    }
    if (nvme_namespace_of(nvme, nsid) == NULL) {
        return ERR_NOT_FOUND;
    }
    nvme->functions[function].rights[nsid] = (uint8_t)rights;
    return OK;
}

enum error_code nvme_namespace_detach(struct device *device, uint32_t function, uint32_t nsid) {
    struct nvme *nvme = nvme_of(device);
    if (function >= nvme->function_count) {
        return ERR_RANGE;
    }
    if (nvme_namespace_of(nvme, nsid) == NULL || nvme->functions[function].rights[nsid] == 0) {
        return ERR_NOT_FOUND;
    }
    nvme->functions[function].rights[nsid] = 0;
    return OK;
}

/* ---- the same by admin commands (5.19, 5.20) ---- */

static enum nvme_status status_of(enum error_code code) {
    switch (code) {
    case OK:
        return NVME_SUCCESS;
    case ERR_EXHAUSTED:
        return NVME_NSID_UNAVAILABLE;
    default:
        return NVME_INVALID_FIELD;
    }
}

static enum nvme_status create(struct nvme_function *function, const uint8_t *data, uint32_t *result) {
    struct device *device = function->nvme->device;
    uint64_t size = 0;
    uint64_t capacity = 0;
    uint64_t count = 0;
    memcpy(&size, data + NVME_NS_SIZE, sizeof size);
    memcpy(&capacity, data + NVME_NS_CAPACITY, sizeof capacity);
    memcpy(&count, data + NVME_NS_EXTENT_COUNT, sizeof count);
    if (size == 0 || size != capacity || data[NVME_NS_FLBAS] != 0 || count > NVME_NS_EXTENTS_MAX) {
        return NVME_INVALID_FIELD; /* no thin provisioning, one format */
    }
    if (count == 0) {
        const enum error_code code = nvme_namespace_allocate(device, size, result);
        return code == ERR_EXHAUSTED ? NVME_INSUFFICIENT_CAPACITY : status_of(code);
    }
    struct nvme_extent extents[NVME_NS_EXTENTS_MAX];
    uint64_t blocks = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct nvme_extent_entry entry;
        memcpy(&entry, data + NVME_NS_EXTENTS + i * sizeof entry, sizeof entry);
        extents[i] = (struct nvme_extent){entry.first_block, entry.blocks};
        blocks += entry.blocks;
    }
    return blocks != size ? NVME_INVALID_FIELD
                          : status_of(nvme_namespace_create(device, extents, (uint32_t)count, result));
}

enum nvme_status nvme_namespace_management(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                           uint32_t *result) {
    struct device *device = function->nvme->device;
    const uint32_t select = sqe->dword10 & 0xf;
    if (select == NVME_SELECT_CREATE) {
        return create(function, data, result);
    }
    if (select != NVME_SELECT_DELETE) {
        return NVME_INVALID_FIELD;
    }
    for (uint32_t nsid = 1; sqe->nsid == NVME_NSID_ALL && nsid <= function->nvme->config->namespaces; nsid++) {
        (void)nvme_namespace_delete(device, nsid);
    }
    if (sqe->nsid == NVME_NSID_ALL) {
        return NVME_SUCCESS;
    }
    return nvme_namespace_delete(device, sqe->nsid) == OK ? NVME_SUCCESS : NVME_INVALID_NAMESPACE;
}

static enum nvme_status attach_one(struct nvme *nvme, const struct nvme_sqe *sqe, uint32_t controller) {
    const uint32_t select = sqe->dword10 & 0xf;
    const bool attached = nvme->functions[controller].rights[sqe->nsid] != 0;
    if (select == NVME_SELECT_ATTACH && attached) {
        return NVME_ALREADY_ATTACHED;
    }
    if (select == NVME_SELECT_DETACH) {
        return nvme_namespace_detach(nvme->device, controller, sqe->nsid) == OK ? NVME_SUCCESS : NVME_NOT_ATTACHED;
    }
    const bool read_only = (sqe->dword15 & NVME_ATTACH_READ_ONLY) != 0;
    const unsigned rights = read_only ? NVME_RIGHT_READ : NVME_RIGHT_READ | NVME_RIGHT_WRITE;
    return status_of(nvme_namespace_attach(nvme->device, controller, sqe->nsid, rights));
}

enum nvme_status nvme_namespace_attachment(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                           uint32_t *result) {
    enum { CONTROLLERS_MAX = 2047 };
    struct nvme *nvme = function->nvme;
    uint16_t list[CONTROLLERS_MAX + 1]; /* the count, then identifiers, ascending */
    (void)result;
    memcpy(list, data, sizeof list);
    if ((sqe->dword10 & 0xf) > NVME_SELECT_DETACH) {
        return NVME_INVALID_FIELD;
    }
    if (nvme_namespace_of(nvme, sqe->nsid) == NULL) {
        return NVME_INVALID_NAMESPACE;
    }
    if (list[0] == 0 || list[0] > CONTROLLERS_MAX) {
        return NVME_CONTROLLER_LIST_INVALID;
    }
    for (uint32_t i = 1; i <= list[0]; i++) {
        if (list[i] >= nvme->function_count || (i > 1 && list[i] <= list[i - 1])) {
            return NVME_CONTROLLER_LIST_INVALID;
        }
    }
    for (uint32_t i = 1; i <= list[0]; i++) {
        const enum nvme_status status = attach_one(nvme, sqe, list[i]);
        if (status != NVME_SUCCESS) {
            return status;
        }
    }
    return NVME_SUCCESS;
}

bool nvme_namespaces_init(struct nvme *nvme) {
    uint32_t nsid = 0;
    const struct nvme_extent whole = {0, nvme->blocks};
    nvme->namespaces = calloc(nvme->config->namespaces + 1, sizeof *nvme->namespaces);
    SIM_ASSERT_MSG(nvme->namespaces != NULL, "out of memory");
    for (uint32_t i = 0; i <= nvme->config->namespaces; i++) {
        nvme->namespaces[i].nsid = i;
    }
    if (!nvme->config->default_namespace) {
        return true;
    }
    return nvme_namespace_create(nvme->device, &whole, 1, &nsid) == OK &&
           nvme_namespace_attach(nvme->device, 0, nsid, NVME_RIGHT_READ | NVME_RIGHT_WRITE) == OK;
}
