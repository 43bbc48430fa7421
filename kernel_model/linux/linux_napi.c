/* linux_napi.c: ixgbe_poll: what was sent is released, what came in is taken up to
 * the weight, and once there is nothing left the vector is unmasked. */
#include "kernel_model/linux/linux_internal.h"

/* napi_complete: the queue, first of the list while it is polled, leaves it. */
static void complete(struct linux_cpu *cpu, struct linux_queue *queue) {
    SIM_ASSERT(cpu->poll_first == queue);
    cpu->poll_first = queue->next_polled;
    if (cpu->poll_first == NULL) {
        cpu->poll_last = NULL;
    }
    queue->scheduled = false;
}

static uint64_t clean_receive(struct linux_cpu *cpu, struct context *context, struct linux_queue *queue,
                              uint64_t weight) {
    uint64_t done = 0;
    while (done < weight) {
        linux_driver_refill(queue, context, LINUX_REFILL_BATCH);
        struct linux_skb *skb = linux_driver_receive(queue, context);
        if (skb == NULL) {
            break;
        }
        done += 1;
        cpu->counters.packets_received += 1;
        linux_socket_input(cpu, context, skb);
    }
    linux_driver_refill(queue, context, 1);
    return done;
}

uint64_t linux_napi_poll(struct linux_cpu *cpu, struct context *context, struct linux_queue *queue, uint64_t weight) {
    cpu->counters.polls += 1;
    cpu_work_for(context, linux_components.softirq_overhead, NULL);
    linux_charge(context, &cpu->system->profile.napi_poll, 1);
    const bool all_sent = linux_driver_transmit_clean(queue, context);
    const uint64_t done = clean_receive(cpu, context, queue, weight);
    if (done == weight || !all_sent) {
        return weight;
    }
    complete(cpu, queue);
    cpu_work_for(context, linux_components.softirq_overhead, NULL);
    linux_driver_moderate(queue, context);
    linux_driver_unmask(queue, context);
    return done;
}
