/* ops_replay.c: the requests of a recorded block trace, on a file. */
#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/engine.h"
#include "workloads/block_trace.h"
#include "workloads/op.h"
#include "workloads/replay.h"

enum pace { OPEN, CLOSED };
enum { PATH_BYTES = 1200 };

struct replay_config {
    const char *trace_path, *file_name, *device;
    int format; /* enum block_trace_format */
    int pace;   /* enum pace */
    sim_time time_unit;
    double speed;
    uint64_t most;
    bool fold;
    uint32_t file, buffer, replay;
    const struct block_trace *trace; /* the script's */
    uint64_t size_bytes;             /* of the file */
};

static const char *const formats[] = {[BLOCK_TRACE_MSR] = "msr", [BLOCK_TRACE_DISKSIM] = "disksim", NULL};
static const char *const paces[] = {[OPEN] = "open", [CLOSED] = "closed", NULL};

static const struct param replay_params[] = {
    {"trace", PARAM_TEXT, offsetof(struct replay_config, trace_path), NULL, NULL, NULL, NULL,
     "the trace's file, from the script's folder on or else from the present one"},
    {"format", PARAM_CHOICE, offsetof(struct replay_config, format), NULL, NULL, NULL, formats,
     "MSR Cambridge's CSV, or DiskSim's ASCII format"},
    {"time_unit", PARAM_TIME, offsetof(struct replay_config, time_unit), "1 ms", "1 ns", "1 s", NULL,
     "disksim: of its arrival times; 1 ns in MQSim's traces"},
    {"device", PARAM_TEXT, offsetof(struct replay_config, device), "all", NULL, NULL, NULL,
     "the trace's requests to that device alone, by number; or all"},
    {"requests", PARAM_INTEGER, offsetof(struct replay_config, most), "0", NULL, NULL, NULL,
     "the first of the trace; 0: all"},
    {"to", PARAM_TEXT, offsetof(struct replay_config, file_name), NULL, NULL, NULL, NULL,
     "the file that stands for the device"},
    {"pace", PARAM_CHOICE, offsetof(struct replay_config, pace), "open", NULL, NULL, paces,
     "each request at its time, or as soon as a thread is free"},
    {"speed", PARAM_REAL, offsetof(struct replay_config, speed), "1", "0.000001", "1000000", NULL,
     "open: how many times as fast as recorded"},
    {"fold", PARAM_BOOL, offsetof(struct replay_config, fold), "false", NULL, NULL, NULL,
     "offsets beyond the file's size begin again at its start"},
    {0}};

/* ---- what is checked ---- */

/* From the script's folder on, if there is such a file; else as it is written. */
static void find_trace(const struct config_node *node, const char *name, char *out) {
    (void)snprintf(out, PATH_BYTES, "%s", name);
    if (name[0] == '/' || node == NULL || node->file == NULL) {
        return;
    }
    char *copy = strdup(node->file);
    SIM_ASSERT_MSG(copy != NULL, "out of memory");
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", dirname(copy), name);
    free(copy);
    if (access(path, R_OK) == 0) {
        (void)snprintf(out, PATH_BYTES, "%s", path);
    }
}

static bool check_requests(struct compiler *compiler, const struct config_node *node, const struct replay_config *own) {
    const struct script_file *file = compile_file(compiler, own->file);
    const uint64_t room = compile_buffer_bytes(compiler);
    for (size_t i = 0; i < own->trace->count; ++i) {
        const struct block_trace_request *request = &own->trace->requests[i];
        if (request->length_bytes == 0 || request->length_bytes > room || request->length_bytes > own->size_bytes) {
            return compile_error(compiler, node, "request %zu of the trace has %llu B: 1 B to %llu B are possible",
                                 i + 1, (unsigned long long)request->length_bytes,
                                 (unsigned long long)(room < own->size_bytes ? room : own->size_bytes));
        }
        if (file->direct && (request->length_bytes % 512 != 0 || request->offset_bytes % 512 != 0)) {
            return compile_error(compiler, node,
                                 "request %zu of the trace is of no whole blocks, and '%s' is opened with O_DIRECT",
                                 i + 1, own->file_name);
        }
    }
    if (own->trace->end_bytes > own->size_bytes && !own->fold) {
        return compile_error(
            compiler, node, "the trace reaches up to %llu B, and '%s' has a size of %llu B (fold: true makes it fit)",
            (unsigned long long)own->trace->end_bytes, own->file_name, (unsigned long long)own->size_bytes);
    }
    return true;
}

static bool load(struct compiler *compiler, const struct config_node *node, struct replay_config *own) {
    struct block_trace_options options = {
        .format = (enum block_trace_format)own->format, .time_unit = own->time_unit, .most = own->most};
    const struct config_node *at = config_get(node, "trace");
    char path[PATH_BYTES], why[128];
    uint64_t device = 0;
    if (strcmp(own->device, "all") != 0) {
        options.one_device = true;
        if (!param_parse(PARAM_INTEGER, own->device, &device, why, sizeof why) || device > UINT32_MAX) {
            return compile_error(compiler, config_get(node, "device"), "'%s' is neither 'all' nor a device's number",
                                 own->device);
        }
        options.device = (uint32_t)device;
    }
    find_trace(at, own->trace_path, path);
    if (access(path, R_OK) != 0) {
        return compile_error(compiler, at, "cannot read '%s'", path);
    }
    own->trace = compile_trace(compiler, path, &options, &own->replay);
    if (own->trace != NULL && own->trace->count == 0) {
        return compile_error(compiler, at, "the trace has no request");
    }
    return own->trace != NULL;
}

static bool replay_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct replay_config *own = config;
    const char *format = config_text(config_get(node, "format"), "");
    const bool known =
        strcmp(format, formats[BLOCK_TRACE_MSR]) == 0 || strcmp(format, formats[BLOCK_TRACE_DISKSIM]) == 0;
    if (own->file_name == NULL || own->trace_path == NULL || own->time_unit == 0 || !known) {
        return false; /* reported */
    }
    const struct config_node *to = config_get(node, "to");
    if (!compile_use_file(compiler, to, own->file_name, &own->file) ||
        !compile_buffer(compiler, to, own->file_name, true, &own->buffer)) {
        return false;
    }
    own->size_bytes = compile_file(compiler, own->file)->size_bytes;
    return load(compiler, node, own) && check_requests(compiler, config_get(node, "trace"), own);
}

/* ---- what runs ---- */

/* The next request, whichever thread asks: the trace's order is that of their starts.
 * At its end it begins anew, a mean gap behind the last. */
static const struct block_trace_request *take_next(struct workload_replay *replay, const struct block_trace *trace) {
    if (replay->next == trace->count) {
        const sim_time whole = trace->requests[trace->count - 1].at;
        replay->passed += whole + (trace->count > 1 ? whole / (trace->count - 1) : 0);
        replay->next = 0;
    }
    return &trace->requests[replay->next++];
}

/* Waits on its core until the request's time, or notes that it has passed. */
static void keep_pace(struct workload_thread *thread, const struct replay_config *own, sim_time at) {
    struct workload_replay *replay = &thread->replays[own->replay];
    const sim_time now = measure_now(thread);
    if (!replay->begun) {
        replay->begun = true;
        replay->start = now;
    }
    if (own->pace == CLOSED) {
        begin_round(thread, now);
        return;
    }
    const sim_time due = replay->start + (sim_time)llround((double)at / own->speed);
    if (due > now) {
        thread->ops->compute(thread->thread, NULL, due - now);
        begin_round(thread, measure_now(thread));
        return;
    }
    thread->counters[WORKLOAD_REPLAYED_LATE] += due < now;
    begin_round(thread, due);
}

static enum op_result replay_run(struct workload_thread *thread, const void *config) {
    const struct replay_config *own = config;
    struct workload_replay *replay = &thread->replays[own->replay];
    const struct block_trace_request *request = take_next(replay, own->trace);
    const uint32_t bytes = (uint32_t)request->length_bytes;
    const uint64_t folded = request->offset_bytes % own->size_bytes;
    const uint64_t offset = folded + bytes > own->size_bytes ? own->size_bytes - bytes : folded;
    keep_pace(thread, own, replay->passed + request->at);
    thread->counters[WORKLOAD_REPLAYED] += 1;
    thread->counters[request->write ? WORKLOAD_FILE_WRITES : WORKLOAD_FILE_READS] += 1;
    thread->counters[WORKLOAD_FILE_BYTES] += bytes;
    struct system_file *file = thread->files[own->file].handle;
    const uint64_t memory = thread->buffers[own->buffer].physical;
    const enum error_code code =
        request->write ? thread->ops->file_write(thread->thread, file, offset, memory, bytes, thread_request(thread))
                       : thread->ops->file_read(thread->thread, file, offset, memory, bytes, thread_request(thread));
    return code == OK ? OP_DONE : run_failed(thread, code, "replaying a request");
}

static bool files_offered(const struct system_ops *ops) {
    return ops->file_open != NULL;
}

const struct op_type op_replay = {.name = "replay",
                                  .help = "the next request of a recorded block trace, which all threads share",
                                  .params = replay_params,
                                  .config_bytes = sizeof(struct replay_config),
                                  .flags = OP_LOOP_ONLY | OP_TAKES_TIME,
                                  .compile = replay_compile,
                                  .offered = files_offered,
                                  .run = replay_run};
