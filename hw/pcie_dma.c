/* pcie_dma.c: a device's reads and writes of memory.
 *
 * A chain is planned when it starts: every stage is a first-in-first-out resource or
 * a constant, so its end is arithmetic, and one event there moves the bytes. Only
 * waiting for a tag is a real wait, since it ends when another chain does.
 *
 *   write: link up -> translation -> root (write_latency) -> visible, in order
 *   read:  tag -> link up -> translation -> root (read_latency) -> link down
 *
 * A transfer that crosses frames is one segment a frame; segments overlap, and the
 * ledger follows the one that ends last. */
#include <stdlib.h>
#include <string.h>

#include "hw/machine.h"
#include "hw/pcie_internal.h"

enum { SEGMENTS_MAX = sizeof((struct dma_op *)0)->segment_physical / sizeof(uint64_t) };

/* The instants of one segment. */
struct course {
    sim_time start;            /* its first bit on the link */
    sim_time walk, translated; /* length of the page walk, and its end */
    sim_time extra, ready;     /* length of the wait for DRAM, and the root's end */
    sim_time crossing;         /* read: the completion's first bit on the link */
    sim_time end;
    bool allowed;
};

static const struct pcie_dma_components *components_of(const struct dma_op *op) {
    return op->write ? &pcie_components()->write : &pcie_components()->read;
}

/* Length of the part of an operation in the frame of `address`. */
static uint32_t segment_bytes(uint64_t address, uint32_t left_bytes) {
    const uint64_t room = MEMORY_FRAME_BYTES - address % MEMORY_FRAME_BYTES;
    return left_bytes < room ? left_bytes : (uint32_t)room;
}

static sim_time later(sim_time a, sim_time b) {
    return a > b ? a : b;
}

/* ---- one segment ---- */

/* Sends it up and translates it where it arrives. */
static void plan_arrival(const struct dma_op *op, uint64_t address, uint32_t bytes, struct course *course,
                         uint64_t *physical) {
    struct pcie_link *link = op->function->link;
    const struct machine *machine = link->root->machine;
    const uint64_t up_bytes = op->write ? pcie_write_bytes(link, bytes) : pcie_read_request_bytes(link, bytes);
    const sim_time up = pcie_serialize(link, up_bytes);
    course->start = pcie_lane_book(&link->up, components_of(op)->transfer, sim_now(), up);
    /* A read's first request is under way in the root while the others follow. */
    const sim_time arrival = course->start + (op->write ? up : pcie_serialize(link, pcie_read_request_bytes(link, 1)));
    const struct iommu_result result =
        iommu_translate(machine->iommu, op->function->requester_id, address, op->write, arrival);
    course->allowed = result.allowed && memory_contains(machine->memory, result.physical, bytes);
    course->walk = result.walk;
    course->translated = result.done;
    *physical = result.physical;
}

static void plan_write(const struct dma_op *op, uint64_t physical, uint32_t bytes, struct course *course) {
    struct pcie_link *link = op->function->link;
    const struct machine *machine = link->root->machine;
    if (course->allowed) {
        course->extra = cache_device_write(machine->cache, physical, bytes, course->translated).extra;
    }
    course->ready = course->translated + link->root->config.write_latency + course->extra;
    course->end = later(course->ready, link->last_visible);
    if (course->allowed) {
        link->last_visible = course->end;
    }
}

static void plan_read(const struct dma_op *op, uint64_t physical, uint32_t bytes, struct course *course) {
    struct pcie_link *link = op->function->link;
    const struct machine *machine = link->root->machine;
    if (course->allowed) {
        course->extra = cache_device_read(machine->cache, physical, bytes, course->translated).extra;
    }
    course->ready = course->translated + link->root->config.read_latency + course->extra;
    /* A read pushes the writes before it: its completion does not overtake them. A
     * refused one is answered with a completion without data. */
    const sim_time down = pcie_serialize(link, pcie_completion_bytes(link, course->allowed ? bytes : 0));
    course->crossing =
        pcie_lane_book(&link->down, components_of(op)->transfer, later(course->ready, link->last_visible), down);
    course->end = course->crossing + down;
}

/* ---- one operation ---- */

/* Tells the ledger where the request will be when; it is dma_*'s, waiting. */
static void book_course(const struct dma_op *op, sim_time first_start, const struct course *course) {
    struct request *request = op->request;
    const struct pcie_dma_components *component = components_of(op);
    ledger_turn_at(request, LEDGER_SERVICE, first_start);
    if (course->walk > 0) {
        ledger_hand_over_at(request, component->transfer, component->iotlb_miss, LEDGER_SERVICE,
                            course->translated - course->walk);
        ledger_hand_over_at(request, component->iotlb_miss, component->transfer, LEDGER_SERVICE, course->translated);
    }
    if (course->extra > 0) {
        ledger_hand_over_at(request, component->transfer, component->dram_miss, LEDGER_SERVICE,
                            course->ready - course->extra);
        ledger_hand_over_at(request, component->dram_miss, component->transfer, LEDGER_SERVICE, course->ready);
    }
    const sim_time goes_on = op->write ? course->end : course->crossing;
    if (goes_on > course->ready) {
        ledger_turn_at(request, LEDGER_WAITING, course->ready);
        ledger_turn_at(request, LEDGER_SERVICE, goes_on);
    }
}

/* Returns when the operation ends. Leaves `segments` 0 if it faults. */
static sim_time plan_op(struct dma_op *op) {
    uint64_t address = op->address;
    uint32_t left = op->length_bytes;
    struct course last = {0};
    sim_time first_start = 0;
    bool allowed = true;
    unsigned count = 0;
    do {
        struct course course = {0};
        const uint32_t bytes = segment_bytes(address, left);
        SIM_ASSERT_MSG(count < SEGMENTS_MAX, "a DMA operation of more than %u frames", (unsigned)SEGMENTS_MAX);
        plan_arrival(op, address, bytes, &course, &op->segment_physical[count]);
        if (op->write) {
            plan_write(op, op->segment_physical[count], bytes, &course);
        } else {
            plan_read(op, op->segment_physical[count], bytes, &course);
        }
        first_start = count == 0 ? course.start : first_start;
        last = course.end >= last.end ? course : last;
        allowed = allowed && course.allowed;
        address += bytes;
        left -= bytes;
        count++;
    } while (left > 0);
    op->segments = allowed ? count : 0;
    if (op->request != NULL) {
        book_course(op, first_start, &last);
    }
    return last.end;
}

/* ---- the end of a chain ---- */

/* A binding that was broken between the translation and the arrival of the bytes is
 * broken: nothing lands in a frame that is another's by now. */
static bool still_bound(const struct dma_op *op) {
    const struct pcie_function *function = op->function;
    struct iommu *iommu = function->link->root->machine->iommu;
    if (iommu_mode(iommu) == IOMMU_OFF || iommu_bindings_epoch(iommu) == op->bindings_epoch) {
        return true;
    }
    uint64_t address = op->address;
    uint32_t left = op->length_bytes;
    for (unsigned i = 0; i < op->segments; i++) {
        const uint32_t bytes = segment_bytes(address, left);
        uint64_t physical = 0;
        if (!iommu_peek(iommu, function->requester_id, address, op->write, &physical) ||
            physical != op->segment_physical[i]) {
            iommu_refuse(iommu, function->requester_id, address, op->write, sim_now());
            return false;
        }
        address += bytes;
        left -= bytes;
    }
    return true;
}

static void move_bytes(struct dma_op *op) {
    struct memory *memory = op->function->link->root->machine->memory;
    struct pcie_function *function = op->function;
    if (op->segments == 0 || !function->bus_master) { /* switched off meanwhile: nothing arrives */
        op->status = DMA_FAULT;
        function->dma_faults++;
        return;
    }
    if (!still_bound(op)) {
        op->status = DMA_FAULT;
        function->dma_faults++;
        return;
    }
    unsigned char *data = op->data;
    uint64_t address = op->address;
    uint32_t left = op->length_bytes;
    for (unsigned i = 0; i < op->segments; i++) {
        const uint32_t bytes = segment_bytes(address, left);
        if (op->write) {
            memory_write(memory, op->segment_physical[i], data, bytes);
        } else {
            memory_read(memory, op->segment_physical[i], data, bytes);
        }
        data += bytes;
        address += bytes;
        left -= bytes;
    }
    op->status = DMA_DONE;
    function->dma_reads += op->write ? 0 : 1;
    function->dma_read_bytes += op->write ? 0 : op->length_bytes;
    function->dma_writes += op->write ? 1 : 0;
    function->dma_write_bytes += op->write ? op->length_bytes : 0;
}

/* Wakes who polls what was written. */
static void tell_watchers(const struct dma_op *op) {
    struct memory *memory = op->function->link->root->machine->memory;
    uint64_t address = op->address;
    uint32_t left = op->length_bytes;
    for (unsigned i = 0; op->write && op->status == DMA_DONE && i < op->segments; i++) {
        const uint32_t bytes = segment_bytes(address, left);
        memory_device_wrote(memory, op->segment_physical[i], bytes);
        address += bytes;
        left -= bytes;
    }
}

static uint64_t tags_of(const struct dma_op *chain) {
    const struct pcie_link *link = chain->function->link;
    const uint64_t request_bytes = link->config.max_read_request_bytes;
    uint64_t tags = 0;
    for (const struct dma_op *op = chain; op != NULL; op = op->next) {
        if (!op->write) {
            tags += op->length_bytes <= request_bytes ? 1 : (op->length_bytes + request_bytes - 1) / request_bytes;
        }
    }
    return tags < link->config.tags ? tags : link->config.tags; /* a larger one takes them all */
}

static void start_waiting(struct pcie_link *link);

static void chain_ends(void *context) {
    struct dma_op *chain = context;
    struct pcie_link *link = chain->function->link;
    struct dma_op *last = chain;
    const uint64_t tags = tags_of(chain);
    for (struct dma_op *op = chain; op != NULL; op = op->next) {
        move_bytes(op);
        ledger_hand_over(op->request, components_of(op)->transfer, op->owner, LEDGER_SERVICE);
        last = op;
    }
    for (const struct dma_op *op = chain; op != NULL; op = op->next) {
        tell_watchers(op);
    }
    if (tags > 0) {
        link->tags_free += tags;
        SIM_ASSERT(link->tags_free <= link->config.tags);
        start_waiting(link);
    }
    last->done(last); /* the device may use its operations again from here */
}

/* ---- the start of a chain ---- */

static void start_chain(struct dma_op *chain, uint64_t tags) {
    struct pcie_link *link = chain->function->link;
    sim_time end = sim_now();
    bool writes = false;
    link->tags_free -= tags;
    for (struct dma_op *op = chain; op != NULL; op = op->next) {
        op->segments = 0;
        op->bindings_epoch = iommu_bindings_epoch(link->root->machine->iommu);
        if (op->function->bus_master) {
            end = later(end, plan_op(op));
            writes = writes || op->write;
        }
    }
    if (writes) {
        link->last_visible = later(link->last_visible, end); /* its bytes appear together */
    }
    sim_schedule_at(&chain->event, end);
}

static void wait_for_tags(struct pcie_link *link, struct dma_op *chain) {
    if (link->waiting_count == link->waiting_capacity) {
        const size_t capacity = link->waiting_capacity == 0 ? 64 : 2 * link->waiting_capacity;
        struct dma_op **ring = calloc(capacity, sizeof(struct dma_op *));
        SIM_ASSERT(ring != NULL);
        for (size_t i = 0; i < link->waiting_count; i++) {
            ring[i] = link->waiting[(link->waiting_first + i) % link->waiting_capacity];
        }
        free(link->waiting);
        link->waiting = ring;
        link->waiting_first = 0;
        link->waiting_capacity = capacity;
    }
    link->waiting[(link->waiting_first + link->waiting_count++) % link->waiting_capacity] = chain;
    link->tag_waits++;
}

static void start_waiting(struct pcie_link *link) {
    while (link->waiting_count > 0) {
        struct dma_op *chain = link->waiting[link->waiting_first];
        const uint64_t tags = tags_of(chain);
        if (tags > link->tags_free) {
            return;
        }
        link->waiting_first = (link->waiting_first + 1) % link->waiting_capacity;
        link->waiting_count--;
        start_chain(chain, tags);
    }
}

void dma_submit(struct dma_op *op) {
    struct pcie_link *link = op->function->link;
    const uint64_t tags = tags_of(op);
    for (struct dma_op *each = op; each != NULL; each = each->next) {
        SIM_ASSERT_MSG(each->function == op->function, "a DMA chain is one function's");
        each->status = DMA_PENDING;
        ledger_hand_over(each->request, each->owner, components_of(each)->transfer, LEDGER_WAITING);
    }
    sim_event_init(&op->event, SIM_PRIORITY_HARDWARE, chain_ends, op);
    if (tags > 0 && (link->waiting_count > 0 || tags > link->tags_free)) {
        wait_for_tags(link, op);
    } else {
        start_chain(op, tags);
    }
}
