/* exos_fixture.h: Aegis' machine with the library OS's checked-in costs. */
#ifndef STILLSUIT_TESTS_LIBOS_MODEL_EXOS_FIXTURE_H
#define STILLSUIT_TESTS_LIBOS_MODEL_EXOS_FIXTURE_H

#include "libos_model/exos/exos.h"
#include "tests/kernel_model/aegis_fixture.h"

/* The form of page table that a test takes unless it is about another; with FIXTURE_NESTED the
 * one of nested paging, whose tables take more pages. */
#ifdef FIXTURE_NESTED
#define FIXTURE_TABLE EXOS_TABLE_HARDWARE
#else
#define FIXTURE_TABLE EXOS_TABLE_LINEAR
#endif

static inline void exos_fixture_costs(const char *file, const struct param *params, void *out) {
    char path[512];
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    (void)snprintf(path, sizeof path, SOURCE_DIR "/configs/profiles/%s", file);
    struct config *profile = config_load(path, &diagnostics);
    cr_assert(profile != NULL && config_bind(config_root(profile), params, out, &diagnostics));
}

#endif
