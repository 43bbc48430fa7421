#include "tests/hw/nic_fixture.h"

#include <stdio.h>

const uint8_t far_mac[6] = {0x02, 0xff, 0, 0, 0, 1};

void function_mac(uint32_t function, uint8_t mac[6]) {
    const uint8_t made[6] = {0x02, 0, 0, 0, 0, (uint8_t)function};
    memcpy(mac, made, sizeof made);
}

static void far_receive(struct port *port, struct frame *frame) {
    struct nic_fixture *fixture = port->owner;
    cr_assert(fixture->far_count < FAR_MAX);
    struct far_frame *noted = &fixture->far_frames[fixture->far_count++];
    noted->when = sim_now();
    noted->length_bytes = frame->length_bytes;
    noted->request = frame->request;
    memcpy(noted->bytes, frame->bytes, frame->length_bytes);
    if (frame->request != NULL) {
        ledger_hand_over(frame->request, ledger_find("wire"), fixture->client, LEDGER_SERVICE);
    }
    frame_release(frame);
}

void nic_fixture_make(struct nic_fixture *fixture, const char *settings, const char *iommu_mode) {
    static const struct ledger_declaration client = {"client", NULL, "Client", "wire"};
    static const struct ledger_declaration driver = {"driver", "cpu", "Driver", NULL};
    char text[1024];
    memset(fixture, 0, sizeof *fixture);
    (void)snprintf(text, sizeof text,
                   "memory: {size: 512 MiB}\n"
                   "cache: {model: flat}\n"
                   "iommu: {mode: %s}\n"
                   "devices:\n"
                   "  - {name: nic, type: nic/sriov%s%s}\n",
                   iommu_mode, settings[0] != '\0' ? ", " : "", settings);
    fixture->machine = make_machine(text);
    fixture->client = ledger_declare(&client);
    fixture->driver = ledger_declare(&driver);
    fixture->ready = ledger_find("ready");
    fixture->nic = machine_device(fixture->machine, "nic");
    fixture->iommu = strcmp(iommu_mode, "on") == 0;
    fixture->table_frames = UINT64_C(384) << 20;
    const struct link_config config = {UINT64_C(10000000000), 0};
    fixture->link = link_create("cable", &config);
    fixture->far.receive = far_receive;
    fixture->far.owner = fixture;
    link_connect(fixture->link, &fixture->far, fixture->nic->ops->network_port(fixture->nic, 0));
    fixture->ledger = ledger_create("test");
    ledger_record(fixture->ledger, true);
}

void nic_fixture_free(struct nic_fixture *fixture) {
    (void)ledger_audit(fixture->ledger, sim_now());
    machine_free(fixture->machine);
    link_free(fixture->link);
    ledger_free(fixture->ledger);
}

uint64_t region_of(uint32_t function) {
    return REGION_BYTES * (function + 1);
}

void function_start(struct nic_fixture *fixture, uint32_t function) {
    uint8_t mac[6];
    struct error error = {0};
    function_mac(function, mac);
    nic_function_enable(fixture->nic, function, true);
    nic_function_set_mac(fixture->nic, function, mac);
    if (fixture->iommu) {
        struct iommu *iommu = fixture->machine->iommu;
        struct iommu_domain *domain = iommu_domain_create(iommu, next_frame, &fixture->table_frames, &error);
        cr_assert(domain != NULL, "%s", error.text);
        cr_assert_eq(iommu_map(domain, region_of(function) + IOVA_OFFSET, region_of(function), REGION_BYTES,
                               IOMMU_READ | IOMMU_WRITE),
                     OK);
        iommu_attach(iommu, nic_function(fixture->nic, function)->requester_id, domain);
    }
}

void function_open_filter(struct nic_fixture *fixture, uint32_t function) {
    const struct nic_filter all = {0};
    cr_assert_eq(nic_transmit_filter_set(fixture->nic, function, 0, &all), OK);
}

void driver_start_virtual(struct nic_fixture *fixture, struct driver *driver, uint32_t function) {
    function_start(fixture, function);
    function_open_filter(fixture, function);
    driver_start(driver, fixture, function, 0, 0);
}

void driver_poke(struct driver *driver, uint64_t offset, uint32_t value) {
    pcie_poke(driver->fixture->machine->pcie, driver->function->bar_address[0] + offset, 4, value);
}

uint32_t driver_peek(struct driver *driver, uint64_t offset) {
    return (uint32_t)pcie_mmio_read(driver->fixture->machine->pcie, driver->function->bar_address[0] + offset, 4);
}

static void start_ring(struct driver *driver, uint64_t registers, uint64_t ring) {
    driver_poke(driver, registers + NIC_QUEUE_BAL, (uint32_t)(ring + driver->offset));
    driver_poke(driver, registers + NIC_QUEUE_BAH, (uint32_t)((ring + driver->offset) >> 32));
    driver_poke(driver, registers + NIC_QUEUE_LEN, RING_DESCRIPTORS * NIC_DESCRIPTOR_BYTES);
    driver_poke(driver, registers + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
    cr_assert_eq(driver_peek(driver, registers + NIC_QUEUE_CTL), NIC_QUEUE_CTL_ENABLE);
}

void driver_start(struct driver *driver, struct nic_fixture *fixture, uint32_t function, uint32_t queue,
                  uint32_t posted) {
    const uint64_t own = region_of(function) + queue * (REGION_BYTES / 2);
    memset(driver, 0, sizeof *driver);
    driver->fixture = fixture;
    driver->function = nic_function(fixture->nic, function);
    driver->queue = queue;
    driver->offset = fixture->iommu ? IOVA_OFFSET : 0;
    driver->rx_ring = own;
    driver->tx_ring = own + MEMORY_FRAME_BYTES;
    driver->rx_buffers = own + 2 * MEMORY_FRAME_BYTES;
    driver->tx_buffers = driver->rx_buffers + RING_DESCRIPTORS * BUFFER_BYTES;
    driver->rx_base = NIC_RX_QUEUE_BASE(queue);
    driver->tx_base = function == 0 ? NIC_TX_QUEUE_BASE(queue) : NIC_VF_TX_QUEUE_BASE(queue);
    struct memory *memory = fixture->machine->memory;
    for (uint32_t i = 0; i < RING_DESCRIPTORS; i++) {
        memory_write64(memory, driver->rx_ring + 16 * i, driver->rx_buffers + i * BUFFER_BYTES + driver->offset);
        memory_write64(memory, driver->rx_ring + 16 * i + 8, 0);
    }
    start_ring(driver, driver->rx_base, driver->rx_ring);
    start_ring(driver, driver->tx_base, driver->tx_ring);
    driver->rx_tail = posted;
    if (posted > 0) {
        driver_poke(driver, driver->rx_base + NIC_QUEUE_TAIL, posted);
    }
}

union nic_rx_descriptor rx_descriptor(const struct driver *driver, uint32_t slot) {
    union nic_rx_descriptor descriptor;
    memory_read(driver->fixture->machine->memory, driver->rx_ring + 16 * slot, &descriptor, sizeof descriptor);
    return descriptor;
}

struct nic_tx_descriptor tx_descriptor(const struct driver *driver, uint32_t slot) {
    struct nic_tx_descriptor descriptor;
    memory_read(driver->fixture->machine->memory, driver->tx_ring + 16 * slot, &descriptor, sizeof descriptor);
    return descriptor;
}

void tx_put(struct driver *driver, struct nic_tx_descriptor descriptor) {
    memory_write(driver->fixture->machine->memory, driver->tx_ring + 16 * driver->tx_tail, &descriptor,
                 sizeof descriptor);
    driver->tx_tail = (driver->tx_tail + 1) % RING_DESCRIPTORS;
}

struct nic_tx_descriptor data_descriptor(uint64_t address, uint32_t length_bytes, uint32_t command, uint32_t options) {
    return (struct nic_tx_descriptor){address, length_bytes | NIC_TX_DTYP_DATA | NIC_TX_DEXT | NIC_TX_IFCS | command,
                                      options | length_bytes << NIC_TX_PAYLEN_SHIFT};
}

void tx_post(struct driver *driver, const uint8_t *bytes, uint32_t length_bytes) {
    const uint64_t buffer = driver->tx_buffers + driver->tx_tail * BUFFER_BYTES;
    memory_write(driver->fixture->machine->memory, buffer, bytes, length_bytes);
    tx_put(driver, data_descriptor(buffer + driver->offset, length_bytes, NIC_TX_EOP | NIC_TX_RS, 0));
}

void tx_ring_doorbell(struct driver *driver) {
    pcie_mmio_write(driver->fixture->machine->pcie, driver->function->bar_address[0] + driver->tx_base + NIC_QUEUE_TAIL,
                    4, driver->tx_tail);
}

/* ---- packets ---- */

uint16_t reference_checksum(const uint8_t *bytes, uint32_t length_bytes, uint32_t sum) {
    for (uint32_t i = 0; i < length_bytes; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static void put16(uint8_t *bytes, uint32_t value) {
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static void put32(uint8_t *bytes, uint32_t value) {
    put16(bytes, value >> 16);
    put16(bytes + 2, value & 0xffff);
}

static void put_mac(uint8_t *bytes, uint32_t function) {
    if (function == FAR) {
        memcpy(bytes, far_mac, 6);
    } else {
        function_mac(function, bytes);
    }
}

uint32_t udp_frame(uint8_t *bytes, const struct flow *flow, uint32_t payload_bytes) {
    uint8_t *ip = bytes + 14;
    uint8_t *udp = ip + 20;
    memset(bytes, 0, 42);
    put_mac(bytes, flow->to_function);
    put_mac(bytes + 6, flow->from_function);
    put16(bytes + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, 28 + payload_bytes);
    ip[8] = 64;
    ip[9] = 17;
    put32(ip + 12, flow->source_ip);
    put32(ip + 16, flow->destination_ip);
    put16(ip + 10, reference_checksum(ip, 20, 0));
    put16(udp, flow->source_port);
    put16(udp + 2, flow->destination_port);
    put16(udp + 4, 8 + payload_bytes);
    for (uint32_t i = 0; i < payload_bytes; i++) {
        udp[8 + i] = (uint8_t)(i * 13 + flow->destination_port);
    }
    uint32_t sum = 17 + 8 + payload_bytes;
    for (uint32_t i = 12; i < 20; i += 2) {
        sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    }
    put16(udp + 6, reference_checksum(udp, 8 + payload_bytes, sum));
    return 42 + payload_bytes;
}

void far_send(struct nic_fixture *fixture, const uint8_t *bytes, uint32_t length_bytes, struct request *request) {
    struct frame *frame = frame_allocate();
    memcpy(frame->bytes, bytes, length_bytes);
    frame->length_bytes = length_bytes;
    frame->request = request;
    (void)link_send(&fixture->far, frame, fixture->client, sim_now());
}

uint64_t nic_counter(const struct nic_fixture *fixture, const char *instance, const char *counter) {
    return counter_of(fixture->machine, instance, counter);
}

void run_for(sim_time duration) {
    sim_run(sim_now() + duration);
}
