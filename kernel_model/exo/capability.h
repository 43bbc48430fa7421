/* capability.h: who may do what to which resource.
 *
 * A capability is a slot in the kernel's table; what an environment holds is a
 * handle that names the slot. The handle authenticates itself: it carries its type,
 * rights and holder in the clear, and a keyed code (SipHash-2-4) over all of them
 * with the slot's generation, so that a made-up or edited handle fails before the
 * table is even looked at. A slot's generation changes when it is revoked, so that
 * an old handle never comes to mean something new.
 *
 * Life of a capability: `grant` makes it with its object; `derive` makes a child
 * with the same object and no more rights, for the holder or for another; objects
 * that live inside another (a filter of a virtual function) are granted as
 * children of its capability. `revoke` ends a capability and everything below it,
 * leaves first; each tells its type's `release`, which undoes the secure binding
 * (a page table entry, a filter in the NIC) made under it.
 *
 * Slots are memory, and so somebody's: a holder with an account pays for those granted to
 * it and for those it derives, whoever holds them then, since it is its call that takes
 * them. A slot ends with its parent at the latest, which its payer holds: what a holder is
 * charged comes back with its own capabilities. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_CAPABILITY_H
#define STILLSUIT_KERNEL_MODEL_EXO_CAPABILITY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel_model/exo/siphash.h"
#include "sim/error.h"

enum exo_type {
    EXO_NONE,
    EXO_FRAMES,        /* a run of physical page frames */
    EXO_FUNCTION,      /* a virtual function of a device */
    EXO_QUEUE,         /* a queue pair of a function */
    EXO_FILTER,        /* a part of header space, bound to a function */
    EXO_DOORBELL,      /* an interrupt vector, bound to an end point */
    EXO_END_POINT,     /* where a thread is notified */
    EXO_VSIC,          /* a virtual storage interface: a controller of an NVMe drive, or one emulated */
    EXO_STORAGE_QUEUE, /* a queue pair of a VSIC */
    EXO_VSA,           /* a virtual storage area: a part of a drive */
    EXO_SLICE,         /* a position in the vector of time slices */
    EXO_BLOCKS,        /* a tree of disk blocks under XN, by its root */
    EXO_TEMPLATE,      /* a type of metadata that XN knows */
    EXO_DOWNLOADED,    /* a downloaded packet filter */
    EXO_TYPES = 16
};

enum exo_right {
    EXO_READ = 1,    /* map for reading */
    EXO_WRITE = 2,   /* map for writing */
    EXO_BIND = 4,    /* make something inside it: a queue, a filter, a doorbell, a VSA's attachment */
    EXO_CONTROL = 8, /* set its rate, wait on it, revoke it */
    EXO_GRANT = 16,  /* pass it on to another environment */
    EXO_ALL = 31
};

/* What an environment holds: plain bytes, which it may copy, show or scribble on. */
struct exo_handle {
    uint32_t index, generation;
    uint16_t type, rights;
    uint32_t holder; /* the environment's number */
    uint64_t code;
};
_Static_assert(sizeof(struct exo_handle) == 24, "no padding: the code covers the bytes before it");

/* Why a use was refused. */
enum exo_refusal {
    EXO_ALLOWED,
    EXO_FORGED,       /* the code does not fit */
    EXO_STALE,        /* revoked since */
    EXO_NOT_HOLDER,   /* another environment's */
    EXO_WRONG_TYPE,   /* not that kind of resource */
    EXO_OVERREACHING, /* a right that it does not carry */
    EXO_REFUSALS
};
const char *exo_refusal_text(enum exo_refusal refusal);

struct exo_capabilities;

/* Undoes what was bound under slot `index`; `derived` means that the object lives
 * on under the parent's slot, otherwise it ends here. */
typedef void exo_release(void *context, void *object, uint32_t index, bool derived);

/* A table of at most `limit` capabilities, of whom nobody has an account. The caller frees it (which releases
 * nothing: revoke first). */
struct exo_capabilities *exo_capabilities_create(struct siphash_key key, uint32_t limit);
void exo_capabilities_free(struct exo_capabilities *table);
void exo_capabilities_on_release(struct exo_capabilities *table, enum exo_type type, exo_release *release,
                                 void *context);

/* Reserves `limit` slots for a holder, which pays for its own from then on; false: they are
 * not there, beside what is reserved for others and the kernel's own. Closing asserts that all
 * came back. Charged: how many it pays for. */
bool exo_capabilities_open(struct exo_capabilities *table, uint32_t holder, uint64_t limit);
void exo_capabilities_close(struct exo_capabilities *table, uint32_t holder);
uint32_t exo_capabilities_charged(const struct exo_capabilities *table, uint32_t holder);

/* A new capability with all `rights` on `object` for `holder`, below `parent` (NULL:
 * a root), who pays. ERR_SHARE: it has as many as it may; ERR_EXHAUSTED: without an account,
 * no slot is left. */
enum error_code exo_capability_grant(struct exo_capabilities *table, const struct exo_handle *parent,
                                     enum exo_type type, void *object, uint32_t holder, unsigned rights,
                                     struct exo_handle *out);

/* What `holder` presents, checked for all of `rights`. */
enum exo_refusal exo_capability_check(const struct exo_capabilities *table, uint32_t holder,
                                      const struct exo_handle *handle, enum exo_type type, unsigned rights,
                                      void **object);

/* A child of a handle that has been checked, with `rights`, for `to`: refused
 * (EXO_OVERREACHING) if it would have more than its parent, or if the parent may
 * not be granted and `to` is another. `holder` pays, or `to` if only that has an account.
 * `error`: as exo_capability_grant's, or ERR_DENIED. */
enum exo_refusal exo_capability_derive(struct exo_capabilities *table, uint32_t holder, const struct exo_handle *handle,
                                       unsigned rights, uint32_t to, struct exo_handle *out, enum error_code *error);

/* Ends a capability (named by slot or by a handle that has been checked) and all
 * below it. Without effect on a handle that is stale. */
void exo_capability_revoke(struct exo_capabilities *table, const struct exo_handle *handle);
void exo_capability_revoke_slot(struct exo_capabilities *table, uint32_t index);
/* Ends every capability of a holder with what was derived from them. */
void exo_capability_revoke_holder(struct exo_capabilities *table, uint32_t holder);

/* Whether `holder` has a live capability of that type and rights for whose object `is`
 * says so: for what names a resource by address instead of by capability. */
bool exo_capability_any(const struct exo_capabilities *table, uint32_t holder, enum exo_type type, unsigned rights,
                        bool (*is)(const void *object, void *context), void *context);

uint32_t exo_capabilities_live(const struct exo_capabilities *table);

#endif
