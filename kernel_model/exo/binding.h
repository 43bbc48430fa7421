/* binding.h: frames and translations: what an environment may address.
 *
 * A frame is asked for by name, by color, or just any; the list of free frames is in
 * every environment's address space to read. A translation is a secure binding: the
 * environment presents a capability of the frame, the kernel checks it once, and from
 * then on the TLB (and behind it the software TLB) enforces it. The environment's
 * page table is its own affair, in any form. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_BINDING_H
#define STILLSUIT_KERNEL_MODEL_EXO_BINDING_H

#include "kernel_model/exo/aegis.h"

/* The kernel's record that `environment` addresses a frame at a page. It may outlive
 * the entries themselves, which caches drop when they like. */
struct aegis_binding {
    struct aegis_binding *next_of_frame, *next_of_environment;
    struct aegis_environment *environment;
    unsigned name_space;
    uint32_t page; /* virtual address, in that name space */
    uint32_t frame;
    uint32_t capability; /* the slot of the one presented */
    bool write;          /* the most that it was checked for */
    bool guaranteed;     /* the kernel keeps it, too */
};

/* What an application allows itself of what it has bound. */
enum aegis_protection { AEGIS_NO_ACCESS, AEGIS_READ_ONLY, AEGIS_READ_WRITE };

enum { AEGIS_ANY_COLOR = UINT32_MAX, AEGIS_ANY_NAME_SPACE = 0 };

/* [env] A frame: `wanted` (its physical address) or any, of that color or any. ERR_SHARE,
 * ERR_EXHAUSTED, ERR_RANGE. */
enum error_code aegis_frame_allocate(struct aegis_environment *environment, uint64_t wanted, uint32_t color,
                                     struct exo_handle *handle, uint64_t *physical, struct error *error);
/* [env] Gives a frame back; takes EXO_CONTROL. */
enum error_code aegis_frame_release(struct aegis_environment *environment, const struct exo_handle *handle,
                                    struct error *error);
/* [env] Binds the page at `virtual_address` to the frame of a capability, for reading or
 * also writing: takes EXO_READ, EXO_WRITE. What the page was bound to before is
 * replaced. ERR_DENIED, ERR_RANGE (not a user page), ERR_SHARE (it has its share of bindings). */
enum error_code aegis_tlb_insert(struct aegis_environment *environment, uint32_t virtual_address,
                                 const struct exo_handle *handle, bool write, struct error *error);
/* [env] Changes what `pages` bound pages from `virtual_address` on allow, in one call: the
 * translation in the TLB and in the software TLB, not the binding, which was checked
 * when it was made. To take a right away is anybody's own affair; to allow one again, the
 * kernel looks up the page's binding, and allows no more than that was made for.
 * Not for guaranteed pages, which the next
 * miss brings back. ERR_DENIED: a page is not bound, or for less; ERR_RANGE. Pages before it are changed. */
enum error_code aegis_tlb_protect(struct aegis_environment *environment, uint32_t virtual_address, uint64_t pages,
                                  enum aegis_protection protection, struct error *error);
/* [env] Unbinds a page. */
void aegis_tlb_remove(struct aegis_environment *environment, uint32_t virtual_address);
/* [env] As aegis_tlb_insert, and kept by the kernel itself until the frame is given back:
 * a miss there never comes up to the environment, which may therefore keep its page
 * table and its fault handler in it. The frame is not revoked either. ERR_SHARE: it
 * has as many as are guaranteed. */
enum error_code aegis_map_guaranteed(struct aegis_environment *environment, uint32_t virtual_address,
                                     const struct exo_handle *handle, bool write, struct error *error);
/* [env] What the free map says of a frame: a load by user code. */
bool aegis_frame_is_free(struct aegis_environment *environment, uint64_t physical);

/* ---- For the kernel's own files. ---- */
void aegis_binding_init(struct aegis *aegis);
void aegis_binding_fini(struct aegis *aegis);
/* The record of a page's binding in the name space that the environment is in, or NULL. */
struct aegis_binding *aegis_binding_find(struct aegis_environment *environment, uint32_t page);
/* ERR_RANGE for a page that is not the environment's to map. */
enum error_code aegis_check_page(const struct aegis_environment *environment, uint32_t page, struct error *error);
/* A record's word for a frame that can be read, or also written: on the R3000 EntryLo. */
#define AEGIS_LO_FRAME UINT32_C(0xfffff000)
#define AEGIS_LO_WRITE (UINT32_C(1) << 10)
#define AEGIS_LO_VALID (UINT32_C(1) << 9)
uint32_t aegis_entry_lo(uint64_t physical, bool write);
/* The kernel's own guaranteed mapping of a frame at creation. ERR_SHARE, ERR_EXHAUSTED: no
 * memory for its page table, where the processor has one. */
enum error_code aegis_map_own(struct aegis_environment *environment, uint32_t virtual_address, uint64_t physical,
                              bool write, struct error *error);
/* Undoes every binding of an environment, in one of its name spaces or in any: nothing of
 * it is left anywhere. */
void aegis_forget(struct aegis_environment *environment, unsigned name_space);
/* Sets or clears a frame's bit in the free map. */
void aegis_mark_free(struct aegis *aegis, uint64_t physical, bool is_free);

#endif
