#include "kernel_model/exo/exo_xn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KERNEL_HOLDER = 0 }; /* environments count from 1 */

/* An owner as XN knows it. */
struct tree {
    struct tree *next;
    uint32_t number, root;
    char owner[32];
    struct exo_handle kernels; /* the kernel's own capability, above all others */
};

struct template {
    struct template *next;
    struct exo_xn *blocks;
    struct exo_environment *environment;
    uint32_t type;
};

struct exo_xn {
    struct exo_kernel *kernel;
    struct xn *xn;
    struct tree *trees;
    struct template *templates;
    uint32_t last_tree;
};

/* What the kernel knows of a type outlives its capability: the disk has blocks of it. */
static void template_release(void *context, void *object, uint32_t index, bool derived) {
    (void)context;
    (void)index;
    struct template *template = object;
    if (derived) {
        return;
    }
    struct template **at = &template->blocks->templates;
    while (*at != template) {
        at = &(*at)->next;
    }
    *at = template->next;
    free(template);
}

struct exo_xn *exo_xn_create(struct exo_kernel *kernel, struct xn *xn) {
    struct exo_xn *blocks = calloc(1, sizeof *blocks);
    SIM_ASSERT(blocks != NULL);
    blocks->kernel = kernel;
    blocks->xn = xn;
    exo_capabilities_on_release(kernel->capabilities, EXO_TEMPLATE, template_release, NULL);
    return blocks;
}

void exo_xn_free(struct exo_xn *blocks) {
    while (blocks != NULL && blocks->trees != NULL) {
        struct tree *tree = blocks->trees;
        blocks->trees = tree->next;
        free(tree);
    }
    free(blocks);
}

/* ---- types and trees ---- */

enum error_code exo_xn_template(struct exo_xn *blocks, struct exo_environment *environment,
                                const struct download_instruction *owns, uint32_t count, uint32_t *type,
                                struct exo_handle *out, struct error *error) {
    exo_enter(blocks->kernel, NULL);
    uint32_t held = 0;
    for (const struct template *at = blocks->templates; at != NULL; at = at->next) {
        held += at->environment == environment;
    }
    if (held >= EXO_XN_TYPES_EACH) {
        return exo_share(environment, "types of metadata", error);
    }
    struct template *template = calloc(1, sizeof *template);
    SIM_ASSERT(template != NULL);
    enum error_code code = xn_template(blocks->xn, owns, count, type, error);
    if (code != OK) {
        free(template);
        return code;
    }
    *template = (struct template){blocks->templates, blocks, environment, *type};
    blocks->templates = template;
    code = exo_grant(environment, NULL, EXO_TEMPLATE, template, out, error);
    if (code != OK) {
        template_release(NULL, template, 0, false);
    }
    return code;
}

static bool owns_tree(const struct exo_environment *environment, const struct tree *tree) {
    return strcmp(environment->name, tree->owner) == 0;
}

/* A capability below the kernel's. */
static enum error_code hand_out(struct exo_environment *environment, const struct tree *tree, unsigned rights,
                                struct exo_handle *out, struct error *error) {
    enum error_code code = OK;
    const enum exo_refusal refusal = exo_capability_derive(environment->kernel->capabilities, KERNEL_HOLDER,
                                                           &tree->kernels, rights, environment->number, out, &code);
    SIM_ASSERT(refusal == EXO_ALLOWED);
    return code == OK ? OK : exo_no_capability(environment, code, error);
}

enum error_code exo_xn_root(struct exo_xn *blocks, struct exo_environment *environment,
                            const struct exo_handle *template, uint32_t block, struct exo_handle *out,
                            struct error *error) {
    exo_enter(blocks->kernel, NULL);
    void *object = NULL;
    enum error_code code = exo_check(environment, template, EXO_TEMPLATE, EXO_BIND, &object, error);
    if (code != OK) {
        return code;
    }
    uint32_t held = 0;
    for (const struct tree *at = blocks->trees; at != NULL; at = at->next) {
        held += owns_tree(environment, at);
    }
    if (held >= EXO_XN_ROOTS_EACH) {
        return exo_share(environment, "roots", error);
    }
    struct tree *tree = calloc(1, sizeof *tree);
    SIM_ASSERT(tree != NULL);
    tree->number = blocks->last_tree + 1;
    tree->root = block;
    (void)snprintf(tree->owner, sizeof tree->owner, "%s", environment->name);
    struct exo_capabilities *table = blocks->kernel->capabilities;
    if (exo_capability_grant(table, NULL, EXO_BLOCKS, tree, KERNEL_HOLDER, EXO_ALL, &tree->kernels) != OK) {
        free(tree);
        return exo_no_capability(environment, ERR_EXHAUSTED, error);
    }
    code = hand_out(environment, tree, EXO_ALL, out, error);
    if (code == OK) {
        code = xn_root(blocks->xn, tree->number, ((const struct template *)object)->type, block, error);
    }
    if (code != OK) {
        exo_capability_revoke(table, &tree->kernels);
        free(tree);
        return code;
    }
    blocks->last_tree++;
    tree->next = blocks->trees;
    blocks->trees = tree;
    return OK;
}

enum error_code exo_xn_acquire(struct exo_xn *blocks, struct exo_environment *environment, uint32_t root,
                               unsigned rights, struct exo_handle *out, struct error *error) {
    exo_enter(blocks->kernel, NULL);
    const struct tree *tree = blocks->trees;
    while (tree != NULL && tree->root != root) {
        tree = tree->next;
    }
    if (tree == NULL) {
        return error_set(error, ERR_NOT_FOUND, "%s: block %u is no root", environment->name, root);
    }
    if (!owns_tree(environment, tree) || rights == 0 || (rights & ~(unsigned)EXO_ALL) != 0) {
        environment->counters.storage_refusals++;
        blocks->kernel->counters.storage_refusals++;
        return error_set(error, ERR_DENIED, "%s: the tree of block %u is %s's", environment->name, root, tree->owner);
    }
    return hand_out(environment, tree, rights, out, error);
}

/* ---- calls on a tree ---- */

/* Who XN is to take the caller for. */
static enum error_code act_for(struct exo_xn *blocks, struct exo_environment *environment,
                               const struct exo_handle *handle, unsigned rights, uint32_t *owner, struct error *error) {
    void *object = NULL;
    exo_enter(blocks->kernel, NULL);
    const enum error_code code = exo_check(environment, handle, EXO_BLOCKS, rights, &object, error);
    *owner = code == OK ? ((const struct tree *)object)->number : 0;
    return code;
}

enum error_code exo_xn_initialise(struct exo_xn *blocks, struct exo_environment *environment,
                                  const struct exo_handle *tree, uint32_t block, const void *bytes,
                                  struct error *error) {
    uint32_t owner = 0;
    const enum error_code code = act_for(blocks, environment, tree, EXO_WRITE, &owner, error);
    return code != OK ? code : xn_initialise(blocks->xn, owner, block, bytes, error);
}

enum error_code exo_xn_modify(struct exo_xn *blocks, struct exo_environment *environment, const struct exo_handle *tree,
                              uint32_t block, const struct xn_write *writes, uint32_t count, enum xn_change change,
                              struct download_extent extent, struct error *error) {
    uint32_t owner = 0;
    const enum error_code code = act_for(blocks, environment, tree, EXO_WRITE, &owner, error);
    return code != OK ? code : xn_modify(blocks->xn, owner, block, writes, count, change, extent, error);
}

enum error_code exo_xn_write_data(struct exo_xn *blocks, struct exo_environment *environment,
                                  const struct exo_handle *tree, uint32_t block, const struct xn_write *write,
                                  struct error *error) {
    uint32_t owner = 0;
    const enum error_code code = act_for(blocks, environment, tree, EXO_WRITE, &owner, error);
    return code != OK ? code : xn_write_data(blocks->xn, owner, block, write, error);
}

enum error_code exo_xn_read(struct exo_xn *blocks, struct exo_environment *environment, const struct exo_handle *tree,
                            uint32_t block, uint32_t offset, uint32_t length_bytes, void *out, struct error *error) {
    uint32_t owner = 0;
    const enum error_code code = act_for(blocks, environment, tree, EXO_READ, &owner, error);
    return code != OK ? code : xn_read(blocks->xn, owner, block, offset, length_bytes, out, error);
}

enum error_code exo_xn_flush(struct exo_xn *blocks, struct exo_environment *environment, const struct exo_handle *tree,
                             uint32_t block, struct error *error) {
    uint32_t owner = 0;
    const enum error_code code = act_for(blocks, environment, tree, EXO_WRITE, &owner, error);
    return code != OK ? code : xn_flush(blocks->xn, owner, block, error);
}
