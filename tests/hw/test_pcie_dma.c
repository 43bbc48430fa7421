/* test_pcie_dma.c: DMA: exact times, segments, chains, order, tags, protection. */
#include <math.h>

#include "tests/hw/pcie_fixture.h"

static struct probe probe;
static struct machine *machine;

static void set_up(const char *text) {
    const struct pcie_link_config config = gen3_x8();
    machine = make_machine(text);
    probe_make(&probe, machine, &config);
}

/* ---- DMA: times ---- */

Test(pcie_dma, a_write_takes_link_and_root) {
    static struct transfer write;
    set_up(NO_IOMMU);
    transfer_make(&write, &probe.function, true, 0x10000, 64);
    dma_submit(&write.op);
    unsigned char seen[64] = {0};
    sim_run(WRITE_NS * SIM_NS);
    memory_read(machine->memory, 0x10000, seen, 64);
    cr_expect_eq(seen[0], 0); /* not there before its time */
    sim_run(SIM_MS);
    cr_expect_eq(write.done, gen3_x8_time(24 + 64) + WRITE_NS * SIM_NS);
    cr_expect_eq(write.calls, 1);
    cr_expect_eq(write.op.status, DMA_DONE);
    cr_expect_eq(write.op.segment_physical[0], 0x10000);
    memory_read(machine->memory, 0x10000, seen, 64);
    cr_expect_arr_eq(seen, write.bytes, 64);
    cr_expect_eq(probe.function.dma_writes, 1);
    cr_expect_eq(probe.function.dma_write_bytes, 64);
}

Test(pcie_dma, a_read_takes_link_root_and_link) {
    static struct transfer read;
    set_up(NO_IOMMU);
    memory_write32(machine->memory, 0x20000, 0xdecafbad);
    transfer_make(&read, &probe.function, false, 0x20000, 8);
    dma_submit(&read.op);
    sim_run(SIM_MS);
    cr_expect_eq(read.done, gen3_x8_time(24) + READ_NS * SIM_NS + gen3_x8_time(20 + 8));
    cr_expect_eq(read.bytes[0], 0xad);
    cr_expect_eq(read.bytes[3], 0xde);
    cr_expect_eq(probe.function.dma_read_bytes, 8);
    /* pcie-bench: an 8 B read, warm, without the DMA engine. */
    cr_expect(fabs(sim_time_ns(read.done) - 413.0) < 0.5, "%.2f ns", sim_time_ns(read.done));
}

Test(pcie_dma, a_page_walk_is_added) {
    static struct transfer first, missing, hitting;
    uint64_t frames = UINT64_C(32) << 20;
    struct error error = {0};
    set_up(WITH_IOMMU);
    struct iommu_domain *domain = iommu_domain_create(machine->iommu, next_frame, &frames, &error);
    cr_assert(domain != NULL);
    cr_assert_eq(iommu_map(domain, 0x4000000, 0x10000, 8192, IOMMU_READ | IOMMU_WRITE), OK);
    cr_assert_eq(iommu_attach(machine->iommu, probe.function.requester_id, domain), OK);
    transfer_make(&first, &probe.function, true, 0x4000000, 64); /* brings the upper levels of the tables */
    dma_submit(&first.op);
    sim_run(10 * SIM_US);
    transfer_make(&missing, &probe.function, true, 0x4001000, 64);
    dma_submit(&missing.op);
    sim_run(20 * SIM_US);
    transfer_make(&hitting, &probe.function, true, 0x4001040, 64);
    dma_submit(&hitting.op);
    sim_run(30 * SIM_US);
    const sim_time look_up = 3 * SIM_NS;
    const sim_time miss = 230 * SIM_NS + 10 * SIM_NS; /* overhead and the leaf: 22 cycles of 2.2 GHz */
    cr_expect_eq(hitting.done - 20 * SIM_US, gen3_x8_time(88) + look_up + WRITE_NS * SIM_NS);
    cr_expect_eq(missing.done - 10 * SIM_US, gen3_x8_time(88) + look_up + miss + WRITE_NS * SIM_NS);
    cr_expect_eq(missing.op.segment_physical[0], 0x11000);
}

Test(pcie_dma, what_the_cache_lacks_comes_from_dram) {
    static struct transfer cold, warm;
    set_up("memory: {size: 64 MiB}\ncache: {dram_latency: 80 ns}\niommu: {mode: off}\n");
    transfer_make(&cold, &probe.function, false, 0x20000, 64);
    dma_submit(&cold.op);
    sim_run(10 * SIM_US);
    const sim_time hit = gen3_x8_time(24) + READ_NS * SIM_NS + gen3_x8_time(20 + 64);
    cr_expect_eq(cold.done, hit + 80 * SIM_NS);
    cache_touch(machine->cache, 0, 0x20000, 64, false, CACHE_DEPENDENT);
    transfer_make(&warm, &probe.function, false, 0x20000, 64);
    dma_submit(&warm.op);
    sim_run(20 * SIM_US);
    cr_expect_eq(warm.done - 10 * SIM_US, hit);
}

Test(pcie_dma, a_large_read_is_cut_and_its_pieces_follow_one_another) {
    static struct transfer read;
    set_up(NO_IOMMU);
    transfer_make(&read, &probe.function, false, 0x20000, 2048);
    dma_submit(&read.op);
    sim_run(SIM_MS);
    /* The first of four requests arrives, then eight completions stream. */
    cr_expect_eq(read.done, gen3_x8_time(24) + READ_NS * SIM_NS + gen3_x8_time(8 * 20 + 2048));
}

/* ---- DMA: segments, chains, order, tags ---- */

Test(pcie_dma, a_transfer_across_frames_goes_where_each_is_mapped) {
    static struct transfer write, read;
    uint64_t frames = UINT64_C(32) << 20;
    struct error error = {0};
    set_up(WITH_IOMMU);
    struct iommu_domain *domain = iommu_domain_create(machine->iommu, next_frame, &frames, &error);
    cr_assert_eq(iommu_map(domain, 0x1000, 0x50000, 4096, IOMMU_READ | IOMMU_WRITE), OK);
    cr_assert_eq(iommu_map(domain, 0x2000, 0x30000, 4096, IOMMU_READ | IOMMU_WRITE), OK);
    cr_assert_eq(iommu_map(domain, 0x3000, 0x70000, 4096, IOMMU_READ | IOMMU_WRITE), OK);
    cr_assert_eq(iommu_attach(machine->iommu, probe.function.requester_id, domain), OK);
    transfer_make(&write, &probe.function, true, 0x1f00, 0x1200);
    dma_submit(&write.op);
    sim_run(SIM_MS);
    cr_assert_eq(write.op.status, DMA_DONE);
    cr_expect_eq(write.op.segments, 3);
    unsigned char seen[4096];
    memory_read(machine->memory, 0x50f00, seen, 0x100);
    cr_expect_arr_eq(seen, write.bytes, 0x100);
    memory_read(machine->memory, 0x30000, seen, 0x1000);
    cr_expect_arr_eq(seen, write.bytes + 0x100, 0x1000);
    memory_read(machine->memory, 0x70000, seen, 0x100);
    cr_expect_arr_eq(seen, write.bytes + 0x1100, 0x100);
    transfer_make(&read, &probe.function, false, 0x1f00, 0x1200);
    dma_submit(&read.op);
    sim_run(2 * SIM_MS);
    cr_expect_arr_eq(read.bytes, write.bytes, 0x1200);
}

Test(pcie_dma, a_chain_appears_at_once_and_is_done_once) {
    static struct transfer packet, descriptor;
    set_up(NO_IOMMU);
    transfer_make(&packet, &probe.function, true, 0x10000, 1024);
    transfer_make(&descriptor, &probe.function, true, 0x20000, 16);
    packet.op.next = &descriptor.op;
    dma_submit(&packet.op);
    const sim_time end = gen3_x8_time(4 * 24 + 1024) + gen3_x8_time(24 + 16) + WRITE_NS * SIM_NS;
    sim_run(end - 1);
    cr_expect_eq(memory_read32(machine->memory, 0x10000), 0);
    sim_run(end);
    cr_expect_neq(memory_read32(machine->memory, 0x10000), 0);
    cr_expect_neq(memory_read32(machine->memory, 0x20000), 0);
    cr_expect_eq(packet.calls, 0);
    cr_expect_eq(descriptor.calls, 1);
    cr_expect_eq(descriptor.done, end);
    cr_expect_eq(packet.op.status, DMA_DONE);
}

Test(pcie_dma, posted_writes_become_visible_in_order) {
    static struct transfer slow, fast, read;
    uint64_t frames = UINT64_C(32) << 20;
    struct error error = {0};
    set_up(WITH_IOMMU);
    struct iommu_domain *domain = iommu_domain_create(machine->iommu, next_frame, &frames, &error);
    cr_assert_eq(iommu_map(domain, 0x1000, 0x1000, 8192, IOMMU_READ | IOMMU_WRITE), OK);
    cr_assert_eq(iommu_attach(machine->iommu, probe.function.requester_id, domain), OK);
    transfer_make(&fast, &probe.function, true, 0x2000, 64);
    dma_submit(&fast.op);
    sim_run(10 * SIM_US);
    transfer_make(&slow, &probe.function, true, 0x1000, 64);  /* misses the IOTLB */
    transfer_make(&fast, &probe.function, true, 0x2000, 64);  /* hits */
    transfer_make(&read, &probe.function, false, 0x2000, 64); /* pushes both before it */
    dma_submit(&slow.op);
    dma_submit(&fast.op);
    dma_submit(&read.op);
    sim_run(20 * SIM_US);
    cr_expect_gt(slow.done, 10 * SIM_US + 230 * SIM_NS + WRITE_NS * SIM_NS);
    cr_expect_eq(fast.done, slow.done);
    cr_expect_geq(read.done, fast.done);
    cr_expect_arr_eq(read.bytes, fast.bytes, 64);
}

Test(pcie_dma, a_read_waits_for_a_tag) {
    static struct transfer reads[3];
    static struct transfer write;
    const struct pcie_link_config config = {3, 8, 256, 512, 2};
    machine = make_machine(NO_IOMMU);
    probe_make(&probe, machine, &config);
    for (unsigned i = 0; i < 3; i++) {
        transfer_make(&reads[i], &probe.function, false, 0x10000 + 64 * i, 64);
        dma_submit(&reads[i].op);
    }
    transfer_make(&write, &probe.function, true, 0x20000, 64); /* needs none */
    dma_submit(&write.op);
    sim_run(SIM_MS);
    const sim_time round = gen3_x8_time(24) + READ_NS * SIM_NS + gen3_x8_time(84);
    cr_expect_eq(reads[0].done, round);
    /* The second's completion is ready 24 bytes later and goes behind the first's. */
    cr_expect_eq(reads[1].done, round + gen3_x8_time(84));
    cr_expect_eq(reads[2].done, reads[0].done + round);
    cr_expect_lt(write.done, reads[0].done);
    cr_expect_eq(counter_of(machine, "probe.pcie_up", "tag_waits"), 1);
}

Test(pcie_dma, a_read_larger_than_all_tags_still_goes) {
    static struct transfer reads[2];
    const struct pcie_link_config config = {3, 8, 256, 512, 2};
    machine = make_machine(NO_IOMMU);
    probe_make(&probe, machine, &config);
    for (unsigned i = 0; i < 2; i++) {
        transfer_make(&reads[i], &probe.function, false, 0x10000, 4096); /* eight requests */
        dma_submit(&reads[i].op);
    }
    sim_run(SIM_MS);
    cr_expect_eq(reads[0].calls + reads[1].calls, 2);
    cr_expect_eq(reads[1].done, 2 * reads[0].done);
}

Test(pcie_dma, many_waiting_reads_keep_their_order) {
    static struct transfer reads[300];
    const struct pcie_link_config config = {3, 8, 256, 512, 4};
    machine = make_machine(NO_IOMMU);
    probe_make(&probe, machine, &config);
    for (unsigned i = 0; i < 300; i++) {
        transfer_make(&reads[i], &probe.function, false, 0x10000, 8);
        dma_submit(&reads[i].op);
    }
    sim_run(SIM_MS);
    for (unsigned i = 0; i < 300; i++) {
        cr_assert_eq(reads[i].calls, 1);
        cr_assert(i == 0 || reads[i].done > reads[i - 1].done);
        /* Four at a time, never a fifth: each rides on the end of the fourth before. */
        const sim_time round = gen3_x8_time(24) + READ_NS * SIM_NS + gen3_x8_time(28);
        cr_assert(i < 4 || reads[i].done >= reads[i - 4].done + round);
    }
}

/* A completion that is booked ahead does not keep the link from what is ready before. */
Test(pcie_dma, a_doorbell_takes_the_gap_before_a_completion) {
    static struct transfer read;
    set_up(NO_IOMMU);
    transfer_make(&read, &probe.function, false, 0x20000, 4096);
    dma_submit(&read.op);
    pcie_mmio_write(machine->pcie, probe.function.bar_address[0], 4, 1);
    sim_run(SIM_MS);
    cr_expect_eq(probe.writes[0].when, MMIO_NS * SIM_NS + gen3_x8_time(28));
    cr_expect_eq(read.done, gen3_x8_time(24) + READ_NS * SIM_NS + gen3_x8_time(16 * 20 + 4096));
}

/* ---- protection ---- */

Test(pcie_dma, a_fault_moves_no_byte) {
    static struct transfer half, other_half, readonly, unmapped_read;
    uint64_t frames = UINT64_C(32) << 20;
    struct error error = {0};
    set_up(WITH_IOMMU);
    struct iommu_domain *domain = iommu_domain_create(machine->iommu, next_frame, &frames, &error);
    cr_assert_eq(iommu_map(domain, 0x1000, 0x50000, 4096, IOMMU_READ | IOMMU_WRITE), OK);
    cr_assert_eq(iommu_map(domain, 0x8000, 0x60000, 4096, IOMMU_READ), OK);
    cr_assert_eq(iommu_attach(machine->iommu, probe.function.requester_id, domain), OK);
    transfer_make(&half, &probe.function, true, 0x1ff0, 32);      /* its second half is mapped nowhere */
    transfer_make(&other_half, &probe.function, true, 0xff0, 32); /* its first half */
    transfer_make(&readonly, &probe.function, true, 0x8000, 32);
    transfer_make(&unmapped_read, &probe.function, false, 0x50000, 32); /* a physical address is no I/O address */
    memory_write64(machine->memory, 0x50000, UINT64_MAX);
    dma_submit(&half.op);
    dma_submit(&other_half.op);
    dma_submit(&readonly.op);
    dma_submit(&unmapped_read.op);
    sim_run(SIM_MS);
    cr_expect_eq(half.op.status, DMA_FAULT);
    cr_expect_eq(other_half.op.status, DMA_FAULT);
    cr_expect_eq(readonly.op.status, DMA_FAULT);
    cr_expect_eq(unmapped_read.op.status, DMA_FAULT);
    cr_expect_eq(half.calls + other_half.calls + readonly.calls + unmapped_read.calls, 4);
    cr_expect_eq(memory_read64(machine->memory, 0x50ff0), 0);
    cr_expect_eq(memory_read64(machine->memory, 0x50000), UINT64_MAX);
    cr_expect_eq(memory_read64(machine->memory, 0x60000), 0);
    cr_expect_eq(unmapped_read.bytes[0], 0);
    cr_expect_eq(counter_of(machine, "probe.pf", "dma_faults"), 4);
    cr_expect_eq(counter_of(machine, "probe.pf", "dma_writes"), 0);
    cr_expect_eq(iommu_fault_count(machine->iommu), 4);
}

static struct iommu_domain *revoked_domain;
static void revoke(void *context) {
    (void)context;
    (void)iommu_unmap(revoked_domain, 0x1000, 4096);
}

Test(pcie_dma, a_binding_broken_under_way_is_broken) {
    static struct transfer under_way, untouched;
    static struct sim_event revocation;
    uint64_t frames = UINT64_C(32) << 20;
    struct error error = {0};
    set_up(WITH_IOMMU);
    revoked_domain = iommu_domain_create(machine->iommu, next_frame, &frames, &error);
    cr_assert_eq(iommu_map(revoked_domain, 0x1000, 0x50000, 4096, IOMMU_WRITE), OK);
    cr_assert_eq(iommu_map(revoked_domain, 0x2000, 0x60000, 4096, IOMMU_WRITE), OK);
    cr_assert_eq(iommu_attach(machine->iommu, probe.function.requester_id, revoked_domain), OK);
    transfer_make(&under_way, &probe.function, true, 0x1000, 32);
    transfer_make(&untouched, &probe.function, true, 0x2000, 32);
    memory_write64(machine->memory, 0x50000, 7);
    dma_submit(&under_way.op);
    dma_submit(&untouched.op);
    sim_event_init(&revocation, SIM_PRIORITY_HARDWARE, revoke, NULL);
    sim_schedule(&revocation, 20 * SIM_NS); /* translated, not yet arrived */
    sim_run(SIM_MS);
    cr_expect_eq(under_way.op.status, DMA_FAULT);
    cr_expect_eq(memory_read64(machine->memory, 0x50000), 7);
    cr_expect_eq(untouched.op.status, DMA_DONE);
    cr_expect_eq(iommu_fault_count(machine->iommu), 1);
}

Test(pcie_dma, the_same_access_succeeds_for_the_function_that_may) {
    static struct transfer theirs, mine;
    uint64_t frames = UINT64_C(32) << 20;
    struct error error = {0};
    set_up(WITH_IOMMU);
    struct iommu_domain *domain = iommu_domain_create(machine->iommu, next_frame, &frames, &error);
    cr_assert_eq(iommu_map(domain, 0x1000, 0x50000, 4096, IOMMU_WRITE), OK);
    cr_assert_eq(iommu_attach(machine->iommu, probe.second.requester_id, domain), OK);
    transfer_make(&theirs, &probe.function, true, 0x1000, 32);
    transfer_make(&mine, &probe.second, true, 0x1000, 32);
    dma_submit(&theirs.op);
    dma_submit(&mine.op);
    sim_run(SIM_MS);
    cr_expect_eq(theirs.op.status, DMA_FAULT);
    cr_expect_eq(mine.op.status, DMA_DONE);
    cr_expect_eq(counter_of(machine, "probe.vf0", "dma_writes"), 1);
}

Test(pcie_dma, beyond_memory_and_without_bus_mastering_nothing_moves) {
    static struct transfer beyond, off, cut;
    set_up(NO_IOMMU);
    transfer_make(&beyond, &probe.function, true, (UINT64_C(64) << 20) - 8, 16);
    transfer_make(&off, &probe.second, true, 0x3000, 16);
    transfer_make(&cut, &probe.function, true, 0x4000, 16);
    probe.second.bus_master = false;
    dma_submit(&beyond.op);
    dma_submit(&off.op);
    cr_expect_eq(off.calls, 0); /* never from within the submission */
    sim_run(SIM_US);
    dma_submit(&cut.op);
    probe.function.bus_master = false; /* while it is under way */
    sim_run(SIM_MS);
    cr_expect_eq(beyond.op.status, DMA_FAULT);
    cr_expect_eq(off.op.status, DMA_FAULT);
    cr_expect_eq(cut.op.status, DMA_FAULT);
    cr_expect_eq(off.calls, 1);
    cr_expect_eq(off.done, 0); /* nothing left the device */
    cr_expect_eq(memory_read64(machine->memory, 0x3000), 0);
    cr_expect_eq(memory_read64(machine->memory, 0x4000), 0);
    cr_expect_eq(memory_read64(machine->memory, (UINT64_C(64) << 20) - 8), 0);
}
