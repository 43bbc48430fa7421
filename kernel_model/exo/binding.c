#include "kernel_model/exo/binding.h"

#include <stdlib.h>
#include <string.h>

#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/aegis_user.h"
#include "kernel_model/exo/revocation.h"

enum { NO_CAPABILITY = UINT32_MAX };

/* A page and its address space in a word, and a frame and its rights in another: the
 * kernel's record of a guaranteed mapping (on the R3000, EntryHi and EntryLo). */
static uint32_t word_of(uint32_t page, unsigned name_space) {
    return page | (uint32_t)name_space << AEGIS_ASID_SHIFT;
}

/* The kernel's own mappings are in every name space; they are recorded in the first. */
static unsigned space_of(const struct aegis_environment *environment, uint32_t page) {
    const bool own = page == AEGIS_SAVE_AREA_AT || page == AEGIS_FREE_MAP_AT;
    return own ? environment->home : environment->asid;
}

static uint32_t hi_of(const struct aegis_environment *environment, uint32_t page) {
    return word_of(page, space_of(environment, page));
}

/* ---- guaranteed mappings: a short list in the environment's block ---- */

static uint64_t guaranteed_at(const struct aegis_environment *environment, uint32_t index) {
    return environment->block + AEGIS_BLOCK_GUARANTEED + 4 + 8 * (uint64_t)index;
}

static bool guaranteed_find(struct aegis_environment *environment, uint32_t hi, uint32_t *index, uint32_t *lo) {
    struct aegis *aegis = environment->aegis;
    const uint32_t count = aegis_load(aegis, environment->block + AEGIS_BLOCK_GUARANTEED);
    for (uint32_t i = 0; i < count; i++) {
        aegis_step(aegis, &aegis->costs->guaranteed_probe);
        if (aegis_load(aegis, guaranteed_at(environment, i)) == hi) {
            *index = i;
            *lo = aegis_load(aegis, guaranteed_at(environment, i) + 4);
            return true;
        }
    }
    *index = count;
    return false;
}

static void guaranteed_put(struct aegis_environment *environment, uint32_t hi, uint32_t lo) {
    struct aegis *aegis = environment->aegis;
    uint32_t index = 0, old = 0;
    if (!guaranteed_find(environment, hi, &index, &old)) {
        SIM_ASSERT(index < AEGIS_GUARANTEED_MAX + 2);
        aegis_store(aegis, environment->block + AEGIS_BLOCK_GUARANTEED, index + 1);
    }
    aegis_store(aegis, guaranteed_at(environment, index), hi);
    aegis_store(aegis, guaranteed_at(environment, index) + 4, lo);
}

static struct aegis_frame *own_frame(struct aegis_environment *environment, uint64_t physical) {
    struct aegis_frame *at = environment->frames;
    while (at != NULL && at->physical != physical) {
        at = at->next;
    }
    return at;
}

static bool guaranteed_names(struct aegis_environment *environment, uint64_t physical, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if ((aegis_load(environment->aegis, guaranteed_at(environment, i) + 4) & AEGIS_LO_FRAME) == physical) {
            return true;
        }
    }
    return false;
}

/* With its last guaranteed mapping a frame may be revoked again. */
static void guaranteed_drop(struct aegis_environment *environment, uint32_t hi) {
    struct aegis *aegis = environment->aegis;
    uint32_t index = 0, lo = 0;
    if (!guaranteed_find(environment, hi, &index, &lo)) {
        return;
    }
    const uint32_t last = aegis_load(aegis, environment->block + AEGIS_BLOCK_GUARANTEED) - 1;
    for (uint64_t half = 0; half < 8; half += 4) {
        aegis_store(aegis, guaranteed_at(environment, index) + half,
                    aegis_load(aegis, guaranteed_at(environment, last) + half));
    }
    aegis_store(aegis, environment->block + AEGIS_BLOCK_GUARANTEED, last);
    struct aegis_frame *frame = own_frame(environment, lo & AEGIS_LO_FRAME);
    if (frame != NULL && frame->guaranteed && !guaranteed_names(environment, lo & AEGIS_LO_FRAME, last)) {
        frame->guaranteed = false;
        environment->guaranteed--;
    }
}

/* The mappings that count: the free map's is the kernel's. */
static bool guaranteed_is_full(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    return aegis_load(aegis, environment->block + AEGIS_BLOCK_GUARANTEED) - 1 >= aegis->config.guaranteed_pages;
}

bool aegis_guaranteed_find(struct aegis_environment *environment, uint32_t page, uint32_t *lo) {
    uint32_t index = 0;
    return guaranteed_find(environment, hi_of(environment, page), &index, lo);
}

/* ---- the kernel's records ---- */

static struct aegis_binding **bucket_of(struct aegis_environment *environment, uint32_t page) {
    return &environment->bindings[(page >> AEGIS_PAGE_BITS) % AEGIS_BINDING_BUCKETS];
}

struct aegis_binding *aegis_binding_find(struct aegis_environment *environment, uint32_t page) {
    struct aegis_binding *at = *bucket_of(environment, page);
    const unsigned name_space = space_of(environment, page);
    while (at != NULL && (at->page != page || at->name_space != name_space)) {
        at = at->next_of_environment;
    }
    return at;
}

static void unlink_record(struct aegis *aegis, struct aegis_binding *binding) {
    struct aegis_binding **at = bucket_of(binding->environment, binding->page);
    while (*at != binding) {
        at = &(*at)->next_of_environment;
    }
    *at = binding->next_of_environment;
    at = &aegis->frame_bindings[binding->frame];
    while (*at != binding) {
        at = &(*at)->next_of_frame;
    }
    *at = binding->next_of_frame;
    binding->environment->environment->bindings_held--;
    free(binding);
}

/* Takes a binding out of all that enforces it. */
static void unbind(struct aegis *aegis, struct aegis_binding *binding) {
    const uint32_t hi = word_of(binding->page, binding->name_space);
    aegis->machine->unbind(binding->environment, binding->name_space, binding->page);
    if (binding->guaranteed) {
        guaranteed_drop(binding->environment, hi);
    }
    unlink_record(aegis, binding);
}

static void record(struct aegis_environment *environment, uint32_t page, uint64_t physical, uint32_t capability,
                   bool write) {
    struct aegis *aegis = environment->aegis;
    const uint32_t frame = (uint32_t)(physical / MEMORY_FRAME_BYTES);
    struct aegis_binding *binding = aegis_binding_find(environment, page);
    if (binding != NULL && binding->frame == frame) {
        binding->write = write || (binding->write && binding->capability == capability);
        binding->capability = capability;
        return;
    }
    if (binding != NULL) {
        unbind(aegis, binding);
    }
    binding = calloc(1, sizeof *binding);
    SIM_ASSERT(binding != NULL);
    struct aegis_binding **bucket = bucket_of(environment, page);
    *binding = (struct aegis_binding){.next_of_frame = aegis->frame_bindings[frame],
                                      .next_of_environment = *bucket,
                                      .environment = environment,
                                      .name_space = space_of(environment, page),
                                      .page = page,
                                      .frame = frame,
                                      .capability = capability,
                                      .write = write};
    *bucket = aegis->frame_bindings[frame] = binding;
    environment->environment->bindings_held++;
}

/* Whether a record more would be too many: one that takes another's place is none more. */
static enum error_code check_share(struct aegis_environment *environment, uint32_t page, struct error *error) {
    struct exo_environment *charged = environment->environment;
    const bool has_room = charged->bindings_held < charged->limits.bindings;
    return has_room || aegis_binding_find(environment, page) != NULL ? OK : exo_share(charged, "bindings", error);
}

void aegis_forget(struct aegis_environment *environment, unsigned name_space) {
    for (uint32_t i = 0; i < AEGIS_BINDING_BUCKETS; i++) {
        for (struct aegis_binding *at = environment->bindings[i], *next; at != NULL; at = next) {
            next = at->next_of_environment;
            if (name_space == AEGIS_ANY_NAME_SPACE || at->name_space == name_space) {
                unbind(environment->aegis, at);
            }
        }
    }
}

static void frame_forget(struct aegis *aegis, uint64_t physical) {
    for (struct aegis_environment *holder = aegis->environments; holder != NULL; holder = holder->next) {
        for (struct aegis_frame **at = &holder->frames; *at != NULL; at = &(*at)->next) {
            struct aegis_frame *frame = *at;
            if (frame->physical == physical) {
                holder->guaranteed -= frame->guaranteed ? 1 : 0;
                *at = frame->next;
                free(frame);
                return;
            }
        }
    }
}

/* A capability of frames ends: what was bound under it is broken first. */
static void on_released(void *context, uint64_t physical, uint64_t count, uint32_t capability, bool derived) {
    struct aegis *aegis = context;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t frame = physical / MEMORY_FRAME_BYTES + i;
        for (struct aegis_binding *at = aegis->frame_bindings[frame]; at != NULL;) {
            struct aegis_binding *next = at->next_of_frame;
            if (!derived || at->capability == capability) {
                unbind(aegis, at);
            }
            at = next;
        }
        if (!derived) {
            frame_forget(aegis, physical + i * MEMORY_FRAME_BYTES);
            aegis_mark_free(aegis, physical + i * MEMORY_FRAME_BYTES, true);
        }
    }
}

/* ---- the free map ---- */

void aegis_mark_free(struct aegis *aegis, uint64_t physical, bool is_free) {
    const uint64_t frame = physical / MEMORY_FRAME_BYTES, word = aegis->free_map + frame / 32 * 4;
    const uint32_t bit = UINT32_C(1) << frame % 32, old = aegis_load(aegis, word);
    aegis_store(aegis, word, is_free ? old | bit : old & ~bit);
}

bool aegis_frame_is_free(struct aegis_environment *environment, uint64_t physical) {
    const uint64_t frame = physical / MEMORY_FRAME_BYTES;
    uint32_t byte = 0;
    return frame < environment->aegis->frame_count &&
           aegis_user_load(environment, AEGIS_FREE_MAP_AT + (uint32_t)(frame / 8), 1, &byte) &&
           (byte >> frame % 8 & 1) != 0;
}

void aegis_binding_init(struct aegis *aegis) {
    const struct frames *frames = aegis->kernel->frames;
    aegis->frame_count = memory_size(aegis->kernel->machine->memory) / MEMORY_FRAME_BYTES;
    aegis->frame_bindings = calloc(aegis->frame_count, sizeof *aegis->frame_bindings);
    SIM_ASSERT(aegis->frame_bindings != NULL);
    aegis->kernel->frames_released = on_released;
    aegis->kernel->frames_released_context = aegis;
    for (uint64_t i = 0; i < aegis->frame_count; i++) {
        aegis_mark_free(aegis, i * MEMORY_FRAME_BYTES, frames_is_free(frames, i * MEMORY_FRAME_BYTES));
    }
}

void aegis_binding_fini(struct aegis *aegis) {
    aegis->kernel->frames_released = NULL;
    free(aegis->frame_bindings);
}

/* ---- frames ---- */

static uint64_t find_color(const struct aegis *aegis, uint32_t color) {
    for (uint64_t i = color; i < aegis->frame_count; i += aegis->config.page_colors) {
        if (frames_is_free(aegis->kernel->frames, i * MEMORY_FRAME_BYTES)) {
            return i * MEMORY_FRAME_BYTES;
        }
    }
    return 0;
}

static enum error_code allocate(struct aegis_environment *environment, uint64_t wanted, uint32_t color,
                                struct exo_region *region, struct error *error) {
    struct aegis *aegis = environment->aegis;
    if (color != AEGIS_ANY_COLOR && color >= aegis->config.page_colors) {
        return error_set(error, ERR_RANGE, "there is no color %u", color);
    }
    if (wanted == 0 && color != AEGIS_ANY_COLOR) {
        wanted = find_color(aegis, color);
        if (wanted == 0) {
            return error_set(error, ERR_EXHAUSTED, "no frame of color %u is free", color);
        }
    }
    return exo_memory_allocate(environment->environment, wanted, MEMORY_FRAME_BYTES, region, error);
}

enum error_code aegis_frame_allocate(struct aegis_environment *environment, uint64_t wanted, uint32_t color,
                                     struct exo_handle *handle, uint64_t *physical, struct error *error) {
    struct aegis *aegis = environment->aegis;
    struct exo_region region = {0};
    aegis_call_begin(environment, aegis_components.binding, true);
    aegis_step(aegis, &aegis->costs->frame_allocate);
    const enum error_code code = allocate(environment, wanted, color, &region, error);
    aegis_work(aegis, aegis_components.binding);
    if (code == OK) {
        struct aegis_frame *frame = calloc(1, sizeof *frame);
        SIM_ASSERT(frame != NULL);
        *frame = (struct aegis_frame){.handle = region.handle, .physical = region.physical};
        struct aegis_frame **end = &environment->frames;
        while (*end != NULL) {
            end = &(*end)->next;
        }
        *end = frame;
        *handle = region.handle;
        *physical = region.physical;
        aegis_mark_free(aegis, region.physical, false);
    } else if (code == ERR_EXHAUSTED) {
        aegis_revocation_demand(environment);
    }
    aegis_call_end(environment);
    return code;
}

enum error_code aegis_frame_release(struct aegis_environment *environment, const struct exo_handle *handle,
                                    struct error *error) {
    struct aegis *aegis = environment->aegis;
    uint64_t physical = 0, count = 0;
    aegis_call_begin(environment, aegis_components.binding, true);
    const enum error_code code = aegis_check_frames(environment, handle, EXO_CONTROL, &physical, &count, error);
    if (code == OK) {
        aegis_step(aegis, &aegis->costs->frame_release);
        exo_capability_revoke(aegis->kernel->capabilities, handle);
        aegis_revocation_answered(environment);
    }
    aegis_call_end(environment);
    return code;
}

/* ---- translations ---- */

uint32_t aegis_entry_lo(uint64_t physical, bool write) {
    return ((uint32_t)physical & AEGIS_LO_FRAME) | AEGIS_LO_VALID | (write ? AEGIS_LO_WRITE : 0);
}

/* Its own pages are the kernel's to map. */
enum error_code aegis_check_page(const struct aegis_environment *environment, uint32_t page, struct error *error) {
    if (page >= AEGIS_USER_END || page == AEGIS_SAVE_AREA_AT || page == AEGIS_FREE_MAP_AT) {
        return error_set(error, ERR_RANGE, "%s: 0x%x is not a page to bind", environment->environment->name, page);
    }
    return OK;
}

/* Whether the page may be bound to the frame of that capability. */
static enum error_code check_insert(struct aegis_environment *environment, uint32_t page,
                                    const struct exo_handle *handle, bool write, uint64_t *physical,
                                    struct error *error) {
    const unsigned rights = EXO_READ | (write ? (unsigned)EXO_WRITE : 0U);
    uint64_t count = 0;
    enum error_code code = aegis_check_frames(environment, handle, rights, physical, &count, error);
    if (code == OK) {
        code = aegis_check_page(environment, page, error);
    }
    return code == OK ? check_share(environment, page, error) : code;
}

static enum error_code insert(struct aegis_environment *environment, uint32_t page, const struct exo_handle *handle,
                              bool write, uint64_t physical, struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_step(aegis, &aegis->costs->tlb_insert);
    record(environment, page, physical, handle->index, write);
    if (aegis_binding_find(environment, page)->guaranteed) { /* or a miss would bring the old rights back */
        guaranteed_put(environment, hi_of(environment, page), aegis_entry_lo(physical, write));
    }
    const enum error_code code = aegis->machine->bind(environment, page, physical, write, error);
    if (code != OK) { /* there is no room for its page table: nothing is bound */
        unbind(aegis, aegis_binding_find(environment, page));
    }
    return code;
}

enum error_code aegis_tlb_insert(struct aegis_environment *environment, uint32_t virtual_address,
                                 const struct exo_handle *handle, bool write, struct error *error) {
    const uint32_t page = virtual_address & AEGIS_PAGE_MASK;
    uint64_t physical = 0;
    aegis_call_begin(environment, aegis_components.binding, true);
    enum error_code code = check_insert(environment, page, handle, write, &physical, error);
    if (code == OK) {
        code = insert(environment, page, handle, write, physical, error);
    }
    aegis_call_end(environment);
    return code;
}

void aegis_tlb_remove(struct aegis_environment *environment, uint32_t virtual_address) {
    struct aegis *aegis = environment->aegis;
    const uint32_t page = virtual_address & AEGIS_PAGE_MASK;
    aegis_call_begin(environment, aegis_components.binding, true);
    aegis_step(aegis, &aegis->costs->tlb_remove);
    struct aegis_binding *binding = aegis_binding_find(environment, page);
    if (binding != NULL && aegis_check_page(environment, page, NULL) == OK) {
        unbind(aegis, binding);
    }
    aegis_call_end(environment);
}

enum error_code aegis_map_guaranteed(struct aegis_environment *environment, uint32_t virtual_address,
                                     const struct exo_handle *handle, bool write, struct error *error) {
    const uint32_t page = virtual_address & AEGIS_PAGE_MASK;
    uint64_t physical = 0;
    aegis_call_begin(environment, aegis_components.binding, true);
    struct aegis_frame *frame = NULL;
    enum error_code code = OK;
    if (guaranteed_is_full(environment)) {
        code = exo_share(environment->environment, "guaranteed pages", error);
    } else {
        code = check_insert(environment, page, handle, write, &physical, error);
    }
    if (code == OK) { /* before anything is bound: what is refused changes nothing */
        frame = own_frame(environment, physical);
        code = frame != NULL ? insert(environment, page, handle, write, physical, error)
                             : error_set(error, ERR_DENIED, "%s: only its own frames are guaranteed",
                                         environment->environment->name);
    }
    if (code == OK && frame != NULL) {
        aegis_binding_find(environment, page)->guaranteed = true;
        guaranteed_put(environment, hi_of(environment, page), aegis_entry_lo(physical, write));
        environment->guaranteed += frame->guaranteed ? 0 : 1;
        frame->guaranteed = true;
    }
    aegis_call_end(environment);
    return code;
}

enum error_code aegis_map_own(struct aegis_environment *environment, uint32_t virtual_address, uint64_t physical,
                              bool write, struct error *error) {
    record(environment, virtual_address, physical, NO_CAPABILITY, write);
    aegis_binding_find(environment, virtual_address)->guaranteed = true;
    guaranteed_put(environment, hi_of(environment, virtual_address), aegis_entry_lo(physical, write));
    return environment->aegis->machine->keep(environment, virtual_address, physical, write, error);
}
