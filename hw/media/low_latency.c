/* low_latency.c: "low_latency": a medium of byte-addressable cells behind a few
 * independent partitions, such as 3D XPoint: a fixed time for a read and for a write,
 * and a transfer at the partition's rate. Addresses are striped over the partitions;
 * each serves one stripe at a time, in order, so that everything is arithmetic. */
#include <stdlib.h>

#include "hw/media/media_internal.h"

struct low_latency_config {
    sim_time read_latency, write_latency;
    uint64_t partitions, stripe_bytes, rate;
};

struct low_latency {
    sim_time *free_at; /* by partition */
    uint64_t reads, writes, read_bytes, write_bytes;
};

#define ROW(key_text, kind, field, standard, least, most, help_text)                                                   \
    {                                                                                                                  \
        .key = key_text, .type = kind, .offset = offsetof(struct low_latency_config, field), .default_text = standard, \
        .minimum = least, .maximum = most, .help = help_text                                                           \
    }
static const struct param params[] = {
    ROW("read_latency", PARAM_TIME, read_latency, "6 us", "1 ns", "1 s", "of the cells, a stripe (assumed; 5 to 8 us)"),
    ROW("write_latency", PARAM_TIME, write_latency, "6 us", "1 ns", "1 s",
        "of the cells, a stripe (assumed; 5 to 8 us)"),
    ROW("partitions", PARAM_INTEGER, partitions, "7", "1", "1024", "that work side by side (assumed; 4 to 16)"),
    ROW("stripe", PARAM_BYTES, stripe_bytes, "4 KiB", "512 B", "1 MiB",
        "consecutive bytes of a partition; a power of two"),
    ROW("partition_rate", PARAM_BYTE_RATE, rate, "1200 MB/s", "1 MB/s", NULL,
        "of the transfer between cells and controller, a partition (assumed; 0.5 to 2 GB/s)"),
    {0}};

static enum error_code check(const void *config, struct error *error) {
    const uint64_t stripe = ((const struct low_latency_config *)config)->stripe_bytes;
    if ((stripe & (stripe - 1)) != 0) {
        return error_set(error, ERR_RANGE, "stripe: %llu B is no power of two", (unsigned long long)stripe);
    }
    return OK;
}

static enum error_code init(struct media *media, struct error *error) {
    const struct low_latency_config *config = media->config;
    struct low_latency *state = media->state;
    (void)error;
    state->free_at = calloc(config->partitions, sizeof *state->free_at);
    SIM_ASSERT_MSG(state->free_at != NULL, "out of memory");
    return OK;
}

static void fini(struct media *media) {
    free(((struct low_latency *)media->state)->free_at);
}

static void submit(struct media *media, struct media_command *command) {
    const struct low_latency_config *config = media->config;
    struct low_latency *state = media->state;
    const sim_time now = sim_now();
    const sim_time latency = command->operation == MEDIA_READ ? config->read_latency : config->write_latency;
    sim_time last_start = now;
    sim_time last_end = now;
    uint64_t at = command->offset_bytes;
    const uint64_t end = command->operation == MEDIA_DEALLOCATE ? at : at + command->length_bytes;
    while (at < end) {
        const uint64_t stripe_end = (at / config->stripe_bytes + 1) * config->stripe_bytes;
        const uint64_t bytes = (stripe_end < end ? stripe_end : end) - at;
        sim_time *free_at = &state->free_at[at / config->stripe_bytes % config->partitions];
        const sim_time start = *free_at > now ? *free_at : now;
        *free_at = start + latency + media_transfer_time(bytes, config->rate);
        if (*free_at >= last_end) {
            last_start = start;
            last_end = *free_at;
        }
        at += bytes;
    }
    state->reads += command->operation == MEDIA_READ ? 1 : 0;
    state->writes += command->operation == MEDIA_WRITE ? 1 : 0;
    state->read_bytes += command->operation == MEDIA_READ ? command->length_bytes : 0;
    state->write_bytes += command->operation == MEDIA_WRITE ? command->length_bytes : 0;
    media_serve(command, last_start, last_end);
}

static void visit_stats(const struct media *media, const struct stats_sink *sink) {
    const struct low_latency *state = media->state;
    stats_counter(sink, media->name, "reads", state->reads);
    stats_counter(sink, media->name, "writes", state->writes);
    stats_counter(sink, media->name, "read_bytes", state->read_bytes);
    stats_counter(sink, media->name, "write_bytes", state->write_bytes);
}

static void reset_stats(struct media *media) {
    struct low_latency *state = media->state;
    state->reads = state->writes = state->read_bytes = state->write_bytes = 0;
}

extern const struct media_ops low_latency_ops;
const struct media_ops low_latency_ops = {
    .type_name = "low_latency",
    .help = "partitions of byte-addressable cells, such as 3D XPoint",
    .params = params,
    .config_bytes = sizeof(struct low_latency_config),
    .state_bytes = sizeof(struct low_latency),
    .check = check,
    .init = init,
    .submit = submit,
    .visit_stats = visit_stats,
    .reset_stats = reset_stats,
    .fini = fini,
};
