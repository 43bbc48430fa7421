/* diagnostics.c: collects what is wrong with a configuration and prints it in order
 * of place, whatever the order in which it was found. */
#include "sim/config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void diagnostics_init(struct diagnostics *diagnostics) {
    *diagnostics = (struct diagnostics){0};
}

void diagnostics_free(struct diagnostics *diagnostics) {
    for (size_t i = 0; i < diagnostics->count; ++i) {
        free((void *)(uintptr_t)diagnostics->items[i].file);
        free(diagnostics->items[i].text);
    }
    free(diagnostics->items);
    diagnostics_init(diagnostics);
}

static char *copy_text(const char *text) {
    char *copy = strdup(text);
    SIM_ASSERT_MSG(copy != NULL, "out of memory");
    return copy;
}

static char *format_text(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    SIM_ASSERT(length >= 0);
    char *text = malloc((size_t)length + 1);
    SIM_ASSERT_MSG(text != NULL, "out of memory");
    (void)vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

/* Takes over `item`'s text; copies its file. */
static void append(struct diagnostics *diagnostics, struct diagnostic item) {
    if (diagnostics->count == diagnostics->capacity) {
        diagnostics->capacity = diagnostics->capacity == 0 ? 16 : 2 * diagnostics->capacity;
        diagnostics->items = realloc(diagnostics->items, diagnostics->capacity * sizeof *diagnostics->items);
        SIM_ASSERT_MSG(diagnostics->items != NULL, "out of memory");
    }
    /* One line each: a name that contains a line break must not look like two diagnostics. */
    for (char *c = item.text; *c != '\0'; ++c) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
    item.file = item.file == NULL ? NULL : copy_text(item.file);
    diagnostics->items[diagnostics->count++] = item;
    diagnostics->errors += item.warning ? 0 : 1;
}

void diagnostics_add(struct diagnostics *diagnostics, const char *file, uint32_t line, uint32_t column,
                     const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    struct diagnostic item = {.file = file, .line = line, .column = column, .text = format_text(format, arguments)};
    va_end(arguments);
    append(diagnostics, item);
}

static struct diagnostic placed_at(const struct config_node *node) {
    return node == NULL ? (struct diagnostic){0}
                        : (struct diagnostic){.file = node->file, .line = node->line, .column = node->column};
}

void diagnostics_at(struct diagnostics *diagnostics, const struct config_node *node, const char *format, ...) {
    va_list arguments;
    struct diagnostic item = placed_at(node);
    va_start(arguments, format);
    item.text = format_text(format, arguments);
    va_end(arguments);
    append(diagnostics, item);
}

void diagnostics_warn(struct diagnostics *diagnostics, const struct config_node *node, const char *format, ...) {
    va_list arguments;
    struct diagnostic item = placed_at(node);
    item.warning = true;
    va_start(arguments, format);
    item.text = format_text(format, arguments);
    va_end(arguments);
    append(diagnostics, item);
}

static int compare_numbers(uint32_t a, uint32_t b) {
    return (a > b) - (a < b);
}

/* By place, then by text: a total order, so that nothing hangs on the order of finding. */
static int compare_places(const void *a, const void *b) {
    const struct diagnostic *x = a;
    const struct diagnostic *y = b;
    int order = strcmp(x->file == NULL ? "" : x->file, y->file == NULL ? "" : y->file);
    order = order != 0 ? order : compare_numbers(x->line, y->line);
    order = order != 0 ? order : compare_numbers(x->column, y->column);
    order = order != 0 ? order : (int)x->warning - (int)y->warning;
    return order != 0 ? order : strcmp(x->text, y->text);
}

static void print_one(const struct diagnostic *item, FILE *out) {
    if (item->file != NULL) {
        (void)fprintf(out, "%s:", item->file);
        if (item->line != 0) {
            (void)fprintf(out, "%u:%u:", (unsigned)item->line, (unsigned)item->column);
        }
        (void)fputc(' ', out);
    }
    (void)fprintf(out, "%s%s\n", item->warning ? "warning: " : "", item->text);
}

void diagnostics_print(const struct diagnostics *diagnostics, FILE *out) {
    if (diagnostics->count == 0) {
        return;
    }
    struct diagnostic *sorted = malloc(diagnostics->count * sizeof *sorted);
    SIM_ASSERT_MSG(sorted != NULL, "out of memory");
    memcpy(sorted, diagnostics->items, diagnostics->count * sizeof *sorted);
    qsort(sorted, diagnostics->count, sizeof *sorted, compare_places);
    for (size_t i = 0; i < diagnostics->count; ++i) {
        /* A file that is included twice is wrong once. */
        if (i == 0 || compare_places(&sorted[i - 1], &sorted[i]) != 0) {
            print_one(&sorted[i], out);
        }
    }
    free(sorted);
}
