/* nic.h: the SR-IOV NIC ("nic/sriov"), as a kernel's physical-function driver sees
 * it. Data-path software sees registers and descriptors (nic_regs.h) alone.
 *
 * Function 0 is physical; function n (1..) is virtual function n-1. A pool is a
 * virtual function's share: its queue pairs, its MAC address, its filters. Queue
 * pairs of VF v are v * queues_per_pool ... in the physical numbering; those not
 * given to a VF in use are the physical function's. Where "queue 0" of the physical
 * function is meant as a destination, it is the lowest of its queues that receives.
 *
 * A virtual function that posts no descriptors drops at once; the physical function's
 * queues hold packets back in the packet buffer unless SRRCTL says otherwise.
 * Traffic from function to function goes out to the switch: the 82599's internal
 * loopback is not modelled, nor are VLAN pools. */
#ifndef STILLSUIT_HW_NIC_NIC_H
#define STILLSUIT_HW_NIC_NIC_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/device.h"

extern const struct device_ops nic_sriov_ops;

enum { NIC_FILTER_RANGES_MAX = 8 };

/* A range of end points: address under mask, and ports low..high, in host order. */
struct nic_endpoints {
    uint32_t address, mask;
    uint16_t port_low, port_high;
};

/* A convex part of header space: protocol, any of `peers` at the far end, any of
 * `services` at the near end. A count of 0 matches everything there. For receive
 * filters the far end is the source; for transmit filters it is the destination. */
struct nic_filter {
    uint8_t priority; /* lower wins */
    uint8_t protocol; /* IP protocol number; 0 any */
    uint8_t peer_count, service_count;
    struct nic_endpoints peers[NIC_FILTER_RANGES_MAX], services[NIC_FILTER_RANGES_MAX];
    uint32_t queue; /* receive: to this queue pair of the function (from 0) */
};

enum nic_filter_mode {
    NIC_FILTER_MAC,   /* the real part between pools: MAC (and VLAN); header filters choose within a pool */
    NIC_FILTER_HEADER /* what Arrakis asks for: header filters choose among functions, too */
};

uint32_t nic_virtual_functions(const struct device *nic);
uint32_t nic_queues_per_function(const struct device *nic);
uint32_t nic_filter_slots(const struct device *nic); /* receive, whole card */
enum nic_filter_mode nic_filter_mode(const struct device *nic);
uint64_t nic_line_rate(const struct device *nic);

/* The PCIe function: BARs, requester id, MSI-X routing. NULL out of range. */
struct pcie_function *nic_function(struct device *nic, uint32_t function);

/* ---- Control path: the physical function's driver alone. ---- */
/* Switches a function's pool on (with DMA) or off; off resets its queues, filters. */
void nic_function_enable(struct device *nic, uint32_t function, bool enabled);
void nic_function_set_mac(struct device *nic, uint32_t function, const uint8_t mac[6]);
/* Installs into a slot of the card's receive table, or of a function's transmit
 * table; NULL clears. ERR_EXHAUSTED: no such slot. Without any transmit filter, a
 * virtual function sends nothing (default deny); the physical function sends all. */
enum error_code nic_receive_filter_set(struct device *nic, uint32_t slot, uint32_t function,
                                       const struct nic_filter *filter);
enum error_code nic_transmit_filter_set(struct device *nic, uint32_t function, uint32_t slot,
                                        const struct nic_filter *filter);
/* What no filter takes goes to the physical function's queue 0, or nowhere. */
void nic_set_default_to_physical(struct device *nic, bool on);
/* Receive-side scaling for the physical function over its first `queues` queues. */
void nic_set_rss(struct device *nic, uint32_t queues);

/* Components: "nic_rx" (with nic_rx_queue: waiting in the packet buffer), "nic_tx"
 * (with nic_tx_queue and nic_tx_limit) under "nic". After receive DMA a request is
 * owned by "ready" and boarded at its buffer's physical address as translated. For
 * transmit, software boards a packet's request at the physical address of its first
 * byte, lets it ride on the doorbell that ends with the packet, or both; whoever
 * below "cpu" has it hands it over when the card reads the descriptor. MSI-X vector n
 * of a function is its queue n. */
void nic_declare_components(void);

#endif
