/* linux_driver.c: ixgbe's data path: descriptors in simulated memory, registers by
 * MMIO. Setting up is in linux_driver_open.c. */
#include "kernel_model/linux/linux_internal.h"

static struct memory *memory_of(const struct linux_queue *queue) {
    return queue->system->base.machine->memory;
}

static uint64_t bar(const struct linux_queue *queue) {
    return queue->system->function->bar_address[0];
}

void linux_driver_write(struct linux_queue *queue, struct context *context, uint64_t offset, uint32_t value) {
    const bool done = cpu_mmio_write(context, bar(queue) + offset, 4, value, NULL, 0);
    SIM_ASSERT(done);
}

/* The vector masked itself as its message went out (EIAM). */
void linux_driver_unmask(struct linux_queue *queue, struct context *context) {
    linux_driver_write(queue, context, NIC_EIMS, UINT32_C(1) << queue->index);
}

/* ---- receive ---- */

static uint64_t receive_descriptor(const struct linux_queue *queue, uint32_t index) {
    return queue->receive_ring + (uint64_t)index * NIC_DESCRIPTOR_BYTES;
}

/* The buffer of the next packet that the NIC has written, with its descriptor and
 * its request aboard; NULL if there is none. */
static struct linux_skb *next_received(struct linux_queue *queue, union nic_rx_descriptor *descriptor) {
    struct linux_skb *skb = queue->receive_slots[queue->receive_clean];
    memory_read(memory_of(queue), receive_descriptor(queue, queue->receive_clean), descriptor, sizeof *descriptor);
    if (skb == NULL || (descriptor->write_back.status_error & NIC_RX_DD) == 0) {
        return NULL;
    }
    if (skb->carrier.request == NULL) {
        skb->carrier.request = memory_alight(memory_of(queue), skb->physical);
    }
    return skb;
}

struct request *linux_driver_first_request(struct linux_queue *queue) {
    union nic_rx_descriptor descriptor;
    const struct linux_skb *skb = next_received(queue, &descriptor);
    return skb != NULL ? skb->carrier.request : NULL;
}

static bool is_checked(uint32_t status_error) {
    const bool looked = (status_error & NIC_RX_IPCS) != 0 && (status_error & (NIC_RX_UDPCS | NIC_RX_L4CS)) != 0;
    return looked && (status_error & (NIC_RX_ERROR_IP | NIC_RX_ERROR_L4)) == 0;
}

struct linux_skb *linux_driver_receive(struct linux_queue *queue, struct context *context) {
    struct linux_system *system = queue->system;
    union nic_rx_descriptor descriptor;
    struct linux_skb *skb = next_received(queue, &descriptor);
    if (skb == NULL) {
        return NULL;
    }
    skb->variation = random_lognormal_factor(system->variation, system->profile.variation);
    skb->frame_bytes = descriptor.write_back.length_bytes;
    skb->checked = is_checked(descriptor.write_back.status_error);
    cpu_work_for(context, system_components.net_stack_in, skb->carrier.request);
    cpu_touch(context, receive_descriptor(queue, queue->receive_clean), NIC_DESCRIPTOR_BYTES, false);
    linux_charge(context, &system->profile.driver_receive, skb->variation);
    queue->receive_slots[queue->receive_clean] = NULL;
    queue->receive_clean = (queue->receive_clean + 1) % queue->receive_size;
    queue->unfilled += 1;
    queue->receive_moderation.packets += 1;
    queue->receive_moderation.bytes += skb->frame_bytes;
    return skb;
}

void linux_driver_refill(struct linux_queue *queue, struct context *context, uint32_t batch) {
    if (queue->unfilled < batch) {
        return;
    }
    cpu_work_for(context, linux_components.softirq_overhead, NULL);
    while (queue->unfilled > 0) {
        struct linux_skb *skb = linux_skb_allocate(queue->system);
        if (skb == NULL) {
            break;
        }
        const uint64_t at = receive_descriptor(queue, queue->receive_use);
        const union nic_rx_descriptor descriptor = {.read = {.packet_address = skb->physical}};
        memory_write(memory_of(queue), at, &descriptor, sizeof descriptor);
        cpu_touch(context, at, sizeof descriptor, true);
        linux_charge(context, &queue->system->profile.buffer_refill, 1);
        queue->receive_slots[queue->receive_use] = skb;
        queue->receive_use = (queue->receive_use + 1) % queue->receive_size;
        queue->unfilled -= 1;
    }
    linux_driver_write(queue, context, NIC_RX_QUEUE_BASE(queue->index) + NIC_QUEUE_TAIL, queue->receive_use);
}

/* ---- transmit: a context descriptor for the checksums, then the data ---- */

enum { TRANSMIT_DESCRIPTORS = 2 };

struct linux_queue *linux_driver_queue_of(struct linux_cpu *cpu) {
    struct linux_system *system = cpu->system;
    return &system->queues[cpu->index % system->config.queues];
}

static uint64_t transmit_descriptor(const struct linux_queue *queue, uint32_t index) {
    return queue->transmit_ring + (uint64_t)index * NIC_DESCRIPTOR_BYTES;
}

static uint32_t transmit_free(const struct linux_queue *queue) {
    return (queue->transmit_clean + queue->transmit_size - queue->transmit_use - 1) % queue->transmit_size;
}

static void put_transmit(struct linux_queue *queue, struct context *context, const struct nic_tx_descriptor *descriptor,
                         struct linux_skb *skb) {
    const uint64_t at = transmit_descriptor(queue, queue->transmit_use);
    memory_write(memory_of(queue), at, descriptor, sizeof *descriptor);
    cpu_touch(context, at, sizeof *descriptor, true);
    queue->transmit_slots[queue->transmit_use] = skb;
    queue->transmit_use = (queue->transmit_use + 1) % queue->transmit_size;
}

bool linux_driver_transmit(struct linux_queue *queue, struct context *context, struct linux_skb *skb) {
    if (transmit_free(queue) < TRANSMIT_DESCRIPTORS) {
        return false;
    }
    const struct nic_tx_descriptor offload = {
        .address = NET_IPV4_BYTES | NET_ETHERNET_BYTES << 9,
        .command = NIC_TX_DTYP_CONTEXT | NIC_TX_DEXT | (skb->tcp ? NIC_TX_TUCMD_TCP : 0),
    };
    const struct nic_tx_descriptor data = {
        .address = skb->physical,
        .command = skb->frame_bytes | NIC_TX_DTYP_DATA | NIC_TX_EOP | NIC_TX_IFCS | NIC_TX_RS | NIC_TX_DEXT,
        .status_length = NIC_TX_POPTS_IXSM | NIC_TX_POPTS_TXSM | skb->frame_bytes << NIC_TX_PAYLEN_SHIFT,
    };
    struct request *request = skb->carrier.request;
    skb->carrier.request = NULL;
    skb->on_ring = true;
    put_transmit(queue, context, &offload, NULL);
    put_transmit(queue, context, &data, skb);
    const bool done = cpu_mmio_write(context, bar(queue) + NIC_TX_QUEUE_BASE(queue->index) + NIC_QUEUE_TAIL, 4,
                                     queue->transmit_use, request, system_components.net_stack_out);
    SIM_ASSERT(done);
    return true;
}

/* Only the data descriptor of a packet is written back. */
bool linux_driver_transmit_clean(struct linux_queue *queue, struct context *context) {
    struct linux_system *system = queue->system;
    for (unsigned cleaned = 0; queue->transmit_clean != queue->transmit_use; ++cleaned) {
        const uint32_t index = (queue->transmit_clean + 1) % queue->transmit_size;
        struct linux_skb *skb = queue->transmit_slots[index];
        struct nic_tx_descriptor descriptor;
        memory_read(memory_of(queue), transmit_descriptor(queue, index), &descriptor, sizeof descriptor);
        if (skb == NULL || (descriptor.status_length & NIC_TX_DD) == 0) {
            return true;
        }
        if (cleaned == LINUX_TRANSMIT_CLEAN_MAX) {
            return false;
        }
        cpu_work_for(context, linux_components.net_housekeeping, NULL);
        cpu_touch(context, transmit_descriptor(queue, index), NIC_DESCRIPTOR_BYTES, false);
        linux_charge(context, &system->profile.transmit_clean, 1);
        queue->transmit_slots[index] = NULL;
        queue->transmit_clean = (index + 1) % queue->transmit_size;
        queue->transmit_moderation.packets += 1;
        queue->transmit_moderation.bytes += skb->frame_bytes;
        skb->on_ring = false;
        linux_socket_sent(system->cpus + core_index(context_core(context)), skb);
        linux_skb_release(system, skb);
    }
    return true;
}
