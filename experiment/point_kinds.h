/* point_kinds.h: the kinds of points; point.c chooses. */
#ifndef STILLSUIT_EXPERIMENT_POINT_KINDS_H
#define STILLSUIT_EXPERIMENT_POINT_KINDS_H

#include <stdio.h>

#include "experiment/plan.h"

/* `requests` receives how many were measured. */
bool point_network_check(const struct plan_point *point, struct diagnostics *diagnostics);
enum error_code point_network_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error);

bool point_dma_check(const struct plan_point *point, struct diagnostics *diagnostics);
enum error_code point_dma_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error);

bool point_classify_check(const struct plan_point *point, struct diagnostics *diagnostics);
enum error_code point_classify_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error);

bool point_storage_check(const struct plan_point *point, struct diagnostics *diagnostics);
enum error_code point_storage_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error);

bool point_kernel_check(const struct plan_point *point, struct diagnostics *diagnostics);
enum error_code point_kernel_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error);
extern const struct param point_kernel_params[]; /* of `kernel:` */

bool point_drive_check(const struct plan_point *point, struct diagnostics *diagnostics);
enum error_code point_drive_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error);

#endif
