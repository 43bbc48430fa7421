/* An interface in software: the same protection, and what it costs. */
#include <stdlib.h>

#include "tests/kernel_model/emulation_fixture.h"

static void write_and_read(struct user *base) {
    struct ring_user *user = (struct ring_user *)(void *)base;
    for (uint32_t i = 0; i < 3 * EXO_RING_ENTRIES; i++) { /* several laps */
        user_fill(base, (uint8_t)(i + 1));
        cr_assert_eq(ring_command(user, request_of(user, EXO_RING_WRITE, user->nsid, i, 2)), OK);
        user_fill(base, 0);
        cr_assert_eq(ring_command(user, request_of(user, EXO_RING_READ, user->nsid, i, 2)), OK);
        cr_assert(user_holds(base, (uint8_t)(i + 1), 2 * FIXTURE_BLOCK));
    }
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_FLUSH, user->nsid, 0, 0)), OK);
}

Test(exo_emulation, does_what_an_interface_does) {
    make_both();
    user_start(&a.user, 0, write_and_read);
    sim_run(10 * SIM_S);
    cr_assert_eq(counters()->completions, 6 * EXO_RING_ENTRIES + 1);
    cr_assert_eq(nvme_counters(ssd, 0)->flushes, 1);
}

/* ---- what is refused ---- */

static struct exo_region constant; /* Alice's, mapped for reading */
static void misuse(struct user *base) {
    struct ring_user *user = (struct ring_user *)(void *)base;
    const struct exo_ring_request good = request_of(user, EXO_RING_WRITE, user->nsid, 0, 1);
    struct exo_ring_request bad = good;
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_WRITE, user->nsid, AREA_BLOCKS, 1)), ERR_RANGE);
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_WRITE, user->nsid, AREA_BLOCKS - 1, 2)), ERR_RANGE);
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_READ, user->nsid, UINT64_MAX, 2)), ERR_RANGE);
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_READ, user->nsid, 0, 0)), ERR_RANGE);
    cr_assert_eq(counters()->refused_out_of_range, 4);
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_WRITE, b.nsid, 0, 1)), ERR_DENIED, "Bob's area");
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_READ, 77, 0, 1)), ERR_DENIED);
    cr_assert_eq(counters()->refused_not_attached, 2);
    bad.operation = 9;
    cr_assert_eq(ring_command(user, bad), ERR_RANGE);
    bad = good;
    bad.segment_count = 1000000;
    cr_assert_eq(ring_command(user, bad), ERR_RANGE);
    bad = good;
    bad.segments[0].length_bytes = 100; /* not a block */
    cr_assert_eq(ring_command(user, bad), ERR_UNSUPPORTED);
    cr_assert_eq(counters()->refused_malformed, 3);
    bad = good;
    bad.segments[0].address = b.user.buffer.physical; /* a physical address is none of Alice's */
    cr_assert_eq(ring_command(user, bad), ERR_FAULT);
    bad.segments[0].address = UINT64_MAX - 10;
    cr_assert_eq(ring_command(user, bad), ERR_FAULT);
    bad.segments[0].address = user->user.buffer.virtual_address + FIXTURE_BUFFER_BYTES - 256; /* over its end */
    cr_assert_eq(ring_command(user, bad), ERR_FAULT);
    bad.segments[0].length_bytes = UINT32_MAX;
    cr_assert_eq(ring_command(user, bad), ERR_FAULT);
    bad = request_of(user, EXO_RING_READ, user->nsid, 0, 1); /* would write into memory mapped for reading */
    bad.segments[0].address = constant.virtual_address;
    cr_assert_eq(ring_command(user, bad), ERR_FAULT);
    bad.operation = EXO_RING_WRITE;
    cr_assert_eq(ring_command(user, bad), OK, "reading it is allowed");
    cr_assert_eq(counters()->refused_memory, 5);
    cr_assert_eq(ring_command(user, good), OK, "and still it serves");
}

Test(exo_emulation, refuses_what_an_interface_refuses) {
    make_both();
    cr_assert_eq(exo_memory_allocate(alice, 0, 4096, &constant, &error), OK);
    cr_assert_eq(exo_memory_map(alice, &constant, false, &error), OK);
    user_start(&a.user, 0, misuse);
    sim_run(10 * SIM_S);
    cr_assert_eq(nvme_counters(ssd, 0)->errors, 0, "the drive is not even asked");
}

/* The doorbells of an interface in hardware are mapped, and are no buffer. */
static struct user plain;
static void registers_as_buffer(struct user *base) {
    struct ring_user *user = (struct ring_user *)(void *)base;
    struct exo_ring_request request = request_of(user, EXO_RING_READ, user->nsid, 0, 1);
    request.segments[0].address =
        plain.binding.doorbells + NVME_SQ_DOORBELL(plain.binding.queue, plain.binding.doorbell_stride);
    cr_assert_eq(ring_command(user, request), ERR_FAULT);
    cr_assert_eq(counters()->refused_memory, 1);
}

/* Without an IOMMU, which would not map them either. */
Test(exo_emulation, registers_are_no_buffer) {
    storage_iommu = "off";
    storage_make(1);
    cr_assert_eq(exo_emulation_start(drive, 2, 64, &error), OK, "%s", error.text);
    user_make(&plain, alice);
    ring_user_make(&a, alice, "a");
    user_start(&a.user, 0, registers_as_buffer);
    sim_run(10 * SIM_S);
    cr_assert_eq(counters()->completions, 1);
}

static void only_read(struct user *base) {
    struct ring_user *user = (struct ring_user *)(void *)base;
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_READ, a.nsid, 0, 1)), OK);
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_WRITE, a.nsid, 0, 1)), ERR_DENIED);
    cr_assert_eq(counters()->refused_read_only, 1);
    cr_assert_eq(exo_revoke(alice, &a.area, &error), OK);
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_READ, a.nsid, 0, 1)), ERR_DENIED);
}

Test(exo_emulation, knows_rights_and_their_end) {
    make_both();
    struct exo_handle lent;
    uint32_t ignored = 0;
    cr_assert_eq(exo_derive(alice, &a.area, EXO_READ, bob, &lent, &error), OK);
    cr_assert_eq(exo_vsa_attach(bob, &b.user.vsic, &lent, false, &ignored, &error), OK);
    user_start(&b.user, 0, only_read);
    sim_run(10 * SIM_S);
}

Test(exo_emulation, an_interface_holds_four_areas) {
    make_both();
    struct exo_handle more;
    uint32_t ignored = 0;
    for (int i = 1; i < EXO_VSIC_AREAS; i++) {
        const char name[] = {(char)('c' + i), '\0'};
        cr_assert_eq(exo_vsa_create(alice, drive, name, 4096, EXO_ANY_BLOCK, &more, &error), OK);
        cr_assert_eq(exo_vsa_attach(alice, &a.user.vsic, &more, true, &ignored, &error), OK);
    }
    cr_assert_eq(exo_vsa_create(alice, drive, "last", 4096, EXO_ANY_BLOCK, &more, &error), OK);
    cr_assert_eq(exo_vsa_attach(alice, &a.user.vsic, &more, true, &ignored, &error), ERR_EXHAUSTED);
    cr_assert_eq(exo_vsa_detach(alice, &a.user.vsic, &a.area, &error), OK);
    cr_assert_eq(exo_vsa_attach(alice, &a.user.vsic, &more, true, &ignored, &error), OK);
}

Test(exo_emulation, its_core_is_the_kernels) {
    make_both();
    cr_assert_null(exo_thread_create(alice, 2, "thread", NULL, NULL, &error));
    cr_assert_eq(error.code, ERR_EXHAUSTED);
    cr_assert_eq(exo_emulation_start(drive, 1, 64, &error), ERR_EXISTS);
}

/* The frames of a buffer go while the drive works on it: the DMA must not arrive. */
static uint64_t freed_frame;
static void revoke_buffer(struct user *base) {
    struct ring_user *user = (struct ring_user *)(void *)base;
    struct memory *memory = storage_machine->memory;
    struct exo_ring_request request = request_of(user, EXO_RING_READ, user->nsid, 0, 8);
    cr_assert_eq(ring_command(user, request), OK); /* the function may reach the frame now */
    request.turn = 1;
    const uint64_t at = user->ring + user->written * sizeof request;
    memory_write(memory, at, &request, sizeof request);
    memory_device_wrote(memory, at, sizeof request);
    cpu_charge_time(base->thread->context, 2 * SIM_US); /* it is under way */
    cpu_run(base->thread->context);
    cr_assert_eq(counters()->requests, 2);
    cr_assert_eq(counters()->completions, 1);
    cr_assert_eq(exo_revoke(alice, &base->buffer.handle, &error), OK, "%s", error.text);
    memory_fill(memory, freed_frame, 0x5a, 4096);
    cpu_charge_time(base->thread->context, SIM_MS);
    cpu_run(base->thread->context);
    cr_assert_eq(counters()->completions, 2);
    cr_assert_eq(*memory_at(memory, freed_frame), 0x5a, "the drive wrote into a frame that was given back");
    cr_assert_gt(iommu_fault_count(storage_machine->iommu), 0);
}

Test(exo_emulation, memory_that_is_given_back_is_out_of_the_drives_reach) {
    make_both();
    freed_frame = a.user.buffer.physical;
    user_start(&a.user, 0, revoke_buffer);
    sim_run(10 * SIM_S);
}

/* An interface goes with commands under way; another goes on. */
static void revoke_interface(struct user *base) {
    struct ring_user *user = (struct ring_user *)(void *)base;
    struct memory *memory = storage_machine->memory;
    for (uint64_t i = 0; i < 8; i++) {
        struct exo_ring_request request = request_of(user, EXO_RING_WRITE, user->nsid, i, 1);
        request.turn = 1;
        memory_write(memory, user->ring + i * sizeof request, &request, sizeof request);
        memory_device_wrote(memory, user->ring + i * sizeof request, sizeof request);
    }
    cpu_charge_time(base->thread->context, 2 * SIM_US);
    cpu_run(base->thread->context);
    cr_assert_eq(exo_revoke(alice, &base->vsic, &error), OK, "%s", error.text);
}

Test(exo_emulation, an_interface_may_go_with_commands_under_way) {
    make_both();
    user_start(&a.user, 0, revoke_interface);
    user_start(&b.user, 1, write_and_read);
    sim_run(10 * SIM_S);
    cr_assert_eq(b.read, 6 * EXO_RING_ENTRIES + 1);
    cr_assert_eq(alice->storage_interfaces_held, 0);
    struct exo_handle again;
    cr_assert_eq(exo_vsic_grant(alice, drive, &again, &error), OK);
}

/* ---- whatever is written into the ring ---- */

enum { RANDOM_REQUESTS = 300000 };

static struct exo_ring_request random_request(struct ring_user *user, struct random_stream *random) {
    struct exo_ring_request request = request_of(user, EXO_RING_WRITE, user->nsid, 0, 1);
    request.operation = (uint8_t)random_below(random, 5);
    request.flags = (uint8_t)random_below(random, 4);
    request.nsid = (uint32_t)random_below(random, 5);
    request.block =
        random_below(random, 3) == 0 ? UINT64_MAX - random_below(random, 8) : random_below(random, AREA_BLOCKS + 8);
    request.blocks = random_below(random, 8) == 0 ? UINT32_MAX - (uint32_t)random_below(random, 8)
                                                  : (uint32_t)random_below(random, 20);
    request.segment_count = (uint32_t)random_below(random, EXO_RING_SEGMENTS + 3);
    for (uint32_t i = 0; i < EXO_RING_SEGMENTS; i++) {
        const uint64_t kind = random_below(random, 12);
        const uint64_t own = user->user.buffer.virtual_address + random_below(random, FIXTURE_BUFFER_BYTES + 4096);
        request.segments[i].address = kind == 0   ? random_below(random, UINT64_C(1) << 62)
                                      : kind == 1 ? b.user.buffer.physical
                                      : kind == 2 ? b.user.buffer.virtual_address + (UINT64_C(1) << 30)
                                      : kind < 8  ? own / 4096 * 4096
                                                  : own;
        request.segments[i].length_bytes = (uint32_t)(random_below(random, 16) * 512 + (kind == 11 ? 3 : 0));
    }
    if (random_below(random, 2) == 0) { /* a good shape, at whatever place */
        request.segment_count = 1;
        request.blocks = 1 + (uint32_t)random_below(random, 16);
        request.segments[0] =
            (struct exo_ring_segment){user->user.buffer.virtual_address, request.blocks * FIXTURE_BLOCK, 0};
    }
    return request;
}

static void anything(struct user *base) {
    struct ring_user *user = (struct ring_user *)(void *)base;
    struct random_stream *random = random_stream_create("anything");
    uint64_t granted = 0;
    user_fill(base, 0xbb);
    for (int i = 0; i < RANDOM_REQUESTS; i++) {
        const enum error_code code = ring_command(user, random_request(user, random));
        cr_assert_neq(code, ERR_AGAIN, "request %d was never answered", i);
        granted += code == OK;
    }
    random_stream_free(random);
    cr_assert_gt(granted, RANDOM_REQUESTS / 50);
    cr_assert_lt(granted, RANDOM_REQUESTS / 2);
    cr_assert_eq(ring_command(user, request_of(user, EXO_RING_READ, user->nsid, 0, 1)), OK, "still it serves");
}

Test(exo_emulation, whatever_is_asked_is_answered_and_harms_nobody) {
    uint8_t block[FIXTURE_BLOCK];
    make_both();
    memory_fill(storage_machine->memory, b.user.buffer.physical, 0x42, FIXTURE_BUFFER_BYTES);
    user_start(&a.user, 0, anything);
    sim_run(1000 * SIM_S);
    cr_assert_eq(counters()->requests, RANDOM_REQUESTS + 1);
    cr_assert(user_holds(&b.user, 0x42, FIXTURE_BUFFER_BYTES), "another's memory was written");
    for (uint64_t i = 0; i < AREA_BLOCKS; i++) { /* Bob's area follows Alice's */
        block_store_read(nvme_store(ssd), AREA_BLOCKS + i, 1, block);
        for (uint32_t at = 0; at < FIXTURE_BLOCK; at++) {
            cr_assert_eq(block[at], 0, "another's block was written");
        }
    }
}
