/* fs_fixture.c: see fs_fixture.h. */
#include "tests/stack/fs_fixture.h"

#include <stdlib.h>
#include <string.h>

struct fs_fixture fixture;

/* ---- the drive ---- */

static void put(struct fs_drive *drive, uint64_t block, const uint8_t *data) {
    const uint32_t bytes = drive->base.block_bytes;
    memcpy(drive->cache + block * bytes, data, bytes);
    if (!drive->in_cache[block]) {
        drive->in_cache[block] = 1;
        drive->cached[drive->cached_count++] = block;
    }
}

static void settle(struct fs_drive *drive, uint64_t first, uint64_t count) {
    const uint32_t bytes = drive->base.block_bytes;
    size_t left = 0;
    for (size_t i = 0; i < drive->cached_count; ++i) {
        const uint64_t block = drive->cached[i];
        if (block >= first && block < first + count) {
            memcpy(drive->medium + block * bytes, drive->cache + block * bytes, bytes);
            drive->in_cache[block] = 0;
        } else {
            drive->cached[left++] = block;
        }
    }
    drive->cached_count = left;
}

static void transfer(struct fs_drive *drive, const struct block_io *io) {
    const uint32_t bytes = drive->base.block_bytes;
    static uint8_t buffer[FS_BLOCK_BYTES * 33];
    size_t at = 0;
    for (uint32_t i = 0; i < io->segment_count && io->operation == BLOCK_WRITE; ++i) {
        memory_read(fixture.machine.memory, io->segments[i].physical, buffer + at, io->segments[i].length_bytes);
        at += io->segments[i].length_bytes;
    }
    cr_assert(io->operation != BLOCK_WRITE || at == (size_t)io->blocks * bytes, "%zu bytes for %u blocks", at,
              io->blocks);
    for (uint32_t i = 0; i < io->blocks; ++i) {
        const uint64_t block = io->block + i;
        if (io->operation == BLOCK_WRITE) {
            put(drive, block, buffer + (size_t)i * bytes);
        } else {
            memcpy(buffer + (size_t)i * bytes, (drive->in_cache[block] ? drive->cache : drive->medium) + block * bytes,
                   bytes);
        }
    }
    for (uint32_t i = 0; i < io->segment_count && io->operation == BLOCK_READ; ++i) {
        memory_write(fixture.machine.memory, io->segments[i].physical, buffer + at, io->segments[i].length_bytes);
        at += io->segments[i].length_bytes;
    }
}

static enum error_code submit(struct block_device *device, struct context *context, struct block_io *io) {
    struct fs_drive *drive = (struct fs_drive *)device;
    (void)context;
    cr_assert_leq(io->block + io->blocks, device->blocks);
    drive->operations += 1;
    if (io->operation != BLOCK_FLUSH) {
        transfer(drive, io);
    }
    if (drive->on_operation != NULL && io->operation != BLOCK_READ) {
        drive->on_operation(drive, drive->context);
    }
    if (!drive->ignores_flush) {
        if (io->operation == BLOCK_FLUSH) {
            settle(drive, 0, device->blocks);
        } else if (io->operation == BLOCK_WRITE && io->force_unit_access) {
            settle(drive, io->block, io->blocks);
        }
    }
    io->status = OK;
    io->finished = true;
    return OK;
}

static void wait_for(struct block_device *device, struct context *context, struct block_io *io) {
    (void)device;
    (void)context;
    (void)io;
}

static const struct block_device_ops drive_ops = {.type_name = "test", .submit = submit, .wait = wait_for};

static void make_drive(struct fs_drive *drive, uint32_t block_bytes, uint64_t blocks) {
    const uint64_t count = blocks * (FS_BLOCK_BYTES / block_bytes);
    *drive = (struct fs_drive){.base = {.ops = &drive_ops,
                                        .name = "drive",
                                        .block_bytes = block_bytes,
                                        .blocks = count,
                                        .depth = 1,
                                        .volatile_cache = true}};
    drive->medium = calloc(blocks, FS_BLOCK_BYTES);
    drive->cache = calloc(blocks, FS_BLOCK_BYTES);
    drive->in_cache = calloc(count, 1);
    drive->survives = calloc(count, 1);
    drive->cached = calloc(count, sizeof *drive->cached);
}

void fs_drive_cut(struct fs_drive *drive, struct random_stream *random, double kept) {
    for (size_t i = 0; i < drive->cached_count; ++i) {
        drive->survives[drive->cached[i]] = random_uniform(random) < kept;
    }
}

bool fs_drive_read(void *context, uint64_t block, void *out) {
    const struct fs_drive *drive = context;
    const uint32_t bytes = drive->base.block_bytes, sectors = FS_BLOCK_BYTES / bytes;
    if ((block + 1) * sectors > drive->base.blocks) {
        return false;
    }
    for (uint32_t i = 0; i < sectors; ++i) {
        const uint64_t at = block * sectors + i;
        const uint8_t *from = drive->in_cache[at] && drive->survives[at] ? drive->cache : drive->medium;
        memcpy((uint8_t *)out + (size_t)i * bytes, from + at * bytes, bytes);
    }
    return true;
}

/* ---- the host ---- */

static uint64_t host_frame(void *context) {
    (void)context;
    const uint64_t frame = fixture.next_frame;
    fixture.next_frame += MEMORY_FRAME_BYTES;
    return memory_contains(fixture.machine.memory, frame, MEMORY_FRAME_BYTES) ? frame : 0;
}

static void host_frame_release(void *context, uint64_t frame) {
    (void)context;
    (void)frame;
}

/* There is one thread: nobody could wake it. */
static void host_sleep(void *context, const struct fs_call *call, struct fs_queue *queue) {
    (void)context;
    (void)call;
    (void)queue;
    cr_assert_fail("the only thread sleeps");
}

static void host_wake(void *context, const struct fs_call *call, struct fs_queue *queue) {
    (void)context;
    (void)call;
    (void)queue;
}

static void trace(void *context, const struct block_trace_event *event) {
    (void)context;
    static const char *const names[] = {"read", "write", "flush"};
    const size_t length = strlen(fixture.trace);
    if (fixture.tracing && event->operation == BLOCK_FLUSH) {
        (void)snprintf(fixture.trace + length, sizeof fixture.trace - length, "flush\n");
    } else if (fixture.tracing) {
        (void)snprintf(fixture.trace + length, sizeof fixture.trace - length, "%s%s %s %u\n", names[event->operation],
                       event->force_unit_access ? "!" : "", block_purpose_name(event->purpose),
                       event->blocks * fixture.drive.base.block_bytes / FS_BLOCK_BYTES);
    }
}

void fs_fixture_trace(void) {
    fixture.trace[0] = '\0';
    fixture.tracing = true;
}

static void mount(void) {
    struct error error = {0};
    cr_assert_eq(fs_create(&fixture.tracer.base, &fixture.host, &fixture.options, &fixture.costs, &fixture.fs, &error),
                 OK, "%s", error.text);
}

void fs_fixture_remount(void) {
    fs_free(fixture.fs);
    mount();
    cr_assert_eq(fs_mount(fixture.fs, &fixture.call), OK);
}

uint64_t fs_fixture_cycles(void) {
    const sim_time before = sim_now();
    cpu_run(fixture.call.cpu);
    return (sim_now() - before) / SIM_NS;
}

uint64_t fs_fixture_memory(uint32_t bytes) {
    const uint64_t first = fixture.next_frame;
    fixture.next_frame += (bytes + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES * (uint64_t)MEMORY_FRAME_BYTES;
    return first;
}

void fs_fixture_wait(sim_time duration) {
    cpu_run(fixture.call.cpu);
    cpu_charge_time(fixture.call.cpu, duration);
    cpu_run(fixture.call.cpu);
}

static void start(void *argument) {
    void (*const *body)(void) = argument;
    fixture.call = (struct fs_call){.cpu = context_current(), .id = 1};
    mount();
    cr_assert_eq(fs_format(fixture.fs, &fixture.call), OK);
    fs_fixture_remount();
    (*body)();
    fs_free(fixture.fs);
}

void fs_fixture_run(enum fs_kind kind, uint32_t block_bytes, uint64_t blocks, void (*body)(void)) {
    struct error error = {0};
    struct machine *machine = &fixture.machine;
    random_seed(1);
    core_declare_components();
    machine->clock = sim_clock_make(1000000000);
    machine->memory = memory_create(UINT64_C(256) << 20);
    const struct cache_config cache = {.model = 1, .flat_cycles = 0, .line_fill_buffers = 10};
    machine->cache = cache_create(&cache, 1, &machine->clock, &error);
    cr_assert_not_null(machine->cache, "%s", error.text);
    const struct core_config config = {.count = 1, .clock_hz = 1000000000, .copy_bytes_per_cycle = 16};
    struct core *core = core_create(machine, 0, &config);
    make_drive(&fixture.drive, block_bytes, blocks);
    block_tracer_init(&fixture.tracer, &fixture.drive.base, trace, NULL);
    fixture.next_frame = UINT64_C(1) << 20;
    fixture.host = (struct fs_host){.memory = machine->memory,
                                    .time_step = 4 * SIM_MS,
                                    .frame_allocate = host_frame,
                                    .frame_release = host_frame_release,
                                    .sleep = host_sleep,
                                    .wake = host_wake};
    fixture.options = (struct fs_options){.kind = (int)kind, .journal_blocks = 64, .barriers = true};
    core_dispatch(core, CORE_THREAD, context_create(core, CORE_THREAD, "t", NULL, start, &body));
    sim_run(SIM_TIME_MAX);
    cr_assert_null(fixture.call.cpu == NULL ? &fixture : NULL, "the body never ran");
    core_free(core);
    cache_free(machine->cache);
    memory_free(machine->memory);
    free(fixture.drive.medium);
    free(fixture.drive.cache);
    free(fixture.drive.in_cache);
    free(fixture.drive.survives);
    free(fixture.drive.cached);
}
