#include "experiment/point.h"

#include <sys/resource.h>
#include <time.h>

#include "experiment/point_kinds.h"
#include "experiment/results.h"
#include "sim/engine.h"

/* By enum plan_kind. */
static const struct {
    bool (*check)(const struct plan_point *point, struct diagnostics *diagnostics);
    enum error_code (*run)(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error);
} kinds[] = {[PLAN_NETWORK] = {point_network_check, point_network_run},
             [PLAN_DMA] = {point_dma_check, point_dma_run},
             [PLAN_CLASSIFY] = {point_classify_check, point_classify_run},
             [PLAN_STORAGE] = {point_storage_check, point_storage_run},
             [PLAN_KERNEL] = {point_kernel_check, point_kernel_run},
             [PLAN_DRIVE] = {point_drive_check, point_drive_run}};

bool point_check(const struct plan_point *point, struct diagnostics *diagnostics) {
    return kinds[point->experiment->kind].check(point, diagnostics);
}

enum error_code point_run(const struct plan_point *point, FILE *out, struct error *error) {
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    uint64_t requests = 0;
    const enum error_code code = kinds[point->experiment->kind].run(point, out, &requests, error);
    if (code != OK) {
        return code;
    }
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    const double busy = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    results_write_done(out, sim_events_run(), requests, busy, (uint64_t)used.ru_maxrss * 1024);
    return OK;
}
