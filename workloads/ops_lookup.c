/* ops_lookup.c: operations on tables of keys and values, which lie in simulated memory:
 * what a look-up costs beside its code is what the caches make of its lines. */
#include "sim/random.h"
#include "workloads/op.h"
#include "workloads/tables.h"

enum { BUCKET_BYTES = 8, ENTRY_BYTES = 64 };

/* An empty name was reported already, or is missing. */
static bool is_given(const char *name) {
    return name != NULL && name[0] != '\0';
}

static bool has_contexts(const struct system_ops *ops) {
    return ops->thread_context != NULL;
}

/* ---- table ---- */

enum popularity { UNIFORM, ZIPF };

struct table_config {
    const char *name;
    uint64_t keys, value_bytes;
    int popularity; /* enum popularity */
    double skew;
    uint32_t table;
};

static const char *const popularities[] = {[UNIFORM] = "uniform", [ZIPF] = "zipf", NULL};

static const struct param table_params[] = {
    {"name", PARAM_TEXT, offsetof(struct table_config, name), NULL, NULL, NULL, NULL, "what the script calls it"},
    {"keys", PARAM_INTEGER, offsetof(struct table_config, keys), NULL, "1", "16777216", NULL, "that it holds"},
    {"bytes", PARAM_BYTES, offsetof(struct table_config, value_bytes), NULL, "1 B", "1 MiB", NULL, "of each value"},
    {"popularity", PARAM_CHOICE, offsetof(struct table_config, popularity), "uniform", NULL, NULL, popularities,
     "of keys: all the same, or the k-th with a share in proportion to k to the power of -skew"},
    {"skew", PARAM_REAL, offsetof(struct table_config, skew), "0.99", "0.01", "10", NULL,
     "exponent of the Zipf distribution; of no effect where the popularity is uniform"},
    {0}};

static uint64_t round_up(uint64_t bytes, uint64_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

/* What it takes of memory. */
static uint64_t table_bytes(uint64_t keys, uint64_t value_bytes) {
    return round_up(keys * BUCKET_BYTES, MEMORY_LINE_BYTES) +
           keys * (ENTRY_BYTES + round_up(value_bytes, MEMORY_LINE_BYTES));
}

static bool table_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct table_config *own = config;
    if (!is_given(own->name) || own->keys == 0) {
        return false; /* reported */
    }
    const struct script_table table = {own->name, own->keys, own->value_bytes, own->popularity == ZIPF ? own->skew : 0};
    const bool declared = compile_declare_table(compiler, config_get(node, "name"), &table, &own->table);
    if (table_bytes(own->keys, own->value_bytes) > UINT32_MAX) {
        return compile_error(compiler, node, "%llu keys with %llu B each are more than 4 GiB",
                             (unsigned long long)own->keys, (unsigned long long)own->value_bytes);
    }
    return declared;
}

static enum op_result table_run(struct workload_thread *thread, const void *config) {
    const struct table_config *own = config;
    struct workload_table *table = &thread->tables[own->table];
    struct system_buffer memory;
    const uint32_t bytes = (uint32_t)table_bytes(own->keys, own->value_bytes);
    const enum error_code code = thread->ops->buffer_create(thread->thread, bytes, &memory);
    if (code != OK) {
        return run_failed(thread, code, "making a table");
    }
    table->buckets = memory.physical;
    table->entries = memory.physical + round_up(own->keys * BUCKET_BYTES, MEMORY_LINE_BYTES);
    table->values = table->entries + own->keys * ENTRY_BYTES;
    if (own->popularity == ZIPF && table->zipf == NULL) {
        table->zipf = random_zipf_create(own->keys, own->skew);
    }
    return OP_DONE;
}

const struct op_type op_table = {.name = "table",
                                 .help = "makes a hash table of keys and values, which each thread has for itself",
                                 .params = table_params,
                                 .config_bytes = sizeof(struct table_config),
                                 .flags = OP_SETUP_ONLY,
                                 .compile = table_compile,
                                 .offered = has_contexts,
                                 .run = table_run};

void tables_free(struct workload_thread *thread, size_t tables) {
    for (size_t i = 0; thread->tables != NULL && i < tables; ++i) {
        random_zipf_free(thread->tables[i].zipf);
    }
}

/* ---- lookup ---- */

struct lookup_config {
    const char *in;
    bool changes;
    uint32_t table;
    uint64_t keys;
};

static const struct param lookup_params[] = {
    {"in", PARAM_TEXT, offsetof(struct lookup_config, in), NULL, NULL, NULL, NULL, "the table"},
    {"changes", PARAM_BOOL, offsetof(struct lookup_config, changes), "false", NULL, NULL, NULL,
     "the entry is written, too: it gets another value"},
    {0}};

static bool lookup_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct lookup_config *own = config;
    if (!is_given(own->in) || !compile_use_table(compiler, config_get(node, "in"), own->in, &own->table)) {
        return false;
    }
    own->keys = compile_table(compiler, own->table)->keys;
    return true;
}

/* Where the key of a rank lies: as a hash does, it scatters what is popular. The factor
 * is a prime beyond any number of keys, so that no two share a place. */
static uint64_t scatter(uint64_t rank, uint64_t keys) {
    return rank * UINT64_C(2654435761) % keys;
}

/* The application's work, for the message that it received last. */
static struct context *work(struct workload_thread *thread) {
    struct context *context = thread->ops->thread_context(thread->thread);
    cpu_work_for(context, system_components.app, thread_request(thread));
    return context;
}

static enum op_result lookup_run(struct workload_thread *thread, const void *config) {
    const struct lookup_config *own = config;
    struct workload_table *table = &thread->tables[own->table];
    const uint64_t rank =
        table->zipf != NULL ? random_zipf_draw(table->zipf, thread->random) : random_below(thread->random, own->keys);
    struct context *context = work(thread);
    table->place = scatter(rank, own->keys);
    thread->counters[WORKLOAD_LOOKUPS] += 1;
    cpu_touch(context, table->buckets + table->place * BUCKET_BYTES, BUCKET_BYTES, false);
    cpu_touch(context, table->entries + table->place * ENTRY_BYTES, ENTRY_BYTES, own->changes);
    return OP_DONE;
}

const struct op_type op_lookup = {.name = "lookup",
                                  .help = "looks for a key, drawn at random: touches its bucket and its entry",
                                  .plain = "in",
                                  .params = lookup_params,
                                  .config_bytes = sizeof(struct lookup_config),
                                  .flags = OP_LOOP_ONLY,
                                  .compile = lookup_compile,
                                  .offered = has_contexts,
                                  .run = lookup_run};

/* ---- fetch, store ---- */

struct value_config {
    const char *table_name, *buffer_name;
    uint64_t at, value_bytes;
    uint32_t table, buffer;
};

static bool value_compile(struct compiler *compiler, const struct config_node *node, struct value_config *own,
                          bool fetches) {
    const char *table_key = fetches ? "from" : "to", *buffer_key = fetches ? "into" : "from";
    const bool buffer = is_given(own->buffer_name) &&
                        compile_buffer(compiler, config_get(node, buffer_key), own->buffer_name, fetches, &own->buffer);
    if (!is_given(own->table_name) ||
        !compile_use_table(compiler, config_get(node, table_key), own->table_name, &own->table)) {
        return false;
    }
    own->value_bytes = compile_table(compiler, own->table)->value_bytes;
    if (own->at + own->value_bytes > compile_buffer_bytes(compiler)) {
        return compile_error(compiler, node, "a value of %llu B at %llu B does not fit into a buffer of %llu B",
                             (unsigned long long)own->value_bytes, (unsigned long long)own->at,
                             (unsigned long long)compile_buffer_bytes(compiler));
    }
    return buffer;
}

static uint64_t value_of(const struct workload_thread *thread, const struct value_config *own) {
    const struct workload_table *table = &thread->tables[own->table];
    return table->values + table->place * round_up(own->value_bytes, MEMORY_LINE_BYTES);
}

static const struct param fetch_params[] = {
    {"from", PARAM_TEXT, offsetof(struct value_config, table_name), NULL, NULL, NULL, NULL, "the table"},
    {"into", PARAM_TEXT, offsetof(struct value_config, buffer_name), NULL, NULL, NULL, NULL, "the buffer"},
    {"at", PARAM_BYTES, offsetof(struct value_config, at), "0 B", NULL, "1 MiB", NULL, "where in the buffer"},
    {0}};

static bool fetch_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    return value_compile(compiler, node, config, true);
}

static enum op_result fetch_run(struct workload_thread *thread, const void *config) {
    const struct value_config *own = config;
    cpu_copy(work(thread), thread->buffers[own->buffer].physical + own->at, value_of(thread, own),
             (uint32_t)own->value_bytes);
    return OP_DONE;
}

const struct op_type op_fetch = {.name = "fetch",
                                 .help = "copies the value of the key that was looked up last into a buffer",
                                 .params = fetch_params,
                                 .config_bytes = sizeof(struct value_config),
                                 .flags = OP_LOOP_ONLY,
                                 .compile = fetch_compile,
                                 .offered = has_contexts,
                                 .run = fetch_run};

static const struct param store_params[] = {
    {"to", PARAM_TEXT, offsetof(struct value_config, table_name), NULL, NULL, NULL, NULL, "the table"},
    {"from", PARAM_TEXT, offsetof(struct value_config, buffer_name), NULL, NULL, NULL, NULL, "the buffer"},
    {"at", PARAM_BYTES, offsetof(struct value_config, at), "0 B", NULL, "1 MiB", NULL, "where in the buffer"},
    {0}};

static bool store_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    return value_compile(compiler, node, config, false);
}

static enum op_result store_run(struct workload_thread *thread, const void *config) {
    const struct value_config *own = config;
    cpu_copy(work(thread), value_of(thread, own), thread->buffers[own->buffer].physical + own->at,
             (uint32_t)own->value_bytes);
    return OP_DONE;
}

const struct op_type op_store = {.name = "store",
                                 .help = "copies a value from a buffer to the key that was looked up last",
                                 .params = store_params,
                                 .config_bytes = sizeof(struct value_config),
                                 .flags = OP_LOOP_ONLY,
                                 .compile = store_compile,
                                 .offered = has_contexts,
                                 .run = store_run};
