/* memory_watches.c: tells pollers that a device wrote their line. */
#include "hw/memory_internal.h"
#include "sim/error.h"

static inline uint64_t bucket_of(uint64_t line) {
    return (line ^ (line >> 8)) % MEMORY_WATCH_BUCKETS;
}

static void append(struct memory_watch **list, struct memory_watch *watch) {
    while (*list != NULL) {
        list = &(*list)->next;
    }
    watch->next = NULL;
    *list = watch;
}

static bool remove_from(struct memory_watch **list, struct memory_watch *watch) {
    while (*list != NULL && *list != watch) {
        list = &(*list)->next;
    }
    if (*list == NULL) {
        return false;
    }
    *list = watch->next;
    return true;
}

void memory_watch_set(struct memory *memory, struct memory_watch *watch, uint64_t address,
                      void (*written)(void *context), void *context) {
    SIM_ASSERT_MSG(!watch->armed, "a watch is set once at a time");
    SIM_ASSERT(memory_contains(memory, address, 1));
    *watch = (struct memory_watch){
        .line = address / MEMORY_LINE_BYTES, .written = written, .context = context, .armed = true};
    struct memory_watches *watches = &memory->watches;
    watches->lowest = watches->count == 0 || watch->line < watches->lowest ? watch->line : watches->lowest;
    watches->highest = watches->count == 0 || watch->line > watches->highest ? watch->line : watches->highest;
    watches->count += 1;
    append(&watches->lists[watches->writing != 0 ? MEMORY_WATCH_PENDING : bucket_of(watch->line)], watch);
}

void memory_watch_clear(struct memory *memory, struct memory_watch *watch) {
    if (!watch->armed) {
        return;
    }
    struct memory_watches *watches = &memory->watches;
    for (struct memory_watch_pass *pass = watches->pass; pass != NULL; pass = pass->outer) {
        pass->next = pass->next == watch ? watch->next : pass->next;
    }
    const bool found = remove_from(&watches->lists[bucket_of(watch->line)], watch) ||
                       remove_from(&watches->lists[MEMORY_WATCH_PENDING], watch);
    SIM_ASSERT_MSG(found, "an armed watch is in a list of this memory");
    watches->count -= 1;
    watch->armed = false;
    watch->next = NULL;
}

/* The outermost write is over: what was set meanwhile takes its place. */
static void admit_pending(struct memory_watches *watches) {
    while (watches->lists[MEMORY_WATCH_PENDING] != NULL) {
        struct memory_watch *watch = watches->lists[MEMORY_WATCH_PENDING];
        watches->lists[MEMORY_WATCH_PENDING] = watch->next;
        append(&watches->lists[bucket_of(watch->line)], watch);
    }
}

static void run_list(struct memory_watches *watches, uint64_t line) {
    struct memory_watch_pass pass = {.next = watches->lists[bucket_of(line)], .outer = watches->pass};
    watches->pass = &pass;
    while (pass.next != NULL) {
        struct memory_watch *watch = pass.next;
        pass.next = watch->next;
        if (watch->line == line) {
            watch->written(watch->context);
        }
    }
    watches->pass = pass.outer;
}

void memory_device_wrote(struct memory *memory, uint64_t address, size_t length_bytes) {
    struct memory_watches *watches = &memory->watches;
    if (watches->count == 0 || length_bytes == 0) {
        return;
    }
    const uint64_t first = address / MEMORY_LINE_BYTES;
    const uint64_t last = (address + length_bytes - 1) / MEMORY_LINE_BYTES;
    if (last < watches->lowest || first > watches->highest) {
        return; /* a buffer, as a rule: nobody polls those */
    }
    watches->writing += 1;
    for (uint64_t line = first; line <= last; ++line) {
        if (watches->lists[bucket_of(line)] != NULL) {
            run_list(watches, line);
        }
    }
    watches->writing -= 1;
    if (watches->writing == 0) {
        admit_pending(watches);
    }
}
