/* pcie_msi.c: MSI-X: an interrupt is a posted write that the root turns into a
 * core's interrupt, behind all writes that the device posted before. */
#include "hw/machine.h"
#include "hw/pcie_internal.h"

enum { MSI_PAYLOAD_BYTES = 4 };

static struct pcie_attached *attached_of(const struct pcie_function *function) {
    return function->link->functions[function->number];
}

void pcie_msix_route(struct pcie_function *function, uint32_t entry, uint32_t core, uint32_t vector) {
    SIM_ASSERT_MSG(entry < PCIE_MSIX_MAX, "MSI-X entry %u", (unsigned)entry);
    SIM_ASSERT_MSG(core < function->link->root->machine->core_count, "MSI-X to core %u of %u", (unsigned)core,
                   function->link->root->machine->core_count);
    function->msix[entry].core = core;
    function->msix[entry].vector = vector;
    pcie_msix_mask(function, entry, false);
}

void pcie_msix_mask(struct pcie_function *function, uint32_t entry, bool masked) {
    SIM_ASSERT_MSG(entry < PCIE_MSIX_MAX, "MSI-X entry %u", (unsigned)entry);
    uint64_t *pending = &attached_of(function)->msix_pending[entry / 64];
    const uint64_t bit = UINT64_C(1) << (entry % 64);
    function->msix[entry].enabled = !masked;
    if (!masked && (*pending & bit) != 0) {
        *pending &= ~bit;
        pcie_msix_raise(function, entry);
    }
}

static void message_arrives(void *context) {
    struct pcie_message *message = context;
    struct core *core = message->root->machine->cores[message->offset];
    const uint32_t vector = (uint32_t)message->value;
    message->function->interrupts++;
    pcie_message_give(message);
    core_interrupt(core, vector);
}

void pcie_msix_raise(struct pcie_function *function, uint32_t entry) {
    SIM_ASSERT_MSG(entry < PCIE_MSIX_MAX, "MSI-X entry %u", (unsigned)entry);
    struct pcie_link *link = function->link;
    if (!function->msix[entry].enabled || !function->bus_master) { /* a message is a write, too */
        attached_of(function)->msix_pending[entry / 64] |= UINT64_C(1) << (entry % 64);
        return;
    }
    const sim_time crossing = pcie_serialize(link, pcie_write_bytes(link, MSI_PAYLOAD_BYTES));
    const sim_time start = pcie_lane_book(&link->up, pcie_components()->pcie, sim_now(), crossing);
    sim_time arrival = start + crossing + link->root->config.msi_latency;
    if (arrival < link->last_visible) {
        arrival = link->last_visible;
    }
    struct pcie_message *message = pcie_message_take(link->root, message_arrives);
    message->function = function;
    message->offset = function->msix[entry].core; /* as routed now: the message carries both */
    message->value = function->msix[entry].vector;
    sim_schedule_at(&message->event, arrival);
}
