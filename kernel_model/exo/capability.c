#include "kernel_model/exo/capability.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = UINT32_MAX, KERNELS_PART = 32 /* of the table: one in so many stays the kernel's own */ };

struct slot {
    void *object;
    uint32_t generation, holder, payer;
    uint32_t parent, first_child, next_sibling; /* next_sibling also links free slots */
    uint16_t type, rights;
    bool live, derived;
};

/* What a holder may have of the table, and has. */
struct account {
    uint32_t limit, charged;
    bool open;
};

struct exo_capabilities {
    struct siphash_key key;
    struct slot *slots; /* as many as were ever used, and some */
    uint32_t limit, capacity, used, free_head, live;
    struct account *accounts; /* by holder */
    uint32_t account_count;
    uint32_t reserved; /* the sum of the limits of those that are open */
    uint32_t unpaid;   /* slots that are nobody's who has an account: the kernel's own */
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
    table->key = key;
    table->limit = limit;
    table->free_head = NONE;
    return table;
}

void exo_capabilities_free(struct exo_capabilities *table) {
    if (table != NULL) {
        free(table->slots);
        free(table->accounts);
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

/* ---- who pays ---- */

static struct account *account_of(const struct exo_capabilities *table, uint32_t holder) {
    return holder < table->account_count && table->accounts[holder].open ? &table->accounts[holder] : NULL;
}

bool exo_capabilities_open(struct exo_capabilities *table, uint32_t holder, uint64_t limit) {
    SIM_ASSERT(account_of(table, holder) == NULL);
    if (limit > table->limit - table->limit / KERNELS_PART - table->reserved ||
        limit > table->limit - table->unpaid - table->reserved) {
        return false;
    }
    if (holder >= table->account_count) {
        const uint32_t count = 2 * holder + 16;
        table->accounts = realloc(table->accounts, count * sizeof *table->accounts);
        SIM_ASSERT(table->accounts != NULL);
        memset(table->accounts + table->account_count, 0, (count - table->account_count) * sizeof *table->accounts);
        table->account_count = count;
    }
    table->accounts[holder] = (struct account){.limit = (uint32_t)limit, .open = true};
    table->reserved += (uint32_t)limit;
    return true;
}

void exo_capabilities_close(struct exo_capabilities *table, uint32_t holder) {
    struct account *account = account_of(table, holder);
    SIM_ASSERT_MSG(account == NULL || account->charged == 0, "%u capabilities are not given back", account->charged);
    if (account != NULL) {
        table->reserved -= account->limit;
        account->open = false;
    }
}

uint32_t exo_capabilities_charged(const struct exo_capabilities *table, uint32_t holder) {
    const struct account *account = account_of(table, holder);
    return account != NULL ? account->charged : 0;
}

/* What is reserved for the others is not there for who has no account. */
static enum error_code pay(struct exo_capabilities *table, uint32_t payer) {
    struct account *account = account_of(table, payer);
    if (account == NULL) {
        if (table->unpaid >= table->limit - table->reserved) {
            return ERR_EXHAUSTED;
        }
        table->unpaid++;
        return OK;
    }
    if (account->charged >= account->limit) {
        return ERR_SHARE;
    }
    account->charged++;
    return OK;
}

static void pay_back(struct exo_capabilities *table, uint32_t payer) {
    struct account *account = account_of(table, payer);
    uint32_t *charged = account != NULL ? &account->charged : &table->unpaid;
    SIM_ASSERT(*charged > 0);
    *charged -= 1;
}

/* ---- slots ---- */

/* One that has been paid, so that there is one. */
static uint32_t slot_take(struct exo_capabilities *table) {
    if (table->free_head != NONE) {
        const uint32_t index = table->free_head;
        table->free_head = table->slots[index].next_sibling;
        return index;
    }
    SIM_ASSERT(table->used < table->limit);
    if (table->used == table->capacity) {
        table->capacity = 2 * table->capacity + 64;
        table->slots = realloc(table->slots, table->capacity * sizeof *table->slots);
        SIM_ASSERT(table->slots != NULL);
    }
    table->slots[table->used] = (struct slot){0};
    return table->used++;
}

/* Puts a capability into the tree and writes its handle. */
static enum error_code slot_fill(struct exo_capabilities *table, uint32_t parent, struct slot what,
                                 struct exo_handle *out) {
    const enum error_code code = pay(table, what.payer);
    if (code != OK) {
        return code;
    }
    const uint32_t index = slot_take(table);
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
        .object = object, .holder = holder, .payer = holder, .type = (uint16_t)type, .rights = (uint16_t)rights};
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
        const struct slot what = {.object = object,
                                  .holder = to,
                                  .payer = account_of(table, holder) != NULL ? holder : to,
                                  .type = handle->type,
                                  .rights = (uint16_t)rights,
                                  .derived = true};
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
    pay_back(table, was.payer);
    if (table->types[was.type].release != NULL) {
        table->types[was.type].release(table->types[was.type].context, was.object, index, was.derived);
    }
    table->slots[index].next_sibling = table->free_head;
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
