/* persist_queue.h: a persistent queue: the log, and pop, which is reading the oldest
 * entry and giving it up. A pop that was acknowledged is durable: the entry does not
 * come back. One that was under way when the power went may. */
#ifndef STILLSUIT_LIBOS_MODEL_PERSIST_QUEUE_H
#define STILLSUIT_LIBOS_MODEL_PERSIST_QUEUE_H

#include "libos_model/persist_log.h"

/* Takes the oldest durable entry into memory, as much as fits, for `request`, which
 * `owner` has before and after; returns once the entry is gone for good. ERR_AGAIN:
 * the queue is empty (what is not yet durable cannot be taken). */
enum error_code persist_queue_pop(struct persist_log *queue, struct context *context, uint64_t physical,
                                  uint32_t capacity_bytes, uint32_t *length_bytes, struct request *request,
                                  ledger_component owner);
/* The same without waiting: `change` tells when the entry is gone for good. */
enum error_code persist_queue_pop_start(struct persist_log *queue, struct context *context, uint64_t physical,
                                        uint32_t capacity_bytes, uint32_t *length_bytes, struct request *request,
                                        ledger_component owner, struct persist_change *change);
/* Entries that could be popped now. */
uint64_t persist_queue_length(const struct persist_log *queue);

#endif
