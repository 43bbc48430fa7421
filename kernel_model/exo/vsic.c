#include "kernel_model/exo/vsic.h"

#include <stdlib.h>

#include "kernel_model/exo/vsa.h"
#include "kernel_model/exo/vsic_emulation.h"
#include "stack/nvme_queue.h"

enum { ADMIN_ENTRIES = 16, ADMIN_BYTES = 2 * MEMORY_FRAME_BYTES };

enum error_code exo_storage_exhausted(struct exo_environment *environment, struct error *error, const char *what) {
    environment->counters.exhausted++;
    environment->kernel->counters.exhausted++;
    return error_set(error, ERR_EXHAUSTED, "%s: no %s is left", environment->name, what);
}

enum error_code exo_storage_share(struct exo_environment *environment, struct error *error, const char *what) {
    return exo_share(environment, what, error);
}

/* ---- drives ---- */

struct exo_drive *exo_drive_of(const struct exo_kernel *kernel, const struct device *device) {
    struct exo_drive *at = kernel->drives;
    while (at != NULL && at->device != device) {
        at = at->next;
    }
    return at;
}

struct exo_drive *exo_drive_add(struct exo_kernel *kernel, struct device *device, uint64_t reserved_blocks,
                                struct error *error) {
    if (exo_drive_of(kernel, device) != NULL) {
        (void)error_set(error, ERR_EXISTS, "the kernel has %s already", device->name);
        return NULL;
    }
    if (reserved_blocks > nvme_blocks(device)) {
        (void)error_set(error, ERR_RANGE, "%s has no %llu blocks to reserve", device->name,
                        (unsigned long long)reserved_blocks);
        return NULL;
    }
    if (nvme_namespace_blocks(device, 1) != 0) {
        (void)error_set(error, ERR_OVERLAP, "%s has a namespace already: default_namespace: false is due",
                        device->name);
        return NULL;
    }
    struct exo_drive *drive = calloc(1, sizeof *drive);
    SIM_ASSERT(drive != NULL);
    *drive = (struct exo_drive){.next = kernel->drives, .kernel = kernel, .device = device};
    extents_init(&drive->free, reserved_blocks, nvme_blocks(device) - reserved_blocks);
    kernel->drives = drive;
    return drive;
}

/* ---- attachments ---- */

unsigned exo_vsic_rights(const struct exo_vsic *vsic, const struct exo_vsa *vsa) {
    unsigned rights = 0;
    for (const struct exo_attachment *at = vsic->attachments; at != NULL; at = at->next) {
        rights |= at->vsa == vsa ? at->rights : 0;
    }
    return rights;
}

enum error_code exo_vsic_apply(struct exo_vsic *vsic, struct exo_vsa *vsa) {
    const unsigned rights = exo_vsic_rights(vsic, vsa);
    if (vsic->emulated != NULL) {
        return exo_emulated_apply(vsic->emulated, vsa, rights);
    }
    struct device *device = vsic->drive->device;
    return rights != 0 ? nvme_namespace_attach(device, vsic->number, vsa->nsid, rights)
                       : nvme_namespace_detach(device, vsic->number, vsa->nsid);
}

enum error_code exo_vsic_remove(struct exo_vsic *vsic, struct exo_vsa *vsa, uint32_t capability) {
    bool removed = false;
    struct exo_attachment **link = &vsic->attachments;
    while (*link != NULL) {
        struct exo_attachment *at = *link;
        if (at->vsa != vsa || (capability != EXO_ANY_CAPABILITY && at->capability != capability)) {
            link = &at->next;
            continue;
        }
        *link = at->next;
        free(at);
        removed = true;
    }
    if (!removed) {
        return ERR_NOT_FOUND;
    }
    const enum error_code code = exo_vsic_apply(vsic, vsa);
    SIM_ASSERT_MSG(code == OK, "rights could not be taken back");
    return OK;
}

void exo_vsic_detach(struct exo_kernel *kernel, struct exo_vsa *vsa, uint32_t capability) {
    for (struct exo_vsic *at = kernel->vsics; at != NULL; at = at->next) {
        (void)exo_vsic_remove(at, vsa, capability);
    }
}

/* ---- interfaces ---- */

static void admin_free(struct exo_vsic *vsic) {
    struct exo_kernel *kernel = vsic->kernel;
    if (vsic->admin_address != 0) {
        (void)iommu_unmap(vsic->holder->domain, vsic->admin_address, ADMIN_BYTES);
    }
    for (uint64_t at = 0; vsic->admin_physical != 0 && at < ADMIN_BYTES; at += MEMORY_FRAME_BYTES) {
        frames_give_back(kernel->frames, vsic->admin_physical + at);
    }
}

static void vsic_release(void *context, void *object, uint32_t index, bool derived) {
    struct exo_kernel *kernel = context;
    (void)index;
    if (derived) {
        return;
    }
    struct exo_vsic *vsic = object;
    if (vsic->emulated != NULL) {
        exo_emulated_free(vsic->emulated);
    } else {
        nvme_function_enable(vsic->drive->device, vsic->number, false);
        (void)iommu_attach(kernel->machine->iommu, vsic->pcie->requester_id, NULL); /* blocks: cannot fail */
        admin_free(vsic);
    }
    while (vsic->attachments != NULL) {
        struct exo_attachment *attachment = vsic->attachments;
        vsic->attachments = attachment->next;
        free(attachment);
    }
    struct exo_vsic **at = &kernel->vsics;
    while (*at != vsic) {
        at = &(*at)->next;
    }
    *at = vsic->next;
    vsic->holder->storage_interfaces_held--;
    free(vsic);
}

static uint32_t free_function(const struct exo_drive *drive) {
    const uint32_t functions = nvme_virtual_functions(drive->device);
    uint64_t used = 0;
    for (const struct exo_vsic *at = drive->kernel->vsics; at != NULL; at = at->next) {
        used |= at->drive == drive && at->number != 0 ? UINT64_C(1) << (at->number - 1) % 64 : 0;
    }
    for (uint32_t number = 1; number <= functions && number <= 64; number++) {
        if ((used >> (number - 1) & 1) == 0) {
            return number;
        }
    }
    return 0;
}

/* Memory for the admin queue, which the function reaches and the environment does not. */
static enum error_code admin_allocate(struct exo_vsic *vsic) {
    struct exo_kernel *kernel = vsic->kernel;
    struct exo_environment *holder = vsic->holder;
    vsic->admin_physical = frames_allocate_contiguous(kernel->frames, ADMIN_BYTES / MEMORY_FRAME_BYTES);
    if (vsic->admin_physical == 0) {
        return ERR_EXHAUSTED;
    }
    if (iommu_mode(kernel->machine->iommu) != IOMMU_ON) {
        return OK;
    }
    const uint64_t at = exo_environment_reserve(holder, ADMIN_BYTES);
    const enum error_code code =
        iommu_map(holder->domain, at, vsic->admin_physical, ADMIN_BYTES, IOMMU_READ | IOMMU_WRITE);
    vsic->admin_address = code == OK ? at : 0;
    return exo_tables_error(holder, code);
}

static enum error_code bring_up(struct exo_vsic *vsic, struct error *error) {
    struct exo_kernel *kernel = vsic->kernel;
    struct device *device = vsic->drive->device;
    vsic->pcie = nvme_function(device, vsic->number);
    enum error_code code = iommu_attach(kernel->machine->iommu, vsic->pcie->requester_id, vsic->holder->domain);
    if (code == OK) {
        code = admin_allocate(vsic);
    }
    if (code != OK) {
        return code;
    }
    nvme_function_enable(device, vsic->number, true);
    /* Whatever the function's last holder had. */
    vsic->rate = (struct nvme_rate){.bytes_per_s = vsic->holder->limits.storage_bytes_per_s, .burst = SIM_MS};
    (void)nvme_set_weight(device, vsic->number, vsic->weight);
    (void)nvme_set_rate(device, vsic->number, &vsic->rate);
    const uint64_t at = vsic->admin_address != 0 ? vsic->admin_address : vsic->admin_physical;
    return nvme_boot_controller(device, vsic->number, at, ADMIN_ENTRIES, error);
}

enum error_code exo_vsic_grant(struct exo_environment *environment, struct exo_drive *drive, struct exo_handle *out,
                               struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->vsic_grant);
    if (environment->storage_interfaces_held >= environment->limits.storage_interfaces) {
        return exo_storage_share(environment, error, "storage interfaces");
    }
    const uint32_t number = free_function(drive);
    if (number == 0 && drive->emulation == NULL) {
        return exo_storage_exhausted(environment, error, "virtual function of the drive");
    }
    struct exo_vsic *vsic = calloc(1, sizeof *vsic);
    SIM_ASSERT(vsic != NULL);
    *vsic = (struct exo_vsic){
        .next = kernel->vsics, .kernel = kernel, .holder = environment, .drive = drive, .number = number, .weight = 1};
    kernel->vsics = vsic;
    environment->storage_interfaces_held++;
    enum error_code code = OK;
    if (number != 0) {
        code = bring_up(vsic, error);
    } else {
        vsic->emulated = exo_emulated_create(drive->emulation, vsic, error);
        code = vsic->emulated != NULL ? OK : ERR_EXHAUSTED;
    }
    if (code == ERR_SHARE) { /* of page tables: counted */
        (void)error_set(error, code, "%s: it has its share of frames of page tables", environment->name);
    } else if (code != OK) {
        code = exo_storage_exhausted(environment, error, "storage interface");
    } else {
        code = exo_grant(environment, NULL, EXO_VSIC, vsic, out, error);
    }
    if (code != OK) {
        vsic_release(kernel, vsic, 0, false);
    }
    return code;
}

bool exo_vsic_is_emulated(struct exo_environment *environment, const struct exo_handle *handle) {
    void *object = NULL;
    return exo_check(environment, handle, EXO_VSIC, 0, &object, NULL) == OK &&
           ((const struct exo_vsic *)object)->emulated != NULL;
}

/* ---- queue pairs ---- */

/* The kernel's view of a pair: what the drive needs to know of it. */
static struct nvme_pair pair_of(const struct exo_vsic *vsic, uint32_t index, const struct exo_queue_memory *memory) {
    return (struct nvme_pair){.config = {.machine = vsic->kernel->machine,
                                         .queue = (uint16_t)(index + 1),
                                         .entries = memory->entries,
                                         .device_address = memory->submission},
                              .cq = memory->completion - memory->submission}; /* from `physical`, 0, on */
}

/* Pairs that were given up with commands under way are deleted once these have ended. */
static void close_pairs(struct exo_vsic *vsic) {
    const struct exo_queue_memory nowhere = {0, 0, 0};
    for (uint32_t i = 0; i < EXO_VSIC_QUEUES_MAX; i++) {
        const struct nvme_pair pair = pair_of(vsic, i, &nowhere);
        if ((vsic->closing >> i & 1) != 0 && nvme_boot_delete_pair(vsic->drive->device, vsic->number, &pair) == OK) {
            vsic->closing &= ~(UINT64_C(1) << i);
            vsic->queues &= ~(UINT64_C(1) << i);
        }
    }
}

/* Without its doorbells nothing new can be asked of it. */
static void queue_release(void *context, void *object, uint32_t index, bool derived) {
    (void)context;
    struct exo_storage_queue *queue = object;
    exo_mappings_remove(&queue->mappings, derived ? index : (uint32_t)EXO_ANY_CAPABILITY);
    if (derived) {
        return;
    }
    struct exo_vsic *vsic = queue->vsic;
    vsic->closing |= UINT64_C(1) << queue->index;
    close_pairs(vsic);
    queue->holder->storage_queues_held--;
    free(queue);
}

/* Maps the two doorbells of a queue, and reports where register 0 would lie. */
static enum error_code map_doorbells(struct exo_storage_queue *queue, uint32_t capability, uint64_t *registers) {
    const struct exo_vsic *vsic = queue->vsic;
    const uint32_t stride = nvme_doorbell_stride(vsic->drive->device);
    const uint64_t first = NVME_SQ_DOORBELL(queue->index + 1, stride) / MEMORY_FRAME_BYTES * MEMORY_FRAME_BYTES;
    const uint64_t last = NVME_CQ_DOORBELL(queue->index + 1, stride) / MEMORY_FRAME_BYTES * MEMORY_FRAME_BYTES;
    /* All of the function's registers have their place, so that those that are not mapped
     * fault instead of being something else. */
    *registers = exo_environment_reserve(queue->holder, vsic->pcie->bar_bytes[0]);
    uint64_t at = *registers + first;
    return exo_mapping_add(&queue->mappings, queue->holder, capability, vsic->pcie->bar_address[0] + first, &at,
                           last - first + MEMORY_FRAME_BYTES, true, false);
}

static enum error_code check_queue(struct exo_environment *environment, struct exo_vsic *vsic, uint32_t entries,
                                   uint32_t *index, struct error *error) {
    struct device *device = vsic->drive->device;
    if (vsic->emulated != NULL) {
        return error_set(error, ERR_UNSUPPORTED, "%s: an emulated interface has its ring", environment->name);
    }
    if (entries < NVME_QUEUE_MIN || entries > nvme_queue_entries(device) || (entries & (entries - 1)) != 0) {
        return error_set(error, ERR_RANGE, "%s: a queue of %u entries; a power of two up to %u is due",
                         environment->name, entries, nvme_queue_entries(device));
    }
    if (environment->storage_queues_held >= environment->limits.storage_queues) {
        return exo_storage_share(environment, error, "storage queues");
    }
    close_pairs(vsic);
    const uint32_t queues = nvme_queues_per_function(device);
    uint32_t at = 0;
    while (at < queues && at < EXO_VSIC_QUEUES_MAX && (vsic->queues >> at & 1) != 0) {
        at++;
    }
    *index = at;
    return at < queues && at < EXO_VSIC_QUEUES_MAX ? OK : exo_storage_exhausted(environment, error, "queue pair");
}

enum error_code exo_storage_queue_grant(struct exo_environment *environment, const struct exo_handle *handle,
                                        const struct exo_queue_memory *memory, bool interrupts,
                                        struct exo_storage_binding *binding, struct exo_handle *out,
                                        struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->storage_queue_grant);
    void *object = NULL;
    enum error_code code = exo_check(environment, handle, EXO_VSIC, EXO_BIND, &object, error);
    if (code != OK) {
        return code;
    }
    struct exo_vsic *vsic = object;
    uint32_t index = 0;
    code = check_queue(environment, vsic, memory->entries, &index, error);
    if (code != OK) {
        return code;
    }
    const struct nvme_pair pair = pair_of(vsic, index, memory);
    const int vector = interrupts ? (int)index + 1 : -1;
    code = nvme_boot_pair(vsic->drive->device, vsic->number, &pair, vector, error);
    if (code != OK) {
        return code;
    }
    struct exo_storage_queue *queue = calloc(1, sizeof *queue);
    SIM_ASSERT(queue != NULL);
    *queue = (struct exo_storage_queue){.vsic = vsic, .holder = environment, .index = index};
    vsic->queues |= UINT64_C(1) << index;
    environment->storage_queues_held++;
    code = exo_grant(environment, handle, EXO_STORAGE_QUEUE, queue, out, error);
    if (code != OK) {
        queue_release(kernel, queue, 0, false);
        return code;
    }
    code = map_doorbells(queue, out->index, &binding->doorbells);
    if (code != OK) {
        exo_capability_revoke(kernel->capabilities, out);
        return exo_storage_exhausted(environment, error, "room for page tables");
    }
    binding->queue = (uint16_t)(index + 1);
    binding->doorbell_stride = nvme_doorbell_stride(vsic->drive->device);
    return OK;
}

/* ---- shares of the drive ---- */

enum error_code exo_vsic_set_weight(struct exo_environment *environment, const struct exo_handle *handle,
                                    uint32_t weight, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->rate_set);
    void *object = NULL;
    const enum error_code code = exo_check(environment, handle, EXO_VSIC, EXO_CONTROL, &object, error);
    if (code != OK) {
        return code;
    }
    struct exo_vsic *vsic = object;
    if (weight > environment->limits.storage_weight) {
        return exo_storage_share(environment, error, "the drive's weights");
    }
    if (weight == 0) {
        return error_set(error, ERR_RANGE, "%s: a weight is at least 1", environment->name);
    }
    vsic->weight = weight;
    return vsic->emulated != NULL ? OK : nvme_set_weight(vsic->drive->device, vsic->number, weight);
}

enum error_code exo_vsic_set_rate(struct exo_environment *environment, const struct exo_handle *handle,
                                  const struct nvme_rate *rate, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->rate_set);
    void *object = NULL;
    const enum error_code code = exo_check(environment, handle, EXO_VSIC, EXO_CONTROL, &object, error);
    if (code != OK) {
        return code;
    }
    struct exo_vsic *vsic = object;
    const uint64_t most = environment->limits.storage_bytes_per_s;
    if (most != 0 && (rate->bytes_per_s == 0 || rate->bytes_per_s > most)) {
        return exo_storage_share(environment, error, "the drive's rate");
    }
    if (vsic->emulated != NULL) {
        return error_set(error, ERR_UNSUPPORTED, "%s: an emulated interface has no rate of its own", environment->name);
    }
    vsic->rate = *rate;
    return nvme_set_rate(vsic->drive->device, vsic->number, rate);
}

void exo_vsic_init(struct exo_kernel *kernel) {
    exo_capabilities_on_release(kernel->capabilities, EXO_VSIC, vsic_release, kernel);
    exo_capabilities_on_release(kernel->capabilities, EXO_STORAGE_QUEUE, queue_release, kernel);
}
