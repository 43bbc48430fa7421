/* fit.h: what fit.c's parts share: the keys to adjust, and the runs that judge them. */
#ifndef STILLSUIT_EXPERIMENT_FIT_H
#define STILLSUIT_EXPERIMENT_FIT_H

#include "experiment/experiment.h"
#include "experiment/papers.h"

enum { FIT_KEYS_MAX = 48, FIT_FIGURES_MAX = 128, FIT_COLUMNS_MAX = 8 };

enum fit_quantity { FIT_CYCLES, FIT_LINES, FIT_VALUE };

/* One number of the profile that names a calibration table. */
struct fit_key {
    char name[128]; /* within the profile: "recv" */
    enum fit_quantity quantity;
    const struct config_node *node; /* the scalar: its file, line and column */
    const char *unit;               /* behind the number: " ns", or "" */
    double initial, value, step;
    char paths[FIT_COLUMNS_MAX][256]; /* in the experiment: once a system that uses the profile, or in the machine */
    size_t path_count;
};

struct fit {
    const struct fit_options *options;
    struct config *profile;
    struct fit_key keys[FIT_KEYS_MAX];
    size_t key_count;
    struct paper *paper;
    size_t table;
    char experiment[1024];
    char columns[FIT_COLUMNS_MAX]
                [64]; /* systems that use the profile (all, for a machine's part), or the one that `fit:` names */
    size_t column_count;
    size_t figures;
    char folder[64]; /* of the runs */
    unsigned runs;
};

/* fit_keys.c: finds the keys, the table, the systems. */
enum error_code fit_find_keys(struct fit *fit, struct error *error);
/* fit_write.c: puts the values into the profile's text, where the old ones stand. */
enum error_code fit_write_profile(const struct fit *fit, struct error *error);

#endif
