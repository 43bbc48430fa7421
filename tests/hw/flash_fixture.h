/* flash_fixture.h: a flash medium by itself, commands to it, and a checker of its
 * translation layer's state. */
#ifndef STILLSUIT_TESTS_HW_FLASH_FIXTURE_H
#define STILLSUIT_TESTS_HW_FLASH_FIXTURE_H

#include "hw/media/flash/flash_internal.h"
#include "sim/config.h"
#include "sim/random.h"

enum { FLASH_KIB = 1024, FLASH_MIB = 1024 * 1024 };

struct flash_drive {
    struct media *media;
    struct flash *flash;
    struct config *configuration;
    struct ledger *ledger; /* of requests that ride on commands; made on demand */
    ledger_component host;
    struct random_stream *stream; /* of flash_load */
};

/* A drive of that capacity with the parameters of a YAML text; asserts that they are
 * right. The second asserts that they are refused, for that reason. */
struct flash_drive *flash_drive_make(uint64_t capacity_bytes, const char *parameters);
void flash_drive_refuse(uint64_t capacity_bytes, const char *parameters, const char *reason);
void flash_drive_free(struct flash_drive *drive);

/* A command and what became of it. */
struct flash_access {
    struct media_command command;
    struct flash_drive *drive;
    sim_time submitted, completed;
    bool is_done;
    struct sim_event event;
};
/* Submits now, or at an instant; not to be moved until it is done. */
void flash_access_now(struct flash_drive *drive, struct flash_access *access, enum media_operation operation,
                      uint64_t offset_bytes, uint64_t length_bytes);
void flash_access_at(struct flash_drive *drive, struct flash_access *access, enum media_operation operation,
                     uint64_t offset_bytes, uint64_t length_bytes, sim_time at);
/* Runs one command alone and returns its latency. */
sim_time flash_alone(struct flash_drive *drive, enum media_operation operation, uint64_t offset_bytes,
                     uint64_t length_bytes);

/* Keeps `depth` commands in flight until `total` are done; `choose` sets a command's
 * operation, offset and length. Returns the time that it took. */
typedef void flash_choose(struct flash_drive *drive, struct random_stream *stream, struct media_command *command);
sim_time flash_load(struct flash_drive *drive, unsigned depth, uint64_t total, flash_choose *choose);
void flash_choose_read(struct flash_drive *drive, struct random_stream *stream, struct media_command *command);
void flash_choose_write(struct flash_drive *drive, struct random_stream *stream, struct media_command *command);
/* Reads, writes and deallocations of random sizes. */
void flash_choose_any(struct flash_drive *drive, struct random_stream *stream, struct media_command *command);

/* Checks the whole state of the translation layer against what its parts must agree on. */
void flash_check_state(const struct flash_drive *drive);

/* What visit_stats tells of a counter. */
uint64_t flash_counter(const struct flash_drive *drive, const char *name);

#endif
