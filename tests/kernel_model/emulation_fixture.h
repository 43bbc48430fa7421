/* emulation_fixture.h: libraries that write the rings of emulated interfaces as bytes: no
 * driver of ours stands between test and kernel. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_EMULATION_FIXTURE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_EMULATION_FIXTURE_H

#include "kernel_model/exo/vsic_ring.h"
#include "tests/kernel_model/exo_storage_fixture.h"

enum { AREA_BYTES = 1 << 20, AREA_BLOCKS = AREA_BYTES / FIXTURE_BLOCK };

struct ring_user {
    struct user user; /* must be first */
    uint64_t ring;    /* physical */
    uint64_t written, read;
    struct exo_handle area;
    uint32_t nsid;
};
static struct ring_user a, b;

static inline void ring_user_make(struct ring_user *user, struct exo_environment *environment, const char *name) {
    uint64_t virtual_address = 0;
    user_make(&user->user, environment);
    cr_assert(exo_vsic_is_emulated(environment, &user->user.vsic));
    cr_assert_eq(exo_vsic_ring_map(environment, &user->user.vsic, &virtual_address, &user->ring, &error), OK);
    cr_assert_eq(exo_vsa_create(environment, drive, name, AREA_BYTES, EXO_ANY_BLOCK, &user->area, &error), OK);
    cr_assert_eq(exo_vsa_attach(environment, &user->user.vsic, &user->area, true, &user->nsid, &error), OK);
}

static inline void make_both(void) {
    storage_make(0);
    cr_assert_eq(exo_emulation_start(drive, 2, 64, &error), OK, "%s", error.text);
    ring_user_make(&a, alice, "a");
    ring_user_make(&b, bob, "b");
}

static inline struct exo_ring_request request_of(const struct ring_user *user, enum exo_ring_operation operation,
                                                 uint32_t nsid, uint64_t block, uint32_t blocks) {
    return (struct exo_ring_request){.operation = (uint8_t)operation,
                                     .nsid = nsid,
                                     .block = block,
                                     .blocks = blocks,
                                     .segment_count = 1,
                                     .segments = {{user->user.buffer.virtual_address, blocks * FIXTURE_BLOCK, 0}}};
}

/* Writes a request and waits 10 ms at most for its answer. */
static inline enum error_code ring_command(struct ring_user *user, struct exo_ring_request request) {
    struct memory *memory = storage_machine->memory;
    struct context *context = user->user.thread->context;
    const uint64_t at = user->ring + user->written % EXO_RING_ENTRIES * sizeof request;
    const uint64_t answer = user->ring + EXO_RING_COMPLETIONS_AT + user->read % EXO_RING_ENTRIES * 16;
    request.turn = user->written++ / EXO_RING_ENTRIES + 1;
    cpu_work_for(context, system_components.app, NULL);
    cpu_run(context);
    memory_write(memory, at, &request, sizeof request);
    memory_device_wrote(memory, at, sizeof request);
    struct exo_ring_completion completion = {0};
    for (int i = 0; i < 10000 && completion.turn != user->read / EXO_RING_ENTRIES + 1; i++) {
        cpu_charge_time(context, SIM_US);
        cpu_run(context);
        memory_read(memory, answer, &completion, sizeof completion);
    }
    if (completion.turn != user->read / EXO_RING_ENTRIES + 1) {
        return ERR_AGAIN;
    }
    user->read++;
    cr_assert_eq(completion.id, request.id);
    return (enum error_code)completion.status;
}

static inline const struct exo_emulation_counters *counters(void) {
    return exo_emulation_counters(drive);
}

#endif
