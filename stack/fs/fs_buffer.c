/* fs_buffer.c: metadata blocks in memory, by number. */
#include <stdlib.h>
#include <string.h>

#include "stack/fs/fs_internal.h"

static struct fs_buffer **bucket(struct fs *fs, uint64_t block) {
    return &fs->buckets[(block * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}
_Static_assert(FS_BUFFER_BUCKETS == 1 << (64 - 54), "the hash gives a bucket");

struct fs_buffer *fs_buffer_find(struct fs *fs, uint64_t block) {
    struct fs_buffer *buffer = *bucket(fs, block);
    while (buffer != NULL && buffer->block != block) {
        buffer = buffer->next_in_bucket;
    }
    return buffer;
}

static struct fs_buffer *add(struct fs *fs, uint64_t block, enum block_purpose purpose) {
    struct fs_buffer *buffer = calloc(1, sizeof *buffer);
    struct fs_buffer **first = bucket(fs, block);
    SIM_ASSERT_MSG(buffer != NULL, "out of memory");
    buffer->block = block;
    buffer->frame = fs_frame(fs);
    buffer->purpose = purpose;
    buffer->dirtied = SIM_TIME_MAX;
    buffer->next_in_bucket = *first;
    *first = buffer;
    return buffer;
}

struct fs_buffer *fs_buffer_new(struct fs *fs, uint64_t block, enum block_purpose purpose) {
    struct fs_buffer *buffer = fs_buffer_find(fs, block);
    if (buffer == NULL) {
        buffer = add(fs, block, purpose);
    }
    buffer->purpose = purpose;
    memory_fill(fs->host.memory, buffer->frame, 0, FS_BLOCK_BYTES);
    return buffer;
}

struct fs_buffer *fs_buffer_get(struct fs *fs, const struct fs_call *call, uint64_t block, enum block_purpose purpose) {
    struct fs_buffer *buffer = fs_buffer_find(fs, block);
    if (buffer != NULL) {
        return buffer;
    }
    const uint64_t frame = fs_frame(fs);
    const enum error_code code = fs_io_read(fs, call, block, frame, purpose);
    buffer = fs_buffer_find(fs, block); /* another may have read it meanwhile */
    if (code != OK || buffer != NULL) {
        fs_frame_free(fs, frame);
        return code == OK ? buffer : NULL;
    }
    buffer = add(fs, block, purpose);
    fs_frame_free(fs, buffer->frame);
    buffer->frame = frame;
    return buffer;
}

void fs_buffer_unchanged(struct fs *fs, struct fs_buffer *buffer) {
    for (struct fs_buffer **at = &fs->changed; buffer->changed; at = &(*at)->next_changed) {
        if (*at == buffer) {
            *at = buffer->next_changed;
            buffer->changed = false;
            buffer->transaction = 0;
            fs->changed_count -= 1;
            break;
        }
    }
    fs->changed_since = fs->changed == NULL ? SIM_TIME_MAX : fs->changed_since;
}

void fs_buffer_drop(struct fs *fs, struct fs_buffer *buffer) {
    struct fs_buffer **link = bucket(fs, buffer->block);
    while (*link != buffer) {
        link = &(*link)->next_in_bucket;
    }
    *link = buffer->next_in_bucket;
    fs_buffer_unchanged(fs, buffer);
    fs_frame_free(fs, buffer->frame);
    free(buffer);
}

void *fs_buffer_bytes(struct fs *fs, const struct fs_buffer *buffer) {
    return memory_at(fs->host.memory, buffer->frame);
}

void fs_buffer_changed(struct fs *fs, struct fs_buffer *buffer) {
    if (!buffer->changed) {
        buffer->changed = true;
        buffer->transaction = fs->running;
        buffer->next_changed = fs->changed;
        fs->changed = buffer;
        fs->changed_count += 1;
    }
    buffer->dirtied = buffer->dirtied == SIM_TIME_MAX ? sim_now() : buffer->dirtied;
    fs->changed_since = fs->changed_since == SIM_TIME_MAX ? sim_now() : fs->changed_since;
}

void fs_buffers_free(struct fs *fs) {
    for (size_t i = 0; i < FS_BUFFER_BUCKETS; ++i) {
        while (fs->buckets[i] != NULL) {
            struct fs_buffer *buffer = fs->buckets[i];
            fs->buckets[i] = buffer->next_in_bucket;
            free(buffer);
        }
    }
}

static int by_block(const void *a, const void *b) {
    const struct fs_buffer *const *left = a, *const *right = b;
    return (*left)->block < (*right)->block ? -1 : (*left)->block > (*right)->block;
}

struct fs_buffer **fs_buffers_gather(struct fs *fs, bool (*wanted)(const struct fs_buffer *buffer, const void *context),
                                     const void *context, size_t *count) {
    size_t capacity = 0;
    struct fs_buffer **found = NULL;
    *count = 0;
    for (size_t i = 0; i < FS_BUFFER_BUCKETS; ++i) {
        for (struct fs_buffer *buffer = fs->buckets[i]; buffer != NULL; buffer = buffer->next_in_bucket) {
            if (!wanted(buffer, context)) {
                continue;
            }
            if (*count == capacity) {
                capacity = capacity * 2 + 16;
                found = realloc(found, capacity * sizeof(struct fs_buffer *));
                SIM_ASSERT_MSG(found != NULL, "out of memory");
            }
            found[(*count)++] = buffer;
        }
    }
    if (*count > 0) {
        qsort(found, *count, sizeof(struct fs_buffer *), by_block);
    }
    return found;
}

enum error_code fs_buffers_write(struct fs *fs, const struct fs_call *call, struct fs_buffer **buffers, size_t count) {
    struct fs_io_list list = {0};
    uint64_t *copies = calloc(count + 1, sizeof *copies), *blocks = calloc(count + 1, sizeof *blocks);
    uint8_t *purposes = calloc(count + 1, 1);
    SIM_ASSERT_MSG(copies != NULL && blocks != NULL && purposes != NULL, "out of memory");
    /* All copied at one instant: the blocks may change, or go, once the first is on its way. */
    for (size_t i = 0; i < count; ++i) {
        copies[i] = fs_frame(fs);
        blocks[i] = buffers[i]->block;
        purposes[i] = (uint8_t)buffers[i]->purpose;
        memory_copy(fs->host.memory, copies[i], buffers[i]->frame, FS_BLOCK_BYTES);
    }
    for (size_t i = 0; i < count; ++i) {
        fs_charge(fs, call, &fs->costs->metadata_write, 1);
        (void)fs_io_block(fs, call, &list, BLOCK_WRITE, blocks[i], copies[i], (enum block_purpose)purposes[i]);
    }
    const enum error_code code = fs_io_finish(fs, call, &list);
    for (size_t i = 0; i < count; ++i) {
        fs_frame_free(fs, copies[i]);
    }
    fs->counters.metadata_blocks_written += count;
    free(copies);
    free(blocks);
    free(purposes);
    return code;
}
