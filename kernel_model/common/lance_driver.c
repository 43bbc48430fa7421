#include "kernel_model/common/lance_driver.h"

#include <stddef.h>
#include <string.h>

#include "hw/ethernet/lance.h"

enum { WORD = 4, LINE_BYTES = 16, RING_LOG2 = 3, FLAGS_SHIFT = 16, LANCE_ADDRESS_BITS = 24 };
_Static_assert(1 << RING_LOG2 == LANCE_DRIVER_RING, "a ring of a power of two");

#define LANCE_COST(name, text)                                                                                         \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct lance_driver_costs, name), .help = text }
const struct param lance_driver_cost_params[] = {
    LANCE_COST(interrupt, "the adapter's interrupt: whose it is, what happened"),
    LANCE_COST(receive, "a receive descriptor looked at: errors, length; and given back"),
    LANCE_COST(refill_line, "four words of a frame that the adapter wrote, read into the cache anew"),
    LANCE_COST(invalidate_word, "a word of the cache thrown out"),
    LANCE_COST(transmit, "a transmit descriptor found and filled, beside its stores"),
    LANCE_COST(copy, "a copy of a frame set up"),
    LANCE_COST(copy_word, "a word of it, beside its load and store"),
    {0}};

static void step(struct lance_driver *driver, struct cost *cost, uint64_t times) {
    cost->uses += times;
    r3000_execute(driver->cpu, cost->cycles * times);
}

/* Rings are read and written past the cache. */
static uint32_t load(struct lance_driver *driver, uint64_t physical) {
    return r3000_kernel_load(driver->cpu, R3000_KSEG1 | (uint32_t)physical);
}

static void store(struct lance_driver *driver, uint64_t physical, uint32_t value) {
    r3000_kernel_store(driver->cpu, R3000_KSEG1 | (uint32_t)physical, value);
}

/* ---- life ---- */

static struct lance *find(const struct machine *machine) {
    for (unsigned i = 0; i < machine->device_count; i++) {
        if (machine->devices[i]->ops == &lance_ops) {
            return machine->devices[i]->state;
        }
    }
    return NULL;
}

static uint64_t descriptor_at(uint64_t ring, uint32_t index) {
    return ring + index * sizeof(struct lance_descriptor);
}

static void describe(struct lance_driver *driver, uint64_t at, uint64_t buffer, uint32_t bytes, uint32_t flags) {
    const uint64_t address = buffer + LANCE_DRIVER_OFFSET;
    store(driver, at + WORD, 0xf000 | ((0x1000 - bytes) & 0xfff));
    store(driver, at, (uint32_t)address | flags << FLAGS_SHIFT);
}

static uint64_t buffer_at(uint64_t buffers, uint32_t index) {
    return buffers + (uint64_t)index * LANCE_DRIVER_BUFFER_BYTES;
}

static bool take_memory(struct lance_driver *driver, struct frames *frames, uint64_t *block) {
    const uint64_t buffer_frames = (uint64_t)LANCE_DRIVER_RING * LANCE_DRIVER_BUFFER_BYTES / MEMORY_FRAME_BYTES;
    *block = frames_allocate(frames);
    driver->receive_ring = frames_allocate(frames);
    driver->transmit_ring = frames_allocate(frames);
    driver->receive_buffers = frames_allocate_contiguous(frames, buffer_frames);
    driver->transmit_buffers = frames_allocate_contiguous(frames, buffer_frames);
    const uint64_t end = driver->transmit_buffers + buffer_frames * MEMORY_FRAME_BYTES;
    return *block != 0 && driver->receive_ring != 0 && driver->transmit_ring != 0 && driver->receive_buffers != 0 &&
           driver->transmit_buffers != 0 && end <= UINT64_C(1) << LANCE_ADDRESS_BITS;
}

static void fill_block(struct lance_driver *driver, uint64_t at, const uint8_t mac[6]) {
    struct lance_init_block block = {
        .receive_ring_low = (uint16_t)driver->receive_ring,
        .receive_ring_high = (uint16_t)(driver->receive_ring >> FLAGS_SHIFT | RING_LOG2 << 13),
        .transmit_ring_low = (uint16_t)driver->transmit_ring,
        .transmit_ring_high = (uint16_t)(driver->transmit_ring >> FLAGS_SHIFT | RING_LOG2 << 13)};
    memcpy(block.physical_address, mac, sizeof block.physical_address);
    memory_write(driver->machine->memory, at, &block, sizeof block);
    for (uint32_t i = 0; i < LANCE_DRIVER_RING; i++) {
        describe(driver, descriptor_at(driver->receive_ring, i), buffer_at(driver->receive_buffers, i),
                 LANCE_DRIVER_BUFFER_BYTES - LANCE_DRIVER_OFFSET, LANCE_OWN);
    }
}

static void set_register(const struct lance_driver *driver, const struct lance *lance, uint16_t number,
                         uint16_t value) {
    struct pcie_root *root = driver->machine->pcie;
    pcie_poke(root, lance->function.bar_address[0] + LANCE_RAP, WORD, number);
    pcie_poke(root, lance->function.bar_address[0] + LANCE_RDP, WORD, value);
}

enum error_code lance_driver_init(struct lance_driver *driver, struct machine *machine, struct frames *frames,
                                  struct lance_driver_costs *costs, const uint8_t mac[6], struct error *error) {
    struct lance *lance = find(machine);
    uint64_t block = 0;
    if (lance == NULL) {
        return error_set(error, ERR_NOT_FOUND, "the machine has no device of type nic/lance");
    }
    *driver = (struct lance_driver){.machine = machine, .cpu = machine->r3000[0], .costs = costs};
    driver->data_port = lance->function.bar_address[0] + LANCE_RDP;
    if (!take_memory(driver, frames, &block)) {
        return error_set(error, ERR_EXHAUSTED, "no memory below 16 MiB for the adapter's rings");
    }
    fill_block(driver, block, mac);
    pcie_msix_route(&lance->function, 0, 0, LANCE_DRIVER_LINE);
    set_register(driver, lance, 1, (uint16_t)block);
    set_register(driver, lance, 2, (uint16_t)(block >> FLAGS_SHIFT));
    set_register(driver, lance, 0, LANCE_INIT | LANCE_INEA);
    return OK;
}

/* ---- the interrupt ---- */

bool lance_driver_acknowledge(struct lance_driver *driver) {
    struct context *context = context_current();
    uint64_t status = 0;
    (void)cpu_mmio_read(context, driver->data_port, WORD, &status);
    if ((status & LANCE_INTR) == 0) {
        return false;
    }
    const uint64_t causes = LANCE_IDON | LANCE_TINT | LANCE_RINT | LANCE_MERR | LANCE_MISS;
    const uint64_t start = (status & LANCE_IDON) != 0 ? LANCE_STRT : 0;
    step(driver, &driver->costs->interrupt, 1);
    (void)cpu_mmio_write(context, driver->data_port, WORD, (status & causes) | start | LANCE_INEA, NULL, 0);
    driver->interrupts++;
    return true;
}

/* ---- in ---- */

bool lance_driver_received(struct lance_driver *driver, uint64_t *physical, uint32_t *length_bytes,
                           struct request **request) {
    const uint64_t at = descriptor_at(driver->receive_ring, driver->receive_next);
    cpu_run(context_current()); /* the descriptor as it is at this instant */
    const uint32_t flags = load(driver, at) >> FLAGS_SHIFT;
    if ((flags & LANCE_OWN) != 0) {
        return false;
    }
    step(driver, &driver->costs->receive, 1);
    const uint32_t message = load(driver, at + WORD) >> FLAGS_SHIFT;
    *physical = buffer_at(driver->receive_buffers, driver->receive_next) + LANCE_DRIVER_OFFSET;
    *length_bytes = (flags & LANCE_DESCRIPTOR_ERR) != 0 || message < FRAME_FCS_BYTES ? 0 : message - FRAME_FCS_BYTES;
    *request = memory_alight(driver->machine->memory, *physical);
    driver->received++;
    return true;
}

void lance_driver_refresh(struct lance_driver *driver, uint64_t physical, uint32_t length_bytes) {
    const uint64_t begin = physical / LINE_BYTES, end = (physical + length_bytes + LINE_BYTES - 1) / LINE_BYTES;
    step(driver, &driver->costs->invalidate_word, (end - begin) * (LINE_BYTES / WORD));
    step(driver, &driver->costs->refill_line, end - begin);
}

void lance_driver_release(struct lance_driver *driver) {
    describe(driver, descriptor_at(driver->receive_ring, driver->receive_next),
             buffer_at(driver->receive_buffers, driver->receive_next), LANCE_DRIVER_BUFFER_BYTES - LANCE_DRIVER_OFFSET,
             LANCE_OWN);
    driver->receive_next = (driver->receive_next + 1) % LANCE_DRIVER_RING;
}

/* ---- out ---- */

uint64_t lance_driver_transmit_at(struct lance_driver *driver) {
    const uint64_t at = descriptor_at(driver->transmit_ring, driver->transmit_next);
    cpu_run(context_current());
    if ((load(driver, at) >> FLAGS_SHIFT & LANCE_OWN) != 0) {
        driver->full++;
        return 0;
    }
    return buffer_at(driver->transmit_buffers, driver->transmit_next) + LANCE_DRIVER_OFFSET;
}

void lance_driver_transmit(struct lance_driver *driver, uint32_t length_bytes, struct request *request) {
    struct context *context = context_current();
    const uint64_t buffer = buffer_at(driver->transmit_buffers, driver->transmit_next);
    step(driver, &driver->costs->transmit, 1);
    cpu_run(context); /* the frame is there before its descriptor */
    memory_board(driver->machine->memory, buffer + LANCE_DRIVER_OFFSET, request);
    describe(driver, descriptor_at(driver->transmit_ring, driver->transmit_next), buffer, length_bytes,
             LANCE_OWN | LANCE_STP | LANCE_ENP);
    driver->transmit_next = (driver->transmit_next + 1) % LANCE_DRIVER_RING;
    driver->sent++;
    (void)cpu_mmio_write(context, driver->data_port, WORD, LANCE_TDMD | LANCE_INEA, NULL, 0);
}

void lance_driver_copy(struct lance_driver *driver, uint64_t to, uint64_t from, uint32_t length_bytes) {
    SIM_ASSERT(to % WORD == LANCE_DRIVER_OFFSET && from % WORD == LANCE_DRIVER_OFFSET);
    const uint64_t words = (LANCE_DRIVER_OFFSET + length_bytes + WORD - 1) / WORD;
    step(driver, &driver->costs->copy, 1);
    step(driver, &driver->costs->copy_word, words);
    for (uint64_t i = 0; i < words; i++) {
        const uint64_t at = WORD * i - LANCE_DRIVER_OFFSET;
        r3000_kernel_store(driver->cpu, R3000_KSEG0 | (uint32_t)(to + at),
                           r3000_kernel_load(driver->cpu, R3000_KSEG0 | (uint32_t)(from + at)));
    }
}

/* ---- counters ---- */

void lance_driver_visit_stats(const struct lance_driver *driver, const struct stats_sink *sink) {
    stats_counter(sink, "lance_driver", "received", driver->received);
    stats_counter(sink, "lance_driver", "sent", driver->sent);
    stats_counter(sink, "lance_driver", "interrupts", driver->interrupts);
    stats_counter(sink, "lance_driver", "no_descriptor", driver->full);
}

void lance_driver_reset_stats(struct lance_driver *driver) {
    driver->received = driver->sent = driver->interrupts = driver->full = 0;
}
