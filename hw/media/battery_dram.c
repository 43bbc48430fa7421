/* battery_dram.c: "battery_dram": the cache of a RAID card, DRAM that a battery or
 * flash keeps when the power goes. What has been written to it is durable; in the
 * background it goes on to the medium behind it, if there is one: writes wait when
 * more is dirty than the cache holds. Reads are served from DRAM if it has them, and
 * go through to the medium behind otherwise. */
#include <stdlib.h>

#include "hw/media/line_map.h"
#include "hw/media/media_internal.h"
#include "sim/config.h"

enum { LINE_BYTES = 4096, DESTAGES_MAX = 64 };

struct battery_config {
    sim_time write_time, read_time;
    uint64_t parallel, cache_bytes, destage_outstanding;
    const struct config_node *backing;
};

struct dirty {
    uint64_t offset_bytes, length_bytes;
};

struct battery;

/* A command of the medium behind: a destage, or a read that missed. */
struct inner {
    struct media_command command;
    struct media *media;
    struct media_command *outer; /* NULL: a destage */
    struct inner *next;          /* the pool's */
};

struct battery {
    struct media *backing;
    sim_time *free_at; /* by processor of the card */
    uint64_t dirty_bytes;
    struct dirty *queue; /* to be destaged, oldest first: a ring */
    size_t queue_first, queue_count, queue_capacity;
    uint64_t destaging;
    struct media_command *waiting, **waiting_end; /* writes for which there is no room */
    struct inner *pool;
    struct line_map lines; /* line -> serial of its youngest entry in `held` */
    uint64_t *held;        /* lines in order of entry: a ring, with stale entries */
    uint64_t held_first, held_end;
    size_t held_capacity;
    uint64_t reads, writes, read_hits, destages, write_waits;
};

#define ROW(key_text, kind, field, standard, least, most, help_text)                                                   \
    {                                                                                                                  \
        .key = key_text, .type = kind, .offset = offsetof(struct battery_config, field), .default_text = standard,     \
        .minimum = least, .maximum = most, .help = help_text                                                           \
    }
static const struct param params[] = {
    ROW("write_time", PARAM_TIME, write_time, "20 us", "0 ns", "1 s", "of the card, for a write into its cache"),
    ROW("read_time", PARAM_TIME, read_time, "20 us", "0 ns", "1 s",
        "of the card, for a read that its cache has (assumed: as for a write)"),
    ROW("parallel", PARAM_INTEGER, parallel, "4", "1", "256", "commands that the card works on at once (assumed)"),
    ROW("cache", PARAM_BYTES, cache_bytes, "1 GiB", "64 KiB", "1 TiB", "DRAM for data"),
    ROW("destage_outstanding", PARAM_INTEGER, destage_outstanding, "8", "1", "64",
        "writes under way to the medium behind (assumed)"),
    {.key = "backing",
     .type = PARAM_NODE,
     .offset = offsetof(struct battery_config, backing),
     .default_text = "none",
     .help = "the medium behind: {type, ...}; none: the drive is all DRAM"},
    {0}};

static struct media *make_backing(const struct media *media, bool only_check, struct diagnostics *diagnostics) {
    char name[160];
    const struct battery_config *config = media->config;
    (void)snprintf(name, sizeof name, "%s.backing", media->name);
    return media_create(config->backing, name, media->capacity_bytes, media->block_bytes, only_check, diagnostics);
}

static bool check_places(const struct media *media, struct diagnostics *diagnostics) {
    const size_t errors = diagnostics->errors;
    if (((const struct battery_config *)media->config)->backing != NULL) {
        (void)make_backing(media, true, diagnostics);
    }
    return diagnostics->errors == errors;
}

static enum error_code init(struct media *media, struct error *error) {
    const struct battery_config *config = media->config;
    struct battery *battery = media->state;
    if (config->backing != NULL) {
        struct diagnostics diagnostics;
        diagnostics_init(&diagnostics);
        battery->backing = make_backing(media, false, &diagnostics);
        diagnostics_free(&diagnostics);
        if (battery->backing == NULL) {
            return error_set(error, ERR_CONFIG, "backing: cannot be made");
        }
    }
    battery->free_at = calloc(config->parallel, sizeof *battery->free_at);
    SIM_ASSERT_MSG(battery->free_at != NULL, "out of memory");
    battery->waiting_end = &battery->waiting;
    return OK;
}

static void fini(struct media *media) {
    struct battery *battery = media->state;
    media_free(battery->backing);
    while (battery->pool != NULL) {
        struct inner *inner = battery->pool;
        battery->pool = inner->next;
        free(inner);
    }
    line_map_free(&battery->lines);
    free(battery->free_at);
    free(battery->queue);
    free(battery->held);
}

/* ---- what the cache holds, for reads ---- */

static void hold_line(struct battery *battery, const struct battery_config *config, uint64_t line) {
    if (battery->held_end - battery->held_first == battery->held_capacity) {
        const size_t capacity = battery->held_capacity == 0 ? 64 : 2 * battery->held_capacity;
        uint64_t *ring = calloc(capacity, sizeof *ring);
        SIM_ASSERT_MSG(ring != NULL, "out of memory");
        for (uint64_t i = battery->held_first; battery->held_capacity > 0 && i < battery->held_end; i++) {
            ring[i % capacity] = battery->held[i % battery->held_capacity];
        }
        free(battery->held);
        battery->held = ring;
        battery->held_capacity = capacity;
    }
    battery->held[battery->held_end++ % battery->held_capacity] = line;
    line_map_put(&battery->lines, line, battery->held_end);
    while (battery->held_end - battery->held_first > config->cache_bytes / LINE_BYTES) {
        const uint64_t oldest = battery->held[battery->held_first++ % battery->held_capacity];
        if (line_map_get(&battery->lines, oldest) == battery->held_first) { /* it did not come again since */
            line_map_remove(&battery->lines, oldest);
        }
    }
}

static void hold(struct media *media, const struct media_command *command) {
    struct battery *battery = media->state;
    const uint64_t end = command->offset_bytes + command->length_bytes;
    for (uint64_t at = command->offset_bytes / LINE_BYTES; battery->backing != NULL && at * LINE_BYTES < end; at++) {
        hold_line(battery, media->config, at);
    }
}

static bool holds(const struct battery *battery, const struct media_command *command) {
    const uint64_t end = command->offset_bytes + command->length_bytes;
    for (uint64_t at = command->offset_bytes / LINE_BYTES; battery->backing != NULL && at * LINE_BYTES < end; at++) {
        if (line_map_get(&battery->lines, at) == 0) {
            return false;
        }
    }
    return true;
}

/* ---- the medium behind ---- */

static void inner_done(struct media_command *command);

static struct inner *take_inner(struct media *media, enum media_operation operation, uint64_t offset_bytes,
                                uint64_t length_bytes) {
    struct battery *battery = media->state;
    struct inner *inner = battery->pool;
    if (inner != NULL) {
        battery->pool = inner->next;
    } else {
        inner = calloc(1, sizeof *inner);
        SIM_ASSERT_MSG(inner != NULL, "out of memory");
    }
    *inner = (struct inner){.command = {.operation = operation,
                                        .offset_bytes = offset_bytes,
                                        .length_bytes = length_bytes,
                                        .owner = media_component,
                                        .done = inner_done,
                                        .context = inner},
                            .media = media};
    return inner;
}

static void destage(struct media *media) {
    const struct battery_config *config = media->config;
    struct battery *battery = media->state;
    while (battery->backing != NULL && battery->queue_count > 0 && battery->destaging < config->destage_outstanding) {
        const struct dirty dirty = battery->queue[battery->queue_first];
        battery->queue_first = (battery->queue_first + 1) % battery->queue_capacity;
        battery->queue_count--;
        battery->destaging++;
        battery->destages++;
        media_submit(battery->backing,
                     &take_inner(media, MEDIA_WRITE, dirty.offset_bytes, dirty.length_bytes)->command);
    }
}

static void enqueue(struct battery *battery, const struct media_command *command) {
    if (battery->queue_count == battery->queue_capacity) {
        const size_t capacity = battery->queue_capacity == 0 ? 64 : 2 * battery->queue_capacity;
        struct dirty *ring = calloc(capacity, sizeof *ring);
        SIM_ASSERT_MSG(ring != NULL, "out of memory");
        for (size_t i = 0; i < battery->queue_count; i++) {
            ring[i] = battery->queue[(battery->queue_first + i) % battery->queue_capacity];
        }
        free(battery->queue);
        battery->queue = ring;
        battery->queue_first = 0;
        battery->queue_capacity = capacity;
    }
    battery->queue[(battery->queue_first + battery->queue_count++) % battery->queue_capacity] =
        (struct dirty){command->offset_bytes, command->length_bytes};
}

/* ---- commands ---- */

/* The card's processor that is free first takes it: returns when it begins. */
static sim_time book(struct battery *battery, const struct battery_config *config, sim_time length, sim_time *end) {
    sim_time *free_at = &battery->free_at[0];
    for (uint64_t i = 1; i < config->parallel; i++) {
        free_at = battery->free_at[i] < *free_at ? &battery->free_at[i] : free_at;
    }
    const sim_time start = *free_at > sim_now() ? *free_at : sim_now();
    *free_at = *end = start + length;
    return start;
}

static void write_ends(void *context) {
    struct media_command *command = context;
    struct media *media = command->private;
    struct battery *battery = media->state;
    hold(media, command);
    if (battery->backing != NULL) {
        enqueue(battery, command);
        destage(media);
    }
    media_give_back(command);
}

/* It is the medium's already, waiting. */
static void start_write(struct media *media, struct media_command *command) {
    const struct battery_config *config = media->config;
    struct battery *battery = media->state;
    sim_time end = 0;
    const sim_time start = book(battery, config, config->write_time, &end);
    battery->dirty_bytes += battery->backing != NULL ? command->length_bytes : 0;
    if (command->request != NULL) {
        ledger_turn_at(command->request, LEDGER_SERVICE, start);
    }
    sim_event_init(&command->event, SIM_PRIORITY_HARDWARE, write_ends, command);
    sim_schedule_at(&command->event, end);
}

static bool has_room(const struct battery *battery, const struct battery_config *config, uint64_t length_bytes) {
    return battery->backing == NULL || battery->dirty_bytes == 0 ||
           battery->dirty_bytes + length_bytes <= config->cache_bytes;
}

static void submit_write(struct media *media, struct media_command *command) {
    struct battery *battery = media->state;
    ledger_hand_over(command->request, command->owner, media_component, LEDGER_WAITING);
    command->next = NULL;
    battery->writes++;
    if (battery->waiting == NULL && has_room(battery, media->config, command->length_bytes)) {
        start_write(media, command);
        return;
    }
    battery->write_waits++;
    *battery->waiting_end = command;
    battery->waiting_end = &command->next;
}

static void read_ends(void *context) {
    struct media_command *command = context;
    struct media *media = command->private;
    struct battery *battery = media->state;
    if (holds(battery, command)) {
        battery->read_hits++;
        media_give_back(command);
        return;
    }
    struct inner *inner = take_inner(media, MEDIA_READ, command->offset_bytes, command->length_bytes);
    inner->outer = command;
    inner->command.request = command->request;
    media_submit(battery->backing, &inner->command);
}

static void submit_read(struct media *media, struct media_command *command) {
    const struct battery_config *config = media->config;
    struct battery *battery = media->state;
    sim_time end = 0;
    const sim_time start = book(battery, config, config->read_time, &end);
    battery->reads++;
    media_take(command, start);
    sim_event_init(&command->event, SIM_PRIORITY_HARDWARE, read_ends, command);
    sim_schedule_at(&command->event, end);
}

static void inner_done(struct media_command *command) {
    struct inner *inner = command->context;
    struct media *media = inner->media;
    struct battery *battery = media->state;
    struct media_command *outer = inner->outer;
    const uint64_t length_bytes = command->length_bytes;
    inner->next = battery->pool;
    battery->pool = inner;
    if (outer != NULL) {
        hold(media, outer);
        media_give_back(outer);
        return;
    }
    battery->destaging--;
    battery->dirty_bytes -= length_bytes;
    while (battery->waiting != NULL && has_room(battery, media->config, battery->waiting->length_bytes)) {
        struct media_command *write = battery->waiting;
        battery->waiting = write->next;
        battery->waiting_end = battery->waiting == NULL ? &battery->waiting : battery->waiting_end;
        start_write(media, write);
    }
    destage(media);
}

static void submit(struct media *media, struct media_command *command) {
    command->private = media;
    if (command->operation == MEDIA_WRITE) {
        submit_write(media, command);
    } else if (command->operation == MEDIA_READ) {
        submit_read(media, command);
    } else {
        media_serve(command, sim_now(), sim_now());
    }
}

/* ---- statistics ---- */

static void visit_stats(const struct media *media, const struct stats_sink *sink) {
    const struct battery *battery = media->state;
    stats_counter(sink, media->name, "reads", battery->reads);
    stats_counter(sink, media->name, "writes", battery->writes);
    stats_counter(sink, media->name, "read_hits", battery->read_hits);
    stats_counter(sink, media->name, "write_waits", battery->write_waits);
    stats_counter(sink, media->name, "destages", battery->destages);
    stats_counter(sink, media->name, "dirty_bytes", battery->dirty_bytes);
    if (battery->backing != NULL && battery->backing->ops->visit_stats != NULL) {
        battery->backing->ops->visit_stats(battery->backing, sink);
    }
}

static void reset_stats(struct media *media) {
    struct battery *battery = media->state;
    battery->reads = battery->writes = battery->read_hits = battery->write_waits = battery->destages = 0;
    if (battery->backing != NULL && battery->backing->ops->reset_stats != NULL) {
        battery->backing->ops->reset_stats(battery->backing);
    }
}

extern const struct media_ops battery_dram_ops;
const struct media_ops battery_dram_ops = {
    .type_name = "battery_dram",
    .help = "DRAM that keeps its contents, as on a RAID card, over a slower medium or alone",
    .params = params,
    .config_bytes = sizeof(struct battery_config),
    .state_bytes = sizeof(struct battery),
    .check_places = check_places,
    .init = init,
    .submit = submit,
    .visit_stats = visit_stats,
    .reset_stats = reset_stats,
    .fini = fini,
};
