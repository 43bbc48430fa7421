#include "kernel_model/exo/download_trie.h"

#include <stdlib.h>
#include <string.h>

#include "sim/allocate.h"
#include "sim/error.h"

struct trie_leaf {
    struct trie_leaf *next;
    uint32_t number;
    const struct download_bpf *program;
    const struct download_path *path;
};
struct trie_entry {
    struct trie_entry *next; /* of the hash chain */
    uint32_t value;
    struct trie_node *child;
};
struct trie_edge {
    struct trie_edge *next;
    struct download_field field;
    uint32_t lowest; /* number of a filter below */
    uint32_t count, bucket_bits;
    struct trie_entry **buckets; /* 1 << bucket_bits chains */
};
struct trie_node {
    struct trie_leaf *leaves; /* in order of number */
    struct trie_edge *edges;  /* in order of their first filter, hence of `lowest` */
};
struct download_trie {
    enum download_walk walk;
    struct trie_node root;
};

/* The steps of a walk. */
struct walk_steps {
    enum download_step call, node, field, base, compare, hash, probe, test, leaf;
};
static const struct walk_steps steps_of[] = {
    [DOWNLOAD_WALK_INTERPRETED] = {DOWNLOAD_demux_call, DOWNLOAD_demux_node, DOWNLOAD_demux_field, DOWNLOAD_demux_base,
                                   DOWNLOAD_demux_compare, DOWNLOAD_demux_hash, DOWNLOAD_demux_probe,
                                   DOWNLOAD_demux_test, DOWNLOAD_demux_leaf},
    [DOWNLOAD_WALK_COMPILED] = {DOWNLOAD_compiled_call, DOWNLOAD_compiled_node, DOWNLOAD_compiled_field,
                                DOWNLOAD_compiled_base, DOWNLOAD_compiled_compare, DOWNLOAD_compiled_hash,
                                DOWNLOAD_compiled_probe, DOWNLOAD_compiled_test, DOWNLOAD_compiled_leaf}};

struct download_trie *download_trie_create(enum download_walk walk) {
    struct download_trie *trie = sim_allocate(1, sizeof *trie);
    trie->walk = walk;
    return trie;
}

/* ---- the hash table of an edge ---- */

static struct trie_entry **chain_of(const struct trie_edge *edge, uint32_t value) {
    const uint32_t hash = edge->bucket_bits == 0 ? 0 : (value * UINT32_C(2654435761)) >> (32 - edge->bucket_bits);
    return &edge->buckets[hash];
}

static void edge_insert(struct trie_edge *edge, struct trie_entry *entry) {
    struct trie_entry **chain = chain_of(edge, entry->value);
    entry->next = *chain;
    *chain = entry;
}

static void edge_grow(struct trie_edge *edge) {
    struct trie_entry **old = edge->buckets;
    const uint32_t old_count = UINT32_C(1) << edge->bucket_bits;
    edge->bucket_bits++;
    edge->buckets = sim_allocate((size_t)old_count * 2, sizeof(struct trie_entry *));
    for (uint32_t i = 0; i < old_count; i++) {
        for (struct trie_entry *at = old[i]; at != NULL;) {
            struct trie_entry *next = at->next;
            edge_insert(edge, at);
            at = next;
        }
    }
    free(old);
}

static struct trie_node *edge_child(struct trie_edge *edge, uint32_t value) {
    for (struct trie_entry *at = *chain_of(edge, value); at != NULL; at = at->next) {
        if (at->value == value) {
            return at->child;
        }
    }
    if (edge->count == UINT32_C(1) << edge->bucket_bits) {
        edge_grow(edge);
    }
    struct trie_entry *entry = sim_allocate(1, sizeof *entry);
    entry->value = value;
    entry->child = sim_allocate(1, sizeof *entry->child);
    edge->count++;
    edge_insert(edge, entry);
    return entry->child;
}

/* ---- building ---- */

static struct trie_edge *node_edge(struct trie_node *node, const struct download_field *field, uint32_t number) {
    struct trie_edge **at = &node->edges;
    while (*at != NULL && download_field_compare(&(*at)->field, field) != 0) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = sim_allocate(1, sizeof **at);
        (*at)->field = *field;
        (*at)->lowest = number;
        (*at)->buckets = sim_allocate(1, sizeof(struct trie_entry *));
    }
    return *at;
}

/* Joins two neighbouring atoms into one load of 2 or 4 bytes, if that is aligned. */
static bool join(struct download_atom *into, const struct download_atom *next) {
    const uint32_t width = (uint32_t)into->field.width_bytes + next->field.width_bytes;
    if (into->field.base != next->field.base || into->field.offset + into->field.width_bytes != next->field.offset ||
        (width != 2 && width != 4) || (into->field.offset + 2u) % width != 0) {
        return false;
    }
    const uint32_t shift = 8u * next->field.width_bytes;
    into->field.mask = into->field.mask << shift | next->field.mask;
    into->value = into->value << shift | next->value;
    into->field.width_bytes = (uint8_t)width;
    return true;
}

static uint32_t join_all(struct download_atom *atoms, uint32_t count) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || !join(&atoms[kept - 1], &atoms[i])) {
            atoms[kept++] = atoms[i];
        }
    }
    return kept;
}

void download_trie_add(struct download_trie *trie, uint32_t number, const struct download_bpf *program,
                       const struct download_paths *paths) {
    for (uint32_t i = 0; i < paths->count; i++) {
        const struct download_path *path = &paths->path[i];
        struct trie_node *node = &trie->root;
        struct download_atom atoms[DOWNLOAD_ATOMS_MAX];
        memcpy(atoms, path->atoms, sizeof atoms);
        const uint32_t count =
            trie->walk == DOWNLOAD_WALK_COMPILED ? join_all(atoms, path->atom_count) : path->atom_count;
        for (uint32_t j = 0; j < count; j++) {
            node = edge_child(node_edge(node, &atoms[j].field, number), atoms[j].value);
        }
        struct trie_leaf *leaf = sim_allocate(1, sizeof *leaf);
        *leaf = (struct trie_leaf){NULL, number, program, path};
        struct trie_leaf **at = &node->leaves;
        while (*at != NULL) {
            at = &(*at)->next;
        }
        *at = leaf;
    }
}

/* Frees what lies below a node, depth first: at most DOWNLOAD_ATOMS_MAX levels. */
static void node_clear(struct trie_node *node) {
    for (struct trie_leaf *leaf = node->leaves; leaf != NULL;) {
        struct trie_leaf *next = leaf->next;
        free(leaf);
        leaf = next;
    }
    for (struct trie_edge *edge = node->edges; edge != NULL;) {
        struct trie_edge *next = edge->next;
        for (uint32_t i = 0; i < UINT32_C(1) << edge->bucket_bits; i++) {
            for (struct trie_entry *at = edge->buckets[i]; at != NULL;) {
                struct trie_entry *following = at->next;
                node_clear(at->child);
                free(at->child);
                free(at);
                at = following;
            }
        }
        free(edge->buckets);
        free(edge);
        edge = next;
    }
}

void download_trie_free(struct download_trie *trie) {
    if (trie != NULL) {
        node_clear(&trie->root);
        free(trie);
    }
}

/* ---- walking ---- */

struct walk {
    const struct walk_steps *steps;
    struct download_packet packet;
    struct download_work *work;
    uint32_t best;
};

static bool tests_hold(const struct download_path *path, const struct walk *walk) {
    for (uint32_t i = 0; i < path->test_count; i++) {
        uint32_t value = 0;
        download_count(walk->work, walk->steps->test, 1);
        if (!download_field_load(&path->tests[i].field, walk->packet, &value) ||
            !download_test_holds(&path->tests[i], value)) {
            return false;
        }
    }
    return true;
}

static const struct trie_node *follow(const struct trie_edge *edge, const struct walk *walk) {
    uint32_t value = 0;
    download_count(walk->work, walk->steps->field, 1);
    download_count(walk->work, walk->steps->base, edge->field.base != DOWNLOAD_NO_BASE);
    if (!download_field_load(&edge->field, walk->packet, &value)) {
        return NULL;
    }
    download_count(walk->work, edge->count == 1 ? walk->steps->compare : walk->steps->hash, 1);
    for (const struct trie_entry *at = *chain_of(edge, value); at != NULL; at = at->next) {
        if (at->value == value) {
            return at->child;
        }
        download_count(walk->work, walk->steps->probe, at->next != NULL);
    }
    return NULL;
}

static void walk_node(const struct trie_node *node, struct walk *walk) {
    download_count(walk->work, walk->steps->node, 1);
    for (const struct trie_leaf *leaf = node->leaves; leaf != NULL && leaf->number < walk->best; leaf = leaf->next) {
        download_count(walk->work, walk->steps->leaf, 1);
        if (tests_hold(leaf->path, walk) &&
            (leaf->path->exact || download_bpf_run(leaf->program, walk->packet, walk->work) != 0)) {
            walk->best = leaf->number;
        }
    }
    for (const struct trie_edge *edge = node->edges; edge != NULL && edge->lowest < walk->best; edge = edge->next) {
        const struct trie_node *child = follow(edge, walk);
        if (child != NULL) {
            walk_node(child, walk);
        }
    }
}

uint32_t download_trie_find(const struct download_trie *trie, struct download_packet packet,
                            struct download_work *work) {
    struct walk walk = {&steps_of[trie->walk], packet, work, DOWNLOAD_NONE};
    download_count(work, walk.steps->call, 1);
    walk_node(&trie->root, &walk);
    return walk.best;
}
