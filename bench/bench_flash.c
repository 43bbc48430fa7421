/* bench_flash: the flash medium's own speed, driven through hw/media/media.h: random
 * reads of 4 KiB simulated per second of wall time at queue depths 16 and 32, on an
 * empty and on a full drive, with and without requests on the ledger; events, wall time
 * and processor time per read, memory; what a fresh drive of 1 TB takes; and writes on the full one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/apart.h"
#include "hw/media/media.h"
#include "sim/config.h"
#include "sim/random.h"

enum { REPEATS = 3, DEPTH_MAX = 256, BLOCK_BYTES = 4096 };

struct run {
    const char *name, *precondition;
    uint64_t capacity_bytes;
    unsigned depth;
    uint64_t commands;
    enum media_operation operation;
    bool has_ledger, has_firmware;
};
struct load {
    struct media *media;
    struct ledger *ledger;
    struct random_stream *stream;
    uint64_t blocks, left;
    struct media_command commands[DEPTH_MAX];
};

static void submit(struct load *load, struct media_command *command) {
    command->offset_bytes = random_below(load->stream, load->blocks) * BLOCK_BYTES;
    command->request =
        load->ledger != NULL ? ledger_begin(load->ledger, command->owner, LEDGER_SERVICE, sim_now()) : NULL;
    media_submit(load->media, command);
}

static void done(struct media_command *command) {
    struct load *load = command->context;
    ledger_end(command->request, command->owner, sim_now());
    if (load->left > 0) {
        load->left--;
        submit(load, command);
    }
}

static struct media *make(const struct run *run, const char *file, struct config **config) {
    struct diagnostics diagnostics;
    char setting[64];
    diagnostics_init(&diagnostics);
    *config = config_load(file, &diagnostics);
    struct media *media = NULL;
    (void)snprintf(setting, sizeof setting, "precondition=%s", run->precondition);
    if (*config != NULL && config_set(*config, setting, &diagnostics) &&
        (!run->has_firmware || config_set(*config, "firmware_read=10 us", &diagnostics))) {
        media =
            media_create(config_root(*config), "drive.media", run->capacity_bytes, BLOCK_BYTES, false, &diagnostics);
    }
    diagnostics_print(&diagnostics, stderr);
    diagnostics_free(&diagnostics);
    return media;
}

/* In a process of its own, since there is one simulation in each. */
static void measure(const void *argument, const char *file, struct bench_speed *out) {
    const struct run *run = argument;
    static const struct ledger_declaration controller = {"nvme", NULL, "Controller", "media"};
    struct config *config;
    struct load *load = calloc(1, sizeof *load);
    const ledger_component owner = ledger_declare(&controller);
    media_declare_components();
    const struct bench_clock begun = bench_clock_now();
    load->media = make(run, file, &config);
    if (load->media == NULL) {
        exit(1);
    }
    load->stream = random_stream_create("bench");
    load->blocks = run->capacity_bytes / BLOCK_BYTES;
    load->left = run->commands - run->depth;
    if (run->has_ledger) {
        load->ledger = ledger_create("read");
        ledger_record(load->ledger, true);
    }
    const struct bench_clock ready = bench_clock_now();
    for (unsigned i = 0; i < run->depth; i++) {
        load->commands[i] = (struct media_command){
            .operation = run->operation, .length_bytes = BLOCK_BYTES, .owner = owner, .done = done, .context = load};
        submit(load, &load->commands[i]);
    }
    sim_run(SIM_TIME_MAX);
    *out = bench_speed_since(begun, ready, run->commands);
    media_free(load->media);
    ledger_free(load->ledger);
    random_stream_free(load->stream);
    config_free(config);
    free(load);
}

int main(int argc, char *argv[]) {
    const char *file = argc > 1 ? argv[1] : "bench/flash.yaml";
    const uint64_t gib = UINT64_C(1) << 30, reads = 3000000;
    const struct run runs[] = {
        {"empty, depth 16", "none", 16 * gib, 16, reads, MEDIA_READ, false, false},
        {"empty, depth 32", "none", 16 * gib, 32, reads, MEDIA_READ, false, false},
        {"full, depth 16", "random", 16 * gib, 16, reads, MEDIA_READ, false, false},
        {"full, depth 32", "random", 16 * gib, 32, reads, MEDIA_READ, false, false},
        {"empty, depth 16, ledger", "none", 16 * gib, 16, reads, MEDIA_READ, true, false},
        {"empty, depth 32, ledger", "none", 16 * gib, 32, reads, MEDIA_READ, true, false},
        {"full, depth 16, ledger", "random", 16 * gib, 16, reads, MEDIA_READ, true, false},
        {"full, depth 32, ledger", "random", 16 * gib, 32, reads, MEDIA_READ, true, false},
        {"full, depth 16, ledger, firmware", "random", 16 * gib, 16, reads, MEDIA_READ, true, true},
        {"full, depth 32, writes", "random", 16 * gib, 32, 1000000, MEDIA_WRITE, false, false},
        {"empty 1 TB, depth 32", "none", UINT64_C(1000000000000), 32, 1000000, MEDIA_READ, false, false},
    };
    (void)printf("%-34s %12s %9s %9s %10s %12s %9s %9s\n", "4 KiB random, 8 channels", "I/Os/wall s", "ns/I/O",
                 "CPU ns", "events/I/O", "simulated/s", "set-up s", "peak MB");
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        struct bench_speed best;
        if (!bench_best(measure, &runs[i], file, REPEATS, false, &best)) {
            return 1;
        }
        (void)printf("%-34s %12.0f %9.0f %9.0f %10.2f %12.0f %9.2f %9.1f\n", runs[i].name, best.per_s, best.ns,
                     best.cpu_ns, best.events, best.simulated_per_s, best.setup_s, best.peak_mb);
        (void)fflush(stdout);
    }
    return 0;
}
