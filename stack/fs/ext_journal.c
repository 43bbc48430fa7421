/* ext_journal.c: ordered journalling, after fs/jbd2/commit.c of 3.8: the data that
 * new blocks hold goes first, then descriptor and copies of the metadata, then,
 * behind a flush, the commit block. Blocks in their place follow when the journal
 * runs short or after a while. */
#include <stdlib.h>
#include <string.h>

#include "stack/fs/fs_internal.h"

/* A transaction being committed. */
struct commit {
    uint64_t sequence;
    size_t count;
    struct fs_buffer **buffers;
    uint64_t *copies; /* frames */
    struct fs_file **ordered;
    size_t ordered_count;
};

static uint64_t ring(const struct fs_journal *journal) {
    return journal->blocks - 1;
}

static uint64_t next_place(const struct fs_journal *journal, uint64_t place) {
    return place + 1 == journal->blocks ? 1 : place + 1;
}

static uint64_t used(const struct fs_journal *journal) {
    return (journal->head + ring(journal) - journal->tail) % ring(journal);
}

/* ---- the journal's superblock ---- */

static enum error_code write_superblock(struct fs *fs, const struct fs_call *call, uint64_t sequence, uint64_t start) {
    const uint64_t frame = fs_frame(fs);
    const struct fs_journal_superblock super = {
        .header = {.magic = FS_JOURNAL_MAGIC, .type = FS_JOURNAL_SUPERBLOCK, .sequence = sequence}, .start = start};
    memory_fill(fs->host.memory, frame, 0, FS_BLOCK_BYTES);
    memory_write(fs->host.memory, frame, &super, sizeof super);
    const enum error_code code = fs_io_write(fs, call, fs->journal.first, frame, BLOCK_FOR_journal_superblock, true);
    fs_frame_free(fs, frame);
    return code;
}

enum error_code ext_journal_reset(struct fs *fs, const struct fs_call *call, uint64_t sequence) {
    struct fs_journal *journal = &fs->journal;
    journal->head = journal->tail = 1;
    journal->tail_sequence = sequence;
    journal->record_count = 0;
    fs->running = sequence;
    fs->committed = sequence - 1;
    return write_superblock(fs, call, sequence, 1);
}

/* ---- checkpoint ---- */

static bool can_go_home(const struct fs_buffer *buffer, const void *context) {
    (void)context;
    return buffer->checkpoint != 0 && !buffer->changed;
}

static bool is_pinned(const struct fs_buffer *buffer, const void *context) {
    (void)context;
    return buffer->checkpoint != 0;
}

/* The oldest transaction that some block still needs. */
static uint64_t oldest_needed(struct fs *fs) {
    size_t count = 0;
    uint64_t oldest = UINT64_MAX;
    struct fs_buffer **buffers = fs_buffers_gather(fs, is_pinned, NULL, &count);
    for (size_t i = 0; i < count; ++i) {
        oldest = buffers[i]->checkpoint < oldest ? buffers[i]->checkpoint : oldest;
    }
    free(buffers);
    return oldest;
}

static enum error_code move_tail(struct fs *fs, const struct fs_call *call) {
    struct fs_journal *journal = &fs->journal;
    const uint64_t oldest = oldest_needed(fs);
    size_t gone = 0;
    while (gone < journal->record_count && journal->records[gone].sequence < oldest) {
        gone += 1;
    }
    if (gone == 0) {
        return OK;
    }
    memmove(journal->records, journal->records + gone, (journal->record_count - gone) * sizeof *journal->records);
    journal->record_count -= gone;
    const bool empty = journal->record_count == 0;
    const uint64_t sequence = empty ? fs->committed + 1 : journal->records[0].sequence;
    const uint64_t start = empty ? journal->head : journal->records[0].start;
    const enum error_code code = write_superblock(fs, call, sequence, start);
    if (code == OK) {
        journal->tail = start;
        journal->tail_sequence = sequence;
    }
    return code;
}

enum error_code ext_journal_checkpoint(struct fs *fs, const struct fs_call *call) {
    size_t count = 0;
    fs->counters.checkpoints += 1;
    struct fs_buffer **buffers = fs_buffers_gather(fs, can_go_home, NULL, &count);
    uint64_t *sequences = calloc(count + 1, sizeof *sequences);
    SIM_ASSERT_MSG(sequences != NULL, "out of memory");
    for (size_t i = 0; i < count; ++i) {
        sequences[i] = buffers[i]->checkpoint;
    }
    enum error_code code = count > 0 ? fs_buffers_write(fs, call, buffers, count) : OK;
    code = code == OK ? fs_io_flush(fs, call) : code;
    for (size_t i = 0; i < count && code == OK; ++i) {
        if (buffers[i]->checkpoint == sequences[i]) {
            buffers[i]->checkpoint = 0;
            buffers[i]->dirtied = buffers[i]->changed ? sim_now() : SIM_TIME_MAX;
        }
    }
    free(buffers);
    free(sequences);
    return code == OK ? move_tail(fs, call) : code;
}

static enum error_code make_room(struct fs *fs, const struct fs_call *call) {
    const struct fs_journal *journal = &fs->journal;
    SIM_ASSERT_MSG(fs->changed_count + 8 < ring(journal) / 2, "a transaction of %llu blocks in a journal of %llu",
                   (unsigned long long)fs->changed_count, (unsigned long long)journal->blocks);
    return used(journal) > ring(journal) / 2 ? ext_journal_checkpoint(fs, call) : OK;
}

/* ---- commit ---- */

static int by_block(const void *a, const void *b) {
    const struct fs_buffer *const *left = a, *const *right = b;
    return (*left)->block < (*right)->block ? -1 : (*left)->block > (*right)->block;
}

/* Closes the running transaction: what it has changed is copied at this instant, and
 * the next one begins. (jbd2 copies a block only if it is changed again before its
 * copy is in the journal; the bytes are the same.) */
static void close_transaction(struct fs *fs, const struct fs_call *call, struct commit *commit) {
    fs_lock(fs, call);
    *commit = (struct commit){.sequence = fs->running};
    commit->buffers = calloc(fs->changed_count + 1, sizeof(struct fs_buffer *));
    commit->copies = calloc(fs->changed_count + 1, sizeof *commit->copies);
    commit->ordered = calloc(FS_INODES + 1, sizeof(struct fs_file *));
    SIM_ASSERT_MSG(commit->buffers != NULL && commit->copies != NULL && commit->ordered != NULL, "out of memory");
    while (fs->changed != NULL) {
        struct fs_buffer *buffer = fs->changed;
        fs->changed = buffer->next_changed;
        buffer->changed = false;
        buffer->transaction = 0;
        commit->buffers[commit->count++] = buffer;
    }
    qsort(commit->buffers, commit->count, sizeof(struct fs_buffer *), by_block);
    for (size_t i = 0; i < commit->count; ++i) {
        commit->copies[i] = fs_frame(fs);
        memory_copy(fs->host.memory, commit->copies[i], commit->buffers[i]->frame, FS_BLOCK_BYTES);
    }
    for (struct fs_file *file = fs->files; file != NULL; file = file->next) {
        if (file->ordered) {
            commit->ordered[commit->ordered_count++] = file;
            file->ordered = false;
        }
    }
    fs->changed_count = 0;
    fs->changed_since = SIM_TIME_MAX;
    fs->running += 1;
    fs_unlock(fs, call);
}

static enum error_code write_ordered_data(struct fs *fs, const struct fs_call *call, const struct commit *commit) {
    enum error_code code = OK;
    for (size_t i = 0; i < commit->ordered_count && code == OK; ++i) {
        code = fs_write_pages(fs, call, commit->ordered[i], 0, UINT64_MAX, SIM_TIME_MAX, false);
    }
    return code;
}

static enum error_code put(struct fs *fs, const struct fs_call *call, struct fs_io_list *list, uint64_t frame,
                           enum block_purpose purpose, uint32_t *checksum) {
    struct fs_journal *journal = &fs->journal;
    if (fs->options.journal_checksums) {
        *checksum = fs_crc32c(*checksum, memory_at(fs->host.memory, frame), FS_BLOCK_BYTES);
        fs_charge(fs, call, &fs->costs->checksum_per_kib, FS_BLOCK_BYTES / 1024.0);
    }
    const enum error_code code =
        fs_io_block(fs, call, list, BLOCK_WRITE, journal->first + journal->head, frame, purpose);
    journal->head = next_place(journal, journal->head);
    return code;
}

static uint64_t make_descriptor(struct fs *fs, const struct commit *commit, size_t first, size_t count) {
    const uint64_t frame = fs_frame(fs);
    struct fs_journal_descriptor *descriptor = (void *)memory_at(fs->host.memory, frame);
    memory_fill(fs->host.memory, frame, 0, FS_BLOCK_BYTES);
    descriptor->header = (struct fs_journal_header){FS_JOURNAL_MAGIC, FS_JOURNAL_DESCRIPTOR, commit->sequence};
    descriptor->count = count;
    descriptor->last = first + count == commit->count;
    for (size_t i = 0; i < count; ++i) {
        descriptor->blocks[i] = commit->buffers[first + i]->block;
    }
    return frame;
}

/* Descriptors and copies. */
static enum error_code write_metadata(struct fs *fs, const struct fs_call *call, struct commit *commit,
                                      uint32_t *checksum) {
    struct fs_io_list list = {0};
    const size_t descriptors = (commit->count + FS_JOURNAL_TAGS - 1) / FS_JOURNAL_TAGS;
    uint64_t *frames = calloc(descriptors + 1, sizeof *frames);
    SIM_ASSERT_MSG(frames != NULL, "out of memory");
    for (size_t d = 0; d < descriptors; ++d) {
        const size_t first = d * FS_JOURNAL_TAGS;
        const size_t count = commit->count - first < FS_JOURNAL_TAGS ? commit->count - first : FS_JOURNAL_TAGS;
        frames[d] = make_descriptor(fs, commit, first, count);
        (void)put(fs, call, &list, frames[d], BLOCK_FOR_journal_descriptor, checksum);
        for (size_t i = first; i < first + count; ++i) {
            fs_charge(fs, call, &fs->costs->commit_block, 1);
            (void)put(fs, call, &list, commit->copies[i], BLOCK_FOR_journal_metadata, checksum);
        }
    }
    const enum error_code code = fs_io_finish(fs, call, &list);
    for (size_t d = 0; d < descriptors; ++d) {
        fs_frame_free(fs, frames[d]);
    }
    free(frames);
    return code;
}

static enum error_code write_commit_block(struct fs *fs, const struct fs_call *call, const struct commit *commit,
                                          uint32_t checksum) {
    struct fs_journal *journal = &fs->journal;
    const uint64_t frame = fs_frame(fs);
    const struct fs_journal_commit block = {
        .header = {FS_JOURNAL_MAGIC, FS_JOURNAL_COMMIT, commit->sequence},
        .checked = fs->options.journal_checksums,
        .checksum = checksum,
    };
    memory_fill(fs->host.memory, frame, 0, FS_BLOCK_BYTES);
    memory_write(fs->host.memory, frame, &block, sizeof block);
    enum error_code code = fs_io_flush(fs, call); /* data and copies are durable before it is */
    if (code == OK) {
        code = fs_io_write(fs, call, journal->first + journal->head, frame, BLOCK_FOR_journal_commit, true);
    }
    journal->head = next_place(journal, journal->head);
    fs_frame_free(fs, frame);
    return code;
}

static void note_committed(struct fs *fs, const struct commit *commit, uint64_t start) {
    struct fs_journal *journal = &fs->journal;
    if (journal->record_count == journal->record_capacity) {
        journal->record_capacity = journal->record_capacity * 2 + 64;
        journal->records = realloc(journal->records, journal->record_capacity * sizeof *journal->records);
        SIM_ASSERT_MSG(journal->records != NULL, "out of memory");
    }
    journal->records[journal->record_count++] = (struct fs_transaction_record){commit->sequence, start};
    for (size_t i = 0; i < commit->count; ++i) {
        commit->buffers[i]->checkpoint = commit->sequence;
    }
    fs->counters.commits += 1;
    fs->counters.metadata_blocks_written += commit->count;
    fs->committed = commit->sequence;
}

static enum error_code commit_running(struct fs *fs, const struct fs_call *call) {
    struct commit commit;
    uint32_t checksum = 0;
    enum error_code code = make_room(fs, call);
    if (code != OK) {
        return code;
    }
    const uint64_t start = fs->journal.head;
    fs_charge(fs, call, &fs->costs->commit, 1);
    close_transaction(fs, call, &commit);
    code = write_ordered_data(fs, call, &commit);
    code = code == OK ? write_metadata(fs, call, &commit, &checksum) : code;
    code = code == OK ? write_commit_block(fs, call, &commit, checksum) : code;
    for (size_t i = 0; i < commit.count; ++i) {
        fs_frame_free(fs, commit.copies[i]);
    }
    if (code == OK) {
        note_committed(fs, &commit, start);
    }
    free(commit.buffers);
    free(commit.copies);
    free(commit.ordered);
    return code;
}

enum error_code ext_journal_commit(struct fs *fs, const struct fs_call *call) {
    const uint64_t sequence = fs->running;
    fs_begin_commit(fs, call);
    if (fs->committed < sequence && fs->changed != NULL && fs->failed == OK) {
        fs_work(fs, call, FS_WORK_JOURNAL);
        fs->failed = commit_running(fs, call); /* the journal is aborted */
        fs_work(fs, call, FS_WORK_CODE);
    }
    fs_end_commit(fs, call);
    return fs->failed;
}
