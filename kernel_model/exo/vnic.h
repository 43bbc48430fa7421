/* vnic.h: virtual network interfaces: a virtual function of the NIC with queue
 * pairs, granted first come, first served.
 *
 * The environment gets the function's registers (those pages and no others) mapped
 * into its address space, and DMA confined to its memory by the IOMMU. The kernel
 * keeps the physical function: MAC addresses, filters, rates. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_VNIC_H
#define STILLSUIT_KERNEL_MODEL_EXO_VNIC_H

#include "hw/nic/nic.h"
#include "kernel_model/exo/environment.h"
#include "kernel_model/exo/memory.h"

struct exo_function {
    struct exo_function *next;
    struct exo_kernel *kernel;
    struct exo_environment *holder; /* whose memory its DMA reaches */
    struct device *nic;
    uint32_t number; /* 1..: virtual function number - 1 */
    uint8_t mac[6];
    struct pcie_function *pcie;
    struct exo_mapping *mappings; /* of its registers */
    uint64_t queues;              /* bit n: queue pair n is granted */
};

struct exo_queue {
    struct exo_function *function;
    struct exo_environment *holder;
    uint32_t index; /* within the function */
    bool limited;
};

/* A virtual function of `nic` with that MAC address. ERR_OVERLAP: another has it, and
 * the NIC tells functions apart by it; ERR_EXHAUSTED: no function is left. */
enum error_code exo_function_grant(struct exo_environment *environment, struct device *nic, const uint8_t mac[6],
                                   struct exo_handle *out, struct error *error);
/* Maps the function's registers; takes EXO_WRITE. */
enum error_code exo_function_map(struct exo_environment *environment, const struct exo_handle *handle,
                                 uint64_t *virtual_address, struct error *error);
/* A queue pair of it; takes EXO_BIND. `index` receives its number within the
 * function. ERR_SHARE, ERR_EXHAUSTED. */
enum error_code exo_queue_grant(struct exo_environment *environment, const struct exo_handle *function, uint32_t *index,
                                struct exo_handle *out, struct error *error);
/* Rate specifier: what the queue may send, 0 for no limit; takes EXO_CONTROL. The
 * hardware's granularity applies. ERR_RANGE for what the factor cannot express. */
enum error_code exo_queue_set_rate(struct exo_environment *environment, const struct exo_handle *queue,
                                   uint64_t bits_per_s, struct error *error);

/* The kernel's: what revocation undoes. */
void exo_vnic_init(struct exo_kernel *kernel);

#endif
