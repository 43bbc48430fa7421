/* config_tree.c: looking into a tree, and the nearest name to a mistyped one. */
#include "sim/config_internal.h"

#include <ctype.h>
#include <string.h>

const struct config_node *config_get(const struct config_node *node, const char *key) {
    if (node == NULL || node->kind != CONFIG_MAPPING) {
        return NULL;
    }
    const size_t index = config_find_key(node, key);
    return index == SIZE_MAX ? NULL : node->children[index];
}

const char *config_text(const struct config_node *node, const char *otherwise) {
    return node == NULL || node->kind != CONFIG_SCALAR ? otherwise : node->text;
}

enum { WORD_MAX = 63 };

static bool same_letter(char a, char b) {
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t smallest(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Edits from one word to the other: insertions, deletions, replacements, and swaps of
 * neighbours (the optimal string alignment distance). Case is not an edit. */
static size_t distance(const char *a, const char *b) {
    const size_t a_length = strlen(a);
    const size_t b_length = strlen(b);
    if (a_length > WORD_MAX || b_length > WORD_MAX) {
        return SIZE_MAX;
    }
    size_t rows[3][WORD_MAX + 1]; /* of row i, i - 1, i - 2, each at its index modulo 3 */
    for (size_t j = 0; j <= b_length; ++j) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_length; ++i) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; ++j) {
            const size_t replaced = above[j - 1] + (same_letter(a[i - 1], b[j - 1]) ? 0 : 1);
            row[j] = smallest(replaced, smallest(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1])) {
                row[j] = smallest(row[j], rows[(i - 2) % 3][j - 2] + 1);
            }
        }
    }
    return rows[a_length % 3][b_length];
}

const char *config_nearest(const char *word, const char *const *candidates) {
    const size_t near = strlen(word) < 6 ? 1 : strlen(word) / 3; /* further, it is another word */
    const char *best = NULL;
    size_t best_distance = near + 1;
    for (; *candidates != NULL; ++candidates) {
        const size_t edits = distance(word, *candidates);
        if (edits < best_distance && edits < strlen(*candidates)) {
            best = *candidates;
            best_distance = edits;
        }
    }
    return best;
}

static bool listed(const char *const *list, const char *word) {
    for (; *list != NULL; ++list) {
        if (strcmp(*list, word) == 0) {
            return true;
        }
    }
    return false;
}

bool config_check_keys(const struct config_node *node, const char *const *allowed, struct diagnostics *diagnostics) {
    bool good = true;
    if (node == NULL || node->kind != CONFIG_MAPPING) {
        return true;
    }
    for (size_t i = 0; i < node->count; ++i) {
        if (listed(allowed, node->keys[i])) {
            continue;
        }
        char name[CONFIG_NAME_BYTES];
        config_name(node, name, sizeof name);
        const char *nearest = config_nearest(node->keys[i], allowed);
        diagnostics_at(diagnostics, node->key_nodes[i], "unknown key '%s'%s%s%s%s%s", node->keys[i],
                       name[0] == '\0' ? "" : " in ", name, nearest == NULL ? "" : "; did you mean '",
                       nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
        good = false;
    }
    return good;
}
