/* fs_io.c: operations on the device: blocks that follow each other become one. */
#include <stdlib.h>
#include <string.h>

#include "stack/fs/fs_internal.h"

static struct fs_io *take(struct fs *fs, const struct fs_call *call, enum block_operation operation) {
    struct fs_io *io = fs->free_ios;
    if (io == NULL) {
        io = calloc(1, sizeof *io);
        SIM_ASSERT_MSG(io != NULL, "out of memory");
    } else {
        fs->free_ios = io->next;
    }
    io->next = NULL;
    io->submitted = false;
    io->io.operation = operation;
    io->io.force_unit_access = false;
    io->io.segment_count = 0;
    io->io.blocks = 0;
    io->io.purpose = BLOCK_FOR_other;
    io->io.call = call->id;
    io->io.request = NULL;
    io->io.owner = 0;
    io->io.status = OK;
    io->io.finished = false;
    io->io.done = NULL;
    io->io.context = NULL;
    io->io.private = NULL;
    return io;
}

static void append(struct fs_io_list *list, struct fs_io *io) {
    if (list->last == NULL) {
        list->first = io;
    } else {
        list->last->next = io;
    }
    list->last = io;
}

static enum error_code start(struct fs *fs, const struct fs_call *call, struct fs_io *io) {
    enum error_code code;
    while ((code = block_submit(fs->device, call->cpu, &io->io)) == ERR_AGAIN) {
        block_wait(fs->device, call->cpu, NULL);
    }
    io->submitted = code == OK;
    if (code != OK) {
        io->io.status = code;
        io->io.finished = true;
    }
    return code;
}

enum error_code fs_io_submit(struct fs *fs, const struct fs_call *call, struct fs_io_list *list) {
    return list->last != NULL && !list->last->submitted && !list->last->io.finished ? start(fs, call, list->last) : OK;
}

static bool joins(const struct fs *fs, const struct fs_io *last, enum block_operation operation, uint64_t block,
                  enum block_purpose purpose) {
    return last != NULL && !last->submitted && !last->io.finished && last->io.operation == operation &&
           last->io.purpose == (uint8_t)purpose && last->io.segment_count < FS_RUN_BLOCKS_MAX &&
           last->io.block + last->io.blocks == block * fs->sectors;
}

enum error_code fs_io_block(struct fs *fs, const struct fs_call *call, struct fs_io_list *list,
                            enum block_operation operation, uint64_t block, uint64_t frame,
                            enum block_purpose purpose) {
    enum error_code code = OK;
    SIM_ASSERT_MSG(block < fs->blocks, "block %llu of %llu", (unsigned long long)block, (unsigned long long)fs->blocks);
    if (!joins(fs, list->last, operation, block, purpose)) {
        code = fs_io_submit(fs, call, list);
        struct fs_io *io = take(fs, call, operation);
        io->io.block = block * fs->sectors;
        io->io.purpose = (uint8_t)purpose;
        append(list, io);
    }
    struct block_io *io = &list->last->io;
    io->segments[io->segment_count++] = (struct block_segment){frame, frame, FS_BLOCK_BYTES};
    io->blocks += fs->sectors;
    return code;
}

enum error_code fs_io_direct(struct fs *fs, const struct fs_call *call, struct fs_io_list *list,
                             enum block_operation operation, uint64_t sector, uint64_t physical,
                             uint32_t length_bytes) {
    struct fs_io *io = take(fs, call, operation);
    io->io.block = sector;
    io->io.blocks = length_bytes / fs->device->block_bytes;
    io->io.purpose = BLOCK_FOR_data;
    while (length_bytes > 0) {
        const uint32_t room = MEMORY_FRAME_BYTES - (uint32_t)(physical % MEMORY_FRAME_BYTES);
        const uint32_t piece = room < length_bytes ? room : length_bytes;
        io->io.segments[io->io.segment_count++] = (struct block_segment){physical, physical, piece};
        physical += piece;
        length_bytes -= piece;
    }
    append(list, io);
    return start(fs, call, io);
}

enum error_code fs_io_finish(struct fs *fs, const struct fs_call *call, struct fs_io_list *list) {
    enum error_code code = fs_io_submit(fs, call, list);
    while (list->first != NULL) {
        struct fs_io *io = list->first;
        if (!io->io.finished) {
            block_wait(fs->device, call->cpu, &io->io);
            SIM_ASSERT(io->io.finished);
        }
        code = code == OK ? io->io.status : code;
        list->first = io->next;
        io->next = fs->free_ios;
        fs->free_ios = io;
    }
    list->last = NULL;
    return code == OK ? OK : ERR_IO;
}

enum error_code fs_io_read(struct fs *fs, const struct fs_call *call, uint64_t block, uint64_t frame,
                           enum block_purpose purpose) {
    struct fs_io_list list = {0};
    (void)fs_io_block(fs, call, &list, BLOCK_READ, block, frame, purpose);
    return fs_io_finish(fs, call, &list);
}

enum error_code fs_io_write(struct fs *fs, const struct fs_call *call, uint64_t block, uint64_t frame,
                            enum block_purpose purpose, bool durable) {
    struct fs_io_list list = {0};
    (void)fs_io_block(fs, call, &list, BLOCK_WRITE, block, frame, purpose);
    list.last->io.force_unit_access = durable && fs->options.barriers;
    return fs_io_finish(fs, call, &list);
}

enum error_code fs_io_flush(struct fs *fs, const struct fs_call *call) {
    if (!fs->options.barriers) {
        return OK;
    }
    struct fs_io_list list = {0};
    struct fs_io *io = take(fs, call, BLOCK_FLUSH);
    io->io.block = 0;
    io->io.purpose = BLOCK_FOR_barrier;
    append(&list, io);
    fs->counters.flushes += 1;
    return fs_io_finish(fs, call, &list);
}

void fs_io_free(struct fs *fs) {
    while (fs->free_ios != NULL) {
        struct fs_io *io = fs->free_ios;
        fs->free_ios = io->next;
        free(io);
    }
}
