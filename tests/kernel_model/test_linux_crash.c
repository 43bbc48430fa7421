/* The whole way down: Linux, a file system, the NVMe driver and a drive with a
 * volatile cache. While a thread appends to a log and makes each entry durable, images
 * of what a power cut would leave are taken at many instants, and recovered. */
#include <criterion/criterion.h>
#include <string.h>

#include "hw/nvme/nvme.h"
#include "sim/random.h"
#include "stack/fs/fs_image.h"
#include "tests/kernel_model/linux_fixture.h"

enum { ENTRY_BYTES = 300, ENTRIES = 60 };
static const sim_time between_cuts = 3 * SIM_US;

static struct linux_fixture fixture;
static struct sim_event cut;
static struct random_stream *power;
static uint64_t acknowledged, written, cuts, losses, replays;
static bool started, finished;

static uint8_t byte_at(uint64_t offset) {
    return (uint8_t)(offset * 131 + (offset >> 8) * 7 + 1);
}

static bool read_block(void *context, uint64_t block, void *out) {
    const struct block_store *store = context;
    const uint32_t sectors = FS_BLOCK_BYTES / block_store_block_bytes(store);
    if ((block + 1) * sectors > block_store_blocks(store)) {
        return false;
    }
    block_store_read(store, block * sectors, sectors, out);
    return true;
}

static bool log_survived(struct block_store *store) {
    static uint8_t found[ENTRY_BYTES * (ENTRIES + 1)];
    struct error error = {0};
    struct fs_image_file file;
    struct fs_image *image = fs_image_open(read_block, store, &error);
    bool good = image != NULL;
    if (good) {
        const bool there = fs_image_find(image, "log", &file);
        good = there ? file.size_bytes >= acknowledged && file.size_bytes <= written : acknowledged == 0;
        good = good && (!there || fs_image_read_file(image, &file, 0, found, file.size_bytes));
        for (uint64_t i = 0; good && i < acknowledged; ++i) {
            good = found[i] == byte_at(i);
        }
        replays += fs_image_replayed(image) > 0 || fs_image_superblock(image)->log_block != 0;
    }
    fs_image_free(image);
    return good;
}

static void on_cut(void *context) {
    static const double kept[] = {0, 0.5, 0.9};
    (void)context;
    struct block_store *image =
        block_store_after_power_cut(nvme_store(machine_device(fixture.machine, "nvme")), power, kept[cuts % 3]);
    cuts += 1;
    losses += started && !log_survived(image);
    block_store_free(image);
    if (!finished) {
        sim_schedule(&cut, between_cuts);
    }
}

static void log_body(struct system_thread *thread, void *argument) {
    const struct system_file_options options = {.name = "log"};
    struct system_file *file;
    struct system_buffer buffer;
    uint8_t bytes[ENTRY_BYTES];
    (void)argument;
    cr_assert_eq(linux_system_ops.file_open(thread, &options, &file), OK);
    cr_assert_eq(linux_system_ops.buffer_create(thread, ENTRY_BYTES, &buffer), OK);
    started = true;
    for (unsigned entry = 0; entry < ENTRIES; ++entry) {
        for (uint64_t i = 0; i < ENTRY_BYTES; ++i) {
            bytes[i] = byte_at(written + i);
        }
        memory_write(fixture.machine->memory, buffer.physical, bytes, sizeof bytes);
        written += ENTRY_BYTES;
        cr_assert_eq(linux_system_ops.file_write(thread, file, SYSTEM_FILE_END, buffer.physical, ENTRY_BYTES, NULL),
                     OK);
        cr_assert_eq(linux_system_ops.file_sync(thread, file, SYSTEM_SYNC_ALL, NULL), OK);
        acknowledged = written;
    }
    finished = true;
}

static void run(const char *filesystem, const char *barriers) {
    char kind[64];
    (void)snprintf(kind, sizeof kind, "system.storage.filesystem=%s", filesystem);
    const char *const settings[] = {kind, barriers, "system.storage.device=nvme",
                                    "machine.devices[nvme].write_cache=volatile",
                                    /* lazily: or a cut would find all of it on the medium */
                                    "machine.devices[nvme].destage_from=32 MiB", NULL};
    if (!linux_fixture_open_storage(&fixture, settings)) {
        diagnostics_print(&fixture.diagnostics, stderr);
        cr_assert_fail("the system");
    }
    power = random_stream_create("power");
    sim_event_init(&cut, SIM_PRIORITY_OBSERVER, on_cut, NULL);
    sim_schedule(&cut, between_cuts);
    (void)linux_fixture_thread(&fixture, 0, log_body, NULL);
    linux_fixture_run(SIM_S);
    cr_assert(finished);
    cr_assert_gt(cuts, 500, "%llu cuts", (unsigned long long)cuts);
    cr_assert_gt(replays, 200, "%llu replays", (unsigned long long)replays);
    random_stream_free(power);
    linux_fixture_close(&fixture);
}

Test(linux_crash, ext4_on_a_drive_keeps_what_fsync_acknowledged) {
    run("ext4", "system.storage.barriers=true");
    cr_assert_eq(losses, 0, "%llu losses in %llu cuts", (unsigned long long)losses, (unsigned long long)cuts);
}

Test(linux_crash, btrfs_on_a_drive_keeps_what_fsync_acknowledged) {
    run("btrfs", "system.storage.barriers=true");
    cr_assert_eq(losses, 0, "%llu losses in %llu cuts", (unsigned long long)losses, (unsigned long long)cuts);
}

Test(linux_crash, without_barriers_a_volatile_cache_loses) {
    run("ext4", "system.storage.barriers=false");
    cr_assert_gt(losses, 0, "%llu cuts lost nothing", (unsigned long long)cuts);
}
