/* fs_internal.h: what the files of the file system share. */
#ifndef STILLSUIT_STACK_FS_FS_INTERNAL_H
#define STILLSUIT_STACK_FS_FS_INTERNAL_H

#include "stack/fs/fs.h"
#include "stack/fs/fs_image.h"
#include "stack/fs/fs_layout.h"

enum {
    FS_PAGES_PER_CHUNK = 512,
    FS_BUFFER_BUCKETS = 1024,
    FS_RUN_BLOCKS_MAX = 32, /* of one operation: 128 KiB */
    FS_READ_AHEAD_PAGES = 8
};

/* A page of a file. */
struct fs_page {
    struct fs_file *file;
    uint64_t index, frame;
    uint64_t block; /* where it lies; 0: nowhere yet */
    bool up_to_date, reading, dirty, write_back, reserved;
    sim_time dirtied;
    struct fs_page *older, *newer;               /* of all pages, by last use */
    struct fs_page *previous_dirty, *next_dirty; /* of the file's, by index */
};

/* A metadata block in memory. */
struct fs_buffer {
    uint64_t block, frame;
    enum block_purpose purpose;
    struct fs_buffer *next_in_bucket;
    struct fs_buffer *next_changed; /* in the running transaction's list, or the dirty list of ext2 */
    uint64_t transaction;           /* running one that it belongs to; 0: none */
    uint64_t checkpoint;            /* newest committed one whose copy is not in place yet; 0: none */
    bool changed;                   /* is in the list of the changed */
    sim_time dirtied;               /* first, since it was last written in place */
    uint32_t owner;                 /* inode of an indirect block (ext2); 0: nobody's */
    bool written;                   /* a tree's node: on the device, so copied before it is changed */
    uint8_t tree;
};

/* A file's extent that the log tree does not have yet (btrfs). */
struct fs_log_extent {
    uint64_t index, block, count;
};

struct fs_file {
    char name[FS_NAME_BYTES];
    uint32_t number;
    uint64_t size;      /* as calls see it */
    uint64_t disk_size; /* as the inode says: not beyond what is mapped */
    uint64_t mtime_ns, blocks;
    uint64_t last_block;                        /* where its data was put last */
    uint64_t sync_sequence, data_sync_sequence; /* transactions that fsync and fdatasync ask for */
    bool inode_dirty, inode_data_dirty;         /* ext2: the inode differs from its block */
    bool writing;                               /* a write is under way: i_mutex */
    struct fs_queue writers;
    bool ordered, in_log; /* in the running transaction's list of data to write first */
    uint64_t reserved;    /* pages without a block */
    uint64_t under_write_back, dirty_pages, read_next;
    struct fs_page ***chunks;
    size_t chunk_count;
    struct fs_page *first_dirty, *last_dirty;
    struct fs_log_extent *log_extents;
    size_t log_count, log_capacity;
    struct fs_file *next;
};

/* Transactions whose blocks may lie in the journal alone. */
struct fs_transaction_record {
    uint64_t sequence, start;
};

struct fs_journal {
    uint64_t first, blocks; /* on the device: its superblock, then the ring */
    uint64_t head;          /* 1..blocks-1: where the next transaction goes */
    uint64_t tail, tail_sequence;
    struct fs_transaction_record *records; /* by sequence, oldest first */
    size_t record_count, record_capacity;
};

struct fs_tree {
    uint64_t root; /* block; 0: empty */
};

struct fs_behaviour;
enum { FS_COST_ROWS = sizeof(struct fs_costs) / sizeof(struct cost) };

struct fs {
    const struct fs_behaviour *behaviour;
    struct fs_options options;
    struct fs_host host;
    struct block_device *device;
    struct fs_costs *costs;
    uint64_t lines_at[FS_COST_ROWS];
    struct fs_counters counters;
    uint32_t sectors; /* device blocks in one of ours */
    uint64_t blocks;
    struct fs_superblock super;
    struct fs_file *files;
    struct fs_io *free_ios;
    uint64_t *free_frames;
    size_t free_frame_count, free_frame_capacity;
    /* pages */
    struct fs_page *oldest, *newest;
    uint64_t cached_pages, dirty_pages;
    /* metadata */
    struct fs_buffer *buckets[FS_BUFFER_BUCKETS];
    struct fs_buffer *changed; /* of the running transaction; ext2: not in place */
    uint64_t changed_count;
    sim_time changed_since;
    /* locks */
    bool locked, committing;
    struct fs_queue lock_queue, commit_queue, page_queue;
    uint64_t running, committed; /* transactions */
    enum error_code failed;      /* a write that failed: no further commits */
    struct fs_journal journal;
    uint64_t free_blocks, reserved_blocks;
    /* copy on write */
    struct fs_tree trees[FS_TREES];
    uint8_t *in_use, *pinned; /* a bit a block */
    uint64_t *pinned_list;    /* freed in the running transaction */
    size_t pinned_count, pinned_capacity;
    uint8_t *space_dirty; /* a byte a chunk of FS_SPACE_BLOCKS */
    uint64_t metadata_end, metadata_next, metadata_free, data_next;
};

struct fs_behaviour {
    bool copy_on_write, journal, delayed, extents, ordered_overwrites, data_checksums;
    sim_time time_step; /* of times in inodes; 0: the host's */
    enum error_code (*format)(struct fs *fs, const struct fs_call *call);
    enum error_code (*mount)(struct fs *fs, const struct fs_call *call);
    /* A new file: it is in the directory afterwards. */
    enum error_code (*create)(struct fs *fs, const struct fs_call *call, struct fs_file *file);
    /* Where block `index` of the file lies; 0: nowhere. */
    enum error_code (*map)(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                           uint64_t *block);
    /* Finds room for up to `count` blocks, contiguous, for the file from `index` on:
     * `got` of them. Journalling ones map them at once. */
    enum error_code (*allocate)(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                                uint64_t count, uint64_t *block, uint64_t *got);
    /* The data of such blocks is with the device (copy on write: they are mapped now). */
    enum error_code (*data_written)(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                                    uint64_t count, uint64_t block, const uint32_t *checksums);
    /* The inode has changed; `data`: in a way that fdatasync must keep. */
    enum error_code (*inode_changed)(struct fs *fs, const struct fs_call *call, struct fs_file *file, bool data);
    /* The metadata's part of fsync; the data is with the device. */
    enum error_code (*sync)(struct fs *fs, const struct fs_call *call, struct fs_file *file, bool data_only);
    enum error_code (*commit)(struct fs *fs, const struct fs_call *call);
    /* Metadata blocks that may be written in their place are. */
    enum error_code (*write_metadata)(struct fs *fs, const struct fs_call *call, sim_time before);
};
extern const struct fs_behaviour fs_ext2, fs_ext3, fs_ext4, fs_btrfs;

/* ---- fs.c ---- */
void fs_charge(struct fs *fs, const struct fs_call *call, struct cost *cost, double factor);
void fs_work(struct fs *fs, const struct fs_call *call, enum fs_work work);
/* Keeps others from changing metadata, across reads that block. */
void fs_lock(struct fs *fs, const struct fs_call *call);
void fs_unlock(struct fs *fs, const struct fs_call *call);
/* One commit at a time. */
void fs_begin_commit(struct fs *fs, const struct fs_call *call);
void fs_end_commit(struct fs *fs, const struct fs_call *call);
/* One write to a file at a time (i_mutex). */
void fs_file_lock(struct fs *fs, const struct fs_call *call, struct fs_file *file);
void fs_file_unlock(struct fs *fs, const struct fs_call *call, struct fs_file *file);
uint64_t fs_now_ns(const struct fs *fs);
uint64_t fs_frame(struct fs *fs); /* asserts that there is one */
void fs_frame_free(struct fs *fs, uint64_t frame);
struct fs_file *fs_add_file(struct fs *fs, const char *name, uint32_t number);

/* ---- fs_io.c: operations on the device, several at a time ---- */
struct fs_io {
    struct block_io io;
    struct fs_io *next; /* in its list, or free */
    bool submitted;
};
struct fs_io_list {
    struct fs_io *first, *last;
};
/* Starts a read or write of one block, joined with the list's last if it follows it. */
enum error_code fs_io_block(struct fs *fs, const struct fs_call *call, struct fs_io_list *list,
                            enum block_operation operation, uint64_t block, uint64_t frame, enum block_purpose purpose);
/* Starts what has been joined so far; waits for all and releases them. */
enum error_code fs_io_submit(struct fs *fs, const struct fs_call *call, struct fs_io_list *list);
enum error_code fs_io_finish(struct fs *fs, const struct fs_call *call, struct fs_io_list *list);
/* Starts an operation on memory that is the caller's, in device blocks. */
enum error_code fs_io_direct(struct fs *fs, const struct fs_call *call, struct fs_io_list *list,
                             enum block_operation operation, uint64_t sector, uint64_t physical, uint32_t length_bytes);
enum error_code fs_io_read(struct fs *fs, const struct fs_call *call, uint64_t block, uint64_t frame,
                           enum block_purpose purpose);
/* One block written, with FUA where barriers are on and `durable` asks for it. */
enum error_code fs_io_write(struct fs *fs, const struct fs_call *call, uint64_t block, uint64_t frame,
                            enum block_purpose purpose, bool durable);
enum error_code fs_io_flush(struct fs *fs, const struct fs_call *call); /* nothing without barriers */
void fs_io_free(struct fs *fs);

/* ---- fs_buffer.c: metadata blocks ---- */
/* The block in memory, read if it is not there; NULL: it cannot be read. */
struct fs_buffer *fs_buffer_get(struct fs *fs, const struct fs_call *call, uint64_t block, enum block_purpose purpose);
/* The same, zeroed and not read. */
struct fs_buffer *fs_buffer_new(struct fs *fs, uint64_t block, enum block_purpose purpose);
struct fs_buffer *fs_buffer_find(struct fs *fs, uint64_t block);
void fs_buffer_drop(struct fs *fs, struct fs_buffer *buffer);
void *fs_buffer_bytes(struct fs *fs, const struct fs_buffer *buffer);
/* It has been changed: belongs to the running transaction (ext2: is dirty). */
void fs_buffer_changed(struct fs *fs, struct fs_buffer *buffer);
/* It is no longer in the list of the changed. */
void fs_buffer_unchanged(struct fs *fs, struct fs_buffer *buffer);
void fs_buffers_free(struct fs *fs);
/* Writes buffers (not NULL) in place, from copies; waits. */
enum error_code fs_buffers_write(struct fs *fs, const struct fs_call *call, struct fs_buffer **buffers, size_t count);
/* Sorts by block; gathers those for which `wanted` says so: the caller frees it. */
struct fs_buffer **fs_buffers_gather(struct fs *fs, bool (*wanted)(const struct fs_buffer *buffer, const void *context),
                                     const void *context, size_t *count);

/* ---- fs_pages.c ---- */
struct fs_page *fs_page_find(const struct fs_file *file, uint64_t index);
/* NULL: no memory. */
struct fs_page *fs_page_add(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index);
void fs_page_drop(struct fs *fs, struct fs_page *page);
void fs_page_used(struct fs *fs, struct fs_page *page);
void fs_page_dirty(struct fs *fs, struct fs_page *page);
void fs_page_clean(struct fs *fs, struct fs_page *page);
void fs_pages_free(struct fs *fs);

/* ---- fs_file.c ---- */
/* fs_write, once the file is locked. */
enum error_code fs_write_cached(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                                uint64_t physical, uint32_t length_bytes);

/* ---- fs_writeback.c ---- */
/* Writes the file's dirty pages from `first` to `last`, those dirtied before
 * `before`; without `allocate` only those that have a block. Waits for them and for
 * who else writes some. */
enum error_code fs_write_pages(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t first,
                               uint64_t last, sim_time before, bool allocate);

/* ---- ext.c, ext_alloc.c, ext_map.c, ext_journal.c ---- */
/* Up to `count` free blocks in a row, from `goal` on if there are some. */
enum error_code ext_take_blocks(struct fs *fs, const struct fs_call *call, uint64_t goal, uint64_t count,
                                uint64_t *block, uint64_t *got);
enum error_code ext_groups_format(struct fs *fs, const struct fs_call *call);
enum error_code ext_groups_mount(struct fs *fs, const struct fs_call *call);
enum error_code ext_map(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                        uint64_t *block);
/* Makes the indirect blocks above block `index`: they lie before the data. */
enum error_code ext_map_prepare(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index);
enum error_code ext_map_set(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                            uint64_t block, uint64_t count);
/* The inode in its block; NULL: it cannot be read. */
struct fs_inode *ext_inode(struct fs *fs, const struct fs_call *call, const struct fs_file *file,
                           struct fs_buffer **buffer);
enum error_code ext_journal_commit(struct fs *fs, const struct fs_call *call);
enum error_code ext_journal_checkpoint(struct fs *fs, const struct fs_call *call);
/* The journal is empty, and `sequence` is the next transaction. */
enum error_code ext_journal_reset(struct fs *fs, const struct fs_call *call, uint64_t sequence);

/* ---- cow_tree.c: trees of items ---- */
struct fs_node *cow_node(struct fs *fs, const struct fs_buffer *buffer);
enum error_code cow_put(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, struct fs_key key,
                        const union fs_value *value);
enum error_code cow_delete(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, struct fs_key key);
/* The item at `key`; the last one not above it; the first one above it. False: none. */
bool cow_find(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, struct fs_key key,
              struct fs_node_item *item);
bool cow_find_at_most(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, struct fs_key key,
                      struct fs_node_item *item);
bool cow_find_above(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, struct fs_key key,
                    struct fs_node_item *item);
/* Calls with the block of every node of a tree below `block`. */
enum error_code cow_visit_nodes(struct fs *fs, const struct fs_call *call, uint64_t block,
                                void (*visit)(struct fs *fs, uint64_t block));

/* ---- cow_space.c: which blocks are free ---- */
void cow_space_open(struct fs *fs); /* nothing is in use but what the layout fixes */
/* A block for a node; up to `count` for data. 0: none. */
uint64_t cow_new_metadata(struct fs *fs);
uint64_t cow_new_data(struct fs *fs, uint64_t count, uint64_t *got);
void cow_take(struct fs *fs, uint64_t block, uint64_t count);
/* Free again once the running transaction is committed. */
void cow_release(struct fs *fs, uint64_t block, uint64_t count);
/* A block that is free, but must keep its contents until then. */
void cow_pin(struct fs *fs, uint64_t block);
/* The blocks released so far; and at last they may be used again. */
uint64_t *cow_take_pinned(struct fs *fs, size_t *count);
void cow_unpin(struct fs *fs, uint64_t *blocks, size_t count);
bool cow_metadata_is_short(const struct fs *fs);
/* Brings the space tree up to date; `changed`: it was not. */
enum error_code cow_put_space(struct fs *fs, const struct fs_call *call, bool *changed);
enum error_code cow_load_space(struct fs *fs, const struct fs_call *call);

/* ---- cow_items.c: what the trees say of files ---- */
enum error_code cow_map(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                        uint64_t *block);
enum error_code cow_map_range(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, uint32_t number,
                              uint64_t index, uint64_t count, uint64_t block);
/* `checksums` NULL: whatever is known of the blocks is forgotten. */
enum error_code cow_put_checksums(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, uint64_t block,
                                  uint64_t count, const uint32_t *checksums);
enum error_code cow_put_file(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree,
                             const struct fs_file *file, bool name);

/* ---- cow_commit.c ---- */
enum error_code cow_commit(struct fs *fs, const struct fs_call *call);
/* The same without asking whether there is anything to commit. */
enum error_code cow_commit_running(struct fs *fs, const struct fs_call *call);
enum error_code cow_sync(struct fs *fs, const struct fs_call *call, struct fs_file *file, bool data_only);

void fs_super_seal(struct fs_superblock *super);
bool fs_super_valid(const struct fs_superblock *super);

#endif
