#include "kernel_model/common/progress.h"

void progress_begin(struct progress *progress, unsigned program) {
    progress->done[program] = 0;
    progress->runs[program] = true;
}

static void lose(struct progress *progress, unsigned program) {
    progress->lost += progress->done[program];
    progress->done[program] = 0;
    progress->runs[program] = false;
}

void progress_death(struct progress *progress, unsigned program) {
    lose(progress, program);
    progress->deaths++;
    progress->faulted = true;
}

void progress_stop(struct progress *progress) {
    for (unsigned i = 0; i < PROGRESS_PROGRAMS; i++) {
        lose(progress, i);
    }
    progress->stops++;
    progress->faulted = true;
}

void progress_visit_stats(const struct progress *progress, const struct stats_sink *sink) {
    uint64_t done = 0, running = 0;
    for (unsigned i = 0; i < PROGRESS_PROGRAMS; i++) {
        done += progress->done[i];
        running += progress->runs[i] ? 1 : 0;
    }
    stats_counter(sink, "programs", "done", done);
    stats_counter(sink, "programs", "lost", progress->lost);
    stats_counter(sink, "programs", "running", running);
    stats_counter(sink, "programs", "deaths", progress->deaths);
    stats_counter(sink, "programs", "stops", progress->stops);
}
