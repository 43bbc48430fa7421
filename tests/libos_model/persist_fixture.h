/* persist_fixture.h: a log on a RAM disk, and a thread that uses it. */
#ifndef STILLSUIT_TESTS_LIBOS_MODEL_PERSIST_FIXTURE_H
#define STILLSUIT_TESTS_LIBOS_MODEL_PERSIST_FIXTURE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "hw/machine.h"
#include "kernel_model/common/system.h"
#include "libos_model/persist_log.h"
#include "libos_model/persist_queue.h"
#include "tests/libos_model/crash.h"
#include "tests/libos_model/ram_disk.h"

enum { PERSIST_MEMORY = 16 << 20, PERSIST_BUFFER = 8 << 20, PERSIST_ENTRY_MAX = 4000 };

static struct machine *persist_machine;
static struct ram_disk *disk;
static struct persist_log *plog;
static struct persist_log_config persist_config;
static struct context *thread;

/* A machine, a disk of `blocks` blocks, and the configuration of a log that has all of
 * them. */
static inline void persist_make(uint32_t block_bytes, uint64_t blocks, bool volatile_cache) {
    struct diagnostics diagnostics;
    random_seed(7);
    machine_declare_components();
    system_declare_components();
    persist_declare_components();
    diagnostics_init(&diagnostics);
    struct config *config = config_parse(
        "machine.yaml", "memory: {size: 64 MiB}\ncore: {count: 2}\niommu: {mode: \"off\"}\n", &diagnostics);
    cr_assert(config != NULL && machine_create(config_root(config), &persist_machine, &diagnostics));
    disk = ram_disk_create(persist_machine, block_bytes, blocks, volatile_cache);
    persist_config = (struct persist_log_config){.device = &disk->base,
                                                 .blocks = blocks,
                                                 .memory = persist_machine->memory,
                                                 .physical = PERSIST_MEMORY,
                                                 .device_address = PERSIST_MEMORY,
                                                 .in_flight = 16,
                                                 .entry_bytes = PERSIST_ENTRY_MAX,
                                                 .log = 0x1234};
}

static inline void persist_create(void) {
    struct error error = {OK, ""};
    plog = persist_log_create(&persist_config, &error);
    cr_assert_not_null(plog, "%s", error.text);
}

/* Runs `body` on a core, to its end. */
static inline void persist_run(void (*body)(void *argument)) {
    thread = context_create(persist_machine->cores[0], CORE_THREAD, "log", NULL, body, NULL);
    core_dispatch(persist_machine->cores[0], CORE_THREAD, thread);
    sim_run(100 * SIM_S);
}

/* The bytes that entry `number` has, and how many; all as many if a length is fixed. */
static uint32_t payload_fixed;
static inline uint32_t payload_length(uint64_t number) {
    return payload_fixed != 0 ? payload_fixed : (uint32_t)(1 + number * 7919 % (PERSIST_ENTRY_MAX - 1));
}
static inline void payload_fill(uint64_t number, uint8_t *out) {
    uint64_t state = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (uint32_t i = 0; i < payload_length(number); i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        out[i] = (uint8_t)(state >> 56);
    }
}

/* Creates and appends entry `number`; waits for room among those under way. */
static inline enum error_code persist_put(uint64_t number, void (*done)(struct persist_entry *entry)) {
    static uint8_t bytes[PERSIST_ENTRY_MAX];
    enum error_code code = OK;
    struct persist_entry *entry = persist_log_entry(plog, thread, payload_length(number), &code);
    while (entry == NULL) {
        cr_assert_eq(code, ERR_AGAIN);
        persist_log_wait_any(plog, thread);
        entry = persist_log_entry(plog, thread, payload_length(number), &code);
    }
    payload_fill(number, bytes);
    memory_write(persist_machine->memory, entry->payload, bytes, payload_length(number));
    entry->done = done;
    code = persist_log_append(entry, thread);
    if (code != OK) {
        persist_log_entry_drop(entry);
    }
    return code;
}

/* Whether memory at PERSIST_BUFFER holds entry `number`. */
static inline bool persist_buffer_holds(uint64_t number, uint32_t length) {
    static uint8_t expected[PERSIST_ENTRY_MAX], found[PERSIST_ENTRY_MAX];
    payload_fill(number, expected);
    memory_read(persist_machine->memory, PERSIST_BUFFER, found, payload_length(number));
    return length == payload_length(number) && memcmp(expected, found, length) == 0;
}

/* For persist_recover over a store. */
static inline bool persist_read_store(void *store, uint64_t granule, void *out) {
    block_store_read(store, granule, 1, out);
    return true;
}

#endif
