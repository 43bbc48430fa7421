#include "workloads/block_trace.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIELDS_MAX = 8, MSR_FIELDS = 7, DISKSIM_FIELDS = 5, SHOWN_BYTES = 40 };

struct reader {
    const char *path;
    const struct block_trace_options *options;
    struct diagnostics *diagnostics;
    struct block_trace *trace;
    size_t capacity;
    unsigned long line;
    size_t errors;
    bool begun; /* `first` is set */
    double first_time;
    uint64_t first_ticks;
    sim_time last; /* of any device */
    const char *start;
    char *fields[FIELDS_MAX];
    size_t field_count;
};

/* ---- errors ---- */

static bool malformed(struct reader *reader, const char *at, const char *what, const char *expected) {
    reader->errors++;
    if (reader->errors <= BLOCK_TRACE_ERRORS_MAX) {
        const unsigned column = at == NULL ? 1 : (unsigned)(at - reader->start) + 1;
        diagnostics_add(reader->diagnostics, reader->path, (uint32_t)reader->line, column, "%s '%.*s'; expected %s",
                        what, (int)SHOWN_BYTES, at == NULL ? reader->start : at, expected);
    }
    return false;
}

static bool wrong_count(struct reader *reader, size_t due, const char *form) {
    char text[96];
    (void)snprintf(text, sizeof text, "%zu fields: %s", due, form);
    char found[64];
    (void)snprintf(found, sizeof found, "this line has %zu field%s:", reader->field_count,
                   reader->field_count == 1 ? "" : "s");
    return malformed(reader, NULL, found, text);
}

/* ---- fields ---- */

static bool whole(struct reader *reader, size_t field, const char *what, uint64_t most, uint64_t *out) {
    const char *text = reader->fields[field];
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || errno != 0 || value > most) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "a whole number up to %" PRIu64, most);
        return malformed(reader, text, what, expected);
    }
    *out = value;
    return true;
}

/* Splits in place; several blanks are one separator, several commas are not. */
static void split(struct reader *reader, char *line, char comma) {
    reader->field_count = 0;
    char *at = line;
    while (reader->field_count < FIELDS_MAX) {
        if (comma == '\0') {
            at += strspn(at, " \t");
            if (*at == '\0') {
                return;
            }
        }
        reader->fields[reader->field_count++] = at;
        char *end = comma != '\0' ? strchr(at, comma) : strpbrk(at, " \t");
        if (end == NULL) {
            return;
        }
        *end = '\0';
        at = end + 1;
    }
}

/* ---- formats ---- */

static bool parse_msr(struct reader *reader, struct block_trace_request *request) {
    if (reader->field_count != MSR_FIELDS) {
        return wrong_count(reader, MSR_FIELDS, "timestamp,hostname,disk,type,offset,size,response");
    }
    uint64_t ticks = 0, device = 0;
    bool good = whole(reader, 0, "timestamp", UINT64_MAX, &ticks);
    good = whole(reader, 2, "disk", UINT32_MAX, &device) && good;
    const char *type = reader->fields[3];
    request->write = strcasecmp(type, "Write") == 0;
    if (!request->write && strcasecmp(type, "Read") != 0) {
        good = malformed(reader, type, "type", "Read or Write");
    }
    good = whole(reader, 4, "offset", INT64_MAX, &request->offset_bytes) && good;
    good = whole(reader, 5, "size", INT64_MAX, &request->length_bytes) && good;
    if (!good) {
        return false;
    }
    request->device = (uint32_t)device;
    if (!reader->begun) {
        reader->first_ticks = ticks;
    } else if (ticks < reader->first_ticks) {
        return malformed(reader, reader->fields[0], "timestamp", "one that is not before the line above");
    }
    const uint64_t since = ticks - reader->first_ticks;
    if (since > SIM_TIME_MAX / (100 * SIM_NS)) {
        return malformed(reader, reader->fields[0], "timestamp", "less than five hours after the first");
    }
    request->at = since * (100 * SIM_NS);
    return true;
}

static bool parse_disksim(struct reader *reader, struct block_trace_request *request) {
    if (reader->field_count != DISKSIM_FIELDS) {
        return wrong_count(reader, DISKSIM_FIELDS, "time device sector sectors flags");
    }
    char *end = NULL;
    const double time = strtod(reader->fields[0], &end);
    bool good = true;
    if (end == reader->fields[0] || *end != '\0' || !isfinite(time) || time < 0) {
        good = malformed(reader, reader->fields[0], "arrival time", "a number that is not negative");
    }
    uint64_t device = 0, sector = 0, sectors = 0, flags = 0;
    const uint64_t most = INT64_MAX / BLOCK_TRACE_SECTOR_BYTES;
    good = whole(reader, 1, "device", UINT32_MAX, &device) && good;
    good = whole(reader, 2, "sector", most, &sector) && good;
    good = whole(reader, 3, "sectors", most, &sectors) && good;
    good = whole(reader, 4, "flags", UINT32_MAX, &flags) && good;
    if (!good) {
        return false;
    }
    if (!reader->begun) {
        reader->first_time = time;
    }
    const double since = (time - reader->first_time) * (double)reader->options->time_unit;
    if (since < 0 || since >= (double)SIM_TIME_MAX) {
        return malformed(reader, reader->fields[0], "arrival time",
                         "one that is not before the line above, nor five hours after the first");
    }
    *request = (struct block_trace_request){.at = (sim_time)llround(since),
                                            .offset_bytes = sector * BLOCK_TRACE_SECTOR_BYTES,
                                            .length_bytes = sectors * BLOCK_TRACE_SECTOR_BYTES,
                                            .device = (uint32_t)device,
                                            .write = (flags & 1) == 0};
    return true;
}

/* ---- the file ---- */

static void keep(struct reader *reader, const struct block_trace_request *request) {
    struct block_trace *trace = reader->trace;
    if (trace->count == reader->capacity) {
        reader->capacity = reader->capacity == 0 ? 1024 : 2 * reader->capacity;
        trace->requests = realloc(trace->requests, reader->capacity * sizeof *trace->requests);
        SIM_ASSERT_MSG(trace->requests != NULL, "out of memory");
    }
    trace->requests[trace->count++] = *request;
    const uint64_t end = request->offset_bytes + request->length_bytes;
    trace->end_bytes = end > trace->end_bytes ? end : trace->end_bytes;
}

static void take_line(struct reader *reader, char *line) {
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '\0' || line[0] == '#') {
        return;
    }
    const bool msr = reader->options->format == BLOCK_TRACE_MSR;
    struct block_trace_request request = {0};
    reader->start = line;
    split(reader, line, msr ? ',' : '\0');
    if (!(msr ? parse_msr(reader, &request) : parse_disksim(reader, &request))) {
        return;
    }
    if (request.length_bytes == 0) {
        (void)malformed(reader, reader->fields[msr ? 5 : 3], "size", "more than nothing");
        return;
    }
    if (reader->begun && request.at < reader->last) {
        (void)malformed(reader, reader->fields[0], "time", "one that is not before the line above");
        return;
    }
    reader->begun = true;
    reader->last = request.at;
    if (!reader->options->one_device || request.device == reader->options->device) {
        keep(reader, &request);
    }
}

static bool is_full(const struct reader *reader) {
    return reader->options->most != 0 && reader->trace->count == reader->options->most;
}

static void read_lines(struct reader *reader, FILE *file) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while (!is_full(reader) && (length = getline(&line, &capacity, file)) >= 0) {
        reader->line++;
        if (strlen(line) != (size_t)length) {
            diagnostics_add(reader->diagnostics, reader->path, (uint32_t)reader->line, 1,
                            "this is not text: a zero byte");
            reader->errors++;
            break;
        }
        take_line(reader, line);
    }
    free(line);
}

struct block_trace *block_trace_load(const char *path, const struct block_trace_options *options,
                                     struct diagnostics *diagnostics) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        diagnostics_add(diagnostics, path, 1, 1, "cannot read this trace: %s", strerror(errno));
        return NULL;
    }
    struct block_trace *trace = calloc(1, sizeof *trace);
    SIM_ASSERT_MSG(trace != NULL, "out of memory");
    struct reader reader = {.path = path, .options = options, .diagnostics = diagnostics, .trace = trace};
    read_lines(&reader, file);
    (void)fclose(file);
    if (reader.errors > BLOCK_TRACE_ERRORS_MAX) {
        diagnostics_add(diagnostics, path, (uint32_t)reader.line, 1, "and %zu more malformed lines",
                        reader.errors - BLOCK_TRACE_ERRORS_MAX);
    } else if (reader.errors == 0 && trace->count == 0) {
        diagnostics_add(diagnostics, path, 1, 1, "this trace has no request%s",
                        options->one_device ? " of that device" : "");
        reader.errors++;
    }
    if (reader.errors > 0) {
        block_trace_free(trace);
        return NULL;
    }
    return trace;
}

void block_trace_free(struct block_trace *trace) {
    if (trace != NULL) {
        free(trace->requests);
        free(trace);
    }
}
