/* What a library OS refuses, and what its entry and profile may say. */
#include "libos_model/libos_profile.h"
#include "tests/libos_model/libos_fixture.h"

static struct error error;

static void idle_thread(struct system_thread *thread, void *argument) {
    (void)thread;
    (void)argument;
}

/* ---- placement ---- */

Test(libos_system, a_core_has_one_thread) {
    fixture_machine_make("on", "mac");
    struct system *system = libos_make(&arrakis_posix_ops, "");
    struct system_process *process = system->ops->process_create(system, "one", &error);
    cr_assert_not_null(system->ops->thread_create(process, 0, idle_thread, NULL, &error), "%s", error.text);
    cr_assert_null(system->ops->thread_create(process, 0, idle_thread, NULL, &error));
    cr_assert_eq(error.code, ERR_EXHAUSTED);
    cr_assert_null(system->ops->thread_create(process, 3, idle_thread, NULL, &error));
    cr_assert_eq(error.code, ERR_RANGE);
    system->ops->destroy(system);
}

Test(libos_system, virtual_functions_run_out) {
    fixture_machine_make("on", "mac");
    struct system *system = libos_make(&arrakis_native_ops, "");
    for (int i = 0; i < 4; i++) {
        cr_assert_not_null(system->ops->process_create(system, "one", &error), "%s", error.text);
    }
    cr_assert_null(system->ops->process_create(system, "five", &error));
    cr_assert_eq(error.code, ERR_EXHAUSTED);
    system->ops->destroy(system);
}

Test(libos_system, memory_comes_out_of_the_share) {
    fixture_machine_make("on", "mac");
    struct system *system = libos_make(&arrakis_native_ops, "frame_share: 100");
    struct system_process *process = system->ops->process_create(system, "one", &error);
    cr_assert_null(system->ops->thread_create(process, 0, idle_thread, NULL, &error));
    cr_assert_eq(error.code, ERR_SHARE, "%s", error.text);
    system->ops->destroy(system);
}

/* ---- sockets ---- */

static enum error_code opened[3];

static void open_twice(struct system_thread *thread, void *argument) {
    const struct system_ops *ops = argument;
    struct system_socket *socket = NULL;
    opened[0] = ops->socket_open_udp(thread, 7, &socket);
    opened[1] = ops->socket_open_udp(thread, 7, &socket);
    opened[2] = ops->socket_open_udp(thread, 8, &socket);
}

static void open_on(const struct system_ops *ops, const char *more) {
    fixture_machine_make("on", "mac");
    struct system *system = libos_make(ops, more);
    struct system_process *process = ops->process_create(system, "one", &error);
    cr_assert_not_null(ops->thread_create(process, 0, open_twice, (void *)(uintptr_t)ops, &error));
    sim_run(1 * SIM_MS);
    ops->destroy(system);
}

Test(libos_system, a_port_is_opened_once) {
    open_on(&arrakis_posix_ops, "");
    cr_assert_eq(opened[0], OK);
    cr_assert_eq(opened[1], ERR_OVERLAP);
    cr_assert_eq(opened[2], OK);
}
Test(libos_system, ports_come_out_of_the_share) {
    open_on(&arrakis_posix_ops, "port_share: 1");
    cr_assert_eq(opened[2], ERR_SHARE);
}
Test(libos_system, the_driver_has_one_socket) {
    open_on(&libos_driver_ops, "");
    cr_assert_eq(opened[0], OK);
    cr_assert_eq(opened[2], ERR_UNSUPPORTED);
}

static const struct system_ops *served_ops;
static uint32_t served[2];
static struct system_socket *sockets[2];

/* Serves two ports from one thread, waiting for the second: what comes for the first
 * meanwhile is kept. */
static void serve_two(struct system_thread *thread, void *argument) {
    (void)argument;
    struct system_buffer buffer;
    for (uint16_t i = 0; i < 2; i++) {
        cr_assert_eq(served_ops->socket_open_udp(thread, (uint16_t)(7 + i), &sockets[i]), OK);
    }
    cr_assert_eq(served_ops->buffer_create(thread, 1024, &buffer), OK);
    for (;;) {
        cr_assert_eq(served_ops->socket_wait(thread, sockets[1], SYSTEM_WAIT_BLOCK), OK);
        for (int i = 1; i >= 0; i--) {
            while (served_ops->receive(thread, sockets[i], &buffer) == OK) {
                cr_assert_eq(buffer.length_bytes, 100U + (uint32_t)i);
                cr_assert_eq(buffer.peer.port, 1000 + i);
                cr_assert_eq(*memory_at(fixture_machine->memory, buffer.physical), 0x40 + i);
                served[i]++;
            }
        }
    }
}

static void two_sockets_on(const struct system_ops *ops) {
    fixture_machine_make("on", "mac");
    served_ops = ops;
    struct system *system = libos_make(ops, "");
    struct system_process *process = ops->process_create(system, "one", &error);
    cr_assert_not_null(ops->thread_create(process, 2, serve_two, NULL, &error), "%s", error.text);
    sim_run(1 * SIM_MS);
    for (uint16_t round = 0; round < 10; round++) {
        for (uint16_t i = 0; i < 2; i++) {
            fixture_client_send(FIXTURE_MAC_A, (uint16_t)(1000 + i), (uint16_t)(7 + i), (uint16_t)(100 + i),
                                (uint8_t)(0x40 + i), NULL);
        }
    }
    sim_run(2 * SIM_MS);
    cr_assert_eq(served[0], 10U);
    cr_assert_eq(served[1], 10U);
    ops->destroy(system);
}

Test(libos_system, posix_demultiplexes) {
    two_sockets_on(&arrakis_posix_ops);
}
Test(libos_system, native_demultiplexes) {
    two_sockets_on(&arrakis_native_ops);
}

/* Opening a socket is a kernel call: its cycles are the thread's, nobody's request. */
static sim_time opening;
static void open_and_time(struct system_thread *thread, void *argument) {
    const struct system_ops *ops = argument;
    struct system_socket *socket = NULL;
    cpu_run(ops->thread_context(thread));
    const sim_time before = sim_now();
    cr_assert_eq(ops->socket_open_udp(thread, 7, &socket), OK);
    cpu_run(ops->thread_context(thread));
    opening = sim_now() - before;
}

Test(libos_system, a_kernel_call_costs_what_its_steps_cost) {
    fixture_machine_make("on", "mac");
    struct system *system = libos_make(&arrakis_native_ops, "");
    const struct exo_costs *costs = &((struct libos_system *)(void *)system)->profile.exokernel;
    struct system_process *process = system->ops->process_create(system, "one", &error);
    cr_assert_not_null(system->ops->thread_create(process, 0, open_and_time, (void *)(uintptr_t)system->ops, &error));
    sim_run(1 * SIM_MS);
    const uint64_t code = costs->crossing.cycles + costs->filter_install.cycles + costs->capability_check.cycles;
    const uint64_t cycles = sim_clock_cycles(&fixture_machine->clock, opening);
    cr_assert_geq(cycles, code, "%llu cycles", (unsigned long long)cycles);
    cr_assert_lt(cycles, code + 40 * 250, "beyond code: the misses of its lines");
    cr_assert_eq(costs->crossing.uses, 1U);
    cr_assert_eq(costs->filter_install.uses, 1U);
    system->ops->destroy(system);
}

/* ---- configuration ---- */

static size_t errors_of(const char *entry) {
    static char text[512];
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    (void)snprintf(text, sizeof text, "%s\n", entry);
    struct config *config = config_parse(SOURCE_DIR "/tests/libos_model/system.yaml", text, &diagnostics);
    cr_assert_null(arrakis_posix_ops.create(fixture_machine, config_root(config), &diagnostics));
    const size_t errors = diagnostics.errors;
    diagnostics_free(&diagnostics);
    return errors;
}

#define PROFILE "profile: {include: ../../configs/profiles/arrakis-2014.yaml}\n"

Test(libos_system, a_bad_entry_is_refused_with_its_place) {
    fixture_machine_make("on", "mac");
    cr_assert_eq(errors_of(PROFILE "rign: 512"), 1U, "an unknown key");
    cr_assert_eq(errors_of(PROFILE "ip: 10.0.0"), 1U);
    cr_assert_eq(errors_of(PROFILE "mac: 01:00:00:00:00:01"), 1U, "a group's address");
    cr_assert_eq(errors_of(PROFILE "ring: 100"), 1U, "no multiple of 8");
    cr_assert_eq(errors_of(PROFILE "ring: 1024\nbuffers: 1024"), 1U, "too few buffers");
    cr_assert_eq(errors_of(PROFILE "nic: eth0"), 1U, "no such device");
    cr_assert_eq(errors_of("ip: 10.0.0.1"), 1U, "no profile");
    cr_assert_gt(errors_of("profile: {}"), 10U, "every cost is due");
}

/* ---- costs ---- */

struct visited {
    uint32_t costs, without_origin;
    bool socket_receive, ip_input, bounce;
};
static void visit(void *context, const char *key, const struct cost *cost) {
    struct visited *visited = context;
    visited->costs++;
    visited->without_origin += (cost->source != NULL) + (cost->fit != NULL) + (cost->assumed != NULL) != 1;
    visited->socket_receive |= strcmp(key, "socket_receive") == 0;
    visited->ip_input |= strcmp(key, "stack.ip_input") == 0;
    visited->bounce |= strcmp(key, "bounce") == 0;
}

Test(libos_system, costs_are_those_that_the_system_charges) {
    static const struct system_ops *const all[] = {&arrakis_posix_ops, &arrakis_native_ops, &libos_driver_ops};
    fixture_machine_make("on", "mac");
    for (size_t i = 0; i < 3; i++) {
        struct visited visited = {0};
        struct system *system = libos_make(all[i], "");
        all[i]->visit_costs(system, visit, &visited);
        cr_assert_eq(visited.without_origin, 0U);
        cr_assert_gt(visited.costs, 5U);
        cr_assert_eq(visited.socket_receive, i == 0);
        cr_assert_eq(visited.ip_input, i < 2);
        cr_assert_eq(visited.bounce, i == 2);
        all[i]->destroy(system);
    }
}

static void count_unused(void *context, const char *key, const struct cost *cost) {
    uint32_t *unused = context;
    if (cost->uses == 0) {
        fprintf(stderr, "never charged: %s\n", key);
        ++*unused;
    }
}

static void charged_on(const struct system_ops *ops) {
    uint32_t unused = 0;
    fixture_machine_make("on", "mac");
    echo.how = SYSTEM_WAIT_SPIN;
    echo_prepare(ops, "", 20, 1);
    sim_run(2 * SIM_MS);
    cr_assert_eq(echo.replies, 20U);
    ops->visit_costs(echo.system, count_unused, &unused);
    cr_assert_eq(unused, 0U);
}

Test(libos_system, every_cost_of_posix_is_charged) {
    charged_on(&arrakis_posix_ops);
}
Test(libos_system, every_cost_of_native_is_charged) {
    charged_on(&arrakis_native_ops);
}
Test(libos_system, every_cost_of_the_driver_is_charged) {
    charged_on(&libos_driver_ops);
}

/* ---- two threads of a process ---- */

static uint32_t served_by[2];
static void serve_one(struct system_thread *thread, void *argument) {
    const int i = *(const int *)argument;
    struct system_buffer buffer;
    cr_assert_eq(served_ops->socket_open_udp(thread, (uint16_t)(7 + i), &sockets[i]), OK);
    cr_assert_eq(served_ops->buffer_create(thread, 1024, &buffer), OK);
    if (i == 1) {
        cr_assert_eq(served_ops->socket_wait(thread, sockets[0], SYSTEM_WAIT_SPIN), ERR_UNSUPPORTED,
                     "a socket is its thread's");
    }
    for (;;) {
        cr_assert_eq(served_ops->socket_wait(thread, sockets[i], i == 0 ? SYSTEM_WAIT_SPIN : SYSTEM_WAIT_BLOCK), OK);
        cr_assert_eq(served_ops->receive(thread, sockets[i], &buffer), OK);
        cr_assert_eq(served_ops->send(thread, sockets[i], &buffer, buffer.peer), OK);
        served_by[i]++;
    }
}

/* Header filters choose the queue within the function: no packet meets the other
 * thread. */
Test(libos_system, each_thread_has_a_queue_pair) {
    static const int number[2] = {0, 1};
    fixture_machine_make("on", "mac");
    served_ops = &arrakis_posix_ops;
    struct system *system = libos_make(served_ops, "");
    struct system_process *process = served_ops->process_create(system, "two", &error);
    for (int i = 0; i < 2; i++) {
        cr_assert_not_null(
            served_ops->thread_create(process, (unsigned)i, serve_one, (void *)(uintptr_t)&number[i], &error), "%s",
            error.text);
    }
    cr_assert_null(served_ops->thread_create(process, 2, serve_one, NULL, &error), "a function has two");
    sim_run(1 * SIM_MS);
    for (uint16_t round = 0; round < 20; round++) {
        fixture_client_send(FIXTURE_MAC_A, 1234, (uint16_t)(7 + round % 2), 64, 1, NULL);
    }
    sim_run(2 * SIM_MS);
    cr_assert_eq(served_by[0], 10U);
    cr_assert_eq(served_by[1], 10U);
    cr_assert_eq(fixture_client.count, 20U);
    served_ops->destroy(system);
}
