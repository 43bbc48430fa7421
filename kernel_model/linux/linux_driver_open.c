/* linux_driver_open.c: ixgbe's probe and open: takes the device, makes rings,
 * programs the queues and their vectors. It happens before the measured run. */
#include <stdlib.h>

#include "kernel_model/linux/linux_internal.h"

static void poke(const struct linux_system *system, uint64_t offset, uint32_t value) {
    pcie_poke(system->base.machine->pcie, system->function->bar_address[0] + offset, 4, value);
}

static void program_ring(const struct linux_system *system, uint64_t base, uint64_t ring, uint32_t size) {
    poke(system, base + NIC_QUEUE_BAL, (uint32_t)ring);
    poke(system, base + NIC_QUEUE_BAH, (uint32_t)(ring >> 32));
    poke(system, base + NIC_QUEUE_LEN, size * NIC_DESCRIPTOR_BYTES);
    poke(system, base + NIC_QUEUE_HEAD, 0);
    poke(system, base + NIC_QUEUE_TAIL, 0);
}

static uint64_t ring_frames(uint32_t size) {
    return ((uint64_t)size * NIC_DESCRIPTOR_BYTES + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES;
}

/* Fills all of the ring but one descriptor, so that head and tail differ. */
static bool fill_receive_ring(struct linux_queue *queue) {
    for (uint32_t i = 0; i + 1 < queue->receive_size; ++i) {
        struct linux_skb *skb = linux_skb_allocate(queue->system);
        if (skb == NULL) {
            return false;
        }
        const union nic_rx_descriptor descriptor = {.read = {.packet_address = skb->physical}};
        memory_write(queue->system->base.machine->memory, queue->receive_ring + (uint64_t)i * NIC_DESCRIPTOR_BYTES,
                     &descriptor, sizeof descriptor);
        queue->receive_slots[i] = skb;
    }
    queue->receive_use = queue->receive_size - 1;
    return true;
}

static void program_queue(struct linux_queue *queue) {
    const struct linux_system *system = queue->system;
    const uint64_t receive = NIC_RX_QUEUE_BASE(queue->index);
    const uint64_t transmit = NIC_TX_QUEUE_BASE(queue->index);
    const uint64_t units = queue->throttle / (NIC_EITR_UNIT_US * SIM_US);
    poke(system, NIC_EITR(queue->index), (uint32_t)units << NIC_EITR_INTERVAL_SHIFT);
    program_ring(system, receive, queue->receive_ring, queue->receive_size);
    program_ring(system, transmit, queue->transmit_ring, queue->transmit_size);
    poke(system, receive + NIC_RX_SRRCTL, LINUX_BUFFER_BYTES / 1024);
    poke(system, receive + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
    poke(system, transmit + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
    poke(system, receive + NIC_QUEUE_TAIL, queue->receive_use);
    pcie_msix_route(system->function, queue->index, queue->cpu->index, LINUX_VECTOR_NIC + queue->index);
}

static enum error_code open_queue(struct linux_system *system, uint32_t index, struct error *error) {
    struct linux_queue *queue = &system->queues[index];
    const struct linux_config *config = &system->config;
    *queue = (struct linux_queue){
        .system = system,
        .index = index,
        .cpu = &system->cpus[(config->interrupt_core + index) % system->base.machine->core_count],
        .receive_size = (uint32_t)config->receive_ring,
        .transmit_size = (uint32_t)config->transmit_ring,
        .throttle = config->interrupt_throttle == LINUX_THROTTLE_OFF ? 0 : config->throttle_lowest,
    };
    queue->receive_ring = linux_dma_allocate(system, ring_frames(queue->receive_size));
    queue->transmit_ring = linux_dma_allocate(system, ring_frames(queue->transmit_size));
    queue->receive_slots = calloc(queue->receive_size, sizeof *queue->receive_slots);
    queue->transmit_slots = calloc(queue->transmit_size, sizeof *queue->transmit_slots);
    SIM_ASSERT_MSG(queue->receive_slots != NULL && queue->transmit_slots != NULL, "out of memory");
    if (queue->receive_ring == 0 || queue->transmit_ring == 0 || !fill_receive_ring(queue)) {
        return error_set(error, ERR_EXHAUSTED, "the machine's memory is too small for the rings of queue %u", index);
    }
    return OK;
}

enum error_code linux_driver_open(struct linux_system *system, struct error *error) {
    const struct linux_config *config = &system->config;
    struct machine *machine = system->base.machine;
    system->nic = machine_device(machine, config->nic);
    if (system->nic == NULL || system->nic->ops != &nic_sriov_ops) {
        return error_set(error, ERR_NOT_FOUND, "the machine has no nic/sriov of the name '%s'", config->nic);
    }
    if (config->interrupt_core >= machine->core_count) {
        return error_set(error, ERR_RANGE, "interrupt_core is %u, and the machine has %u cores",
                         (unsigned)config->interrupt_core, machine->core_count);
    }
    system->function = nic_function(system->nic, 0);
    if (iommu_mode(machine->iommu) == IOMMU_ON) {
        system->domain = iommu_domain_create(machine->iommu, frames_allocate_callback, system->frames, error);
        if (system->domain == NULL) {
            return ERR_EXHAUSTED;
        }
        iommu_attach(machine->iommu, system->function->requester_id, system->domain);
    }
    nic_function_enable(system->nic, 0, true);
    nic_function_set_mac(system->nic, 0, config->mac);
    nic_set_default_to_physical(system->nic, true);
    nic_set_rss(system->nic, (uint32_t)config->queues);
    for (uint32_t i = 0; i < config->queues; ++i) {
        const enum error_code code = open_queue(system, i, error);
        if (code != OK) {
            return code;
        }
    }
    for (uint32_t i = 0; i < config->queues; ++i) {
        program_queue(&system->queues[i]);
    }
    for (uint32_t i = 0; i < config->queues; i += 2) { /* both rings of a pair interrupt, as ixgbe's q_vectors do */
        const uint32_t pair = NIC_IVAR_RX_VALID(0) | NIC_IVAR_TX_VALID(0) | NIC_IVAR_RX_VALID(1) | NIC_IVAR_TX_VALID(1);
        poke(system, NIC_IVAR(i / 2), pair);
    }
    poke(system, NIC_EIAM, (UINT32_C(1) << config->queues) - 1);
    poke(system, NIC_EIMS, (UINT32_C(1) << config->queues) - 1);
    return OK;
}

void linux_driver_close(struct linux_system *system) {
    for (unsigned i = 0; i < LINUX_QUEUES_MAX; ++i) {
        free(system->queues[i].receive_slots);
        free(system->queues[i].transmit_slots);
    }
}
