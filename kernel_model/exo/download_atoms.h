/* download_atoms.h: a filter as a disjunction of conjunctions of tests on fields, read
 * out of its BPF program.
 *
 * A filter accepts along paths. Each path is a conjunction: atoms, which say that a
 * field masked equals a value, and tests, which say that it differs or compares. As
 * the paths of one program exclude each other, a packet satisfies at most one. A
 * path whose branches test anything else (a sum, two fields with each other, scratch
 * memory) keeps what could be read: it is then inexact, a necessary condition, and
 * the program must still be run on packets that satisfy it.
 *
 * Questions about sets of packets (do two filters overlap? does one lie within a
 * scope?) are answered from paths; where they cannot decide, the answer is the
 * cautious one. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_ATOMS_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_ATOMS_H

#include "kernel_model/exo/download_bpf.h"

enum { DOWNLOAD_PATHS_MAX = 32, DOWNLOAD_ATOMS_MAX = 32, DOWNLOAD_NO_BASE = UINT16_MAX };

/* Bytes of a packet, big-endian. With a base, the offset counts from
 * 4 * (byte [base] & 15): past a header of variable length, such as IP's. */
struct download_field {
    uint16_t base; /* DOWNLOAD_NO_BASE, or the offset of the byte that holds the length */
    uint16_t offset;
    uint8_t width_bytes; /* 1, 2, 4 */
    uint32_t mask;       /* 0: the field has to be there, whatever it holds */
};
/* By base, offset, width, mask: the order of atoms in a path and in the trie. */
int download_field_compare(const struct download_field *a, const struct download_field *b);
/* False: it is not in the packet. */
bool download_field_load(const struct download_field *field, struct download_packet packet, uint32_t *value);

struct download_atom {
    struct download_field field;
    uint32_t value;
};

enum download_relation { DOWNLOAD_DIFFERS, DOWNLOAD_ABOVE, DOWNLOAD_AT_MOST };
struct download_test {
    struct download_field field;
    enum download_relation relation;
    uint32_t value;
};
bool download_test_holds(const struct download_test *test, uint32_t value);

struct download_path {
    bool exact;
    uint32_t atom_count, test_count;
    struct download_atom atoms[DOWNLOAD_ATOMS_MAX]; /* by field, each once */
    struct download_test tests[DOWNLOAD_ATOMS_MAX];
};

struct download_paths {
    uint32_t count; /* 0: it accepts nothing */
    struct download_path path[DOWNLOAD_PATHS_MAX];
};

/* Reads the accepting paths out of a program that download_bpf_accept took. Too many
 * of them, or too long ones, become one inexact path without atoms. */
void download_paths_extract(const struct download_bpf *program, struct download_paths *paths);

/* Whether some packet may satisfy both: false only if that is certain. */
bool download_paths_overlap(const struct download_paths *a, const struct download_paths *b);

/* Whether every packet that satisfies `paths` satisfies the `count` atoms of a scope
 * (addresses that are the environment's, say): true only if that is certain. */
bool download_paths_within(const struct download_paths *paths, const struct download_atom *scope, uint32_t count);

#endif
