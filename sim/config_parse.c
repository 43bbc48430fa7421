/* config_parse.c: libyaml's events become nodes. What YAML allows and a
 * configuration does not (anchors, aliases, tags, several documents, duplicate
 * keys) is reported here, with its place. */
#include "sim/config_internal.h"

#include <string.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    struct config *config;
    const char *file;
    const char *text;
    size_t length;
    struct diagnostics *diagnostics;
    bool failed; /* the rest of the file makes no sense */
};

static uint32_t line_of(const yaml_mark_t *mark) {
    return (uint32_t)mark->line + 1;
}
static uint32_t column_of(const yaml_mark_t *mark) {
    return (uint32_t)mark->column + 1;
}

/* Whether a tab stands at a mark: libyaml says no more than that no token starts so. */
static bool tab_at(const struct reader *reader, const yaml_mark_t *mark) {
    size_t line = 0;
    size_t column = 0;
    for (size_t i = 0; i < reader->length && line <= mark->line; ++i) {
        const unsigned char c = (unsigned char)reader->text[i];
        if (line == mark->line && column == mark->column && (c & 0xC0) != 0x80) {
            return c == '\t';
        }
        line += c == '\n' ? 1 : 0;
        column = c == '\n' ? 0 : column + ((c & 0xC0) != 0x80 ? 1 : 0);
    }
    return false;
}

/* What usually helps, where libyaml's words do not. */
static const char *hint(const char *problem) {
    static const struct {
        const char *problem, *hint;
    } hints[] = {
        {"mapping values are not allowed in this context", "; check the indent, or quote a text that contains ': '"},
        {"did not find expected key", "; check the indent"},
        {"found character that cannot start any token", "; quote a text that begins so"},
    };
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; ++i) {
        if (strcmp(hints[i].problem, problem) == 0) {
            return hints[i].hint;
        }
    }
    return "";
}

static void report_syntax(struct reader *reader) {
    const yaml_parser_t *parser = &reader->parser;
    SIM_ASSERT_MSG(parser->error != YAML_MEMORY_ERROR, "out of memory");
    const yaml_mark_t *mark = &parser->problem_mark;
    const char *problem = parser->problem != NULL ? parser->problem : "this is not YAML";
    if (tab_at(reader, mark)) {
        diagnostics_add(reader->diagnostics, reader->file, line_of(mark), column_of(mark),
                        "syntax: a tab cannot indent; use spaces");
    } else if (parser->context != NULL) {
        diagnostics_add(reader->diagnostics, reader->file, line_of(mark), column_of(mark),
                        "syntax: %s %s that began in line %u, column %u%s", problem, parser->context,
                        (unsigned)line_of(&parser->context_mark), (unsigned)column_of(&parser->context_mark),
                        hint(problem));
    } else {
        diagnostics_add(reader->diagnostics, reader->file, line_of(mark), column_of(mark), "syntax: %s%s", problem,
                        hint(problem));
    }
    reader->failed = true;
}

static bool next_event(struct reader *reader, yaml_event_t *event) {
    if (reader->failed) {
        return false;
    }
    if (yaml_parser_parse(&reader->parser, event) == 0) {
        report_syntax(reader);
        return false;
    }
    return true;
}

static void report(struct reader *reader, const yaml_event_t *event, const char *text) {
    diagnostics_add(reader->diagnostics, reader->file, line_of(&event->start_mark), column_of(&event->start_mark), "%s",
                    text);
}

static void check_decoration(struct reader *reader, const yaml_event_t *event, const yaml_char_t *anchor,
                             const yaml_char_t *tag) {
    if (anchor != NULL) {
        report(reader, event,
               "anchors are not allowed in a configuration; put what is shared into a file and include it");
    }
    if (tag != NULL) {
        report(reader, event, "tags are not allowed in a configuration");
    }
}

static struct config_node *node_of(struct reader *reader, const yaml_event_t *event, enum config_kind kind) {
    return config_new_node(reader->config, kind, reader->file, line_of(&event->start_mark),
                           column_of(&event->start_mark));
}

static struct config_node *read_scalar(struct reader *reader, const yaml_event_t *event) {
    struct config_node *node = node_of(reader, event, CONFIG_SCALAR);
    check_decoration(reader, event, event->data.scalar.anchor, event->data.scalar.tag);
    const char *value = (const char *)event->data.scalar.value;
    node->text = arena_copy_text(&reader->config->arena, value, event->data.scalar.length);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (strlen(value) != event->data.scalar.length) { /* "\0" in double quotes */
        report(reader, event, "a zero character cannot be part of a text");
    }
    return node;
}

static struct config_node *read_node(struct reader *reader, yaml_event_t *event, size_t depth);

static void read_sequence(struct reader *reader, struct config_node *node, size_t depth) {
    yaml_event_t event;
    while (next_event(reader, &event)) {
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return;
        }
        struct config_node *child = read_node(reader, &event, depth + 1);
        if (child != NULL) {
            config_append(reader->config, node, NULL, child);
        }
    }
}

/* A key that may join a mapping, or NULL if it was reported. */
static struct config_node *usable_key(struct reader *reader, const struct config_node *node, struct config_node *key) {
    if (key->kind != CONFIG_SCALAR || key->text[0] == '\0') {
        diagnostics_at(reader->diagnostics, key, "a key must be a word");
        return NULL;
    }
    if (strcmp(key->text, "<<") == 0 && !key->quoted) {
        diagnostics_at(reader->diagnostics, key, "merge keys are not allowed in a configuration; use include");
        return NULL;
    }
    const size_t first = config_find_key(node, key->text);
    if (first != SIZE_MAX) {
        diagnostics_at(reader->diagnostics, key, "duplicate key '%s'; it is in line %u already", key->text,
                       (unsigned)node->key_nodes[first]->line);
        return NULL;
    }
    if (node->count == CONFIG_KEYS_MAX) {
        diagnostics_at(reader->diagnostics, key, "more than %d keys in one mapping", (int)CONFIG_KEYS_MAX);
        reader->failed = true;
        return NULL;
    }
    return key;
}

static void read_mapping(struct reader *reader, struct config_node *node, size_t depth) {
    yaml_event_t event;
    while (next_event(reader, &event)) {
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return;
        }
        struct config_node *key = read_node(reader, &event, depth + 1);
        if (key != NULL) {
            key = usable_key(reader, node, key);
        }
        if (!next_event(reader, &event)) {
            return;
        }
        struct config_node *child = read_node(reader, &event, depth + 1);
        if (key != NULL && child != NULL) {
            config_append(reader->config, node, key, child);
        } else {
            node->incomplete = true;
        }
    }
}

/* The node that begins with `event`, which it consumes. NULL if the file failed, or
 * for an alias, which is reported and left out. */
static struct config_node *read_node(struct reader *reader, yaml_event_t *event, size_t depth) {
    struct config_node *node = NULL;
    if (depth > CONFIG_DEPTH_MAX) {
        diagnostics_add(reader->diagnostics, reader->file, line_of(&event->start_mark), column_of(&event->start_mark),
                        "nested deeper than %d levels", (int)CONFIG_DEPTH_MAX);
        reader->failed = true;
    } else if (event->type == YAML_SCALAR_EVENT) {
        node = read_scalar(reader, event);
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        node = node_of(reader, event, CONFIG_SEQUENCE);
        check_decoration(reader, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        read_sequence(reader, node, depth);
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        node = node_of(reader, event, CONFIG_MAPPING);
        check_decoration(reader, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        read_mapping(reader, node, depth);
    } else {
        report(reader, event,
               "aliases are not allowed in a configuration; put what is shared into a file and include it");
    }
    yaml_event_delete(event);
    return node;
}

/* The events around the one document; `*root` stays NULL if there is none. */
static void read_stream(struct reader *reader, struct config_node **root, size_t depth) {
    yaml_event_t event;
    bool more = true;
    uint32_t documents = 0;
    while (more && next_event(reader, &event)) {
        const yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT && ++documents == 2) {
            report(reader, &event, "a second document begins here; a configuration is one document");
            more = false;
        } else if (type == YAML_STREAM_END_EVENT) {
            more = false;
        } else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
                   type != YAML_DOCUMENT_END_EVENT) {
            *root = read_node(reader, &event, depth + 1);
            continue; /* the event is consumed */
        }
        yaml_event_delete(&event);
    }
}

struct config_node *config_parse_tree(struct config *config, const char *file, const char *text, size_t length,
                                      size_t depth, struct diagnostics *diagnostics) {
    struct reader reader = {.config = config, .file = file, .text = text, .length = length, .diagnostics = diagnostics};
    if (!config_check_text(file, text, length, diagnostics)) {
        return NULL;
    }
    SIM_ASSERT_MSG(yaml_parser_initialize(&reader.parser) != 0, "out of memory");
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, length);
    struct config_node *root = NULL;
    read_stream(&reader, &root, depth);
    yaml_parser_delete(&reader.parser);
    return reader.failed ? NULL : root;
}
