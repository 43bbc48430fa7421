/* config_write.c: writes a tree as YAML that loads again to the same tree. */
#include "sim/config_internal.h"

#include <string.h>

/* Whether a text means itself when written without quotes, at any place of a block.
 * Stricter than YAML: what looks odd is quoted. */
static bool plain(const char *text) {
    const size_t length = strlen(text);
    if (length == 0) {
        return true;
    }
    if (strchr("-?:,[]{}#&*!|>'\"%@` ", text[0]) != NULL && !(text[0] == '-' && length > 1 && text[1] > ' ')) {
        return false;
    }
    for (size_t i = 0; i < length; ++i) {
        const unsigned char c = (unsigned char)text[i];
        const bool ends = c == ':' && (text[i + 1] == ' ' || text[i + 1] == '\0');
        const bool comment = c == ' ' && (text[i + 1] == '#' || text[i + 1] == '\0');
        if (c < 0x20 || c == 0x7F || ends || comment) {
            return false;
        }
    }
    /* Line breaks of Unicode would be folded; "---" and "..." end a document. */
    return strstr(text, "\xC2\x85") == NULL && strstr(text, "\xE2\x80\xA8") == NULL &&
           strstr(text, "\xE2\x80\xA9") == NULL && strstr(text, "\xEF\xBB\xBF") == NULL &&
           strncmp(text, "---", 3) != 0 && strncmp(text, "...", 3) != 0;
}

static void write_quoted(const char *text, FILE *out) {
    (void)fputc('"', out);
    for (const char *at = text; *at != '\0'; ++at) {
        const unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\') {
            (void)fprintf(out, "\\%c", c);
        } else if (c == '\n') {
            (void)fputs("\\n", out);
        } else if (c < 0x20 || c == 0x7F) {
            (void)fprintf(out, "\\x%02X", c);
        } else if (c == 0xC2 && (unsigned char)at[1] < 0xA0) { /* C1: next line among them */
            (void)fprintf(out, "\\x%02X", (unsigned char)at[1]);
            at += 1;
        } else if (strncmp(at, "\xE2\x80\xA8", 3) == 0 || strncmp(at, "\xE2\x80\xA9", 3) == 0) {
            (void)fputs((unsigned char)at[2] == 0xA8 ? "\\L" : "\\P", out);
            at += 2;
        } else if (strncmp(at, "\xEF\xBB\xBF", 3) == 0) {
            (void)fputs("\\uFEFF", out);
            at += 2;
        } else {
            (void)fputc(c, out);
        }
    }
    (void)fputc('"', out);
}

static void write_text(const char *text, bool quoted, FILE *out) {
    if (quoted || !plain(text)) {
        write_quoted(text, out);
    } else {
        (void)fputs(text, out);
    }
}

static void write_node(const struct config_node *node, int indent, bool after_dash, FILE *out);

static void write_key(const struct config_node *key, FILE *out) {
    /* YAML wants a key that is not quoted within 1024 characters, and ours is on one line. */
    if (strlen(key->text) > 128) {
        (void)fputs("? ", out);
        write_text(key->text, key->quoted, out);
        (void)fputs("\n", out);
        return;
    }
    write_text(key->text, key->quoted, out);
}

/* What follows "key:" or "-" on its line, and the lines below. */
static void write_value(const struct config_node *node, int indent, bool after_dash, FILE *out) {
    if (node->kind == CONFIG_SCALAR) {
        (void)fputs(node->text[0] == '\0' && !node->quoted ? "" : " ", out);
        write_text(node->text, node->quoted, out);
        (void)fputc('\n', out);
    } else if (node->count == 0) {
        (void)fputs(node->kind == CONFIG_MAPPING ? " {}\n" : " []\n", out);
    } else if (after_dash) {
        (void)fputc(' ', out);
        write_node(node, indent, true, out);
    } else {
        (void)fputc('\n', out);
        write_node(node, indent, false, out);
    }
}

/* A mapping or sequence with children, at an indent; its first line may stand behind a dash. */
static void write_node(const struct config_node *node, int indent, bool after_dash, FILE *out) {
    for (size_t i = 0; i < node->count; ++i) {
        (void)fprintf(out, "%*s", after_dash && i == 0 ? 0 : indent, "");
        if (node->kind == CONFIG_SEQUENCE) {
            (void)fputc('-', out);
            write_value(node->children[i], indent + 2, true, out);
            continue;
        }
        write_key(node->key_nodes[i], out);
        if (strlen(node->keys[i]) > 128) {
            (void)fprintf(out, "%*s", indent, "");
        }
        (void)fputc(':', out);
        write_value(node->children[i], indent + 2, false, out);
    }
}

void config_write(const struct config_node *node, FILE *out) {
    if (node->kind == CONFIG_SCALAR) {
        write_text(node->text, node->quoted, out);
        (void)fputc('\n', out);
    } else if (node->count == 0) {
        (void)fputs(node->kind == CONFIG_MAPPING ? "{}\n" : "[]\n", out);
    } else {
        write_node(node, 0, false, out);
    }
}
