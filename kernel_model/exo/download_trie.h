/* download_trie.h: merged demultiplexing, as in PATHFINDER (OSDI 1994) and DPF (SIGCOMM
 * 1996): the paths of all filters in one trie. Filters that look at the same field
 * share the load and the mask; where their values differ, one hash lookup chooses
 * among them. A packet therefore costs what its fields cost, however many filters
 * there are.
 *
 * A node has leaves (paths that end there) and edges, one for each field that some
 * path looks at next. Of several filters that match, the one with the lowest number
 * wins, as in an interpreter that tries them in turn: an edge under which nobody is
 * lower than what was found is not followed. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_TRIE_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_TRIE_H

#include "kernel_model/exo/download_atoms.h"

enum { DOWNLOAD_NONE = UINT32_MAX }; /* no filter */

struct download_trie;

/* How the trie is walked, which says what its steps cost: by an interpreter, field by
 * field; or as machine code made from it as filters come and go, with neighbouring
 * fields joined into one load where together they are an aligned one (an IP header
 * is aligned, hence the Ethernet header before it is not). */
enum download_walk { DOWNLOAD_WALK_INTERPRETED, DOWNLOAD_WALK_COMPILED };

/* An empty trie; the caller frees it. */
struct download_trie *download_trie_create(enum download_walk walk);
void download_trie_free(struct download_trie *trie);

/* Adds a filter's paths. `program` (for inexact ones) and `paths` must outlive the
 * trie; `number` is above all that were added before. */
void download_trie_add(struct download_trie *trie, uint32_t number, const struct download_bpf *program,
                       const struct download_paths *paths);

/* The lowest number of a filter that accepts the packet, or DOWNLOAD_NONE. Counts each
 * node, field, comparison, probe and test. */
uint32_t download_trie_find(const struct download_trie *trie, struct download_packet packet,
                            struct download_work *work);

#endif
