/* flash.c: the medium "flash": its life cycle and its counters. */
#include "hw/media/flash/flash.h"

#include <stdio.h>
#include <stdlib.h>

#include "hw/media/flash/flash_internal.h"

static void init_times(struct flash *flash) {
    const uint64_t rate = flash->config->channel_rate;
    for (uint32_t units = 0; units <= flash->stripe; units++) {
        const uint64_t bytes = (uint64_t)units * flash->unit_bytes;
        /* Rounded up; in two steps, since a product with the second's femtoseconds
         * does not fit. */
        const uint64_t whole = bytes / rate, rest = bytes % rate;
        __extension__ typedef unsigned __int128 wide;
        flash->transfer_time[units] = whole * SIM_S + (sim_time)(((wide)rest * SIM_S + rate - 1) / rate);
    }
}

static void init_die(struct flash *flash, uint32_t index) {
    struct flash_die *die = &flash->dies[index];
    const uint32_t channel = index % (uint32_t)flash->config->channels;
    die->flash = flash;
    die->index = index;
    die->channel = &flash->channels[channel];
    die->programming = FTL_NONE;
    die->collect.flash = flash;
    die->collect.die = die;
    die->collect.is_collection = true;
    (void)snprintf(die->name, sizeof die->name, "%s.ch%u.die%u", flash->media->name, channel,
                   index / (uint32_t)flash->config->channels);
    usage_init(&die->usage, sim_now());
    sim_event_init(&die->event, SIM_PRIORITY_HARDWARE, flash_die_event, die);
    sim_event_init(&die->collect.event, SIM_PRIORITY_HARDWARE, flash_op_event, &die->collect);
}

static void precondition(struct flash *flash) {
    const struct flash_config *config = flash->config;
    if (config->fill == FLASH_SEQUENTIAL) {
        ftl_fill(&flash->ftl, NULL, 0);
    } else if (config->fill == FLASH_RANDOM) {
        char name[FLASH_NAME_BYTES];
        (void)snprintf(name, sizeof name, "%s.precondition", flash->media->name);
        struct random_stream *stream = random_stream_create(name);
        ftl_fill(&flash->ftl, stream, (uint64_t)(config->fill_overwrites * (double)flash->ftl.config.units));
        random_stream_free(stream);
    }
}

static enum error_code flash_init(struct media *media, struct error *error) {
    struct flash *flash = media->state;
    struct ftl_config geometry;
    flash->media = media;
    flash->config = media->config;
    sim_event_init(&flash->fill_event, SIM_PRIORITY_HARDWARE, flash_fill_event, flash);
    if (flash_geometry(flash->config, media->capacity_bytes, &geometry, error) != OK ||
        ftl_init(&flash->ftl, &geometry, error) != OK) {
        return error->code;
    }
    flash->die_count = geometry.dies;
    flash->unit_bytes = (uint32_t)flash->config->unit_bytes;
    flash->stripe = geometry.stripe;
    flash->cells = (uint32_t)flash->config->cell + 1;
    flash_find_components(&flash->components);
    init_times(flash);
    flash->channels = calloc(flash->config->channels, sizeof *flash->channels);
    flash->dies = calloc(flash->die_count, sizeof *flash->dies);
    SIM_ASSERT(flash->channels != NULL && flash->dies != NULL);
    for (uint32_t i = 0; i < flash->config->channels; i++) {
        (void)snprintf(flash->channels[i].name, sizeof flash->channels[i].name, "%s.ch%u", media->name, i);
        usage_init(&flash->channels[i].usage, sim_now());
    }
    for (uint32_t i = 0; i < flash->die_count; i++) {
        init_die(flash, i);
    }
    precondition(flash);
    return OK;
}

/* ---- Counters ---- */

static void visit_counters(const struct flash *flash, const struct stats_sink *sink) {
    const struct flash_stats *stats = &flash->stats;
    const struct ftl_counters *ftl = &flash->ftl.counters;
    uint32_t least, most;
    ftl_erase_range(&flash->ftl, &least, &most);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"reads", stats->reads},
        {"writes", stats->writes},
        {"deallocations", stats->deallocations},
        {"page_reads", stats->page_reads},
        {"buffer_reads", stats->buffer_reads},
        {"unwritten_reads", stats->zero_reads},
        {"reads_before_write", stats->reads_before_write},
        {"suspends", stats->suspends},
        {"host_units", ftl->host_units},
        {"gc_units", ftl->copied_units},
        {"empty_units", ftl->padded_units},
        {"stale_units", ftl->stale_units},
        {"host_programs", ftl->host_stripes},
        {"gc_programs", ftl->copied_stripes},
        {"gc_reads", ftl->collect_reads},
        {"erases", ftl->erases},
        {"wear_moves", ftl->wear_moves},
        {"deallocated_units", ftl->deallocated_units},
        {"blocks", (uint64_t)flash->die_count * flash->ftl.config.blocks},
        {"block_erases_min", least},
        {"block_erases_max", most},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stats_counter(sink, flash->media->name, rows[i].name, rows[i].value);
    }
}

/* Accounts are settled lazily: copies of them are finished. */
static void visit_channel(const struct flash_channel *channel, sim_time now, const struct stats_sink *sink) {
    struct usage usage = channel->usage;
    for (uint32_t i = 0; i < channel->count && channel->transfers[i].start < now; i++) {
        const struct flash_transfer *transfer = &channel->transfers[i];
        usage_switch(&usage, transfer->component, transfer->start);
        if (transfer->end <= now) {
            usage_switch(&usage, 0, transfer->end);
        }
    }
    stats_usage(sink, channel->name, &usage);
}

static void visit_die(const struct flash_die *die, sim_time now, const struct stats_sink *sink) {
    struct usage usage = die->usage;
    if (die->current != NULL && die->segment < now) {
        usage_switch(&usage, flash_die_component(die), die->segment);
        if (die->current->data_end <= now && !die->suspending) {
            usage_switch(&usage, 0, die->current->data_end);
        }
    }
    stats_usage(sink, die->name, &usage);
}

static void flash_visit_stats(const struct media *media, const struct stats_sink *sink) {
    const struct flash *flash = media->state;
    const sim_time now = sim_now();
    visit_counters(flash, sink);
    for (uint32_t i = 0; i < flash->config->channels; i++) {
        visit_channel(&flash->channels[i], now, sink);
    }
    for (uint32_t i = 0; i < flash->die_count; i++) {
        visit_die(&flash->dies[i], now, sink);
    }
}

static void reset_channel(struct flash_channel *channel, sim_time now) {
    flash_channel_settle(channel, now);
    if (channel->count > 0 && channel->transfers[0].start < now) {
        channel->transfers[0].start = now; /* the part before belongs to the warm-up */
    }
    usage_reset(&channel->usage, now);
}

static void flash_reset_stats(struct media *media) {
    struct flash *flash = media->state;
    const sim_time now = sim_now();
    flash->stats = (struct flash_stats){0};
    flash->ftl.counters = (struct ftl_counters){0};
    for (uint32_t i = 0; i < flash->config->channels; i++) {
        reset_channel(&flash->channels[i], now);
    }
    for (uint32_t i = 0; i < flash->die_count; i++) {
        flash_die_settle(&flash->dies[i]);
        usage_reset(&flash->dies[i].usage, now);
    }
}

static void flash_fini(struct media *media) {
    struct flash *flash = media->state;
    if (flash->media == NULL) {
        return; /* init was never called */
    }
    (void)sim_cancel(&flash->fill_event);
    for (uint32_t i = 0; flash->dies != NULL && i < flash->die_count; i++) {
        (void)sim_cancel(&flash->dies[i].event);
    }
    for (uint32_t i = 0; flash->channels != NULL && i < flash->config->channels; i++) {
        free(flash->channels[i].transfers);
    }
    while (flash->made != NULL) {
        struct flash_op *op = flash->made;
        flash->made = op->made_before;
        (void)sim_cancel(&op->event);
        free(op->batch);
        free(op);
    }
    free(flash->channels);
    free(flash->dies);
    ftl_free(&flash->ftl);
}

const struct media_ops flash_media_ops = {
    .type_name = "flash",
    .help = "NAND flash: channels, dies, planes, a page-mapped translation layer with garbage collection",
    .params = flash_params,
    .config_bytes = sizeof(struct flash_config),
    .state_bytes = sizeof(struct flash),
    .declare_components = flash_declare_components,
    .check = flash_check,
    .check_places = flash_check_places,
    .init = flash_init,
    .submit = flash_submit,
    .visit_stats = flash_visit_stats,
    .reset_stats = flash_reset_stats,
    .fini = flash_fini,
};
