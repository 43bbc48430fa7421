/* libos_fixture.h: a library OS on the small machine, serving UDP echo, and a client
 * that keeps a number of requests outstanding. */
#ifndef STILLSUIT_TESTS_LIBOS_MODEL_LIBOS_FIXTURE_H
#define STILLSUIT_TESTS_LIBOS_MODEL_LIBOS_FIXTURE_H

#include "libos_model/libos_net.h"
#include "libos_model/libos_systems.h"
#include "tests/kernel_model/exo_fixture.h"

struct echo_run {
    const struct system_ops *ops;
    struct system *system;
    struct system_process *process;
    struct system_thread *thread;
    struct ledger *ledger;
    enum system_wait how;
    sim_time compute;
    uint16_t payload_bytes, port;
    uint32_t sent, to_send, replies, served;
    enum error_code failed;
};
static struct echo_run echo;

/* The server: what a script would have it do. */
static inline void echo_server(struct system_thread *thread, void *argument) {
    struct echo_run *run = argument;
    struct system_socket *socket = NULL;
    struct system_buffer buffer;
    run->failed = run->ops->socket_open_udp(thread, run->port, &socket);
    if (run->failed == OK) {
        run->failed = run->ops->buffer_create(thread, 1400, &buffer);
    }
    while (run->failed == OK) {
        run->failed = run->ops->socket_wait(thread, socket, run->how);
        const enum error_code code = run->ops->receive(thread, socket, &buffer);
        if (code != OK) {
            run->failed = code;
            return;
        }
        run->ops->compute(thread, buffer.request, run->compute);
        run->served++;
        run->failed = run->ops->send(thread, socket, &buffer, buffer.peer);
    }
}

static inline void echo_send(void) {
    struct request *request = ledger_begin(echo.ledger, fixture_client_component, LEDGER_SERVICE, sim_now());
    fixture_client_send(FIXTURE_MAC_A, 1234, echo.port, echo.payload_bytes, (uint8_t)echo.sent, request);
    echo.sent++;
}

static inline void echo_reply(struct fixture_client *client) {
    if (client->request != NULL) {
        ledger_end(client->request, ledger_find("wire"), sim_now());
    }
    echo.replies++;
    if (echo.sent < echo.to_send) {
        echo_send();
    }
}

static struct sim_event echo_first;
static uint32_t echo_outstanding;
static inline void echo_begin(void *context) {
    (void)context;
    for (uint32_t i = 0; i < echo_outstanding; i++) {
        echo_send();
    }
}

/* Keys that override the profile's: ", variation: 0". */
static const char *libos_profile_more = "";

/* A system of a type with more of its entry, such as "refill_batch: 4". */
static inline struct system *libos_make(const struct system_ops *ops, const char *more) {
    static char text[1024];
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    (void)snprintf(text, sizeof text, "type: %s\nprofile: {include: ../../configs/profiles/arrakis-2014.yaml%s}\n%s\n",
                   ops->type_name, libos_profile_more, more);
    ops->declare_components();
    struct config *config = config_parse(SOURCE_DIR "/tests/libos_model/system.yaml", text, &diagnostics);
    struct system *system = ops->create(fixture_machine, config_root(config), &diagnostics);
    if (system == NULL) {
        diagnostics_print(&diagnostics, stderr);
    }
    cr_assert_not_null(system);
    return system;
}

/* Prepares a run: nothing has happened yet when it returns. */
static inline void echo_prepare(const struct system_ops *ops, const char *more, uint32_t requests,
                                uint32_t outstanding) {
    struct error error = {OK, ""};
    echo.ops = ops;
    echo.port = 7;
    echo.payload_bytes = echo.payload_bytes != 0 ? echo.payload_bytes : 64;
    echo.to_send = requests;
    echo.system = libos_make(ops, more);
    echo.process = ops->process_create(echo.system, "echo", &error);
    cr_assert_not_null(echo.process, "%s", error.text);
    echo.thread = ops->thread_create(echo.process, 0, echo_server, &echo, &error);
    cr_assert_not_null(echo.thread, "%s", error.text);
    echo.ledger = ledger_create("echo");
    fixture_client.arrived = echo_reply;
    echo_outstanding = outstanding;
    sim_event_init(&echo_first, SIM_PRIORITY_OBSERVER, echo_begin, NULL);
    sim_schedule(&echo_first, 50 * SIM_US);
}

static inline uint64_t libos_counter(const char *instance, const char *counter) {
    struct fixture_counter wanted = {instance, counter, 0, false};
    const struct stats_sink sink = {&wanted, fixture_count, NULL};
    echo.ops->visit_stats(echo.system, &sink);
    cr_assert(wanted.found, "no counter %s of %s", counter, instance);
    return wanted.value;
}

/* Mean time of the measured requests in a component and all below it, in ns. */
static inline double echo_mean_ns(const char *component) {
    return histogram_mean(ledger_spent(echo.ledger, ledger_find(component), LEDGER_KINDS)) / 1e6;
}

#endif
