/* tcp_bench.h: a script on a system, clients over TCP, and between them a wire that
 * loses what it is told to. One a test: each test is a process of its own. */
#ifndef STILLSUIT_TESTS_EXPERIMENT_TCP_BENCH_H
#define STILLSUIT_TESTS_EXPERIMENT_TCP_BENCH_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "experiment/system_types.h"
#include "hw/machine.h"
#include "hw/wire.h"
#include "sim/engine.h"
#include "sim/random.h"
#include "stack/tcp_headers.h"
#include "workloads/client.h"
#include "workloads/interpreter.h"

struct tcp_bench {
    struct diagnostics diagnostics;
    struct machine *machine;
    struct system *system;
    struct script *script;
    struct ledger *ledger;
    struct client *client;
    struct interpreter *interpreter;
    struct port near_client, near_server;
    struct link *links[2];
    uint64_t frames, data_frames, lost; /* that crossed; with payload; lost */
    bool connected;
    sim_time connected_at;
    /* Whether frame `number` (from 0, of those with payload if `data`) is lost. */
    bool (*loses)(const struct tcp_bench *bench, bool to_server, bool data, uint64_t number);
};
static struct tcp_bench bench;

static inline void cross(struct frame *frame, bool to_server) {
    struct net_tcp tcp;
    uint32_t offset = 0;
    const bool data =
        net_tcp_parse(frame->bytes, frame->length_bytes, false, &tcp, &offset) == NET_OK && tcp.payload_bytes > 0;
    const uint64_t number = data ? bench.data_frames++ : bench.frames;
    bench.frames++;
    if (bench.loses != NULL && bench.loses(&bench, to_server, data, number)) {
        bench.lost++;
        ledger_abandon(frame->request, "lost", sim_now());
        frame_release(frame);
        return;
    }
    (void)link_send(to_server ? &bench.near_server : &bench.near_client, frame, ledger_find("wire"), sim_now());
}
static inline void from_client(struct port *port, struct frame *frame) {
    (void)port;
    cross(frame, true);
}
static inline void from_server(struct port *port, struct frame *frame) {
    (void)port;
    cross(frame, false);
}

static inline void on_connected(void *context) {
    (void)context;
    bench.connected = true;
    bench.connected_at = sim_now();
    ledger_record(bench.ledger, true);
    client_start(bench.client, sim_now());
}
static inline void on_ready(void *context) {
    (void)context;
    client_connect(bench.client, on_connected, NULL);
}
static inline void on_failure(void *context) {
    (void)context;
    sim_stop();
}

static inline const struct config_node *parse(const char *text) {
    struct config *config = config_parse(SOURCE_DIR "/configs/tcp_bench.yaml", text, &bench.diagnostics);
    cr_assert_not_null(config);
    return config_root(config);
}

/* A thread's body, instead of the script's; the clients connect at `body_starts`. */
static void (*tcp_bench_body)(struct system_thread *thread, void *argument);
static unsigned tcp_bench_threads = 1;
static struct sim_event body_starts;

static inline void make_bodies(void) {
    const struct system_ops *ops = bench.system->ops;
    struct error error = {OK, ""};
    struct system_process *process = ops->process_create(bench.system, "server", &error);
    for (unsigned i = 0; i < tcp_bench_threads; i++) {
        cr_assert_not_null(ops->thread_create(process, i, tcp_bench_body, NULL, &error), "%s", error.text);
    }
    sim_event_init(&body_starts, SIM_PRIORITY_OBSERVER, on_ready, NULL);
    sim_schedule(&body_starts, 200 * SIM_US);
}

/* `system`: keys of its entry, as "type: linux, ..."; `client`: of the script's client. */
static inline void tcp_bench_build(const char *system, const char *parameters, const char *client) {
    char text[2000];
    struct error error = {OK, ""};
    random_seed(1);
    diagnostics_init(&bench.diagnostics);
    system_types_declare_components();
    wire_declare_components();
    client_declare_components();
    (void)snprintf(text, sizeof text,
                   "machine: {memory: {size: 256 MiB}, core: {count: 2, clock: 2.2 GHz},"
                   " devices: [{name: nic, type: nic/sriov}]}\n"
                   "system: {%s}\nparameters: {%s}\nclient: {%s}\n",
                   system, parameters, client);
    const struct config_node *root = parse(text);
    const bool made = machine_create(config_get(root, "machine"), &bench.machine, &bench.diagnostics);
    const struct config_node *node = config_get(root, "system");
    const struct system_ops *ops = system_type_find(config_text(config_get(node, "type"), ""));
    cr_assert(made && ops != NULL);
    bench.system = ops->create(bench.machine, node, &bench.diagnostics);
    bench.script = script_load(SOURCE_DIR "/workloads/tcp_echo.yaml", config_get(root, "parameters"),
                               config_get(root, "client"), &bench.diagnostics);
    diagnostics_print(&bench.diagnostics, stderr);
    cr_assert(bench.system != NULL && bench.script != NULL);
    bench.ledger = ledger_create("requests");
    const struct client_setup setup = {.name = "client",
                                       .config = script_client(bench.script),
                                       .ledger = bench.ledger,
                                       .server = ops->address(bench.system),
                                       .server_port = script_server_port(bench.script),
                                       .server_ports = script_server_ports(bench.script)};
    bench.client = client_create(&setup, &error);
    cr_assert_not_null(bench.client, "%s", error.text);
    const struct link_config link = {.rate_bits_per_s = UINT64_C(10000000000), .propagation = 50 * SIM_NS};
    struct device *nic = machine_device(bench.machine, "nic");
    bench.links[0] = link_create("client", &link);
    bench.links[1] = link_create("server", &link);
    bench.near_client = (struct port){.receive = from_client};
    bench.near_server = (struct port){.receive = from_server};
    link_connect(bench.links[0], &bench.near_client, client_port(bench.client, 0));
    link_connect(bench.links[1], &bench.near_server, nic->ops->network_port(nic, 0));
    if (tcp_bench_body != NULL) {
        make_bodies();
        return;
    }
    bench.interpreter = interpreter_create(bench.script, bench.system, "server", 0, &error);
    cr_assert_not_null(bench.interpreter, "%s", error.text);
    interpreter_on_ready(bench.interpreter, on_ready, NULL);
    interpreter_on_failure(bench.interpreter, on_failure, NULL);
}

static inline void tcp_bench_run(sim_time duration) {
    struct error error = {OK, ""};
    sim_run(sim_now() + duration);
    cr_assert_not(bench.interpreter != NULL && interpreter_failed(bench.interpreter, &error), "%s", error.text);
    (void)ledger_audit(bench.ledger, sim_now());
}

struct tcp_bench_lookup {
    const char *instance, *counter;
    uint64_t value;
};
static inline void tcp_bench_look(void *context, const char *instance, const char *counter, uint64_t value) {
    struct tcp_bench_lookup *lookup = context;
    if (strcmp(instance, lookup->instance) == 0 && strcmp(counter, lookup->counter) == 0) {
        lookup->value = value;
    }
}
static inline uint64_t tcp_bench_counter(const char *instance, const char *counter) {
    struct tcp_bench_lookup lookup = {instance, counter, UINT64_MAX};
    const struct stats_sink sink = {.context = &lookup, .counter = tcp_bench_look};
    bench.system->ops->visit_stats(bench.system, &sink);
    client_visit_stats(bench.client, &sink);
    if (bench.interpreter != NULL) {
        interpreter_visit_stats(bench.interpreter, &sink);
    }
    cr_assert_neq(lookup.value, UINT64_MAX, "no counter %s of %s", counter, instance);
    return lookup.value;
}

#endif
