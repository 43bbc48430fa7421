/* linux_idle.c: the idle thread: what entering idle costs and displaces, which idle
 * state the governor takes, and the tick, which runs only while there is work. */
#include <stdio.h>

#include "kernel_model/linux/linux_internal.h"

/* ---- the tick ---- */

static sim_time tick_period(const struct linux_cpu *cpu) {
    return SIM_S / cpu->system->config.tick_hz;
}

static void on_tick(void *context) {
    struct linux_cpu *cpu = context;
    sim_schedule(&cpu->tick, tick_period(cpu));
    core_interrupt(cpu->core, LINUX_VECTOR_TIMER);
}

void linux_tick_start(struct linux_cpu *cpu) {
    if (!sim_event_pending(&cpu->tick)) {
        sim_schedule_at(&cpu->tick, (sim_now() / tick_period(cpu) + 1) * tick_period(cpu));
    }
}

void linux_tick_stop(struct linux_cpu *cpu) {
    (void)sim_cancel(&cpu->tick);
}

/* ---- the governor ---- */

/* Like menu's: the next idle period will be as long as the last few were on
 * average; with the tick off, no timer bounds it. */
static sim_time predict(const struct linux_cpu *cpu) {
    if (cpu->idle_count == 0) {
        return SIM_TIME_MAX;
    }
    const unsigned known = cpu->idle_count < LINUX_IDLE_HISTORY ? cpu->idle_count : LINUX_IDLE_HISTORY;
    sim_time sum = 0;
    for (unsigned i = 0; i < known; ++i) {
        sum += cpu->idle_history[i] / known;
    }
    return sum;
}

/* The deepest state that pays off and is left quickly enough; -1: polls. */
static int choose_state(const struct linux_cpu *cpu) {
    const struct core_config *config = core_configuration(cpu->core);
    const sim_time predicted = predict(cpu);
    int chosen = -1;
    for (int i = 0; i < CORE_IDLE_STATES && config->idle[i].name != NULL; ++i) {
        if (config->idle[i].target_residency <= predicted &&
            config->idle[i].exit_latency <= cpu->system->config.idle_latency_limit) {
            chosen = i;
        }
    }
    return chosen;
}

/* ---- the idle thread ---- */

static void swapper_main(void *argument) {
    struct linux_cpu *cpu = argument;
    for (;;) {
        cpu_work_for(cpu->swapper, linux_components.idle_loop, NULL);
        linux_charge(cpu->swapper, &cpu->system->profile.idle_loop, 1);
        cpu_run(cpu->swapper);
        if (!linux_sched_start(cpu)) {
            linux_tick_stop(cpu);
            cpu->counters.idle_entries += 1;
            cpu->asleep = true;
            cpu->asleep_since = sim_now();
            core_dispatch(cpu->core, CORE_THREAD, NULL);
            cpu->idle_state = choose_state(cpu);
            core_enter_idle(cpu->core, cpu->idle_state, linux_components.idle_exit);
        }
        cpu_block(cpu->swapper);
    }
}

bool linux_idle_leave(struct linux_cpu *cpu, sim_time raised) {
    if (!cpu->asleep) {
        return false;
    }
    cpu->asleep = false;
    cpu->idle_history[cpu->idle_count % LINUX_IDLE_HISTORY] =
        raised > cpu->asleep_since ? raised - cpu->asleep_since : 0;
    cpu->idle_count += 1;
    return cpu->idle_state >= 0;
}

void linux_idle_open(struct linux_cpu *cpu) {
    char name[32];
    (void)snprintf(name, sizeof name, "swapper/%u", cpu->index);
    cpu->swapper = context_create(cpu->core, CORE_THREAD, name, NULL, swapper_main, cpu);
    sim_event_init(&cpu->tick, SIM_PRIORITY_HARDWARE, on_tick, cpu);
}
