/* Which blocks each file system writes, in which order, with which flushes, for the
 * same calls. "!": with force unit access. */
#include <string.h>

#include "tests/stack/fs_fixture.h"

static struct fs_file *file;
static uint64_t buffer;

static void expect(const char *what, const char *text) {
    cr_assert_str_eq(fixture.trace, text, "%s:\n%s--- expected:\n%s", what, fixture.trace, text);
    fs_fixture_trace();
}

static void append(uint32_t bytes) {
    cr_assert_eq(fs_write(fixture.fs, &fixture.call, file, UINT64_MAX, buffer, bytes), OK);
}

static void sync_file(bool data_only) {
    cr_assert_eq(fs_sync(fixture.fs, &fixture.call, file, data_only), OK);
}

/* A file of one block that is durable; the trace is empty. */
static void prepare(void) {
    buffer = fs_fixture_memory(8192);
    cr_assert_eq(fs_open(fixture.fs, &fixture.call, "log", 0, &file), OK);
    append(64);
    sync_file(false);
    fs_fixture_wait(2 * SIM_S);
    fs_fixture_trace();
}

static void ext2_body(void) {
    prepare();
    append(64);
    expect("a write alone", "");
    sync_file(false);
    expect("append within a block", "write data 1\nwrite inode 1\n");
    append(4096);
    sync_file(false);
    expect("append with a new block", "write data 2\nwrite inode 1\n");
    /* Beyond the twelfth block an indirect one comes in. */
    for (int i = 0; i < 11; ++i) {
        append(4096);
    }
    sync_file(false);
    expect("append with an indirect block", "write data 11\nwrite data 1\nwrite indirect 1\nwrite inode 1\n");
    cr_assert_eq(fs_write(fixture.fs, &fixture.call, file, 0, buffer, 64), OK);
    sync_file(true);
    expect("overwrite, fdatasync", "write data 1\n");
}

Test(fs_blocks, ext2_writes_in_place_and_never_flushes) {
    fs_fixture_run(FS_EXT2, 4096, 4096, ext2_body);
}

static void ext3_body(void) {
    prepare();
    append(64);
    sync_file(false);
    expect("append within a block", "write data 1\nwrite journal_descriptor 1\nwrite journal_metadata 1\nflush\n"
                                    "write! journal_commit 1\n");
    append(4096);
    sync_file(false);
    /* group descriptors, bitmap, inode */
    expect("append with a new block", "write data 2\nwrite journal_descriptor 1\nwrite journal_metadata 3\nflush\n"
                                      "write! journal_commit 1\n");
    cr_assert_eq(fs_write(fixture.fs, &fixture.call, file, 0, buffer, 64), OK);
    sync_file(true);
    expect("overwrite, fdatasync", "write data 1\nflush\n");
}

Test(fs_blocks, ext3_commits_a_transaction) {
    fs_fixture_run(FS_EXT3, 4096, 4096, ext3_body);
}

static void ext4_body(void) {
    prepare();
    append(64);
    sync_file(false);
    expect("append within a block", "write data 1\nwrite journal_descriptor 1\nwrite journal_metadata 1\nflush\n"
                                    "write! journal_commit 1\n");
    append(4096 * 2);
    cr_assert_eq(fixture.trace[0], '\0');
    sync_file(false);
    expect("append with new blocks", "write data 3\nwrite journal_descriptor 1\nwrite journal_metadata 3\nflush\n"
                                     "write! journal_commit 1\n");
    sync_file(false);
    expect("nothing to do", "flush\n");
    cr_assert_eq(fs_write(fixture.fs, &fixture.call, file, 0, buffer, 64), OK);
    sync_file(true);
    expect("overwrite, fdatasync", "write data 1\nflush\n");
}

Test(fs_blocks, ext4_allocates_late_and_commits) {
    fs_fixture_run(FS_EXT4, 4096, 4096, ext4_body);
}

/* An append and its fsync, while another file has a block that is not durable. */
static void sync_beside_another(void) {
    struct fs_file *other;
    prepare();
    cr_assert_eq(fs_open(fixture.fs, &fixture.call, "other", 0, &other), OK);
    cr_assert_eq(fs_write(fixture.fs, &fixture.call, other, 0, buffer, 4096), OK);
    append(64);
    sync_file(false);
}

static void ext4_order_body(void) {
    /* What one file's commit takes along of another: its inode, and the data of blocks
     * that were allocated in the same transaction, but not data that has none yet. */
    sync_beside_another();
    expect("delayed data stays", "write data 1\nwrite journal_descriptor 1\nwrite journal_metadata 2\nflush\n"
                                 "write! journal_commit 1\n");
}

Test(fs_blocks, ext4_leaves_the_data_of_other_files) {
    fs_fixture_run(FS_EXT4, 4096, 4096, ext4_order_body);
}

static void ext3_order_body(void) {
    sync_beside_another();
    expect("ordered data goes first", "write data 1\nwrite data 1\nwrite journal_descriptor 1\n"
                                      "write journal_metadata 4\nflush\nwrite! journal_commit 1\n");
}

Test(fs_blocks, ext3_takes_the_data_of_other_files_along) {
    fs_fixture_run(FS_EXT3, 4096, 4096, ext3_order_body);
}

static void btrfs_body(void) {
    prepare();
    append(64);
    sync_file(false);
    /* The block of data is a new one, the log's leaf and its root's are new ones. */
    expect("append within a block", "write data 1\nwrite log_node 2\nflush\nwrite! superblock 1\n");
    append(4096);
    sync_file(false);
    expect("append with a new block", "write data 2\nwrite log_node 2\nflush\nwrite! superblock 1\n");
    cr_assert_eq(fs_write(fixture.fs, &fixture.call, file, 0, buffer, 64), OK);
    sync_file(true);
    expect("overwrite, fdatasync", "write data 1\nwrite log_node 2\nflush\nwrite! superblock 1\n");
    cr_assert_eq(fs_commit(fixture.fs, &fixture.call), OK);
    expect("commit", "write tree_node 2\nwrite tree_node 2\nflush\nwrite! superblock 1\n");
    /* the leaves of files, checksums, space and roots, in two runs of free blocks */
}

Test(fs_blocks, btrfs_copies_on_write_and_logs) {
    fs_fixture_run(FS_BTRFS, 4096, 4096, btrfs_body);
}

static void no_barrier_body(void) {
    fs_free(fixture.fs);
    fixture.fs = NULL;
    fixture.options.barriers = false;
    fs_fixture_remount();
    prepare();
    append(64);
    sync_file(false);
    expect("without barriers", "write data 1\nwrite journal_descriptor 1\nwrite journal_metadata 1\n"
                               "write journal_commit 1\n");
}

Test(fs_blocks, without_barriers_nothing_is_flushed) {
    fs_fixture_run(FS_EXT4, 4096, 4096, no_barrier_body);
}

static void sectors_body(void) {
    prepare();
    append(64);
    sync_file(false);
    expect("blocks of 512 bytes", "write data 1\nwrite journal_descriptor 1\nwrite journal_metadata 1\nflush\n"
                                  "write! journal_commit 1\n");
    cr_assert_eq(fs_counters(fixture.fs)->flushes, 3);
}

Test(fs_blocks, the_devices_block_may_be_smaller) {
    fs_fixture_run(FS_EXT4, 512, 4096, sectors_body);
}
