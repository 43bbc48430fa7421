/* linux_storage.h: the kernel's storage stack: system calls on files, the page
 * cache's policy and its threads, the block layer and its drivers. The file systems
 * themselves are in stack/fs. */
#ifndef STILLSUIT_KERNEL_MODEL_LINUX_LINUX_STORAGE_H
#define STILLSUIT_KERNEL_MODEL_LINUX_LINUX_STORAGE_H

#include "kernel_model/linux/linux_internal.h"
#include "stack/fs/fs.h"

/* Steps of the kernel around the file system. */
#define LINUX_STORAGE_STEPS(X)                                                                                         \
    X(vfs_open, "open of a file, without the file system's part")                                                      \
    X(vfs_write, "write: file descriptor, checks, locks, without the file system's part")                              \
    X(vfs_read, "read: file descriptor, checks, without the page cache's part")                                        \
    X(vfs_sync, "fsync, fdatasync: file descriptor, locks, without the file system's part")                            \
    X(commit_wake, "handing a commit to the journal's thread and being told of its end")                               \
    X(block_submit, "one operation into the block layer: bio, checks, accounting")                                     \
    X(block_merge, "one operation that is joined to another, or sorted in by the scheduler")                           \
    X(block_complete, "one operation's end: bio_endio, accounting, waking who waits")                                  \
    X(ram_disk, "one operation on the RAM disk, without the copy")                                                     \
    X(ram_disk_page, "a block of the RAM disk that is written first: allocating its page")                             \
    X(nvme_submit, "NVMe driver: a command with its PRPs")                                                             \
    X(nvme_prp_list, "NVMe driver: more, for a command that needs a PRP list")                                         \
    X(nvme_complete, "NVMe driver: one completion")                                                                    \
    X(nvme_interrupt, "NVMe driver: an interrupt without its completions")

struct linux_storage_profile {
#define LINUX_STORAGE_MEMBER(name, help) struct linux_step name;
    LINUX_STORAGE_STEPS(LINUX_STORAGE_MEMBER)
#undef LINUX_STORAGE_MEMBER
    const struct config_node *section_nodes[FS_KINDS];
    struct fs_costs costs; /* of the file system in use */
};

enum linux_storage_device { LINUX_RAM_DISK, LINUX_NVME };
enum linux_block_scheduler { LINUX_SCHEDULER_NONE, LINUX_SCHEDULER_NOOP, LINUX_SCHEDULER_DEADLINE };

/* `storage:` of a system's entry. */
struct linux_storage_config {
    int device, filesystem, scheduler;
    const char *drive;
    uint64_t ram_disk_bytes, journal_bytes, cache_bytes;
    uint64_t queue_entries, queue_depth;
    bool barriers, journal_checksums;
    sim_time commit_interval, write_back_interval, dirty_expire, read_expire, write_expire;
    double dirty_background, dirty_limit; /* shares of the cache */
    uint64_t thread_core;
    const struct config_node *profile_node;
};

bool linux_storage_bind(const struct config_node *node, struct linux_storage_config *config,
                        struct linux_storage_profile *profile, struct diagnostics *diagnostics);

/* Who has the request of a call meanwhile. */
struct linux_call_components {
    ledger_component code, copy, journal, block, device, context_switch;
};

/* A call under way: what fs_call.user points to. */
struct linux_file_call {
    struct fs_call base;
    struct linux_thread *thread;
    const struct linux_call_components *components;
    struct request *request; /* the one that the context works for now; NULL: nobody's */
    ledger_component at;     /* what it works as */
    struct request *lent;    /* with the journal's thread, while it is `away` */
    bool away;
    const struct block_io *awaited; /* that the thread sleeps for; NULL: any */
};

struct linux_file {
    struct system_file base;
    struct fs_file *file;
    bool direct;
    struct linux_file *next;
};

#define LINUX_STORAGE_COUNTERS(X)                                                                                      \
    X(file_writes)                                                                                                     \
    X(file_reads)                                                                                                      \
    X(file_syncs)                                                                                                      \
    X(block_reads)                                                                                                     \
    X(block_writes)                                                                                                    \
    X(block_flushes)                                                                                                   \
    X(block_merges)                                                                                                    \
    X(block_interrupts)                                                                                                \
    X(flusher_runs)                                                                                                    \
    X(journal_thread_commits)                                                                                          \
    X(throttled_writes)
struct linux_storage_counters {
#define LINUX_STORAGE_COUNTER(name) uint64_t name;
    LINUX_STORAGE_COUNTERS(LINUX_STORAGE_COUNTER)
#undef LINUX_STORAGE_COUNTER
};

struct linux_block_layer;

enum { LINUX_CALLS_NAMED = 256 };
struct linux_storage {
    struct linux_system *system;
    struct linux_storage_config config;
    struct linux_storage_profile profile;
    struct fs_host host;
    struct fs *fs;
    bool mounted, mounting;
    struct fs_queue mount_queue;
    struct block_device *disk, *top; /* the driver's; what the file system sees */
    struct linux_block_layer *layer;
    struct block_tracer tracer;                                               /* in front of the block layer */
    void (*trace_sink)(void *context, const struct block_trace_event *event); /* NULL: nobody listens */
    void *trace_context;
    struct linux_file *files;
    uint64_t calls;
    const char *call_names[LINUX_CALLS_NAMED]; /* of the latest calls, by number modulo their count; for traces */
    /* the journal's thread */
    struct linux_thread *journal_thread;
    struct fs_queue journal_idle, commit_queue;
    uint64_t commit_wanted;
    struct linux_file_call *commit_call; /* whose request it works for; NULL: nobody's */
    /* the flusher */
    struct linux_thread *flusher;
    struct fs_queue flusher_idle;
    bool flusher_wanted;
    struct sim_event timer;
    struct linux_storage_counters counters;
};

extern struct linux_call_components linux_file_write_components, linux_file_read_components, linux_file_sync_components,
    linux_write_back_components;
void linux_storage_declare_components(void);

/* ---- linux_storage.c ---- */
/* Nothing if the entry has no `storage:`. */
enum error_code linux_storage_open(struct linux_system *system, const struct config_node *node, struct error *error);
void linux_storage_close(struct linux_system *system);
void linux_storage_visit_stats(const struct linux_system *system, const struct stats_sink *sink);
void linux_storage_reset_stats(struct linux_system *system);
void linux_storage_visit_costs(const struct linux_system *system,
                               void (*visit)(void *context, const char *key, const struct cost *cost), void *context);
void linux_storage_trace(struct system *system, void (*sink)(void *context, const struct block_trace_event *event),
                         void *context);
/* Work from here on is of that component, for the call's request. */
void linux_call_work(struct linux_file_call *call, ledger_component component);
/* Sleeps until linux_storage_wake of the queue; the request waits as `component`. */
void linux_storage_sleep(struct linux_file_call *call, struct fs_queue *queue, ledger_component component);
/* [any context of `cpu`] Wakes all; charges nothing. */
void linux_storage_wake(struct fs_queue *queue, struct linux_cpu *cpu);
/* The call that a context is in, or NULL. */
struct linux_file_call *linux_call_of(struct linux_system *system, struct context *context);
/* A call of a kernel thread's own. */
struct linux_file_call linux_kernel_call(struct linux_thread *thread);

/* ---- linux_file.c: [thread] system calls ---- */
enum error_code linux_storage_check(const struct system *system, uint64_t file_bytes, uint64_t log_bytes,
                                    unsigned threads, struct error *error);
enum error_code linux_file_open(struct system_thread *thread, const struct system_file_options *options,
                                struct system_file **file);
enum error_code linux_file_write(struct system_thread *thread, struct system_file *file, uint64_t offset_bytes,
                                 uint64_t physical, uint32_t length_bytes, struct request *request);
enum error_code linux_file_read(struct system_thread *thread, struct system_file *file, uint64_t offset_bytes,
                                uint64_t physical, uint32_t length_bytes, struct request *request);
enum error_code linux_file_sync(struct system_thread *thread, struct system_file *file, enum system_sync how,
                                struct request *request);

/* ---- linux_writeback.c: the flusher, the journal's thread, the dirty limits ---- */
void linux_writeback_open(struct linux_storage *storage);
void linux_writeback_close(struct linux_storage *storage);
/* [thread] fs_host.commit: hands the commit to the thread and waits for its end. */
void linux_commit_and_wait(void *context, const struct fs_call *call, uint64_t sequence);
/* [thread] balance_dirty_pages and reclaim, after a write or a read. */
enum error_code linux_balance(struct linux_storage *storage, struct linux_file_call *call);

/* ---- linux_block.c: the block layer ---- */
struct block_device *linux_block_open(struct linux_storage *storage, struct block_device *disk);
void linux_block_close(struct linux_storage *storage);
/* [any context] An operation that the driver was given has ended: marks it, or those
 * that it was joined of, as finished, and gives the driver more. */
void linux_block_ended(struct linux_storage *storage, struct context *context, struct block_io *io);

/* ---- linux_ram_disk.c, linux_nvme.c: drivers ---- */
struct block_device *linux_ram_disk_open(struct linux_storage *storage, struct error *error);
void linux_ram_disk_close(struct block_device *disk);
struct block_device *linux_nvme_open(struct linux_storage *storage, struct error *error);
void linux_nvme_close(struct block_device *disk);
/* [interrupt] A completion queue's vector. */
void linux_nvme_interrupt(struct linux_cpu *cpu, uint32_t queue);

#endif
