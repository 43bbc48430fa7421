/* The results folder: config, CSVs in the order of the points, manifest. */
#include "experiment/results.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const columns[RESULT_FILES_MAX] = {
    "component,kind,mean_ns,stddev_ns,p50_ns,p99_ns,share_percent",
    "requests,mean_ns,stddev_ns,min_ns,p50_ns,p90_ns,p99_ns,p999_ns,p9999_ns,max_ns",
    "offered_per_s,completed_per_s,dropped_per_s,bytes_per_s",
    "resource,busy_percent,component",
    "instance,counter,value",
    "time_ns,call,call_name,operation,block,blocks,force_unit_access,what",
};

#define DIGEST_SEED UINT64_C(0xcbf29ce484222325) /* FNV-1a */

static void digest_add(uint64_t *digest, const char *text) {
    for (; *text != '\0'; text++) {
        *digest = (*digest ^ (uint8_t)*text) * UINT64_C(0x100000001b3); /* FNV-1a */
    }
}

bool results_make_folders(const char *path) {
    char part[1024];
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            return false;
        }
        *slash = '/';
    }
    return mkdir(part, 0777) == 0 || errno == EEXIST;
}

static FILE *open_in(const struct results_folder *folder, const char *name, struct error *error) {
    char path[1100];
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        (void)error_set(error, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    return file;
}

static bool begin_file(struct results_folder *folder, const struct experiment *experiment, size_t file,
                       struct error *error) {
    FILE *out = folder->files[file] = open_in(folder, result_file_names[file], error);
    if (out == NULL) {
        return false;
    }
    (void)fputs("point,system,", out);
    for (size_t axis = 0; axis < experiment_axes(experiment); axis++) {
        (void)fprintf(out, "%s,", experiment_axis_name(experiment, axis));
    }
    (void)fprintf(out, "%s\n", columns[file]);
    (void)fflush(out);
    return true;
}

/* What an earlier run, which traced, has left. */
static void remove_trace(const struct results_folder *folder) {
    char path[1100];
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, result_file_names[RESULT_TRACE_IO]);
    (void)remove(path);
}

enum error_code results_open(struct results_folder *folder, const struct experiment *experiment, const char *path,
                             bool trace_io, struct error *error) {
    memset(folder, 0, sizeof *folder);
    folder->digest = DIGEST_SEED;
    folder->axes = experiment_axes(experiment);
    (void)snprintf(folder->path, sizeof folder->path, "%s", path);
    if (!results_make_folders(path)) {
        return error_set(error, ERR_IO, "cannot make the folder %s: %s", path, strerror(errno));
    }
    remove_trace(folder);
    FILE *config = open_in(folder, "config.yaml", error);
    if (config == NULL) {
        return ERR_IO;
    }
    config_write(experiment_config(experiment), config);
    (void)fclose(config);
    for (size_t i = 0; i < RESULT_FILES + (trace_io ? 1 : 0); i++) {
        if (!begin_file(folder, experiment, i, error)) {
            results_close(folder);
            return ERR_IO;
        }
    }
    return OK;
}

/* The row behind its first `count` fields, which may be quoted. */
static const char *after_fields(const char *row, size_t count) {
    bool quoted = false;
    for (; *row != '\0' && count > 0; row++) {
        quoted = *row == '"' ? !quoted : quoted;
        count -= *row == ',' && !quoted;
    }
    return row;
}

static void take_done(const char *text, struct run_summary *summary) {
    unsigned long long events = 0, requests = 0, memory = 0;
    double busy = 0;
    if (sscanf(text, "%llu %llu %lf %llu", &events, &requests, &busy, &memory) == 4) {
        summary->events += events;
        summary->requests += requests;
        summary->busy_seconds += busy;
        summary->peak_memory_bytes = memory > summary->peak_memory_bytes ? memory : summary->peak_memory_bytes;
    }
}

enum error_code results_append(struct results_folder *folder, const char *records_path, struct run_summary *summary,
                               FILE *unused, struct error *error) {
    FILE *records = fopen(records_path, "re");
    if (records == NULL) {
        return error_set(error, ERR_IO, "cannot read %s: %s", records_path, strerror(errno));
    }
    char *line = NULL;
    size_t capacity = 0;
    folder->point_digest = DIGEST_SEED;
    while (getline(&line, &capacity, records) > 0) {
        char *text = strchr(line, '\t');
        if (text == NULL) {
            continue;
        }
        *text++ = '\0';
        if (strcmp(line, "done") == 0) {
            take_done(text, summary);
        } else if (strcmp(line, "warning") == 0) {
            (void)fprintf(stderr, "warning: %s", text);
        } else if (strcmp(line, "unused") == 0) {
            if (unused != NULL) {
                (void)fputs(text, unused);
            }
        } else {
            char *end;
            const unsigned long file = strtoul(line, &end, 10);
            SIM_ASSERT_MSG(end != line && *end == '\0' && file < RESULT_FILES_MAX && folder->files[file] != NULL,
                           "a record of kind '%s'", line);
            (void)fputs(text, folder->files[file]);
            digest_add(&folder->digest, text);
            digest_add(&folder->point_digest, after_fields(text, 2 + folder->axes));
        }
    }
    free(line);
    (void)fclose(records);
    for (size_t i = 0; i < RESULT_FILES_MAX; i++) {
        if (folder->files[i] != NULL && fflush(folder->files[i]) != 0) {
            return error_set(error, ERR_IO, "cannot write to %s: %s", folder->path, strerror(errno));
        }
    }
    return OK;
}

void results_close(struct results_folder *folder) {
    for (size_t i = 0; i < RESULT_FILES_MAX; i++) {
        if (folder->files[i] != NULL) {
            (void)fclose(folder->files[i]);
            folder->files[i] = NULL;
        }
    }
}

void results_remove(const char *path) {
    static const char *const others[] = {"config.yaml", "manifest.json", ".points"};
    char name[1100];
    for (size_t i = 0; i < RESULT_FILES_MAX; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", path, result_file_names[i]);
        (void)remove(name);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", path, others[i]);
        (void)remove(name);
    }
    (void)remove(path);
}

static void json_text(FILE *out, const char *text) {
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            (void)fprintf(out, "\\%c", c);
        } else if (c < 0x20) {
            (void)fprintf(out, "\\u%04x", c);
        } else {
            (void)fputc(c, out);
        }
    }
    (void)fputc('"', out);
}

enum error_code results_write_manifest(const struct results_folder *folder, const struct experiment *experiment,
                                       const struct run_options *options, const struct run_summary *summary,
                                       const char *unused, uint64_t seed, struct error *error) {
    FILE *out = open_in(folder, "manifest.json", error);
    if (out == NULL) {
        return ERR_IO;
    }
    (void)fputs("{\n  \"experiment\": ", out);
    json_text(out, experiment_name(experiment));
    (void)fprintf(out, ",\n  \"version\": \"%s\",\n  \"command\": [", STILLSUIT_VERSION);
    for (int i = 0; i < options->argument_count; i++) {
        (void)fputs(i > 0 ? ", " : "", out);
        json_text(out, options->arguments[i]);
    }
    (void)fprintf(out, "],\n  \"seed\": %llu,\n  \"points\": %zu,\n  \"results_digest\": \"fnv1a64:%016llx\",\n",
                  (unsigned long long)seed, summary->points, (unsigned long long)folder->digest);
    (void)fprintf(out, "  \"costs_not_charged\": {%s},\n", unused);
    (void)fprintf(out,
                  "  \"speed\": {\"wall_seconds\": %.3f, \"process_seconds\": %.3f, \"events\": %llu, \"requests\": "
                  "%llu, \"peak_memory_bytes\": %llu}\n}\n",
                  summary->wall_seconds, summary->busy_seconds, (unsigned long long)summary->events,
                  (unsigned long long)summary->requests, (unsigned long long)summary->peak_memory_bytes);
    return fclose(out) == 0 ? OK : error_set(error, ERR_IO, "cannot write the manifest");
}
