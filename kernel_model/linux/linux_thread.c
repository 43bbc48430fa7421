/* linux_thread.c: threads: one context each, pinned to a CPU. */
#include <stdlib.h>

#include "kernel_model/linux/linux_internal.h"

static void thread_main(void *argument) {
    struct linux_thread *thread = argument;
    thread->entry(thread);
    linux_sched_exit(thread);
}

struct linux_thread *linux_thread_create(struct linux_cpu *cpu, const char *name,
                                         void (*body)(struct linux_thread *thread)) {
    struct linux_system *system = cpu->system;
    struct linux_thread *thread = calloc(1, sizeof *thread);
    SIM_ASSERT_MSG(thread != NULL, "out of memory");
    thread->cpu = cpu;
    thread->entry = body;
    thread->id = ++system->thread_count;
    thread->state = LINUX_SLEEPING;
    thread->variation = 1;
    thread->context = context_create(cpu->core, CORE_THREAD, name, NULL, thread_main, thread);
    thread->next = system->threads;
    system->threads = thread;
    return thread;
}

void linux_threads_free(struct linux_system *system) {
    while (system->threads != NULL) {
        struct linux_thread *thread = system->threads;
        system->threads = thread->next;
        free(thread);
    }
}
