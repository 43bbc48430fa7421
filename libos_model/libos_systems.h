/* libos_systems.h: the library operating systems on the exokernel, as systems that
 * workloads can run on. */
#ifndef STILLSUIT_LIBOS_MODEL_LIBOS_SYSTEMS_H
#define STILLSUIT_LIBOS_MODEL_LIBOS_SYSTEMS_H

#include "kernel_model/common/system.h"

extern const struct system_ops arrakis_posix_ops;  /* "arrakis_posix": POSIX sockets, with copies */
extern const struct system_ops arrakis_native_ops; /* "arrakis_native": packets in place, no copy */
extern const struct system_ops libos_driver_ops;   /* "driver": bounces packets, no protocol code */

#endif
