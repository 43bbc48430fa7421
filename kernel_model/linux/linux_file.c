/* linux_file.c: system calls on files: into the kernel, through the VFS, to the file
 * system, and back. */
#include <stdlib.h>

#include "kernel_model/linux/linux_storage.h"

static struct linux_storage *storage_of(struct linux_thread *thread) {
    return linux_of(thread)->storage;
}

/* ---- into and out of the kernel ---- */

static void enter(struct linux_file_call *call, struct linux_thread *thread,
                  const struct linux_call_components *components, struct request *request, struct linux_step *step,
                  const char *name) {
    struct linux_storage *storage = storage_of(thread);
    *call = (struct linux_file_call){.base = {.cpu = thread->context, .id = ++storage->calls},
                                     .thread = thread,
                                     .components = components,
                                     .request = request};
    call->base.user = call;
    storage->call_names[call->base.id % LINUX_CALLS_NAMED] = name;
    thread->file_call = call;
    thread->user = false;
    linux_call_work(call, components->code);
    linux_charge(thread->context, &linux_of(thread)->profile.crossing_syscall, 1);
    linux_charge(thread->context, step, 1);
}

/* Nobody's work: the application's follows, in "app". */
static void leave(struct linux_file_call *call) {
    struct linux_thread *thread = call->thread;
    linux_call_work(call, call->components->code);
    linux_charge(thread->context, &linux_of(thread)->profile.crossing_return, 1);
    linux_sched_preemption_point(thread, call->components->code, call->request);
    cpu_work_for(thread->context, system_components.app, call->request);
    cpu_run(thread->context);
    thread->file_call = NULL;
    thread->user = true;
}

/* ---- open ---- */

/* The first one to open a file makes the file system and mounts it. */
static enum error_code mount(struct linux_storage *storage, struct linux_file_call *call) {
    while (storage->mounting) {
        linux_storage_sleep(call, &storage->mount_queue, call->components->device);
    }
    if (storage->mounted) {
        return OK;
    }
    storage->mounting = true;
    enum error_code code = fs_format(storage->fs, &call->base);
    code = code == OK ? fs_mount(storage->fs, &call->base) : code;
    storage->mounting = false;
    storage->mounted = code == OK;
    linux_storage_wake(&storage->mount_queue, call->thread->cpu);
    return code;
}

enum error_code linux_file_open(struct system_thread *caller, const struct system_file_options *options,
                                struct system_file **out) {
    struct linux_thread *thread = (struct linux_thread *)caller;
    struct linux_storage *storage = storage_of(thread);
    struct linux_file_call call;
    if (storage == NULL) {
        return ERR_UNSUPPORTED;
    }
    enter(&call, thread, &linux_write_back_components, NULL, &storage->profile.vfs_open, "open");
    struct linux_file *file = calloc(1, sizeof *file);
    SIM_ASSERT_MSG(file != NULL, "out of memory");
    file->base.process = caller->process;
    file->direct = options->direct;
    file->next = storage->files;
    storage->files = file;
    enum error_code code = mount(storage, &call);
    if (code == OK) {
        code = fs_open(storage->fs, &call.base, options->name, options->size_bytes, &file->file);
    }
    leave(&call);
    *out = code == OK ? &file->base : NULL;
    return code;
}

/* ---- write, read, fsync ---- */

typedef enum error_code transfer_function(struct fs *fs, const struct fs_call *call, struct fs_file *file,
                                          uint64_t offset, uint64_t physical, uint32_t length_bytes);

/* A write or a read: how, and what. */
struct transfer {
    transfer_function *cached, *direct;
    const struct linux_call_components *components;
    struct linux_step *vfs;
    uint64_t *counter;
    const char *name;
};

/* The whole call: moves the bytes, keeps the page cache's limits. */
static enum error_code move(const struct transfer *transfer, struct linux_thread *thread, struct system_file *where,
                            uint64_t offset_bytes, uint64_t physical, uint32_t length_bytes, struct request *request) {
    struct linux_storage *storage = storage_of(thread);
    const struct linux_file *file = (struct linux_file *)where;
    transfer_function *function = file->direct ? transfer->direct : transfer->cached;
    struct linux_file_call call;
    enter(&call, thread, transfer->components, request, transfer->vfs, transfer->name);
    *transfer->counter += 1;
    enum error_code code = function(storage->fs, &call.base, file->file, offset_bytes, physical, length_bytes);
    code = code == OK ? linux_balance(storage, &call) : code;
    leave(&call);
    return code;
}

enum error_code linux_file_write(struct system_thread *caller, struct system_file *where, uint64_t offset_bytes,
                                 uint64_t physical, uint32_t length_bytes, struct request *request) {
    struct linux_thread *thread = (struct linux_thread *)caller;
    struct linux_storage *storage = storage_of(thread);
    const struct transfer write = {fs_write,
                                   fs_write_direct,
                                   &linux_file_write_components,
                                   &storage->profile.vfs_write,
                                   &storage->counters.file_writes,
                                   "write"};
    return move(&write, thread, where, offset_bytes, physical, length_bytes, request);
}

enum error_code linux_file_read(struct system_thread *caller, struct system_file *where, uint64_t offset_bytes,
                                uint64_t physical, uint32_t length_bytes, struct request *request) {
    struct linux_thread *thread = (struct linux_thread *)caller;
    struct linux_storage *storage = storage_of(thread);
    const struct transfer read = {
        fs_read, fs_read_direct, &linux_file_read_components, &storage->profile.vfs_read, &storage->counters.file_reads,
        "read"};
    return move(&read, thread, where, offset_bytes, physical, length_bytes, request);
}

enum error_code linux_file_sync(struct system_thread *caller, struct system_file *where, enum system_sync how,
                                struct request *request) {
    struct linux_thread *thread = (struct linux_thread *)caller;
    struct linux_storage *storage = storage_of(thread);
    const struct linux_file *file = (struct linux_file *)where;
    struct linux_file_call call;
    enter(&call, thread, &linux_file_sync_components, request, &storage->profile.vfs_sync,
          how == SYSTEM_SYNC_DATA ? "fdatasync" : "fsync");
    storage->counters.file_syncs += 1;
    const enum error_code code = fs_sync(storage->fs, &call.base, file->file, how == SYSTEM_SYNC_DATA);
    leave(&call);
    return code;
}
