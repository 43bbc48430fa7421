#include "kernel_model/exo/capability.h"

#include <stddef.h>
#include <stdlib.h>

enum { NONE = UINT32_MAX };

struct slot {
    void *object;
    uint32_t generation, holder;
    uint32_t parent, first_child, next_sibling; /* next_sibling also links free slots */
    uint16_t type, rights;
    bool live, derived;
};

struct exo_capabilities {
    struct siphash_key key;
    struct slot *slots;
    uint32_t limit, used, free_head, live;
    struct {
        exo_release *release;
        void *context;
    } types[EXO_TYPES];
};

const char *exo_refusal_text(enum exo_refusal refusal) {
    static const char *const texts[EXO_REFUSALS] = {"allowed",    "forged",     "stale",
                                                    "not_holder", "wrong_type", "overreaching"};
    return refusal < EXO_REFUSALS ? texts[refusal] : "unknown";
}

struct exo_capabilities *exo_capabilities_create(struct siphash_key key, uint32_t limit) {
    struct exo_capabilities *table = calloc(1, sizeof *table);
    SIM_ASSERT(table != NULL && limit > 0 && limit < NONE);
    table->slots = calloc(limit, sizeof *table->slots);
    SIM_ASSERT(table->slots != NULL);
    table->key = key;
    table->limit = limit;
    table->free_head = NONE;
    return table;
}

void exo_capabilities_free(struct exo_capabilities *table) {
    if (table != NULL) {
        free(table->slots);
        free(table);
    }
}

void exo_capabilities_on_release(struct exo_capabilities *table, enum exo_type type, exo_release *release,
                                 void *context) {
    table->types[type].release = release;
    table->types[type].context = context;
}

static uint64_t code_of(const struct exo_capabilities *table, const struct exo_handle *handle) {
    return siphash_24(table->key, (const uint8_t *)handle, offsetof(struct exo_handle, code));
}

static uint32_t slot_take(struct exo_capabilities *table) {
    if (table->free_head != NONE) {
        const uint32_t index = table->free_head;
        table->free_head = table->slots[index].next_sibling;
        return index;
    }
    return table->used < table->limit ? table->used++ : NONE;
}

/* Puts a capability into the tree and writes its handle. */
static enum error_code slot_fill(struct exo_capabilities *table, uint32_t parent, struct slot what,
                                 struct exo_handle *out) {
    const uint32_t index = slot_take(table);
    if (index == NONE) {
        return ERR_EXHAUSTED;
    }
    struct slot *slot = &table->slots[index];
    what.generation = slot->generation;
    what.live = true;
    what.parent = parent;
    what.first_child = what.next_sibling = NONE;
    if (parent != NONE) {
        what.next_sibling = table->slots[parent].first_child;
        table->slots[parent].first_child = index;
    }
    *slot = what;
    table->live++;
    *out = (struct exo_handle){.index = index,
                               .generation = slot->generation,
                               .type = slot->type,
                               .rights = slot->rights,
                               .holder = slot->holder};
    out->code = code_of(table, out);
    return OK;
}

enum error_code exo_capability_grant(struct exo_capabilities *table, const struct exo_handle *parent,
                                     enum exo_type type, void *object, uint32_t holder, unsigned rights,
                                     struct exo_handle *out) {
    const struct slot what = {
        .object = object, .holder = holder, .type = (uint16_t)type, .rights = (uint16_t)rights, .derived = false};
    return slot_fill(table, parent != NULL ? parent->index : (uint32_t)NONE, what, out);
}

enum exo_refusal exo_capability_check(const struct exo_capabilities *table, uint32_t holder,
                                      const struct exo_handle *handle, enum exo_type type, unsigned rights,
                                      void **object) {
    /* The code first: what follows may then trust what the handle says. */
    if (handle->code != code_of(table, handle) || handle->index >= table->used) {
        return EXO_FORGED;
    }
    const struct slot *slot = &table->slots[handle->index];
    if (!slot->live || slot->generation != handle->generation) {
        return EXO_STALE;
    }
    if (slot->holder != holder) {
        return EXO_NOT_HOLDER;
    }
    if (slot->type != type) {
        return EXO_WRONG_TYPE;
    }
    if ((slot->rights & rights) != rights) {
        return EXO_OVERREACHING;
    }
    if (object != NULL) {
        *object = slot->object;
    }
    return EXO_ALLOWED;
}

enum exo_refusal exo_capability_derive(struct exo_capabilities *table, uint32_t holder, const struct exo_handle *handle,
                                       unsigned rights, uint32_t to, struct exo_handle *out, enum error_code *error) {
    const unsigned needed = rights | (to != holder ? (unsigned)EXO_GRANT : 0U);
    void *object = NULL;
    const enum exo_refusal refusal =
        exo_capability_check(table, holder, handle, (enum exo_type)handle->type, needed, &object);
    *error = refusal == EXO_ALLOWED ? OK : ERR_DENIED;
    if (refusal == EXO_ALLOWED) {
        const struct slot what = {
            .object = object, .holder = to, .type = handle->type, .rights = (uint16_t)rights, .derived = true};
        *error = slot_fill(table, handle->index, what, out);
    }
    return refusal;
}

static void unlink_from_parent(struct exo_capabilities *table, uint32_t index) {
    const uint32_t parent = table->slots[index].parent;
    if (parent == NONE) {
        return;
    }
    uint32_t *at = &table->slots[parent].first_child;
    while (*at != index) {
        at = &table->slots[*at].next_sibling;
    }
    *at = table->slots[index].next_sibling;
}

/* Ends a leaf. It is out of the tree before its release runs, which may revoke
 * others in turn. */
static void leaf_end(struct exo_capabilities *table, uint32_t index) {
    unlink_from_parent(table, index);
    struct slot *slot = &table->slots[index];
    const struct slot was = *slot;
    slot->live = false;
    slot->object = NULL;
    slot->generation++;
    slot->parent = NONE;
    table->live--;
    if (table->types[was.type].release != NULL) {
        table->types[was.type].release(table->types[was.type].context, was.object, index, was.derived);
    }
    slot->next_sibling = table->free_head;
    table->free_head = index;
}

void exo_capability_revoke_slot(struct exo_capabilities *table, uint32_t index) {
    SIM_ASSERT(index < table->used);
    const uint32_t generation = table->slots[index].generation;
    while (table->slots[index].live && table->slots[index].generation == generation) {
        uint32_t leaf = index;
        while (table->slots[leaf].first_child != NONE) {
            leaf = table->slots[leaf].first_child;
        }
        leaf_end(table, leaf);
    }
}

void exo_capability_revoke(struct exo_capabilities *table, const struct exo_handle *handle) {
    if (handle->index < table->used && table->slots[handle->index].generation == handle->generation) {
        exo_capability_revoke_slot(table, handle->index);
    }
}

void exo_capability_revoke_holder(struct exo_capabilities *table, uint32_t holder) {
    for (uint32_t i = 0; i < table->used; i++) {
        if (table->slots[i].live && table->slots[i].holder == holder) {
            exo_capability_revoke_slot(table, i);
        }
    }
}

bool exo_capability_any(const struct exo_capabilities *table, uint32_t holder, enum exo_type type, unsigned rights,
                        bool (*is)(const void *object, void *context), void *context) {
    for (uint32_t i = 0; i < table->used; i++) {
        const struct slot *slot = &table->slots[i];
        if (slot->live && slot->holder == holder && slot->type == type && (slot->rights & rights) == rights &&
            is(slot->object, context)) {
            return true;
        }
    }
    return false;
}

uint32_t exo_capabilities_live(const struct exo_capabilities *table) {
    return table->live;
}
