/* csv_table.c: reads and writes the CSVs of a results folder (RFC 4180). */
#include "experiment/csv_table.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A results file that is larger was not written by us. */
enum { CSV_BYTES_MAX = 256 * 1024 * 1024, CSV_COLUMNS_MAX = 256 };

/* Where the reader stands: fields are unquoted in place, which never needs more
 * room than the quoted text had. */
struct reader {
    const char *path;
    char *next, *end;
    size_t line;
    struct error *error;
};

static char *read_file(const char *path, size_t *length, struct error *error) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        (void)error_set(error, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
        return NULL;
    }
    char *bytes = NULL;
    size_t room = 0;
    *length = 0;
    do {
        room = room == 0 ? 64 * 1024 : 2 * room;
        char *larger = room > CSV_BYTES_MAX ? NULL : realloc(bytes, room + 1);
        if (larger == NULL) {
            (void)error_set(error, ERR_IO, "%s: too large for a results file", path);
            free(bytes);
            (void)fclose(file);
            return NULL;
        }
        bytes = larger;
        *length += fread(bytes + *length, 1, room - *length, file);
    } while (*length == room);
    if (ferror(file)) {
        (void)error_set(error, ERR_IO, "%s: %s", path, strerror(errno));
        free(bytes);
        bytes = NULL;
    } else {
        bytes[*length] = '\0';
    }
    (void)fclose(file);
    return bytes;
}

/* Takes a quoted field; `next` stands behind its opening quote. */
static char *take_quoted(struct reader *reader) {
    char *field = reader->next, *out = reader->next;
    while (reader->next < reader->end) {
        const char c = *reader->next++;
        if (c == '"' && *reader->next != '"') {
            *out = '\0';
            return field;
        }
        if (c == '"') {
            reader->next++;
        }
        reader->line += c == '\n';
        *out++ = c;
    }
    (void)error_set(reader->error, ERR_CONFIG, "%s:%zu: a quote is not closed", reader->path, reader->line);
    return NULL;
}

/* Takes one field and its separator; `*last` says whether it ended the line. */
static char *take_field(struct reader *reader, bool *last) {
    char *field;
    if (*reader->next == '"') {
        reader->next++;
        field = take_quoted(reader);
        if (field == NULL) {
            return NULL;
        }
    } else {
        field = reader->next;
        while (reader->next < reader->end && *reader->next != ',' && *reader->next != '\n') {
            reader->next++;
        }
    }
    char *ends = reader->next;
    if (ends < reader->end && *ends == '\r') {
        ends++; /* behind a quoted field */
    }
    *last = ends >= reader->end || *ends == '\n';
    if (!*last && *ends != ',') {
        (void)error_set(reader->error, ERR_CONFIG, "%s:%zu: text behind a closing quote", reader->path, reader->line);
        return NULL;
    }
    if (*last && ends > field && ends[-1] == '\r') {
        ends[-1] = '\0';
    }
    reader->next = ends < reader->end ? ends + 1 : reader->end;
    *ends = '\0';
    reader->line += *last;
    return field;
}

/* Takes a line of at most `most` fields; -1 on an error. */
static int take_line(struct reader *reader, char **fields, size_t most) {
    size_t count = 0;
    bool last = false;
    while (!last) {
        char *field = take_field(reader, &last);
        if (field == NULL) {
            return -1;
        }
        if (count < most) {
            fields[count] = field;
        }
        count++;
    }
    return (int)(count > most ? most + 1 : count);
}

static enum error_code take_rows(struct reader *reader, struct csv_table *table) {
    size_t room = 0;
    while (reader->next < reader->end) {
        if (table->row_count == room) {
            room = room == 0 ? 64 : 2 * room;
            char **larger = realloc(table->cells, room * table->column_count * sizeof *larger);
            if (larger == NULL) {
                return error_set(reader->error, ERR_EXHAUSTED, "%s: out of memory", reader->path);
            }
            table->cells = larger;
        }
        const size_t line = reader->line;
        const int count = take_line(reader, table->cells + table->row_count * table->column_count, table->column_count);
        if (count < 0) {
            return ERR_CONFIG;
        }
        if ((size_t)count != table->column_count) {
            return error_set(reader->error, ERR_CONFIG,
                             "%s:%zu: the line has %s fields than its head has columns (%zu)", reader->path, line,
                             (size_t)count > table->column_count ? "more" : "fewer", table->column_count);
        }
        table->row_count++;
    }
    return OK;
}

enum error_code csv_table_read(const char *path, struct csv_table *table, struct error *error) {
    struct error own = {0};
    error = error != NULL ? error : &own;
    memset(table, 0, sizeof *table);
    size_t length;
    table->storage = read_file(path, &length, error);
    if (table->storage == NULL) {
        return error->code;
    }
    struct reader reader = {path, table->storage, table->storage + length, 1, error};
    char *head[CSV_COLUMNS_MAX];
    const int columns = length == 0 ? 0 : take_line(&reader, head, CSV_COLUMNS_MAX);
    enum error_code code = OK;
    if (columns == 0 || columns > CSV_COLUMNS_MAX) {
        code = error_set(error, ERR_CONFIG, "%s:1: %s", path, columns == 0 ? "the file is empty" : "too many columns");
    } else if (columns < 0) {
        code = error->code;
    } else {
        table->column_count = (size_t)columns;
        table->columns = malloc(table->column_count * sizeof *table->columns);
        if (table->columns == NULL) {
            code = error_set(error, ERR_EXHAUSTED, "%s: out of memory", path);
        } else {
            memcpy(table->columns, head, table->column_count * sizeof *head);
            code = take_rows(&reader, table);
        }
    }
    if (code != OK) {
        csv_table_free(table);
    }
    return code;
}

void csv_table_free(struct csv_table *table) {
    free(table->columns);
    free(table->cells);
    free(table->storage);
    memset(table, 0, sizeof *table);
}

int csv_table_column(const struct csv_table *table, const char *name) {
    for (size_t i = 0; i < table->column_count; ++i) {
        if (strcmp(table->columns[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

const char *csv_table_cell(const struct csv_table *table, size_t row, int column) {
    SIM_ASSERT(row < table->row_count && column >= 0 && (size_t)column < table->column_count);
    return table->cells[row * table->column_count + (size_t)column];
}

double csv_table_number(const struct csv_table *table, size_t row, int column) {
    const char *text = csv_table_cell(table, row, column);
    char *end;
    const double value = strtod(text, &end);
    return end == text || *end != '\0' ? (double)NAN : value;
}

static bool row_matches(const struct csv_table *table, size_t row, const char *const *where) {
    for (; where[0] != NULL; where += 2) {
        const int column = csv_table_column(table, where[0]);
        if (column < 0 || strcmp(csv_table_cell(table, row, column), where[1]) != 0) {
            return false;
        }
    }
    return true;
}

size_t csv_table_find(const struct csv_table *table, size_t from, const char *const *where) {
    for (size_t row = from; row < table->row_count; ++row) {
        if (row_matches(table, row, where)) {
            return row;
        }
    }
    return table->row_count;
}

void csv_write_field(const char *text, void *file) {
    FILE *out = file;
    if (strpbrk(text, ",\"\r\n") == NULL) {
        (void)fputs(text, out);
        return;
    }
    (void)fputc('"', out);
    for (; *text != '\0'; ++text) {
        if (*text == '"') {
            (void)fputc('"', out);
        }
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}
