/* linux_interrupt.c: hard interrupts: the NIC's vectors, the tick, rescheduling. */
#include <stdio.h>

#include "kernel_model/linux/linux_storage.h"

static void on_interrupt(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    struct linux_cpu *cpu = os;
    cpu->arrival = (struct linux_arrival){vector, raised, awake};
    core_dispatch(core, CORE_INTERRUPT, cpu->interrupt);
}

static void charge_entry(struct linux_cpu *cpu) {
    cpu_charge(cpu->interrupt, core_configuration(cpu->core)->interrupt_cycles);
}

/* The packet at the head of the ring has waited for the core to wake up: that part
 * of its wait is the idle state's. */
static void book_idle_exit(const struct linux_arrival *arrival, struct request *request) {
    if (request == NULL || request->owner != linux_components.ready) {
        return;
    }
    const sim_time start = request->since > arrival->raised ? request->since : arrival->raised;
    if (start < arrival->awake) {
        ledger_hand_over_at(request, linux_components.ready, linux_components.idle_exit, LEDGER_SERVICE, start);
    }
}

/* ixgbe_msix_clean_rings: leaves the work to NAPI; the vector has masked itself. The
 * first packet of the ring is the one that this is for. */
static void handle_nic(struct linux_cpu *cpu, struct linux_queue *queue, bool slept) {
    struct request *request = linux_driver_first_request(queue);
    if (slept) {
        book_idle_exit(&cpu->arrival, request);
    }
    cpu->counters.interrupts += 1;
    cpu_work_for(cpu->interrupt, linux_components.interrupt, request);
    charge_entry(cpu);
    linux_charge(cpu->interrupt, &cpu->system->profile.irq_handler, 1);
    cpu_pass_on(cpu->interrupt, linux_components.interrupt, LEDGER_WAITING);
    linux_napi_schedule(cpu, queue);
}

static void handle(struct linux_cpu *cpu) {
    struct linux_profile *profile = &cpu->system->profile;
    const bool slept = linux_idle_leave(cpu, cpu->arrival.raised);
    switch (cpu->arrival.vector) {
    case LINUX_VECTOR_TIMER:
        cpu->counters.timer_ticks += 1;
        cpu_work_for(cpu->interrupt, linux_components.timer_tick, NULL);
        charge_entry(cpu);
        linux_charge(cpu->interrupt, &profile->timer_tick, 1);
        cpu_run(cpu->interrupt);
        linux_sched_tick(cpu);
        break;
    case LINUX_VECTOR_ONE_SHOT: /* what is due is done in the softirq */
        cpu->counters.one_shot_timers += 1;
        cpu_work_for(cpu->interrupt, linux_components.timer_tick, NULL);
        charge_entry(cpu);
        break;
    case LINUX_VECTOR_RESCHEDULE:
        cpu->counters.rescheduling_interrupts += 1;
        cpu_work_for(cpu->interrupt, linux_components.scheduler, NULL);
        charge_entry(cpu);
        linux_charge(cpu->interrupt, &profile->resched_handler, 1);
        break;
    default:
        if (cpu->arrival.vector - LINUX_VECTOR_NVME < LINUX_NVME_QUEUES_MAX) {
            cpu_work_for(cpu->interrupt, linux_write_back_components.code, NULL);
            charge_entry(cpu);
            linux_nvme_interrupt(cpu, cpu->arrival.vector - LINUX_VECTOR_NVME);
            break;
        }
        SIM_ASSERT_MSG(cpu->arrival.vector - LINUX_VECTOR_NIC < cpu->system->config.queues, "vector %u",
                       cpu->arrival.vector);
        handle_nic(cpu, &cpu->system->queues[cpu->arrival.vector - LINUX_VECTOR_NIC], slept);
    }
    cpu_run(cpu->interrupt);
}

/* irq_exit, and what follows on the way back: softirqs first, then pre-emption. */
static void leave(struct linux_cpu *cpu) {
    if (linux_softirq_due(cpu)) {
        cpu->softirq_entered = true;
        core_dispatch(cpu->core, CORE_SOFTIRQ, cpu->softirq);
    } else if (core_dispatched(cpu->core, CORE_SOFTIRQ) == NULL) {
        linux_sched_resume(cpu, cpu->interrupt);
    }
}

static void interrupt_main(void *argument) {
    struct linux_cpu *cpu = argument;
    for (;;) {
        handle(cpu);
        leave(cpu);
        cpu_block(cpu->interrupt);
    }
}

void linux_interrupt_open(struct linux_cpu *cpu) {
    char name[32];
    (void)snprintf(name, sizeof name, "interrupt/%u", cpu->index);
    cpu->interrupt = context_create(cpu->core, CORE_INTERRUPT, name, NULL, interrupt_main, cpu);
    core_set_interrupt_handler(cpu->core, on_interrupt, cpu);
}
