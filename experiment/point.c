#include "experiment/point.h"

#include <sys/resource.h>
#include <time.h>

#include "experiment/point_kinds.h"
#include "experiment/results.h"
#include "sim/engine.h"

bool point_check(const struct plan_point *point, struct diagnostics *diagnostics) {
    return point->experiment->kind == PLAN_DMA ? point_dma_check(point, diagnostics)
                                               : point_network_check(point, diagnostics);
}

enum error_code point_run(const struct plan_point *point, FILE *out, struct error *error) {
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    uint64_t requests = 0;
    const bool dma = point->experiment->kind == PLAN_DMA;
    const enum error_code code =
        dma ? point_dma_run(point, out, &requests, error) : point_network_run(point, out, &requests, error);
    if (code != OK) {
        return code;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    const double wall = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    results_write_done(out, sim_events_run(), requests, wall, (uint64_t)used.ru_maxrss * 1024);
    return OK;
}
