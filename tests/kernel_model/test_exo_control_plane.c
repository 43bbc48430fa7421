/* What the control plane refuses, and what revocation undoes. No thread runs here:
 * calls before the run take no time. */
#include "tests/kernel_model/exo_fixture.h"

static struct exo_handle alice_function, bob_function;
static uint64_t alice_registers, bob_registers;
static struct error error;

static void grant_functions(void) {
    struct exo_handle queue;
    uint32_t index = 0;
    cr_assert_eq(exo_function_grant(alice, fixture_nic, FIXTURE_MAC_A, &alice_function, &error), OK, "%s", error.text);
    cr_assert_eq(exo_function_grant(bob, fixture_nic, FIXTURE_MAC_B, &bob_function, &error), OK, "%s", error.text);
    cr_assert_eq(exo_function_map(alice, &alice_function, &alice_registers, &error), OK, "%s", error.text);
    cr_assert_eq(exo_function_map(bob, &bob_function, &bob_registers, &error), OK, "%s", error.text);
    cr_assert_eq(exo_queue_grant(alice, &alice_function, &index, &queue, &error), OK, "%s", error.text);
    cr_assert_eq(exo_queue_grant(bob, &bob_function, &index, &queue, &error), OK, "%s", error.text);
}

static void set_up(void) {
    fixture_kernel_make("on", "header");
    grant_functions();
}

static enum error_code create(struct exo_environment *environment, unsigned directions, struct nic_filter space,
                              struct exo_handle *out) {
    struct exo_handle ignored;
    return exo_filter_create(environment, environment == alice ? &alice_function : &bob_function, directions, &space,
                             out != NULL ? out : &ignored, &error);
}

enum { BOTH = EXO_FILTER_RX | EXO_FILTER_TX };

/* ---- filters ---- */

Test(exo_control_plane, an_overlapping_filter_is_refused_and_counted) {
    set_up();
    cr_assert_eq(create(alice, BOTH, fixture_space(100, 200), NULL), OK, "%s", error.text);
    cr_assert_eq(create(bob, BOTH, fixture_space(200, 300), NULL), ERR_OVERLAP);
    cr_assert_eq(create(bob, BOTH, fixture_space(201, 300), NULL), OK, "%s", error.text);
    cr_assert_eq(fixture_exo_counter("exokernel", "filters_overlapping"), 1U);
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "filters_overlapping"), 1U);
    cr_assert_eq(fixture_exo_counter("exokernel.alice", "filters_overlapping"), 0U);
}

Test(exo_control_plane, priority_is_no_way_into_the_packets_of_another) {
    set_up();
    cr_assert_eq(create(alice, BOTH, fixture_space(100, 200), NULL), OK, "%s", error.text);
    struct nic_filter before = fixture_space(150, 150);
    before.priority = 0;
    cr_assert_eq(create(bob, EXO_FILTER_RX, before, NULL), ERR_OVERLAP);
    cr_assert_eq(create(alice, EXO_FILTER_RX, before, NULL), OK, "its own it may order");
    cr_assert_eq(create(alice, EXO_FILTER_RX, before, NULL), ERR_OVERLAP, "but not leave undefined");
}

Test(exo_control_plane, a_filter_for_the_rest_of_the_packets_is_refused) {
    set_up();
    const struct nic_filter everything = {.priority = 255};
    struct nic_filter any_address = fixture_space(7, 7);
    any_address.services[0].mask = 0;
    struct nic_filter neighbour = fixture_space(7, 7);
    neighbour.services[0].address++;
    cr_assert_eq(create(bob, EXO_FILTER_RX, everything, NULL), ERR_DENIED);
    cr_assert_eq(create(bob, EXO_FILTER_RX, any_address, NULL), ERR_DENIED);
    cr_assert_eq(create(bob, EXO_FILTER_RX, neighbour, NULL), ERR_DENIED);
    cr_assert_eq(create(bob, EXO_FILTER_RX, fixture_space(0, 65535), NULL), ERR_SHARE);
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "filters_greedy"), 3U);
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "shares_exceeded"), 1U);
}

Test(exo_control_plane, ports_are_shared_out) {
    set_up();
    cr_assert_eq(create(bob, EXO_FILTER_RX, fixture_space(1000, 2023), NULL), OK, "1,024 ports: %s", error.text);
    cr_assert_eq(create(bob, EXO_FILTER_RX, fixture_space(2024, 2024), NULL), ERR_SHARE);
    struct nic_filter again = fixture_space(1000, 1100);
    again.priority = 2;
    cr_assert_eq(create(bob, EXO_FILTER_RX, again, NULL), OK, "ports that it has: %s", error.text);
    cr_assert_eq(create(alice, EXO_FILTER_RX, fixture_space(2024, 2024), NULL), OK, "%s", error.text);
}

Test(exo_control_plane, nobody_sends_in_the_name_of_another) {
    set_up();
    cr_assert_eq(create(alice, EXO_FILTER_RX, fixture_space(100, 100), NULL), OK, "%s", error.text);
    cr_assert_eq(create(bob, EXO_FILTER_TX, fixture_space(100, 100), NULL), ERR_DENIED);
    cr_assert_eq(create(bob, EXO_FILTER_TX, (struct nic_filter){.protocol = 17}, NULL), ERR_DENIED);
    cr_assert_eq(create(alice, EXO_FILTER_TX, fixture_space(100, 100), NULL), OK, "%s", error.text);
    cr_assert_eq(create(alice, EXO_FILTER_TX, fixture_space(100, 101), NULL), ERR_DENIED);
    cr_assert_eq(fixture_exo_counter("exokernel", "filters_spoofing"), 3U);
}

Test(exo_control_plane, a_filter_that_is_not_convex_or_names_no_queue_is_refused) {
    set_up();
    struct nic_filter space = fixture_space(7, 7);
    space.queue = 1; /* of two, but not granted */
    cr_assert_eq(create(alice, EXO_FILTER_RX, space, NULL), ERR_RANGE);
    space = fixture_space(9, 7);
    cr_assert_eq(create(alice, EXO_FILTER_RX, space, NULL), ERR_RANGE);
    cr_assert_eq(create(alice, 0, fixture_space(7, 7), NULL), ERR_RANGE);
}

/* A frame for port 7 of function 1: where it went, by the function's own counter of
 * packets that found no ring, and the card's of packets that found no filter. */
static uint64_t dropped_by_filter(void) {
    fixture_client_send(FIXTURE_MAC_A, 1234, 7, 32, 0x55, NULL);
    sim_run(sim_now() + 100 * SIM_US);
    return fixture_nic_counter("rx_filter_drops");
}

Test(exo_control_plane, revocation_takes_a_filter_out_of_the_hardware) {
    set_up();
    struct exo_handle filter;
    cr_assert_eq(create(alice, EXO_FILTER_RX, fixture_space(7, 7), &filter), OK, "%s", error.text);
    cr_assert_eq(dropped_by_filter(), 0U, "it matched");
    cr_assert_eq(exo_revoke(alice, &filter, &error), OK, "%s", error.text);
    cr_assert_eq(dropped_by_filter(), 1U, "nothing matches");
    cr_assert_eq(create(bob, EXO_FILTER_RX, fixture_space(7, 7), NULL), OK, "the ports are free: %s", error.text);
    cr_assert_eq(alice->filters_held, 0U);
}

Test(exo_control_plane, transmit_filters_go_with_the_ports_that_they_stood_on) {
    set_up();
    struct exo_handle receive;
    struct exo_handle transmit;
    cr_assert_eq(create(alice, EXO_FILTER_RX, fixture_space(7, 7), &receive), OK, "%s", error.text);
    cr_assert_eq(create(alice, EXO_FILTER_TX, fixture_space(7, 7), &transmit), OK, "%s", error.text);
    cr_assert_eq(exo_revoke(alice, &receive, &error), OK, "%s", error.text);
    cr_assert_eq(exo_revoke(alice, &transmit, &error), ERR_DENIED, "it went already");
    cr_assert_eq(alice->filters_held, 0U);
}

Test(exo_control_plane, hardware_filters_run_out) {
    set_up();
    enum error_code code = OK;
    uint16_t port = 1;
    for (; code == OK && port < 100; port++) {
        code = create(alice, BOTH, fixture_space(port, port), NULL);
    }
    cr_assert_eq(code, ERR_EXHAUSTED, "8 transmit filters a function: %s", error_code_text(code));
    cr_assert_eq(port, 10U);
    cr_assert_eq(alice->filters_held, 8U);
    cr_assert_eq(create(bob, BOTH, fixture_space(9, 9), NULL), OK, "the failed one holds nothing: %s", error.text);
}

/* ---- capabilities at every call ---- */

Test(exo_control_plane, a_bad_capability_gets_nowhere_and_is_counted) {
    set_up();
    uint64_t registers = 0;
    struct exo_handle forged = bob_function;
    forged.holder = alice->number;
    cr_assert_eq(exo_function_map(alice, &forged, &registers, &error), ERR_DENIED);
    forged = bob_function;
    forged.code++;
    cr_assert_eq(exo_function_map(bob, &forged, &registers, &error), ERR_DENIED);
    cr_assert_eq(exo_function_map(alice, &bob_function, &registers, &error), ERR_DENIED, "not hers");
    struct exo_handle weak;
    cr_assert_eq(exo_derive(bob, &bob_function, EXO_READ, bob, &weak, &error), OK, "%s", error.text);
    cr_assert_eq(exo_function_map(bob, &weak, &registers, &error), ERR_DENIED, "no right to write");
    cr_assert_eq(exo_revoke(bob, &weak, &error), ERR_DENIED, "no right to control");
    cr_assert_eq(exo_queue_set_rate(bob, &bob_function, 1000000000, &error), ERR_DENIED, "no queue");
    cr_assert_eq(exo_revoke(bob, &bob_function, &error), OK, "%s", error.text);
    cr_assert_eq(exo_function_map(bob, &bob_function, &registers, &error), ERR_DENIED, "stale");
    cr_assert_eq(exo_function_map(bob, &weak, &registers, &error), ERR_DENIED, "stale with it");
    cr_assert_eq(fixture_exo_counter("exokernel", "capabilities_forged"), 2U);
    cr_assert_eq(fixture_exo_counter("exokernel.alice", "capabilities_not_holder"), 1U);
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "capabilities_overreaching"), 2U);
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "capabilities_wrong_type"), 1U);
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "capabilities_stale"), 2U);
    cr_assert_eq(fixture_exo_counter("exokernel", "capabilities_denied"), 8U);
}

Test(exo_control_plane, capabilities_of_another_boot_do_not_pass) {
    set_up();
    random_seed(2);
    struct exo_kernel *other = exo_kernel_create(fixture_machine, &fixture_costs, EXO_IDLE_HALT, &error);
    const struct exo_limits limits = exo_limits_default();
    struct exo_environment *carol = exo_environment_create(other, "carol", &limits, &error);
    struct exo_region region = {.physical = 0};
    cr_assert_eq(exo_memory_allocate(carol, 0, 4096, &region, &error), OK, "%s", error.text);
    cr_assert_eq(region.handle.holder, alice->number);
    cr_assert_eq(exo_memory_map(alice, &region, false, &error), ERR_DENIED);
    cr_assert_eq(fixture_exo_counter("exokernel.alice", "capabilities_forged"), 1U);
}

/* ---- memory ---- */

static bool translates(struct exo_environment *environment, uint64_t address, bool write) {
    uint64_t physical = 0;
    return address_space_translate(environment->space, address, write, true, &physical);
}

Test(exo_control_plane, memory_has_physical_names) {
    set_up();
    const uint64_t wanted = UINT64_C(4711) * MEMORY_FRAME_BYTES;
    struct exo_region region = {.physical = 0};
    struct exo_region same = {.physical = 0};
    cr_assert_eq(exo_memory_allocate(alice, wanted, 2 * MEMORY_FRAME_BYTES, &region, &error), OK, "%s", error.text);
    cr_assert_eq(region.physical, wanted);
    cr_assert_eq(exo_memory_allocate(bob, wanted + MEMORY_FRAME_BYTES, 4096, &same, &error), ERR_EXHAUSTED);
    cr_assert_eq(exo_memory_map(alice, &region, true, &error), OK, "%s", error.text);
    cr_assert_eq(region.device_address, region.virtual_address);
    cr_assert(translates(alice, region.virtual_address, true));
    cr_assert_not(translates(bob, region.virtual_address, false));
    cr_assert_eq(exo_revoke(alice, &region.handle, &error), OK, "%s", error.text);
    cr_assert_not(translates(alice, region.virtual_address, false));
    cr_assert_eq(exo_memory_allocate(bob, wanted, 4096, &same, &error), OK, "free again: %s", error.text);
}

Test(exo_control_plane, shared_memory_goes_with_what_was_passed) {
    set_up();
    struct exo_region region = {.physical = 0};
    struct exo_region shared = {.physical = 0};
    cr_assert_eq(exo_memory_allocate(alice, 0, 8192, &region, &error), OK, "%s", error.text);
    cr_assert_eq(exo_memory_map(alice, &region, true, &error), OK, "%s", error.text);
    cr_assert_eq(exo_derive(alice, &region.handle, EXO_READ | EXO_CONTROL, bob, &shared.handle, &error), OK);
    cr_assert_eq(exo_memory_map(bob, &shared, true, &error), ERR_DENIED, "it may only read");
    cr_assert_eq(exo_memory_map(bob, &shared, false, &error), OK, "%s", error.text);
    cr_assert_eq(shared.physical, region.physical);
    cr_assert(translates(bob, shared.virtual_address, false));
    cr_assert_not(translates(bob, shared.virtual_address, true));
    cr_assert_eq(exo_revoke(bob, &shared.handle, &error), OK, "%s", error.text);
    cr_assert_not(translates(bob, shared.virtual_address, false));
    cr_assert(translates(alice, region.virtual_address, true), "hers is untouched");
    cr_assert_eq(exo_derive(alice, &region.handle, EXO_READ, bob, &shared.handle, &error), OK);
    shared.virtual_address = 0;
    cr_assert_eq(exo_memory_map(bob, &shared, false, &error), OK, "%s", error.text);
    cr_assert_eq(exo_revoke(alice, &region.handle, &error), OK, "%s", error.text);
    cr_assert_not(translates(bob, shared.virtual_address, false), "the whole subtree went");
}

Test(exo_control_plane, frames_are_shared_out) {
    fixture_kernel_make("on", "header");
    alice->limits.frames = 10;
    struct exo_region region = {.physical = 0};
    cr_assert_eq(exo_memory_allocate(alice, 0, 11 * 4096, &region, &error), ERR_SHARE);
    cr_assert_eq(exo_memory_allocate(alice, 0, 10 * 4096, &region, &error), OK, "%s", error.text);
    cr_assert_eq(exo_memory_allocate(alice, 0, 1, &region, &error), ERR_SHARE);
    cr_assert_eq(fixture_exo_counter("exokernel.alice", "shares_exceeded"), 2U);
}

/* ---- functions ---- */

Test(exo_control_plane, functions_are_granted_first_come_first_served) {
    set_up();
    struct exo_handle handle[3];
    uint8_t mac[6] = {2, 0, 0, 0, 0, 0x10};
    for (int i = 0; i < 2; i++) {
        mac[5]++;
        cr_assert_eq(exo_function_grant(alice, fixture_nic, mac, &handle[i], &error), OK, "%s", error.text);
    }
    cr_assert_eq(exo_function_grant(alice, fixture_nic, mac, &handle[2], &error), ERR_EXHAUSTED, "there are four");
    cr_assert_eq(exo_revoke(bob, &bob_function, &error), OK, "%s", error.text);
    cr_assert_eq(exo_function_grant(alice, fixture_nic, mac, &handle[2], &error), OK, "%s", error.text);
}

Test(exo_control_plane, a_mac_address_has_one_owner_where_it_tells_functions_apart) {
    fixture_kernel_make("on", "mac");
    grant_functions();
    struct exo_handle handle;
    cr_assert_eq(exo_function_grant(bob, fixture_nic, FIXTURE_MAC_A, &handle, &error), ERR_OVERLAP);
    const uint8_t group[6] = {3, 0, 0, 0, 0, 1};
    cr_assert_eq(exo_function_grant(bob, fixture_nic, group, &handle, &error), ERR_RANGE);
}

Test(exo_control_plane, exactly_the_registers_of_the_function_are_mapped) {
    set_up();
    const struct pcie_function *function = nic_function(fixture_nic, 1);
    const uint64_t bytes = function->bar_bytes[0];
    uint64_t physical = 0;
    for (uint64_t offset = 0; offset < bytes; offset += MEMORY_FRAME_BYTES) {
        cr_assert(address_space_translate(alice->space, alice_registers + offset, true, true, &physical));
        cr_assert_eq(physical, function->bar_address[0] + offset);
    }
    cr_assert_not(translates(alice, alice_registers + bytes, true), "beyond it");
    cr_assert_not(translates(alice, alice_registers - 1, true), "before it");
    cr_assert_eq(exo_revoke(alice, &alice_function, &error), OK, "%s", error.text);
    cr_assert_not(translates(alice, alice_registers, false), "gone with the capability");
    cr_assert(translates(bob, bob_registers, true));
}

Test(exo_control_plane, rates_are_what_the_factor_can_express) {
    set_up();
    struct exo_handle queue;
    uint32_t index = 0;
    cr_assert_eq(exo_queue_grant(alice, &alice_function, &index, &queue, &error), OK, "%s", error.text);
    cr_assert_eq(index, 1U);
    cr_assert_eq(exo_queue_set_rate(alice, &queue, 100000000, &error), OK, "%s", error.text);
    cr_assert_eq(exo_queue_set_rate(alice, &queue, UINT64_C(20000000000), &error), ERR_RANGE, "above the line");
    cr_assert_eq(exo_queue_set_rate(alice, &queue, 1000000, &error), ERR_RANGE, "the factor has 10 bits");
    cr_assert_eq(exo_queue_grant(alice, &alice_function, &index, &queue, &error), ERR_EXHAUSTED, "a pair a function");
}

Test(exo_control_plane, an_environment_that_ends_leaves_nothing_behind) {
    set_up();
    struct exo_region region = {.physical = 0};
    cr_assert_eq(create(bob, BOTH, fixture_space(7, 7), NULL), OK, "%s", error.text);
    cr_assert_eq(exo_memory_allocate(bob, 0, 1 << 20, &region, &error), OK, "%s", error.text);
    cr_assert_eq(exo_memory_map(bob, &region, true, &error), OK, "%s", error.text);
    const uint32_t live = exo_capabilities_live(kernel->capabilities);
    const uint64_t frames = frames_available(kernel->frames);
    exo_environment_destroy(bob);
    cr_assert_eq(exo_capabilities_live(kernel->capabilities), live - 4, "function, queue, filter, memory");
    cr_assert_geq(frames_available(kernel->frames), frames + 256);
    cr_assert_eq(create(alice, BOTH, fixture_space(7, 7), NULL), OK, "%s", error.text);
    bob = NULL;
}

Test(exo_control_plane, a_function_that_is_given_back_reaches_no_memory) {
    set_up();
    struct exo_region region = {.physical = 0};
    uint64_t physical = 0;
    const uint16_t id = nic_function(fixture_nic, 1)->requester_id;
    cr_assert_eq(exo_memory_allocate(alice, 0, 4096, &region, &error), OK, "%s", error.text);
    cr_assert_eq(exo_memory_map(alice, &region, true, &error), OK, "%s", error.text);
    cr_assert(iommu_peek(fixture_machine->iommu, id, region.device_address, true, &physical));
    cr_assert_eq(physical, region.physical);
    cr_assert_eq(exo_revoke(alice, &alice_function, &error), OK, "%s", error.text);
    cr_assert_not(iommu_peek(fixture_machine->iommu, id, region.device_address, true, &physical));
}

/* ---- doorbells ---- */

static void no_body(void *argument) {
    (void)argument;
}

Test(exo_control_plane, a_doorbell_is_bound_to_a_queue_and_an_end_point) {
    set_up();
    struct exo_handle end_point;
    struct exo_handle doorbell;
    struct exo_handle again;
    struct exo_thread *thread = exo_thread_create(alice, 1, "alice", no_body, NULL, &error);
    cr_assert_not_null(thread, "%s", error.text);
    const struct pcie_function *function = nic_function(fixture_nic, 1);
    cr_assert_eq(exo_end_point_create(thread, &end_point, &error), OK, "%s", error.text);
    cr_assert_eq(exo_doorbell_create(alice, &alice_function, 1, &end_point, &doorbell, &error), ERR_RANGE);
    cr_assert_eq(exo_doorbell_create(bob, &bob_function, 0, &end_point, &doorbell, &error), ERR_DENIED, "not his");
    cr_assert_eq(exo_doorbell_create(alice, &alice_function, 0, &end_point, &doorbell, &error), OK, "%s", error.text);
    cr_assert_eq(exo_doorbell_create(alice, &alice_function, 0, &end_point, &again, &error), ERR_EXISTS);
    cr_assert(function->msix[0].enabled);
    cr_assert_eq(function->msix[0].core, 1U, "where the thread is");
    cr_assert_eq(exo_revoke(alice, &doorbell, &error), OK, "%s", error.text);
    cr_assert_not(function->msix[0].enabled);
    cr_assert_eq(exo_doorbell_create(alice, &alice_function, 0, &end_point, &again, &error), OK, "%s", error.text);
    exo_thread_destroy(thread);
    cr_assert_eq(exo_revoke(alice, &end_point, &error), ERR_DENIED, "it ended with its thread");
    cr_assert_null(kernel->doorbells->end_point);
    exo_kernel_free(kernel);
}
