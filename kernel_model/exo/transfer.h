/* transfer.h: protected control transfer: from one environment to an entry point that
 * another has agreed to, in constant time, the registers being the message.
 *
 * The kernel changes the addressing context and the program counter, and touches no
 * register that the application sees; everything else (stacks, which calls are
 * allowed, what a reply means) is the two library OSes' affair. Asynchronous: the
 * callee gets what is left of the slice. Synchronous: it also gets the caller's
 * slices to come, until it transfers control back. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_TRANSFER_H
#define STILLSUIT_KERNEL_MODEL_EXO_TRANSFER_H

#include "kernel_model/exo/aegis.h"

enum aegis_transfer_kind { AEGIS_SYNCHRONOUS, AEGIS_ASYNCHRONOUS };

/* [env] Transfers control to environment `to`, with the message in the processor's
 * registers; the caller's request goes along. Synchronous: returns when the caller is
 * entered in turn, with the reply in the registers. Asynchronous: returns when the
 * caller's turn comes. ERR_NOT_FOUND: no such environment, or it has no entry point
 * that is free; ERR_FAULT: the callee has ended. */
enum error_code aegis_transfer(struct aegis_environment *environment, uint32_t to, enum aegis_transfer_kind kind);
/* [env] Waits to be entered: a server between its calls. */
void aegis_wait(struct aegis_environment *environment);

/* ---- For the kernel's own files. ---- */
/* A callee has ended: who waits for it goes on. */
void aegis_transfer_forget(struct aegis_environment *callee);

#endif
