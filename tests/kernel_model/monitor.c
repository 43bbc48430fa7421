/* monitor.c: who was given what, and what tables in memory have to say of it. */
#include "tests/kernel_model/monitor.h"

#include <stdlib.h>
#include <string.h>

#include "sim/error.h"

enum { PAGE = 4096, LEVELS = 4, ENTRIES = 512 };

static void fault(struct monitor *monitor, const char *what) {
    monitor->fault = monitor->fault != NULL ? monitor->fault : what;
}

void monitor_init(struct monitor *monitor) {
    memset(monitor, 0, sizeof *monitor);
    monitor->at = calloc(MONITOR_SLOTS, sizeof *monitor->at);
    SIM_ASSERT(monitor->at != NULL);
}

void monitor_fini(struct monitor *monitor) {
    free(monitor->at);
}

/* ---- capabilities ---- */

struct monitor_capability *monitor_find(const struct monitor *monitor, const struct exo_handle *handle) {
    struct monitor_capability *at = handle->index < MONITOR_SLOTS ? &monitor->at[handle->index] : NULL;
    return at != NULL && at->live && memcmp(&at->handle, handle, sizeof *handle) == 0 ? at : NULL;
}

bool monitor_allows(const struct monitor *monitor, uint32_t holder, const struct exo_handle *handle, uint32_t type,
                    unsigned rights) {
    const struct monitor_capability *at = monitor_find(monitor, handle);
    return at != NULL && at->holder == holder && at->type == type && (rights & ~at->rights) == 0;
}

struct monitor_capability *monitor_granted(struct monitor *monitor, const struct exo_handle *parent, uint32_t type,
                                           uint32_t holder, const struct exo_handle *out) {
    static struct monitor_capability nowhere;
    if (out->index >= MONITOR_SLOTS || monitor->at[out->index].live) {
        fault(monitor, "a new capability stands where one lives");
        return &nowhere;
    }
    struct monitor_capability *at = &monitor->at[out->index];
    if (memcmp(&at->handle, out, sizeof *out) == 0) {
        fault(monitor, "a handle that had ended means something again");
    }
    if (out->holder != holder || out->type != type) {
        fault(monitor, "a handle says other than what was asked for");
    }
    *at = (struct monitor_capability){.live = true,
                                      .handle = *out,
                                      .holder = holder,
                                      .rights = out->rights,
                                      .type = type,
                                      .parent = parent != NULL ? parent->index : (uint32_t)MONITOR_NONE};
    monitor->used = out->index >= monitor->used ? out->index + 1 : monitor->used;
    return at;
}

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes) {
    return a < b + b_bytes && b < a + a_bytes;
}

void monitor_granted_frames(struct monitor *monitor, uint32_t holder, const struct exo_handle *out, uint64_t physical,
                            uint64_t length_bytes) {
    for (uint32_t i = 0; i < monitor->used; i++) {
        const struct monitor_capability *at = &monitor->at[i];
        if (at->live && at->type == EXO_FRAMES && overlap(at->physical, at->length_bytes, physical, length_bytes)) {
            fault(monitor, "frames were given that are somebody's");
        }
    }
    struct monitor_capability *at = monitor_granted(monitor, NULL, EXO_FRAMES, holder, out);
    at->physical = physical;
    at->length_bytes = length_bytes;
}

void monitor_derived(struct monitor *monitor, const struct exo_handle *parent, unsigned rights, uint32_t to,
                     const struct exo_handle *out) {
    const struct monitor_capability *from = monitor_find(monitor, parent);
    if (from == NULL || (rights & ~from->rights) != 0 || out->rights != rights) {
        fault(monitor, "a capability was derived from none, or with more rights");
        return;
    }
    struct monitor_capability *at = monitor_granted(monitor, parent, from->type, to, out);
    at->derived = true;
    at->physical = from->physical;
    at->length_bytes = from->length_bytes;
    at->object = from->object;
}

static void end(struct monitor *monitor, uint32_t index) {
    struct monitor_capability *at = &monitor->at[index];
    at->live = false;
    for (uint32_t i = 0; i < monitor->used; i++) {
        if (monitor->at[i].live && monitor->at[i].parent == index) {
            end(monitor, i);
        }
    }
    for (uint32_t i = 0; i < monitor->mappings_used; i++) {
        struct monitor_mapping *mapping = &monitor->mappings[i];
        mapping->live = mapping->live && mapping->capability != index;
    }
    if (monitor->ended != NULL) {
        monitor->ended(at);
    }
}

void monitor_revoked(struct monitor *monitor, const struct exo_handle *handle) {
    const struct monitor_capability *at = monitor_find(monitor, handle);
    if (at != NULL) {
        end(monitor, handle->index);
    }
}

void monitor_holder_ended(struct monitor *monitor, uint32_t holder) {
    for (uint32_t i = 0; i < monitor->used; i++) {
        if (monitor->at[i].live && monitor->at[i].holder == holder) {
            end(monitor, i);
        }
    }
}

void monitor_object_ended(struct monitor *monitor, uint32_t type, uint64_t object) {
    for (uint32_t i = 0; i < monitor->used; i++) {
        if (monitor->at[i].live && monitor->at[i].type == type && monitor->at[i].object == object) {
            end(monitor, i);
        }
    }
}

void monitor_mapped(struct monitor *monitor, const struct monitor_mapping *mapping) {
    for (uint32_t i = 0; i < MONITOR_MAPPINGS; i++) {
        if (!monitor->mappings[i].live) {
            monitor->mappings[i] = *mapping;
            monitor->mappings[i].live = true;
            monitor->mappings_used = i >= monitor->mappings_used ? i + 1 : monitor->mappings_used;
            return;
        }
    }
    fault(monitor, "the monitor has no room for another mapping");
}

/* ---- bindings of single pages ---- */

static struct monitor_mapping *mapping_of(struct monitor *monitor, uint32_t space, uint64_t page) {
    for (uint32_t i = 0; i < monitor->mappings_used; i++) {
        struct monitor_mapping *at = &monitor->mappings[i];
        if (at->live && at->environment == space && page - at->virtual_address < at->length_bytes) {
            return at;
        }
    }
    return NULL;
}

void monitor_bound(struct monitor *monitor, uint32_t space, uint64_t page, const struct exo_handle *handle,
                   bool write) {
    const struct monitor_capability *under = monitor_find(monitor, handle);
    if (under == NULL) {
        fault(monitor, "a page is bound under no capability");
        return;
    }
    if ((under->rights & EXO_READ) == 0 || (write && (under->rights & EXO_WRITE) == 0)) {
        fault(monitor, "a page is bound against its capability");
    }
    /* What it was bound for under this capability its owner may protect and unprotect. */
    const struct monitor_mapping *was = mapping_of(monitor, space, page);
    const bool also = was != NULL && was->capability == handle->index && was->write;
    monitor_unbound(monitor, space, page);
    const struct monitor_mapping mapping = {.write = write || also,
                                            .environment = space,
                                            .capability = handle->index,
                                            .virtual_address = page,
                                            .physical = under->physical,
                                            .length_bytes = PAGE};
    monitor_mapped(monitor, &mapping);
}

void monitor_unbound(struct monitor *monitor, uint32_t space, uint64_t page) {
    struct monitor_mapping *at = mapping_of(monitor, space, page);
    if (at != NULL && at->capability != MONITOR_NONE) {
        at->live = false;
    }
}

bool monitor_is_bound(struct monitor *monitor, uint32_t space, uint64_t page) {
    return mapping_of(monitor, space, page) != NULL;
}

void monitor_space_ended(struct monitor *monitor, uint32_t space) {
    for (uint32_t i = 0; i < monitor->mappings_used; i++) {
        struct monitor_mapping *at = &monitor->mappings[i];
        at->live = at->live && at->environment != space;
    }
}

bool monitor_frame_taken(struct monitor *monitor, uint32_t holder, uint64_t physical) {
    for (uint32_t i = 0; i < monitor->used; i++) {
        const struct monitor_capability *at = &monitor->at[i];
        if (at->live && at->type == EXO_FRAMES && !at->derived && at->holder == holder && at->physical == physical) {
            end(monitor, i);
            return true;
        }
    }
    return false;
}

void monitor_check_entry(struct monitor *monitor, uint32_t space, uint64_t page, uint64_t physical, bool write) {
    const struct monitor_mapping *at = mapping_of(monitor, space, page);
    if (at == NULL) {
        fault(monitor, "a page is mapped under no capability");
    } else if (physical != at->physical + (page - at->virtual_address)) {
        fault(monitor, "a page leads elsewhere than what was mapped there");
    } else if (write && !at->write) {
        fault(monitor, "a page can be written against its capability");
    }
}

/* ---- time ---- */

void monitor_time(struct monitor *monitor, uint64_t now) {
    uint32_t slices[MONITOR_HOLDERS] = {0}, all = 0;
    for (uint32_t i = 0; i < monitor->used; i++) {
        const struct monitor_capability *at = &monitor->at[i];
        if (at->live && at->type == EXO_SLICE && !at->derived) {
            slices[at->holder % MONITOR_HOLDERS]++;
            all++;
        }
    }
    for (uint32_t i = 0; all > 0 && i < MONITOR_HOLDERS; i++) {
        monitor->entitled[i] += (double)(now - monitor->now) * slices[i] / all;
    }
    monitor->now = now;
}

void monitor_check_time(struct monitor *monitor, uint32_t holder, uint64_t used, uint64_t slack) {
    if ((double)(used + slack) < monitor->entitled[holder % MONITOR_HOLDERS]) {
        fault(monitor, "somebody did not get the time of its slices");
    }
}

/* ---- tables ---- */

uint32_t monitor_owner_of(const struct monitor *monitor, uint64_t physical) {
    for (uint32_t i = 0; i < monitor->used; i++) {
        const struct monitor_capability *at = &monitor->at[i];
        if (at->live && at->type == EXO_FRAMES && !at->derived &&
            overlap(at->physical, at->length_bytes, physical, PAGE)) {
            return at->holder;
        }
    }
    return 0;
}

static bool holds_frame(const struct monitor *monitor, uint32_t holder, uint64_t frame, unsigned rights) {
    for (uint32_t i = 0; i < monitor->used; i++) {
        const struct monitor_capability *at = &monitor->at[i];
        if (at->live && at->type == EXO_FRAMES && at->holder == holder && (rights & ~at->rights) == 0 &&
            frame - at->physical < at->length_bytes) {
            return true;
        }
    }
    return false;
}

bool monitor_holds(const struct monitor *monitor, uint32_t holder, uint64_t physical, uint64_t length_bytes,
                   unsigned rights) {
    bool holds = length_bytes > 0 && length_bytes <= UINT64_MAX - physical;
    for (uint64_t frame = physical / PAGE * PAGE; holds && frame < physical + length_bytes; frame += PAGE) {
        holds = holds_frame(monitor, holder, frame, rights);
    }
    return holds;
}

/* A walk over one environment's table. */
struct walk {
    struct monitor *monitor;
    const struct memory *memory;
    uint32_t environment;
    bool device, at_most;
    uint64_t leaves, others; /* that were mapped; that were not */
};

/* The bits of both formats that matter here: a leaf that can be read, and written. */
static bool present(uint64_t entry) {
    return (entry & 1) != 0;
}
static bool writable(uint64_t entry) {
    return (entry & 2) != 0;
}

static void leaf(struct walk *walk, uint64_t address, uint64_t entry) {
    const uint64_t physical = entry & UINT64_C(0x000ffffffffff000);
    if (walk->at_most) {
        monitor_check_entry(walk->monitor, walk->environment, address, physical, writable(entry));
        return;
    }
    for (uint32_t i = 0; i < MONITOR_MAPPINGS; i++) {
        const struct monitor_mapping *at = &walk->monitor->mappings[i];
        if (!at->live || at->environment != walk->environment || (walk->device && at->registers) ||
            address - at->virtual_address >= at->length_bytes) {
            continue;
        }
        if (physical != at->physical + (address - at->virtual_address)) {
            fault(walk->monitor, "a page leads elsewhere than what was mapped there");
        }
        if (writable(entry) != at->write) {
            fault(walk->monitor, "a page can be written, or cannot, against its capability");
        }
        walk->leaves++;
        return;
    }
    walk->others++;
    if (!walk->device || monitor_owner_of(walk->monitor, physical) != 0) {
        fault(walk->monitor, "a page is mapped under no capability");
    }
}

static void table(struct walk *walk, uint64_t physical, unsigned level, uint64_t address) {
    if (!memory_contains(walk->memory, physical, PAGE)) {
        fault(walk->monitor, "a table lies outside memory");
        return;
    }
    if (monitor_owner_of(walk->monitor, physical) != 0) {
        fault(walk->monitor, "a table lies in an environment's frame");
    }
    for (uint64_t i = 0; i < ENTRIES; i++) {
        const uint64_t entry = memory_read64(walk->memory, physical + 8 * i);
        uint64_t below = address | i << (12 + 9 * (level - 1));
        if (!present(entry)) {
            continue;
        }
        if (level == LEVELS && i >= ENTRIES / 2 && !walk->device) {
            below |= UINT64_C(0xffff000000000000);
        }
        if (level > 1) {
            table(walk, entry & UINT64_C(0x000ffffffffff000), level - 1, below);
        } else {
            leaf(walk, below, entry);
        }
    }
}

static struct walk walk_all(struct monitor *monitor, const struct memory *memory, uint64_t root, uint32_t environment,
                            bool device) {
    struct walk walk = {.monitor = monitor, .memory = memory, .environment = environment, .device = device};
    uint64_t pages = 0;
    for (uint32_t i = 0; i < MONITOR_MAPPINGS; i++) {
        const struct monitor_mapping *at = &monitor->mappings[i];
        if (at->live && at->environment == environment && !(device && at->registers)) {
            pages += at->length_bytes / PAGE;
        }
    }
    if (root != 0) {
        table(&walk, root, LEVELS, 0);
    }
    if (walk.leaves != pages) {
        fault(monitor, "a page that was mapped is mapped no more");
    }
    return walk;
}

void monitor_check_page_table(struct monitor *monitor, const struct memory *memory, uint64_t root,
                              uint32_t environment) {
    (void)walk_all(monitor, memory, root, environment, false);
}

void monitor_check_bindings(struct monitor *monitor, const struct memory *memory, uint64_t root, uint32_t space) {
    struct walk walk = {.monitor = monitor, .memory = memory, .environment = space, .at_most = true};
    table(&walk, root, LEVELS, 0);
}

void monitor_check_device_table(struct monitor *monitor, const struct memory *memory, uint64_t root,
                                uint32_t environment, uint64_t spare) {
    const struct walk walk = walk_all(monitor, memory, root, environment, true);
    if (walk.others > spare) {
        fault(monitor, "devices reach more of the kernel's frames than it has queues there");
    }
}
