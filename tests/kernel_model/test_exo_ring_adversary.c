/* test_exo_ring_adversary.c: a library OS writes anything into the rings of its emulated
 * interface, whenever it likes: descriptors that are nonsense, that name another's area or
 * memory, that change while the kernel's core polls them, turns of other laps, buffers whose
 * frames go while the drive works on them, and interfaces that end with all of it under way.
 * Alice has an emulated interface on the same core, and works. */
#include "kernel_model/exo/vsic_emulation_internal.h"
#include "tests/kernel_model/emulation_fixture.h"

/* Fewer under a sanitizer, and as many as one likes with -DRING_WRITES=... */
#ifndef RING_WRITES
#ifdef __SANITIZE_ADDRESS__
#define RING_WRITES 50000
#else
#define RING_WRITES 1000000
#endif
#endif
enum { SEED = 3, WEIGHT = 4, SECRET = 0x42, LEAST = 10000 }; /* that many writes at least for each thing done */

static struct random_stream *stream;
static struct exo_region secret, constant; /* Alice's, never named in a request; Mallory's, mapped for reading */
static uint64_t writes, interfaces, revoked_under_way, edits;
static uint8_t expected[AREA_BLOCKS]; /* what Alice wrote last into each of her blocks */
static uint64_t alices_commands, alices_longest;
static struct ring_user *const victim = &a, *const mallory = &b;

#define MUST(condition, what) cr_assert((condition), "seed %d, write %llu: %s", SEED, (unsigned long long)writes, what)

static uint32_t draw(uint64_t bound) {
    return (uint32_t)random_below(stream, bound);
}

static void pass(struct user *user, sim_time time) {
    cpu_work_for(user->thread->context, system_components.app, NULL);
    cpu_charge_time(user->thread->context, time);
    cpu_run(user->thread->context);
}

/* ---- what must not change ---- */

static bool drive_reaches(uint64_t physical) {
    uint64_t ignored = 0;
    return iommu_peek(storage_machine->iommu, nvme_function(ssd, 0)->requester_id, physical, false, &ignored);
}

static void look(void) {
    for (uint64_t at = 0; at < secret.length_bytes; at++) {
        MUST(*memory_at(storage_machine->memory, secret.physical + at) == SECRET, "Alice's memory has changed");
    }
    MUST(!drive_reaches(secret.physical), "the drive reaches memory that Alice never named");
    const struct nvme_counters *drives = nvme_counters(ssd, 0);
    MUST(drives->refused_not_attached + drives->refused_out_of_range + drives->refused_read_only == 0,
         "the drive was asked for what is nobody's to ask");
}

/* ---- Mallory ---- */

/* Where the kernel will look next for a request of Mallory's; the first frame of its rings, if it has none. */
static uint64_t next_request(void) {
    for (uint32_t i = 0; i < EXO_EMULATED_MAX; i++) {
        const struct exo_emulated *at = drive->emulation->emulated[i];
        if (at != NULL && at->vsic != NULL && at->vsic->holder == mallory->user.environment) {
            return at->taken;
        }
    }
    return 0;
}

static void put(uint64_t at, const void *bytes, uint64_t length) {
    struct memory *memory = storage_machine->memory;
    memory_write(memory, mallory->ring + at, bytes, length);
    memory_device_wrote(memory, mallory->ring + at, length);
    writes++;
}

static uint64_t some_address(void) {
    const uint64_t own = mallory->user.buffer.virtual_address;
    const uint64_t all[] = {own,
                            own + draw(FIXTURE_BUFFER_BYTES + 8192),
                            own + FIXTURE_BUFFER_BYTES - 512,
                            constant.virtual_address,
                            victim->user.buffer.virtual_address,
                            victim->user.buffer.physical,
                            secret.virtual_address,
                            secret.physical,
                            UINT64_MAX - draw(4096),
                            random_below(stream, UINT64_C(1) << 62)};
    return draw(3) != 0 ? all[draw(10)] : own + draw(16) * UINT64_C(4096);
}

static struct exo_ring_request some_request(uint64_t number) {
    const uint32_t blocks = 1 + draw(draw(8) == 0 ? UINT32_MAX - 1 : 16);
    struct exo_ring_request request = request_of(mallory, (enum exo_ring_operation)draw(draw(8) == 0 ? 250 : 3),
                                                 draw(4) == 0   ? victim->nsid
                                                 : draw(8) == 0 ? draw(UINT32_MAX)
                                                                : mallory->nsid,
                                                 draw(8) == 0 ? UINT64_MAX - draw(20) : draw(AREA_BLOCKS + 8), blocks);
    request.turn = number / EXO_RING_ENTRIES + 1;
    request.flags = (uint8_t)draw(256);
    request.id = (uint16_t)draw(65536);
    if (draw(2) == 0) {
        request.segment_count = draw(draw(8) == 0 ? UINT32_MAX : EXO_RING_SEGMENTS + 2);
    }
    for (uint32_t i = 0; i < EXO_RING_SEGMENTS && draw(2) == 0; i++) {
        request.segments[i] = (struct exo_ring_segment){
            some_address(), draw(16) == 0 ? draw(UINT32_MAX) : draw(4) * 512 + (draw(16) == 0 ? draw(512) : 0), 0};
    }
    return request;
}

static uint64_t place_of(uint64_t number) {
    return number % EXO_RING_ENTRIES * sizeof(struct exo_ring_request);
}

/* A good request, and an edit of it a moment later: of whose area it is, where it goes, how
 * much, or from where. */
static void edit(void) {
    const uint64_t number = next_request(), at = place_of(number);
    struct exo_ring_request request = request_of(mallory, EXO_RING_WRITE, mallory->nsid, draw(AREA_BLOCKS - 16), 8);
    request.turn = number / EXO_RING_ENTRIES + 1;
    put(at, &request, sizeof request);
    const uint32_t moments = 1 + draw(8);
    for (uint32_t i = 0; i < moments; i++) {
        const uint32_t nsid = victim->nsid, many = UINT32_MAX - draw(16);
        const uint64_t block = AREA_BLOCKS + draw(64), address = some_address();
        pass(&mallory->user, draw(200) * SIM_NS);
        switch (draw(4)) {
        case 0:
            put(at + offsetof(struct exo_ring_request, nsid), &nsid, sizeof nsid);
            break;
        case 1:
            put(at + offsetof(struct exo_ring_request, block), &block, sizeof block);
            break;
        case 2:
            put(at + offsetof(struct exo_ring_request, blocks) + 4 * draw(2), &many, sizeof many);
            break;
        default:
            put(at + offsetof(struct exo_ring_request, segments), &address, sizeof address);
            break;
        }
        edits++;
    }
}

/* A buffer whose frames go while the drive may be at work on them. */
static void revoke_buffer(void) {
    struct exo_region region;
    struct exo_environment *environment = mallory->user.environment;
    const uint64_t number = next_request();
    MUST(exo_memory_allocate(environment, 0, 4096, &region, &error) == OK, "no frame");
    MUST(exo_memory_map(environment, &region, true, &error) == OK, "no room");
    struct exo_ring_request request = request_of(mallory, EXO_RING_READ, mallory->nsid, draw(AREA_BLOCKS - 8), 8);
    request.turn = number / EXO_RING_ENTRIES + 1;
    request.segments[0].address = region.virtual_address;
    put(place_of(number), &request, sizeof request);
    pass(&mallory->user, draw(3000) * SIM_NS);
    MUST(exo_revoke(environment, &region.handle, &error) == OK, "what it holds it can give up");
    MUST(!drive_reaches(region.physical), "the drive reaches a frame that was given back");
    memory_fill(storage_machine->memory, region.physical, SECRET, 4096); /* as its next owner might */
    pass(&mallory->user, 20 * SIM_US);
    MUST(*memory_at(storage_machine->memory, region.physical) == SECRET, "the drive wrote into it");
    revoked_under_way++;
}

/* The interface ends, with whatever it was doing, and another begins. */
static void another_interface(void) {
    struct exo_environment *environment = mallory->user.environment;
    uint64_t ignored = 0;
    MUST(exo_revoke(environment, &mallory->user.vsic, &error) == OK, "what it holds it can give up");
    pass(&mallory->user, draw(2) == 0 ? 0 : 100 * SIM_US);
    MUST(exo_vsic_grant(environment, drive, &mallory->user.vsic, &error) == OK, error.text);
    MUST(exo_vsic_ring_map(environment, &mallory->user.vsic, &ignored, &mallory->ring, &error) == OK, error.text);
    MUST(exo_vsa_attach(environment, &mallory->user.vsic, &mallory->area, true, &mallory->nsid, &error) == OK,
         error.text);
    MUST(exo_vsic_set_weight(environment, &mallory->user.vsic, 1 + draw(WEIGHT), &error) == OK, error.text);
    interfaces++;
}

static void one_move(void) {
    const uint64_t number = next_request(), junk = random_below(stream, UINT64_MAX);
    struct exo_ring_request request = some_request(number);
    switch (draw(12)) {
    case 0: /* any word of the rings, the completions' too */
        put(draw(EXO_RING_BYTES / 8) * UINT64_C(8), &junk, sizeof junk);
        break;
    case 1: /* a whole lap, of this turn or another */
        for (uint32_t i = 0; i < EXO_RING_ENTRIES; i++) {
            request = some_request(number + i + draw(2) * EXO_RING_ENTRIES);
            put(place_of(number + i), &request, sizeof request);
        }
        break;
    case 2: /* turns that were, that will be, that cannot be */
        request.turn = draw(2) == 0 ? random_below(stream, UINT64_MAX) : request.turn + draw(3) - 1;
        put(place_of(number + draw(EXO_RING_ENTRIES)), &request, sizeof request);
        break;
    case 3:
    case 4:
        edit();
        break;
    case 5:
        if (draw(8) == 0) {
            revoke_buffer();
        }
        break;
    case 6:
        if (draw(100) == 0) {
            another_interface();
        }
        break;
    default:
        put(place_of(number), &request, sizeof request);
        break;
    }
}

static bool ended;
static void attack(struct user *user) {
    uint64_t next_look = 0;
    while (writes < RING_WRITES) {
        one_move();
        pass(user, draw(600) * SIM_NS);
        if (writes >= next_look) {
            next_look = writes + 5000;
            look();
        }
    }
    ended = true;
}

/* ---- Alice ---- */

static void work(struct user *user) {
    struct random_stream *own = random_stream_create("alice");
    while (!ended) {
        const uint32_t block = (uint32_t)random_below(own, AREA_BLOCKS - 8);
        const uint8_t value = (uint8_t)(1 + random_below(own, 255));
        const sim_time began = sim_now();
        if (random_below(own, 2) == 0) {
            user_fill(user, value);
            MUST(ring_command(victim, request_of(victim, EXO_RING_WRITE, victim->nsid, block, 8)) == OK,
                 "Alice is not served");
            memset(expected + block, value, 8);
        } else {
            MUST(ring_command(victim, request_of(victim, EXO_RING_READ, victim->nsid, block, 8)) == OK,
                 "Alice is not served");
            for (uint32_t i = 0; i < 8 * FIXTURE_BLOCK; i++) {
                MUST(*memory_at(storage_machine->memory, user->buffer.physical + i) ==
                         expected[block + i / FIXTURE_BLOCK],
                     "Alice reads what she did not write");
            }
        }
        const sim_time took = sim_now() - began;
        alices_longest = took > alices_longest ? took : alices_longest;
        alices_commands++;
    }
    MUST(ring_command(victim, request_of(victim, EXO_RING_FLUSH, victim->nsid, 0, 0)) == OK, "Alice is not served");
    random_stream_free(own);
    sim_stop();
}

Test(exo_ring_adversary, whatever_is_written_into_a_ring_leaves_the_other_as_it_was) {
    uint8_t block[FIXTURE_BLOCK];
    struct nvme_extent extent;
    storage_limits = exo_limits_default();
    storage_limits.storage_weight = WEIGHT;
    /* Time passes in the kernel's core, so that what it works on changes meanwhile. */
    storage_costs.emulation_poll.cycles = 60;
    storage_costs.emulation_request.cycles = storage_costs.emulation_complete.cycles = 300;
    storage_costs.emulation_walk.cycles = storage_costs.emulation_submit.cycles = 100;
    make_both();
    stream = random_stream_create("mallory");
    cr_assert_eq(exo_memory_allocate(alice, 0, 4 * 4096, &secret, &error), OK);
    cr_assert_eq(exo_memory_map(alice, &secret, true, &error), OK);
    memory_fill(storage_machine->memory, secret.physical, SECRET, secret.length_bytes);
    cr_assert_eq(exo_memory_allocate(bob, 0, 4096, &constant, &error), OK);
    cr_assert_eq(exo_memory_map(bob, &constant, false, &error), OK);
    user_start(&victim->user, 0, work);
    user_start(&mallory->user, 1, attack);
    sim_run(1000 * SIM_S);
    look();
    cr_assert(ended, "the attack has not ended: %llu writes", (unsigned long long)writes);
    cr_assert_eq(nvme_namespace_extents(ssd, victim->nsid, &extent, 1), 1);
    for (uint32_t i = 0; i < AREA_BLOCKS; i++) {
        block_store_read(nvme_store(ssd), extent.first_block + i, 1, block);
        cr_assert(block[0] == expected[i] && block[FIXTURE_BLOCK - 1] == expected[i], "Alice's block %u has changed",
                  i);
    }
    cr_expect_gt(alices_commands, RING_WRITES / 1000);
    cr_expect_lt(alices_longest, SIM_MS, "%.0f us", (double)alices_longest / (double)SIM_US);
    const uint64_t refused[] = {counters()->refused_malformed, counters()->refused_not_attached,
                                counters()->refused_out_of_range, counters()->refused_memory};
    for (int i = 0; i < 4; i++) {
        cr_expect_gt(refused[i], RING_WRITES / LEAST);
    }
    cr_expect_gt(counters()->completions - counters()->refused_malformed, RING_WRITES / 100);
    cr_expect(interfaces > RING_WRITES / LEAST && revoked_under_way > RING_WRITES / LEAST && edits > RING_WRITES / 10);
}
