/* Storage areas: what the kernel grants, and that the drive keeps to it. */
#include "tests/kernel_model/exo_storage_fixture.h"

enum { AREA_BYTES = 1 << 20, AREA_BLOCKS = AREA_BYTES / FIXTURE_BLOCK };

static struct user a, b;
static sim_time took;
static struct exo_handle area;
static uint32_t nsid;

static void attach(struct user *user, const struct exo_handle *vsa, bool write) {
    cr_assert_eq(exo_vsa_attach(user->environment, &user->vsic, vsa, write, &nsid, &error), OK, "%s", error.text);
}

/* Alice with an area, Bob with an interface. */
static void make_both(void) {
    storage_make(2);
    user_make(&a, alice);
    user_make(&b, bob);
    cr_assert_eq(exo_vsa_create(alice, drive, "data", AREA_BYTES, EXO_ANY_BLOCK, &area, &error), OK, "%s", error.text);
}

/* ---- the path that is allowed ---- */

static void write_and_read(struct user *user) {
    user_fill(user, 0xa5);
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, 5, 8), OK);
    cr_assert_eq(user_command(user, BLOCK_FLUSH, nsid, 0, 0), OK);
    user_fill(user, 0);
    cr_assert_eq(user_command(user, BLOCK_READ, nsid, 5, 8), OK);
    cr_assert(user_holds(user, 0xa5, 8 * FIXTURE_BLOCK));
    cr_assert_eq(user_command(user, BLOCK_READ, nsid, 13, 1), OK);
    cr_assert(user_holds(user, 0, FIXTURE_BLOCK), "what was never written reads as zeroes");
}

Test(exo_vsa, is_written_and_read_without_the_kernel) {
    make_both();
    attach(&a, &area, true);
    user_start(&a, 0, write_and_read);
    const uint64_t checks = kernel->counters.refused[EXO_ALLOWED];
    sim_run(SIM_S);
    cr_assert_eq(kernel->counters.refused[EXO_ALLOWED], checks, "the kernel has no part in it");
}

/* ---- what is refused by the drive ---- */

static void go_beyond(struct user *user) {
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, AREA_BLOCKS - 1, 1), OK);
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, AREA_BLOCKS, 1), ERR_RANGE);
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, AREA_BLOCKS - 1, 2), ERR_RANGE);
    cr_assert_eq(user_command(user, BLOCK_READ, nsid, UINT64_MAX, 2), ERR_RANGE);
}

Test(exo_vsa, ends_where_it_ends) {
    make_both();
    attach(&a, &area, true);
    user_start(&a, 0, go_beyond);
    sim_run(SIM_S);
}

static void use_foreign(struct user *user) {
    user_fill(user, 1);
    cr_assert_eq(user_command(user, BLOCK_READ, nsid, 0, 1), ERR_DENIED);
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, 0, 1), ERR_DENIED);
    cr_assert_eq(user_command(user, BLOCK_READ, nsid + 1, 0, 1), ERR_DENIED);
}

Test(exo_vsa, is_not_reached_from_an_interface_that_it_is_not_attached_to) {
    make_both();
    attach(&a, &area, true);
    user_start(&b, 0, use_foreign);
    sim_run(SIM_S);
    cr_assert_eq(nvme_counters(ssd, 2)->refused_not_attached, 3, "the drive let a command through");
    uint8_t block[FIXTURE_BLOCK];
    block_store_read(nvme_store(ssd), 0, 1, block);
    cr_assert_eq(block[0], 0, "another's data was touched");
}

static void only_read(struct user *user) {
    cr_assert_eq(user_command(user, BLOCK_READ, nsid, 0, 1), OK);
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, 0, 1), ERR_DENIED);
}

Test(exo_vsa, is_shared_for_reading) {
    make_both();
    struct exo_handle lent;
    cr_assert_eq(exo_derive(alice, &area, EXO_READ, bob, &lent, &error), OK, "%s", error.text);
    uint32_t ignored = 0;
    cr_assert_eq(exo_vsa_attach(bob, &b.vsic, &lent, true, &ignored, &error), ERR_DENIED,
                 "it carries no right to write");
    attach(&b, &lent, false);
    user_start(&b, 0, only_read);
    sim_run(SIM_S);
    cr_assert_eq(nvme_counters(ssd, 2)->refused_read_only, 1, "the drive let a write through");
}

static struct exo_handle lent;
static void use_until_revoked(struct user *user) {
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, 0, 1), OK);
    cr_assert_eq(exo_revoke(alice, &lent, &error), ERR_DENIED, "Alice does not hold it");
    cr_assert_eq(exo_revoke(alice, &area, &error), OK, "%s", error.text);
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, 0, 1), ERR_DENIED, "the drive still lets it through");
    uint32_t ignored = 0;
    cr_assert_eq(exo_vsa_attach(bob, &b.vsic, &lent, false, &ignored, &error), ERR_DENIED);
    cr_assert_eq(kernel->counters.refused[EXO_STALE], 1);
}

Test(exo_vsa, revoking_its_capability_detaches_it_in_the_drive) {
    make_both();
    cr_assert_eq(exo_derive(alice, &area, EXO_READ | EXO_WRITE, bob, &lent, &error), OK, "%s", error.text);
    attach(&b, &lent, true);
    user_start(&b, 0, use_until_revoked);
    sim_run(SIM_S);
}

Test(exo_vsa, two_capabilities_are_two_attachments) {
    make_both();
    struct exo_handle other;
    uint32_t ignored = 0;
    cr_assert_eq(exo_derive(alice, &area, EXO_READ | EXO_CONTROL, alice, &other, &error), OK);
    cr_assert_eq(exo_vsa_attach(alice, &a.vsic, &other, false, &ignored, &error), OK);
    attach(&a, &area, true);
    cr_assert_eq(exo_vsa_detach(alice, &a.vsic, &area, &error), OK);
    user_start(&a, 0, only_read); /* what the other allows is left */
    sim_run(SIM_S);
}

/* ---- capabilities ---- */

Test(exo_vsa, forged_handles_and_others_are_refused) {
    make_both();
    uint32_t ignored = 0;
    struct exo_handle forged = area;
    forged.holder = bob->number;
    cr_assert_eq(exo_vsa_attach(bob, &b.vsic, &forged, false, &ignored, &error), ERR_DENIED);
    cr_assert_eq(kernel->counters.refused[EXO_FORGED], 1);
    cr_assert_eq(exo_vsa_attach(bob, &b.vsic, &area, false, &ignored, &error), ERR_DENIED);
    cr_assert_eq(kernel->counters.refused[EXO_NOT_HOLDER], 1);
    cr_assert_eq(exo_vsa_attach(alice, &b.vsic, &area, false, &ignored, &error), ERR_DENIED, "into Bob's interface");
    cr_assert_eq(exo_vsa_attach(alice, &area, &area, false, &ignored, &error), ERR_DENIED);
    cr_assert_eq(kernel->counters.refused[EXO_WRONG_TYPE], 1);
    cr_assert_eq(exo_vsa_resize(bob, &area, 1, &error), ERR_DENIED);
    cr_assert_eq(exo_vsa_delete(bob, &area, &error), ERR_DENIED);
    cr_assert_eq(exo_vsa_blocks(bob, &area), 0);
    cr_assert_eq(exo_vsa_blocks(alice, &area), AREA_BLOCKS);
}

Test(exo_vsa, is_resized_and_deleted_by_its_owner_alone) {
    make_both();
    struct exo_handle all;
    cr_assert_eq(exo_derive(alice, &area, EXO_ALL, bob, &all, &error), OK);
    cr_assert_eq(exo_vsa_resize(bob, &all, 2 * AREA_BYTES, &error), ERR_DENIED);
    cr_assert_eq(exo_vsa_delete(bob, &all, &error), ERR_DENIED);
    cr_assert_eq(kernel->counters.storage_refusals, 2);
    cr_assert_eq(exo_vsa_delete(alice, &area, &error), OK);
    cr_assert_eq(exo_vsa_blocks(bob, &all), 0, "every capability on it has ended");
    cr_assert_eq(extents_free_blocks(&drive->free), nvme_blocks(ssd));
}

/* ---- names ---- */

Test(exo_vsa, outlives_its_environment_under_its_name) {
    make_both();
    struct exo_handle again;
    exo_environment_destroy(alice);
    cr_assert_eq(exo_vsa_acquire(bob, drive, "data", EXO_READ, &again, &error), ERR_DENIED, "it is Alice's");
    cr_assert_eq(kernel->counters.storage_refusals, 1);
    alice = exo_environment_create(kernel, "alice", &storage_limits, &error);
    cr_assert_eq(exo_vsa_acquire(alice, drive, "data", EXO_ALL, &again, &error), OK, "%s", error.text);
    cr_assert_eq(exo_vsa_blocks(alice, &again), AREA_BLOCKS);
    cr_assert_eq(exo_vsa_acquire(alice, drive, "else", EXO_READ, &again, &error), ERR_NOT_FOUND);
    cr_assert_eq(exo_vsa_create(alice, drive, "data", 512, EXO_ANY_BLOCK, &again, &error), ERR_EXISTS);
}

Test(exo_vsa, is_exported_by_name_with_the_rights_given) {
    make_both();
    struct exo_handle got;
    cr_assert_eq(exo_vsa_export(alice, &area, "bob", EXO_READ, &error), OK);
    cr_assert_eq(exo_vsa_acquire(bob, drive, "data", EXO_READ | EXO_WRITE, &got, &error), ERR_DENIED);
    cr_assert_eq(exo_vsa_acquire(bob, drive, "data", EXO_READ, &got, &error), OK, "%s", error.text);
    attach(&b, &got, false);
    cr_assert_eq(exo_vsa_export(alice, &area, "bob", 0, &error), OK);
    cr_assert_eq(exo_vsa_acquire(bob, drive, "data", EXO_READ, &got, &error), ERR_DENIED, "no longer exported");
    struct exo_handle weak;
    cr_assert_eq(exo_derive(alice, &area, EXO_READ | EXO_CONTROL | EXO_GRANT, alice, &weak, &error), OK);
    cr_assert_eq(exo_vsa_export(alice, &weak, NULL, EXO_WRITE, &error), ERR_DENIED, "a right that it does not carry");
    cr_assert_eq(exo_vsa_export(alice, &weak, NULL, EXO_READ, &error), OK);
    cr_assert_eq(exo_vsa_acquire(bob, drive, "data", EXO_READ, &got, &error), OK);
    user_start(&b, 0, only_read);
    sim_run(SIM_S);
}

/* ---- sizes, shares ---- */

static void resized(struct user *user) {
    user_fill(user, 0x77);
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, 0, 4), OK);
    cr_assert_eq(exo_vsa_resize(alice, &area, 2 * AREA_BYTES, &error), OK, "%s", error.text);
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, AREA_BLOCKS, 4), OK);
    cr_assert_eq(exo_vsa_resize(alice, &area, 4 * FIXTURE_BLOCK, &error), OK);
    cr_assert_eq(user_command(user, BLOCK_READ, nsid, AREA_BLOCKS, 1), ERR_RANGE);
    user_fill(user, 0);
    cr_assert_eq(user_command(user, BLOCK_READ, nsid, 0, 4), OK);
    cr_assert(user_holds(user, 0x77, 4 * FIXTURE_BLOCK), "what stayed has lost its contents");
    cr_assert_eq(exo_vsa_resize(alice, &area, 2 * AREA_BYTES, &error), OK);
    cr_assert_eq(user_command(user, BLOCK_READ, nsid, AREA_BLOCKS, 4), OK);
    cr_assert(user_holds(user, 0, 4 * FIXTURE_BLOCK), "what was given up came back");
}

Test(exo_vsa, keeps_its_contents_when_resized) {
    make_both();
    struct exo_handle behind; /* so that growth needs a second extent */
    cr_assert_eq(exo_vsa_create(bob, drive, "behind", AREA_BYTES, EXO_ANY_BLOCK, &behind, &error), OK);
    attach(&a, &area, true);
    user_start(&a, 0, resized);
    sim_run(SIM_S);
}

Test(exo_vsa, shares_and_sizes_are_kept) {
    storage_limits = exo_limits_default();
    storage_limits.storage_areas = 2;
    storage_limits.storage_bytes = 3 * AREA_BYTES;
    storage_limits.storage_interfaces = 1;
    storage_limits.storage_queues = 1;
    make_both();
    struct exo_handle more;
    struct exo_storage_binding binding;
    cr_assert_eq(exo_vsa_create(alice, drive, "more", 3 * AREA_BYTES, EXO_ANY_BLOCK, &more, &error), ERR_SHARE);
    cr_assert_eq(exo_vsa_create(alice, drive, "more", AREA_BYTES, EXO_ANY_BLOCK, &more, &error), OK);
    cr_assert_eq(exo_vsa_create(alice, drive, "most", 512, EXO_ANY_BLOCK, &more, &error), ERR_SHARE, "two areas");
    cr_assert_eq(exo_vsa_resize(alice, &area, 3 * AREA_BYTES, &error), ERR_SHARE);
    cr_assert_eq(exo_vsic_grant(alice, drive, &more, &error), ERR_SHARE);
    const struct exo_queue_memory memory = user_queue_memory(&a);
    cr_assert_eq(exo_storage_queue_grant(alice, &a.vsic, &memory, false, &binding, &more, &error), ERR_SHARE);
    cr_assert_eq(kernel->counters.shares, 5);
    cr_assert_eq(exo_vsa_create(bob, drive, "none", 0, EXO_ANY_BLOCK, &more, &error), ERR_RANGE);
}

Test(exo_vsa, the_drive_is_only_so_large) {
    make_both();
    struct exo_handle more;
    cr_assert_eq(exo_vsa_create(bob, drive, "big", FIXTURE_DRIVE_BYTES, EXO_ANY_BLOCK, &more, &error), ERR_EXHAUSTED);
    cr_assert_eq(exo_vsa_create(bob, drive, "rest", FIXTURE_DRIVE_BYTES - AREA_BYTES, EXO_ANY_BLOCK, &more, &error),
                 OK);
    cr_assert_eq(extents_free_blocks(&drive->free), 0);
    cr_assert_eq(exo_vsa_delete(bob, &more, &error), OK);
    cr_assert_eq(exo_vsa_create(bob, drive, "named", AREA_BYTES, 8 * AREA_BLOCKS, &more, &error), OK,
                 "a place may be asked for");
    cr_assert_eq(exo_vsa_create(bob, drive, "same", AREA_BYTES, 8 * AREA_BLOCKS, &more, &error), ERR_EXHAUSTED);
}

/* ---- interfaces ---- */

static void ring_after_revocation(struct user *user) {
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, 0, 1), OK);
    cr_assert_eq(exo_revoke(alice, &user->queue, &error), OK);
    cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, 1, 1), ERR_FAULT, "its doorbell is still mapped");
}

Test(exo_vsic, a_revoked_queue_has_no_doorbell) {
    make_both();
    attach(&a, &area, true);
    user_start(&a, 0, ring_after_revocation);
    sim_run(SIM_S);
    cr_assert_eq(alice->storage_queues_held, 0);
}

static void other_registers(struct user *user) {
    struct context *context = user->thread->context;
    const uint64_t registers = user->binding.doorbells;
    cr_assert_not(cpu_mmio_write(context, registers + NVME_REG_CC, 4, 0, NULL, 0), "the controller's reset is mapped");
    cr_assert_not(cpu_mmio_write(context, registers + NVME_SQ_DOORBELL(0, 4096), 4, 1, NULL, 0),
                  "the admin queue's is");
    cr_assert_not(cpu_mmio_write(context, registers + NVME_SQ_DOORBELL(2, 4096), 4, 1, NULL, 0), "the next queue's is");
    cr_assert(cpu_mmio_write(context, registers + NVME_CQ_DOORBELL(1, 4096), 4, 0, NULL, 0));
}

Test(exo_vsic, a_queues_doorbells_are_all_that_is_mapped) {
    make_both();
    user_start(&a, 0, other_registers);
    sim_run(SIM_S);
}

static void dma_elsewhere(struct user *user) {
    user->buffer.device_address = b.buffer.device_address; /* Bob's, at his address */
    if (user->buffer.device_address == a.buffer.virtual_address) {
        user->buffer.device_address += UINT64_C(1) << 32;
    }
    cr_assert_eq(user_command(user, BLOCK_READ, nsid, 0, 8), ERR_FAULT);
}

Test(exo_vsic, its_dma_reaches_its_environment_alone) {
    make_both();
    attach(&a, &area, true);
    memory_fill(storage_machine->memory, b.buffer.physical, 0x42, 4096);
    user_start(&a, 0, dma_elsewhere);
    sim_run(SIM_S);
    cr_assert_eq(*memory_at(storage_machine->memory, b.buffer.physical), 0x42);
    cr_assert_gt(iommu_fault_count(storage_machine->iommu), 0);
}

Test(exo_vsic, one_that_is_given_back_reaches_no_memory) {
    make_both();
    uint64_t physical = 0;
    const uint16_t id = nvme_function(ssd, 1)->requester_id;
    cr_assert(iommu_peek(storage_machine->iommu, id, a.buffer.device_address, true, &physical));
    cr_assert_eq(physical, a.buffer.physical);
    cr_assert_eq(exo_revoke(alice, &a.vsic, &error), OK, "%s", error.text);
    cr_assert_not(iommu_peek(storage_machine->iommu, id, a.buffer.device_address, true, &physical));
}

Test(exo_vsic, first_come_first_served_until_none_is_left) {
    make_both();
    struct exo_handle third;
    cr_assert_eq(exo_vsic_grant(alice, drive, &third, &error), ERR_EXHAUSTED);
    cr_assert_eq(exo_revoke(bob, &b.vsic, &error), OK);
    cr_assert_eq(exo_vsic_grant(alice, drive, &third, &error), OK, "what was given back can be granted");
}

Test(exo_vsic, weights_and_rates_are_bounded) {
    storage_limits = exo_limits_default();
    storage_limits.storage_weight = 4;
    storage_limits.storage_bytes_per_s = 1000000;
    make_both();
    const struct nvme_rate none = {0, 0, SIM_MS};
    const struct nvme_rate much = {2000000, 0, SIM_MS};
    const struct nvme_rate less = {500000, 0, SIM_MS};
    cr_assert_eq(exo_vsic_set_weight(alice, &a.vsic, 4, &error), OK);
    cr_assert_eq(exo_vsic_set_weight(alice, &a.vsic, 5, &error), ERR_SHARE);
    cr_assert_eq(exo_vsic_set_weight(bob, &a.vsic, 1, &error), ERR_DENIED);
    cr_assert_eq(exo_vsic_set_rate(alice, &a.vsic, &none, &error), ERR_SHARE, "no limit is more than agreed");
    cr_assert_eq(exo_vsic_set_rate(alice, &a.vsic, &much, &error), ERR_SHARE);
    cr_assert_eq(exo_vsic_set_rate(alice, &a.vsic, &less, &error), OK);
}

static void write_160_kib(struct user *user) {
    for (uint64_t i = 0; i < 40; i++) {
        cr_assert_eq(user_command(user, BLOCK_WRITE, nsid, 8 * i, 8), OK);
    }
    took = sim_now();
}

Test(exo_vsic, a_rate_holds_from_the_start) {
    storage_limits = exo_limits_default();
    storage_limits.storage_bytes_per_s = 2000000;
    make_both();
    attach(&a, &area, true);
    user_start(&a, 0, write_160_kib);
    sim_run(SIM_S);
    cr_assert_geq(took, 75 * SIM_MS, "160 KiB at 2 MB/s took %.1f ms", (double)took / SIM_MS);
    cr_assert_leq(took, 90 * SIM_MS, "160 KiB at 2 MB/s took %.1f ms", (double)took / SIM_MS);
}

/* ---- extents ---- */

Test(exo_extents, give_back_what_they_took) {
    struct extents extents;
    struct nvme_extent got[8];
    extents_init(&extents, 10, 90);
    cr_assert_eq(extents_take(&extents, 30, got, 8), 1);
    cr_assert_eq(got[0].first_block, 10);
    cr_assert(extents_take_at(&extents, 60, 10));
    cr_assert_not(extents_take_at(&extents, 69, 2));
    cr_assert_not(extents_take_at(&extents, 0, 5));
    cr_assert_eq(extents_take(&extents, 45, got + 1, 1), 0, "one run is not enough");
    cr_assert_eq(extents_take(&extents, 45, got + 1, 2), 2);
    cr_assert_eq(extents_free_blocks(&extents), 5);
    extents_give(&extents, got[1]);
    extents_give(&extents, (struct nvme_extent){60, 10});
    extents_give(&extents, got[2]);
    extents_give(&extents, got[0]);
    cr_assert_eq(extents.count, 1, "neighbours are one run again");
    cr_assert_eq(extents_free_blocks(&extents), 90);
    extents_fini(&extents);
}

Test(exo_vsa, attached_again_takes_no_more_of_the_kernel) {
    make_both();
    for (int i = 0; i < 100; i++) {
        attach(&a, &area, i % 2 == 0);
    }
    unsigned count = 0;
    for (const struct exo_vsic *vsic = kernel->vsics; vsic != NULL; vsic = vsic->next) {
        for (const struct exo_attachment *at = vsic->attachments; at != NULL; at = at->next) {
            count++;
        }
    }
    cr_assert_eq(count, 1, "%u", count);
}
