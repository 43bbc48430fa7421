/* op.h: operations of a script: one table row each.
 *
 * To add one: a struct with its parameters, their table, `compile` if it names
 * sockets, buffers or blocks, `run`, in an ops_*.c; and its row in op_table.c. The
 * parser, the interpreter, errors and `describe` then know it. */
#ifndef STILLSUIT_WORKLOADS_OP_H
#define STILLSUIT_WORKLOADS_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel_model/common/system.h"
#include "sim/param.h"
#include "workloads/spans.h"

struct compiler;
struct workload_thread;
struct workload_listener;
struct workload_connection;
struct workload_log;
struct workload_table;
struct workload_replay;
struct block_trace;
struct block_trace_options;

/* How the thread goes on after an operation. */
enum op_result {
    OP_DONE,    /* with the next operation */
    OP_RESTART, /* with the loop's first: there was nothing to do */
    OP_FAILED   /* not at all: the thread's error says why */
};

enum op_flags {
    OP_SETUP_ONLY = 1, /* at the top level of `setup` alone */
    OP_LOOP_ONLY = 2,  /* not in `setup` */
    OP_TAKES_TIME = 4  /* a loop needs at least one such, or it would never end */
};

struct op_type {
    const char *name, *help;
    const char *plain;          /* the parameter meant by a plain value, `wait: s`; NULL: none */
    const struct param *params; /* ends with {0} */
    size_t config_bytes;        /* of the struct that they fill */
    unsigned flags;             /* enum op_flags */
    /* Resolves names into indices in the filled `config`; NULL if there are none.
     * Reports what is wrong and returns false then. `node`: the operation's mapping. */
    bool (*compile)(struct compiler *compiler, const struct config_node *node, void *config);
    /* Whether a system has what it needs; NULL: each has. */
    bool (*offered)(const struct system_ops *ops);
    /* From within the thread; takes simulated time if the operation does. */
    enum op_result (*run)(struct workload_thread *thread, const void *config);
};

/* The operation of that name, or NULL; and all of them: NULL past the end. */
const struct op_type *op_type_find(const char *name);
const struct op_type *op_type_at(size_t index);
/* Their names, NULL-terminated. */
const char *const *op_type_names(void);

/* A compiled operation, and operations in order. */
struct op {
    const struct op_type *type;
    const void *config;
};
struct block {
    const struct op *ops;
    size_t count;
};

/* ---- for `compile` ---- */

/* Compiles a list of operations: the value of a parameter such as `then`. NULL is
 * an empty block. */
bool compile_block(struct compiler *compiler, const struct config_node *list, struct block *block);
/* The same, as if its operations stood where the operation itself does. */
bool compile_in_place(struct compiler *compiler, const struct config_node *list, struct block *block);
/* The same of the list under `key` of an operation, which must be there. */
bool compile_required_block(struct compiler *compiler, const struct config_node *node, const char *key,
                            struct block *block);
/* Gives a socket its index. False with a report if the name is taken. */
bool compile_declare_socket(struct compiler *compiler, const struct config_node *at, const char *name, uint16_t port,
                            bool per_thread, uint32_t *index);
/* The same of a TCP socket that listens. */
bool compile_declare_listener(struct compiler *compiler, const struct config_node *at, const char *name, uint16_t port,
                              bool per_thread, uint32_t *index);
bool compile_use_listener(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index);
/* Either a UDP socket or a listener, declared before. */
bool compile_use_any(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index,
                     bool *listener);
/* The index of a socket declared before. False with a report if there is none. */
bool compile_use_socket(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index);
/* The index of a buffer, which comes into being by being named. One that nobody
 * fills is reported at the end. */
bool compile_buffer(struct compiler *compiler, const struct config_node *at, const char *name, bool fills,
                    uint32_t *index);
/* Gives a log its index; the index of one declared before. */
bool compile_declare_log(struct compiler *compiler, const struct config_node *at, const char *name,
                         uint64_t capacity_bytes, uint32_t *index);
bool compile_use_log(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index);
/* Gives a table its index; the index of one declared before; what is known of it. */
struct script_table {
    const char *name;
    uint64_t keys, value_bytes;
    double skew; /* of a Zipf distribution; 0: uniform */
};
bool compile_declare_table(struct compiler *compiler, const struct config_node *at, const struct script_table *table,
                           uint32_t *index);
bool compile_use_table(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index);
const struct script_table *compile_table(const struct compiler *compiler, uint32_t index);
/* Gives a file its index; the index of one declared before; what is known of it. */
bool compile_declare_file(struct compiler *compiler, const struct config_node *at, const char *name,
                          uint64_t size_bytes, bool direct, uint32_t *index);
bool compile_use_file(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index);
struct script_file {
    const char *name;
    uint64_t size_bytes;
    bool direct;
};
const struct script_file *compile_file(const struct compiler *compiler, uint32_t index);
/* Loads a trace, which the script frees, and gives it an index. NULL with a report. */
const struct block_trace *compile_trace(struct compiler *compiler, const char *path,
                                        const struct block_trace_options *options, uint32_t *index);
/* The size of every buffer. */
uint64_t compile_buffer_bytes(const struct compiler *compiler);
/* The index of a span (spans.h), which comes into being by being named. False with a
 * report if there are too many, or if a component of the ledger has that name. */
bool compile_span(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index);
/* Reports at a node, prefixed with its path. Returns false. */
bool compile_error(struct compiler *compiler, const struct config_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- for `run` ---- */

enum workload_counter {
    WORKLOAD_LOOPS, /* begun */
    WORKLOAD_WAITS,
    WORKLOAD_RECEIVED,
    WORKLOAD_EMPTY_RECEIVES, /* there was nothing there */
    WORKLOAD_SENT,
    WORKLOAD_SEND_FAILURES, /* the system refused; the message is lost */
    WORKLOAD_COMPUTES,
    WORKLOAD_UNANSWERED, /* messages whose buffer was filled again before they were sent */
    /* Of scripts that use `misbehave`: tries; refused at once; granted, where the answer
     * alone decides. */
    WORKLOAD_MISBEHAVIOURS,
    WORKLOAD_MISBEHAVIOURS_REFUSED,
    WORKLOAD_MISBEHAVIOURS_GRANTED,
    /* Of scripts that use logs. */
    WORKLOAD_APPENDS,
    WORKLOAD_DURABLE, /* of them, acknowledged */
    WORKLOAD_POPS,
    WORKLOAD_TRIMS,
    WORKLOAD_FILE_WRITES, /* of scripts that use files */
    WORKLOAD_FILE_READS,
    WORKLOAD_FILE_SYNCS,
    WORKLOAD_FILE_BYTES,    /* read and written */
    WORKLOAD_LOOKUPS,       /* of scripts that use tables */
    WORKLOAD_REPLAYED,      /* of scripts that replay a trace: requests begun */
    WORKLOAD_REPLAYED_LATE, /* of them, after their time */
    WORKLOAD_COUNTERS
};

/* A file that a thread has open. */
struct workload_file {
    struct system_file *handle;
    uint64_t size_bytes; /* as declared */
    uint64_t next;       /* offset behind the last access at "next" */
};

/* A thread that runs a script. */
struct workload_thread {
    struct interpreter *interpreter;
    unsigned index;
    struct system_thread *thread;
    const struct system_ops *ops;
    const struct sim_clock *clock;        /* of the core */
    struct system_socket **sockets;       /* by index */
    struct system_buffer *buffers;        /* by index */
    struct workload_listener **listeners; /* by index of the socket; NULL: it is none */
    struct workload_log *logs;            /* by index */
    struct workload_connection *serving;  /* whose message `serve` runs its block for; NULL: none */
    struct workload_file *files;          /* by index */
    struct workload_table *tables;        /* by index */
    struct workload_replay *replays;      /* by index; the script's, which its threads share */
    struct request *loop_request;         /* of this round of the loop, where each is one; NULL: none */
    struct system_buffer *current;        /* received last: whose request the thread works for; NULL: none */
    struct random_stream *random;         /* its own */
    struct spans spans;                   /* of the message that was taken last */
    uint64_t counters[WORKLOAD_COUNTERS];
    struct error error;
};

/* The request that the thread works for: the message's that it received last, or the
 * loop's; NULL: none. */
static inline struct request *thread_request(const struct workload_thread *thread) {
    return thread->current != NULL && thread->current->request != NULL ? thread->current->request
                                                                       : thread->loop_request;
}

/* Runs a block to its end, or until an operation does not end in OP_DONE. */
enum op_result run_block(struct workload_thread *thread, const struct block *block);
/* Where the rounds of the loop are requests and an operation says when each begins
 * (`replay`): this one did at `when`, not after measure_now(). */
void begin_round(struct workload_thread *thread, sim_time when);
/* The thread's own time: what it has charged has been executed. */
sim_time measure_now(struct workload_thread *thread);
/* What software has had of a request until now, with the interval that is still open. */
sim_time measure_spent(const struct request *request, sim_time now);
/* Notes why the thread cannot go on; returns OP_FAILED. */
enum op_result run_failed(struct workload_thread *thread, enum error_code code, const char *what);

extern const struct op_type op_socket, op_wait, op_receive, op_while_receive, op_send; /* ops_net.c */
extern const struct op_type op_listen, op_serve;                                       /* ops_stream.c */
extern const struct op_type op_compute;                                                /* ops_compute.c */
extern const struct op_type op_branch, op_choose, op_repeat;                           /* ops_control.c */
extern const struct op_type op_measure;                                                /* ops_measure.c */
extern const struct op_type op_log, op_append, op_pop, op_trim;                        /* ops_log.c */
extern const struct op_type op_file, op_write, op_read, op_sync;                       /* ops_file.c */
extern const struct op_type op_table, op_lookup, op_fetch, op_store;                   /* ops_lookup.c */
extern const struct op_type op_replay;                                                 /* ops_replay.c */
extern const struct op_type op_misbehave;                                              /* ops_misbehave.c */

#endif
