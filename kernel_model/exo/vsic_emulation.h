/* vsic_emulation.h: VSICs in software, where a drive has no virtual function left
 * (OSDI'14, sections 3.3 and 4): a core of the kernel's own polls the request rings of
 * up to 64 interfaces with up to 4 VSAs each.
 *
 * A request costs what happens: its descriptor moves from the library's cache to this
 * core's and is copied; the VSA is looked up and the range checked; the library's page
 * table is walked, entry by entry, for each page of the buffers; a command goes to the
 * physical function's queue, and its completion back into the library's ring. The drive
 * checks the VSA once more: it is a namespace. The physical function reaches only frames
 * that a request named when its library could reach them; a mapping that ends is taken
 * from it at once, also with a command under way. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_VSIC_EMULATION_H
#define STILLSUIT_KERNEL_MODEL_EXO_VSIC_EMULATION_H

#include "kernel_model/exo/vsa.h"
#include "kernel_model/exo/vsic_ring.h"
#include "stack/nvme_queue.h"

enum { EXO_EMULATED_MAX = 64 };

struct exo_emulation_counters {
    uint64_t requests, completions, page_walks, turns;
    uint64_t refused_malformed, refused_not_attached, refused_out_of_range, refused_read_only, refused_memory;
};

/* Begins to emulate VSICs of a drive on a core, which is the kernel's from now on, over
 * a queue of the physical function with so many entries. ERR_EXHAUSTED: the core is
 * taken; ERR_EXISTS. */
enum error_code exo_emulation_start(struct exo_drive *drive, unsigned core, uint32_t entries, struct error *error);

/* Maps the rings of an emulated VSIC (vsic_ring.h) for the library, at an address that
 * is told. Takes EXO_BIND. ERR_UNSUPPORTED: it is not emulated. */
enum error_code exo_vsic_ring_map(struct exo_environment *environment, const struct exo_handle *vsic,
                                  uint64_t *virtual_address, uint64_t *physical, struct error *error);

const struct exo_emulation_counters *exo_emulation_counters(const struct exo_drive *drive);
/* The context that emulates: whose core is busy with it. */
struct context *exo_emulation_context(const struct exo_drive *drive);

/* ---- For the kernel's own files. ---- */
void exo_emulation_stop(struct exo_drive *drive);
struct exo_emulated *exo_emulated_create(struct exo_emulation *emulation, struct exo_vsic *vsic, struct error *error);
void exo_emulated_free(struct exo_emulated *emulated);
enum error_code exo_emulated_apply(struct exo_emulated *emulated, struct exo_vsa *vsa, unsigned rights);
/* A mapping of that memory ends: emulations may not use it any more. */
void exo_emulation_forget(struct exo_kernel *kernel, struct exo_environment *environment, uint64_t virtual_address,
                          uint64_t length_bytes);
void exo_emulation_declare_components(void);
void exo_emulation_visit_stats(const struct exo_kernel *kernel, const struct stats_sink *sink);

#endif
