/* aegis_x86_tables.c: what is bound on a processor that walks page tables: it stands in
 * tables of the kernel's, one for each name space, all of it, so that no miss comes up. */
#include <stdlib.h>

#include "hw/mmu_regs.h"
#include "kernel_model/exo/aegis_x86.h"
#include "kernel_model/exo/binding.h"

/* Instructions of a walk in software, a level: the index shifted and masked, the entry
 * tested and masked. */
enum { LEVEL_INSTRUCTIONS = 4 };

/* ---- page tables ---- */

/* The leaf of a page, as the kernel finds it: a load a level, and the leaf's place. 0: a
 * table is missing. */
static uint64_t leaf_of(struct aegis *aegis, unsigned name_space, uint32_t page) {
    uint64_t table = address_space_root(aegis->processor->spaces[name_space].tables);
    for (unsigned level = MMU_LEVELS;; level--) {
        const unsigned shift = MMU_PAGE_BITS + (level - 1) * MMU_INDEX_BITS;
        const uint64_t at = table + ((uint64_t)page >> shift & ((1U << MMU_INDEX_BITS) - 1)) * MMU_ENTRY_BYTES;
        x86_execute(aegis->x86, LEVEL_INSTRUCTIONS);
        if (level == 1) {
            return at;
        }
        const uint64_t entry = aegis_x86_load(aegis, at);
        if ((entry & MMU_PTE_PRESENT) == 0) {
            return 0;
        }
        table = entry & MMU_PTE_ADDRESS;
    }
}

static uint64_t entry_of(uint64_t physical, bool write) {
    return physical | MMU_PTE_PRESENT | MMU_PTE_USER | (write ? MMU_PTE_WRITABLE : 0);
}

/* Tables that came into being: the free map knows, and each was zeroed and entered. */
static void tables_taken(struct aegis_environment *environment, uint32_t from) {
    enum { STORE_BYTES = 16 };
    const struct exo_environment *inner = environment->environment;
    for (uint32_t i = from; i < inner->table_frame_count; i++) {
        struct context *context = context_current();
        aegis_mark_free(environment->aegis, inner->table_frames[i], false);
        if (context != NULL) {
            cpu_charge(context, AEGIS_PAGE / STORE_BYTES + 1);
            cpu_touch(context, inner->table_frames[i], AEGIS_PAGE, true);
        }
    }
}

/* A page whose tables are not all there. They are charged to the environment, or it could
 * have the kernel's memory for nothing. */
static enum error_code map_with_tables(struct aegis_environment *environment, uint32_t page, uint64_t physical,
                                       bool write, struct error *error) {
    struct exo_environment *inner = environment->environment;
    const uint32_t before = inner->table_frame_count;
    struct address_space *tables = environment->aegis->processor->spaces[environment->asid].tables;
    enum error_code code =
        address_space_map(tables, page, physical, AEGIS_PAGE, MMU_USER | (write ? (unsigned)MMU_WRITE : 0U));
    tables_taken(environment, before);
    code = exo_tables_error(inner, code);
    return code == OK ? OK : error_set(error, code, "%s: no memory for a page table", inner->name);
}

/* The processor forgets a page of an environment that may not be the one that runs. */
static void forget(struct aegis_environment *environment, unsigned name_space, uint32_t page) {
    struct aegis *aegis = environment->aegis;
    const struct x86_space *space = &aegis->processor->spaces[name_space];
    if (space->nested) {
        x86_flush(aegis->x86, space);
    } else {
        x86_invlpg_of(aegis->x86, space, page);
    }
}

/* What was there before is in no TLB any more; what was not there never was. */
enum error_code aegis_x86_bind(struct aegis_environment *environment, uint32_t page, uint64_t physical, bool write,
                               struct error *error) {
    struct aegis *aegis = environment->aegis;
    const uint64_t at = leaf_of(aegis, environment->asid, page);
    if (at == 0) {
        return map_with_tables(environment, page, physical, write, error);
    }
    const uint64_t old = aegis_x86_load(aegis, at);
    aegis_x86_store(aegis, at, entry_of(physical, write));
    if ((old & MMU_PTE_PRESENT) != 0) {
        forget(environment, environment->asid, page);
    }
    return OK;
}

void aegis_x86_unbind(struct aegis_environment *environment, unsigned name_space, uint32_t page) {
    const uint64_t at = leaf_of(environment->aegis, name_space, page);
    if (at != 0) {
        aegis_x86_store(environment->aegis, at, 0);
        forget(environment, name_space, page);
    }
}

/* Rights that are given need no invalidation: an access that the TLB's entry does not
 * allow walks again. Those that are taken are remembered up to the end of the run. */
void aegis_x86_allow(struct aegis_environment *environment, uint32_t page, uint64_t physical, bool access, bool write) {
    struct aegis *aegis = environment->aegis;
    struct aegis_x86 *own = aegis->processor;
    const uint64_t at = leaf_of(aegis, environment->asid, page);
    if (at == 0) {
        return;
    }
    const uint64_t old = aegis_x86_load(aegis, at);
    const uint64_t marks = old & (MMU_PTE_ACCESSED | MMU_PTE_DIRTY);
    aegis_x86_store(aegis, at, access ? entry_of(physical, write) | marks : 0);
    const bool taken = (old & MMU_PTE_PRESENT) != 0 && (!access || ((old & MMU_PTE_WRITABLE) != 0 && !write));
    if (taken) {
        if (own->stale_count < AEGIS_X86_FLUSH_AT) {
            own->stale[own->stale_count] = page;
        }
        own->stale_count++;
    }
}

void aegis_x86_allowed(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    struct aegis_x86 *own = aegis->processor;
    const struct x86_space *space = &own->spaces[environment->asid];
    if (own->stale_count > (space->nested ? 0 : AEGIS_X86_FLUSH_AT)) {
        x86_flush(aegis->x86, space);
    } else {
        for (unsigned i = 0; i < own->stale_count; i++) {
            forget(environment, environment->asid, own->stale[i]);
        }
    }
    own->stale_count = 0;
}

/* ---- name spaces ---- */

static struct aegis_x86_tables *tables_for(struct aegis_environment *environment, struct error *error) {
    struct aegis_x86 *own = environment->aegis->processor;
    const uint32_t before = environment->environment->table_frame_count;
    struct aegis_x86_tables *at = own->more;
    while (at != NULL && (at->owner != environment || at->name_space != 0)) {
        at = at->next;
    }
    if (at != NULL) {
        return at;
    }
    struct address_space *tables = exo_address_space_create(environment->environment, error);
    if (tables == NULL) {
        return NULL;
    }
    tables_taken(environment, before);
    at = calloc(1, sizeof *at);
    SIM_ASSERT(at != NULL);
    *at = (struct aegis_x86_tables){.next = own->more, .owner = environment, .tables = tables};
    own->more = at;
    return at;
}

enum error_code aegis_x86_make_space(struct aegis_environment *environment, unsigned name_space, struct error *error) {
    struct aegis *aegis = environment->aegis;
    struct aegis_x86 *own = aegis->processor;
    if (own->spaces[environment->home].nested) {
        return error_set(error, ERR_UNSUPPORTED, "%s: under nested paging it makes roots of its own",
                         environment->environment->name);
    }
    struct error why = {OK, ""};
    struct aegis_x86_tables *made = tables_for(environment, &why);
    if (made == NULL) {
        return error_set(error, why.code, "%s", why.text);
    }
    made->name_space = name_space;
    own->spaces[name_space] = x86_space_make(made->tables, name_space, false);
    const unsigned was = environment->asid;
    environment->asid = name_space;
    enum error_code code = aegis_x86_bind(environment, AEGIS_SAVE_AREA_AT, environment->save_area, true, error);
    code = code == OK ? aegis_x86_bind(environment, AEGIS_FREE_MAP_AT, aegis->free_map, false, error) : code;
    if (code != OK) {
        aegis_x86_unbind(environment, name_space, AEGIS_SAVE_AREA_AT);
        made->name_space = 0;
    }
    environment->asid = was;
    return code;
}

void aegis_x86_end_space(struct aegis_environment *environment, unsigned name_space) {
    for (struct aegis_x86_tables *at = environment->aegis->processor->more; at != NULL; at = at->next) {
        at->name_space = at->owner == environment && at->name_space == name_space ? 0 : at->name_space;
    }
}

/* The TLB keeps both spaces' entries: their tags differ. Flags and return address of the
 * system call are in registers, and stay there. */
void aegis_x86_enter_space(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    struct x86 *cpu = aegis->x86;
    struct x86_space *space = &aegis->processor->spaces[environment->asid];
    const uint64_t flags = cpu->registers[X86_R11];
    aegis_x86_store(aegis, environment->block + BLOCK_CR3, address_space_root(space->tables) | space->tag);
    if (aegis->processor->running == environment) {
        x86_switch(cpu, space);
        cpu->registers[X86_R11] = flags;
    }
}

void aegis_x86_free_tables(struct aegis_environment *environment) {
    for (struct aegis_x86_tables **at = &environment->aegis->processor->more; *at != NULL;) {
        struct aegis_x86_tables *made = *at;
        if (made->owner == environment) {
            *at = made->next;
            address_space_free(made->tables);
            free(made);
        } else {
            at = &made->next;
        }
    }
}
