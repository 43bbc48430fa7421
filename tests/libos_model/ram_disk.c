#include "tests/libos_model/ram_disk.h"

#include <stdlib.h>

#include "sim/ledger.h"

enum { POLL_CYCLES = 50, SUBMIT_CYCLES = 100 };

/* ---- the drive's side ---- */

static uint64_t physical_of(const struct block_io *io, uint64_t offset, uint64_t *left) {
    for (uint32_t i = 0; i < io->segment_count; i++) {
        if (offset < io->segments[i].length_bytes) {
            *left = io->segments[i].length_bytes - offset;
            return io->segments[i].physical + offset;
        }
        offset -= io->segments[i].length_bytes;
    }
    SIM_ASSERT_MSG(false, "segments are shorter than the blocks");
    return 0;
}

static void transfer(struct ram_disk *disk, const struct block_io *io, uint32_t from, uint32_t to) {
    const uint32_t size = disk->base.block_bytes;
    uint8_t block[4096];
    for (uint32_t i = from; i < to; i++) {
        if (io->operation == BLOCK_READ) {
            block_store_read(disk->store, io->block + i, 1, block);
        }
        for (uint32_t at = 0; at < size;) {
            uint64_t left = 0;
            const uint64_t physical = physical_of(io, (uint64_t)i * size + at, &left);
            const uint32_t take = left < size - at ? (uint32_t)left : size - at;
            if (io->operation == BLOCK_READ) {
                memory_write(disk->memory, physical, block + at, take);
            } else {
                memory_read(disk->memory, physical, block + at, take);
            }
            at += take;
        }
        if (io->operation == BLOCK_WRITE) {
            block_store_write(disk->store, io->block + i, 1, block,
                              io->force_unit_access || !disk->base.volatile_cache);
        }
    }
}

static void on_middle(void *context) {
    struct ram_disk_slot *slot = context;
    transfer(slot->disk, slot->io, 0, slot->io->blocks / 2);
}

static void on_end(void *context) {
    struct ram_disk_slot *slot = context;
    struct ram_disk *disk = slot->disk;
    struct block_io *io = slot->io;
    if (io->operation != BLOCK_FLUSH && io->status == OK) {
        transfer(disk, io, io->blocks / 2, io->blocks);
    }
    for (uint64_t i = 0; i < slot->covered_count; i++) {
        block_store_flush_blocks(disk->store, slot->covered[i], 1);
    }
    free(slot->covered);
    slot->covered = NULL;
    slot->covered_count = 0;
    slot->io = NULL;
    disk->used--;
    ledger_hand_over(io->request, disk->component, ledger_find("ready"), LEDGER_WAITING);
    io->next = NULL;
    *disk->finished_end = io;
    disk->finished_end = &io->next;
    if (disk->waiter != NULL) {
        cpu_spin_wake(disk->waiter);
    }
}

static void note_covered(struct ram_disk *disk, struct ram_disk_slot *slot) {
    slot->covered = calloc(block_store_volatile_blocks(disk->store) + 1, sizeof *slot->covered);
    SIM_ASSERT(slot->covered != NULL);
    uint64_t at = 0;
    while (block_store_next_volatile(disk->store, at, &at)) {
        slot->covered[slot->covered_count++] = at++;
    }
}

/* ---- the driver's side ---- */

static enum error_code submit(struct block_device *device, struct context *context, struct block_io *io) {
    struct ram_disk *disk = (struct ram_disk *)(void *)device;
    if (io->operation != BLOCK_FLUSH && (io->blocks == 0 || io->block + io->blocks > device->blocks)) {
        return ERR_RANGE;
    }
    uint32_t at = 0;
    while (at < device->depth && disk->slots[at].io != NULL) {
        at++;
    }
    if (at == device->depth) {
        return ERR_AGAIN;
    }
    struct ram_disk_slot *slot = &disk->slots[at];
    slot->io = io;
    disk->used++;
    disk->most_used = disk->used > disk->most_used ? disk->used : disk->most_used;
    cpu_charge(context, SUBMIT_CYCLES);
    cpu_run(context);
    io->finished = false;
    io->status = OK;
    if (io->request != NULL) {
        ledger_hand_over(io->request, io->owner, disk->component, LEDGER_SERVICE);
    }
    disk->reads += io->operation == BLOCK_READ;
    disk->writes += io->operation == BLOCK_WRITE;
    disk->flushes += io->operation == BLOCK_FLUSH;
    disk->fua_writes += io->operation == BLOCK_WRITE && io->force_unit_access;
    const bool fails = io->operation == BLOCK_WRITE && disk->writes == disk->fail_at_write;
    io->status = fails ? ERR_IO : OK;
    if (io->operation == BLOCK_FLUSH) {
        note_covered(disk, slot);
    }
    const sim_time time = disk->least + random_below(disk->random, disk->most - disk->least + 1);
    if (io->operation != BLOCK_FLUSH && !fails) {
        sim_schedule(&slot->middle, time / 2);
    }
    sim_schedule(&slot->end, time);
    return OK;
}

static unsigned poll(struct block_device *device, struct context *context) {
    struct ram_disk *disk = (struct ram_disk *)(void *)device;
    unsigned count = 0;
    cpu_charge(context, POLL_CYCLES);
    cpu_run(context);
    while (disk->finished != NULL) {
        struct block_io *io = disk->finished;
        disk->finished = io->next;
        disk->finished_end = disk->finished == NULL ? &disk->finished : disk->finished_end;
        io->finished = true;
        count++;
        cpu_work_for(context, io->owner != 0 ? io->owner : disk->component, io->request);
        if (io->done != NULL) {
            io->done(io);
        }
    }
    return count;
}

static void wait(struct block_device *device, struct context *context, struct block_io *io) {
    struct ram_disk *disk = (struct ram_disk *)(void *)device;
    unsigned taken = poll(device, context);
    while (io != NULL ? !io->finished : taken == 0) {
        SIM_ASSERT_MSG(disk->used > 0 || disk->finished != NULL, "nothing is under way");
        if (disk->finished == NULL) {
            disk->waiter = context;
            cpu_spin(context, POLL_CYCLES, disk->component);
            disk->waiter = NULL;
        }
        taken += poll(device, context);
    }
}

struct ram_disk *ram_disk_create(struct machine *machine, uint32_t block_bytes, uint64_t blocks, bool volatile_cache) {
    static const struct block_device_ops ops = {"ram_disk", submit, wait, poll};
    static const struct ledger_declaration declaration = {"ram_disk", "cpu", "RAM disk", "ready cpu"};
    struct ram_disk *disk = calloc(1, sizeof *disk);
    SIM_ASSERT(disk != NULL);
    disk->base = (struct block_device){.ops = &ops,
                                       .name = "ram",
                                       .block_bytes = block_bytes,
                                       .blocks = blocks,
                                       .depth = 64,
                                       .volatile_cache = volatile_cache};
    disk->memory = machine->memory;
    disk->store = block_store_create(block_bytes, blocks);
    disk->random = random_stream_create("ram_disk");
    disk->least = 5 * SIM_US;
    disk->most = 30 * SIM_US;
    disk->component = ledger_declare(&declaration);
    disk->finished_end = &disk->finished;
    for (uint32_t i = 0; i < RAM_DISK_DEPTH_MAX; i++) {
        disk->slots[i].disk = disk;
        sim_event_init(&disk->slots[i].middle, SIM_PRIORITY_HARDWARE, on_middle, &disk->slots[i]);
        sim_event_init(&disk->slots[i].end, SIM_PRIORITY_HARDWARE, on_end, &disk->slots[i]);
    }
    return disk;
}

void ram_disk_power_cut(struct ram_disk *disk, double kept) {
    for (uint32_t i = 0; i < RAM_DISK_DEPTH_MAX; i++) {
        struct ram_disk_slot *slot = &disk->slots[i];
        (void)sim_cancel(&slot->middle);
        (void)sim_cancel(&slot->end);
        free(slot->covered);
        slot->covered = NULL;
        slot->covered_count = 0;
        slot->io = NULL;
    }
    disk->used = 0;
    disk->finished = NULL;
    disk->finished_end = &disk->finished;
    block_store_power_cut(disk->store, disk->random, kept);
}

void ram_disk_free(struct ram_disk *disk) {
    block_store_free(disk->store);
    random_stream_free(disk->random);
    free(disk);
}
