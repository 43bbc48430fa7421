/* download_bind.h: downloaded code under the kernel's capabilities.
 *
 * The packet path (download_packet.h) and predicates (download_wake.h) know owners by
 * number and ask who holds which memory. This file answers from the capabilities, on either
 * kernel (aegis.h, exokernel.h):
 * - Installing a filter grants a capability (EXO_DOWNLOADED); with it the filter goes, also when
 *   its environment ends. A handler is attached by it (EXO_BIND).
 * - A handler or predicate names memory by address: its environment must hold capabilities
 *   of all of it, with EXO_WRITE where it writes. Once one of them ends, the environment's
 *   handlers are taken off, and one that sleeps on a predicate is woken. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_BIND_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_BIND_H

#include "kernel_model/exo/download_packet.h"
#include "kernel_model/exo/download_wake.h"
#include "kernel_model/exo/environment.h"

struct exo_bound_downloads_config {
    struct exo_download_config packets; /* holds: not looked at */
    uint64_t predicate_limit_cycles;
    /* A sleeping environment's memory was taken from it: it is to run. NULL: nobody is
     * told. */
    void (*woken)(void *context, uint32_t environment);
    /* A filter is no more: its capability has ended. NULL: nobody is told. */
    void (*removed)(void *context, uint32_t environment, uint32_t filter);
};

struct exo_bound_downloads;

/* Hooks itself to the kernel's frames_released, above whoever is there (Aegis):
 * create it after that. Free it after the kernel, whose end still removes filters. */
struct exo_bound_downloads *exo_bound_downloads_create(struct exo_kernel *kernel,
                                                       const struct exo_bound_downloads_config *config);
void exo_bound_downloads_free(struct exo_bound_downloads *downloads);

/* For who receives packets, and for the scheduler. */
struct exo_download *exo_bound_packets(struct exo_bound_downloads *downloads);
struct download_waiters *exo_bound_waiters(struct exo_bound_downloads *downloads);

/* Installs a filter (text of pcap-filter(7), or a raw program) within `scope`; its number
 * and its capability, which counts among the environment's filters (ERR_SHARE). Other errors as
 * download_demux_install_text. */
enum error_code exo_bound_filter_text(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                                      const struct download_scope *scope, const char *text, uint32_t *number,
                                      struct exo_handle *out, struct error *error);
enum error_code exo_bound_filter(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                                 const struct download_scope *scope, const struct download_bpf_instruction *code,
                                 uint32_t count, uint32_t *number, struct exo_handle *out, struct error *error);
/* exo_download_handler: takes EXO_BIND on the filter, and the environment must be the one
 * that installed it. */
enum error_code exo_bound_handler(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                                  const struct exo_handle *filter, const struct download_instruction *code,
                                  uint32_t count, const struct download_region *regions, uint32_t region_count,
                                  struct error *error);
/* download_predicate, with at least one region (ERR_RANGE). */
enum error_code exo_bound_predicate(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                                    const struct download_instruction *code, uint32_t count,
                                    const struct download_region *regions, uint32_t region_count, struct error *error);
/* ... and it sleeps: download_sleep. */
enum error_code exo_bound_wait(struct exo_bound_downloads *downloads, struct exo_environment *environment,
                               const struct download_instruction *code, uint32_t count,
                               const struct download_region *regions, uint32_t region_count, struct error *error);
/* A dying environment's handlers do not run, and its predicate is no more; filters go with their
 * capabilities. */
void exo_bound_forget(struct exo_bound_downloads *downloads, const struct exo_environment *environment);

#endif
