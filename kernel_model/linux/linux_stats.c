/* linux_stats.c: the kernel's counters, summed over its CPUs. */
#include <string.h>

#include "kernel_model/linux/linux_storage.h"

void linux_visit_stats(const struct system *system, const struct stats_sink *sink) {
    const struct linux_system *self = (const struct linux_system *)system;
    struct linux_counters sum = {0};
    for (unsigned i = 0; i < system->machine->core_count; ++i) {
#define ADD(counter) sum.counter += self->cpus[i].counters.counter;
        LINUX_COUNTERS(ADD)
        LINUX_STREAM_COUNTERS(ADD)
#undef ADD
    }
#define TELL(counter) stats_counter(sink, self->config.name, #counter, sum.counter);
    LINUX_COUNTERS(TELL)
    if (self->tcp != NULL) {
        LINUX_STREAM_COUNTERS(TELL)
        tcp_host_visit_stats(&self->tcp->host, self->config.name, sink);
    }
#undef TELL
    linux_storage_visit_stats(self, sink);
}

void linux_reset_stats(struct system *system) {
    struct linux_system *self = (struct linux_system *)system;
    for (unsigned i = 0; i < system->machine->core_count; ++i) {
        self->cpus[i].counters = (struct linux_counters){0};
    }
    linux_storage_reset_stats(self);
    if (self->tcp != NULL) {
        tcp_host_reset_stats(&self->tcp->host);
    }
    memset(self->stack.verdicts, 0, sizeof self->stack.verdicts);
}
