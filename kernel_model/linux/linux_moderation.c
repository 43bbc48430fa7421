/* linux_moderation.c: ixgbe's adaptive interrupt moderation (ixgbe_update_itr and
 * ixgbe_set_itr of 3.8): from what an interrupt brought, each direction is put in a
 * latency class, and the slower class sets the vector's interval. */
#include "kernel_model/linux/linux_internal.h"

enum { LOWEST_BYTES_A_US = 10, LOW_BYTES_A_US = 20 };
enum { LOWEST, LOW, BULK };

static unsigned next_class(unsigned present, uint64_t bytes_a_us) {
    switch (present) {
    case LOWEST:
        return bytes_a_us > LOWEST_BYTES_A_US ? LOW : LOWEST;
    case LOW:
        return bytes_a_us > LOW_BYTES_A_US ? BULK : bytes_a_us <= LOWEST_BYTES_A_US ? LOWEST : LOW;
    default:
        return bytes_a_us <= LOW_BYTES_A_US ? LOW : BULK;
    }
}

/* The interval is taken for the time that passed, as ixgbe does. */
static unsigned update(struct linux_moderation *moderation, uint64_t interval_us) {
    if (moderation->packets > 0 && interval_us > 0) {
        moderation->latency_class = next_class(moderation->latency_class, moderation->bytes / interval_us);
        moderation->packets = 0;
        moderation->bytes = 0;
    }
    return moderation->latency_class;
}

/* A tenth of the way to `wanted`, in the harmonic mean that ixgbe_set_itr takes. */
static sim_time smooth(sim_time wanted, sim_time present) {
    const uint64_t wanted_ns = wanted / SIM_NS;
    const uint64_t present_ns = present / SIM_NS;
    return 10 * wanted_ns * present_ns / (9 * wanted_ns + present_ns) * SIM_NS;
}

void linux_driver_moderate(struct linux_queue *queue, struct context *context) {
    const struct linux_config *config = &queue->system->config;
    const sim_time intervals[] = {config->throttle_lowest, config->throttle_low, config->throttle_bulk};
    if (config->interrupt_throttle != LINUX_THROTTLE_ADAPTIVE || queue->throttle == 0) {
        return;
    }
    const unsigned receive = update(&queue->receive_moderation, queue->throttle / SIM_US);
    const unsigned transmit = update(&queue->transmit_moderation, queue->throttle / SIM_US);
    const sim_time wanted = intervals[receive > transmit ? receive : transmit];
    if (wanted == queue->throttle || wanted == 0) {
        return;
    }
    queue->throttle = smooth(wanted, queue->throttle);
    queue->cpu->counters.throttle_changes += 1;
    const uint64_t units = queue->throttle / (NIC_EITR_UNIT_US * SIM_US);
    linux_driver_write(queue, context, NIC_EITR(queue->index), (uint32_t)units << NIC_EITR_INTERVAL_SHIFT);
}
