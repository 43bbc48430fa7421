#include "tests/hw/flash_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static ledger_component declare_host(void) {
    static const struct ledger_declaration controller = {"nvme", NULL, "Controller", "media"};
    const ledger_component host = ledger_declare(&controller);
    media_declare_components();
    return host;
}

static struct flash_drive *make(uint64_t capacity_bytes, const char *parameters, struct diagnostics *diagnostics) {
    struct flash_drive *drive = calloc(1, sizeof *drive);
    char text[2048];
    (void)snprintf(text, sizeof text, "type: flash\n%s", parameters);
    diagnostics_init(diagnostics);
    drive->host = declare_host();
    drive->stream = random_stream_create("test.load");
    drive->configuration = config_parse("flash.yaml", text, diagnostics);
    drive->media =
        media_create(config_root(drive->configuration), "drive.media", capacity_bytes, 512, false, diagnostics);
    drive->flash = drive->media != NULL ? drive->media->state : NULL;
    return drive;
}

struct flash_drive *flash_drive_make(uint64_t capacity_bytes, const char *parameters) {
    struct diagnostics diagnostics;
    struct flash_drive *drive = make(capacity_bytes, parameters, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    cr_assert(drive->media != NULL && diagnostics.errors == 0);
    diagnostics_free(&diagnostics);
    return drive;
}

void flash_drive_refuse(uint64_t capacity_bytes, const char *parameters, const char *reason) {
    struct diagnostics diagnostics;
    struct flash_drive *drive = make(capacity_bytes, parameters, &diagnostics);
    cr_assert(drive->media == NULL && diagnostics.errors == 1);
    cr_assert(strstr(diagnostics.items[0].text, reason) != NULL, "'%s' lacks '%s'", diagnostics.items[0].text, reason);
    cr_assert_eq(diagnostics.items[0].line, 1);
    diagnostics_free(&diagnostics);
    flash_drive_free(drive);
}

void flash_drive_free(struct flash_drive *drive) {
    media_free(drive->media);
    config_free(drive->configuration);
    ledger_free(drive->ledger);
    random_stream_free(drive->stream);
    free(drive);
}

/* ---- Commands ---- */

static void access_done(struct media_command *command) {
    struct flash_access *access = command->context;
    cr_assert(!access->is_done, "a command is done twice");
    access->is_done = true;
    access->completed = sim_now();
    ledger_end(command->request, access->drive->host, sim_now());
}

static void submit(void *context) {
    struct flash_access *access = context;
    access->submitted = sim_now();
    if (access->drive->ledger != NULL) {
        access->command.request = ledger_begin(access->drive->ledger, access->drive->host, LEDGER_SERVICE, sim_now());
    }
    media_submit(access->drive->media, &access->command);
}

static void prepare(struct flash_drive *drive, struct flash_access *access, enum media_operation operation,
                    uint64_t offset_bytes, uint64_t length_bytes) {
    *access = (struct flash_access){.drive = drive};
    access->command = (struct media_command){.operation = operation,
                                             .offset_bytes = offset_bytes,
                                             .length_bytes = length_bytes,
                                             .owner = drive->host,
                                             .done = access_done,
                                             .context = access};
}

void flash_access_now(struct flash_drive *drive, struct flash_access *access, enum media_operation operation,
                      uint64_t offset_bytes, uint64_t length_bytes) {
    prepare(drive, access, operation, offset_bytes, length_bytes);
    submit(access);
}

void flash_access_at(struct flash_drive *drive, struct flash_access *access, enum media_operation operation,
                     uint64_t offset_bytes, uint64_t length_bytes, sim_time at) {
    prepare(drive, access, operation, offset_bytes, length_bytes);
    sim_event_init(&access->event, SIM_PRIORITY_HARDWARE, submit, access);
    sim_schedule_at(&access->event, at);
}

sim_time flash_alone(struct flash_drive *drive, enum media_operation operation, uint64_t offset_bytes,
                     uint64_t length_bytes) {
    struct flash_access access;
    flash_access_now(drive, &access, operation, offset_bytes, length_bytes);
    sim_run(SIM_TIME_MAX);
    cr_assert(access.is_done);
    return access.completed - access.submitted;
}

/* ---- Load ---- */

struct load {
    struct flash_drive *drive;
    struct random_stream *stream;
    flash_choose *choose;
    uint64_t left, in_flight;
};

static void load_next(struct load *load, struct media_command *command) {
    if (load->left == 0) {
        return;
    }
    load->left--;
    load->in_flight++;
    load->choose(load->drive, load->stream, command);
    if (load->drive->ledger != NULL) {
        command->request = ledger_begin(load->drive->ledger, load->drive->host, LEDGER_SERVICE, sim_now());
    }
    media_submit(load->drive->media, command);
}

static void load_done(struct media_command *command) {
    struct load *load = command->context;
    load->in_flight--;
    ledger_end(command->request, load->drive->host, sim_now());
    command->request = NULL;
    load_next(load, command);
}

sim_time flash_load(struct flash_drive *drive, unsigned depth, uint64_t total, flash_choose *choose) {
    struct load load = {drive, drive->stream, choose, total, 0};
    struct media_command *commands = calloc(depth, sizeof *commands);
    const sim_time from = sim_now();
    for (unsigned i = 0; i < depth; i++) {
        commands[i].owner = drive->host;
        commands[i].done = load_done;
        commands[i].context = &load;
        load_next(&load, &commands[i]);
    }
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(load.in_flight, 0);
    free(commands);
    return sim_now() - from;
}

static void choose_unit(const struct flash_drive *drive, struct random_stream *stream, struct media_command *command) {
    const uint64_t unit = drive->flash->unit_bytes;
    command->offset_bytes = random_below(stream, drive->media->capacity_bytes / unit) * unit;
    command->length_bytes = unit;
}

void flash_choose_read(struct flash_drive *drive, struct random_stream *stream, struct media_command *command) {
    command->operation = MEDIA_READ;
    choose_unit(drive, stream, command);
}

void flash_choose_write(struct flash_drive *drive, struct random_stream *stream, struct media_command *command) {
    command->operation = MEDIA_WRITE;
    choose_unit(drive, stream, command);
}

void flash_choose_any(struct flash_drive *drive, struct random_stream *stream, struct media_command *command) {
    const uint64_t blocks = drive->media->capacity_bytes / 512, kind = random_below(stream, 100);
    const uint64_t length = 1 + random_below(stream, kind % 4 == 0 ? 200 : 20);
    const uint64_t first = random_below(stream, blocks);
    command->operation = kind < 40 ? MEDIA_READ : kind < 99 ? MEDIA_WRITE : MEDIA_DEALLOCATE;
    command->offset_bytes = 512 * first;
    command->length_bytes = 512 * (length < blocks - first ? length : blocks - first);
}

/* ---- Counters ---- */

struct wanted {
    const char *name;
    uint64_t value;
    bool is_found;
};

static void on_counter(void *context, const char *instance, const char *counter, uint64_t value) {
    struct wanted *wanted = context;
    (void)instance;
    if (strcmp(counter, wanted->name) == 0) {
        wanted->value = value;
        wanted->is_found = true;
    }
}

uint64_t flash_counter(const struct flash_drive *drive, const char *name) {
    struct wanted wanted = {name, 0, false};
    const struct stats_sink sink = {.context = &wanted, .counter = on_counter};
    flash_media_ops.visit_stats(drive->media, &sink);
    cr_assert(wanted.is_found, "no counter %s", name);
    return wanted.value;
}
