/* disk.c: "disk": a spindle with one arm. A seek by a curve of the distance, rotation
 * by the clock, zones with more sectors on outer tracks, and transfers at the rate of
 * the surface; no cache, so that a write is on the platter when it is done. Requests
 * are served in order, so that everything is arithmetic at submission.
 *
 * The seek curve has two parts, as measured by Ruemmler and Wilkes, "An introduction
 * to disk drive modeling", IEEE Computer 27(3), 1994: base + root * sqrt(d) for less
 * than `seek_cutoff` cylinders, far_base + per_cylinder * d beyond. A write waits
 * longer for the head to settle. Blocks fill a track, then the next head's of the
 * cylinder, then the next cylinder; tracks are skewed so that a sequential transfer
 * loses no revolution. */
#include <math.h>
#include <stdlib.h>

#include "hw/media/media_internal.h"

struct disk_config {
    uint64_t rpm, cylinders, heads, zones;
    double seek_root_us, seek_per_cylinder_us;
    sim_time seek_base, seek_far_base, write_settle, head_switch, overhead;
    uint64_t seek_cutoff, outer_to_inner_percent;
};

/* Cylinders [first, first + cylinders) with tracks of `blocks` blocks. */
struct zone {
    uint64_t first_cylinder, cylinders, first_block, track_blocks;
};

struct disk {
    struct zone *zones;
    uint64_t zone_count;
    sim_time revolution, free_at;
    uint64_t cylinder; /* where the arm is when the last request has ended */
    uint64_t reads, writes, seeks;
    sim_time seeking, rotating, transferring;
};

#define ROW(key_text, kind, field, standard, least, most, help_text)                                                   \
    {                                                                                                                  \
        .key = key_text, .type = kind, .offset = offsetof(struct disk_config, field), .default_text = standard,        \
        .minimum = least, .maximum = most, .help = help_text                                                           \
    }
/* Defaults: Ultrastar 15K450, 300 GB: 15,000 rpm, average seek 3.1 ms reading and 3.6
 * ms writing. For random requests the mean of sqrt(d) is 8/15 sqrt(cylinders): 0.5 ms
 * to settle on the next track and 21.8 us * sqrt(d) give 3.1 ms. */
static const struct param params[] = {
    ROW("rpm", PARAM_INTEGER, rpm, "15000", "100", "100000", "revolutions a minute"),
    ROW("cylinders", PARAM_INTEGER, cylinders, "50000", "1", "10000000", "tracks of a surface (assumed)"),
    ROW("heads", PARAM_INTEGER, heads, "8", "1", "64", "surfaces (assumed; one switch of heads a track)"),
    ROW("zones", PARAM_INTEGER, zones, "16", "1", "1000", "of equal sectors a track (assumed)"),
    ROW("outer_to_inner", PARAM_INTEGER, outer_to_inner_percent, "150", "100", "400",
        "sectors of an outermost track in percent of an innermost one's (assumed)"),
    ROW("seek_base", PARAM_TIME, seek_base, "500 us", "0 ns", "1 s", "of a seek below the cut-off"),
    ROW("seek_root_us", PARAM_REAL, seek_root_us, "21.8", "0", "100000", "us, times the root of the distance"),
    ROW("seek_cutoff", PARAM_INTEGER, seek_cutoff, "10000000", "0", "100000000", "cylinders from which it is linear"),
    ROW("seek_far_base", PARAM_TIME, seek_far_base, "0 ns", "0 ns", "1 s", "of a seek from the cut-off on"),
    ROW("seek_per_cylinder_us", PARAM_REAL, seek_per_cylinder_us, "0", "0", "1000", "us, times the distance"),
    ROW("write_settle", PARAM_TIME, write_settle, "500 us", "0 ns", "1 s", "more, for a write that seeks"),
    ROW("head_switch", PARAM_TIME, head_switch, "500 us", "0 ns", "1 s",
        "to the next head or to the next cylinder within a transfer (assumed)"),
    ROW("command_overhead", PARAM_TIME, overhead, "100 us", "0 ns", "1 s",
        "of the drive, before the arm moves (assumed)"),
    {0}};

static enum error_code check(const void *config, struct error *error) {
    const struct disk_config *disk = config;
    if (disk->zones > disk->cylinders) {
        return error_set(error, ERR_RANGE, "zones: %llu are more than %llu cylinders", (unsigned long long)disk->zones,
                         (unsigned long long)disk->cylinders);
    }
    return OK;
}

/* ---- geometry ---- */

/* Sectors a track fall linearly from the outermost zone to the innermost, scaled so
 * that the drive's blocks fit. */
static uint64_t lay_out(struct disk *disk, const struct disk_config *config, double inner_blocks) {
    uint64_t block = 0;
    uint64_t cylinder = 0;
    const double ratio = (double)config->outer_to_inner_percent / 100.0;
    for (uint64_t i = 0; i < config->zones; i++) {
        const double place = config->zones == 1 ? 0.5 : 1.0 - (double)i / (double)(config->zones - 1);
        struct zone *zone = &disk->zones[i];
        zone->first_cylinder = cylinder;
        zone->cylinders = config->cylinders * (i + 1) / config->zones - cylinder;
        zone->first_block = block;
        zone->track_blocks = (uint64_t)ceil(inner_blocks * (1.0 + (ratio - 1.0) * place));
        cylinder += zone->cylinders;
        block += zone->cylinders * config->heads * zone->track_blocks;
    }
    return block;
}

static enum error_code init(struct media *media, struct error *error) {
    const struct disk_config *config = media->config;
    struct disk *disk = media->state;
    (void)error;
    disk->zones = calloc(config->zones, sizeof *disk->zones);
    SIM_ASSERT_MSG(disk->zones != NULL, "out of memory");
    disk->zone_count = config->zones;
    disk->revolution = 60 * SIM_S / config->rpm;
    const uint64_t blocks = media->capacity_bytes / media->block_bytes;
    const double tracks = (double)config->cylinders * (double)config->heads;
    const double mean_ratio = (1.0 + (double)config->outer_to_inner_percent / 100.0) / 2.0;
    (void)lay_out(disk, config, (double)blocks / (tracks * mean_ratio));
    return OK;
}

static void fini(struct media *media) {
    free(((struct disk *)media->state)->zones);
}

struct place {
    const struct zone *zone;
    uint64_t cylinder, track, sector; /* track: counted within the zone */
};

static struct place place_of(const struct disk *disk, const struct disk_config *config, uint64_t block) {
    uint64_t low = 0;
    uint64_t high = disk->zone_count;
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        if (disk->zones[middle].first_block <= block) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const struct zone *zone = &disk->zones[low];
    const uint64_t within = block - zone->first_block;
    const uint64_t track = within / zone->track_blocks;
    return (struct place){zone, zone->first_cylinder + track / config->heads, track, within % zone->track_blocks};
}

/* ---- times ---- */

static sim_time seek_time(const struct disk_config *config, uint64_t from, uint64_t to, bool write) {
    const uint64_t distance = from > to ? from - to : to - from;
    if (distance == 0) {
        return 0;
    }
    const sim_time settle = write ? config->write_settle : 0;
    if (distance < config->seek_cutoff) {
        return settle + config->seek_base + (sim_time)(config->seek_root_us * sqrt((double)distance) * (double)SIM_US);
    }
    return settle + config->seek_far_base +
           (sim_time)(config->seek_per_cylinder_us * (double)distance * (double)SIM_US);
}

/* The angle at which a track begins, as time since the index mark: each is skewed by a
 * switch of heads behind the one before it. */
static sim_time skew_of(const struct disk *disk, const struct disk_config *config, uint64_t track) {
    const sim_time switch_part = config->head_switch % disk->revolution;
    return (sim_time)((media_wide)track * switch_part % disk->revolution);
}

/* How long from `when` until the sector is under the head. */
static sim_time rotation_to(const struct disk *disk, const struct disk_config *config, const struct place *place,
                            sim_time when) {
    const sim_time sector = (sim_time)((media_wide)disk->revolution * place->sector / place->zone->track_blocks);
    const sim_time angle = (skew_of(disk, config, place->track) + sector) % disk->revolution;
    const sim_time now = when % disk->revolution;
    return angle >= now ? angle - now : disk->revolution - (now - angle);
}

/* Transfers to the end of the run: at the surface's rate, with a switch a track. */
static sim_time transfer(struct disk *disk, const struct disk_config *config, uint64_t block, uint64_t blocks) {
    sim_time took = 0;
    while (blocks > 0) {
        const struct place place = place_of(disk, config, block);
        const uint64_t room = place.zone->track_blocks - place.sector;
        const uint64_t run = blocks < room ? blocks : room;
        took += (sim_time)((media_wide)disk->revolution * run / place.zone->track_blocks);
        took += blocks > run ? config->head_switch : 0;
        disk->cylinder = place.cylinder;
        block += run;
        blocks -= run;
    }
    return took;
}

static void submit(struct media *media, struct media_command *command) {
    const struct disk_config *config = media->config;
    struct disk *disk = media->state;
    const sim_time now = sim_now();
    const sim_time start = disk->free_at > now ? disk->free_at : now;
    if (command->operation == MEDIA_DEALLOCATE) { /* a disk has no use for that */
        media_serve(command, now, now);
        return;
    }
    const bool write = command->operation == MEDIA_WRITE;
    const uint64_t block = command->offset_bytes / media->block_bytes;
    const struct place place = place_of(disk, config, block);
    const sim_time seek = seek_time(config, disk->cylinder, place.cylinder, write);
    const sim_time arrived = start + config->overhead + seek;
    const sim_time rotation = rotation_to(disk, config, &place, arrived);
    const sim_time moved = transfer(disk, config, block, command->length_bytes / media->block_bytes);
    disk->free_at = arrived + rotation + moved;
    disk->seeks += seek > 0 ? 1 : 0;
    disk->seeking += seek;
    disk->rotating += rotation;
    disk->transferring += moved;
    disk->reads += write ? 0 : 1;
    disk->writes += write ? 1 : 0;
    media_serve(command, start, disk->free_at);
}

static void visit_stats(const struct media *media, const struct stats_sink *sink) {
    const struct disk *disk = media->state;
    stats_counter(sink, media->name, "reads", disk->reads);
    stats_counter(sink, media->name, "writes", disk->writes);
    stats_counter(sink, media->name, "seeks", disk->seeks);
    stats_counter(sink, media->name, "seek_ns", disk->seeking / SIM_NS);
    stats_counter(sink, media->name, "rotation_ns", disk->rotating / SIM_NS);
    stats_counter(sink, media->name, "transfer_ns", disk->transferring / SIM_NS);
}

static void reset_stats(struct media *media) {
    struct disk *disk = media->state;
    disk->reads = disk->writes = disk->seeks = 0;
    disk->seeking = disk->rotating = disk->transferring = 0;
}

extern const struct media_ops disk_ops;
const struct media_ops disk_ops = {
    .type_name = "disk",
    .help = "one arm over spinning platters: seek curve, rotation, zones; no cache",
    .params = params,
    .config_bytes = sizeof(struct disk_config),
    .state_bytes = sizeof(struct disk),
    .check = check,
    .init = init,
    .submit = submit,
    .visit_stats = visit_stats,
    .reset_stats = reset_stats,
    .fini = fini,
};
