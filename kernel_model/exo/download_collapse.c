#include "kernel_model/exo/download_collapse.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "sim/error.h"

struct member {
    uint32_t number;
    const struct download_bpf *program;
    uint32_t key[DOWNLOAD_BPF_KEYS_MAX];
    struct member *next, *chain; /* in order of number; in its hash chain */
};
struct group {
    struct group *next;
    bool open; /* others may join */
    struct download_bpf_keys keys;
    struct member *members, **members_end;
    uint32_t member_count, bucket_bits;
    struct member **buckets;
};
struct download_collapse {
    struct group *groups; /* in order of their first member */
};

struct download_collapse *download_collapse_create(void) {
    struct download_collapse *collapse = calloc(1, sizeof *collapse);
    SIM_ASSERT(collapse != NULL);
    return collapse;
}

static void group_free(struct group *group) {
    for (struct member *at = group->members; at != NULL;) {
        struct member *next = at->next;
        free(at);
        at = next;
    }
    free(group->buckets);
    free(group);
}

void download_collapse_free(struct download_collapse *collapse) {
    for (struct group *at = collapse != NULL ? collapse->groups : NULL; at != NULL;) {
        struct group *next = at->next;
        group_free(at);
        at = next;
    }
    free(collapse);
}

/* ---- forms ---- */

static bool rejects(const struct download_bpf *program, uint32_t at) {
    return program->code[at].code == (BPF_RET | BPF_K) && program->code[at].k == 0;
}

/* One way leads to acceptance: every conditional jump has one that rejects. */
static bool is_single_path(const struct download_bpf *program) {
    for (uint32_t i = 0; i < program->count; i++) {
        const struct download_bpf_instruction *at = &program->code[i];
        if (BPF_CLASS(at->code) == BPF_JMP && BPF_OP(at->code) != BPF_JA && !rejects(program, i + 1 + at->jump_true) &&
            !rejects(program, i + 1 + at->jump_false)) {
            return false;
        }
    }
    return true;
}

static bool may_be_key(const struct download_bpf *program, uint32_t i) {
    const struct download_bpf_instruction *at = &program->code[i];
    return at->code == (BPF_JMP | BPF_JEQ | BPF_K) && rejects(program, i + 1 + at->jump_false) &&
           !rejects(program, i + 1 + at->jump_true);
}

/* Whether `program` has the group's form; `keys` receives where the two differ, beside
 * what the group has. */
static bool same_form(const struct group *group, const struct download_bpf *program, struct download_bpf_keys *keys) {
    const struct download_bpf *first = group->members->program;
    *keys = group->keys;
    if (!group->open || program->count != first->count) {
        return false;
    }
    for (uint32_t i = 0; i < program->count; i++) {
        const struct download_bpf_instruction *a = &first->code[i], *b = &program->code[i];
        if (a->code != b->code || a->jump_true != b->jump_true || a->jump_false != b->jump_false ||
            (a->k != b->k && !may_be_key(first, i))) {
            return false;
        }
        if (a->k != b->k && !keys->is_key[i]) {
            keys->is_key[i] = true;
            keys->count++;
        }
    }
    return keys->count <= DOWNLOAD_BPF_KEYS_MAX;
}

/* ---- the table of a group ---- */

static struct member **chain_of(const struct group *group, const uint32_t *key) {
    uint32_t hash = UINT32_C(2166136261);
    for (uint32_t i = 0; i < group->keys.count; i++) {
        hash = (hash ^ key[i]) * UINT32_C(2654435761);
        hash ^= hash >> 15;
    }
    return &group->buckets[hash & ((UINT32_C(1) << group->bucket_bits) - 1)];
}

static void rehash(struct group *group) {
    while (UINT32_C(1) << group->bucket_bits < group->member_count) {
        group->bucket_bits++;
    }
    free(group->buckets);
    group->buckets = calloc(UINT32_C(1) << group->bucket_bits, sizeof(struct member *));
    SIM_ASSERT(group->buckets != NULL);
    for (struct member *at = group->members; at != NULL; at = at->next) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < at->program->count; i++) {
            if (group->keys.is_key[i]) {
                at->key[count++] = at->program->code[i].k;
            }
        }
        struct member **chain = chain_of(group, at->key);
        while (*chain != NULL) {
            chain = &(*chain)->chain; /* at the end: of equal keys, the lowest number is met first */
        }
        at->chain = NULL;
        *chain = at;
    }
}

void download_collapse_add(struct download_collapse *collapse, uint32_t number, const struct download_bpf *program) {
    struct download_bpf_keys keys;
    struct group **at = &collapse->groups;
    while (*at != NULL && !same_form(*at, program, &keys)) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = calloc(1, sizeof **at);
        SIM_ASSERT(*at != NULL);
        (*at)->open = is_single_path(program);
        (*at)->members_end = &(*at)->members;
    } else {
        (*at)->keys = keys;
    }
    struct member *member = calloc(1, sizeof *member);
    SIM_ASSERT(member != NULL);
    member->number = number;
    member->program = program;
    *(*at)->members_end = member;
    (*at)->members_end = &member->next;
    (*at)->member_count++;
    rehash(*at);
}

static uint32_t group_find(const struct group *group, struct download_packet packet, struct download_work *work) {
    struct download_bpf_keys keys = group->keys;
    if (download_bpf_run_keyed(group->members->program, packet, &keys, work) == 0) {
        return DOWNLOAD_NONE;
    }
    if (keys.count == 0) {
        return group->members->number;
    }
    download_count(work, DOWNLOAD_key_hash, 1);
    for (const struct member *at = *chain_of(group, keys.value); at != NULL; at = at->chain) {
        if (memcmp(at->key, keys.value, keys.count * sizeof keys.value[0]) == 0) {
            return at->number;
        }
        download_count(work, DOWNLOAD_key_probe, at->chain != NULL);
    }
    return DOWNLOAD_NONE;
}

uint32_t download_collapse_find(const struct download_collapse *collapse, struct download_packet packet,
                                struct download_work *work) {
    uint32_t best = DOWNLOAD_NONE;
    for (const struct group *at = collapse->groups; at != NULL && at->members->number < best; at = at->next) {
        const uint32_t found = group_find(at, packet, work);
        best = found < best ? found : best;
    }
    return best;
}
