/* media.h: what a drive's controller sees of the medium behind it: how long things
 * take and in which order they end. A medium is an ops table, a parameter table and
 * a state struct, listed in hw/media/media_types.c, as a device is.
 *
 * A medium knows time and place, not contents: the bytes lie in the drive's
 * block_store (hw/media/block_store.h), which the controller writes and reads when
 * the medium says that it is done. */
#ifndef STILLSUIT_HW_MEDIA_MEDIA_H
#define STILLSUIT_HW_MEDIA_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/engine.h"
#include "sim/error.h"
#include "sim/ledger.h"
#include "sim/param.h"
#include "sim/stats_sink.h"

enum media_operation { MEDIA_READ, MEDIA_WRITE, MEDIA_DEALLOCATE };

struct media;
struct config_node;
struct diagnostics;

/* One access. The controller owns it; the medium holds it until `done`. */
struct media_command {
    enum media_operation operation;
    uint64_t offset_bytes, length_bytes; /* within the drive; whole logical blocks */
    struct request *request;             /* NULL: nobody's (write-back, say) */
    ledger_component owner;              /* who holds it now and gets it back when done */
    void (*done)(struct media_command *command);
    void *context;
    /* The medium's own, while it holds the command. */
    struct sim_event event;
    struct media_command *next;
    uint32_t parts_left;
    struct request *last_part;
    void *private;
};

struct media_ops {
    const char *type_name;      /* as written in YAML: "flash" */
    const char *help;           /* one line for `stillsuit list` */
    const struct param *params; /* ends with {0} */
    size_t config_bytes, state_bytes;
    void (*declare_components)(void);                                  /* below "media"; may be NULL */
    enum error_code (*check)(const void *config, struct error *error); /* may be NULL */
    /* The same with places, for what depends on the drive (name, capacity and block size
     * are set, config bound) or lies in nodes of its own. May be NULL. */
    bool (*check_places)(const struct media *media, struct diagnostics *diagnostics);
    /* Config bound, state zeroed; name, capacity and block size are set. */
    enum error_code (*init)(struct media *media, struct error *error);
    /* Takes a command at sim_now(); `done` is called when its data has been
     * transferred and, for a write, is where it stays. Hands the ledger of its request
     * owner -> "media" (waiting, then service; or components below it) -> owner. */
    void (*submit)(struct media *media, struct media_command *command);
    void (*visit_stats)(const struct media *media, const struct stats_sink *sink); /* may be NULL */
    void (*reset_stats)(struct media *media);                                      /* end of the warm-up; may be NULL */
    void (*fini)(struct media *media);                                             /* may be NULL */
};

struct media {
    const struct media_ops *ops;
    const char *name; /* instance: "<drive>.media" */
    uint64_t capacity_bytes;
    uint32_t block_bytes;
    const struct config_node *node; /* where it is described; while it is checked and made */
    void *config, *state;           /* owned by the media */
};

/* The type of that name, or NULL; and all of them: NULL past the end. */
const struct media_ops *media_type_find(const char *type_name);
const struct media_ops *media_type_at(size_t index);

/* Builds from a mapping {type: flash, ...parameters of the type}; NULL with
 * diagnostics. With `only_check`, returns NULL in any case and reports what is wrong.
 * The caller frees it. `name` is copied. */
struct media *media_create(const struct config_node *node, const char *name, uint64_t capacity_bytes,
                           uint32_t block_bytes, bool only_check, struct diagnostics *diagnostics);
void media_free(struct media *media);

static inline void media_submit(struct media *media, struct media_command *command) {
    media->ops->submit(media, command);
}

/* Components: "media", root of what a medium does for a request; its types declare
 * theirs below it. Next: whatever the controller's is. */
void media_declare_components(void);
extern ledger_component media_component;

#endif
