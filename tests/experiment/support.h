/* support.h: what the tests of experiments share: temporary folders, running a small
 * experiment, reading what it wrote. Every function fails the test that calls it if
 * it cannot do what it says. */
#ifndef STILLSUIT_TESTS_EXPERIMENT_SUPPORT_H
#define STILLSUIT_TESTS_EXPERIMENT_SUPPORT_H

#include <criterion/criterion.h>
#include <stdio.h>

#include "experiment/csv_table.h"
#include "experiment/experiment.h"

enum { SUPPORT_PATH_BYTES = 1024 };

/* Settings as --set has them. */
#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_SETTINGS ((const char *const[]){NULL})

/* Makes the sources' root the current folder: paths in tests are relative to it. */
void enter_sources(void);
/* A new empty folder below /tmp; removed with all that is in it by remove_folder. */
void make_temporary_folder(char out[SUPPORT_PATH_BYTES]);
void remove_folder(const char *folder);
/* "<folder>/<name>", in a buffer that the next 60 calls leave alone. */
const char *path_in(const char *folder, const char *name);
bool file_exists(const char *path);
/* The file's text; the caller frees it. */
char *read_text(const char *path);
void write_text(const char *path, const char *text);

/* Loads an experiment that must be good. */
struct experiment *load_good(const char *path, const char *const *settings);
/* Loads it and runs it into `folder`; it must succeed. */
struct run_summary run_into(const char *folder, const char *path, const char *const *settings, unsigned jobs);

/* A CSV of a results folder; csv_table_free releases it. */
struct csv_table read_csv(const char *folder, const char *name);
/* The number in `column` of the one row that `where` (pairs, ended by NULL) picks. */
double number_where(const struct csv_table *table, const char *column, const char *const *where);
#define WHERE(...) ((const char *const[]){__VA_ARGS__, NULL})

/* What diagnostics print; the caller frees it, and they are freed. */
char *text_of(struct diagnostics *diagnostics);
/* Each YAML file of a folder must give the messages in the .expected file beside it;
 * `messages` gives what loading it reports, or "" if it is accepted. Returns the
 * number of files. */
size_t check_corpus(const char *folder, char *(*messages)(const char *path));

/* Fails unless all five CSVs of both folders are the same, byte by byte. */
void expect_same_results(const char *a, const char *b);

#endif
