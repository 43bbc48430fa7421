/* linux_system.h: the monolithic baseline: Linux 3.8 with the ixgbe driver, as a
 * system that workloads can run on ("linux").
 *
 * The kernel's own mechanisms are modelled, so that what it costs comes out of what
 * it does: interrupt, NAPI poll with a budget, softirq and its daemon, socket
 * buffers with limits, wake-up, CFS, the idle loop, system calls and copies. The
 * time of each step comes from a profile (configs/profiles/linux-3.8.yaml). */
#ifndef STILLSUIT_KERNEL_MODEL_LINUX_LINUX_SYSTEM_H
#define STILLSUIT_KERNEL_MODEL_LINUX_LINUX_SYSTEM_H

#include "kernel_model/common/system.h"

extern const struct system_ops linux_system_ops;
/* `storage:` of an entry, and its `profile:`. */
extern const struct param linux_storage_params[], linux_storage_profile_params[];

#endif
