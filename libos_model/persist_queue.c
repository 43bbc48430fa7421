#include "libos_model/persist_queue.h"

uint64_t persist_queue_length(const struct persist_log *queue) {
    return persist_log_durable(queue) - persist_log_head(queue);
}

enum error_code persist_queue_pop_start(struct persist_log *queue, struct context *context, uint64_t physical,
                                        uint32_t capacity_bytes, uint32_t *length_bytes, struct request *request,
                                        ledger_component owner, struct persist_change *change) {
    const uint64_t head = persist_log_head(queue);
    if (persist_queue_length(queue) == 0) {
        return ERR_AGAIN;
    }
    const enum error_code code =
        persist_log_read(queue, context, head, physical, capacity_bytes, length_bytes, request, owner);
    return code != OK ? code : persist_log_trim(queue, context, head + 1, change);
}

enum error_code persist_queue_pop(struct persist_log *queue, struct context *context, uint64_t physical,
                                  uint32_t capacity_bytes, uint32_t *length_bytes, struct request *request,
                                  ledger_component owner) {
    struct persist_change change;
    const enum error_code code =
        persist_queue_pop_start(queue, context, physical, capacity_bytes, length_bytes, request, owner, &change);
    if (code != OK) {
        return code;
    }
    cpu_work_for(context, persist_components.append, request);
    cpu_pass_on(context, persist_components.commit, LEDGER_WAITING);
    persist_log_wait_change(queue, context, &change);
    cpu_work_for(context, owner != 0 ? owner : persist_components.read, request);
    return change.status;
}
