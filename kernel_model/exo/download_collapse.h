/* download_collapse.h: filters that differ in constants alone, interpreted once, as MPF
 * does (Yuhara et al., USENIX Winter 1994): the common part is a BPF program; the
 * fields that tell its filters apart are gathered into a key, and one associative
 * lookup finds whose the packet is.
 *
 * Two programs are of one form if they are equal but for the constants of equality
 * jumps whose other way out rejects. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_COLLAPSE_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_COLLAPSE_H

#include "kernel_model/exo/download_trie.h"

struct download_collapse;

struct download_collapse *download_collapse_create(void);
void download_collapse_free(struct download_collapse *collapse);

/* Adds a filter to the group of its form. `program` must outlive the structure;
 * `number` is above all that were added before. */
void download_collapse_add(struct download_collapse *collapse, uint32_t number, const struct download_bpf *program);

/* The lowest number of a filter that accepts the packet, or DOWNLOAD_NONE. */
uint32_t download_collapse_find(const struct download_collapse *collapse, struct download_packet packet,
                                struct download_work *work);

#endif
