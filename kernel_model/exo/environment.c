#include "kernel_model/exo/environment.h"

#include <stdio.h>
#include <stdlib.h>

/* User mappings start here: high enough to be no physical address by accident. */
static const uint64_t FIRST_VIRTUAL = UINT64_C(0x100000000000);

struct exo_limits exo_limits_default(void) {
    return (struct exo_limits){.ports = 1024,
                               .filters = 64,
                               .queues = 8,
                               .frames = 65536,
                               .table_frames = 16384,
                               .capabilities = 16384,
                               .bindings = 65536,
                               .slices = 64,
                               .storage_interfaces = 4,
                               .storage_queues = 8,
                               .storage_areas = 16,
                               .storage_bytes = UINT64_C(1) << 40,
                               .storage_weight = 1,
                               .address = 0,
                               .address_mask = UINT32_MAX};
}

/* Frames of page tables: charged and remembered, to be given back with the environment. */
static uint64_t table_frame_allocate(void *context) {
    struct exo_environment *environment = context;
    environment->table_refused = environment->table_frame_count >= environment->limits.table_frames;
    const uint64_t frame = environment->table_refused ? 0 : frames_allocate(environment->kernel->frames);
    if (frame == 0) {
        return 0;
    }
    if (environment->table_frame_count == environment->table_frame_capacity) {
        environment->table_frame_capacity = 2 * environment->table_frame_capacity + 16;
        environment->table_frames =
            realloc(environment->table_frames, environment->table_frame_capacity * sizeof *environment->table_frames);
        SIM_ASSERT(environment->table_frames != NULL);
    }
    environment->table_frames[environment->table_frame_count++] = frame;
    return frame;
}

enum error_code exo_tables_error(struct exo_environment *environment, enum error_code code) {
    if (code != ERR_EXHAUSTED || !environment->table_refused) {
        return code;
    }
    environment->table_refused = false;
    return exo_share(environment, "frames of page tables", NULL);
}

struct address_space *exo_address_space_create(struct exo_environment *environment, struct error *error) {
    struct address_space *space =
        address_space_create(environment->kernel->machine->memory, table_frame_allocate, environment);
    if (space == NULL) {
        (void)error_set(error, exo_tables_error(environment, ERR_EXHAUSTED), "%s: no memory for page tables",
                        environment->name);
    }
    return space;
}

/* An address space and a domain, where hardware walks tables. */
static enum error_code make_spaces(struct exo_environment *environment, struct error *error) {
    struct machine *machine = environment->kernel->machine;
    if (machine->r3000 != NULL) {
        return OK; /* a software TLB */
    }
    environment->space = address_space_create(machine->memory, table_frame_allocate, environment);
    environment->domain = iommu_domain_create(machine->iommu, table_frame_allocate, environment, error);
    if (environment->space != NULL && environment->domain != NULL) {
        return OK;
    }
    return error_set(error, exo_tables_error(environment, ERR_EXHAUSTED), "%s: no memory for page tables",
                     environment->name);
}

struct exo_environment *exo_environment_create(struct exo_kernel *kernel, const char *name,
                                               const struct exo_limits *limits, struct error *error) {
    exo_enter(kernel, NULL);
    struct exo_environment *environment = calloc(1, sizeof *environment);
    SIM_ASSERT(environment != NULL);
    environment->kernel = kernel;
    environment->number = ++kernel->last_environment;
    environment->limits = *limits;
    environment->next_virtual = FIRST_VIRTUAL;
    (void)snprintf(environment->name, sizeof environment->name, "%s", name);
    if (!exo_capabilities_open(kernel->capabilities, environment->number, limits->capabilities)) {
        free(environment);
        (void)error_set(error, ERR_EXHAUSTED, "%s: there are not so many capabilities to reserve", name);
        return NULL;
    }
    struct exo_environment **end = &kernel->environments;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = environment;
    if (make_spaces(environment, error) != OK) {
        exo_environment_destroy(environment);
        return NULL;
    }
    return environment;
}

/* With its last capability all else went that it was charged for. */
static void check_nothing_held(const struct exo_environment *environment) {
    SIM_ASSERT_MSG(environment->frames_held == 0 && environment->bindings_held == 0, "%s: memory is held",
                   environment->name);
    SIM_ASSERT_MSG(environment->filters_held == 0 && environment->queues_held == 0, "%s: filters or queues are held",
                   environment->name);
    SIM_ASSERT_MSG(environment->storage_interfaces_held == 0 && environment->storage_queues_held == 0,
                   "%s: storage is held", environment->name);
}

void exo_environment_destroy(struct exo_environment *environment) {
    struct exo_kernel *kernel = environment->kernel;
    exo_capability_revoke_holder(kernel->capabilities, environment->number);
    exo_capabilities_close(kernel->capabilities, environment->number);
    check_nothing_held(environment);
    struct exo_environment **at = &kernel->environments;
    while (*at != environment) {
        at = &(*at)->next;
    }
    *at = environment->next;
    if (environment->space != NULL) {
        address_space_free(environment->space);
    }
    if (environment->domain != NULL) {
        iommu_domain_destroy(environment->domain);
    }
    for (uint32_t i = 0; i < environment->table_frame_count; i++) {
        frames_give_back(kernel->frames, environment->table_frames[i]);
    }
    free(environment->table_frames);
    free(environment);
}

enum error_code exo_derive(struct exo_environment *environment, const struct exo_handle *handle, unsigned rights,
                           const struct exo_environment *to, struct exo_handle *out, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->capability_check);
    enum error_code code = OK;
    const enum exo_refusal refusal =
        exo_capability_derive(kernel->capabilities, environment->number, handle, rights, to->number, out, &code);
    kernel->counters.refused[refusal]++;
    environment->counters.refused[refusal]++;
    if (refusal != EXO_ALLOWED) {
        return error_set(error, code, "%s: no capability for %s: %s", environment->name, to->name,
                         exo_refusal_text(refusal));
    }
    return code == OK ? OK : exo_no_capability(environment, code, error);
}

enum error_code exo_grant(struct exo_environment *environment, const struct exo_handle *parent, enum exo_type type,
                          void *object, struct exo_handle *out, struct error *error) {
    const enum error_code code = exo_capability_grant(environment->kernel->capabilities, parent, type, object,
                                                      environment->number, EXO_ALL, out);
    return code == OK ? OK : exo_no_capability(environment, code, error);
}

enum error_code exo_share(struct exo_environment *environment, const char *what, struct error *error) {
    environment->counters.shares++;
    environment->kernel->counters.shares++;
    return error_set(error, ERR_SHARE, "%s: it has its share of %s", environment->name, what);
}

enum error_code exo_no_capability(struct exo_environment *environment, enum error_code code, struct error *error) {
    if (code == ERR_SHARE) {
        return exo_share(environment, "capabilities", error);
    }
    environment->counters.exhausted++;
    environment->kernel->counters.exhausted++;
    return error_set(error, code, "%s: the table of capabilities is full", environment->name);
}

enum error_code exo_revoke(struct exo_environment *environment, const struct exo_handle *handle, struct error *error) {
    exo_enter(environment->kernel, NULL);
    const enum error_code code = exo_check(environment, handle, (enum exo_type)handle->type, EXO_CONTROL, NULL, error);
    if (code == OK) {
        exo_capability_revoke(environment->kernel->capabilities, handle);
    }
    return code;
}

uint64_t exo_environment_reserve(struct exo_environment *environment, uint64_t length_bytes) {
    const uint64_t at = environment->next_virtual;
    const uint64_t frames = (length_bytes + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES;
    /* One page is left out behind each run: an overrun faults. */
    environment->next_virtual += (frames + 1) * MEMORY_FRAME_BYTES;
    return at;
}
