/* download_demux.h: whose is a packet? The filters that environments have downloaded,
 * and four ways to ask them:
 * - linear: each filter is interpreted in turn, in order of installation, until one
 *   accepts (CSPF, BPF);
 * - collapsed: filters of one form are interpreted once (MPF);
 * - merged: all of them are one trie, which is interpreted (PATHFINDER);
 * - compiled: the trie as machine code, with loads joined (DPF).
 * The four give the same answer for every packet; what differs is the work.
 *
 * A filter that would take another's packets is refused as it is installed: every
 * filter of an environment must be disjoint from every filter of every other, and lie
 * within the environment's scope. Where that cannot be decided it is refused. Filters
 * of one environment may overlap: the one installed first wins. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_DEMUX_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_DEMUX_H

#include "kernel_model/exo/download_trie.h"

enum download_engine { DOWNLOAD_LINEAR, DOWNLOAD_COLLAPSED, DOWNLOAD_MERGED, DOWNLOAD_COMPILED, DOWNLOAD_ENGINES };

enum { DOWNLOAD_FILTERS_MAX = 4096, DOWNLOAD_SCOPE_MAX = 8 };

/* Packets that an environment may ask for at all: those with these atoms. */
struct download_scope {
    uint32_t count; /* 0: all */
    struct download_atom atoms[DOWNLOAD_SCOPE_MAX];
};

struct download_demux_counters {
    uint64_t installed, removed;
    uint64_t unsafe;   /* refused: not a valid program */
    uint64_t overlaps; /* refused: another's packets, or not decidable */
    uint64_t greedy;   /* refused: beyond the environment's scope */
    uint64_t full;     /* refused: no room */
};

struct download_demux;

/* Without filters. The caller frees it. */
struct download_demux *download_demux_create(void);
void download_demux_free(struct download_demux *demux);

/* Installs a filter for `owner` (an environment's number), as text or as a raw program,
 * and tells its number, which no other ever gets. ERR_CONFIG: the text does not
 * compile; ERR_RANGE, ERR_DENIED: not a safe program, or beyond `scope` (NULL: no
 * bounds); ERR_OVERLAP; ERR_EXHAUSTED. */
enum error_code download_demux_install_text(struct download_demux *demux, uint32_t owner,
                                            const struct download_scope *scope, const char *text, uint32_t *number,
                                            struct error *error);
enum error_code download_demux_install(struct download_demux *demux, uint32_t owner, const struct download_scope *scope,
                                       const struct download_bpf_instruction *code, uint32_t count, uint32_t *number,
                                       struct error *error);
/* Removes a filter of its owner; ERR_NOT_FOUND; ERR_DENIED: another's. */
enum error_code download_demux_remove(struct download_demux *demux, uint32_t owner, uint32_t number);

/* The number of the filter that takes the packet, or DOWNLOAD_NONE; adds the steps it
 * took to `work`. */
uint32_t download_demux_find(const struct download_demux *demux, enum download_engine engine,
                             struct download_packet packet, struct download_work *work);

/* Whose a filter is; 0: there is none of that number. */
uint32_t download_demux_owner(const struct download_demux *demux, uint32_t number);
uint32_t download_demux_count(const struct download_demux *demux);
/* How many are in the trie in full, and need no interpreter. */
uint32_t download_demux_exact(const struct download_demux *demux);
const struct download_demux_counters *download_demux_counters(const struct download_demux *demux);

#endif
