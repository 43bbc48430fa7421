/* ops_file.c: operations on files. */
#include <string.h>

#include "sim/engine.h"
#include "sim/random.h"
#include "workloads/op.h"

/* ---- file ---- */

struct file_config {
    const char *name;
    uint64_t size_bytes;
    bool direct, per_thread;
    uint32_t file;
};

static const struct param file_params[] = {
    {"name", PARAM_TEXT, offsetof(struct file_config, name), NULL, NULL, NULL, NULL,
     "what the script calls it, and what the file is called"},
    {"size", PARAM_BYTES, offsetof(struct file_config, size_bytes), "0 B", NULL, NULL, NULL,
     "blocks for so much are allocated, and the file is at least so large"},
    {"direct", PARAM_BOOL, offsetof(struct file_config, direct), "false", NULL, NULL, NULL,
     "O_DIRECT: past the page cache; whole blocks of the device"},
    {"per_thread", PARAM_BOOL, offsetof(struct file_config, per_thread), "false", NULL, NULL, NULL,
     "thread n opens a file of its own, '<name>.<n>'; otherwise all open the same"},
    {0}};

/* An empty name was reported already, or is missing. */
static bool is_given(const char *name) {
    return name != NULL && name[0] != '\0';
}

static bool file_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct file_config *own = config;
    return is_given(own->name) && compile_declare_file(compiler, config_get(node, "name"), own->name, own->size_bytes,
                                                       own->direct, &own->file);
}

static bool files_offered(const struct system_ops *ops) {
    return ops->file_open != NULL;
}

static enum op_result file_run(struct workload_thread *thread, const void *config) {
    const struct file_config *own = config;
    char name[64];
    (void)snprintf(name, sizeof name, own->per_thread ? "%s.%u" : "%s", own->name, thread->index);
    const struct system_file_options options = {.name = name, .size_bytes = own->size_bytes, .direct = own->direct};
    const enum error_code code = thread->ops->file_open(thread->thread, &options, &thread->files[own->file].handle);
    return code == OK ? OP_DONE : run_failed(thread, code, "opening a file");
}

const struct op_type op_file = {.name = "file",
                                .help = "opens a file, which comes into being if there is none of that name",
                                .params = file_params,
                                .config_bytes = sizeof(struct file_config),
                                .flags = OP_SETUP_ONLY,
                                .compile = file_compile,
                                .offered = files_offered,
                                .run = file_run};

/* ---- write and read: where ---- */

enum place { AT_END, AT_NEXT, AT_RANDOM, AT_OFFSET };

struct transfer_config {
    const char *file_name, *buffer_name, *at;
    uint64_t bytes, offset, range_bytes;
    int place; /* enum place */
    uint32_t file, buffer;
};

static bool place_compile(struct compiler *compiler, const struct config_node *node, struct transfer_config *own,
                          bool reads) {
    static const char *const names[] = {[AT_END] = "end", [AT_NEXT] = "next", [AT_RANDOM] = "random"};
    const struct config_node *at = config_get(node, "at");
    char why[128];
    for (int place = reads ? AT_NEXT : AT_END; place < AT_OFFSET; ++place) {
        if (strcmp(own->at, names[place]) == 0) {
            own->place = place;
            return true;
        }
    }
    own->place = AT_OFFSET;
    if (!param_parse(PARAM_BYTES, own->at, &own->offset, why, sizeof why)) {
        return compile_error(compiler, at != NULL ? at : node, "'%s' is none of %snext, random, and no offset: %s",
                             own->at, reads ? "" : "end, ", why);
    }
    return true;
}

/* What `file` says of the file must allow what is asked here. */
static bool check_transfer(struct compiler *compiler, const struct config_node *node,
                           const struct transfer_config *own) {
    const struct script_file *file = compile_file(compiler, own->file);
    const struct config_node *bytes = config_get(node, "bytes");
    const struct config_node *at = config_get(node, "at");
    if (own->bytes > compile_buffer_bytes(compiler)) {
        return compile_error(compiler, bytes != NULL ? bytes : node, "%llu B do not fit into a buffer of %llu B",
                             (unsigned long long)own->bytes, (unsigned long long)compile_buffer_bytes(compiler));
    }
    if (file->direct && own->bytes % 512 != 0) {
        return compile_error(compiler, bytes != NULL ? bytes : node,
                             "'%s' is opened with O_DIRECT, which wants a multiple of 512 B", own->file_name);
    }
    if ((own->place == AT_NEXT || own->place == AT_RANDOM) && file->size_bytes < own->bytes) {
        return compile_error(compiler, at != NULL ? at : node, "'%s' has a size of %llu B: too small for '%s'",
                             own->file_name, (unsigned long long)file->size_bytes, own->at);
    }
    return true;
}

static bool transfer_compile(struct compiler *compiler, const struct config_node *node, struct transfer_config *own,
                             const char *file_key, const char *buffer_key, bool fills) {
    bool good =
        is_given(own->file_name) && compile_use_file(compiler, config_get(node, file_key), own->file_name, &own->file);
    const bool named = is_given(own->buffer_name);
    const char *buffer = named ? own->buffer_name : own->file_name;
    if (is_given(buffer)) {
        const struct config_node *at = config_get(node, named ? buffer_key : file_key);
        good = compile_buffer(compiler, at, buffer, fills || !named, &own->buffer) && good;
    }
    if (own->bytes == 0 && (fills || !named)) {
        return compile_error(compiler, node, "'bytes' is required: how much is moved");
    }
    good = place_compile(compiler, node, own, fills) && good;
    return good && check_transfer(compiler, node, own);
}

static bool write_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    return transfer_compile(compiler, node, config, "to", "from", false);
}

static bool read_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    return transfer_compile(compiler, node, config, "from", "into", true);
}

static uint64_t place_of(struct workload_thread *thread, const struct transfer_config *own, uint64_t size_bytes,
                         uint64_t bytes) {
    struct workload_file *file = &thread->files[own->file];
    uint64_t offset = own->offset;
    switch ((enum place)own->place) {
    case AT_END:
        return SYSTEM_FILE_END;
    case AT_NEXT:
        offset = file->next + bytes > size_bytes ? 0 : file->next;
        file->next = offset + bytes;
        return offset;
    case AT_RANDOM:
        return random_below(thread->random, size_bytes / bytes) * bytes;
    case AT_OFFSET:
        break;
    }
    return offset;
}

/* ---- write ---- */

static const struct param write_params[] = {
    {"to", PARAM_TEXT, offsetof(struct transfer_config, file_name), NULL, NULL, NULL, NULL, "the file"},
    {"from", PARAM_TEXT, offsetof(struct transfer_config, buffer_name), "", NULL, NULL, NULL,
     "the buffer that is written; without it one that the file has for itself"},
    {"bytes", PARAM_BYTES, offsetof(struct transfer_config, bytes), "0 B", NULL, NULL, NULL,
     "how much; 0: as much as the buffer holds"},
    {"at", PARAM_TEXT, offsetof(struct transfer_config, at), "end", NULL, NULL, NULL,
     "end; next (behind the thread's last, from 0 on, within the file's size); random (a multiple of bytes); or an "
     "offset"},
    {0}};

static enum op_result write_run(struct workload_thread *thread, const void *config) {
    const struct transfer_config *own = config;
    const struct system_buffer *buffer = &thread->buffers[own->buffer];
    const uint64_t bytes = own->bytes != 0 ? own->bytes : buffer->length_bytes;
    const uint64_t offset = place_of(thread, own, thread->files[own->file].size_bytes, bytes);
    thread->counters[WORKLOAD_FILE_WRITES] += 1;
    thread->counters[WORKLOAD_FILE_BYTES] += bytes;
    const enum error_code code = thread->ops->file_write(thread->thread, thread->files[own->file].handle, offset,
                                                         buffer->physical, (uint32_t)bytes, thread_request(thread));
    return code == OK ? OP_DONE : run_failed(thread, code, "writing to a file");
}

const struct op_type op_write = {.name = "write",
                                 .help = "writes to a file",
                                 .params = write_params,
                                 .config_bytes = sizeof(struct transfer_config),
                                 .flags = OP_TAKES_TIME,
                                 .compile = write_compile,
                                 .offered = files_offered,
                                 .run = write_run};

/* ---- read ---- */

static const struct param read_params[] = {
    {"from", PARAM_TEXT, offsetof(struct transfer_config, file_name), NULL, NULL, NULL, NULL, "the file"},
    {"into", PARAM_TEXT, offsetof(struct transfer_config, buffer_name), "", NULL, NULL, NULL,
     "the buffer that is filled; without it one that the file has for itself"},
    {"bytes", PARAM_BYTES, offsetof(struct transfer_config, bytes), "0 B", NULL, NULL, NULL, "how much; required"},
    {"at", PARAM_TEXT, offsetof(struct transfer_config, at), "next", NULL, NULL, NULL,
     "next (behind the thread's last, from 0 on, within the file's size); random (a multiple of bytes); or an offset"},
    {0}};

static enum op_result read_run(struct workload_thread *thread, const void *config) {
    const struct transfer_config *own = config;
    struct system_buffer *buffer = &thread->buffers[own->buffer];
    const uint64_t offset = place_of(thread, own, thread->files[own->file].size_bytes, own->bytes);
    thread->counters[WORKLOAD_FILE_READS] += 1;
    thread->counters[WORKLOAD_FILE_BYTES] += own->bytes;
    buffer->length_bytes = (uint32_t)own->bytes;
    const enum error_code code = thread->ops->file_read(thread->thread, thread->files[own->file].handle, offset,
                                                        buffer->physical, (uint32_t)own->bytes, thread_request(thread));
    return code == OK ? OP_DONE : run_failed(thread, code, "reading from a file");
}

const struct op_type op_read = {.name = "read",
                                .help = "reads from a file",
                                .params = read_params,
                                .config_bytes = sizeof(struct transfer_config),
                                .flags = OP_TAKES_TIME,
                                .compile = read_compile,
                                .offered = files_offered,
                                .run = read_run};

/* ---- sync ---- */

struct sync_config {
    const char *name;
    int how; /* enum system_sync */
    uint32_t file;
};

static const char *const sync_ways[] = {[SYSTEM_SYNC_ALL] = "fsync", [SYSTEM_SYNC_DATA] = "fdatasync", NULL};

static const struct param sync_params[] = {
    {"file", PARAM_TEXT, offsetof(struct sync_config, name), NULL, NULL, NULL, NULL, "the file"},
    {"how", PARAM_CHOICE, offsetof(struct sync_config, how), "fsync", NULL, NULL, sync_ways,
     "fsync; fdatasync: no more of the inode than the data need"},
    {0}};

static bool sync_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct sync_config *own = config;
    return is_given(own->name) && compile_use_file(compiler, config_get(node, "file"), own->name, &own->file);
}

static enum op_result sync_run(struct workload_thread *thread, const void *config) {
    const struct sync_config *own = config;
    thread->counters[WORKLOAD_FILE_SYNCS] += 1;
    const enum error_code code = thread->ops->file_sync(thread->thread, thread->files[own->file].handle,
                                                        (enum system_sync)own->how, thread_request(thread));
    return code == OK ? OP_DONE : run_failed(thread, code, "syncing a file");
}

const struct op_type op_sync = {.name = "sync",
                                .help = "returns when what was written to a file is durable",
                                .plain = "file",
                                .params = sync_params,
                                .config_bytes = sizeof(struct sync_config),
                                .flags = OP_TAKES_TIME,
                                .compile = sync_compile,
                                .offered = files_offered,
                                .run = sync_run};
