/* r3000_internal.h: what the processor's files share. */
#ifndef STILLSUIT_HW_R3000_R3000_INTERNAL_H
#define STILLSUIT_HW_R3000_R3000_INTERNAL_H

#include "hw/r3000/r3000.h"

/* The core's interrupt pin: other devices' vectors arrive as line vector % 8. */
core_interrupt_handler r3000_on_pin;

#endif
