/* libos_hostile.c: a library that means harm.
 *
 * A library OS is not trusted: whoever runs a process may put this one in its place.
 * Nothing here goes past the process's own rights: it writes to its own rings, rings
 * its own doorbell, stores to addresses, makes kernel calls. That others come to no
 * harm is up to the IOMMU, the MMU, the NIC's filters and the exokernel.
 *
 * It is told what a lucky attacker would have guessed: where the first process's
 * memory and registers lie, and which port it serves. */
#include <stddef.h>

#include "hw/nic/nic_regs.h"
#include "libos_model/libos_net.h"

enum { STOLEN_BYTES_MAX = 1024, SPOOFED_BYTES = 18, PORT_MAX = 65535 };

struct victim {
    const struct libos_process *process;
    uint16_t port;   /* that it serves */
    uint64_t memory; /* physical */
    uint32_t memory_bytes;
};

/* The port of one of a process's sockets; 0: it has none yet. */
static uint16_t port_of(const struct libos_process *process) {
    for (const struct libos_thread *thread = process->threads; thread != NULL; thread = thread->next) {
        for (size_t i = 0; i < LIBOS_SOCKETS_HASH; i++) {
            if (thread->sockets[i] != NULL) {
                return thread->sockets[i]->port;
            }
        }
    }
    return 0;
}

static enum error_code find_victim(const struct libos_thread *thread, struct victim *victim) {
    const struct libos_process *process = libos_system_of(thread)->processes;
    if (process == thread->process) {
        return ERR_NOT_FOUND;
    }
    *victim = (struct victim){.process = process,
                              .port = port_of(process),
                              .memory = process->base.secret_physical,
                              .memory_bytes = process->base.secret_bytes};
    if (victim->port == 0) {
        return ERR_AGAIN;
    }
    if (victim->memory == 0) { /* then its packets */
        victim->memory = process->threads->driver.packets.physical;
        victim->memory_bytes = VF_BUFFER_BYTES;
    }
    if (victim->memory_bytes > STOLEN_BYTES_MAX) {
        victim->memory_bytes = STOLEN_BYTES_MAX;
    }
    return OK;
}

/* ---- descriptors that name another's memory ---- */

static void await_two_slots(struct libos_thread *thread) {
    const struct vf_driver *driver = &thread->driver;
    const uint32_t ring = driver->config.ring;
    while ((driver->tx_tail + ring - driver->tx_head) % ring + 2 >= ring) {
        vf_housekeep(&thread->driver, thread->context);
        cpu_work_for(thread->context, vf_components.poll, NULL);
        libos_charge(thread, LIBOS_poll);
        cpu_run(thread->context);
    }
}

/* Into the library's own ring, which is its own memory. */
static void post(struct libos_thread *thread, const struct nic_tx_descriptor *descriptor, uint32_t buffer) {
    struct vf_driver *driver = &thread->driver;
    const uint64_t at = driver->tx_ring.physical + (uint64_t)driver->tx_tail * NIC_DESCRIPTOR_BYTES;
    cpu_touch(thread->context, at, NIC_DESCRIPTOR_BYTES, true);
    memory_write(driver->memory, at, descriptor, sizeof *descriptor);
    driver->tx_buffers[driver->tx_tail] = buffer;
    driver->tx_tail = driver->tx_tail + 1 == driver->config.ring ? 0 : driver->tx_tail + 1;
}

static enum error_code ring_doorbell(struct libos_thread *thread, uint64_t queue_registers, uint32_t tail) {
    const struct vf_driver *driver = &thread->driver;
    const uint64_t at = driver->config.registers + queue_registers + NIC_QUEUE_TAIL;
    return cpu_mmio_write(thread->context, at, 4, tail, NULL, 0) ? OK : ERR_FAULT;
}

/* A packet of two pieces: headers of its own, and the victim's memory. */
static enum error_code foreign_descriptor(struct libos_thread *thread, const struct victim *victim,
                                          struct system_endpoint accomplice) {
    struct vf_driver *driver = &thread->driver;
    struct libos_packet *packet = libos_packet_take(thread, NULL);
    await_two_slots(thread);
    libos_stage(thread, system_components.app, NULL);
    libos_write_headers(thread, packet, port_of(thread->process), victim->memory_bytes, accomplice);
    const uint32_t options = driver->config.checksum_offload ? NIC_TX_POPTS_IXSM | NIC_TX_POPTS_TXSM : 0;
    const uint32_t total = NET_UDP_HEADERS_BYTES + victim->memory_bytes;
    const struct nic_tx_descriptor headers = {
        .address = driver->packets.device_address + (uint64_t)packet->buffer * VF_BUFFER_BYTES,
        .command = (uint32_t)NET_UDP_HEADERS_BYTES | NIC_TX_DTYP_DATA | NIC_TX_DEXT | NIC_TX_IFCS,
        .status_length = options | total << NIC_TX_PAYLEN_SHIFT};
    const struct nic_tx_descriptor payload = {.address = victim->memory,
                                              .command = victim->memory_bytes | NIC_TX_DTYP_DATA | NIC_TX_DEXT |
                                                         NIC_TX_EOP | NIC_TX_RS | NIC_TX_IFCS};
    packet->carrier.request = NULL;
    post(thread, &headers, VF_NO_BUFFER); /* reports nothing; the buffer comes back with the last piece */
    post(thread, &payload, packet->buffer);
    return ring_doorbell(thread, NIC_VF_TX_QUEUE_BASE(thread->queue_index), driver->tx_tail);
}

/* Every receive descriptor that the NIC may still fetch. */
static enum error_code foreign_receive_descriptor(struct libos_thread *thread, const struct victim *victim) {
    const struct vf_driver *driver = &thread->driver;
    libos_stage(thread, system_components.app, NULL);
    for (uint32_t slot = driver->rx_head; slot != driver->rx_tail; slot = (slot + 1) % driver->config.ring) {
        const uint64_t at = driver->rx_ring.physical + (uint64_t)slot * NIC_DESCRIPTOR_BYTES;
        const uint64_t status = offsetof(union nic_rx_descriptor, write_back.status_error);
        if ((memory_read32(driver->memory, at + status) & NIC_RX_DD) == 0) { /* else a packet waits there */
            cpu_touch(thread->context, at, NIC_DESCRIPTOR_BYTES, true);
            memory_write64(driver->memory, at, victim->memory);
        }
    }
    return ring_doorbell(thread, NIC_RX_QUEUE_BASE(thread->queue_index), driver->rx_tail);
}

/* ---- another's name ---- */

/* Honest code but for the port. */
static enum error_code spoofed_port(struct libos_thread *thread, const struct victim *victim,
                                    struct system_endpoint accomplice) {
    const struct libos_socket pretended = {.thread = thread, .port = victim->port};
    struct libos_packet *packet = libos_packet_take(thread, NULL);
    return libos_transmit_udp(thread, &pretended, packet, SPOOFED_BYTES, accomplice, NULL);
}

/* ---- kernel calls ---- */

/* Asks for the packets to ports low..high, or for all there are if low is 0. */
static enum error_code ask_for_packets(struct libos_thread *thread, uint16_t low, uint16_t high) {
    const struct libos_system *system = libos_system_of(thread);
    const struct nic_filter space = {
        .priority = 0, /* before everybody's */
        .protocol = low != 0 ? NET_PROTOCOL_UDP : 0,
        .service_count = low != 0 ? 1 : 0,
        .services = {{.address = system->config.ip, .mask = UINT32_MAX, .port_low = low, .port_high = high}},
        .queue = thread->queue_index};
    struct exo_handle filter;
    struct error error = {OK, ""};
    return exo_filter_create(thread->process->environment, &thread->process->function, EXO_FILTER_RX, &space, &filter,
                             &error);
}

/* The longer run of ports that the victim does not have, so that only the share can
 * be what refuses it. */
static enum error_code port_share(struct libos_thread *thread, const struct victim *victim) {
    return victim->port > PORT_MAX / 2 ? ask_for_packets(thread, 1, (uint16_t)(victim->port - 1))
                                       : ask_for_packets(thread, (uint16_t)(victim->port + 1), PORT_MAX);
}

/* Were it accepted, the victim's registers would be mapped here. */
static enum error_code forged_capability(const struct libos_thread *thread, const struct victim *victim) {
    struct exo_environment *environment = thread->process->environment;
    struct exo_handle forged = victim->process->function;
    uint64_t registers = 0;
    struct error error = {OK, ""};
    forged.holder = environment->number;
    return exo_function_map(environment, &forged, &registers, &error);
}

/* ---- another's registers ---- */

static enum error_code foreign_doorbell(struct libos_thread *thread, const struct victim *victim) {
    const struct exo_function *function = libos_system_of(thread)->kernel->functions;
    while (function->holder != victim->process->environment) {
        function = function->next;
    }
    cpu_work_for(thread->context, system_components.app, NULL);
    const uint64_t tail = function->pcie->bar_address[0] + NIC_VF_TX_QUEUE_BASE(0) + NIC_QUEUE_TAIL;
    return cpu_mmio_write(thread->context, tail, 4, 1, NULL, 0) ? OK : ERR_FAULT;
}

enum error_code libos_misbehave(struct system_thread *base, enum system_misbehaviour how,
                                struct system_endpoint accomplice) {
    struct libos_thread *thread = libos_thread_of(base);
    struct victim victim;
    const enum error_code found = find_victim(thread, &victim);
    if (found != OK) {
        return found;
    }
    switch (how) {
    case MISBEHAVE_foreign_descriptor:
        return foreign_descriptor(thread, &victim, accomplice);
    case MISBEHAVE_foreign_receive_descriptor:
        return foreign_receive_descriptor(thread, &victim);
    case MISBEHAVE_spoofed_port:
        return spoofed_port(thread, &victim, accomplice);
    case MISBEHAVE_overlapping_filter:
        return ask_for_packets(thread, victim.port, victim.port);
    case MISBEHAVE_greedy_filter:
        return ask_for_packets(thread, 0, PORT_MAX);
    case MISBEHAVE_port_share:
        return port_share(thread, &victim);
    case MISBEHAVE_foreign_doorbell:
        return foreign_doorbell(thread, &victim);
    case MISBEHAVE_forged_capability:
        return forged_capability(thread, &victim);
    case MISBEHAVIOURS:
        break;
    }
    return ERR_UNSUPPORTED;
}
