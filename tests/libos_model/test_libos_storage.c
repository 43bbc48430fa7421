/* Logs, queues and files of a library OS on an NVMe drive, without the kernel, or with
 * the kernel's emulation of an interface. */
#include "libos_model/persist_recover.h"
#include "tests/libos_model/crash.h"
#include "tests/libos_model/storage_fixture.h"

enum { APPENDS = 64, ENTRY = 1000 };

static struct system_append appends[APPENDS];
static uint64_t next_done;
static void note(struct system_append *append) {
    cr_assert_eq(append->status, OK);
    cr_assert_eq(append->position, next_done, "out of order");
    if (append->request != NULL) {
        cr_assert_eq(append->request->owner != 0, true);
    }
    next_done++;
}

static struct system_log *slog;
static void append_all(uint32_t length) {
    for (uint64_t i = 0; i < APPENDS; i++) {
        memory_fill(fixture_machine->memory, st_buffer.physical, (uint8_t)i, length);
        appends[i] = (struct system_append){
            .physical = st_buffer.physical, .length_bytes = length, .request = st_request(), .done = note};
        cr_assert_eq(st_ops->log_append(st_thread, slog, &appends[i]), OK);
    }
    for (uint64_t i = 0; i < APPENDS; i++) {
        st_ops->log_wait(st_thread, slog, &appends[i]);
        st_request_end(appends[i].request);
    }
}

static void pop_some(void) {
    uint32_t length = 0;
    for (uint64_t i = 0; i < 3; i++) {
        struct request *request = st_request();
        cr_assert_eq(st_ops->log_pop(st_thread, slog, st_buffer.physical, 60000, &length, request), OK);
        cr_assert_eq(length, ENTRY);
        cr_assert_eq(*memory_at(fixture_machine->memory, st_buffer.physical + ENTRY - 1), i);
        st_request_end(request);
    }
    cr_assert_eq(st_ops->log_trim(st_thread, slog, APPENDS - 4), OK);
    cr_assert_eq(st_ops->log_trim(st_thread, slog, 2), ERR_RANGE);
    cr_assert_eq(st_ops->log_pop(st_thread, slog, st_buffer.physical, 60000, &length, NULL), OK);
    cr_assert_eq(*memory_at(fixture_machine->memory, st_buffer.physical), APPENDS - 1);
    cr_assert_eq(st_ops->log_pop(st_thread, slog, st_buffer.physical, 60000, &length, NULL), ERR_AGAIN);
}

static bool finished;
static void use_log(void) {
    cr_assert_eq(st_ops->log_open(st_thread, "log", 1 << 20, &slog), OK);
    append_all(ENTRY);
    cr_assert_eq(next_done, APPENDS);
    pop_some();
    finished = true;
}

static void expect_accounted(void) {
    cr_assert(finished);
    cr_assert_eq(ledger_audit(st_ledger, sim_now()), 0);
    cr_assert_eq(ledger_completed(st_ledger), APPENDS + 3);
    cr_assert_gt(st_mean_ns("nvme"), 0);
    cr_assert_gt(st_mean_ns("storage_out"), 0);
    cr_assert_gt(st_mean_ns("log_append"), 0);
}

Test(libos_storage, log_on_a_protected_drive) {
    st_run(&arrakis_posix_ops, 2, "protected", "", use_log);
    expect_accounted();
    cr_assert_eq(nvme_counters(st_drive, 1)->flushes, 0);
    cr_assert_eq(st_mean_ns("vsic_emulation"), 0);
}

Test(libos_storage, log_on_a_volatile_drive) {
    st_run(&arrakis_native_ops, 2, "volatile", "", use_log);
    expect_accounted();
    cr_assert_gt(nvme_counters(st_drive, 1)->flushes, 0);
}

Test(libos_storage, log_on_an_emulated_interface) {
    st_run(&arrakis_posix_ops, 0, "volatile", ", emulation: true, emulation_core: 1", use_log);
    expect_accounted();
    cr_assert_gt(st_mean_ns("vsic_emulation"), 0);
    cr_assert_gt(nvme_counters(st_drive, 0)->writes, APPENDS);
}

/* ---- overlap ---- */

static sim_time alone, together;
static void compare(void) {
    cr_assert_eq(st_ops->log_open(st_thread, "log", 1 << 20, &slog), OK);
    struct context *context = st_ops->thread_context(st_thread);
    struct system_append append = {.physical = st_buffer.physical, .length_bytes = ENTRY};
    cpu_run(context);
    sim_time start = sim_now();
    for (int i = 0; i < 16; i++) {
        cr_assert_eq(st_ops->log_append(st_thread, slog, &append), OK);
        st_ops->log_wait(st_thread, slog, &append);
    }
    cpu_run(context);
    alone = sim_now() - start;
    start = sim_now();
    for (int i = 0; i < 16; i++) {
        appends[i] = append;
        cr_assert_eq(st_ops->log_append(st_thread, slog, &appends[i]), OK);
    }
    st_ops->log_wait(st_thread, slog, &appends[15]);
    cpu_run(context);
    together = sim_now() - start;
}

Test(libos_storage, appends_overlap) {
    st_run(&arrakis_posix_ops, 1, "protected", "", compare);
    cr_assert_lt(together * 2, alone, "%.1f us one by one, %.1f us together", (double)alone / SIM_US,
                 (double)together / SIM_US);
}

/* ---- an append becomes durable while the thread waits for something else ---- */

static void wait_elsewhere(void) {
    struct system_socket *socket = NULL;
    cr_assert_eq(st_ops->log_open(st_thread, "log", 1 << 20, &slog), OK);
    cr_assert_eq(st_ops->socket_open_udp(st_thread, 7, &socket), OK);
    appends[0] = (struct system_append){.physical = st_buffer.physical, .length_bytes = ENTRY, .done = note};
    cr_assert_eq(st_ops->log_append(st_thread, slog, &appends[0]), OK);
    cr_assert_eq(st_ops->socket_wait(st_thread, socket, SYSTEM_WAIT_BLOCK), OK); /* nobody sends */
}

Test(libos_storage, completions_are_taken_while_waiting_for_packets) {
    st_run(&arrakis_posix_ops, 1, "volatile", "", wait_elsewhere);
    cr_assert(appends[0].finished);
    cr_assert_eq(next_done, 1);
}

/* ---- files ---- */

static void write_file(struct system_file *file, uint64_t offset, uint8_t value, uint32_t bytes) {
    memory_fill(fixture_machine->memory, st_buffer.physical, value, bytes);
    cr_assert_eq(st_ops->file_write(st_thread, file, offset, st_buffer.physical, bytes, NULL), OK);
}
static bool file_has(struct system_file *file, uint64_t offset, uint8_t value, uint32_t bytes) {
    memory_fill(fixture_machine->memory, st_buffer.physical, 0xee, bytes);
    cr_assert_eq(st_ops->file_read(st_thread, file, offset, st_buffer.physical, bytes, NULL), OK);
    for (uint32_t i = 0; i < bytes; i++) {
        if (*memory_at(fixture_machine->memory, st_buffer.physical + i) != value) {
            return false;
        }
    }
    return true;
}

static void use_files(void) {
    struct system_file *file = NULL;
    struct system_file *other = NULL;
    struct system_file *direct = NULL;
    const struct system_file_options options = {.name = "appendonly.aof"};
    const struct system_file_options more = {.name = "dump.rdb", .size_bytes = 8192};
    const struct system_file_options raw = {.name = "dump.rdb", .direct = true};
    cr_assert_eq(st_ops->file_open(st_thread, &options, &file), OK);
    cr_assert_eq(st_ops->file_open(st_thread, &more, &other), OK);
    cr_assert_eq(st_ops->file_open(st_thread, &raw, &direct), OK);
    for (uint32_t i = 0; i < 20; i++) {
        write_file(file, SYSTEM_FILE_END, (uint8_t)(i + 1), 1000);
    }
    write_file(other, 100, 0x55, 5000);
    struct request *request = st_request();
    cr_assert_eq(st_ops->file_sync(st_thread, file, SYSTEM_SYNC_ALL, request), OK);
    st_request_end(request);
    for (uint32_t i = 0; i < 20; i++) {
        cr_assert(file_has(file, i * 1000, (uint8_t)(i + 1), 1000), "%u", i);
    }
    cr_assert_eq(st_ops->file_read(st_thread, file, 19001, st_buffer.physical, 1000, NULL), ERR_RANGE);
    cr_assert(file_has(direct, 4096, 0x55, 512), "what was written through the cache");
    write_file(direct, 512, 0x66, 1024);
    cr_assert_eq(st_ops->file_write(st_thread, direct, 100, st_buffer.physical, 512, NULL), ERR_RANGE);
    cr_assert(file_has(other, 512, 0x66, 1024), "what was written past the cache");
    cr_assert(file_has(other, 100, 0x55, 412));
    cr_assert_eq(st_ops->file_write(st_thread, other, 8000, st_buffer.physical, 1000, NULL), ERR_EXHAUSTED);
    finished = true;
}

Test(libos_storage, files_keep_what_was_written) {
    st_run(&arrakis_posix_ops, 1, "volatile", "", use_files);
    cr_assert(finished);
    cr_assert_eq(ledger_audit(st_ledger, sim_now()), 0);
    cr_assert_gt(nvme_counters(st_drive, 1)->flushes, 0);
}

static void sync_and_lose_power(void) {
    struct system_file *file = NULL;
    const struct system_file_options options = {.name = "f"};
    cr_assert_eq(st_ops->file_open(st_thread, &options, &file), OK);
    write_file(file, 0, 0x11, 10000);
    cr_assert_eq(st_ops->file_sync(st_thread, file, SYSTEM_SYNC_DATA, NULL), OK);
    write_file(file, SYSTEM_FILE_END, 0x22, 10000); /* never synced */
    struct random_stream *random = random_stream_create("cut");
    block_store_power_cut(nvme_store(st_drive), random, 0.5);
    random_stream_free(random);
    /* The file layer starts anew on what is left. */
    libos_files_free(libos_thread_of(st_thread)->storage);
    cr_assert_eq(st_ops->file_open(st_thread, &options, &file), OK);
    cr_assert(file_has(file, 0, 0x11, 10000));
    cr_assert_eq(st_ops->file_read(st_thread, file, 10000, st_buffer.physical, 1, NULL), ERR_RANGE,
                 "a size that was not synced");
    finished = true;
}

Test(libos_storage, what_was_synced_survives_a_power_cut) {
    st_run(&arrakis_posix_ops, 1, "volatile", "", sync_and_lose_power);
    cr_assert(finished);
}

/* ---- a system without a drive ---- */

static void no_drive(struct system_thread *thread, void *argument) {
    struct system_log *log = NULL;
    struct system_file *file = NULL;
    const struct system_file_options options = {.name = "f"};
    (void)argument;
    cr_assert_eq(st_ops->log_open(thread, "log", 1 << 20, &log), ERR_UNSUPPORTED);
    cr_assert_eq(st_ops->file_open(thread, &options, &file), ERR_UNSUPPORTED);
    finished = true;
}

Test(libos_storage, a_system_without_a_drive_has_no_storage) {
    struct error error = {OK, ""};
    fixture_machine_make("on", "header");
    st_ops = &arrakis_posix_ops;
    st_system = libos_make(st_ops, "");
    struct system_process *process = st_ops->process_create(st_system, "app", &error);
    cr_assert_not_null(st_ops->thread_create(process, 0, no_drive, NULL, &error), "%s", error.text);
    sim_run(SIM_S);
    cr_assert(finished);
}

/* ---- power is cut at every event of a run on the drive ---- */

enum { CUT_APPENDS = 500, CUT_LOG_BYTES = 64 << 10 };

static uint64_t begun, durable, given_up, given_up_maybe;
static void note_durable(struct system_append *append) {
    durable = append->position + 1;
}

static bool read_area(void *store, uint64_t granule, void *out) {
    block_store_read(store, granule, 1, out); /* the log's area is the drive's first */
    return true;
}
static void check_entry(void *context, const struct persist_entry_header *header, const uint8_t *payload) {
    bool *whole = context;
    for (uint32_t i = 0; i < header->length_bytes; i++) {
        *whole = *whole && payload[i] == (uint8_t)header->sequence;
    }
}
static bool check_cut(void *context, struct block_store *image, char *why, size_t why_bytes) {
    (void)context;
    if (slog == NULL) {
        return true;
    }
    bool whole = true;
    struct persist_recovered found;
    const struct persist_area area = {512, CUT_LOG_BYTES / 512, read_area, image};
    const enum error_code code = persist_recover(&area, check_entry, &whole, &found);
    const bool good = code == OK && whole && found.end_sequence >= durable && found.end_sequence <= begun &&
                      found.header.head_sequence >= given_up && found.header.head_sequence <= given_up_maybe;
    (void)snprintf(why, why_bytes, "code %d, whole %d, %llu to %llu, promised %llu to %llu", (int)code, whole,
                   (unsigned long long)found.header.head_sequence, (unsigned long long)found.end_sequence,
                   (unsigned long long)given_up, (unsigned long long)durable);
    return good;
}

static struct crash_test crash = {.check = check_cut};
static void append_and_trim(void) {
    static struct system_append entries[CUT_APPENDS];
    struct system_log *log = NULL;
    cr_assert_eq(st_ops->log_open(st_thread, "log", CUT_LOG_BYTES, &log), OK);
    slog = log;
    crash.store = nvme_store(st_drive);
    for (begun = 0; begun < CUT_APPENDS;) {
        struct system_append *append = &entries[begun];
        const uint32_t length = 1 + (uint32_t)begun * 97 % 2000;
        memory_fill(fixture_machine->memory, st_buffer.physical, (uint8_t)begun, length);
        *append = (struct system_append){.physical = st_buffer.physical, .length_bytes = length, .done = note_durable};
        begun++;
        while (st_ops->log_append(st_thread, slog, append) == ERR_EXHAUSTED) {
            st_ops->log_wait(st_thread, slog, append - 1);
            given_up_maybe = durable;
            cr_assert_eq(st_ops->log_trim(st_thread, slog, durable - given_up), OK);
            cr_assert_eq(st_ops->log_trim(st_thread, slog, 0), OK); /* waits for the first */
            given_up = given_up_maybe;
        }
    }
    st_ops->log_wait(st_thread, slog, &entries[CUT_APPENDS - 1]);
}

static void cut_everywhere(unsigned functions, const char *durability) {
    char more[128];
    (void)snprintf(more, sizeof more, ", log_repair: 8, log_durability: %s%s", durability,
                   functions == 0 ? ", emulation: true" : "");
    crash_watch(&crash);
    st_run(&arrakis_posix_ops, functions, "volatile", more, append_and_trim);
    crash_unwatch(&crash);
    cr_assert_gt(crash.cuts, 3000, "only %llu cuts", (unsigned long long)crash.cuts);
    cr_assert_eq(durable, CUT_APPENDS);
    cr_assert_gt(given_up, 0);
}

Test(libos_storage, log_survives_power_cuts_on_the_drive) {
    cut_everywhere(1, "flush");
    cr_assert_eq(crash.failures, 0, "%s", crash.first_failure);
}

Test(libos_storage, log_survives_power_cuts_on_an_emulated_interface) {
    cut_everywhere(0, "force_unit_access");
    cr_assert_eq(crash.failures, 0, "%s", crash.first_failure);
}

Test(libos_storage, log_that_is_not_flushed_loses_entries_on_the_drive) {
    cut_everywhere(1, "nothing");
    cr_assert_gt(crash.failures, 0, "the test cannot fail");
}

/* ---- an append that becomes durable ends a wait for events ---- */

static void wait_for_events(void) {
    struct system_event_set *set = NULL;
    struct system_event event;
    unsigned count = 1;
    cr_assert_eq(st_ops->log_open(st_thread, "log", 1 << 20, &slog), OK);
    cr_assert_eq(st_ops->event_set_create(st_thread, &set), OK);
    appends[0] = (struct system_append){.physical = st_buffer.physical, .length_bytes = ENTRY, .done = note};
    cr_assert_eq(st_ops->log_append(st_thread, slog, &appends[0]), OK);
    while (!appends[0].finished) {
        cr_assert_eq(st_ops->event_wait(st_thread, set, SYSTEM_WAIT_BLOCK, &event, 1, &count), OK);
        cr_assert_eq(count, 0);
    }
    finished = true;
}

Test(libos_storage, event_wait_returns_when_an_append_is_durable) {
    st_run(&arrakis_posix_ops, 1, "volatile", "", wait_for_events);
    cr_assert(finished);
}
