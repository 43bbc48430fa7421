/* libos_storage.h: a library OS's drive: a VSIC for the process, a queue pair for each
 * thread, VSAs as block devices, all driven without the kernel.
 *
 * A thread reads, writes and flushes ranges of a VSA from and to memory of the process,
 * asynchronously; completions are taken by whatever the thread waits for (it polls), or
 * by waiting for them. An emulated VSIC (none left in hardware) looks the same from
 * here.
 *
 * On an operation's path: app, log_append... -> storage_out (-> its doorbell) -> the
 * drive, or the emulating core -> ready (waiting) -> storage_in. */
#ifndef STILLSUIT_LIBOS_MODEL_LIBOS_STORAGE_H
#define STILLSUIT_LIBOS_MODEL_LIBOS_STORAGE_H

#include "kernel_model/exo/vsic_emulation.h"
#include "libos_model/libos_net.h"
#include "libos_model/vsic_ring.h"
#include "stack/nvme_queue.h"

/* Of a process. */
struct libos_drive {
    struct exo_drive *drive;
    struct exo_handle vsic;
    bool emulated;
};

/* Of a thread. */
struct libos_storage {
    struct libos_thread *thread;
    struct libos_source source;
    bool emulated;
    struct exo_handle queue;
    struct nvme_pair pair; /* of a function of the drive's */
    struct vsic_ring ring; /* of the kernel's emulation */
    struct libos_area *areas;
    struct libos_log *logs;
    struct libos_file_store *files;
};

/* A VSA as a block device of one thread. */
struct libos_area {
    struct block_device device; /* must be first */
    struct libos_area *next;
    struct libos_storage *storage;
    struct exo_handle vsa;
    uint32_t nsid;
    char name[EXO_VSA_NAME_BYTES];
};

/* Before the run: the process's VSIC; the thread's queue pair and its source. */
enum error_code libos_drive_open(struct libos_process *process, struct error *error);
enum error_code libos_storage_open(struct libos_thread *thread, struct error *error);
void libos_storage_free(struct libos_thread *thread);

/* [thread] The VSA of that name, made with so many bytes if there is none (*made says
 * so), attached for reading and writing. The thread keeps it. */
enum error_code libos_area_open(struct libos_thread *thread, const char *name, uint64_t bytes, struct libos_area **area,
                                bool *made, struct error *error);
/* Fills in where `bytes` bytes of the process's memory lie: ERR_FAULT if they are not its. */
enum error_code libos_segments(const struct libos_thread *thread, struct block_io *io, uint64_t physical,
                               uint64_t bytes);

/* Counters of a thread's storage, under its instance. */
void libos_storage_visit(const struct libos_storage *storage, const char *instance, const struct stats_sink *sink);
void libos_logs_visit(const struct libos_storage *storage, const char *instance, const struct stats_sink *sink);

/* Components under "cpu": "storage_out" (with "storage_doorbell" below it), "storage_in". */
struct libos_storage_components {
    ledger_component out, doorbell, in;
};
extern struct libos_storage_components libos_storage_components;
void libos_storage_declare_components(void);

/* ---- libos_log.c: members of the ops tables ---- */
enum error_code libos_log_open(struct system_thread *thread, const char *name, uint64_t capacity_bytes,
                               struct system_log **log);
enum error_code libos_log_append(struct system_thread *thread, struct system_log *log, struct system_append *append);
void libos_log_wait(struct system_thread *thread, struct system_log *log, struct system_append *append);
enum error_code libos_log_trim(struct system_thread *thread, struct system_log *log, uint64_t entries);
enum error_code libos_log_pop(struct system_thread *thread, struct system_log *log, uint64_t physical,
                              uint32_t capacity_bytes, uint32_t *length_bytes, struct request *request);
void libos_logs_free(struct libos_storage *storage);

/* ---- libos_files.c ---- */
extern ledger_component libos_file_component; /* declared with the driver's */
enum error_code libos_file_open(struct system_thread *thread, const struct system_file_options *options,
                                struct system_file **file);
enum error_code libos_file_write(struct system_thread *thread, struct system_file *file, uint64_t offset_bytes,
                                 uint64_t physical, uint32_t length_bytes, struct request *request);
enum error_code libos_file_read(struct system_thread *thread, struct system_file *file, uint64_t offset_bytes,
                                uint64_t physical, uint32_t length_bytes, struct request *request);
enum error_code libos_file_sync(struct system_thread *thread, struct system_file *file, enum system_sync how,
                                struct request *request);
void libos_files_free(struct libos_storage *storage);

/* What every library OS with storage does in the same way, for its ops table. */
#define LIBOS_STORAGE_OPS                                                                                              \
    .storage_check = libos_storage_check, .file_open = libos_file_open, .file_write = libos_file_write,                \
    .file_read = libos_file_read, .file_sync = libos_file_sync, .log_open = libos_log_open,                            \
    .log_append = libos_log_append, .log_wait = libos_log_wait, .log_trim = libos_log_trim, .log_pop = libos_log_pop,  \
    .misbehave = libos_misbehave, .trace_blocks = libos_trace_blocks

#endif
