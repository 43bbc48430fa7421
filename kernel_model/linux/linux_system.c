/* linux_system.c: booting the kernel on a machine, its processes and threads, and
 * the table through which workloads see it. */
#include "kernel_model/linux/linux_system.h"

#include <stdlib.h>
#include <string.h>

#include "kernel_model/linux/linux_storage.h"

static struct linux_system *system_of(const struct system *system) {
    return (struct linux_system *)system;
}

/* ---- boot ---- */

static unsigned log2_floor(unsigned value) {
    unsigned result = 0;
    while (value >>= 1) {
        result += 1;
    }
    return result;
}

/* get_update_sysctl_factor: SCHED_TUNABLESCALING_LOG over at most 8 CPUs. */
static void scale_tunables(struct linux_system *system, unsigned cores) {
    const unsigned factor = 1 + log2_floor(cores < 8 ? cores : 8);
    system->slice_latency = factor * system->config.sched_latency;
    system->slice_minimum = factor * system->config.sched_min_granularity;
    system->wakeup_granularity = factor * system->config.sched_wakeup_granularity;
}

/* The first instant: every CPU runs what is ready, or its idle thread. */
static void on_boot(void *argument) {
    struct linux_system *system = argument;
    system->booted = true;
    for (unsigned i = 0; i < system->base.machine->core_count; ++i) {
        struct linux_cpu *cpu = &system->cpus[i];
        if (!linux_sched_start(cpu)) {
            core_dispatch(cpu->core, CORE_THREAD, cpu->swapper);
        }
    }
}

static void open_cpus(struct linux_system *system) {
    struct machine *machine = system->base.machine;
    system->cpus = calloc(machine->core_count, sizeof *system->cpus);
    SIM_ASSERT_MSG(system->cpus != NULL, "out of memory");
    for (unsigned i = 0; i < machine->core_count; ++i) {
        struct linux_cpu *cpu = &system->cpus[i];
        cpu->system = system;
        cpu->core = machine->cores[i];
        cpu->index = i;
        linux_interrupt_open(cpu);
        linux_softirq_open(cpu);
        linux_idle_open(cpu);
    }
    scale_tunables(system, machine->core_count);
    sim_event_init(&system->boot, SIM_PRIORITY_SOFTWARE, on_boot, system);
    sim_schedule(&system->boot, 0);
}

static bool boot(struct linux_system *system, struct error *error) {
    struct machine *machine = system->base.machine;
    system->frames = frames_create(machine->memory);
    const uint64_t stack_lines = linux_profile_place(&system->profile, system->frames);
    if (stack_lines == 0) {
        error_set(error, ERR_EXHAUSTED, "the machine's memory is too small for the kernel");
        return false;
    }
    udp_stack_init(&system->stack, machine->memory, &system->profile.stack, stack_lines);
    system->variation = random_stream_create("linux.variation");
    open_cpus(system);
    return linux_driver_open(system, error) == OK &&
           linux_storage_open(system, system->config.storage_node, error) == OK;
}

static void destroy(struct system *system) {
    struct linux_system *self = system_of(system);
    if (self->cpus != NULL) {
        (void)sim_cancel(&self->boot);
        for (unsigned i = 0; i < system->machine->core_count; ++i) {
            linux_tick_stop(&self->cpus[i]);
        }
    }
    linux_driver_close(self);
    linux_storage_close(self);
    linux_event_sets_free(self);
    linux_tcp_close(self);
    linux_sockets_free(self);
    linux_threads_free(self);
    linux_skb_pool_free(self);
    while (self->processes != NULL) {
        struct linux_process *process = self->processes;
        self->processes = process->next;
        free(process->name);
        free(process);
    }
    if (self->variation != NULL) {
        random_stream_free(self->variation);
    }
    if (self->frames != NULL) {
        frames_free(self->frames);
    }
    free(self->cpus);
    free(self);
}

static struct system *create(struct machine *machine, const struct config_node *node, struct diagnostics *diagnostics) {
    struct linux_system *system = calloc(1, sizeof *system);
    struct error error = {0};
    SIM_ASSERT_MSG(system != NULL, "out of memory");
    bool good = linux_config_bind(node, &system->config, diagnostics);
    if (system->config.profile_node != NULL) {
        good = linux_profile_bind(system->config.profile_node, &system->profile, diagnostics) && good;
    }
    if (!good || machine == NULL) {
        free(system);
        return NULL;
    }
    system->base.ops = &linux_system_ops;
    system->base.machine = machine;
    if (!boot(system, &error)) {
        diagnostics_at(diagnostics, node, "%s: %s", system->config.name, error.text);
        destroy(&system->base);
        return NULL;
    }
    return &system->base;
}

static struct system_address address(const struct system *system) {
    const struct linux_config *config = &((const struct linux_system *)system)->config;
    struct system_address result = {.ip = config->ip};
    memcpy(result.mac, config->mac, sizeof result.mac);
    return result;
}

/* ---- processes and threads ---- */

static struct system_process *process_create(struct system *system, const char *name, struct error *error) {
    (void)error;
    struct linux_system *self = system_of(system);
    struct linux_process *process = calloc(1, sizeof *process);
    SIM_ASSERT_MSG(process != NULL, "out of memory");
    process->base.system = system;
    process->base.address = system->ops->address(system);
    process->name = strdup(name);
    SIM_ASSERT_MSG(process->name != NULL, "out of memory");
    process->next = self->processes;
    self->processes = process;
    return &process->base;
}

static void user_thread_main(struct linux_thread *thread) {
    thread->user = true;
    thread->body(&thread->base, thread->argument);
    thread->user = false;
    linux_free_read_skbs(thread);
}

static struct system_thread *thread_create(struct system_process *process, unsigned core,
                                           void (*body)(struct system_thread *thread, void *argument), void *argument,
                                           struct error *error) {
    struct linux_system *system = system_of(process->system);
    if (core >= process->system->machine->core_count) {
        error_set(error, ERR_RANGE, "core %u does not exist: the machine has %u", core,
                  process->system->machine->core_count);
        return NULL;
    }
    struct linux_thread *thread =
        linux_thread_create(&system->cpus[core], ((struct linux_process *)process)->name, user_thread_main);
    thread->base.process = process;
    thread->body = body;
    thread->argument = argument;
    linux_sched_wake(thread, NULL);
    return &thread->base;
}

/* ---- [thread] ---- */

static enum error_code buffer_create(struct system_thread *thread, uint32_t capacity_bytes,
                                     struct system_buffer *buffer) {
    struct linux_system *system = system_of(thread->process->system);
    const uint64_t frames = ((uint64_t)capacity_bytes + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES;
    *buffer = (struct system_buffer){.capacity_bytes = capacity_bytes};
    buffer->physical = frames_allocate_contiguous(system->frames, frames > 0 ? frames : 1);
    return buffer->physical != 0 ? OK : ERR_EXHAUSTED;
}

static void compute(struct system_thread *caller, struct request *request, sim_time duration) {
    struct linux_thread *thread = (struct linux_thread *)caller;
    if (duration == 0) {
        return;
    }
    cpu_work_for(thread->context, system_components.app, request);
    cpu_charge_time(thread->context, duration);
    cpu_run(thread->context);
}

static struct context *thread_context(struct system_thread *thread) {
    return ((struct linux_thread *)thread)->context;
}

static void visit_costs(const struct system *system,
                        void (*visit)(void *context, const char *key, const struct cost *cost), void *context) {
    const struct linux_system *self = (const struct linux_system *)system;
    linux_profile_visit(&self->profile, self->tcp != NULL, visit, context);
    linux_storage_visit_costs(self, visit, context);
}

const struct system_ops linux_system_ops = {
    .type_name = "linux",
    .help = "Linux 3.8 with ixgbe: interrupts, NAPI, softirqs, sockets, CFS, idle states",
    .profile_params = linux_profile_params,
    .params = linux_config_params,
    .declare_components = linux_declare_components,
    .create = create,
    .destroy = destroy,
    .address = address,
    .process_create = process_create,
    .thread_create = thread_create,
    .socket_open_udp = linux_socket_bind,
    .buffer_create = buffer_create,
    .socket_wait = linux_socket_wait,
    .receive = linux_receive,
    .send = linux_send,
    .compute = compute,
    .storage_check = linux_storage_check,
    .file_open = linux_file_open,
    .file_write = linux_file_write,
    .file_read = linux_file_read,
    .file_sync = linux_file_sync,
    .trace_blocks = linux_storage_trace,
    .socket_listen_tcp = linux_stream_listen,
    .socket_accept = linux_stream_accept,
    .socket_close = linux_stream_close,
    .event_set_create = linux_event_set_create,
    .event_set_add = linux_event_set_add,
    .event_wait = linux_event_wait,
    .thread_context = thread_context,
    .visit_stats = linux_visit_stats,
    .reset_stats = linux_reset_stats,
    .visit_costs = visit_costs,
};
