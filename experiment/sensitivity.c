/* sensitivity: what hangs on the values that a configuration assumes. Each is set to
 * both ends of its range, one at a time, the experiment is run, and its latencies and
 * throughputs are compared with those of the values as they stand. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiment/csv_table.h"
#include "experiment/experiment.h"
#include "experiment/results.h"

enum { KEYS_MAX = 256, PATHS_MAX = 64, PATH_BYTES = 256, TEXT_BYTES = 64, SETTINGS_MAX = 512, LOW = 0, HIGH = 1 };

/* One assumed value: as often in the tree as systems include its file. */
struct key {
    const char *file;
    uint32_t line;
    char text[3][TEXT_BYTES]; /* low, high, as it stands */
    char paths[PATHS_MAX][PATH_BYTES];
    size_t path_count;
    double change[2][2]; /* [end][output]: the largest, in percent, with its sign */
};

/* What is compared: a file's column, over all its rows. */
static const struct {
    const char *file, *column, *label;
} outputs[2] = {{"latency.csv", "mean_ns", "mean latency"}, {"throughput.csv", "completed_per_s", "throughput"}};

struct sensitivity {
    const struct sensitivity_options *options;
    struct key *keys;
    size_t key_count;
    struct csv_table base[2];
    FILE *csv;
    char folder[64];
    struct error *error;
};

/* ---- the keys ---- */

static struct key *find_key(struct sensitivity *self, const struct config_node *node) {
    for (size_t i = 0; i < self->key_count; i++) {
        struct key *key = &self->keys[i];
        if (key->line == node->line && strcmp(key->file, node->file) == 0) {
            return key;
        }
    }
    if (self->key_count == KEYS_MAX) {
        return NULL;
    }
    struct key *key = &self->keys[self->key_count++];
    key->file = node->file;
    key->line = node->line;
    return key;
}

static void add_key(struct sensitivity *self, const struct config_node *node) {
    const struct config_node *range = config_get(node, "range");
    const bool cost = config_get(node, "cycles") != NULL;
    const struct config_node *value = config_get(node, cost ? "cycles" : "value");
    if (range->kind != CONFIG_SEQUENCE || range->count != 2 || value == NULL) {
        return;
    }
    struct key *key = find_key(self, value);
    if (key == NULL || key->path_count == PATHS_MAX) {
        return;
    }
    (void)snprintf(key->text[LOW], TEXT_BYTES, "%s", config_text(range->children[0], ""));
    (void)snprintf(key->text[HIGH], TEXT_BYTES, "%s", config_text(range->children[1], ""));
    (void)snprintf(key->text[2], TEXT_BYTES, "%s", config_text(value, ""));
    config_name(value, key->paths[key->path_count++], PATH_BYTES);
}

static void collect(struct sensitivity *self, const struct config_node *node) {
    if (node->kind == CONFIG_MAPPING && config_get(node, "assumed") != NULL && config_get(node, "range") != NULL) {
        add_key(self, node);
        return;
    }
    for (size_t i = 0; node->kind != CONFIG_SCALAR && i < node->count; i++) {
        collect(self, node->children[i]);
    }
}

/* ---- the runs ---- */

static struct experiment *load(struct sensitivity *self, const struct key *key, int end) {
    static char texts[PATHS_MAX][PATH_BYTES + TEXT_BYTES + 2];
    const char *settings[SETTINGS_MAX];
    size_t count = 0;
    for (; count < self->options->setting_count && count < SETTINGS_MAX - PATHS_MAX; count++) {
        settings[count] = self->options->settings[count];
    }
    for (size_t i = 0; key != NULL && i < key->path_count; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%s=%s", key->paths[i], key->text[end]);
        settings[count++] = texts[i];
    }
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct experiment *experiment = experiment_load(self->options->experiment, settings, count, &diagnostics);
    if (experiment == NULL) {
        diagnostics_print(&diagnostics, stderr);
        (void)error_set(self->error, ERR_CONFIG, "%s is not valid%s%s", self->options->experiment,
                        key != NULL ? " at an end of the range of " : "", key != NULL ? key->paths[0] : "");
    }
    diagnostics_free(&diagnostics);
    return experiment;
}

static enum error_code run(struct sensitivity *self, const struct experiment *experiment, struct csv_table tables[2]) {
    const struct run_options options = {
        .jobs = self->options->jobs, .out = self->folder, .restart = true, .quiet = true};
    struct run_summary summary;
    enum error_code code = experiment_run(experiment, &options, &summary, self->error);
    for (size_t i = 0; i < 2 && code == OK; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", self->folder, outputs[i].file);
        code = csv_table_read(path, &tables[i], self->error);
    }
    return code;
}

/* Writes each row that changed, and keeps the largest change of the output. */
static void compare(struct sensitivity *self, struct key *key, int end, size_t output, const struct csv_table *table) {
    const struct csv_table *base = &self->base[output];
    const int column = csv_table_column(base, outputs[output].column), first = csv_table_column(base, "system");
    const int measured = csv_table_column(base, output == 0 ? "requests" : "offered_per_s");
    SIM_ASSERT(column >= 0 && base->row_count == table->row_count);
    for (size_t row = 0; row < base->row_count; row++) {
        const double was = csv_table_number(base, row, column), is = csv_table_number(table, row, column);
        const double change = was != 0 ? 100 * (is - was) / was : 0;
        if (fabs(change) > fabs(key->change[end][output])) {
            key->change[end][output] = change;
        }
        csv_write_field(key->paths[0], self->csv);
        (void)fprintf(self->csv, ",%s,", end == LOW ? "low" : "high");
        csv_write_field(key->text[end], self->csv);
        for (int c = first - 1; c < measured; c++) { /* point, system, and the matrix */
            (void)fputc(',', self->csv);
            csv_write_field(csv_table_cell(base, row, c), self->csv);
        }
        (void)fprintf(self->csv, ",%s.%s,%.3f,%.3f,%.4f\n", outputs[output].file, outputs[output].column, was, is,
                      change);
    }
}

static enum error_code vary(struct sensitivity *self, struct key *key) {
    for (int end = LOW; end <= HIGH; end++) {
        struct experiment *experiment = load(self, key, end);
        if (experiment == NULL) {
            return ERR_CONFIG;
        }
        struct csv_table tables[2];
        const enum error_code code = run(self, experiment, tables);
        experiment_free(experiment);
        if (code != OK) {
            return code;
        }
        for (size_t output = 0; output < 2; output++) {
            compare(self, key, end, output, &tables[output]);
            csv_table_free(&tables[output]);
        }
        (void)fflush(self->csv);
    }
    return OK;
}

/* ---- the report ---- */

static double largest(const struct key *key) {
    double most = 0;
    for (int i = 0; i < 4; i++) {
        most = fmax(most, fabs(key->change[i / 2][i % 2]));
    }
    return most;
}

static int by_change(const void *a, const void *b) {
    const double x = largest(a), y = largest(b);
    return (x < y) - (x > y);
}

/* The last two parts of a key's path, without "value" or "cycles". */
static const char *short_name(const struct key *key, char out[PATH_BYTES]) {
    (void)snprintf(out, PATH_BYTES, "%s", key->paths[0]);
    char *end = strrchr(out, '.');
    if (end != NULL) {
        *end = '\0';
    }
    char *last = strrchr(out, '.');
    if (last == NULL) {
        return out;
    }
    *last = '\0';
    const char *before = strrchr(out, '.');
    *last = '.';
    return before != NULL ? before + 1 : out;
}

static void print(const struct sensitivity *self, FILE *out) {
    (void)fprintf(out, "%-34s %-14s %-14s %-14s | %10s %10s | %10s %10s\n", "assumed value", "as it stands", "low",
                  "high", "latency", "", "throughput", "");
    (void)fprintf(out, "%-34s %-14s %-14s %-14s | %10s %10s | %10s %10s\n", "", "", "", "", "at low", "at high",
                  "at low", "at high");
    size_t without = 0;
    char name[PATH_BYTES];
    for (size_t i = 0; i < self->key_count; i++) {
        const struct key *key = &self->keys[i];
        if (largest(key) == 0) {
            without++;
            continue;
        }
        (void)fprintf(out, "%-34s %-14s %-14s %-14s | %+8.2f %% %+8.2f %% | %+8.2f %% %+8.2f %%\n",
                      short_name(key, name), key->text[2], key->text[LOW], key->text[HIGH], key->change[LOW][0],
                      key->change[HIGH][0], key->change[LOW][1], key->change[HIGH][1]);
    }
    (void)fprintf(out, "%zu assumed values; the largest change of any point is shown", self->key_count);
    (void)fprintf(out, without > 0 ? "; %zu change nothing here\n" : "\n", without);
}

static enum error_code open_csv(struct sensitivity *self, const struct experiment *experiment) {
    char path[1100];
    if (!results_make_folders(self->options->out)) {
        return error_set(self->error, ERR_IO, "cannot make the folder %s", self->options->out);
    }
    (void)snprintf(path, sizeof path, "%s/sensitivity.csv", self->options->out);
    self->csv = fopen(path, "we");
    if (self->csv == NULL) {
        return error_set(self->error, ERR_IO, "cannot write %s", path);
    }
    (void)fputs("key,end,value,point,system", self->csv);
    for (size_t axis = 0; axis < experiment_axes(experiment); axis++) {
        (void)fprintf(self->csv, ",%s", experiment_axis_name(experiment, axis));
    }
    (void)fputs(",output,as_it_stands,changed_to,change_percent\n", self->csv);
    return OK;
}

/* Runs of every key; `experiment` is the one as it stands. */
static enum error_code vary_all(struct sensitivity *self, const struct experiment *experiment) {
    collect(self, experiment_config(experiment));
    enum error_code code = run(self, experiment, self->base);
    if (code == OK) {
        code = open_csv(self, experiment);
    }
    for (size_t i = 0; i < self->key_count && code == OK; i++) {
        if (self->options->progress) {
            (void)fprintf(stderr, "\r%zu of %zu assumed values", i, self->key_count);
        }
        code = vary(self, &self->keys[i]);
    }
    if (self->options->progress) {
        (void)fputs("\r                              \r", stderr);
    }
    return code;
}

enum error_code sensitivity_run(const struct sensitivity_options *options, FILE *out, struct error *error) {
    struct sensitivity self = {.options = options, .error = error, .folder = "/tmp/stillsuit-sensitivity-XXXXXX"};
    self.keys = calloc(KEYS_MAX, sizeof *self.keys);
    SIM_ASSERT(self.keys != NULL);
    struct experiment *experiment = load(&self, NULL, 0);
    enum error_code code = experiment != NULL ? OK : ERR_CONFIG;
    if (code == OK && mkdtemp(self.folder) == NULL) {
        code = error_set(error, ERR_IO, "no temporary folder");
    }
    if (code == OK) {
        code = vary_all(&self, experiment);
        results_remove(self.folder);
    }
    if (code == OK) {
        qsort(self.keys, self.key_count, sizeof *self.keys, by_change);
        print(&self, out);
    }
    if (self.csv != NULL) {
        (void)fclose(self.csv);
    }
    if (experiment != NULL) {
        experiment_free(experiment);
    }
    free(self.keys);
    return code;
}
