/* script_compile.c: operations from their YAML to arrays, every name resolved. */
#include <stdarg.h>
#include <string.h>

#include "workloads/block_trace.h"
#include "workloads/script_internal.h"

enum { PORT_MAX = 65535 };

struct server {
    uint64_t threads, buffer_bytes;
    const struct config_node *setup, *loop;
};

const struct param script_server_params[] = {
    {"threads", PARAM_INTEGER, offsetof(struct server, threads), "1", "1", "1024", NULL,
     "threads of the process, each pinned to a core of its own, counted from the system's first"},
    {"buffer", PARAM_BYTES, offsetof(struct server, buffer_bytes), "1472 B", "1 B", "1 MiB", NULL,
     "size of each buffer that the script names"},
    {"setup", PARAM_NODE, offsetof(struct server, setup), "", NULL, NULL, NULL,
     "operations that each thread runs once, first"},
    {"loop", PARAM_NODE, offsetof(struct server, loop), "", NULL, NULL, NULL,
     "operations that each thread then runs over and over; required"},
    {0}};

struct buffer_name {
    const char *name;
    const struct config_node *used_at; /* first use of its contents; NULL: none */
    bool filled;
};

struct compiler {
    struct script *script;
    struct diagnostics *diagnostics;
    struct buffer_name buffers[SCRIPT_NAMES_MAX];
    unsigned depth; /* of blocks; 1: setup or loop itself */
    bool in_setup, takes_time;
};

bool compile_error(struct compiler *compiler, const struct config_node *at, const char *format, ...) {
    char name[SCRIPT_NAME_BYTES];
    char text[SCRIPT_NAME_BYTES];
    va_list arguments;
    config_name(at, name, sizeof name);
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    diagnostics_at(compiler->diagnostics, at, "%s%s%s", name, name[0] == '\0' ? "" : ": ", text);
    return false;
}

/* ---- names ---- */

static bool declare(struct compiler *compiler, const struct config_node *at, const struct script_socket *socket,
                    uint32_t *index) {
    struct script *script = compiler->script;
    for (size_t i = 0; i < script->socket_count; ++i) {
        if (strcmp(script->sockets[i].name, socket->name) == 0) {
            return compile_error(compiler, at, "a socket is called '%s' already", socket->name);
        }
    }
    if (script->socket_count == SCRIPT_NAMES_MAX) {
        return compile_error(compiler, at, "more than %d sockets", (int)SCRIPT_NAMES_MAX);
    }
    *index = (uint32_t)script->socket_count;
    script->sockets[script->socket_count++] = *socket;
    if (socket->per_thread && (uint64_t)socket->port + script->threads - 1 > PORT_MAX) {
        return compile_error(compiler, at, "port %u and one for each of %llu threads go beyond %d",
                             (unsigned)socket->port, (unsigned long long)script->threads, (int)PORT_MAX);
    }
    return true;
}

/* A name that is none of those declared; the nearest of them is suggested. */
static bool unknown_name(struct compiler *compiler, const struct config_node *at, const char *what, const char *name,
                         const char *const *names) {
    const char *nearest = config_nearest(name, names);
    return compile_error(compiler, at, "no %s is called '%s'%s%s%s", what, name,
                         nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
                         nearest == NULL ? "" : "'?");
}

bool compile_declare_socket(struct compiler *compiler, const struct config_node *at, const char *name, uint16_t port,
                            bool per_thread, uint32_t *index) {
    return declare(compiler, at, &(struct script_socket){name, port, per_thread, false}, index);
}

bool compile_declare_listener(struct compiler *compiler, const struct config_node *at, const char *name, uint16_t port,
                              bool per_thread, uint32_t *index) {
    return declare(compiler, at, &(struct script_socket){name, port, per_thread, true}, index);
}

bool compile_use_any(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index,
                     bool *listener) {
    const struct script *script = compiler->script;
    const char *names[SCRIPT_NAMES_MAX + 1] = {NULL};
    for (size_t i = 0; i < script->socket_count; ++i) {
        if (strcmp(script->sockets[i].name, name) == 0) {
            *index = (uint32_t)i;
            *listener = script->sockets[i].listens;
            return true;
        }
        names[i] = script->sockets[i].name;
    }
    return unknown_name(compiler, at, "socket", name, names);
}

bool compile_declare_file(struct compiler *compiler, const struct config_node *at, const char *name,
                          uint64_t size_bytes, bool direct, uint32_t *index) {
    struct script *script = compiler->script;
    for (size_t i = 0; i < script->file_count; ++i) {
        if (strcmp(script->files[i].name, name) == 0) {
            return compile_error(compiler, at, "a file is called '%s' already", name);
        }
    }
    if (script->file_count == SCRIPT_NAMES_MAX) {
        return compile_error(compiler, at, "more than %d files", (int)SCRIPT_NAMES_MAX);
    }
    *index = (uint32_t)script->file_count;
    script->files[script->file_count++] = (struct script_file){name, size_bytes, direct};
    return true;
}

bool compile_use_file(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index) {
    const struct script *script = compiler->script;
    const char *names[SCRIPT_NAMES_MAX + 1] = {NULL};
    for (size_t i = 0; i < script->file_count; ++i) {
        if (strcmp(script->files[i].name, name) == 0) {
            *index = (uint32_t)i;
            return true;
        }
        names[i] = script->files[i].name;
    }
    return unknown_name(compiler, at, "file", name, names);
}

bool compile_declare_table(struct compiler *compiler, const struct config_node *at, const struct script_table *table,
                           uint32_t *index) {
    struct script *script = compiler->script;
    for (size_t i = 0; i < script->table_count; ++i) {
        if (strcmp(script->tables[i].name, table->name) == 0) {
            return compile_error(compiler, at, "a table is called '%s' already", table->name);
        }
    }
    if (script->table_count == SCRIPT_NAMES_MAX) {
        return compile_error(compiler, at, "more than %d tables", (int)SCRIPT_NAMES_MAX);
    }
    *index = (uint32_t)script->table_count;
    script->tables[script->table_count++] = *table;
    return true;
}

bool compile_use_table(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index) {
    const struct script *script = compiler->script;
    const char *names[SCRIPT_NAMES_MAX + 1] = {NULL};
    for (size_t i = 0; i < script->table_count; ++i) {
        if (strcmp(script->tables[i].name, name) == 0) {
            *index = (uint32_t)i;
            return true;
        }
        names[i] = script->tables[i].name;
    }
    return unknown_name(compiler, at, "table", name, names);
}

const struct script_table *compile_table(const struct compiler *compiler, uint32_t index) {
    return &compiler->script->tables[index];
}

const struct block_trace *compile_trace(struct compiler *compiler, const char *path,
                                        const struct block_trace_options *options, uint32_t *index) {
    struct script *script = compiler->script;
    SIM_ASSERT(script->trace_count < SCRIPT_NAMES_MAX);
    *index = (uint32_t)script->trace_count;
    struct block_trace *trace = block_trace_load(path, options, compiler->diagnostics);
    if (trace != NULL) {
        script->traces[script->trace_count++] = trace;
    }
    return trace;
}

const struct script_file *compile_file(const struct compiler *compiler, uint32_t index) {
    return &compiler->script->files[index];
}

uint64_t compile_buffer_bytes(const struct compiler *compiler) {
    return compiler->script->buffer_bytes;
}

bool compile_use_socket(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index) {
    bool listener = false;
    if (!compile_use_any(compiler, at, name, index, &listener)) {
        return false;
    }
    return !listener || compile_error(compiler, at, "'%s' listens for connections: 'serve' takes its messages", name);
}

bool compile_use_listener(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index) {
    bool listener = false;
    if (!compile_use_any(compiler, at, name, index, &listener)) {
        return false;
    }
    return listener ||
           compile_error(compiler, at, "'%s' does not listen for connections ('listen' makes one that does)", name);
}

bool compile_declare_log(struct compiler *compiler, const struct config_node *at, const char *name,
                         uint64_t capacity_bytes, uint32_t *index) {
    struct script *script = compiler->script;
    for (size_t i = 0; i < script->log_count; ++i) {
        if (strcmp(script->logs[i], name) == 0) {
            return compile_error(compiler, at, "a log is called '%s' already", name);
        }
    }
    if (script->log_count == SCRIPT_NAMES_MAX) {
        return compile_error(compiler, at, "more than %d logs", (int)SCRIPT_NAMES_MAX);
    }
    *index = (uint32_t)script->log_count;
    script->logs[script->log_count++] = name;
    script->log_bytes += capacity_bytes;
    return true;
}

bool compile_use_log(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index) {
    const struct script *script = compiler->script;
    const char *names[SCRIPT_NAMES_MAX + 1] = {NULL};
    for (size_t i = 0; i < script->log_count; ++i) {
        if (strcmp(script->logs[i], name) == 0) {
            *index = (uint32_t)i;
            return true;
        }
        names[i] = script->logs[i];
    }
    const char *nearest = config_nearest(name, names);
    return compile_error(compiler, at, "no log is called '%s'%s%s%s", name, nearest == NULL ? "" : "; did you mean '",
                         nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
}

bool compile_buffer(struct compiler *compiler, const struct config_node *at, const char *name, bool fills,
                    uint32_t *index) {
    struct script *script = compiler->script;
    size_t i = 0;
    while (i < script->buffer_count && strcmp(compiler->buffers[i].name, name) != 0) {
        i += 1;
    }
    if (i == SCRIPT_NAMES_MAX) {
        return compile_error(compiler, at, "more than %d buffers", (int)SCRIPT_NAMES_MAX);
    }
    if (i == script->buffer_count) {
        compiler->buffers[i].name = name;
        script->buffer_count += 1;
    }
    struct buffer_name *buffer = &compiler->buffers[i];
    buffer->filled = buffer->filled || fills;
    buffer->used_at = !fills && buffer->used_at == NULL ? at : buffer->used_at;
    *index = (uint32_t)i;
    return true;
}

bool compile_span(struct compiler *compiler, const struct config_node *at, const char *name, uint32_t *index) {
    struct script *script = compiler->script;
    size_t i = 0;
    while (i < script->span_count && strcmp(script->spans[i], name) != 0) {
        i += 1;
    }
    *index = (uint32_t)i;
    if (i < script->span_count) {
        return true;
    }
    if (ledger_find(name) != 0 || strcmp(name, "rows") == 0 || strcmp(name, "end_to_end") == 0) {
        return compile_error(compiler, at, "'%s' is a row of the breakdown already", name);
    }
    if (i == SPANS_MAX) {
        return compile_error(compiler, at, "more than %d names to measure as", (int)SPANS_MAX);
    }
    script->spans[script->span_count++] = name;
    return true;
}

static void check_buffers(struct compiler *compiler) {
    const char *filled[SCRIPT_NAMES_MAX + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < compiler->script->buffer_count; ++i) {
        if (compiler->buffers[i].filled) {
            filled[count++] = compiler->buffers[i].name;
        }
    }
    for (size_t i = 0; i < compiler->script->buffer_count; ++i) {
        const struct buffer_name *buffer = &compiler->buffers[i];
        if (!buffer->filled) {
            const char *nearest = config_nearest(buffer->name, filled);
            (void)compile_error(compiler, buffer->used_at, "nothing fills a buffer called '%s'%s%s%s", buffer->name,
                                nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
                                nearest == NULL ? "" : "'?");
        }
    }
}

/* ---- operations ---- */

static bool allowed_here(struct compiler *compiler, const struct op_type *type, const struct config_node *at) {
    if ((type->flags & OP_LOOP_ONLY) != 0 && compiler->in_setup) {
        return compile_error(compiler, at, "'%s' belongs into the loop, not into the setup", type->name);
    }
    if ((type->flags & OP_SETUP_ONLY) != 0 && (!compiler->in_setup || compiler->depth != 1)) {
        return compile_error(compiler, at, "'%s' belongs into the setup, outside of blocks", type->name);
    }
    return true;
}

static const struct op_type *type_of(struct compiler *compiler, const struct config_node *item) {
    char name[SCRIPT_NAME_BYTES];
    if (item->kind != CONFIG_MAPPING || item->count != 1) {
        if (!item->incomplete) {
            (void)compile_error(compiler, item, "an operation is a mapping of one key, such as {wait: s}");
        }
        return NULL;
    }
    const struct op_type *type = op_type_find(item->keys[0]);
    if (type == NULL) {
        const char *nearest = config_nearest(item->keys[0], op_type_names());
        config_name(item, name, sizeof name);
        diagnostics_at(compiler->diagnostics, item->key_nodes[0], "%s: unknown operation '%s'%s%s%s", name,
                       item->keys[0], nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
                       nearest == NULL ? "" : "'?");
    }
    return type;
}

static void note_use(struct compiler *compiler, const struct op_type *type) {
    size_t row = 0;
    while (op_type_at(row) != type) {
        ++row;
    }
    SIM_ASSERT(row < 64);
    compiler->script->operations |= UINT64_C(1) << row;
}

static bool compile_op(struct compiler *compiler, const struct config_node *item, struct op *op) {
    const struct op_type *type = type_of(compiler, item);
    if (type == NULL) {
        return false;
    }
    const struct config_node *node = item->children[0];
    if (node->kind == CONFIG_SCALAR && type->plain != NULL) {
        node = script_wrap(&compiler->script->arena, type->plain, node);
    }
    note_use(compiler, type);
    const bool allowed = allowed_here(compiler, type, item->children[0]);
    void *config = arena_allocate(&compiler->script->arena.memory, type->config_bytes);
    compiler->takes_time = compiler->takes_time || (type->flags & OP_TAKES_TIME) != 0;
    /* Names are resolved even after an error, or those who use them would be blamed. */
    const bool bound = config_bind(node, type->params, config, compiler->diagnostics);
    const bool compiled =
        node->kind == CONFIG_MAPPING && (type->compile == NULL || type->compile(compiler, node, config));
    *op = (struct op){type, config};
    return allowed && bound && compiled;
}

bool compile_block(struct compiler *compiler, const struct config_node *list, struct block *block) {
    bool good = true;
    *block = (struct block){0};
    if (list == NULL) {
        return true;
    }
    if (list->kind != CONFIG_SEQUENCE) {
        return compile_error(compiler, list, "a list of operations is due");
    }
    struct op *ops = arena_allocate(&compiler->script->arena.memory, (list->count + 1) * sizeof *ops);
    compiler->depth += 1;
    for (size_t i = 0; i < list->count; ++i) {
        good = compile_op(compiler, list->children[i], &ops[i]) && good;
    }
    compiler->depth -= 1;
    *block = (struct block){ops, list->count};
    return good;
}

bool compile_in_place(struct compiler *compiler, const struct config_node *list, struct block *block) {
    compiler->depth -= 1;
    const bool good = compile_block(compiler, list, block);
    compiler->depth += 1;
    return good;
}

bool compile_required_block(struct compiler *compiler, const struct config_node *node, const char *key,
                            struct block *block) {
    const struct config_node *list = config_get(node, key);
    if (list == NULL && !node->incomplete) {
        *block = (struct block){0};
        return compile_error(compiler, node, "'%s' is required: a list of operations", key);
    }
    return compile_block(compiler, list, block);
}

void script_compile_server(struct script *script, const struct config_node *server, struct diagnostics *diagnostics) {
    struct server bound = {0};
    struct compiler compiler = {.script = script, .diagnostics = diagnostics};
    (void)config_bind(server, script_server_params, &bound, diagnostics);
    script->threads = bound.threads;
    script->buffer_bytes = bound.buffer_bytes;
    compiler.in_setup = true;
    const bool setup = compile_block(&compiler, bound.setup, &script->setup);
    compiler.in_setup = false;
    compiler.takes_time = false;
    const bool loop = compile_required_block(&compiler, server, "loop", &script->loop);
    if (setup && loop) {
        check_buffers(&compiler);
    }
    if (loop && bound.loop != NULL && !compiler.takes_time) {
        (void)compile_error(&compiler, bound.loop, "nothing in the loop takes time: it would never end");
    }
}
