/* exo_xn.h: XN's blocks by capability.
 *
 * xn.h protects blocks between owners that it knows by number. Here an owner is a tree of
 * blocks below one root, and who may act for it is a matter of capabilities: each call
 * presents one, for a tree (EXO_BLOCKS) or for a type of metadata (EXO_TEMPLATE), with the
 * right that it takes. They are derived, passed and revoked as all others are.
 *
 * Blocks outlive environments, as storage areas do (vsa.h): when one ends, its capabilities
 * end and its trees stay; the kernel keeps each for the name of the environment that made
 * it, which acquires it again by its root block. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_EXO_XN_H
#define STILLSUIT_KERNEL_MODEL_EXO_EXO_XN_H

#include "kernel_model/exo/environment.h"
#include "kernel_model/exo/xn.h"

enum { EXO_XN_ROOTS_EACH = 8, EXO_XN_TYPES_EACH = 8 }; /* an environment's shares */

struct exo_xn;

/* Puts an XN, which stays the caller's, under the kernel's capabilities. The caller frees
 * it, after the kernel. */
struct exo_xn *exo_xn_create(struct exo_kernel *kernel, struct xn *xn);
void exo_xn_free(struct exo_xn *blocks);

/* xn_template. The capability is for making roots of that type; who sees `type` may
 * also let metadata of its own point to blocks of it. ERR_SHARE. */
enum error_code exo_xn_template(struct exo_xn *blocks, struct exo_environment *environment,
                                const struct download_instruction *owns, uint32_t count, uint32_t *type,
                                struct exo_handle *out, struct error *error);
/* xn_root, of a type: takes EXO_BIND on the template. ERR_SHARE. */
enum error_code exo_xn_root(struct exo_xn *blocks, struct exo_environment *environment,
                            const struct exo_handle *template, uint32_t block, struct exo_handle *out,
                            struct error *error);
/* A capability on the tree of a root that an environment of this name made.
 * ERR_NOT_FOUND, ERR_DENIED. */
enum error_code exo_xn_acquire(struct exo_xn *blocks, struct exo_environment *environment, uint32_t root,
                               unsigned rights, struct exo_handle *out, struct error *error);

/* xn_initialise, xn_modify, xn_write_data, xn_flush: take EXO_WRITE on the tree; xn_read:
 * EXO_READ. */
enum error_code exo_xn_initialise(struct exo_xn *blocks, struct exo_environment *environment,
                                  const struct exo_handle *tree, uint32_t block, const void *bytes,
                                  struct error *error);
enum error_code exo_xn_modify(struct exo_xn *blocks, struct exo_environment *environment, const struct exo_handle *tree,
                              uint32_t block, const struct xn_write *writes, uint32_t count, enum xn_change change,
                              struct download_extent extent, struct error *error);
enum error_code exo_xn_write_data(struct exo_xn *blocks, struct exo_environment *environment,
                                  const struct exo_handle *tree, uint32_t block, const struct xn_write *write,
                                  struct error *error);
enum error_code exo_xn_read(struct exo_xn *blocks, struct exo_environment *environment, const struct exo_handle *tree,
                            uint32_t block, uint32_t offset, uint32_t length_bytes, void *out, struct error *error);
enum error_code exo_xn_flush(struct exo_xn *blocks, struct exo_environment *environment, const struct exo_handle *tree,
                             uint32_t block, struct error *error);

#endif
