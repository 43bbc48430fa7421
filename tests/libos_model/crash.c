#include "tests/libos_model/crash.h"

#include <stdio.h>

#include "sim/engine.h"

static void on_boundary(void *context) {
    static const double kept[] = {0.0, 0.5, 1.0, 0.1, 0.9, 0.5};
    struct crash_test *test = context;
    if (test->boundaries++ % test->every != 0 || test->store == NULL ||
        (test->stop_at != 0 && test->failures >= test->stop_at)) {
        return;
    }
    const double share = kept[test->cuts++ % (sizeof kept / sizeof kept[0])];
    struct block_store *image = block_store_after_power_cut(test->store, test->random, share);
    char why[128] = "";
    if (!test->check(test->context, image, why, sizeof why) && test->failures++ == 0) {
        (void)snprintf(test->first_failure, sizeof test->first_failure, "cut %llu at %llu fs, %.0f %% kept: %s",
                       (unsigned long long)test->cuts, (unsigned long long)sim_now(), share * 100, why);
    }
    block_store_free(image);
}

void crash_watch(struct crash_test *test) {
    test->every = test->every != 0 ? test->every : 1;
    test->random = random_stream_create("crash");
    sim_observe(on_boundary, test);
}

void crash_unwatch(struct crash_test *test) {
    sim_observe(NULL, NULL);
    random_stream_free(test->random);
    test->random = NULL;
}
