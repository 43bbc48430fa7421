/* The media behind the drive, alone: time from arithmetic that the tests do anew. */
#include <math.h>

#include "hw/media/line_map.h"
#include "hw/media/media.h"
#include "sim/config.h"
#include "sim/random.h"
#include "tests/hw/pcie_fixture.h"

enum { COMMANDS_MAX = 4096 };

struct access {
    struct media_command command;
    sim_time done;
};
static struct access accesses[COMMANDS_MAX];
static unsigned count, finished;
static ledger_component owner;

static struct media *make(const char *text, uint64_t capacity_bytes) {
    static const struct ledger_declaration drive = {"nvme", NULL, "Drive", "media"};
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    owner = ledger_declare(&drive);
    media_declare_components();
    struct config *config = config_parse("media.yaml", text, &diagnostics);
    struct media *media = media_create(config_root(config), "ssd.media", capacity_bytes, 512, false, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    cr_assert_not_null(media);
    return media;
}

static void ended(struct media_command *command) {
    ((struct access *)command->context)->done = sim_now();
    finished++;
}

static struct access *submit(struct media *media, enum media_operation operation, uint64_t offset, uint64_t bytes) {
    struct access *access = &accesses[count++];
    cr_assert_lt(count, COMMANDS_MAX);
    *access = (struct access){.command = {.operation = operation,
                                          .offset_bytes = offset,
                                          .length_bytes = bytes,
                                          .owner = owner,
                                          .done = ended,
                                          .context = access}};
    media_submit(media, &access->command);
    return access;
}

static void run(void) {
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(finished, count);
}

static double us(sim_time time) {
    return (double)time / (double)SIM_US;
}

/* ---- low latency ---- */

Test(media, low_latency_partitions_work_side_by_side) {
    struct media *media = make("{type: low_latency, read_latency: 8 us, write_latency: 20 us, partitions: 4, "
                               "stripe: 4 KiB, partition_rate: 1 GB/s}",
                               1 << 30);
    struct access *first[8];
    for (uint64_t i = 0; i < 8; i++) {
        first[i] = submit(media, MEDIA_READ, i * 4096, 4096);
    }
    run();
    for (uint64_t i = 0; i < 8; i++) {
        cr_assert_eq(first[i]->done, (i / 4 + 1) * (8 * SIM_US + 4096 * SIM_NS), "read %llu", (unsigned long long)i);
    }
    const sim_time before = sim_now();
    const struct access *large = submit(media, MEDIA_WRITE, 4096 * 100 + 512, 3 * 4096);
    const struct access *behind = submit(media, MEDIA_READ, 4096 * 105, 512);
    run();
    /* 3,584 + 4,096 + 4,096 + 512 bytes on partitions 0 to 3; then the read on 1. */
    cr_assert_eq(large->done - before, 20 * SIM_US + 4096 * SIM_NS);
    cr_assert_eq(behind->done - before, 20 * SIM_US + 4096 * SIM_NS + 8 * SIM_US + 512 * SIM_NS);
    media_free(media);
}

Test(media, waiting_and_service_are_told_apart) {
    struct media *media =
        make("{type: low_latency, read_latency: 8 us, partitions: 1, partition_rate: 1 GB/s}", 1 << 20);
    struct ledger *ledger = ledger_create("io");
    struct request *requests[2];
    for (int i = 0; i < 2; i++) {
        requests[i] = ledger_begin(ledger, owner, LEDGER_SERVICE, 0);
        struct access *access = &accesses[count++];
        *access = (struct access){.command = {.operation = MEDIA_READ,
                                              .length_bytes = 1000 / 500 * 512,
                                              .request = requests[i],
                                              .owner = owner,
                                              .done = ended,
                                              .context = access}};
        media_submit(media, &access->command);
    }
    run();
    const sim_time service = 8 * SIM_US + 1024 * SIM_NS;
    cr_assert_eq(requests[0]->spent[media_component][LEDGER_WAITING], 0);
    cr_assert_eq(requests[1]->spent[media_component][LEDGER_WAITING], service);
    cr_assert_eq(requests[1]->spent[media_component][LEDGER_SERVICE], service);
    cr_assert_eq(requests[1]->owner, owner);
    ledger_end(requests[0], owner, sim_now());
    ledger_end(requests[1], owner, sim_now());
    ledger_free(ledger);
    media_free(media);
}

/* ---- battery-backed DRAM ---- */

Test(media, battery_dram_takes_a_fixed_time_on_a_few_processors) {
    struct media *media = make("{type: battery_dram, write_time: 20 us, read_time: 10 us, parallel: 2}", 1 << 30);
    struct access *writes[5];
    for (uint64_t i = 0; i < 5; i++) {
        writes[i] = submit(media, MEDIA_WRITE, i * 65536, 4096);
    }
    const struct access *read = submit(media, MEDIA_READ, 900000, 4096 * 4);
    run();
    for (uint64_t i = 0; i < 5; i++) {
        cr_assert_eq(writes[i]->done, (i / 2 + 1) * 20 * SIM_US);
    }
    cr_assert_eq(read->done, 50 * SIM_US, "the second processor is free at 40 us");
    media_free(media);
}

#define OVER_CELLS                                                                                                     \
    "{type: battery_dram, write_time: 20 us, read_time: 10 us, parallel: 8, cache: 64 KiB, destage_outstanding: 2,\n"  \
    " backing: {type: low_latency, write_latency: 1 ms, read_latency: 500 us, partitions: 16, partition_rate: 4 "      \
    "GB/s}}"

Test(media, battery_dram_fills_up_and_is_then_as_slow_as_what_is_behind) {
    struct media *media = make(OVER_CELLS, 1 << 30);
    struct access *writes[24];
    for (uint64_t i = 0; i < 24; i++) {
        writes[i] = submit(media, MEDIA_WRITE, i * 4096, 4096);
    }
    run();
    cr_assert_eq(writes[15]->done, 40 * SIM_US, "16 fit");
    /* Two places a millisecond: the first destages begin at 20 us and take 1,001.024. */
    for (uint64_t i = 16; i < 24; i++) {
        const double due = 20 + ((double)((i - 16) / 2) + 1) * 1001.024 + 20;
        cr_assert_float_eq(us(writes[i]->done), due, 0.001, "write %llu: %f, not %f", (unsigned long long)i,
                           us(writes[i]->done), due);
    }
    media_free(media);
}

Test(media, battery_dram_reads_what_it_has_and_fetches_what_it_has_not) {
    struct media *media = make(OVER_CELLS, 1 << 30);
    (void)submit(media, MEDIA_WRITE, 8192, 8192);
    run();
    sim_time before = sim_now();
    const struct access *hit = submit(media, MEDIA_READ, 8192, 8192);
    const struct access *miss = submit(media, MEDIA_READ, 16384, 4096);
    run();
    cr_assert_eq(hit->done - before, 10 * SIM_US);
    cr_assert_eq(miss->done - before, 510 * SIM_US + 1024 * SIM_NS);
    before = sim_now();
    const struct access *again = submit(media, MEDIA_READ, 16384, 4096);
    run();
    cr_assert_eq(again->done - before, 10 * SIM_US);
    for (uint64_t i = 0; i < 16; i++) { /* push everything out */
        (void)submit(media, MEDIA_READ, (1 << 20) + i * 4096, 4096);
    }
    run();
    before = sim_now();
    const struct access *gone = submit(media, MEDIA_READ, 8192, 4096);
    run();
    cr_assert_gt(gone->done - before, 500 * SIM_US);
    media_free(media);
}

/* ---- disk ---- */

/* HP 97560: the published curve, 4,002 revolutions a minute. */
#define HP97560                                                                                                        \
    "{type: disk, rpm: 4002, cylinders: 1962, heads: 19, zones: 1, seek_base: 3.24 ms, seek_root_us: 400,\n"           \
    " seek_cutoff: 383, seek_far_base: 8 ms, seek_per_cylinder_us: 8, write_settle: 0 ns, head_switch: 2.5 ms,\n"      \
    " command_overhead: 0 ns}"
enum { HP_TRACK = 72, HP_CYLINDER = HP_TRACK * 19 };
#define HP_BYTES (UINT64_C(1962) * HP_CYLINDER * 512)

Test(media, a_disk_seeks_by_its_curve_and_waits_for_the_sector) {
    static const uint64_t distances[] = {1, 4, 100, 382, 383, 1000, 1961};
    const double revolution = 60e6 / 4002;
    struct media *media = make(HP97560, HP_BYTES);
    for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        (void)submit(media, MEDIA_READ, 0, 512);
        run();
        const sim_time before = sim_now();
        const uint64_t d = distances[i];
        const struct access *access = submit(media, MEDIA_READ, d * HP_CYLINDER * 512, 512);
        run();
        const double seek = d < 383 ? 3240 + 400 * sqrt((double)d) : 8000 + 8 * (double)d;
        /* The track's first sector is skewed by a switch of heads for each before it. */
        const double angle = fmod((double)(d * 19) * 2500, revolution);
        const double arrived = fmod(us(before) + seek, revolution);
        const double wait = angle >= arrived ? angle - arrived : angle - arrived + revolution;
        cr_assert_float_eq(us(access->done - before), seek + wait + revolution / HP_TRACK, 0.1, "distance %llu",
                           (unsigned long long)d);
    }
    media_free(media);
}

Test(media, a_sequential_transfer_goes_at_the_surfaces_rate) {
    const double revolution = 60e6 / 4002;
    struct media *media = make(HP97560, HP_BYTES);
    (void)submit(media, MEDIA_READ, 0, 512);
    run();
    const sim_time before = sim_now();
    /* 19 tracks: 18 switches within the cylinder; the rest of a turn until it begins. */
    const struct access *access = submit(media, MEDIA_READ, 0, HP_CYLINDER * 512);
    run();
    const double most = revolution + 19 * revolution + 18 * 2500;
    cr_assert_float_eq(us(access->done - before), most - revolution / HP_TRACK, 1.0);
    media_free(media);
}

/* Random reads of the 15,000 rpm default: overhead, mean seek, half a revolution. */
Test(media, random_reads_take_what_the_data_sheet_says) {
    struct media *media = make("{type: disk}", UINT64_C(300000000000));
    struct random_stream *dice = random_stream_create("disk");
    const int reads = 3000;
    sim_time sum = 0;
    for (int i = 0; i < reads; i++) {
        const sim_time before = sim_now();
        const struct access *access =
            submit(media, MEDIA_READ, random_below(dice, UINT64_C(300000000000) / 4096) * 4096, 4096);
        run();
        sum += access->done - before;
    }
    const double mean_ms = us(sum) / reads / 1000;
    cr_assert_float_eq(mean_ms, 0.1 + 3.1 + 2.0, 0.12, "%f ms", mean_ms);
    media_free(media);
    random_stream_free(dice);
}

Test(media, outer_zones_are_faster) {
    struct media *media = make("{type: disk, outer_to_inner: 200}", UINT64_C(300000000000));
    const uint64_t bytes = 64 << 20;
    (void)submit(media, MEDIA_READ, 0, 512);
    run();
    sim_time before = sim_now();
    const struct access *outer = submit(media, MEDIA_READ, 0, bytes);
    run();
    const double outer_ms = us(outer->done - before) / 1000;
    (void)submit(media, MEDIA_READ, UINT64_C(300000000000) - 2 * bytes, 512);
    run();
    before = sim_now();
    const struct access *inner = submit(media, MEDIA_READ, UINT64_C(300000000000) - bytes, bytes);
    run();
    const double inner_ms = us(inner->done - before) / 1000;
    cr_assert(inner_ms / outer_ms > 1.7 && inner_ms / outer_ms < 2.1, "%f and %f ms", outer_ms, inner_ms);
    media_free(media);
}

/* ---- configuration ---- */

static void expect_error(const char *text, const char *expected) {
    struct diagnostics diagnostics;
    char *printed = NULL;
    size_t bytes = 0;
    diagnostics_init(&diagnostics);
    media_declare_components();
    struct config *config = config_parse("media.yaml", text, &diagnostics);
    cr_assert_null(media_create(config_root(config), "ssd.media", 1 << 20, 512, true, &diagnostics));
    FILE *out = open_memstream(&printed, &bytes);
    diagnostics_print(&diagnostics, out);
    (void)fclose(out);
    cr_assert(strstr(printed, expected) != NULL, "'%s' does not say '%s'", printed, expected);
    free(printed);
    config_free(config);
    diagnostics_free(&diagnostics);
}

Test(media, what_is_wrong_is_told_with_its_place) {
    expect_error("{rpm: 15000}", "media.yaml:1:1: a medium needs its 'type'");
    expect_error("{type: dusk}", "unknown medium 'dusk'; did you mean 'disk'?");
    expect_error("{type: disk, rpmm: 15000}", "rpmm");
    expect_error("{type: low_latency, stripe: 5000 B}", "no power of two");
    expect_error("{type: battery_dram,\n backing: {type: disk, heads: 0}}", "media.yaml:2:");
}

/* ---- the map ---- */

Test(media, line_map_behaves_as_an_array_does) {
    enum { KEYS = 500 };
    static uint64_t model[KEYS];
    struct line_map map = {0};
    struct random_stream *dice = random_stream_create("map");
    for (int i = 0; i < 50000; i++) {
        const uint64_t key = random_below(dice, KEYS);
        if (random_below(dice, 2) == 0) {
            model[key] = 1 + random_below(dice, 1000);
            line_map_put(&map, key * 4096, model[key]);
        } else {
            model[key] = 0;
            line_map_remove(&map, key * 4096);
        }
        const uint64_t other = random_below(dice, KEYS);
        cr_assert_eq(line_map_get(&map, other * 4096), model[other]);
    }
    size_t there = 0;
    for (size_t i = 0; i < KEYS; i++) {
        there += model[i] != 0 ? 1 : 0;
    }
    cr_assert_eq(map.count, there);
    line_map_free(&map);
    random_stream_free(dice);
}
