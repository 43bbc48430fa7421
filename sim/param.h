/* param.h: parameter tables. One row is one configuration key: its type, where it
 * is stored, default, range and help. The same row parses the value, checks it,
 * prints it in `stillsuit describe` and names it in an error, so that
 * documentation cannot drift from the program. */
#ifndef STILLSUIT_SIM_PARAM_H
#define STILLSUIT_SIM_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct config_node;
struct diagnostics;

/* What a value is, and the C type it is stored as. */
enum param_type {
    PARAM_TIME,      /* sim_time (fs)          "25 us"      */
    PARAM_BYTES,     /* uint64_t               "64 KiB"     */
    PARAM_BIT_RATE,  /* uint64_t bits/s        "10 Gbps"    */
    PARAM_BYTE_RATE, /* uint64_t bytes/s       "32 GB/s"    */
    PARAM_FREQUENCY, /* uint64_t Hz            "2.2 GHz"    */
    PARAM_CYCLES,    /* uint64_t               "130 cycles" */
    PARAM_RATE,      /* double per second      "270 kpps", "5 /s" */
    PARAM_INTEGER,   /* uint64_t               "64"         */
    PARAM_REAL,      /* double                 "0.35"       */
    PARAM_SHARE,     /* double 0..1            "7 %"        */
    PARAM_BOOL,      /* bool                   true, false  */
    PARAM_CHOICE,    /* int, index in choices  one of a list */
    PARAM_TEXT,      /* const char * (owned by the configuration) */
    PARAM_COST,      /* struct cost            {cycles: 130, lines: 4, source: "..."} */
    PARAM_NODE       /* const struct config_node *: a sub-tree bound by its own table */
};

/* A step of software: cycles of code, and lines of its working set that it
 * touches (each goes through the cache model). Every cost says where it comes
 * from: exactly one of `source`, `fit` (a calibration table, paper/table) and
 * `assumed` (with a range). */
struct cost {
    uint64_t cycles;
    uint32_t lines;
    const char *source, *fit, *assumed; /* owned by the configuration; two are NULL */
    uint64_t uses;                      /* counted by who charges it: a cost never charged is worth a warning */
};

/* One row. A table ends with {0}. */
struct param {
    const char *key;
    enum param_type type;
    size_t offset;                 /* in the struct that config_bind fills */
    const char *default_text;      /* as one would write it; NULL: the key is required */
    const char *minimum, *maximum; /* with units, inclusive; NULL: no bound */
    const char *const *choices;    /* PARAM_CHOICE: NULL-terminated */
    const char *help;
};

/* A literal that a type does not fit, an out-of-range value, an unknown key with
 * its nearest name, a duplicate: each becomes a diagnostic with its place; all of
 * them are collected. `node` NULL stands for an absent mapping: defaults alone.
 * Any parameter may be written plainly (`rate: 10 Gbps`) or with its provenance
 * (`rate: {value: 10 Gbps, source: "..."}`; also assumed:/range:, fit:). Returns
 * false if anything was reported; what was wrong holds its default then. A node's
 * default is NULL, whatever its default_text; a cost's default_text is its cycles. */
bool config_bind(const struct config_node *node, const struct param *params, void *out,
                 struct diagnostics *diagnostics);

/* Parses one literal of a type, storing as the table above says. Returns false and
 * writes a sentence into `why` (of why_bytes) if it does not parse. */
bool param_parse(enum param_type type, const char *text, void *out, char *why, size_t why_bytes);

/* "time", "bytes", ...: the name of a type for `describe` and for errors, and an
 * example literal of it. */
const char *param_type_name(enum param_type type);
const char *param_type_example(enum param_type type);

/* Calls `visit` for each cost of a table in the struct that it was bound into; its key is
 * the row's, behind "prefix." (NULL: none). */
typedef void param_cost_visitor(void *context, const char *key, const struct cost *cost);
void param_visit_costs(const struct param *params, const void *bound, const char *prefix, param_cost_visitor *visit,
                       void *context);

/* Prints a table as `stillsuit describe` shows it. */
void param_describe(const struct param *params, FILE *out);

#endif
