/* exos_wire_fixture.h: Aegis' machine with a LANCE, on a wire whose far end is the test's. */
#ifndef STILLSUIT_TESTS_LIBOS_MODEL_EXOS_WIRE_FIXTURE_H
#define STILLSUIT_TESTS_LIBOS_MODEL_EXOS_WIRE_FIXTURE_H

#define FIXTURE_DEVICES "devices:\n  - {name: ln, type: nic/lance}\n"

#include "hw/device.h"
#include "hw/wire.h"
#include "kernel_model/exo/aegis_network.h"
#include "tests/libos_model/exos_fixture.h"

/* A datagram's: port 7, 10.0.0.1 here; 74 bytes. */
enum { PORT = 7, HERE = 0x0a000001, FRAME = 74 };
static const uint8_t here[6] = {8, 0, 0x2b, 0, 0, 1}, there[6] = {8, 0, 0x2b, 0, 0, 2};

static struct aegis_network_costs network_costs;
static struct port far;
static struct link *cable;
static ledger_component client;

/* A far end that looks at nothing. */
static inline void wire_fixture_ignore(struct port *port, struct frame *frame) {
    (void)port;
    frame_release(frame);
}

/* What arrives at the far end goes to `receive`. */
static inline void wire_fixture_make(void (*receive)(struct port *port, struct frame *frame)) {
    static const struct ledger_declaration table[] = {{"client", NULL, "Client", "wire"}, {0}};
    const struct link_config link = {10000000, 0};
    struct error error = {OK, ""};
    wire_declare_components();
    fixture_make();
    ledger_declare_all(table, &client);
    exos_fixture_costs("lance-r3000.yaml", lance_driver_cost_params, &network_costs.lance);
    exos_fixture_costs("download-r3000.yaml", download_cost_params, &network_costs.download);
    cr_assert_eq(aegis_network_create(aegis, &network_costs, here, &error), OK, "%s", error.text);
    struct device *device = machine_device(machine, "ln");
    cable = link_create("cable", &link);
    far.receive = receive;
    link_connect(cable, &far, device->ops->network_port(device, 0));
}

static inline void wire_fixture_free(void) {
    aegis_free(aegis);
    machine_free(machine);
    link_free(cable);
}

#endif
