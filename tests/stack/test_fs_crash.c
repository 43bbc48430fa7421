/* The power is cut at every operation on the drive, and what its volatile cache held
 * survives in part, block by block at random. Nothing that fsync has acknowledged may
 * be lost, and what is found must be consistent. Without flushes the same test fails,
 * which shows that it can. */
#include <stdlib.h>
#include <string.h>

#include "tests/stack/fs_fixture.h"

enum { FILES = 3, FILE_BYTES_MAX = 1 << 19, PENDING_MAX = 4096, STEPS = 500, CUTS = 3 };

/* What may be found of a file: what was synced, and, byte by byte, any later write. */
struct expectation {
    char name[8];
    struct fs_file *file;
    uint8_t synced[FILE_BYTES_MAX];
    uint64_t synced_bytes; /* size that was acknowledged */
    uint64_t bytes;
    bool exists;
    struct {
        uint64_t offset;
        uint32_t length;
        uint32_t seed;
    } pending[PENDING_MAX];
    size_t pending_count;
};

static struct expectation files[FILES];
static struct random_stream *choices, *power;
static uint64_t application, cuts, losses, inconsistencies, replays;
static uint32_t next_seed = 1;

static uint8_t byte_of(uint32_t seed, uint64_t offset) {
    const uint64_t mixed = (seed * UINT64_C(0x9e3779b97f4a7c15)) ^ (offset * UINT64_C(0xbf58476d1ce4e5b9));
    return (uint8_t)(mixed >> 29 | 1); /* never 0: a hole is recognised */
}

static bool may_be(const struct expectation *expected, uint64_t offset, uint8_t found) {
    if (offset < expected->synced_bytes ? found == expected->synced[offset] : found == 0) {
        return true;
    }
    for (size_t i = 0; i < expected->pending_count; ++i) {
        const uint64_t first = expected->pending[i].offset;
        if (offset >= first && offset < first + expected->pending[i].length &&
            found == byte_of(expected->pending[i].seed, offset)) {
            return true;
        }
    }
    return false;
}

static bool file_survived(const struct fs_image *image, const struct expectation *expected) {
    static uint8_t found[FILE_BYTES_MAX];
    struct fs_image_file file;
    if (!fs_image_find(image, expected->name, &file)) {
        return !expected->exists;
    }
    if (file.size_bytes < expected->synced_bytes || file.size_bytes > expected->bytes ||
        !fs_image_read_file(image, &file, 0, found, file.size_bytes)) {
        return false;
    }
    for (uint64_t i = 0; i < file.size_bytes; ++i) {
        if (!may_be(expected, i, found[i])) {
            return false;
        }
    }
    return true;
}

static void inspect(struct fs_drive *drive) {
    struct error error = {0};
    cuts += 1;
    struct fs_image *image = fs_image_open(fs_drive_read, drive, &error);
    if (image == NULL) {
        losses += 1;
        return;
    }
    replays += fs_image_replayed(image) > 0 || fs_image_superblock(image)->log_block != 0;
    for (size_t i = 0; i < FILES; ++i) {
        losses += !file_survived(image, &files[i]);
    }
    fs_image_free(image);
    inconsistencies += fs_check(fs_drive_read, drive) != NULL;
}

static void on_operation(struct fs_drive *drive, void *context) {
    static const double kept[CUTS] = {0, 0.5, 0.9};
    (void)context;
    for (size_t i = 0; i < CUTS; ++i) {
        fs_drive_cut(drive, power, kept[i]);
        inspect(drive);
    }
}

static void write_some(struct expectation *expected, bool append) {
    uint8_t bytes[6000];
    const uint32_t length = (uint32_t)(1 + random_below(choices, random_below(choices, 4) == 0 ? 6000 : 300));
    const uint64_t offset = append || expected->bytes == 0 ? expected->bytes : random_below(choices, expected->bytes);
    if (offset + length > FILE_BYTES_MAX || expected->pending_count == PENDING_MAX) {
        return;
    }
    const uint32_t seed = next_seed++;
    for (uint32_t i = 0; i < length; ++i) {
        bytes[i] = byte_of(seed, offset + i);
    }
    expected->pending[expected->pending_count].offset = offset;
    expected->pending[expected->pending_count].length = length;
    expected->pending[expected->pending_count++].seed = seed;
    expected->bytes = offset + length > expected->bytes ? offset + length : expected->bytes;
    memory_write(fixture.machine.memory, application, bytes, length);
    cr_assert_eq(fs_write(fixture.fs, &fixture.call, expected->file, append ? UINT64_MAX : offset, application, length),
                 OK);
}

static void sync_one(struct expectation *expected) {
    cr_assert_eq(fs_sync(fixture.fs, &fixture.call, expected->file, random_below(choices, 3) == 0), OK);
    for (size_t i = 0; i < expected->pending_count; ++i) {
        for (uint32_t b = 0; b < expected->pending[i].length; ++b) {
            const uint64_t at = expected->pending[i].offset + b;
            expected->synced[at] = byte_of(expected->pending[i].seed, at);
        }
    }
    expected->pending_count = 0;
    expected->synced_bytes = expected->bytes;
    expected->exists = true;
}

static void step(void) {
    struct expectation *expected = &files[random_below(choices, FILES)];
    switch (random_below(choices, 8)) {
    case 0:
    case 1:
        sync_one(expected);
        break;
    case 2:
        if (random_below(choices, 4) == 0) {
            cr_assert_eq(fs_write_back(fixture.fs, &fixture.call, SIM_TIME_MAX, UINT64_MAX), OK);
        } else if (random_below(choices, 2) == 0) {
            cr_assert_eq(fs_commit(fixture.fs, &fixture.call), OK);
        }
        break;
    case 3:
        write_some(expected, false);
        break;
    default:
        write_some(expected, true);
    }
    fs_fixture_wait(SIM_MS);
}

static void crash_body(void) {
    choices = random_stream_create("choices");
    power = random_stream_create("power");
    application = fs_fixture_memory(8192);
    for (size_t i = 0; i < FILES; ++i) {
        (void)snprintf(files[i].name, sizeof files[i].name, "f%zu", i);
    }
    fixture.drive.on_operation = on_operation;
    for (size_t i = 0; i < FILES; ++i) {
        cr_assert_eq(fs_open(fixture.fs, &fixture.call, files[i].name, 0, &files[i].file), OK);
    }
    for (int i = 0; i < STEPS; ++i) {
        step();
    }
    fixture.drive.on_operation = NULL;
    random_stream_free(choices);
    random_stream_free(power);
}

static void expect_safety(enum fs_kind kind, uint32_t block_bytes) {
    fs_fixture_run(kind, block_bytes, 2048, crash_body);
    cr_log_info("%s: %llu cuts, %llu with a replay", fs_kind_names[kind], (unsigned long long)cuts,
                (unsigned long long)replays);
    cr_assert_gt(cuts, 1000);
    cr_assert_gt(replays, cuts / 4, "%llu of %llu cuts had something to replay", (unsigned long long)replays,
                 (unsigned long long)cuts);
    cr_assert_eq(losses, 0, "%llu losses in %llu cuts", (unsigned long long)losses, (unsigned long long)cuts);
    cr_assert_eq(inconsistencies, 0, "%llu inconsistencies in %llu cuts", (unsigned long long)inconsistencies,
                 (unsigned long long)cuts);
}

Test(fs_crash, ext3_keeps_what_fsync_acknowledged) {
    expect_safety(FS_EXT3, 4096);
}

Test(fs_crash, ext4_keeps_what_fsync_acknowledged) {
    expect_safety(FS_EXT4, 4096);
}

Test(fs_crash, ext4_survives_torn_blocks) {
    expect_safety(FS_EXT4, 512);
}

Test(fs_crash, btrfs_keeps_what_fsync_acknowledged) {
    expect_safety(FS_BTRFS, 4096);
}

Test(fs_crash, btrfs_survives_torn_blocks) {
    expect_safety(FS_BTRFS, 512);
}

static void no_flush_body(void) {
    fixture.drive.ignores_flush = true;
    crash_body();
}

static void expect_harm(enum fs_kind kind) {
    fs_fixture_run(kind, 4096, 2048, no_flush_body);
    cr_assert_gt(losses, 0, "a drive that ignores flushes lost nothing in %llu cuts", (unsigned long long)cuts);
    cr_assert_gt(inconsistencies, 0);
}

Test(fs_crash, ext4_needs_the_flush) {
    expect_harm(FS_EXT4);
}

Test(fs_crash, btrfs_needs_the_flush) {
    expect_harm(FS_BTRFS);
}

/* A crash, a mount, and the same again: what was synced is there, through the page
 * cache, and the next run goes on from it. */
static void remount_body(void) {
    uint8_t found[5000], written[5000];
    const uint64_t memory = fs_fixture_memory(8192);
    struct fs_file *file;
    uint64_t bytes = 0;
    power = random_stream_create("power");
    for (uint32_t round = 0; round < 20; ++round) {
        struct fs_drive *drive = &fixture.drive;
        cr_assert_eq(fs_open(fixture.fs, &fixture.call, "log", 0, &file), OK);
        cr_assert_eq(fs_size(file), bytes);
        for (uint64_t at = 0; at < bytes; at += 1000) {
            cr_assert_eq(fs_read(fixture.fs, &fixture.call, file, at, memory, 1000), OK);
            memory_read(fixture.machine.memory, memory, found, 1000);
            for (uint64_t i = 0; i < 1000 && at + i < bytes; ++i) {
                cr_assert_eq(found[i], byte_of(7, at + i), "byte %llu in round %u", (unsigned long long)(at + i),
                             round);
            }
        }
        for (size_t i = 0; i < sizeof written; ++i) {
            written[i] = byte_of(7, bytes + i);
        }
        memory_write(fixture.machine.memory, memory, written, sizeof written);
        cr_assert_eq(fs_write(fixture.fs, &fixture.call, file, UINT64_MAX, memory, sizeof written), OK);
        cr_assert_eq(fs_sync(fixture.fs, &fixture.call, file, false), OK);
        bytes += sizeof written;
        cr_assert_eq(fs_write(fixture.fs, &fixture.call, file, bytes, memory, 100), OK); /* not synced */
        fs_drive_cut(drive, power, 0.5);
        for (uint64_t block = 0; block < drive->base.blocks; ++block) {
            if (drive->in_cache[block] && drive->survives[block]) {
                memcpy(drive->medium + block * drive->base.block_bytes, drive->cache + block * drive->base.block_bytes,
                       drive->base.block_bytes);
            }
            drive->in_cache[block] = 0;
        }
        drive->cached_count = 0;
        fs_fixture_remount();
        cr_assert_null(fs_check(fs_drive_read, drive), "%s", fs_check(fs_drive_read, drive));
    }
    random_stream_free(power);
}

Test(fs_crash, ext3_mounts_after_a_crash) {
    fs_fixture_run(FS_EXT3, 4096, 2048, remount_body);
}
Test(fs_crash, ext4_mounts_after_a_crash) {
    fs_fixture_run(FS_EXT4, 512, 2048, remount_body);
}
Test(fs_crash, btrfs_mounts_after_a_crash) {
    fs_fixture_run(FS_BTRFS, 4096, 2048, remount_body);
}
