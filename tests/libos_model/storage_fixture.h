/* storage_fixture.h: a library OS with a NIC and an NVMe drive, and one thread of it. */
#ifndef STILLSUIT_TESTS_LIBOS_MODEL_STORAGE_FIXTURE_H
#define STILLSUIT_TESTS_LIBOS_MODEL_STORAGE_FIXTURE_H

#include "libos_model/libos_storage.h"
#include "tests/libos_model/libos_fixture.h"

static struct system *st_system;
static struct system_thread *st_thread;
static struct ledger *st_ledger;
static const struct system_ops *st_ops;
static struct device *st_drive;
static struct system_buffer st_buffer;
static void (*st_body)(void);

static inline void st_main(struct system_thread *thread, void *argument) {
    (void)argument;
    st_thread = thread;
    struct error error = {OK, ""};
    st_buffer.physical = libos_memory(libos_thread_of(thread)->process, 60000, &error);
    cr_assert_neq(st_buffer.physical, 0);
    st_body();
}

/* Runs `body` on core 0 of a system whose drive has so many virtual functions, with a
 * write cache of that kind; `more` are keys of `storage:`. */
static inline void st_run(const struct system_ops *ops, unsigned functions, const char *cache, const char *more,
                          void (*body)(void)) {
    static char devices[512];
    static char entry[512];
    struct error error = {OK, ""};
    st_ops = ops;
    st_body = body;
    (void)snprintf(devices, sizeof devices,
                   "  - {name: ssd, type: nvme, capacity: 64 MiB, virtual_functions: %u, doorbell_stride: 4096 B,\n"
                   "     default_namespace: false, write_cache: %s, media: {type: low_latency}}",
                   functions, cache);
    fixture_more = devices;
    fixture_machine_make("on", "header");
    st_drive = machine_device(fixture_machine, "ssd");
    (void)snprintf(entry, sizeof entry, "storage: {drive: ssd%s}", more);
    st_system = libos_make(ops, entry);
    st_ledger = ledger_create("storage");
    ledger_record(st_ledger, true);
    struct system_process *process = ops->process_create(st_system, "app", &error);
    cr_assert_not_null(process, "%s", error.text);
    cr_assert_not_null(ops->thread_create(process, 0, st_main, NULL, &error), "%s", error.text);
    sim_run(10 * SIM_S);
}

/* A request in the application's hands. */
static inline struct request *st_request(void) {
    struct context *context = st_ops->thread_context(st_thread);
    cpu_run(context);
    return ledger_begin(st_ledger, system_components.app, LEDGER_SERVICE, sim_now());
}
static inline void st_request_end(struct request *request) {
    cpu_run(st_ops->thread_context(st_thread));
    ledger_end(request, system_components.app, sim_now());
}
static inline double st_mean_ns(const char *component) {
    return histogram_mean(ledger_spent(st_ledger, ledger_find(component), LEDGER_KINDS)) / 1e6;
}

#endif
