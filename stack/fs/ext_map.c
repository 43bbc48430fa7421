/* ext_map.c: which block of the device holds a block of a file: pointers, direct and
 * over up to three levels (ext2, ext3), or extents (ext4). */
#include <string.h>

#include "stack/fs/fs_internal.h"

/* ---- pointers ---- */

/* The way to a pointer: a slot in the inode, then slots in indirect blocks. */
struct path {
    unsigned levels; /* indirect blocks on the way */
    uint32_t slots[4];
};

static bool path_of(uint64_t index, struct path *path) {
    uint64_t span = FS_POINTERS_PER_BLOCK;
    if (index < FS_DIRECT) {
        *path = (struct path){0, {(uint32_t)index}};
        return true;
    }
    index -= FS_DIRECT;
    for (unsigned levels = 1; levels <= 3; ++levels, span *= FS_POINTERS_PER_BLOCK) {
        if (index < span) {
            path->levels = levels;
            path->slots[0] = FS_DIRECT + levels - 1;
            for (unsigned i = levels; i > 0; --i) {
                path->slots[i] = (uint32_t)(index % FS_POINTERS_PER_BLOCK);
                index /= FS_POINTERS_PER_BLOCK;
            }
            return true;
        }
        index -= span;
    }
    return false;
}

/* An indirect block that is missing is made if `make`; NULL with `code` OK: a hole. */
static struct fs_buffer *indirect(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint32_t *pointer,
                                  struct fs_buffer *holder, bool make, enum error_code *code) {
    struct fs_buffer *buffer = NULL;
    if (*pointer != 0) {
        buffer = fs_buffer_get(fs, call, *pointer, BLOCK_FOR_indirect);
        *code = buffer != NULL ? OK : ERR_IO;
        return buffer;
    }
    *code = OK;
    if (make) {
        uint64_t block = 0, got = 0;
        *code = ext_take_blocks(fs, call, file->last_block + 1, 1, &block, &got);
        if (*code == OK) {
            buffer = fs_buffer_new(fs, block, BLOCK_FOR_indirect);
            buffer->owner = file->number;
            *pointer = (uint32_t)block;
            file->blocks += 1;
            file->last_block = block;
            fs_buffer_changed(fs, buffer);
            if (holder != NULL) {
                fs_buffer_changed(fs, holder);
            }
        }
    }
    return buffer;
}

/* The pointer to block `index`, and the indirect block that it is in (NULL: the
 * inode); NULL: a hole, or `code`. */
static uint32_t *find_pointer(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                              bool make, struct fs_buffer **holder, enum error_code *code) {
    struct fs_buffer *inode_block = NULL;
    struct path path;
    struct fs_inode *inode = ext_inode(fs, call, file, &inode_block);
    *holder = NULL;
    *code = inode == NULL ? ERR_IO : !path_of(index, &path) ? ERR_RANGE : OK;
    if (*code != OK) {
        return NULL;
    }
    uint32_t *pointer = &inode->map.pointers[path.slots[0]];
    for (unsigned level = 1; level <= path.levels; ++level) {
        *holder = indirect(fs, call, file, pointer, *holder, make, code);
        if (*holder == NULL) {
            return NULL;
        }
        pointer = (uint32_t *)fs_buffer_bytes(fs, *holder) + path.slots[level];
    }
    return pointer;
}

enum error_code ext_map_prepare(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index) {
    enum error_code code = OK;
    struct fs_buffer *holder = NULL;
    if (!fs->behaviour->extents) {
        (void)find_pointer(fs, call, file, index, true, &holder, &code);
    }
    return code;
}

static enum error_code set_pointers(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                                    uint64_t block, uint64_t count) {
    enum error_code code = OK;
    for (uint64_t i = 0; i < count && code == OK; ++i) {
        struct fs_buffer *holder = NULL;
        uint32_t *pointer = find_pointer(fs, call, file, index + i, true, &holder, &code);
        if (pointer != NULL) {
            *pointer = (uint32_t)(block + i);
        }
        if (holder != NULL) {
            fs_buffer_changed(fs, holder);
        }
    }
    return code;
}

/* ---- extents ---- */

static uint64_t start_of(const struct fs_extent *extent) {
    return (uint64_t)extent->start_high << 32 | extent->start_low;
}

static void set_start(struct fs_extent *extent, uint64_t block) {
    extent->start_high = (uint16_t)(block >> 32);
    extent->start_low = (uint32_t)block;
}

static struct fs_extent *entries_of(struct fs_extent_header *header) {
    return (struct fs_extent *)(void *)(header + 1);
}

/* The last entry that begins at or before `index`; -1: none. */
static int last_before(struct fs_extent_header *header, uint64_t index) {
    int low = 0, high = header->entries;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (entries_of(header)[middle].logical <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low - 1;
}

/* The node of extents in which `index` is, or belongs: the root, or a leaf. */
static struct fs_extent_header *leaf_for(struct fs *fs, const struct fs_call *call, struct fs_inode *inode,
                                         uint64_t index, struct fs_buffer **leaf) {
    struct fs_extent_header *root = &inode->map.tree.header;
    *leaf = NULL;
    if (root->depth == 0) {
        return root;
    }
    const int at = last_before(root, index);
    *leaf = fs_buffer_get(fs, call, start_of(&entries_of(root)[at > 0 ? at : 0]), BLOCK_FOR_indirect);
    return *leaf != NULL ? fs_buffer_bytes(fs, *leaf) : NULL;
}

static struct fs_buffer *new_leaf(struct fs *fs, const struct fs_call *call, struct fs_file *file) {
    uint64_t block = 0, got = 0;
    if (ext_take_blocks(fs, call, file->last_block + 1, 1, &block, &got) != OK) {
        return NULL;
    }
    struct fs_buffer *leaf = fs_buffer_new(fs, block, BLOCK_FOR_indirect);
    struct fs_extent_header *header = fs_buffer_bytes(fs, leaf);
    *header = (struct fs_extent_header){.magic = FS_EXTENT_MAGIC, .capacity = FS_EXTENTS_PER_BLOCK};
    leaf->owner = file->number;
    file->blocks += 1;
    fs_buffer_changed(fs, leaf);
    return leaf;
}

/* The root's extents move to a leaf, and the root names it. */
static enum error_code deepen(struct fs *fs, const struct fs_call *call, struct fs_file *file, struct fs_inode *inode) {
    struct fs_extent_header *root = &inode->map.tree.header;
    struct fs_buffer *leaf = new_leaf(fs, call, file);
    if (leaf == NULL) {
        return ERR_EXHAUSTED;
    }
    struct fs_extent_header *header = fs_buffer_bytes(fs, leaf);
    memcpy(entries_of(header), entries_of(root), root->entries * sizeof(struct fs_extent));
    header->entries = root->entries;
    root->depth = 1;
    root->entries = 1;
    set_start(&entries_of(root)[0], leaf->block);
    return OK;
}

/* A full leaf gives its upper half to a new one; a file that is appended to keeps it
 * full. */
static enum error_code split(struct fs *fs, const struct fs_call *call, struct fs_file *file, struct fs_inode *inode,
                             struct fs_buffer *full, uint64_t index) {
    struct fs_extent_header *root = &inode->map.tree.header, *from = fs_buffer_bytes(fs, full);
    if (root->entries == root->capacity) {
        return ERR_EXHAUSTED;
    }
    struct fs_buffer *leaf = new_leaf(fs, call, file);
    if (leaf == NULL) {
        return ERR_EXHAUSTED;
    }
    struct fs_extent_header *to = fs_buffer_bytes(fs, leaf);
    const bool appends = index > entries_of(from)[from->entries - 1].logical;
    const uint16_t kept = appends ? from->entries : (uint16_t)(from->entries / 2);
    to->entries = (uint16_t)(from->entries - kept);
    memcpy(entries_of(to), entries_of(from) + kept, to->entries * sizeof(struct fs_extent));
    from->entries = kept;
    const int at = last_before(root, index) + 1;
    struct fs_extent *slots = entries_of(root);
    const uint32_t logical = appends ? (uint32_t)index : entries_of(to)[0].logical;
    int place = at;
    while (place > 0 && slots[place - 1].logical > logical) {
        place -= 1;
    }
    memmove(slots + place + 1, slots + place, (size_t)(root->entries - place) * sizeof *slots);
    slots[place] = (struct fs_extent){.logical = logical};
    set_start(&slots[place], leaf->block);
    root->entries += 1;
    fs_buffer_changed(fs, full);
    return OK;
}

static bool extends(const struct fs_extent *extent, uint64_t index, uint64_t block, uint64_t count) {
    return extent->logical + extent->length == index && start_of(extent) + extent->length == block &&
           extent->length + count <= FS_EXTENT_BLOCKS_MAX;
}

static enum error_code add_extent(struct fs *fs, const struct fs_call *call, struct fs_file *file,
                                  struct fs_inode *inode, uint64_t index, uint64_t block, uint64_t count) {
    struct fs_buffer *leaf = NULL;
    struct fs_extent_header *header = leaf_for(fs, call, inode, index, &leaf);
    if (header == NULL) {
        return ERR_IO;
    }
    const int before = last_before(header, index);
    if (before >= 0 && extends(&entries_of(header)[before], index, block, count)) {
        entries_of(header)[before].length = (uint16_t)(entries_of(header)[before].length + count);
    } else if (header->entries < header->capacity) {
        struct fs_extent *at = entries_of(header) + before + 1;
        memmove(at + 1, at, (size_t)(header->entries - before - 1) * sizeof *at);
        *at = (struct fs_extent){.logical = (uint32_t)index, .length = (uint16_t)count};
        set_start(at, block);
        header->entries += 1;
        struct fs_extent_header *root = &inode->map.tree.header;
        if (leaf != NULL && index < entries_of(root)[0].logical) {
            entries_of(root)[0].logical = (uint32_t)index;
        }
    } else {
        const enum error_code code =
            leaf == NULL ? deepen(fs, call, file, inode) : split(fs, call, file, inode, leaf, index);
        return code == OK ? add_extent(fs, call, file, inode, index, block, count) : code;
    }
    if (leaf != NULL) {
        fs_buffer_changed(fs, leaf);
    }
    return OK;
}

static enum error_code add_extents(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                                   uint64_t block, uint64_t count) {
    struct fs_buffer *inode_block = NULL;
    struct fs_inode *inode = ext_inode(fs, call, file, &inode_block);
    enum error_code code = inode != NULL ? OK : ERR_IO;
    while (code == OK && count > 0) {
        const uint64_t piece = count < FS_EXTENT_BLOCKS_MAX ? count : FS_EXTENT_BLOCKS_MAX;
        code = add_extent(fs, call, file, inode, index, block, piece);
        index += piece;
        block += piece;
        count -= piece;
    }
    return code;
}

static enum error_code find_extent(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                                   uint64_t *block) {
    struct fs_buffer *buffer = NULL;
    struct fs_inode *inode = ext_inode(fs, call, file, &buffer);
    struct fs_extent_header *header = inode != NULL ? leaf_for(fs, call, inode, index, &buffer) : NULL;
    if (header == NULL) {
        return ERR_IO;
    }
    const int at = last_before(header, index);
    const struct fs_extent *extent = at >= 0 ? &entries_of(header)[at] : NULL;
    *block = extent != NULL && index < (uint64_t)extent->logical + extent->length
                 ? start_of(extent) + (index - extent->logical)
                 : 0;
    return OK;
}

/* ---- either ---- */

enum error_code ext_map(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                        uint64_t *block) {
    *block = 0;
    if (fs->behaviour->extents) {
        return find_extent(fs, call, file, index, block);
    }
    enum error_code code = OK;
    struct fs_buffer *holder = NULL;
    const uint32_t *pointer = find_pointer(fs, call, file, index, false, &holder, &code);
    *block = pointer != NULL ? *pointer : 0;
    return code;
}

enum error_code ext_map_set(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                            uint64_t block, uint64_t count) {
    return fs->behaviour->extents ? add_extents(fs, call, file, index, block, count)
                                  : set_pointers(fs, call, file, index, block, count);
}
