/* filter.h: which packets are whose.
 *
 * A receive filter binds a part of header space to a function and queue; a transmit
 * filter says what a function may send. The kernel checks each before it goes into
 * the NIC, and the NIC enforces it from then on without the kernel:
 * - receive: a part of header space has one owner. A filter that overlaps another
 *   environment's is refused at any priority (priority orders the filters of one
 *   owner; it is no way into another's packets); one that overlaps the
 *   environment's own is refused at equal priority, where the order is undefined.
 * - receive: local addresses must be the environment's; all ports together at most
 *   its share.
 * - transmit: local end within what its receive filters own, so that nobody sends
 *   in another's name.
 * One filter with both directions covers a listening socket and its connections. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_FILTER_H
#define STILLSUIT_KERNEL_MODEL_EXO_FILTER_H

#include "kernel_model/exo/vnic.h"

enum { EXO_FILTER_RX = 1, EXO_FILTER_TX = 2 };
enum { EXO_NO_SLOT = UINT32_MAX };

struct exo_filter {
    struct exo_filter *next;
    struct exo_function *function;
    struct exo_environment *environment;
    struct nic_filter space;
    unsigned directions;
    uint32_t receive_slot, transmit_slot; /* in the hardware; EXO_NO_SLOT */
    struct exo_handle handle;
};

/* Checks, installs and grants; takes EXO_BIND on the function. ERR_RANGE: not a
 * convex part, or no such queue; ERR_DENIED: addresses or services of others;
 * ERR_SHARE; ERR_OVERLAP; ERR_EXHAUSTED: the NIC has no slot left. (Where the NIC
 * tells functions apart by MAC address, receive filters only choose queues within
 * the function, and one without a slot is the library's demultiplexer to serve.) */
enum error_code exo_filter_create(struct exo_environment *environment, const struct exo_handle *function,
                                  unsigned directions, const struct nic_filter *space, struct exo_handle *out,
                                  struct error *error);

/* The kernel's: revocation takes the filter out of the hardware. */
void exo_filter_init(struct exo_kernel *kernel);

#endif
