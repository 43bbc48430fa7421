/* IOMMU: who reaches what; tables, queue and faults as bytes in memory. */
#include "tests/hw/iommu_fixture.h"

enum { IOVA = 0x7000000, FRAME = 0x2000000 };

static void make(void) {
    const struct iommu_config config = fixture_config();
    fixture_make(&config);
}

TestSuite(iommu, .init = make, .fini = fixture_drop);

static sim_time now;
/* One access, long after the one before. */
static struct iommu_result reach(uint16_t requester_id, uint64_t iova, bool write) {
    now += 10 * SIM_US;
    return iommu_translate(iommu, requester_id, iova, write, now);
}

static struct iommu_domain *attached(uint16_t requester_id) {
    struct iommu_domain *domain = fixture_domain();
    cr_assert_eq(iommu_attach(iommu, requester_id, domain), OK);
    return domain;
}

Test(iommu, functions_start_blocked) {
    cr_assert_eq(iommu_mode(iommu), IOMMU_ON);
    cr_assert_not(reach(FIXTURE_FUNCTION, 0, false).allowed, "no table at all");
    (void)fixture_domain();
    cr_assert_not(reach(FIXTURE_FUNCTION, 0, false).allowed, "no context table");
    (void)attached(FIXTURE_OTHER);
    cr_assert_not(reach(FIXTURE_FUNCTION, 0, false).allowed, "no context entry");
    cr_assert_eq(iommu_fault_count(iommu), 3);
}

Test(iommu, a_function_reaches_what_its_domain_maps) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 2 * 4096, IOMMU_READ | IOMMU_WRITE), OK);
    const struct iommu_result result = reach(FIXTURE_FUNCTION, IOVA + 4096 + 17, true);
    cr_assert(result.allowed);
    cr_assert_eq(result.physical, FRAME + 4096 + 17);
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA + 2 * 4096, false).allowed);
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA - 1, false).allowed);
    cr_assert_not(reach(FIXTURE_FUNCTION, FRAME, false).allowed, "the physical address itself is nothing");
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA + (UINT64_C(1) << 48), false).allowed, "beyond the address width");
}

Test(iommu, rights_are_enforced_cached_or_not) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, IOMMU_READ), OK);
    cr_assert_eq(iommu_map(domain, IOVA + 4096, FRAME, 4096, IOMMU_WRITE), OK);
    for (int round = 0; round < 2; ++round) {
        cr_assert_not(reach(FIXTURE_FUNCTION, IOVA, true).allowed);
        cr_assert(reach(FIXTURE_FUNCTION, IOVA, false).allowed);
        cr_assert_not(reach(FIXTURE_FUNCTION, IOVA + 4096, false).allowed);
        cr_assert(reach(FIXTURE_FUNCTION, IOVA + 4096, true).allowed);
    }
    memory_write64(memory, fixture_entry(domain, IOVA, 3),
                   memory_read64(memory, fixture_entry(domain, IOVA, 3)) & ~IOMMU_PTE_WRITE);
    (void)iommu_invalidate(domain, IOVA, 2 * 4096);
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA + 4096, true).allowed, "all levels must allow");
    cr_assert(reach(FIXTURE_FUNCTION, IOVA, false).allowed);
}

Test(iommu, another_functions_mapping_is_out_of_reach) {
    struct iommu_domain *mine = attached(FIXTURE_FUNCTION);
    struct iommu_domain *theirs = attached(FIXTURE_OTHER);
    cr_assert_eq(iommu_map(mine, IOVA, FRAME, 4096, IOMMU_READ | IOMMU_WRITE), OK);
    cr_assert(reach(FIXTURE_FUNCTION, IOVA, true).allowed);
    cr_assert_not(reach(FIXTURE_OTHER, IOVA, true).allowed);
    cr_assert_eq(iommu_map(theirs, IOVA, FRAME + 4096, 4096, IOMMU_READ), OK);
    cr_assert_eq(reach(FIXTURE_OTHER, IOVA, false).physical, FRAME + 4096, "the same address, another frame");
    cr_assert_eq(reach(FIXTURE_FUNCTION, IOVA, false).physical, FRAME);
}

Test(iommu, functions_of_one_domain_share_it) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    cr_assert_eq(iommu_attach(iommu, FIXTURE_OTHER, domain), OK);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, IOMMU_READ), OK);
    cr_assert(reach(FIXTURE_FUNCTION, IOVA, false).allowed);
    cr_assert(reach(FIXTURE_OTHER, IOVA, false).allowed);
    cr_assert(reach(FIXTURE_OTHER, IOVA, false).iotlb_hit);
    cr_assert_eq(fixture_counter("iommu", "iotlb_misses"), 1, "tagged by domain, not by function");
}

Test(iommu, unmapping_takes_effect_at_once) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4 * 4096, IOMMU_READ | IOMMU_WRITE), OK);
    for (uint64_t page = 0; page < 4; ++page) {
        cr_assert(reach(FIXTURE_FUNCTION, IOVA + page * 4096, true).allowed);
    }
    cr_assert_eq(iommu_unmap(domain, IOVA + 4096, 2 * 4096), 2000, "the processor's cycles");
    for (uint64_t page = 0; page < 4; ++page) {
        cr_assert_eq(reach(FIXTURE_FUNCTION, IOVA + page * 4096, true).allowed, page == 0 || page == 3);
    }
    cr_assert(reach(FIXTURE_FUNCTION, IOVA, true).iotlb_hit, "the others stay cached");
    cr_assert_eq(iommu_map(domain, IOVA + 4096, FRAME + 0x10000, 4096, IOMMU_READ), OK);
    cr_assert_eq(reach(FIXTURE_FUNCTION, IOVA + 4096, false).physical, FRAME + 0x10000);
}

Test(iommu, detaching_takes_effect_at_once) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    struct iommu_domain *second = fixture_domain();
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, IOMMU_READ), OK);
    cr_assert_eq(iommu_map(second, IOVA, FRAME + 4096, 4096, IOMMU_READ), OK);
    cr_assert_eq(reach(FIXTURE_FUNCTION, IOVA, false).physical, FRAME);
    cr_assert_eq(iommu_attach(iommu, FIXTURE_FUNCTION, second), OK);
    cr_assert_eq(reach(FIXTURE_FUNCTION, IOVA, false).physical, FRAME + 4096);
    cr_assert_eq(iommu_attach(iommu, FIXTURE_FUNCTION, NULL), OK);
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA, false).allowed);
}

Test(iommu, tables_are_the_bytes_of_the_specification) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, IOMMU_READ), OK);
    const uint64_t root_entry = iommu_root_table(iommu) + 0x01 * 16;
    const uint64_t context_table = memory_read64(memory, root_entry) - 1;
    cr_assert_eq(memory_read64(memory, root_entry) & 0xfff, 1, "present");
    const uint64_t entry = context_table + 0x10 * 16;
    cr_assert_eq(memory_read64(memory, entry), iommu_domain_root(domain) | 1, "present, type 00, table");
    cr_assert_eq(memory_read64(memory, entry + 8), 2 | (1 << 8), "48 bits, domain 1");
    cr_assert_eq(memory_read64(memory, fixture_entry(domain, IOVA, 1)), FRAME | 1, "read only");
    cr_assert_eq(memory_read64(memory, fixture_entry(domain, IOVA, 2)) & 0xfff, 3);
}

Test(iommu, walks_read_the_bytes) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, IOMMU_READ), OK);
    cr_assert_eq(reach(FIXTURE_FUNCTION, IOVA, false).physical, FRAME);
    const uint64_t leaf = fixture_entry(domain, IOVA, 1);
    memory_write64(memory, leaf, (FRAME + 0x5000) | IOMMU_PTE_READ | IOMMU_PTE_WRITE);
    cr_assert_eq(reach(FIXTURE_FUNCTION, IOVA, false).physical, FRAME, "cached until it is invalidated");
    cr_assert_eq(iommu_invalidate(domain, IOVA, 4096), 2000);
    cr_assert_eq(reach(FIXTURE_FUNCTION, IOVA, true).physical, FRAME + 0x5000);
    memory_write64(memory, leaf, (UINT64_C(64) << 20) | IOMMU_PTE_READ | IOMMU_PTE_WRITE);
    (void)iommu_invalidate(domain, IOVA, 4096);
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA, false).allowed, "a frame outside memory");
    memory_write64(memory, fixture_entry(domain, IOVA, 2), (UINT64_C(1) << 40) | 3);
    (void)iommu_invalidate(domain, IOVA, 4096);
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA, false).allowed, "a table outside memory");
    memory_write64(memory, fixture_entry(domain, IOVA, 3), FRAME | IOMMU_PTE_PAGE_SIZE | 3);
    (void)iommu_invalidate(domain, IOVA, 4096);
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA, false).allowed, "a reserved bit");
}

Test(iommu, a_malformed_context_entry_blocks) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, IOMMU_READ), OK);
    const uint64_t entry = (memory_read64(memory, iommu_root_table(iommu) + 16) & ~UINT64_C(0xfff)) + 0x10 * 16;
    memory_write64(memory, entry + 8, 1 | (1 << 8)); /* 39 bits: three levels */
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA, false).allowed);
    memory_write64(memory, entry + 8, 2 | (1 << 8));
    memory_write64(memory, entry, memory_read64(memory, entry) | (3 << 2)); /* a reserved type */
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA, false).allowed);
    memory_write64(memory, entry, memory_read64(memory, entry) & ~UINT64_C(0xc));
    cr_assert(reach(FIXTURE_FUNCTION, IOVA, false).allowed);
}

Test(iommu, mapping_refuses_what_it_must) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    cr_assert_eq(iommu_map(domain, IOVA + 1, FRAME, 4096, IOMMU_READ), ERR_RANGE);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME + 1, 4096, IOMMU_READ), ERR_RANGE);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 0, IOMMU_READ), ERR_RANGE);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, 0), ERR_RANGE);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, 4), ERR_RANGE);
    cr_assert_eq(iommu_map(domain, UINT64_C(1) << 48, FRAME, 4096, IOMMU_READ), ERR_RANGE);
    cr_assert_eq(iommu_map(domain, IOVA, (64 << 20) - 4096, 8192, IOMMU_READ), ERR_RANGE, "outside memory");
    cr_assert_eq(iommu_map(domain, IOVA + 4096, FRAME, 4096, IOMMU_READ), OK);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 3 * 4096, IOMMU_READ), ERR_EXISTS);
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA, false).allowed, "nothing of it was done");
    last_frame = next_frame + 4096;
    cr_assert_eq(iommu_map(domain, UINT64_C(1) << 40, FRAME, 4096, IOMMU_READ), ERR_EXHAUSTED);
    cr_assert_eq(iommu_attach(iommu, 0x0500, domain), ERR_EXHAUSTED, "no frame for the bus's context table");
    cr_assert_not(reach(0x0500, IOVA + 4096, false).allowed);
    struct error error = {0};
    cr_assert_null(iommu_domain_create(iommu, fixture_allocate, NULL, &error));
    cr_assert_eq(error.code, ERR_EXHAUSTED);
}

Test(iommu, invalidations_pass_through_the_queue_in_memory) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    const uint64_t queue = iommu_root_table(iommu) + 4096, status = queue + 4096; /* made next to each other */
    cr_assert_eq(iommu_map(domain, 0, FRAME, 16 * 4096, IOMMU_READ), OK);
    (void)iommu_unmap(domain, 3 * 4096, 7 * 4096); /* 3, 4..7, 8..9 */
    const struct { uint64_t address, mask; } pieces[] = {{0x3000, 0}, {0x4000, 2}, {0x8000, 1}};
    for (uint64_t i = 0; i < 3; ++i) {
        cr_assert_eq(memory_read64(memory, queue + i * 16), 2 | (3 << 4) | (1 << 16), "pages of domain 1");
        cr_assert_eq(memory_read64(memory, queue + i * 16 + 8), pieces[i].address | (1 << 6) | pieces[i].mask);
    }
    cr_assert_eq(memory_read64(memory, queue + 48), 5 | (1 << 5) | (UINT64_C(1) << 32), "wait, status 1");
    cr_assert_eq(memory_read64(memory, queue + 56), status);
    cr_assert_eq(memory_read32(memory, status), 1);
    cr_assert_eq(fixture_counter("iommu", "invalidations"), 3);
    for (uint64_t i = 0; i < 1000; ++i) { /* round the ring */
        (void)iommu_unmap(domain, 0, 4096);
    }
    cr_assert_eq(memory_read32(memory, status), 1001);
}

Test(iommu, faults_are_recorded_and_counted_by_requester) {
    const uint32_t capacity = (uint32_t)iommu_configuration(iommu)->fault_records;
    struct iommu_fault faults[64];
    cr_assert_eq(capacity, 64);
    cr_assert_eq(iommu_faults(iommu, faults, 64), 0);
    for (uint64_t i = 0; i < 70; ++i) {
        (void)reach(i % 7 == 0 ? FIXTURE_OTHER : FIXTURE_FUNCTION, i * 4096, i % 2 != 0);
    }
    cr_assert_eq(iommu_fault_count(iommu), 70);
    cr_assert_eq(iommu_faults(iommu, faults, 64), 64);
    for (uint64_t i = 0; i < 64; ++i) {
        cr_assert_eq(faults[i].iova, (i + 6) * 4096);
        cr_assert_eq(faults[i].write, i % 2 != 0);
        cr_assert_eq(faults[i].requester_id, (i + 6) % 7 == 0 ? FIXTURE_OTHER : FIXTURE_FUNCTION);
    }
    cr_assert_eq(iommu_faults(iommu, faults, 2), 2);
    cr_assert_eq(faults[1].iova, 69 * 4096, "the newest");
    cr_assert_eq(fixture_counter("iommu", "faults"), 70);
    cr_assert_eq(fixture_counter("iommu/01:02.0", "faults"), 60);
    cr_assert_eq(fixture_counter("iommu/01:02.1", "faults"), 10);
    iommu_reset_stats(iommu);
    cr_assert_eq(fixture_counter("iommu", "faults"), 0);
    cr_assert_eq(fixture_counter("iommu/01:02.0", "faults"), UINT64_MAX);
    cr_assert_eq(iommu_fault_count(iommu), 70);
}

/* Peeking says of every access what translating it says, and leaves no trace. */
Test(iommu, peeking_agrees_with_translating) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, IOMMU_READ), OK);
    cr_assert_eq(iommu_map(domain, IOVA + 4096, FRAME + 8192, 4096, IOMMU_WRITE), OK);
    for (uint64_t i = 0; i < 2 * 2 * 4; ++i) {
        const uint16_t function = i % 2 != 0 ? FIXTURE_OTHER : FIXTURE_FUNCTION;
        const bool write = (i / 2) % 2 != 0;
        const uint64_t iova = IOVA + 5 + i / 4 * 4096;
        const uint64_t faults = iommu_fault_count(iommu);
        uint64_t physical = 0;
        const bool may = iommu_peek(iommu, function, iova, write, &physical);
        cr_assert_eq(iommu_fault_count(iommu), faults);
        const struct iommu_result result = reach(function, iova, write);
        cr_assert_eq(may, result.allowed, "access %llu", (unsigned long long)i);
        cr_assert(!may || physical == result.physical);
    }
}

/* ---- other modes ---- */

static void remake(enum iommu_mode mode) {
    fixture_drop();
    struct iommu_config config = fixture_config();
    config.mode = mode;
    fixture_make(&config);
}

Test(iommu, pass_through_reaches_all_memory_and_no_more) {
    remake(IOMMU_PASS_THROUGH);
    struct iommu_result result = reach(FIXTURE_FUNCTION, 0x1234567, true);
    cr_assert(result.allowed);
    cr_assert_eq(result.physical, 0x1234567);
    cr_assert_eq(result.done, now);
    cr_assert_not(reach(FIXTURE_FUNCTION, UINT64_C(64) << 20, false).allowed);
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    const uint64_t entry = (memory_read64(memory, iommu_root_table(iommu) + 16) & ~UINT64_C(0xfff)) + 0x10 * 16;
    cr_assert_eq(memory_read64(memory, entry) & 0xf, 1 | (2 << 2), "present, type 10");
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, IOMMU_READ), OK);
    cr_assert_eq(reach(FIXTURE_FUNCTION, FRAME, true).physical, FRAME, "tables are not consulted");
    cr_assert_eq(iommu_unmap(domain, IOVA, 4096), 0);
    cr_assert_eq(iommu_attach(iommu, FIXTURE_FUNCTION, NULL), OK);
    cr_assert_not(reach(FIXTURE_FUNCTION, FRAME, false).allowed);
    uint64_t physical;
    cr_assert_not(iommu_peek(iommu, FIXTURE_FUNCTION, FRAME, false, &physical));
    cr_assert_eq(fixture_counter("iommu", "walks"), 0);
}

Test(iommu, a_pass_through_context_entry_is_obeyed_in_mode_on) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    const uint64_t entry = (memory_read64(memory, iommu_root_table(iommu) + 16) & ~UINT64_C(0xfff)) + 0x10 * 16;
    memory_write64(memory, entry, iommu_domain_root(domain) | 1 | (2 << 2));
    cr_assert_eq(reach(FIXTURE_FUNCTION, FRAME + 9, true).physical, FRAME + 9);
    cr_assert_not(reach(FIXTURE_FUNCTION, UINT64_C(64) << 20, true).allowed);
}

Test(iommu, switched_off_it_checks_nothing_but_that_memory_is_there) {
    remake(IOMMU_OFF);
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION);
    cr_assert_eq(iommu_attach(iommu, FIXTURE_FUNCTION, NULL), OK);
    const struct iommu_result result = reach(FIXTURE_FUNCTION, FRAME + 3, true);
    cr_assert(result.allowed);
    cr_assert_eq(result.physical, FRAME + 3);
    cr_assert_eq(result.done, now);
    cr_assert_eq(result.walk, 0);
    cr_assert_not(reach(FIXTURE_FUNCTION, UINT64_MAX - 1, true).allowed);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, IOMMU_READ), OK);
    cr_assert_eq(iommu_unmap(domain, IOVA, 4096), 0);
    cr_assert_eq(iommu_fault_count(iommu), 1);
}

/* Its tables may be other memory right after. */
Test(iommu, a_domain_that_has_ended_leaves_nothing_cached_and_its_functions_blocked) {
    struct iommu_domain *domain = attached(FIXTURE_FUNCTION), *stays = attached(FIXTURE_OTHER);
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 2 * 4096, IOMMU_READ | IOMMU_WRITE), OK);
    cr_assert_eq(iommu_map(stays, IOVA, FRAME, 4096, IOMMU_READ), OK);
    cr_assert(reach(FIXTURE_FUNCTION, IOVA, true).allowed);
    cr_assert(reach(FIXTURE_OTHER, IOVA, false).allowed);
    iommu_domain_destroy(domain);
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA, true).allowed, "a function of it");
    cr_assert(reach(FIXTURE_OTHER, IOVA, false).allowed, "another's");
    struct iommu_domain *next = attached(FIXTURE_FUNCTION); /* under the same identifier */
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA, true).allowed, "what the last one had mapped");
    cr_assert_not(reach(FIXTURE_FUNCTION, IOVA + 4096, true).allowed);
    cr_assert_eq(iommu_map(next, IOVA, FRAME + 4096, 4096, IOMMU_READ), OK);
    cr_assert_eq(reach(FIXTURE_FUNCTION, IOVA, false).physical, FRAME + 4096);
}

static unsigned own_frames;
static uint64_t allocate_own(void *context) {
    own_frames++;
    return fixture_allocate(context);
}

Test(iommu, its_own_tables_come_from_its_own_allocator) {
    iommu_set_allocator(iommu, allocate_own, NULL);
    struct iommu_domain *domain = fixture_domain();
    cr_assert_eq(own_frames, 3, "root table, queue, its status");
    cr_assert_eq(iommu_attach(iommu, FIXTURE_FUNCTION, domain), OK);
    cr_assert_eq(own_frames, 4, "a context table");
    cr_assert_eq(iommu_map(domain, IOVA, FRAME, 4096, IOMMU_READ), OK);
    (void)attached(FIXTURE_OTHER);
    cr_assert_eq(own_frames, 4, "a domain's are its own");
    cr_assert(reach(FIXTURE_FUNCTION, IOVA, false).allowed);
}

Test(iommu, refuses_geometry_that_does_not_exist) {
    struct iommu_config config = fixture_config();
    struct error error = {0};
    config.iotlb_ways = 3;
    cr_assert_null(iommu_create(&config, memory, cache, &error));
    cr_assert_eq(error.code, ERR_CONFIG);
    config = fixture_config();
    config.walkers = 0;
    cr_assert_null(iommu_create(&config, memory, cache, &error));
}
