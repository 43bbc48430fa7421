/* Files on Linux: what system calls cost and whom they wait for; the page cache, its
 * flusher, O_DIRECT, the journal's thread, the drive's interrupts. */
#include <criterion/criterion.h>
#include <string.h>

#include "kernel_model/linux/linux_storage.h"
#include "tests/kernel_model/linux_fixture.h"

enum { FILE_BYTES = 4096 };

static struct linux_fixture fixture;
static bool finished;

/* A thread of the test, and what it uses. */
static struct system_thread *self;
static struct system_file *file;
static struct system_buffer buffer;

static struct linux_storage *storage(void) {
    return ((struct linux_system *)fixture.system)->storage;
}

static struct request *begin(void) {
    cpu_run(linux_system_ops.thread_context(self));
    return ledger_begin(fixture.ledger, system_components.app, LEDGER_SERVICE, sim_now());
}

static void end(struct request *request) {
    cpu_run(linux_system_ops.thread_context(self));
    ledger_end(request, system_components.app, sim_now());
}

static void fill(uint8_t seed) {
    uint8_t bytes[FILE_BYTES];
    for (size_t i = 0; i < sizeof bytes; ++i) {
        bytes[i] = (uint8_t)(seed + i * 7);
    }
    memory_write(fixture.machine->memory, buffer.physical, bytes, sizeof bytes);
}

static void expect_contents(uint8_t seed, uint32_t length) {
    uint8_t bytes[FILE_BYTES];
    memory_read(fixture.machine->memory, buffer.physical, bytes, length);
    for (size_t i = 0; i < length; ++i) {
        cr_assert_eq(bytes[i], (uint8_t)(seed + i * 7), "byte %zu", i);
    }
}

static void write_bytes(uint64_t offset, uint32_t length, struct request *request) {
    cr_assert_eq(linux_system_ops.file_write(self, file, offset, buffer.physical, length, request), OK);
}

static void sync_file(struct request *request) {
    cr_assert_eq(linux_system_ops.file_sync(self, file, SYSTEM_SYNC_ALL, request), OK);
}

static void open_file(bool direct) {
    const struct system_file_options options = {.name = "log", .direct = direct};
    cr_assert_eq(linux_system_ops.file_open(self, &options, &file), OK);
    cr_assert_eq(linux_system_ops.buffer_create(self, FILE_BYTES, &buffer), OK);
}

static void run_on(void (*body)(struct system_thread *, void *), const char *const settings[], sim_time limit) {
    if (!linux_fixture_open_storage(&fixture, settings)) {
        diagnostics_print(&fixture.diagnostics, stderr);
        cr_assert_fail("the system");
    }
    (void)linux_fixture_thread(&fixture, 0, body, NULL);
    linux_fixture_run(limit);
    cr_assert(finished, "the thread has not finished");
    cr_assert_eq(ledger_audit(fixture.ledger, sim_now()), 0);
    linux_fixture_close(&fixture);
}

/* ---- data ---- */

static void read_back_body(struct system_thread *thread, void *argument) {
    (void)argument;
    self = thread;
    open_file(false);
    fill(3);
    for (int i = 0; i < 20; ++i) {
        write_bytes(SYSTEM_FILE_END, 1000, NULL);
    }
    sync_file(NULL);
    for (uint64_t i = 0; i < 20; ++i) {
        fill(99);
        cr_assert_eq(linux_system_ops.file_read(thread, file, i * 1000, buffer.physical, 1000, NULL), OK);
        expect_contents(3, 1000);
    }
    cr_assert_eq(fs_counters(storage()->fs)->page_misses, 0, "what was written is in the page cache");
    /* Once the cache has forgotten it, it comes from the device. */
    cr_assert_eq(fs_shrink(storage()->fs, 100), 5);
    fill(99);
    cr_assert_eq(linux_system_ops.file_read(thread, file, 0, buffer.physical, 1000, NULL), OK);
    expect_contents(3, 1000);
    cr_assert_eq(fs_counters(storage()->fs)->page_misses, 1);
    finished = true;
}

static void read_back(const char *filesystem, const char *device) {
    char kind[64], where[64];
    (void)snprintf(kind, sizeof kind, "system.storage.filesystem=%s", filesystem);
    (void)snprintf(where, sizeof where, "system.storage.device=%s", device);
    const char *const settings[] = {kind, where, NULL};
    run_on(read_back_body, settings, 100 * SIM_MS);
}

Test(linux_storage, ext2_reads_back) {
    read_back("ext2", "ram_disk");
}
Test(linux_storage, ext3_reads_back) {
    read_back("ext3", "nvme");
}
Test(linux_storage, ext4_reads_back) {
    read_back("ext4", "nvme");
}
Test(linux_storage, btrfs_reads_back) {
    read_back("btrfs", "nvme");
}

/* ---- time ---- */

static sim_time write_time, sync_time, second_sync_time;

static void time_body(struct system_thread *thread, void *argument) {
    (void)argument;
    self = thread;
    open_file(false);
    for (int i = 0; i < 10; ++i) { /* warm */
        write_bytes(SYSTEM_FILE_END, 64, NULL);
        sync_file(NULL);
    }
    struct request *request = begin();
    const sim_time start = sim_now();
    write_bytes(SYSTEM_FILE_END, 64, request);
    write_time = sim_now() - start;
    sync_file(request);
    sync_time = sim_now() - start - write_time;
    end(request);
    sync_file(NULL);
    second_sync_time = sim_now() - start - write_time - sync_time;
    finished = true;
}

static void run_time(const char *device, const char *latency) {
    char where[64], slow[80];
    (void)snprintf(where, sizeof where, "system.storage.device=%s", device);
    (void)snprintf(slow, sizeof slow, "machine.devices[nvme].media.write_latency=%s", latency);
    const char *const settings[] = {where, slow, NULL};
    run_on(time_body, settings, SIM_S);
}

Test(linux_storage, fsync_waits_for_the_device_and_write_does_not) {
    run_time("nvme", "200 us");
    cr_assert_lt(write_time, 10 * SIM_US);
    /* Data, then the journal's blocks, then the commit block: three rounds. */
    cr_assert_gt(sync_time, 600 * SIM_US);
    cr_assert_lt(sync_time, 700 * SIM_US);
    cr_assert_lt(second_sync_time, 200 * SIM_US, "there is nothing to write: a flush alone");
}

static void ledger_body(struct system_thread *thread, void *argument) {
    time_body(thread, argument);
    const double device = histogram_mean(ledger_spent(fixture.ledger, ledger_find("file_sync_device"), LEDGER_WAITING));
    const double all = histogram_mean(ledger_spent(fixture.ledger, ledger_find("file_sync"), LEDGER_KINDS));
    const double journal = histogram_mean(ledger_spent(fixture.ledger, ledger_find("file_sync_journal"), LEDGER_KINDS));
    cr_assert_gt(device, 600e9);
    cr_assert_gt(journal, 0);
    cr_assert_float_eq(all, (double)sync_time, 1e9, "%f of %f", all, (double)sync_time);
}

Test(linux_storage, the_ledger_tells_device_from_code) {
    static const char *const settings[] = {"system.storage.device=nvme",
                                           "machine.devices[nvme].media.write_latency=200 us", NULL};
    run_on(ledger_body, settings, SIM_S);
}

Test(linux_storage, a_ram_disk_costs_the_processor_alone) {
    run_time("ram_disk", "200 us");
    cr_assert_lt(sync_time, 60 * SIM_US);
    cr_assert_gt(sync_time, 2 * SIM_US);
}

/* ---- O_DIRECT ---- */

static void direct_body(struct system_thread *thread, void *argument) {
    (void)argument;
    self = thread;
    open_file(true);
    fill(5);
    write_bytes(0, 4096, NULL);
    const uint64_t writes = storage()->counters.block_writes;
    fill(6);
    write_bytes(0, 4096, NULL);
    cr_assert_eq(storage()->counters.block_writes, writes + 1, "an overwrite is one operation, at once");
    cr_assert_eq(fs_cached_pages(storage()->fs), 0);
    fill(99);
    cr_assert_eq(linux_system_ops.file_read(thread, file, 0, buffer.physical, 4096, NULL), OK);
    expect_contents(6, 4096);
    cr_assert_eq(linux_system_ops.file_write(thread, file, 100, buffer.physical, 4096, NULL), ERR_RANGE);
    finished = true;
}

Test(linux_storage, o_direct_goes_past_the_cache) {
    static const char *const settings[] = {"system.storage.device=nvme", NULL};
    run_on(direct_body, settings, SIM_S);
}

/* ---- background ---- */

static void dirty_body(struct system_thread *thread, void *argument) {
    (void)argument;
    self = thread;
    open_file(false);
    write_bytes(SYSTEM_FILE_END, 4096, NULL);
    finished = true;
    for (;;) {
        linux_system_ops.compute(thread, NULL, SIM_S);
    }
}

Test(linux_storage, the_flusher_writes_what_is_old) {
    static const char *const settings[] = {"system.storage.dirty_expire=20 ms",
                                           "system.storage.write_back_interval=10 ms",
                                           "system.storage.commit_interval=10 ms", NULL};
    cr_assert(linux_fixture_open_storage(&fixture, settings));
    (void)linux_fixture_thread(&fixture, 0, dirty_body, NULL);
    linux_fixture_run(15 * SIM_MS);
    cr_assert_eq(fs_dirty_pages(storage()->fs), 1);
    linux_fixture_run(85 * SIM_MS);
    cr_assert_eq(fs_dirty_pages(storage()->fs), 0);
    cr_assert_eq(fs_counters(storage()->fs)->pages_written, 1);
    cr_assert_gt(storage()->counters.journal_thread_commits, 0, "its transaction was committed by age");
    linux_fixture_close(&fixture);
}

static void flood_body(struct system_thread *thread, void *argument) {
    (void)argument;
    self = thread;
    open_file(false);
    for (int i = 0; i < 2000; ++i) {
        write_bytes(SYSTEM_FILE_END, 4096, NULL);
        cr_assert_leq(fs_dirty_pages(storage()->fs), 4096 / 5 + 2, "more than the limit is dirty");
    }
    finished = true;
}

Test(linux_storage, who_writes_too_much_writes_back) {
    static const char *const settings[] = {"system.storage.device=nvme", NULL};
    run_on(flood_body, settings, 10 * SIM_S);
}

/* ---- the schedulers ---- */

Test(linux_storage, noop_merges) {
    static const char *const settings[] = {"system.storage.device=nvme", "system.storage.scheduler=noop", NULL};
    run_on(read_back_body, settings, SIM_S);
}

Test(linux_storage, deadline_sorts) {
    static const char *const settings[] = {"system.storage.device=nvme", "system.storage.scheduler=deadline",
                                           "system.storage.queue_depth=1", NULL};
    run_on(read_back_body, settings, SIM_S);
}

/* ---- tracing ---- */

static char trace[1024];

static void on_block(void *context, const struct block_trace_event *event) {
    (void)context;
    const size_t length = strlen(trace);
    (void)snprintf(trace + length, sizeof trace - length, "%llu:%s%s ", (unsigned long long)event->call,
                   event->operation == BLOCK_FLUSH ? "flush" : block_purpose_name(event->purpose),
                   event->force_unit_access ? "!" : "");
}

static void trace_body(struct system_thread *thread, void *argument) {
    (void)argument;
    self = thread;
    open_file(false); /* call 1 */
    linux_system_ops.trace_blocks(fixture.system, on_block, NULL);
    write_bytes(SYSTEM_FILE_END, 64, NULL);
    sync_file(NULL);
    write_bytes(SYSTEM_FILE_END, 64, NULL);
    sync_file(NULL);
    linux_system_ops.trace_blocks(fixture.system, NULL, NULL);
    finished = true;
}

Test(linux_storage, blocks_can_be_listed_for_each_call) {
    static const char *const settings[] = {"system.storage.filesystem=ext3", NULL};
    run_on(trace_body, settings, SIM_S);
    cr_assert_str_eq(trace, "3:data 3:journal_descriptor 3:journal_metadata 3:flush 3:journal_commit! "
                            "5:data 5:journal_descriptor 5:journal_metadata 5:flush 5:journal_commit! ");
}

/* ---- several threads ---- */

enum { WRITERS = 4, ROUNDS = 30 };
static unsigned writers_done;

/* Each appends to one file that all share, and makes it durable. */
static void writer_body(struct system_thread *thread, void *argument) {
    const struct system_file_options options = {.name = "shared"};
    struct system_file *shared;
    struct system_buffer own;
    (void)argument;
    cr_assert_eq(linux_system_ops.file_open(thread, &options, &shared), OK);
    cr_assert_eq(linux_system_ops.buffer_create(thread, FILE_BYTES, &own), OK);
    for (int i = 0; i < ROUNDS; ++i) {
        struct context *context = linux_system_ops.thread_context(thread);
        cpu_run(context);
        struct request *request = ledger_begin(fixture.ledger, system_components.app, LEDGER_SERVICE, sim_now());
        cr_assert_eq(linux_system_ops.file_write(thread, shared, SYSTEM_FILE_END, own.physical, 100, request), OK);
        cr_assert_eq(linux_system_ops.file_sync(thread, shared, SYSTEM_SYNC_ALL, request), OK);
        cpu_run(context);
        ledger_end(request, system_components.app, sim_now());
    }
    writers_done += 1;
    finished = writers_done == WRITERS;
}

static void many_writers(const char *filesystem) {
    char kind[64];
    (void)snprintf(kind, sizeof kind, "system.storage.filesystem=%s", filesystem);
    const char *const settings[] = {kind, "system.storage.device=nvme", "system.storage.journal=512 KiB", NULL};
    cr_assert(linux_fixture_open_storage(&fixture, settings));
    for (unsigned i = 0; i < WRITERS; ++i) {
        (void)linux_fixture_thread(&fixture, i % 2, writer_body, NULL);
    }
    linux_fixture_run(SIM_S);
    cr_assert(finished, "%u of %d writers have finished", writers_done, WRITERS);
    struct linux_file *opened = storage()->files;
    cr_assert_eq(fs_size(opened->file), WRITERS * ROUNDS * 100);
    cr_assert_eq(ledger_completed(fixture.ledger), WRITERS * ROUNDS);
    cr_assert_eq(ledger_audit(fixture.ledger, sim_now()), 0);
    if (strcmp(filesystem, "ext4") == 0) { /* they share commits */
        cr_assert_lt(fs_counters(storage()->fs)->commits, WRITERS * ROUNDS);
    }
    linux_fixture_close(&fixture);
}

Test(linux_storage, threads_share_an_ext2) {
    many_writers("ext2");
}
Test(linux_storage, threads_share_an_ext3) {
    many_writers("ext3");
}
Test(linux_storage, threads_share_an_ext4) {
    many_writers("ext4");
}
Test(linux_storage, threads_share_a_btrfs) {
    many_writers("btrfs");
}
