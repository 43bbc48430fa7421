#include "kernel_model/exo/vsa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_model/exo/vsic_emulation.h"

enum { KERNEL_HOLDER = 0 }; /* environments count from 1 */

static struct exo_vsa *find(const struct exo_kernel *kernel, const struct exo_drive *drive, const char *name) {
    struct exo_vsa *at = kernel->vsas;
    while (at != NULL && (at->drive != drive || strcmp(at->name, name) != 0)) {
        at = at->next;
    }
    return at;
}

static bool owns(const struct exo_environment *environment, const struct exo_vsa *vsa) {
    return strcmp(environment->name, vsa->owner) == 0;
}

uint64_t exo_vsa_bytes_of(const struct exo_environment *environment) {
    uint64_t bytes = 0;
    for (const struct exo_vsa *at = environment->kernel->vsas; at != NULL; at = at->next) {
        bytes += owns(environment, at) ? at->blocks * nvme_block_bytes(at->drive->device) : 0;
    }
    return bytes;
}

static uint64_t areas_of(const struct exo_environment *environment) {
    uint64_t count = 0;
    for (const struct exo_vsa *at = environment->kernel->vsas; at != NULL; at = at->next) {
        count += owns(environment, at);
    }
    return count;
}

/* A capability for an environment below the kernel's. */
static enum error_code hand_out(struct exo_environment *environment, struct exo_vsa *vsa, unsigned rights,
                                struct exo_handle *out, struct error *error) {
    enum error_code code = OK;
    const enum exo_refusal refusal = exo_capability_derive(environment->kernel->capabilities, KERNEL_HOLDER, &vsa->root,
                                                           rights, environment->number, out, &code);
    SIM_ASSERT(refusal == EXO_ALLOWED);
    return code == OK ? OK : exo_no_capability(environment, code, error);
}

/* ---- making and ending ---- */

static void give_extents(struct exo_drive *drive, const struct nvme_extent *extents, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        extents_give(&drive->free, extents[i]);
    }
}

static uint32_t extents_max(const struct exo_drive *drive) {
    const uint32_t most = nvme_extents_max(drive->device);
    return most < EXO_VSA_EXTENTS_MAX ? most : (uint32_t)EXO_VSA_EXTENTS_MAX;
}

/* The kernel's capability ends: nothing is left below it. */
static void end(struct exo_vsa *vsa) {
    struct exo_vsa **at = &vsa->drive->kernel->vsas;
    while (*at != vsa) {
        at = &(*at)->next;
    }
    *at = vsa->next;
    (void)nvme_namespace_delete(vsa->drive->device, vsa->nsid);
    give_extents(vsa->drive, vsa->extents, vsa->extent_count);
    free(vsa);
}

static void release(void *context, void *object, uint32_t index, bool derived) {
    struct exo_kernel *kernel = context;
    exo_vsic_detach(kernel, object, derived ? index : (uint32_t)EXO_ANY_CAPABILITY);
    if (!derived) {
        end(object);
    }
}

static enum error_code check_new(struct exo_environment *environment, const struct exo_drive *drive, const char *name,
                                 uint64_t bytes, struct error *error) {
    const struct exo_limits *limits = &environment->limits;
    if (name[0] == '\0' || strlen(name) >= EXO_VSA_NAME_BYTES || bytes == 0) {
        return error_set(error, ERR_RANGE, "%s: a storage area has a name of at most %d characters, and a size",
                         environment->name, EXO_VSA_NAME_BYTES - 1);
    }
    if (find(environment->kernel, drive, name) != NULL) {
        return error_set(error, ERR_EXISTS, "%s: the drive has a storage area \"%s\"", environment->name, name);
    }
    const uint64_t held = exo_vsa_bytes_of(environment);
    if (areas_of(environment) >= limits->storage_areas || held > limits->storage_bytes ||
        bytes > limits->storage_bytes - held) {
        return exo_storage_share(environment, error, "storage areas");
    }
    return OK;
}

static uint32_t take(struct exo_drive *drive, uint64_t blocks, uint64_t wanted, struct nvme_extent *out,
                     uint32_t capacity) {
    if (wanted == EXO_ANY_BLOCK) {
        return extents_take(&drive->free, blocks, out, capacity);
    }
    out[0] = (struct nvme_extent){wanted, blocks};
    return capacity > 0 && extents_take_at(&drive->free, wanted, blocks) ? 1 : 0;
}

static uint64_t blocks_for(const struct exo_drive *drive, uint64_t bytes) {
    const uint32_t size = nvme_block_bytes(drive->device);
    return bytes / size + (bytes % size != 0);
}

enum error_code exo_vsa_create(struct exo_environment *environment, struct exo_drive *drive, const char *name,
                               uint64_t bytes, uint64_t wanted, struct exo_handle *out, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->vsa_create);
    enum error_code code = check_new(environment, drive, name, bytes, error);
    if (code != OK) {
        return code;
    }
    struct exo_vsa *vsa = calloc(1, sizeof *vsa);
    SIM_ASSERT(vsa != NULL);
    *vsa = (struct exo_vsa){.next = kernel->vsas, .drive = drive, .blocks = blocks_for(drive, bytes)};
    (void)snprintf(vsa->name, sizeof vsa->name, "%s", name);
    (void)snprintf(vsa->owner, sizeof vsa->owner, "%s", environment->name);
    vsa->extent_count = take(drive, vsa->blocks, wanted, vsa->extents, extents_max(drive));
    if (vsa->extent_count == 0) {
        free(vsa);
        return exo_storage_exhausted(environment, error, "room on the drive");
    }
    if (nvme_namespace_create(drive->device, vsa->extents, vsa->extent_count, &vsa->nsid) != OK) {
        give_extents(drive, vsa->extents, vsa->extent_count);
        free(vsa);
        return exo_storage_exhausted(environment, error, "namespace of the drive");
    }
    kernel->vsas = vsa;
    if (exo_capability_grant(kernel->capabilities, NULL, EXO_VSA, vsa, KERNEL_HOLDER, EXO_ALL, &vsa->root) != OK) {
        end(vsa);
        return exo_storage_exhausted(environment, error, "capability");
    }
    code = hand_out(environment, vsa, EXO_ALL, out, error);
    if (code != OK) {
        exo_capability_revoke(kernel->capabilities, &vsa->root);
    }
    return code;
}

/* Its size counts in the owner's share, and its end is the owner's to say. */
static enum error_code check_owner(struct exo_environment *environment, const struct exo_handle *handle,
                                   struct exo_vsa **vsa, struct error *error) {
    void *object = NULL;
    const enum error_code code = exo_check(environment, handle, EXO_VSA, EXO_CONTROL, &object, error);
    if (code != OK) {
        return code;
    }
    *vsa = object;
    if (owns(environment, *vsa)) {
        return OK;
    }
    environment->counters.storage_refusals++;
    environment->kernel->counters.storage_refusals++;
    return error_set(error, ERR_DENIED, "%s: the storage area \"%s\" is %s's", environment->name, (*vsa)->name,
                     (*vsa)->owner);
}

/* Blocks at the end go back. */
static uint32_t shrink(struct nvme_extent *extents, uint32_t count, uint64_t blocks, struct extents *freed) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t keep = blocks - sum < extents[i].blocks ? blocks - sum : extents[i].blocks;
        if (keep < extents[i].blocks) {
            extents_give(freed, (struct nvme_extent){extents[i].first_block + keep, extents[i].blocks - keep});
        }
        extents[i].blocks = keep;
        sum += keep;
    }
    while (count > 0 && extents[count - 1].blocks == 0) {
        count--;
    }
    return count;
}

/* Blocks are added: right behind the last extent, if they are free, else anywhere. */
static uint32_t grow(struct exo_drive *drive, struct nvme_extent *extents, uint32_t count, uint64_t more) {
    struct nvme_extent *last = &extents[count - 1];
    if (extents_take_at(&drive->free, last->first_block + last->blocks, more)) {
        last->blocks += more;
        return count;
    }
    const uint32_t added = extents_take(&drive->free, more, extents + count, extents_max(drive) - count);
    return added == 0 ? 0 : count + added;
}

enum error_code exo_vsa_resize(struct exo_environment *environment, const struct exo_handle *handle, uint64_t bytes,
                               struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->vsa_create);
    struct exo_vsa *vsa = NULL;
    const enum error_code code = check_owner(environment, handle, &vsa, error);
    if (code != OK) {
        return code;
    }
    const uint64_t blocks = blocks_for(vsa->drive, bytes);
    const uint64_t size = nvme_block_bytes(vsa->drive->device);
    if (blocks == 0) {
        return error_set(error, ERR_RANGE, "%s: a storage area has a size", environment->name);
    }
    const uint64_t held = exo_vsa_bytes_of(environment);
    if (blocks > vsa->blocks && (held > environment->limits.storage_bytes ||
                                 blocks - vsa->blocks > (environment->limits.storage_bytes - held) / size)) {
        return exo_storage_share(environment, error, "storage areas");
    }
    struct nvme_extent extents[EXO_VSA_EXTENTS_MAX];
    memcpy(extents, vsa->extents, sizeof extents);
    uint32_t count = vsa->extent_count;
    struct extents freed = {.count = 0};
    if (blocks < vsa->blocks) {
        count = shrink(extents, count, blocks, &freed);
    } else if (blocks > vsa->blocks) {
        count = grow(vsa->drive, extents, count, blocks - vsa->blocks);
    }
    if (count == 0) {
        return exo_storage_exhausted(environment, error, "room on the drive");
    }
    const enum error_code resized = nvme_namespace_resize(vsa->drive->device, vsa->nsid, extents, count);
    SIM_ASSERT_MSG(resized == OK, "the drive refuses extents that the kernel keeps");
    give_extents(vsa->drive, freed.runs, freed.count);
    extents_fini(&freed);
    memcpy(vsa->extents, extents, sizeof extents);
    vsa->extent_count = count;
    vsa->blocks = blocks;
    return OK;
}

enum error_code exo_vsa_delete(struct exo_environment *environment, const struct exo_handle *handle,
                               struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->vsa_create);
    struct exo_vsa *vsa = NULL;
    const enum error_code code = check_owner(environment, handle, &vsa, error);
    if (code != OK) {
        return code;
    }
    exo_capability_revoke(kernel->capabilities, &vsa->root);
    return OK;
}

/* ---- names ---- */

enum error_code exo_vsa_export(struct exo_environment *environment, const struct exo_handle *handle, const char *to,
                               unsigned rights, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->vsa_name);
    void *object = NULL;
    const unsigned needed = rights | EXO_CONTROL | EXO_GRANT;
    const enum error_code code = exo_check(environment, handle, EXO_VSA, needed, &object, error);
    if (code != OK) {
        return code;
    }
    struct exo_vsa *vsa = object;
    const char *name = to != NULL ? to : "";
    uint32_t at = 0;
    while (at < vsa->export_count && strcmp(vsa->exports[at].to, name) != 0) {
        at++;
    }
    if (at == EXO_VSA_EXPORTS_MAX || strlen(name) >= EXO_VSA_NAME_BYTES) {
        return exo_storage_exhausted(environment, error, "export");
    }
    (void)snprintf(vsa->exports[at].to, sizeof vsa->exports[at].to, "%s", name);
    vsa->exports[at].rights = rights;
    vsa->export_count = at == vsa->export_count ? at + 1 : vsa->export_count;
    return OK;
}

static unsigned exported_to(const struct exo_environment *environment, const struct exo_vsa *vsa) {
    unsigned rights = 0;
    for (uint32_t i = 0; i < vsa->export_count; i++) {
        const bool counts = vsa->exports[i].to[0] == '\0' || strcmp(vsa->exports[i].to, environment->name) == 0;
        rights |= counts ? vsa->exports[i].rights : 0;
    }
    return rights;
}

enum error_code exo_vsa_acquire(struct exo_environment *environment, struct exo_drive *drive, const char *name,
                                unsigned rights, struct exo_handle *out, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->vsa_name);
    struct exo_vsa *vsa = find(kernel, drive, name);
    if (vsa == NULL) {
        return error_set(error, ERR_NOT_FOUND, "%s: the drive has no storage area \"%s\"", environment->name, name);
    }
    const unsigned allowed = owns(environment, vsa) ? (unsigned)EXO_ALL : exported_to(environment, vsa);
    if (rights == 0 || (rights & ~allowed) != 0) {
        environment->counters.storage_refusals++;
        kernel->counters.storage_refusals++;
        return error_set(error, ERR_DENIED, "%s: the storage area \"%s\" is %s's, who has not exported that",
                         environment->name, name, vsa->owner);
    }
    return hand_out(environment, vsa, rights, out, error);
}

/* ---- attachment ---- */

static enum error_code check_both(struct exo_environment *environment, const struct exo_handle *vsic_handle,
                                  const struct exo_handle *vsa_handle, unsigned rights, struct exo_vsic **vsic,
                                  struct exo_vsa **vsa, struct error *error) {
    void *interface = NULL;
    void *area = NULL;
    enum error_code code = exo_check(environment, vsic_handle, EXO_VSIC, EXO_BIND, &interface, error);
    if (code == OK) {
        code = exo_check(environment, vsa_handle, EXO_VSA, rights, &area, error);
    }
    if (code != OK) {
        return code;
    }
    *vsic = interface;
    *vsa = area;
    return (*vsic)->drive == (*vsa)->drive
               ? OK
               : error_set(error, ERR_RANGE, "%s: interface and storage area are of two drives", environment->name);
}

/* Whether an attachment under that capability gives these rights already: attaching
 * again and again must not fill the kernel's memory. */
static bool is_attached(const struct exo_vsic *vsic, const struct exo_vsa *vsa, uint32_t capability, unsigned rights) {
    for (const struct exo_attachment *at = vsic->attachments; at != NULL; at = at->next) {
        if (at->vsa == vsa && at->capability == capability && (at->rights & rights) == rights) {
            return true;
        }
    }
    return false;
}

enum error_code exo_vsa_attach(struct exo_environment *environment, const struct exo_handle *vsic_handle,
                               const struct exo_handle *vsa_handle, bool write, uint32_t *nsid, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->vsa_attach);
    struct exo_vsic *vsic = NULL;
    struct exo_vsa *vsa = NULL;
    const unsigned rights = EXO_READ | (write ? (unsigned)EXO_WRITE : 0U);
    enum error_code code = check_both(environment, vsic_handle, vsa_handle, rights, &vsic, &vsa, error);
    if (code != OK) {
        return code;
    }
    const unsigned access = NVME_RIGHT_READ | (write ? (unsigned)NVME_RIGHT_WRITE : 0U);
    if (is_attached(vsic, vsa, vsa_handle->index, access)) {
        *nsid = vsa->nsid;
        return OK;
    }
    struct exo_attachment *attachment = malloc(sizeof *attachment);
    SIM_ASSERT(attachment != NULL);
    *attachment = (struct exo_attachment){
        .next = vsic->attachments, .vsa = vsa, .capability = vsa_handle->index, .rights = access};
    vsic->attachments = attachment;
    code = exo_vsic_apply(vsic, vsa);
    if (code != OK) {
        vsic->attachments = attachment->next;
        free(attachment);
        return exo_storage_exhausted(environment, error, "place for a storage area");
    }
    *nsid = vsa->nsid;
    return OK;
}

enum error_code exo_vsa_detach(struct exo_environment *environment, const struct exo_handle *vsic_handle,
                               const struct exo_handle *vsa_handle, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->vsa_attach);
    struct exo_vsic *vsic = NULL;
    struct exo_vsa *vsa = NULL;
    const enum error_code code = check_both(environment, vsic_handle, vsa_handle, 0, &vsic, &vsa, error);
    return code != OK ? code : exo_vsic_remove(vsic, vsa, vsa_handle->index);
}

uint64_t exo_vsa_blocks(struct exo_environment *environment, const struct exo_handle *handle) {
    void *object = NULL;
    if (exo_check(environment, handle, EXO_VSA, EXO_READ, &object, NULL) != OK) {
        return 0;
    }
    return ((const struct exo_vsa *)object)->blocks;
}

void exo_vsa_init(struct exo_kernel *kernel) {
    exo_capabilities_on_release(kernel->capabilities, EXO_VSA, release, kernel);
}

void exo_vsa_fini(struct exo_kernel *kernel) {
    while (kernel->vsas != NULL) {
        struct exo_vsa *vsa = kernel->vsas;
        kernel->vsas = vsa->next;
        free(vsa); /* the drive keeps its namespaces */
    }
    while (kernel->drives != NULL) {
        struct exo_drive *drive = kernel->drives;
        exo_emulation_stop(drive);
        kernel->drives = drive->next;
        extents_fini(&drive->free);
        free(drive);
    }
}
