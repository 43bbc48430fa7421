/* vm.h: virtual memory as a library: the application's own page table, its faults, dirty
 * bits and page protection, on Aegis' secure bindings.
 *
 * The table's entries are words in the application's memory, in guaranteed pages, so
 * that a fault never needs a fault to be handled. Who reads them, and in which form they
 * are kept, is pmap.h's affair, on which this is built. Where the kernel binds pages, the
 * form is the application's choice: a linear array, or a hashed table, whose size follows
 * from the pages in use and not from the address space. The kernel knows neither. On a
 * processor with nested paging it may choose the hardware's.
 *
 * A change of protection changes the table, and then what was made of it: the kernel's
 * translations in one call for a run of pages, or the processor's. Where the library marks
 * a page dirty, it is bound without the right to write until it is written: the exception
 * sets its dirty bit. */
#ifndef STILLSUIT_LIBOS_MODEL_EXOS_VM_H
#define STILLSUIT_LIBOS_MODEL_EXOS_VM_H

#include "kernel_model/exo/binding.h"
#include "sim/param.h"

/* Instructions beside loads and stores; profile section `vm`. */
struct exos_vm_costs {
    struct cost lookup;                /* an address found in the library's map, on a call */
    struct cost page_walk, hash_probe; /* an entry's address, on a fault */
    struct cost protect, protect_page;
    struct cost trap;                             /* a protection trap: to the application's handler and back */
    struct cost choose_victim, page_in, page_out; /* paging.h */
    uint64_t resident;                            /* frames for pages that come and go */
    uint64_t flush_above;                         /* pages that are invalidated at once, not one by one */
    int victim;                                   /* enum exos_victim */
    int page_table;                               /* enum exos_table */
    int frames;                                   /* enum exos_frames */
};
extern const struct param exos_vm_cost_params[];

enum exos_table { EXOS_TABLE_LINEAR, EXOS_TABLE_HASHED, EXOS_TABLE_HARDWARE };
extern const char *const exos_table_names[];

/* Which frames an application asks for: whatever is free; of the color that its page
 * needs to have a place of its own in the cache; or by name, of those free, at random: what
 * a kernel that does not know of colors hands out once its memory has been in use. */
enum exos_frames { EXOS_FRAMES_ANY, EXOS_FRAMES_COLORED, EXOS_FRAMES_RANDOM };
extern const char *const exos_frames_names[];

/* A page table entry: frame number, and what follows. */
#define EXOS_PTE_FRAME UINT32_C(0xfffff000)
enum {
    EXOS_PTE_MAPPED = 1,
    EXOS_PTE_READ = 2,
    EXOS_PTE_WRITE = 4,
    EXOS_PTE_DIRTY = 8,
    EXOS_PTE_REFERENCED = 16 /* where the processor marks what is used */
};

/* Where it lies in every environment that uses it. */
#define EXOS_DATA_AT UINT32_C(0x10000000)
#define EXOS_TABLE_AT UINT32_C(0x0f000000)

struct exos_vm;
/* The application's handler of a protection trap. */
typedef enum aegis_resume exos_trap_handler(struct exos_vm *vm, uint32_t address);

/* Makes a page that is not mapped so, in the page table and vm->handles. False: there is no such page. */
typedef bool exos_absent_handler(struct exos_vm *vm, uint32_t address);

struct exos_pmap;
struct exos_vm {
    struct aegis_environment *environment;
    const struct exos_pmap *pmap; /* pmap.h; NULL: not made yet */
    struct exos_vm_costs *costs;
    uint64_t pages;                 /* in use, from EXOS_DATA_AT on */
    uint64_t capacity;              /* a hashed table's entries (a power of two), or a linear one's */
    uint64_t table_pages;           /* 0: not made yet */
    struct exo_handle *handles;     /* by page */
    exos_trap_handler *on_trap;     /* NULL: the instruction is skipped */
    exos_absent_handler *on_absent; /* NULL: it is not the library's */
    void *context;                  /* the handlers' */
    struct random_stream *draw;     /* for frames at random; NULL: none yet */
    uint64_t traps, misses, dirtied, probes;
};

/* [env] Pages EXOS_DATA_AT onwards, at least `pages` of them, readable and writable, clean
 * and bound. The first call makes the table, for so many. ERR_EXHAUSTED; ERR_SHARE: the table takes
 * more pages than are guaranteed. */
enum error_code exos_vm_grow(struct exos_vm *vm, uint64_t pages, struct error *error);
/* [env] The table for `pages` pages, and room for their handles; no frame. Instead of
 * exos_vm_grow. Errors as there. */
enum error_code exos_vm_reserve(struct exos_vm *vm, uint64_t pages, struct error *error);
void exos_vm_free(struct exos_vm *vm);
/* [env] Enters a page into the table, readable and writable and clean, whose frame has that
 * physical address. There must be room. */
void exos_vm_enter(struct exos_vm *vm, uint32_t address, uint64_t physical);

/* [env] Whether a page was written since it was made or cleaned. */
bool exos_vm_is_dirty(struct exos_vm *vm, uint32_t address);
/* [env] Clears the dirty bit: the next store sets it again. */
void exos_vm_clean(struct exos_vm *vm, uint32_t address);
/* [env] What `pages` pages allow from now on; a page that may be written again is so
 * without an exception if it is dirty. */
void exos_vm_protect(struct exos_vm *vm, uint32_t address, uint64_t pages, enum aegis_protection protection);

/* The exception, if it is about a page of the table: a miss is bound again, a first store
 * marks the page, anything else goes to on_trap. False: it is none of these pages. */
bool exos_vm_fault(struct exos_vm *vm, const struct aegis_exception *exception, enum aegis_resume *resume);

static inline uint32_t exos_vm_page(uint64_t index) {
    return EXOS_DATA_AT + (uint32_t)index * AEGIS_PAGE;
}

#endif
