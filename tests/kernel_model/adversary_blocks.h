/* adversary_blocks.h: Alice's disk blocks under XN; random calls of others on theirs; what the
 * monitor knows of them; and looks at the disk.
 *
 * For a test that has these: monitor, error, MUST, draw, alice, tree, directories; a handle of
 * a type, good or bad (some_handle), a place to keep one (keep), what is said of an answer
 * (answered), and a number for an environment's name (who). */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_ADVERSARY_BLOCKS_H
#define STILLSUIT_TESTS_KERNEL_MODEL_ADVERSARY_BLOCKS_H

#include "kernel_model/exo/exo_xn.h"
#include "tests/kernel_model/xn_fixture.h"

enum { ROOT = 3, INODE = 20, DATA = 30, DATA_BLOCKS = 4 };

static struct exo_xn *blocks;
/* As the answers had it: whose tree a block is in (by its root + 1; 0: nobody's), and who made
 * the tree with that root (by name, from 1: trees outlive their environments). */
static uint32_t tree_of[BLOCKS], made_by[BLOCKS];
static uint64_t claims;

/* ---- Alice's ---- */

static void alice_changes(uint32_t block, uint32_t at, uint32_t value, uint32_t at2, uint32_t value2,
                          struct download_extent extent_of) {
    const uint32_t words[][3] = {{0, 1}, {at, value}, {at2, value2}};
    struct xn_write writes[3];
    for (int i = 0; i < 3; i++) {
        writes[i] = (struct xn_write){words[i][0] * 4, 4, &words[i][1]};
    }
    cr_assert_eq(exo_xn_modify(blocks, alice, &tree, block, writes, 3, XN_ALLOCATE, extent_of, &error), OK, "%s",
                 error.text);
}

static void alice_blocks(void) {
    uint32_t type = 0;
    const uint32_t count = sizeof directory_owns / sizeof *directory_owns;
    cr_assert_eq(exo_xn_template(blocks, alice, directory_owns, count, &type, &directories, &error), OK);
    (void)monitor_granted(&monitor, NULL, EXO_TEMPLATE, alice->number, &directories);
    cr_assert_eq(exo_xn_root(blocks, alice, &directories, ROOT, &tree, &error), OK);
    monitor_granted(&monitor, NULL, EXO_BLOCKS, alice->number, &tree)->object = ROOT + 1;
    cr_assert_eq(exo_xn_initialise(blocks, alice, &tree, ROOT, fixture_empty, &error), OK);
    alice_changes(ROOT, 1, INODE, 100, 0, (struct download_extent){INODE, 1, inode_type});
    cr_assert_eq(exo_xn_initialise(blocks, alice, &tree, INODE, fixture_empty, &error), OK);
    alice_changes(INODE, 1, DATA, 2, DATA_BLOCKS, (struct download_extent){DATA, DATA_BLOCKS, XN_DATA});
    tree_of[ROOT] = tree_of[INODE] = ROOT + 1;
    for (uint32_t i = 0; i < DATA_BLOCKS; i++) {
        uint8_t bytes[BLOCK_BYTES];
        memset(bytes, (int)(0x50 + i), sizeof bytes);
        const struct xn_write write = {0, BLOCK_BYTES, bytes};
        cr_assert_eq(exo_xn_write_data(blocks, alice, &tree, DATA + i, &write, &error), OK);
        cr_assert_eq(exo_xn_flush(blocks, alice, &tree, DATA + i, &error), OK);
        tree_of[DATA + i] = ROOT + 1;
    }
}

static void make_blocks(struct exo_kernel *of) {
    xn_fixture_make();
    blocks = exo_xn_create(of, fixture_xn);
    alice_blocks();
}

/* ---- looks ---- */

static void look_at_blocks(void) {
    uint8_t bytes[BLOCK_BYTES];
    for (uint32_t i = 0; i < DATA_BLOCKS; i++) {
        MUST(xn_state(fixture_xn, DATA + i) == XN_STATE_ALLOCATED && xn_type(fixture_xn, DATA + i) == XN_DATA,
             "Alice's block is free");
        memory_read(fixture_memory, DISK + (uint64_t)(DATA + i) * BLOCK_BYTES, bytes, sizeof bytes);
        MUST(bytes[0] == 0x50 + i && bytes[BLOCK_BYTES - 1] == 0x50 + i, "Alice's block has changed on the disk");
        const enum error_code code = exo_xn_read(blocks, alice, &tree, DATA + i, 0, sizeof bytes, bytes, &error);
        MUST(code == ERR_EXHAUSTED || (code == OK && bytes[7] == 0x50 + i), "Alice's block has changed");
    }
    MUST(xn_type(fixture_xn, INODE) == inode_type && xn_type(fixture_xn, ROOT) == directory_type + 1,
         "Alice's metadata is of another type");
}

/* ---- calls ---- */

/* The root of the tree that a handle is for, as the monitor has it, + 1; 0: none. */
static uint32_t tree_by(const struct exo_handle *handle) {
    const struct monitor_capability *held = monitor_find(&monitor, handle);
    return held != NULL && held->type == EXO_BLOCKS ? (uint32_t)held->object : 0;
}

static bool in_tree(const struct exo_handle *handle, uint32_t block) {
    return block < BLOCKS && tree_of[block] != 0 && tree_of[block] == tree_by(handle);
}

/* A change that was made: what it took was nobody's, what it gave up was its own. */
static void changed(const struct exo_handle *handle, enum xn_change change, struct download_extent extent_of) {
    const uint32_t own = tree_by(handle);
    for (uint32_t i = 0; change != XN_KEEP && i < extent_of.count; i++) {
        uint32_t *at = &tree_of[extent_of.block + i];
        MUST(*at == (change == XN_ALLOCATE ? 0 : own), "a change took or freed another's block");
        *at = change == XN_ALLOCATE ? own : 0;
        claims++;
    }
}

static void modify(struct exo_environment *e, const struct exo_handle *handle, uint32_t block,
                   const struct xn_write *writes, uint32_t count, enum xn_change change,
                   struct download_extent extent_of) {
    const bool allowed = monitor_allows(&monitor, e->number, handle, EXO_BLOCKS, EXO_WRITE) && in_tree(handle, block);
    if (answered(exo_xn_modify(blocks, e, handle, block, writes, count, change, extent_of, NULL), allowed, false)) {
        changed(handle, change, extent_of);
    }
}

/* A change that says the truth, lies, or takes what is another's. */
static void claim(struct exo_environment *e, const struct exo_handle *handle, uint32_t block) {
    const uint32_t one = 1, points = draw(3) == 0 ? DATA : draw(BLOCKS);
    const struct xn_write writes[] = {{0, 4, &one}, {4, 4, &points}};
    const struct download_extent extent_of = {draw(2) == 0 ? points : draw(BLOCKS), 1, inode_type};
    modify(e, handle, block, writes, 2, XN_ALLOCATE, extent_of);
}

/* ... and gives it up again. */
static void give_up(struct exo_environment *e, const struct exo_handle *handle, uint32_t block) {
    uint32_t points = 0;
    const uint32_t none = 0;
    const struct xn_write write = {0, 4, &none};
    if (exo_xn_read(blocks, e, handle, block, 4, 4, &points, NULL) == OK) {
        modify(e, handle, block, &write, 1, XN_FREE, (struct download_extent){points, 1, inode_type});
    }
}

static void root(struct exo_environment *e, uint32_t block) {
    struct exo_handle made;
    const struct exo_handle template = some_handle(EXO_TEMPLATE);
    const bool allowed =
        monitor_allows(&monitor, e->number, &template, EXO_TEMPLATE, EXO_BIND) && block < BLOCKS && tree_of[block] == 0;
    if (answered(exo_xn_root(blocks, e, &template, block, &made, NULL), allowed, false)) {
        monitor_granted(&monitor, NULL, EXO_BLOCKS, e->number, &made)->object = block + 1;
        tree_of[block] = block + 1;
        made_by[block] = (uint32_t)who(e) + 1;
        keep(EXO_BLOCKS, &made);
        (void)exo_xn_initialise(blocks, e, &made, block, fixture_empty, NULL);
    }
}

static void acquire(struct exo_environment *e, uint32_t block) {
    struct exo_handle made;
    const unsigned rights = draw(4) == 0 ? draw(UINT32_MAX) : draw(32);
    const bool allowed =
        block < BLOCKS && made_by[block] == (uint32_t)who(e) + 1 && rights != 0 && (rights & ~(unsigned)EXO_ALL) == 0;
    if (answered(exo_xn_acquire(blocks, e, block, rights, &made, NULL), allowed, true)) {
        monitor_granted(&monitor, NULL, EXO_BLOCKS, e->number, &made)->object = block + 1;
        keep(EXO_BLOCKS, &made);
    }
}

static uint32_t some_block(const struct exo_handle *handle) {
    const uint32_t own = tree_by(handle);
    return draw(2) == 0 && own != 0 ? own - 1 : draw(3) == 0 ? DATA + draw(DATA_BLOCKS) : draw(BLOCKS + 2);
}

static void blocks_call(struct exo_environment *e) {
    const struct exo_handle handle = some_handle(EXO_BLOCKS);
    const uint32_t block = some_block(&handle), words[3] = {draw(3), draw(BLOCKS), draw(4)};
    const struct download_extent extent_of = {draw(BLOCKS + 4), draw(4), draw(4)};
    const struct xn_write writes[] = {{0, 4, &words[0]}, {4, 4, &words[1]}, {draw(2 * BLOCK_BYTES), draw(9), words}};
    const bool writes_it =
        monitor_allows(&monitor, e->number, &handle, EXO_BLOCKS, EXO_WRITE) && in_tree(&handle, block);
    const bool reads_it = monitor_allows(&monitor, e->number, &handle, EXO_BLOCKS, EXO_READ) && in_tree(&handle, block);
    uint8_t bytes[BLOCK_BYTES];
    switch (draw(9)) {
    case 0:
        root(e, draw(BLOCKS + 2));
        break;
    case 1:
        (void)answered(exo_xn_initialise(blocks, e, &handle, block, fixture_empty, NULL), writes_it, false);
        break;
    case 2:
        (void)answered(exo_xn_write_data(blocks, e, &handle, block, &writes[draw(3)], NULL), writes_it, false);
        break;
    case 3:
        (void)answered(exo_xn_flush(blocks, e, &handle, block, NULL), writes_it, true);
        break;
    case 4:
        (void)answered(exo_xn_read(blocks, e, &handle, block, draw(600), draw(100), bytes, NULL), reads_it, false);
        break;
    case 5:
        acquire(e, draw(4) == 0 ? (uint32_t)ROOT : draw(BLOCKS + 2));
        break;
    case 6:
        claim(e, &handle, block);
        break;
    case 7:
        give_up(e, &handle, block);
        break;
    default:
        modify(e, &handle, block, writes, draw(4), (enum xn_change)draw(3), extent_of);
        break;
    }
}

#endif
