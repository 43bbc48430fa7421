#include "libos_model/vf_driver.h"

#include <stddef.h>
#include <stdlib.h>

#include "hw/machine.h"
#include "hw/nic/nic_regs.h"
#include "stack/net_headers.h"
#include "stack/udp_stack.h"

struct vf_components vf_components;

void vf_declare_components(void) {
    static const struct ledger_declaration table[] = {{"driver_housekeeping", "cpu", "Driver, off the path", NULL},
                                                      {"doorbell_write", "net_stack_out", "Doorbell store", NULL},
                                                      {"libos_poll", "cpu", "Polling", NULL},
                                                      {0}};
    ledger_component out[3];
    ledger_declare_all(table, out);
    vf_components = (struct vf_components){.housekeeping = out[0], .doorbell_write = out[1], .poll = out[2]};
}

static uint32_t after(const struct vf_driver *driver, uint32_t slot) {
    return slot + 1 == driver->config.ring ? 0 : slot + 1;
}
static uint64_t rx_slot(const struct vf_driver *driver, uint32_t slot) {
    return driver->rx_ring.physical + (uint64_t)slot * NIC_DESCRIPTOR_BYTES;
}
static uint64_t tx_slot(const struct vf_driver *driver, uint32_t slot) {
    return driver->tx_ring.physical + (uint64_t)slot * NIC_DESCRIPTOR_BYTES;
}
static uint64_t rx_registers(const struct vf_driver *driver) {
    return driver->config.registers + NIC_RX_QUEUE_BASE(driver->config.queue);
}
static uint64_t tx_registers(const struct vf_driver *driver) {
    return driver->config.registers + NIC_VF_TX_QUEUE_BASE(driver->config.queue);
}
/* What a descriptor names. */
static uint64_t buffer_device_address(const struct vf_driver *driver, uint32_t buffer) {
    return driver->packets.device_address + (uint64_t)buffer * VF_BUFFER_BYTES;
}

/* ---- the pool ---- */

uint32_t vf_buffer_take(struct vf_driver *driver) {
    return driver->free_count == 0 ? (uint32_t)VF_NO_BUFFER : driver->free_buffers[--driver->free_count];
}

void vf_buffer_give(struct vf_driver *driver, uint32_t buffer) {
    SIM_ASSERT(driver->free_count < driver->config.buffers);
    driver->free_buffers[driver->free_count++] = buffer;
}

void vf_buffer_hold(struct vf_driver *driver, uint32_t buffer) {
    driver->held[buffer] = true;
}

void vf_buffer_release(struct vf_driver *driver, uint32_t buffer) {
    driver->held[buffer] = false;
    if (!driver->flying[buffer]) {
        vf_buffer_give(driver, buffer);
    }
}

/* ---- receive ---- */

static const uint64_t RX_STATUS_OFFSET = offsetof(union nic_rx_descriptor, write_back.status_error);

bool vf_rx_ready(const struct vf_driver *driver) {
    if (driver->rx_head == driver->rx_tail) {
        return false; /* no slot has a buffer; what they hold is old */
    }
    const uint32_t status = memory_read32(driver->memory, rx_slot(driver, driver->rx_head) + RX_STATUS_OFFSET);
    return (status & NIC_RX_DD) != 0;
}

uint64_t vf_rx_line(const struct vf_driver *driver) {
    return rx_slot(driver, driver->rx_head);
}

struct vf_packet vf_rx_take(struct vf_driver *driver, struct context *context, ledger_component component) {
    const uint32_t slot = driver->rx_head;
    union nic_rx_descriptor descriptor;
    memory_read(driver->memory, rx_slot(driver, slot), &descriptor, sizeof descriptor);
    const uint32_t status = descriptor.write_back.status_error;
    const uint32_t checks = NIC_RX_IPCS | NIC_RX_L4CS;
    struct vf_packet packet = {.buffer = driver->rx_buffers[slot],
                               .length_bytes = descriptor.write_back.length_bytes,
                               .checked = driver->config.checksum_offload && (status & checks) == checks,
                               .bad = driver->config.checksum_offload &&
                                      (status & (NIC_RX_ERROR_IP | NIC_RX_ERROR_L4)) != 0};
    packet.request = memory_alight(driver->memory, vf_buffer_physical(driver, packet.buffer));
    cpu_work_for(context, component, packet.request);
    cpu_touch(context, rx_slot(driver, slot), NIC_DESCRIPTOR_BYTES, false);
    driver->rx_head = after(driver, slot);
    driver->received++;
    return packet;
}

static void rx_post(struct vf_driver *driver, uint32_t buffer) {
    const union nic_rx_descriptor descriptor = {.read = {.packet_address = buffer_device_address(driver, buffer)}};
    driver->rx_buffers[driver->rx_tail] = buffer;
    memory_write(driver->memory, rx_slot(driver, driver->rx_tail), &descriptor, sizeof descriptor);
    driver->rx_tail = after(driver, driver->rx_tail);
}

static uint32_t rx_missing(const struct vf_driver *driver) {
    const uint32_t ring = driver->config.ring;
    return ring - 1 - (driver->rx_tail + ring - driver->rx_head) % ring;
}

static void refill(struct vf_driver *driver, struct context *context) {
    const struct vf_costs *costs = &driver->config.costs;
    const uint32_t batch = driver->config.refill_batch;
    while (rx_missing(driver) >= batch && driver->free_count >= batch) {
        for (uint32_t i = 0; i < batch; i++) {
            cpu_touch(context, rx_slot(driver, driver->rx_tail), NIC_DESCRIPTOR_BYTES, true);
            (void)stack_charge(context, costs->rx_refill, 1.0, costs->refill_lines);
            rx_post(driver, vf_buffer_take(driver));
        }
        driver->refilled += batch;
        (void)cpu_mmio_write(context, rx_registers(driver) + NIC_QUEUE_TAIL, 4, driver->rx_tail, NULL, 0);
    }
}

/* ---- transmit ---- */

static const uint64_t TX_STATUS_OFFSET = offsetof(struct nic_tx_descriptor, status_length);

static uint32_t tx_in_flight(const struct vf_driver *driver) {
    const uint32_t ring = driver->config.ring;
    return (driver->tx_tail + ring - driver->tx_head) % ring;
}

bool vf_tx_room(const struct vf_driver *driver) {
    return tx_in_flight(driver) + 1 + (driver->two_protocols ? 1 : 0) < driver->config.ring;
}

/* The oldest slot whose descriptor is a packet's: a context descriptor reports
 * nothing, and is done when what follows is. The tail, if there is none. */
static uint32_t tx_oldest_packet(const struct vf_driver *driver) {
    uint32_t slot = driver->tx_head;
    while (slot != driver->tx_tail && driver->tx_buffers[slot] == VF_NO_BUFFER) {
        slot = after(driver, slot);
    }
    return slot;
}

uint64_t vf_tx_line(const struct vf_driver *driver) {
    return tx_slot(driver, tx_oldest_packet(driver));
}

static void reclaim(struct vf_driver *driver, struct context *context) {
    const struct vf_costs *costs = &driver->config.costs;
    while (driver->tx_head != driver->tx_tail) {
        const uint32_t slot = tx_oldest_packet(driver);
        const uint64_t at = tx_slot(driver, slot);
        if (slot == driver->tx_tail || (memory_read32(driver->memory, at + TX_STATUS_OFFSET) & NIC_TX_DD) == 0) {
            return;
        }
        cpu_touch(context, at, NIC_DESCRIPTOR_BYTES, false);
        (void)stack_charge(context, costs->tx_reclaim, 1.0, costs->reclaim_lines);
        driver->flying[driver->tx_buffers[slot]] = false;
        if (!driver->held[driver->tx_buffers[slot]]) {
            vf_buffer_give(driver, driver->tx_buffers[slot]);
        }
        driver->tx_head = after(driver, slot);
        driver->reclaimed++;
    }
}

static void tx_put(struct vf_driver *driver, const struct nic_tx_descriptor *descriptor, uint32_t buffer) {
    memory_write(driver->memory, tx_slot(driver, driver->tx_tail), descriptor, sizeof *descriptor);
    driver->tx_buffers[driver->tx_tail] = buffer;
    driver->tx_tail = after(driver, driver->tx_tail);
}

/* The layout of the headers, once for all packets to come of a protocol: the queue
 * keeps it. */
static void tx_put_context(struct vf_driver *driver) {
    const struct nic_tx_descriptor descriptor = {
        .address = (uint64_t)NET_IPV4_BYTES | (uint64_t)NET_ETHERNET_BYTES << 9,
        .command = NIC_TX_DTYP_CONTEXT | NIC_TX_DEXT | NIC_TX_TUCMD_IPV4 | (driver->tcp ? NIC_TX_TUCMD_TCP : 0)};
    tx_put(driver, &descriptor, VF_NO_BUFFER);
}

void vf_tx_expect_both(struct vf_driver *driver) {
    driver->two_protocols = true;
}

void vf_tx_protocol(struct vf_driver *driver, struct context *context, bool tcp) {
    if (driver->tcp != tcp) {
        driver->tcp = tcp;
        cpu_touch(context, tx_slot(driver, driver->tx_tail), NIC_DESCRIPTOR_BYTES, true);
        tx_put_context(driver);
    }
}

enum error_code vf_tx_send(struct vf_driver *driver, struct context *context, uint32_t buffer, uint32_t length_bytes,
                           struct request *request) {
    const uint32_t options = driver->config.checksum_offload ? NIC_TX_POPTS_IXSM | NIC_TX_POPTS_TXSM : 0;
    const struct nic_tx_descriptor descriptor = {.address = buffer_device_address(driver, buffer),
                                                 .command = length_bytes | NIC_TX_DTYP_DATA | NIC_TX_DEXT | NIC_TX_EOP |
                                                            NIC_TX_IFCS | NIC_TX_RS,
                                                 .status_length = options | length_bytes << NIC_TX_PAYLEN_SHIFT};
    SIM_ASSERT(vf_tx_room(driver) && length_bytes <= VF_BUFFER_BYTES);
    cpu_touch(context, tx_slot(driver, driver->tx_tail), NIC_DESCRIPTOR_BYTES, true);
    tx_put(driver, &descriptor, buffer);
    driver->flying[buffer] = true;
    cpu_work_for(context, vf_components.doorbell_write, request);
    const bool mapped = cpu_mmio_write(context, tx_registers(driver) + NIC_QUEUE_TAIL, 4, driver->tx_tail, request,
                                       vf_components.doorbell_write);
    cpu_work_for(context, vf_components.housekeeping, NULL);
    if (!mapped) {
        ledger_abandon(request, "page_fault", sim_now());
        return ERR_FAULT;
    }
    driver->doorbells++;
    driver->sent++;
    return OK;
}

void vf_housekeep(struct vf_driver *driver, struct context *context) {
    cpu_work_for(context, vf_components.housekeeping, NULL);
    reclaim(driver, context);
    refill(driver, context);
}

void vf_interrupt_arm(struct vf_driver *driver, struct context *context) {
    cpu_work_for(context, vf_components.housekeeping, NULL);
    (void)cpu_mmio_write(context, driver->config.registers + NIC_EIMS, 4, UINT64_C(1) << driver->config.queue, NULL, 0);
}

/* ---- set-up ---- */

/* Before the run: a store through the environment's address space that takes no
 * time. */
static bool poke(struct vf_driver *driver, uint64_t address, uint32_t value) {
    uint64_t physical = 0;
    if (!address_space_translate(driver->environment->space, address, true, true, &physical)) {
        return false;
    }
    pcie_poke(driver->environment->kernel->machine->pcie, physical, 4, value);
    return true;
}

static bool program_ring(struct vf_driver *driver, uint64_t registers, const struct exo_region *ring) {
    return poke(driver, registers + NIC_QUEUE_BAL, (uint32_t)ring->device_address) &&
           poke(driver, registers + NIC_QUEUE_BAH, (uint32_t)(ring->device_address >> 32)) &&
           poke(driver, registers + NIC_QUEUE_LEN, driver->config.ring * NIC_DESCRIPTOR_BYTES) &&
           poke(driver, registers + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
}

static enum error_code allocate(struct vf_driver *driver, uint64_t bytes, struct exo_region *region,
                                struct error *error) {
    const enum error_code code = exo_memory_allocate(driver->environment, 0, bytes, region, error);
    return code != OK ? code : exo_memory_map(driver->environment, region, true, error);
}

static enum error_code allocate_all(struct vf_driver *driver, struct error *error) {
    const struct vf_driver_config *config = &driver->config;
    const uint64_t ring_bytes = (uint64_t)config->ring * NIC_DESCRIPTOR_BYTES;
    enum error_code code = allocate(driver, ring_bytes, &driver->rx_ring, error);
    if (code == OK) {
        code = allocate(driver, ring_bytes, &driver->tx_ring, error);
    }
    if (code == OK) {
        code = allocate(driver, (uint64_t)config->buffers * VF_BUFFER_BYTES, &driver->packets, error);
    }
    driver->rx_buffers = calloc(config->ring, sizeof *driver->rx_buffers);
    driver->tx_buffers = calloc(config->ring, sizeof *driver->tx_buffers);
    driver->free_buffers = calloc(config->buffers, sizeof *driver->free_buffers);
    driver->held = calloc(config->buffers, sizeof *driver->held);
    driver->flying = calloc(config->buffers, sizeof *driver->flying);
    SIM_ASSERT(driver->held != NULL && driver->flying != NULL);
    SIM_ASSERT(driver->rx_buffers != NULL && driver->tx_buffers != NULL && driver->free_buffers != NULL);
    return code;
}

enum error_code vf_driver_init(struct vf_driver *driver, struct exo_environment *environment,
                               const struct vf_driver_config *config, struct error *error) {
    *driver = (struct vf_driver){
        .config = *config, .environment = environment, .memory = environment->kernel->machine->memory};
    const enum error_code code = allocate_all(driver, error);
    if (code != OK) {
        vf_driver_fini(driver);
        return code;
    }
    for (uint32_t i = config->buffers; i-- > 0;) {
        vf_buffer_give(driver, i);
    }
    while (rx_missing(driver) > 0 && driver->free_count > 0) {
        rx_post(driver, vf_buffer_take(driver));
    }
    const bool mapped = poke(driver, config->registers + NIC_EIAM, UINT32_MAX) && /* interrupts mask themselves */
                        poke(driver, rx_registers(driver) + NIC_RX_SRRCTL, VF_BUFFER_BYTES / 1024) &&
                        program_ring(driver, rx_registers(driver), &driver->rx_ring) &&
                        poke(driver, rx_registers(driver) + NIC_QUEUE_TAIL, driver->rx_tail) &&
                        program_ring(driver, tx_registers(driver), &driver->tx_ring);
    if (!mapped) {
        vf_driver_fini(driver);
        return error_set(error, ERR_FAULT, "%s: the registers of its function are not mapped", environment->name);
    }
    if (config->checksum_offload) {
        tx_put_context(driver);
    }
    return OK;
}

void vf_driver_fini(struct vf_driver *driver) {
    free(driver->rx_buffers);
    free(driver->tx_buffers);
    free(driver->free_buffers);
    free(driver->held);
    free(driver->flying);
    driver->rx_buffers = driver->tx_buffers = driver->free_buffers = NULL;
    driver->held = driver->flying = NULL;
}
