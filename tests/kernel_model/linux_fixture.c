/* linux_fixture.c: see linux_fixture.h. */
#include "linux_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#include "sim/random.h"

static const char text[] = "machine:\n"
                           "  memory: {size: 64 MiB}\n"
                           "  core: {count: 2, clock: 2.2 GHz}\n"
                           "  devices: [{name: nic, type: nic/sriov}]\n"
                           "system:\n"
                           "  type: linux\n"
                           "  profile: {include: profiles/linux-3.8.yaml}\n";

/* The same with a drive (of low-latency cells) and a storage stack on it. */
static const char storage_text[] = "machine:\n"
                                   "  memory: {size: 256 MiB}\n"
                                   "  core: {count: 2, clock: 2.2 GHz}\n"
                                   "  devices:\n"
                                   "    - {name: nic, type: nic/sriov}\n"
                                   "    - {name: nvme, type: nvme, capacity: 64 MiB, media: {type: low_latency}}\n"
                                   "system:\n"
                                   "  type: linux\n"
                                   "  profile: {include: profiles/linux-3.8.yaml}\n"
                                   "  storage:\n"
                                   "    device: ram_disk\n"
                                   "    ram_disk: 16 MiB\n"
                                   "    journal: 1 MiB\n"
                                   "    cache: 16 MiB\n"
                                   "    profile: {include: profiles/linux-3.8-storage.yaml}\n";

static const uint8_t client_mac[6] = {2, 0, 0, 0, 0, 9};
enum { CLIENT_IP = 0x0a000002 };

uint8_t linux_fixture_byte(uint64_t number, uint32_t offset) {
    return (uint8_t)(number * 31 + offset * 7 + (offset >> 8));
}

static void on_reply(struct port *port, struct frame *frame) {
    struct linux_fixture *fixture = port->owner;
    uint32_t offset = 0;
    if (net_udp_parse(frame->bytes, frame->length_bytes, true, &fixture->reply, &offset) == NET_OK) {
        fixture->replies += 1;
        memcpy(fixture->reply_payload, frame->bytes + offset, fixture->reply.payload_bytes);
    } else {
        fixture->bad_replies += 1;
    }
    if (frame->request != NULL) {
        ledger_hand_over(frame->request, ledger_find("wire"), fixture->component, LEDGER_SERVICE);
        ledger_end(frame->request, fixture->component, sim_now());
    }
    frame_release(frame);
}

static void on_flood(void *context) {
    struct linux_fixture *fixture = context;
    linux_fixture_send(fixture);
    fixture->flood_left -= 1;
    if (fixture->flood_left > 0) {
        sim_schedule(&fixture->flood, fixture->flood_interval);
    }
}

static void connect_client(struct linux_fixture *fixture) {
    const struct link_config config = {.rate_bits_per_s = UINT64_C(10000000000), .propagation = 50 * SIM_NS};
    struct device *nic = machine_device(fixture->machine, "nic");
    fixture->link = link_create("link", &config);
    fixture->client = (struct port){.receive = on_reply, .owner = fixture};
    link_connect(fixture->link, &fixture->client, nic->ops->network_port(nic, 0));
    fixture->ledger = ledger_create("echo");
    ledger_record(fixture->ledger, true);
    sim_event_init(&fixture->flood, SIM_PRIORITY_HARDWARE, on_flood, fixture);
    fixture->port = LINUX_FIXTURE_PORT;
    fixture->client_port = LINUX_FIXTURE_CLIENT_PORT;
    fixture->payload_bytes = 1024;
}

static bool open_text(struct linux_fixture *fixture, const char *source, const char *const settings[]) {
    static const struct ledger_declaration client = {"client", NULL, "Client", "wire"};
    struct error error = {0};
    memset(fixture, 0, sizeof *fixture);
    random_seed(1);
    machine_declare_components();
    linux_system_ops.declare_components();
    fixture->component = ledger_declare(&client);
    diagnostics_init(&fixture->diagnostics);
    fixture->config = config_parse(SOURCE_DIR "/configs/fixture.yaml", source, &fixture->diagnostics);
    cr_assert_not_null(fixture->config);
    for (; settings != NULL && *settings != NULL; ++settings) {
        cr_assert(config_set(fixture->config, *settings, &fixture->diagnostics), "%s", *settings);
    }
    const struct config_node *root = config_root(fixture->config);
    if (!machine_create(config_get(root, "machine"), &fixture->machine, &fixture->diagnostics)) {
        diagnostics_print(&fixture->diagnostics, stderr);
        cr_assert_fail("the machine");
    }
    fixture->system = linux_system_ops.create(fixture->machine, config_get(root, "system"), &fixture->diagnostics);
    if (fixture->system == NULL) {
        return false;
    }
    fixture->process = linux_system_ops.process_create(fixture->system, "server", &error);
    cr_assert_not_null(fixture->process, "%s", error.text);
    connect_client(fixture);
    return true;
}

bool linux_fixture_open(struct linux_fixture *fixture, const char *const settings[]) {
    return open_text(fixture, text, settings);
}

bool linux_fixture_open_storage(struct linux_fixture *fixture, const char *const settings[]) {
    return open_text(fixture, storage_text, settings);
}

void linux_fixture_close(struct linux_fixture *fixture) {
    (void)sim_cancel(&fixture->flood);
    linux_system_ops.destroy(fixture->system);
    machine_free(fixture->machine);
    link_free(fixture->link);
    ledger_free(fixture->ledger);
    config_free(fixture->config);
    diagnostics_free(&fixture->diagnostics);
}

void linux_fixture_send(struct linux_fixture *fixture) {
    const struct system_address server = linux_system_ops.address(fixture->system);
    struct frame *frame = frame_allocate();
    struct net_udp udp = {.source_ip = CLIENT_IP,
                          .destination_ip = server.ip,
                          .source_port = fixture->client_port,
                          .destination_port = fixture->port,
                          .payload_bytes = (uint16_t)fixture->payload_bytes};
    memcpy(udp.source_mac, client_mac, 6);
    memcpy(udp.destination_mac, server.mac, 6);
    fixture->sent += 1;
    frame->length_bytes = NET_UDP_HEADERS_BYTES + fixture->payload_bytes;
    for (uint32_t i = 0; i < fixture->payload_bytes; ++i) {
        frame->bytes[NET_UDP_HEADERS_BYTES + i] = linux_fixture_byte(fixture->sent, i);
    }
    net_udp_write(frame->bytes, &udp, (uint16_t)fixture->sent, true);
    frame->request = ledger_begin(fixture->ledger, fixture->component, LEDGER_SERVICE, sim_now());
    (void)link_send(&fixture->client, frame, fixture->component, sim_now());
}

void linux_fixture_flood(struct linux_fixture *fixture, sim_time interval, uint64_t count) {
    fixture->flood_interval = interval;
    fixture->flood_left = count;
    sim_schedule(&fixture->flood, interval);
}

void linux_fixture_run(sim_time duration) {
    sim_run(sim_now() + duration);
}

struct lookup {
    const char *counter;
    uint64_t value;
};

static void look(void *context, const char *instance, const char *counter, uint64_t value) {
    struct lookup *lookup = context;
    if (strcmp(counter, lookup->counter) == 0 && strcmp(instance, "linux") == 0) {
        lookup->value = value;
    }
}

uint64_t linux_fixture_counter(const struct linux_fixture *fixture, const char *counter) {
    struct lookup lookup = {.counter = counter, .value = UINT64_MAX};
    const struct stats_sink sink = {.context = &lookup, .counter = look};
    linux_system_ops.visit_stats(fixture->system, &sink);
    cr_assert_neq(lookup.value, UINT64_MAX, "no counter %s", counter);
    return lookup.value;
}

double linux_fixture_spent(struct linux_fixture *fixture, const char *component, enum ledger_kind kind) {
    return histogram_mean(ledger_spent(fixture->ledger, ledger_find(component), kind));
}

void linux_fixture_echo_main(struct system_thread *thread, void *argument) {
    struct linux_fixture_echo *echo = argument;
    struct system_socket *socket = NULL;
    struct system_buffer buffer;
    cr_assert_eq(linux_system_ops.socket_open_udp(thread, echo->port, &socket), OK);
    cr_assert_eq(linux_system_ops.buffer_create(thread, 2048, &buffer), OK);
    for (;;) {
        cr_assert_eq(linux_system_ops.socket_wait(thread, socket, echo->wait), OK);
        if (linux_system_ops.receive(thread, socket, &buffer) != OK) {
            continue;
        }
        linux_system_ops.compute(thread, buffer.request, echo->processing);
        cr_assert_eq(linux_system_ops.send(thread, socket, &buffer, buffer.peer), OK);
        echo->served += 1;
    }
}

struct system_thread *linux_fixture_thread(struct linux_fixture *fixture, unsigned core,
                                           void (*body)(struct system_thread *thread, void *argument), void *argument) {
    struct error error = {0};
    struct system_thread *thread = linux_system_ops.thread_create(fixture->process, core, body, argument, &error);
    cr_assert_not_null(thread, "%s", error.text);
    return thread;
}
