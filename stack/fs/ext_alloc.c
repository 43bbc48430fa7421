/* ext_alloc.c: block groups: bitmaps and their descriptors. A group that was never
 * used has no bitmap on the device yet (uninit_bg). */
#include "stack/fs/fs_internal.h"

static enum block_purpose const bitmap_purpose = BLOCK_FOR_bitmap;

static struct fs_group *group_of(struct fs *fs, const struct fs_call *call, uint64_t group, struct fs_buffer **buffer) {
    const uint64_t per_block = FS_BLOCK_BYTES / FS_GROUP_BYTES;
    *buffer = fs_buffer_get(fs, call, fs->super.group_block + group / per_block, BLOCK_FOR_group);
    return *buffer != NULL ? (struct fs_group *)fs_buffer_bytes(fs, *buffer) + group % per_block : NULL;
}

/* What of a group is in use from the beginning: metadata, and what lies beyond the
 * device's end. */
static bool is_fixed(const struct fs *fs, uint64_t block) {
    return block < fs->super.data_block || block >= fs->blocks;
}

static uint32_t fixed_blocks(const struct fs *fs, uint64_t group) {
    const uint64_t first = group * FS_BLOCK_BITS, end = first + FS_BLOCK_BITS;
    const uint64_t low = fs->super.data_block < first ? first : fs->super.data_block < end ? fs->super.data_block : end;
    const uint64_t high = fs->blocks < low ? low : fs->blocks < end ? fs->blocks : end;
    return (uint32_t)(low - first + (end - high));
}

static void initialise_bitmap(struct fs *fs, uint64_t group, uint8_t *bits) {
    for (uint64_t i = 0; i < FS_BLOCK_BITS; ++i) {
        if (is_fixed(fs, group * FS_BLOCK_BITS + i)) {
            bits[i / 8] |= (uint8_t)(1U << i % 8);
        }
    }
}

static struct fs_buffer *bitmap_of(struct fs *fs, const struct fs_call *call, uint64_t group,
                                   struct fs_group *descriptor) {
    const uint64_t block = fs->super.bitmap_block + group;
    if (descriptor->initialised != 0) {
        return fs_buffer_get(fs, call, block, bitmap_purpose);
    }
    struct fs_buffer *bitmap = fs_buffer_new(fs, block, bitmap_purpose);
    initialise_bitmap(fs, group, fs_buffer_bytes(fs, bitmap));
    descriptor->initialised = 1;
    return bitmap;
}

static bool is_set(const uint8_t *bits, uint64_t i) {
    return (bits[i / 8] >> i % 8 & 1) != 0;
}

/* The first free bit from `from` on, or before it. */
static uint64_t first_free(const uint8_t *bits, uint64_t from) {
    for (uint64_t i = 0; i < FS_BLOCK_BITS; ++i) {
        const uint64_t at = (from + i) % FS_BLOCK_BITS;
        if (!is_set(bits, at)) {
            return at;
        }
        if (at % 8 == 0 && bits[at / 8] == 0xff) {
            i += 7;
        }
    }
    return FS_BLOCK_BITS;
}

static enum error_code take_from(struct fs *fs, const struct fs_call *call, uint64_t group, uint64_t from,
                                 uint64_t count, uint64_t *block, uint64_t *got) {
    struct fs_buffer *descriptors = NULL;
    struct fs_group *descriptor = group_of(fs, call, group, &descriptors);
    *got = 0;
    if (descriptor == NULL || descriptor->free_blocks == 0) {
        return descriptor == NULL ? ERR_IO : OK;
    }
    struct fs_buffer *bitmap = bitmap_of(fs, call, group, descriptor);
    if (bitmap == NULL) {
        return ERR_IO;
    }
    uint8_t *bits = fs_buffer_bytes(fs, bitmap);
    const uint64_t first = first_free(bits, from);
    SIM_ASSERT_MSG(first < FS_BLOCK_BITS, "group %llu has no free block after all", (unsigned long long)group);
    *block = group * FS_BLOCK_BITS + first;
    while (*got < count && first + *got < FS_BLOCK_BITS && !is_set(bits, first + *got)) {
        bits[(first + *got) / 8] |= (uint8_t)(1U << (first + *got) % 8);
        *got += 1;
    }
    descriptor->free_blocks -= (uint32_t)*got;
    fs->free_blocks -= *got;
    fs->counters.blocks_allocated += *got;
    fs_buffer_changed(fs, bitmap);
    fs_buffer_changed(fs, descriptors);
    return OK;
}

enum error_code ext_take_blocks(struct fs *fs, const struct fs_call *call, uint64_t goal, uint64_t count,
                                uint64_t *block, uint64_t *got) {
    const uint64_t groups = fs->super.groups;
    goal = is_fixed(fs, goal) ? fs->super.data_block : goal;
    for (uint64_t i = 0; i < groups; ++i) {
        const uint64_t group = (goal / FS_BLOCK_BITS + i) % groups;
        const enum error_code code = take_from(fs, call, group, i == 0 ? goal % FS_BLOCK_BITS : 0, count, block, got);
        if (code != OK || *got > 0) {
            return code;
        }
    }
    return ERR_EXHAUSTED;
}

enum error_code ext_groups_format(struct fs *fs, const struct fs_call *call) {
    const uint64_t per_block = FS_BLOCK_BYTES / FS_GROUP_BYTES;
    fs->free_blocks = 0;
    for (uint64_t group = 0; group < fs->super.groups; ++group) {
        const uint64_t block = fs->super.group_block + group / per_block;
        struct fs_buffer *buffer = group % per_block == 0 ? fs_buffer_new(fs, block, BLOCK_FOR_group)
                                                          : fs_buffer_get(fs, call, block, BLOCK_FOR_group);
        struct fs_group *descriptor = (struct fs_group *)fs_buffer_bytes(fs, buffer) + group % per_block;
        *descriptor = (struct fs_group){.free_blocks = FS_BLOCK_BITS - fixed_blocks(fs, group)};
        fs->free_blocks += descriptor->free_blocks;
        buffer->dirtied = sim_now();
    }
    return OK;
}

enum error_code ext_groups_mount(struct fs *fs, const struct fs_call *call) {
    fs->free_blocks = 0;
    for (uint64_t group = 0; group < fs->super.groups; ++group) {
        struct fs_buffer *buffer = NULL;
        const struct fs_group *descriptor = group_of(fs, call, group, &buffer);
        if (descriptor == NULL) {
            return ERR_IO;
        }
        fs->free_blocks += descriptor->free_blocks;
    }
    return OK;
}
