/* nvme_internal.h: the controller's state and what its files call of each other.
 * Everyone else includes hw/nvme/nvme.h.
 *
 *   nvme_registers.c   registers and doorbells of a controller
 *   nvme_queue.c       submission and completion queues: created, deleted, rung
 *   nvme_arbiter.c     whose commands are fetched next: doorbell -> fetch by DMA
 *   nvme_limit.c       the rate limit of a controller
 *   nvme_command.c     the life of a command: processing, completion, reset
 *   nvme_prp.c         where its data lies in memory, and the data's way
 *   nvme_io.c          read, write, flush, dataset management
 *   nvme_cache.c       the write cache and its destaging; nvme_flush.c who waits for it
 *   nvme_admin.c, nvme_identify.c, nvme_features.c   admin commands
 *   nvme_namespace.c   namespaces, their extents, rights
 *
 * What is under way when a controller is reset is recognized by its generation. */
#ifndef STILLSUIT_HW_NVME_NVME_INTERNAL_H
#define STILLSUIT_HW_NVME_NVME_INTERNAL_H

#include "hw/machine.h"
#include "hw/media/block_store.h"
#include "hw/media/line_map.h"
#include "hw/media/media.h"
#include "hw/nvme/nvme.h"
#include "hw/nvme/nvme_regs.h"
#include "hw/pcie.h"

enum {
    NVME_VIRTUAL_FUNCTIONS_MAX = 255,
    NVME_FETCH_MAX = 16, /* submission entries a DMA read brings at most */
    NVME_EVENTS_MAX = 4, /* asynchronous event requests outstanding (AERL + 1) */
    NVME_ERRORS_LOGGED = 16
};
#define NVME_PENDING ((enum nvme_status)0xffff) /* of a handler: the command completes later */
enum nvme_arbitration { NVME_ROUND_ROBIN, NVME_WEIGHTED };
enum nvme_cache_mode { NVME_CACHE_NONE, NVME_CACHE_VOLATILE, NVME_CACHE_PROTECTED };
__extension__ typedef unsigned __int128 nvme_wide;

struct nvme_config {
    struct pcie_link_config link;
    uint64_t capacity_bytes, block_bytes;
    uint64_t virtual_functions, queues_per_function, physical_queues, queue_entries;
    uint64_t namespaces, extents, max_transfer_bytes, doorbell_stride;
    int arbitration, write_cache;
    uint64_t burst, fetch_max, commands, commands_per_function, processors;
    sim_time processing, cache_latency;
    uint64_t cache_bytes, destage_outstanding, destage_from_bytes;
    bool default_namespace;
    const struct config_node *media;
};
extern const struct param nvme_params[];
enum error_code nvme_config_check(const struct nvme_config *config, struct error *error);

struct nvme;
struct nvme_function;
struct nvme_command;

struct nvme_cq {
    struct nvme_function *function;
    uint64_t base;
    uint32_t entries, head, tail; /* head: as the host said */
    uint32_t taken;               /* entries written and not consumed, or promised to commands under way */
    uint16_t id, vector, users;   /* users: submission queues */
    bool created, phase, interrupts;
    uint32_t coalesced; /* completions since the last interrupt */
    struct sim_event coalesce_event;
};

/* [head, tail) of the ring is the device's, not yet fetched. */
struct nvme_sq {
    struct nvme_function *function;
    struct nvme_cq *cq;
    uint64_t base;
    uint32_t entries, head, tail;
    uint32_t under_way; /* commands fetched, not yet completed */
    uint16_t id;
    bool created, listed;
    struct nvme_command *deletion; /* waits until none is under way */
    struct nvme_sq *next_ready;
    struct request **riders; /* by slot */
};

/* A token bucket in the form of the generic cell rate algorithm: when the next
 * command would be due if all came at the rate; the remainder is of that division. */
struct nvme_bucket {
    uint64_t per_s, remainder;
    sim_time due;
};

struct nvme_function {
    struct nvme *nvme;
    struct pcie_function pcie;
    uint32_t number;
    bool online;
    uint32_t cc, aqa;
    uint64_t asq, acq;
    bool ready, fatal;
    uint32_t shutdown; /* CSTS.SHST */
    uint32_t generation;
    uint32_t queue_count; /* I/O queue pairs; arrays have one more */
    struct nvme_sq *sqs;
    struct nvme_cq *cqs;
    uint8_t *rights; /* by NSID */
    /* arbitration */
    struct nvme_sq *ready_first, *ready_last;
    struct nvme_function *next_active;
    bool active;
    uint32_t weight, credit;
    uint32_t under_way, fetching;
    /* rate limit */
    struct nvme_rate rate;
    struct nvme_bucket bytes, commands;
    struct nvme_command *limited, **limited_end;
    struct sim_event limit_event;
    /* features */
    uint32_t arbitration_feature, coalescing, event_mask;
    bool write_cache;
    bool uncoalesced[PCIE_MSIX_MAX];
    /* asynchronous events */
    uint16_t events[NVME_EVENTS_MAX];
    uint32_t event_count;
    bool event_masked; /* until the log page is read */
    uint64_t error_count;
    uint32_t errors_head;
    struct {
        uint64_t count;
        uint16_t queue, status;
    } error_log[NVME_ERRORS_LOGGED];
    struct nvme_counters counters;
};

struct nvme_cache_entry;

struct nvme_namespace {
    uint32_t nsid;
    bool exists;
    uint32_t generation;
    uint32_t extent_count;
    struct nvme_extent *extents;
    uint64_t *starts; /* namespace block at which each extent begins; one more: the size */
    struct nvme_cache_entry *dirty_first, *dirty_last;
};

typedef void nvme_step(struct nvme_command *command);

/* A slot for a command under way, with what it needs on its way; buffers stay with
 * the slot and grow to the largest command it had. */
struct nvme_command {
    struct nvme *nvme;
    struct nvme_function *function;
    struct nvme_sq *sq;
    uint32_t generation;
    struct nvme_sqe sqe;
    struct request *request;
    ledger_component owner; /* of the request, among the controller's */
    struct sim_event event;
    struct nvme_command *next;
    nvme_step *then;
    enum nvme_status status;
    uint32_t result;
    /* namespace */
    struct nvme_namespace *space;
    uint32_t space_generation;
    uint64_t block;
    uint32_t blocks;
    /* data */
    uint8_t *buffer;
    size_t buffer_capacity;
    uint64_t length_bytes;
    uint64_t *pages; /* addresses: the first anywhere, the others at a page's begin */
    uint32_t page_count, pages_known, pages_capacity;
    struct dma_op *ops;
    uint32_t op_count, ops_capacity;
    struct nvme_cqe cqe;
    struct dma_op cqe_op;
    /* medium */
    struct media_command *parts;
    uint32_t part_count, parts_capacity, parts_left;
    uint64_t flush_sequence, promised_bytes; /* of room in the cache, until it is there */
};

struct nvme_fetch {
    struct dma_op op;
    struct nvme_function *function;
    uint32_t generation, count;
    struct nvme_fetch *next, *all_next;
    struct nvme_command *commands[NVME_FETCH_MAX];
    struct nvme_sqe entries[NVME_FETCH_MAX];
};

/* A run of blocks in the write cache, until it is on the medium. */
struct nvme_cache_entry {
    struct nvme *nvme;
    struct nvme_namespace *space;
    uint64_t block, sequence;
    uint32_t blocks;
    bool started, dropped;
    /* Once it is on its way to the medium: what it carries, the newest entry then, and
     * which blocks have become another's business since (a byte each). */
    uint64_t carried;
    uint8_t *bytes, *overtaken;
    size_t capacity;                                      /* blocks that there is room for */
    struct nvme_cache_entry *next, *previous;             /* all, by age */
    struct nvme_cache_entry *space_next, *space_previous; /* the namespace's, by age */
    struct media_command command;
};

struct nvme_cache {
    uint64_t dirty_bytes, promised_bytes, sequence, destaging;
    struct line_map latest; /* block of the drive -> sequence of the entry that has its newest version */
    struct nvme_cache_entry *first, *last, *undestaged, *pool;
    struct nvme_command *room_waiters, **room_waiters_end;
    struct nvme_command *flush_waiters, **flush_waiters_end;
    uint64_t destages, superseded, room_waits;
};

struct nvme_components {
    ledger_component nvme, queue, limit, processing, cache, ready, doorbell, cpu;
};

struct nvme {
    struct device *device;
    const struct nvme_config *config;
    struct pcie_link *link;
    struct nvme_components components;
    struct media *media;
    struct block_store *store;
    uint64_t blocks;
    uint32_t block_bytes;
    uint32_t function_count;
    struct nvme_function *functions;
    struct nvme_namespace *namespaces; /* by NSID; 0 unused */
    struct nvme_command *commands, *free_commands;
    uint32_t free_count;
    struct nvme_fetch *free_fetches, *all_fetches;
    struct nvme_function *active_first, *active_last;
    sim_time *processors; /* when each is free */
    struct nvme_cache cache;
};

static inline struct nvme *nvme_of(const struct device *device) {
    return device->state;
}
static inline uint32_t nvme_ring_distance(uint32_t from, uint32_t to, uint32_t entries) {
    return to >= from ? to - from : to + entries - from;
}
/* The controller was reset, or went off line, since the command was fetched. */
static inline bool nvme_is_stale(const struct nvme_command *command) {
    return command->generation != command->function->generation;
}

/* ---- nvme_registers.c ---- */
uint64_t nvme_mmio_read(struct device *device, struct pcie_function *pcie, unsigned bar, uint64_t offset,
                        uint32_t size_bytes);
void nvme_mmio_write(struct device *device, struct pcie_function *pcie, unsigned bar, uint64_t offset,
                     uint32_t size_bytes, uint64_t value, struct request *request);

/* ---- nvme_queue.c ---- */
void nvme_sq_create(struct nvme_sq *sq, struct nvme_cq *cq, uint64_t base, uint32_t entries);
void nvme_cq_create(struct nvme_cq *cq, uint64_t base, uint32_t entries, bool interrupts, uint16_t vector);
void nvme_sq_delete(struct nvme_sq *sq);
void nvme_cq_delete(struct nvme_cq *cq);
/* A doorbell with a value within the queue. */
void nvme_sq_rung(struct nvme_sq *sq, uint32_t tail, struct request *request);
void nvme_cq_rung(struct nvme_cq *cq, uint32_t head);
void nvme_cq_interrupt(struct nvme_cq *cq);
void nvme_cq_coalesced(void *context);
/* An error that software hears of by an asynchronous event. */
void nvme_event(struct nvme_function *function, uint32_t information, uint16_t queue);
void nvme_abandon(struct request *request, const char *reason);

/* ---- nvme_arbiter.c ---- */
/* A queue has something to fetch, or room for its completions again. */
void nvme_sq_ready(struct nvme_sq *sq);
void nvme_function_withdraw(struct nvme_function *function);
/* Fetches what may be fetched. */
void nvme_pump(struct nvme *nvme);

/* ---- nvme_limit.c ---- */
/* Lets a fetched command pass to its processing, now or when the rate allows. */
void nvme_limit(struct nvme_command *command);
void nvme_limit_expired(void *context);
bool nvme_is_limited(const struct nvme_function *function);
/* Takes a command out of the line; false if it does not wait there. */
bool nvme_limit_withdraw(struct nvme_command *command);

/* ---- nvme_command.c ---- */
/* Hands the request to another of the controller's components. */
void nvme_own(struct nvme_command *command, ledger_component to, enum ledger_kind kind);
void nvme_process(struct nvme_command *command);
/* Ends a command: writes its completion, behind the data to memory that it has. */
void nvme_complete(struct nvme_command *command, enum nvme_status status);
void nvme_complete_with_data(struct nvme_command *command);
/* Gives back the slot of a command that was forgotten. */
void nvme_drop(struct nvme_command *command);
void nvme_wait(struct nvme_command *command, sim_time duration, nvme_step *then);
void nvme_function_reset(struct nvme_function *function);
void nvme_function_fatal(struct nvme_function *function);

/* ---- nvme_prp.c ---- */
/* Learns where `length_bytes` of data lie, reading PRP lists, then goes on; a PRP
 * that is not valid or not reachable completes the command instead. */
void nvme_find_pages(struct nvme_command *command, uint64_t length_bytes, nvme_step *then);
/* Data from memory into the buffer; a fault completes the command. */
void nvme_read_data(struct nvme_command *command, nvme_step *then);
/* The operations that bring the buffer to memory, chained; the last one. */
struct dma_op *nvme_plan_data(struct nvme_command *command, bool write);
/* Whether all of the data's pages can be written, as the tables are now. */
bool nvme_pages_reachable(const struct nvme_command *command);
uint8_t *nvme_buffer(struct nvme_command *command, uint64_t bytes);

/* ---- nvme_io.c ---- */
void nvme_io(struct nvme_command *command);
/* Whether the namespace is still what it was when the command was checked. */
bool nvme_still_attached(const struct nvme_command *command);
uint64_t nvme_io_bytes(const struct nvme_command *command);
void nvme_write_cached(struct nvme_command *command);

/* ---- nvme_cache.c, nvme_flush.c ---- */
void nvme_cache_init(struct nvme *nvme);
bool nvme_cache_has(const struct nvme *nvme, uint64_t block, uint32_t blocks);
bool nvme_cache_room(const struct nvme *nvme, uint64_t bytes);
void nvme_cache_put(struct nvme *nvme, struct nvme_namespace *space, uint64_t block, uint32_t blocks, const void *data);
/* The cache no longer has the newest version of these blocks. */
void nvme_cache_forget(struct nvme *nvme, uint64_t block, uint64_t blocks);
void nvme_cache_destage(struct nvme *nvme);
void nvme_cache_power_cut(struct nvme *nvme);
void nvme_cache_free(struct nvme *nvme);
/* Lets who waits for room, for a flush or for a shutdown go on. */
void nvme_cache_settled(struct nvme *nvme);
void nvme_wait_for_room(struct nvme_command *command);
/* Completes the command when what the cache has now of its namespace (all, if it
 * names none) is on the medium. */
void nvme_flush(struct nvme_command *command);
void nvme_shutdown(struct nvme_function *function);
void nvme_cache_waiters_drop(struct nvme_function *function);

/* ---- nvme_admin.c, nvme_identify.c, nvme_features.c ---- */
void nvme_admin(struct nvme_command *command);
typedef enum nvme_status nvme_admin_handler(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                            uint32_t *result);
nvme_admin_handler nvme_identify, nvme_set_features, nvme_get_features, nvme_namespace_management,
    nvme_namespace_attachment, nvme_get_log_page;

/* ---- nvme_namespace.c ---- */
bool nvme_namespaces_init(struct nvme *nvme);
/* The namespace of an NSID that exists, or NULL. */
struct nvme_namespace *nvme_namespace_of(const struct nvme *nvme, uint32_t nsid);
static inline uint64_t nvme_size_of(const struct nvme_namespace *space) {
    return space->starts[space->extent_count];
}
/* Where a block lies on the drive, and how many follow it there. */
uint64_t nvme_map(const struct nvme_namespace *space, uint64_t block, uint64_t *run);

#endif
