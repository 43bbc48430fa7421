/* experiment_run: the points through the pool, the results in order. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "experiment/experiment.h"
#include "experiment/plan.h"
#include "experiment/point.h"
#include "experiment/pool.h"
#include "experiment/results.h"

struct run {
    const struct experiment *experiment;
    const struct run_options *options;
    struct run_summary *summary;
    struct results_folder folder;
    char records[1100]; /* folder of the points' records */
    uint64_t program;   /* digest of the simulator itself */
    uint64_t *digests;  /* of each point's resolved configuration */
    bool *finished;
    uint64_t *outcomes; /* what each point's rows say */
    size_t appended;    /* points whose rows stand in the CSVs */
    FILE *unused;
    char *unused_text;
    size_t unused_bytes;
    struct error *error;
    enum error_code code;
};

static double wall_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void records_path(const struct run *run, size_t index, const char *suffix, char out[1200]) {
    (void)snprintf(out, 1200, "%s/%zu-%016llx%s", run->records, index, (unsigned long long)run->digests[index], suffix);
}

/* FNV-1a over the program itself: a rebuilt simulator takes up no point of an older
 * one. 0 where the system does not say which file runs. */
static uint64_t program_digest(void) {
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    FILE *program = fopen("/proc/self/exe", "re");
    unsigned char block[65536];
    for (size_t got; program != NULL && (got = fread(block, 1, sizeof block, program)) > 0;) {
        for (size_t i = 0; i < got; i++) {
            digest = (digest ^ block[i]) * UINT64_C(0x100000001b3);
        }
    }
    if (program != NULL) {
        (void)fclose(program);
    }
    return digest;
}

/* Names a point by all that its result depends on, so that a resumed run takes only
 * what the same program would write again. */
static bool digest_point(const struct run *run, size_t index, uint64_t *digest) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct plan_point point;
    const bool good = plan_point_make(run->experiment, index, &point, &diagnostics);
    diagnostics_free(&diagnostics);
    if (!good) {
        return false;
    }
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    SIM_ASSERT(stream != NULL);
    config_write(config_root(point.config), stream);
    (void)fprintf(stream, "%016llx %llu %zu %llu", (unsigned long long)run->program,
                  (unsigned long long)(run->options->seed_given ? run->options->seed : point.seed), point.system,
                  (unsigned long long)run->options->trace_calls);
    (void)fclose(stream);
    *digest = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++) {
        *digest = (*digest ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    }
    free(text);
    plan_point_free(&point);
    return true;
}

static int work(void *context, size_t index) {
    const struct run *run = context;
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct plan_point point;
    if (!plan_point_make(run->experiment, index, &point, &diagnostics)) {
        diagnostics_print(&diagnostics, stderr);
        return 1;
    }
    if (run->options->seed_given) {
        point.seed = run->options->seed;
    }
    point.trace_calls = run->options->trace_calls;
    char partial[1200], final[1200];
    records_path(run, index, ".partial", partial);
    records_path(run, index, ".records", final);
    FILE *out = fopen(partial, "we");
    if (out == NULL) {
        (void)fprintf(stderr, "cannot write %s: %s\n", partial, strerror(errno));
        return 1;
    }
    struct error error = {0};
    const enum error_code code = point_run(&point, out, &error);
    if (code != OK) {
        (void)fprintf(stderr, "point %zu (%s): %s\n", index, experiment_system_name(run->experiment, point.system),
                      error.text);
        return 1;
    }
    if (fclose(out) != 0 || rename(partial, final) != 0) {
        (void)fprintf(stderr, "cannot write %s: %s\n", final, strerror(errno));
        return 1;
    }
    return 0;
}

static bool skip(void *context, size_t index) {
    struct run *run = context;
    char path[1200];
    records_path(run, index, ".records", path);
    if (run->options->restart || access(path, R_OK) != 0) {
        return false;
    }
    run->summary->resumed++;
    return true;
}

/* Rows go out in the order of the points, as soon as that allows. */
static void ended(void *context, size_t index, bool good) {
    struct run *run = context;
    run->finished[index] = good;
    run->summary->failed += good ? 0 : 1;
    while (run->code == OK && run->appended < run->summary->points && run->finished[run->appended]) {
        char path[1200];
        records_path(run, run->appended, ".records", path);
        run->code = results_append(&run->folder, path, run->summary, run->unused, run->error);
        run->outcomes[run->appended] = run->folder.point_digest;
        run->appended++;
    }
}

/* How often a line stands in the text from `text` on, and whether `line` is the first. */
static size_t count_lines(const char *text, const char *line, size_t length, bool *first) {
    size_t times = 0;
    *first = true;
    for (const char *other = text; *other != '\0'; other += strcspn(other, "\n") + 1) {
        if (strncmp(other, line, length + 1) == 0) {
            *first = *first && other >= line;
            times++;
        }
    }
    return times;
}

/* A cost that no point of its system charged is a knob without effect. The manifest has
 * them all; a reader is told the first few. */
static void list_unused_of(const char *text, const char *system, size_t places, FILE *manifest, FILE *warning) {
    enum { TOLD = 4 };
    const size_t name_length = strlen(system);
    size_t count = 0;
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        const size_t length = strcspn(line, "\n");
        bool first = false;
        if (strncmp(line, system, name_length) != 0 || line[name_length] != '\t' ||
            count_lines(text, line, length, &first) != places || !first) {
            continue;
        }
        const int key_length = (int)(length - name_length - 1);
        const char *key = line + name_length + 1;
        (void)fprintf(manifest, "%s\"%.*s\"", count > 0 ? ", " : "", key_length, key);
        if (warning != NULL && count == 0) {
            (void)fprintf(warning, "note: %s: costs that nothing charged in this run: ", system);
        }
        if (warning != NULL && count < TOLD) {
            (void)fprintf(warning, "%s%.*s", count > 0 ? ", " : "", key_length, key);
        }
        count++;
    }
    if (warning != NULL && count > TOLD) {
        (void)fprintf(warning, " and %zu more (manifest.json)", count - TOLD);
    }
    if (warning != NULL && count > 0) {
        (void)fputc('\n', warning);
    }
}

/* The manifest's object of them, by system. The caller frees it. */
static char *list_unused(struct run *run) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    SIM_ASSERT(out != NULL);
    (void)fclose(run->unused);
    const size_t places = run->summary->points / run->experiment->system_count;
    for (size_t i = 0; i < run->experiment->system_count; i++) {
        const char *name = run->experiment->systems[i].name;
        (void)fprintf(out, "%s\"%s\": [", i > 0 ? ", " : "", name);
        list_unused_of(run->unused_text, name, places, out, run->options->quiet ? NULL : stderr);
        (void)fputc(']', out);
    }
    (void)fclose(out);
    free(run->unused_text);
    return text;
}

/* Whether every place of the matrix gives the same as the place that differs from it
 * in `axis` alone, for a system. `stride`: places between neighbours on the axis. */
static bool is_without_effect(const struct run *run, size_t system, size_t axis, size_t stride) {
    const size_t places = run->experiment->matrix.points, values = run->experiment->matrix.axes[axis].count;
    const uint64_t *outcomes = &run->outcomes[system * places];
    for (size_t place = 0; place < places; place++) {
        if (outcomes[place] != outcomes[place - place / stride % values * stride]) {
            return false;
        }
    }
    return values > 1;
}

/* So is an axis along which nothing changes. */
static void warn_flat_axes(const struct run *run) {
    const struct config_matrix *matrix = &run->experiment->matrix;
    for (size_t system = 0; system < run->experiment->system_count; system++) {
        size_t stride = 1;
        for (size_t axis = matrix->count; axis-- > 0; stride *= matrix->axes[axis].count) {
            if (is_without_effect(run, system, axis, stride)) {
                (void)fprintf(stderr, "warning: %s: '%s' had no effect: every result is the same for all its values\n",
                              run->experiment->systems[system].name, matrix->axes[axis].path);
            }
        }
    }
}

static void remove_records(const struct run *run) {
    for (size_t index = 0; index < run->summary->points; index++) {
        char path[1200];
        records_path(run, index, ".records", path);
        (void)remove(path);
    }
    (void)rmdir(run->records);
}

static enum error_code prepare(struct run *run) {
    const struct run_options *options = run->options;
    char path[1024];
    if (options->out != NULL) {
        (void)snprintf(path, sizeof path, "%s", options->out);
    } else {
        (void)snprintf(path, sizeof path, "results/%s", experiment_name(run->experiment));
    }
    (void)snprintf(run->summary->folder, sizeof run->summary->folder, "%s", path);
    const enum error_code code =
        results_open(&run->folder, run->experiment, path, options->trace_calls > 0, run->error);
    if (code != OK) {
        return code;
    }
    (void)snprintf(run->records, sizeof run->records, "%s/.points", path);
    if (mkdir(run->records, 0777) != 0 && errno != EEXIST) {
        return error_set(run->error, ERR_IO, "cannot make the folder %s: %s", run->records, strerror(errno));
    }
    for (size_t index = 0; index < run->summary->points; index++) {
        if (!digest_point(run, index, &run->digests[index])) {
            return error_set(run->error, ERR_CONFIG, "point %zu does not resolve", index);
        }
    }
    return OK;
}

enum error_code experiment_run(const struct experiment *experiment, const struct run_options *options,
                               struct run_summary *summary, struct error *error) {
    memset(summary, 0, sizeof *summary);
    summary->points = experiment_points(experiment);
    struct run run = {.experiment = experiment, .options = options, .summary = summary, .error = error};
    run.digests = calloc(summary->points, sizeof *run.digests);
    run.outcomes = calloc(summary->points + 1, sizeof *run.outcomes);
    run.finished = calloc(summary->points + 1, sizeof *run.finished);
    run.unused = open_memstream(&run.unused_text, &run.unused_bytes);
    SIM_ASSERT(run.digests != NULL && run.outcomes != NULL && run.finished != NULL && run.unused != NULL);
    const double begin = wall_now();
    run.program = program_digest();
    run.code = prepare(&run);
    if (run.code == OK) {
        (void)pool_run(&(struct pool_job){summary->points, options->jobs, options->progress,
                                          experiment_name(experiment), work, ended, skip, &run});
    }
    summary->wall_seconds = wall_now() - begin;
    summary->results_digest = run.folder.digest;
    char *unused = list_unused(&run);
    if (run.code == OK && summary->failed > 0) {
        run.code = error_set(error, ERR_IO, "%zu of %zu points failed; a rerun takes up the rest", summary->failed,
                             summary->points);
    }
    if (run.code == OK) {
        run.code = results_write_manifest(&run.folder, experiment, options, summary, unused,
                                          options->seed_given ? options->seed : experiment_seed(experiment), error);
        remove_records(&run);
        if (!options->quiet) {
            warn_flat_axes(&run);
        }
    }
    results_close(&run.folder);
    free(unused);
    free(run.digests);
    free(run.outcomes);
    free(run.finished);
    return run.code;
}
