/* Hostile programs on real rings: what the hardware bindings let through. Alice has
 * a secret in her memory and serves port 7; Bob serves port 8 and is up to no good. */
#include "hw/nic/nic_regs.h"
#include "libos_model/vf_driver.h"
#include "tests/kernel_model/exo_fixture.h"

enum { SECRET_BYTES = 256, SECRET = 0xa5 };

struct tenant {
    struct exo_environment *environment;
    struct exo_handle function, queue, filter;
    uint64_t registers;
    uint32_t queue_index;
    struct vf_driver driver;
    struct exo_thread *thread;
    uint16_t port;
};
static struct tenant a, b;
static struct exo_region secret;
static struct error error;
static struct cost no_cost;
static bool mapped;

static void tenant_make(struct tenant *tenant, struct exo_environment *environment, const uint8_t mac[6],
                        uint16_t port) {
    const struct nic_filter space = fixture_space(port, port);
    tenant->environment = environment;
    tenant->port = port;
    cr_assert_eq(exo_function_grant(environment, fixture_nic, mac, &tenant->function, &error), OK, "%s", error.text);
    cr_assert_eq(exo_function_map(environment, &tenant->function, &tenant->registers, &error), OK);
    cr_assert_eq(exo_queue_grant(environment, &tenant->function, &tenant->queue_index, &tenant->queue, &error), OK);
    cr_assert_eq(exo_filter_create(environment, &tenant->function, EXO_FILTER_RX | EXO_FILTER_TX, &space,
                                   &tenant->filter, &error),
                 OK, "%s", error.text);
    const struct vf_driver_config config = {.ring = 64,
                                            .buffers = 256,
                                            .refill_batch = 1,
                                            .registers = tenant->registers,
                                            .queue = tenant->queue_index,
                                            .costs = {.rx_refill = &no_cost, .tx_reclaim = &no_cost}};
    cr_assert_eq(vf_driver_init(&tenant->driver, environment, &config, &error), OK, "%s", error.text);
}

static void set_up(const char *iommu) {
    fixture_kernel_make(iommu, "header");
    vf_declare_components();
    tenant_make(&a, alice, FIXTURE_MAC_A, 7);
    tenant_make(&b, bob, FIXTURE_MAC_B, 8);
    cr_assert_eq(exo_memory_allocate(alice, 0, SECRET_BYTES, &secret, &error), OK, "%s", error.text);
    cr_assert_eq(exo_memory_map(alice, &secret, true, &error), OK, "%s", error.text);
    memory_fill(fixture_machine->memory, secret.physical, SECRET, SECRET_BYTES);
}

static void run_as_bob(void (*body)(void *argument)) {
    b.thread = exo_thread_create(bob, 1, "bob", body, &b, &error);
    cr_assert_not_null(b.thread, "%s", error.text);
    sim_run(1 * SIM_MS);
}

static uint32_t bytes_of(uint64_t physical, uint8_t value) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < SECRET_BYTES; i++) {
        count += *memory_at(fixture_machine->memory, physical + i) == value;
    }
    return count;
}

/* A frame in one of Bob's buffers, from `port`. */
static uint32_t bobs_frame(uint16_t port, uint16_t payload_bytes) {
    const uint32_t buffer = vf_buffer_take(&b.driver);
    struct net_udp udp = {.source_ip = FIXTURE_IP,
                          .destination_ip = FIXTURE_IP_CLIENT,
                          .source_port = port,
                          .destination_port = 1234,
                          .payload_bytes = payload_bytes};
    memcpy(udp.source_mac, FIXTURE_MAC_B, 6);
    memcpy(udp.destination_mac, FIXTURE_MAC_CLIENT, 6);
    uint8_t *frame = memory_at(fixture_machine->memory, vf_buffer_physical(&b.driver, buffer));
    net_udp_write(frame, &udp, 1, false);
    return buffer;
}

/* ---- a descriptor that names another's memory ---- */

/* Bob's own headers, and as the payload Alice's memory. */
static void send_the_secret(void *argument) {
    struct tenant *bobs = argument;
    struct vf_driver *driver = &bobs->driver;
    struct context *context = bobs->thread->context;
    const uint32_t buffer = bobs_frame(8, SECRET_BYTES);
    const uint32_t total = NET_UDP_HEADERS_BYTES + SECRET_BYTES;
    const struct nic_tx_descriptor pieces[2] = {
        {.address = driver->packets.device_address + (uint64_t)buffer * VF_BUFFER_BYTES,
         .command = (uint32_t)NET_UDP_HEADERS_BYTES | NIC_TX_DTYP_DATA | NIC_TX_DEXT | NIC_TX_IFCS,
         .status_length = total << NIC_TX_PAYLEN_SHIFT},
        {.address = secret.physical,
         .command = (uint32_t)SECRET_BYTES | NIC_TX_DTYP_DATA | NIC_TX_DEXT | NIC_TX_EOP | NIC_TX_RS | NIC_TX_IFCS}};
    memory_write(fixture_machine->memory, driver->tx_ring.physical, pieces, sizeof pieces);
    cpu_work_for(context, exo_components.control_plane, NULL);
    mapped = cpu_mmio_write(context, bobs->registers + NIC_VF_TX_QUEUE_BASE(bobs->queue_index) + NIC_QUEUE_TAIL, 4, 2,
                            NULL, 0);
}

Test(libos_isolation, reading_the_memory_of_another_faults) {
    set_up("on");
    run_as_bob(send_the_secret);
    cr_assert(mapped, "the doorbell is his own");
    cr_assert_eq(fixture_client.count, 0U, "nothing leaves");
    cr_assert_eq(fixture_exo_counter("exokernel", "iommu_faults"), 1U);
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "iommu_faults"), 1U);
    cr_assert_eq(fixture_exo_counter("exokernel.alice", "iommu_faults"), 0U);
    struct iommu_fault fault;
    cr_assert_eq(iommu_faults(fixture_machine->iommu, &fault, 1), 1U);
    cr_assert_eq(fault.iova, secret.physical);
    cr_assert_eq(fault.requester_id, nic_function(fixture_nic, 2)->requester_id);
    cr_assert_not(fault.write);
}

Test(libos_isolation, without_iommu_the_same_descriptor_leaks_the_memory) {
    set_up("off");
    run_as_bob(send_the_secret);
    cr_assert_eq(fixture_exo_counter("exokernel", "iommu_faults"), 0U);
    cr_assert_eq(fixture_client.count, 1U, "so it was the IOMMU that stopped it");
    cr_assert_eq(fixture_client.length_bytes[0], (uint32_t)NET_UDP_HEADERS_BYTES + SECRET_BYTES);
    for (uint32_t i = 0; i < SECRET_BYTES; i++) {
        cr_assert_eq(fixture_client.bytes[0][NET_UDP_HEADERS_BYTES + i], SECRET, "byte %u", i);
    }
}

/* All receive descriptors of Bob name Alice's memory; then a packet comes for him. */
static void receive_over_the_secret(const char *iommu) {
    set_up(iommu);
    for (uint32_t slot = 0; slot < b.driver.config.ring; slot++) {
        memory_write64(fixture_machine->memory, b.driver.rx_ring.physical + (uint64_t)slot * NIC_DESCRIPTOR_BYTES,
                       secret.physical);
    }
    sim_run(100 * SIM_US);
    fixture_client_send(FIXTURE_MAC_B, 1234, 8, SECRET_BYTES, 0x11, NULL);
    sim_run(1 * SIM_MS);
}

Test(libos_isolation, writing_to_the_memory_of_another_faults) {
    receive_over_the_secret("on");
    cr_assert_eq(bytes_of(secret.physical, SECRET), (uint32_t)SECRET_BYTES, "not one byte");
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "iommu_faults"), 1U);
    cr_assert_eq(fixture_nic_counter("rx_fault_drops"), 1U);
}

Test(libos_isolation, without_iommu_the_same_descriptor_overwrites_the_memory) {
    receive_over_the_secret("off");
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "iommu_faults"), 0U);
    cr_assert_eq(fixture_nic_counter("rx_fault_drops"), 0U);
    cr_assert_lt(bytes_of(secret.physical, SECRET), (uint32_t)SECRET_BYTES);
    cr_assert_gt(bytes_of(secret.physical, 0x11), (uint32_t)SECRET_BYTES / 2);
}

/* ---- sending in another's name ---- */

static void send_from_two_ports(void *argument) {
    struct tenant *bobs = argument;
    for (uint16_t port = 7; port <= 8; port++) {
        cpu_work_for(bobs->thread->context, exo_components.control_plane, NULL);
        cr_assert_eq(
            vf_tx_send(&bobs->driver, bobs->thread->context, bobs_frame(port, 20), NET_UDP_HEADERS_BYTES + 20, NULL),
            OK);
    }
}

Test(libos_isolation, only_packets_that_the_filter_allows_leave) {
    set_up("on");
    run_as_bob(send_from_two_ports);
    cr_assert_eq(fixture_client.count, 1U);
    struct net_udp udp;
    uint32_t offset = 0;
    cr_assert_eq(net_udp_parse(fixture_client.bytes[0], fixture_client.length_bytes[0], false, &udp, &offset), NET_OK);
    cr_assert_eq(udp.source_port, 8, "his own");
    cr_assert_eq(fixture_nic_counter("transmit_filter_drops"), 1U);
}

/* ---- another's doorbell ---- */

static uint32_t faults_expected;

static void ring_elsewhere(void *argument) {
    struct tenant *bobs = argument;
    struct context *context = bobs->thread->context;
    const struct pcie_function *alices = nic_function(fixture_nic, 1);
    const struct pcie_function *bars[] = {nic_function(fixture_nic, 0), alices};
    const uint64_t tail = NIC_VF_TX_QUEUE_BASE(0) + NIC_QUEUE_TAIL;
    cpu_work_for(context, exo_components.control_plane, NULL);
    /* By its physical address, by hers, and just beside his own registers. */
    for (int i = 0; i < 2; i++) {
        cr_assert_not(cpu_mmio_write(context, bars[i]->bar_address[0] + tail, 4, 1, NULL, 0));
    }
    cr_assert_not(cpu_mmio_write(context, bobs->registers + alices->bar_bytes[0] + tail, 4, 1, NULL, 0));
    cr_assert_not(cpu_mmio_write(context, bobs->registers - alices->bar_bytes[0] + tail, 4, 1, NULL, 0));
    uint64_t value = 0;
    cr_assert_not(cpu_mmio_read(context, alices->bar_address[0], 4, &value));
    faults_expected = 5;
    cr_assert(cpu_mmio_write(context, bobs->registers + tail, 4, 0, NULL, 0), "his own he may");
}

Test(libos_isolation, ringing_the_doorbell_of_another_is_a_page_fault) {
    set_up("on");
    const uint64_t before = fixture_nic_counter("doorbells");
    run_as_bob(ring_elsewhere);
    cr_assert_eq(faults_expected, 5U, "the program ran");
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "page_faults"), 5U);
    cr_assert_eq(fixture_exo_counter("exokernel", "page_faults"), 5U);
    cr_assert_eq(fixture_nic_counter("doorbells"), before + 1, "one arrived: his");
}

/* ---- revocation while the program runs ---- */

static bool before_revocation, after_revocation;

static void send_before_and_after(void *argument) {
    struct tenant *bobs = argument;
    struct context *context = bobs->thread->context;
    cpu_work_for(context, exo_components.control_plane, NULL);
    before_revocation = vf_tx_send(&bobs->driver, context, bobs_frame(8, 20), NET_UDP_HEADERS_BYTES + 20, NULL) == OK;
    cpu_charge_time(context, 100 * SIM_US); /* until it has left */
    cpu_run(context);
    cr_assert_eq(exo_revoke(bob, &bobs->function, &error), OK, "%s", error.text);
    cpu_work_for(context, exo_components.control_plane, NULL);
    after_revocation = vf_tx_send(&bobs->driver, context, bobs_frame(8, 20), NET_UDP_HEADERS_BYTES + 20, NULL) == OK;
}

Test(libos_isolation, revoking_a_function_tears_down_every_binding) {
    set_up("on");
    run_as_bob(send_before_and_after);
    cr_assert(before_revocation);
    cr_assert_not(after_revocation, "the registers are gone: a page fault");
    cr_assert_eq(fixture_client.count, 1U);
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "page_faults"), 1U);
    fixture_client_send(FIXTURE_MAC_A, 1234, 8, 64, 0x11, NULL);
    sim_run(2 * SIM_MS);
    cr_assert_eq(fixture_nic_counter("rx_filter_drops"), 1U, "the filter, too");
    cr_assert_eq(exo_revoke(bob, &b.filter, &error), ERR_DENIED, "its capability is stale");
    cr_assert_eq(exo_queue_set_rate(bob, &b.queue, 0, &error), ERR_DENIED, "the queue's as well");
    cr_assert_not(nic_function(fixture_nic, 2)->bus_master);
}

/* Memory given back under a device's feet: from then on its DMA faults. */
Test(libos_isolation, revoking_memory_takes_it_from_the_device) {
    set_up("on");
    sim_run(100 * SIM_US);
    cr_assert_eq(exo_revoke(bob, &b.driver.packets.handle, &error), OK, "%s", error.text);
    fixture_client_send(FIXTURE_MAC_B, 1234, 8, 64, 0x11, NULL);
    sim_run(1 * SIM_MS);
    cr_assert_eq(fixture_exo_counter("exokernel.bob", "iommu_faults"), 1U);
    cr_assert_eq(fixture_nic_counter("rx_fault_drops"), 1U);
}

/* ---- rates ---- */

static void send_many(void *argument) {
    struct tenant *bobs = argument;
    for (int i = 0; i < 40; i++) {
        cpu_work_for(bobs->thread->context, exo_components.control_plane, NULL);
        cr_assert_eq(
            vf_tx_send(&bobs->driver, bobs->thread->context, bobs_frame(8, 1000), NET_UDP_HEADERS_BYTES + 1000, NULL),
            OK);
    }
}

static sim_time last_arrival;
static void note_arrival(struct fixture_client *client) {
    (void)client;
    last_arrival = sim_now();
}

Test(libos_isolation, a_rate_specifier_slows_its_queue) {
    set_up("on");
    fixture_client.arrived = note_arrival;
    cr_assert_eq(exo_queue_set_rate(bob, &b.queue, 1000000000, &error), OK, "%s", error.text);
    b.thread = exo_thread_create(bob, 1, "bob", send_many, &b, &error);
    sim_run(5 * SIM_MS);
    cr_assert_eq(fixture_client.count, 40U);
    /* 1 Gb/s: 39 gaps of 1,042 bytes with their overhead (24), tenfold stretched. */
    const double gap_ns = (1042 + 24) * 8 / 1.0;
    cr_assert_float_eq(sim_time_ns(last_arrival), 39 * gap_ns, 0.03 * 39 * gap_ns, "%g ns", sim_time_ns(last_arrival));
}
