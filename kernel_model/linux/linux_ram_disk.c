/* linux_ram_disk.c: brd: a block device whose blocks are frames of memory. Every
 * operation is a copy by the processor, done when submit returns. */
#include <stdlib.h>

#include "kernel_model/linux/linux_storage.h"

enum { RAM_DISK_BLOCK_BYTES = 4096 };

struct ram_disk {
    struct block_device base;
    struct linux_storage *storage;
    uint64_t *frames; /* by block; 0: never written */
};

/* A block's page is made at its first write, and zeroed. */
static bool provide(struct ram_disk *disk, struct context *context, uint64_t block) {
    if (disk->frames[block] == 0) {
        disk->frames[block] = frames_allocate(disk->storage->system->frames);
        linux_charge(context, &disk->storage->profile.ram_disk_page, 1);
    }
    return disk->frames[block] != 0;
}

/* One block from or to the segments, which need not lie on frames. */
static enum error_code transfer(struct ram_disk *disk, struct context *context, const struct block_io *io) {
    struct memory *memory = disk->storage->system->base.machine->memory;
    uint64_t at = io->block * RAM_DISK_BLOCK_BYTES;
    for (uint32_t i = 0; i < io->segment_count; ++i) {
        uint64_t physical = io->segments[i].physical;
        uint32_t left = io->segments[i].length_bytes;
        while (left > 0) {
            const uint64_t block = at / RAM_DISK_BLOCK_BYTES, inside = at % RAM_DISK_BLOCK_BYTES;
            const uint32_t room = RAM_DISK_BLOCK_BYTES - (uint32_t)inside, piece = left < room ? left : room;
            if (io->operation == BLOCK_WRITE) {
                if (!provide(disk, context, block)) {
                    return ERR_IO;
                }
                cpu_copy(context, disk->frames[block] + inside, physical, piece);
            } else if (disk->frames[block] != 0) {
                cpu_copy(context, physical, disk->frames[block] + inside, piece);
            } else {
                memory_fill(memory, physical, 0, piece);
                cpu_touch(context, physical, piece, true);
            }
            at += piece;
            physical += piece;
            left -= piece;
        }
    }
    return OK;
}

static enum error_code submit(struct block_device *device, struct context *context, struct block_io *io) {
    struct ram_disk *disk = (struct ram_disk *)device;
    if (io->operation != BLOCK_FLUSH && (io->blocks > device->blocks || io->block > device->blocks - io->blocks)) {
        return ERR_RANGE;
    }
    if (io->operation != BLOCK_FLUSH) {
        linux_charge(context, &disk->storage->profile.ram_disk, 1);
    }
    io->status = io->operation == BLOCK_FLUSH ? OK : transfer(disk, context, io);
    linux_block_ended(disk->storage, context, io);
    return OK;
}

static void wait_for(struct block_device *device, struct context *context, struct block_io *io) {
    (void)device;
    (void)context;
    SIM_ASSERT(io == NULL || io->finished);
}

static const struct block_device_ops ops = {.type_name = "ram_disk", .submit = submit, .wait = wait_for};

struct block_device *linux_ram_disk_open(struct linux_storage *storage, struct error *error) {
    const uint64_t blocks = storage->config.ram_disk_bytes / RAM_DISK_BLOCK_BYTES;
    if (storage->config.ram_disk_bytes > memory_size(storage->system->base.machine->memory) / 2) {
        (void)error_set(error, ERR_RANGE, "a RAM disk of %llu bytes takes more than half of the machine's memory",
                        (unsigned long long)storage->config.ram_disk_bytes);
        return NULL;
    }
    struct ram_disk *disk = calloc(1, sizeof *disk);
    SIM_ASSERT_MSG(disk != NULL, "out of memory");
    disk->base = (struct block_device){
        .ops = &ops, .name = "ram0", .block_bytes = RAM_DISK_BLOCK_BYTES, .blocks = blocks, .depth = 1};
    disk->storage = storage;
    disk->frames = calloc(blocks, sizeof *disk->frames);
    SIM_ASSERT_MSG(disk->frames != NULL, "out of memory");
    return &disk->base;
}

void linux_ram_disk_close(struct block_device *device) {
    struct ram_disk *disk = (struct ram_disk *)device;
    free(disk->frames);
    free(disk);
}
