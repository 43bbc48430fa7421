/* papers.h: published figures, and what a results folder says to them. The format
 * is described in configs/papers/arrakis-osdi14.yaml. */
#ifndef STILLSUIT_EXPERIMENT_PAPERS_H
#define STILLSUIT_EXPERIMENT_PAPERS_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/config.h"

struct paper;

/* NULL with diagnostics; the caller frees it. */
struct paper *paper_load(const char *path, struct diagnostics *diagnostics);
void paper_free(struct paper *paper);
/* What paper_load reports beside what is no YAML: false if anything. */
bool paper_check(const struct config_node *root, struct diagnostics *diagnostics);
const char *paper_name(const struct paper *paper);
const char *paper_title(const struct paper *paper);
/* The file of a paper that a resolved configuration names: beside the results in
 * `folder`, or in configs/papers, or as it is written. The configuration is a copy, so that
 * its relative paths lead nowhere. */
void paper_find(const char *folder, const char *written, char *out, size_t out_bytes);
size_t paper_tables(const struct paper *paper);
const char *paper_table_name(const struct paper *paper, size_t table);
const char *paper_table_title(const struct paper *paper, size_t table);
/* Index of a table by name; paper_tables() if there is none. */
size_t paper_table_find(const struct paper *paper, const char *name);
/* Path of the experiment that covers it. */
void paper_table_experiment(const struct paper *paper, size_t table, char *out, size_t out_bytes);

/* One published figure beside its simulated value. */
struct paper_figure {
    const char *row, *column, *unit;
    const char *source_row; /* what the results call the row */
    bool calibration;
    double published;
    double simulated;     /* NAN: the results do not have it */
    double error_percent; /* of the published value; NAN where that is 0 and the other is not */
};
/* The figures of a table, against the CSVs of `folder` (NULL: published values
 * alone). Returns how many there are; up to `capacity` are stored. */
size_t paper_figures(const struct paper *paper, size_t table, const char *folder, struct paper_figure *out,
                     size_t capacity, struct error *error);

#endif
