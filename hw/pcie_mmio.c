/* pcie_mmio.c: a core's accesses to BARs. */
#include "hw/device.h"
#include "hw/pcie_internal.h"

static bool window_has(const struct pcie_window *window, uint64_t physical) {
    return physical - window->base < window->bytes; /* wraps below the base: never less */
}

/* The window that holds all of [physical, physical + size), or NULL. Windows are laid
 * out upwards, so the array is ordered; most accesses go where the last one went. */
static const struct pcie_window *find_window(struct pcie_root *root, uint64_t physical, uint32_t size_bytes) {
    if (root->window_count == 0) {
        return NULL;
    }
    if (!window_has(&root->windows[root->window_last], physical)) {
        size_t low = 0;
        size_t high = root->window_count;
        while (high - low > 1) {
            const size_t middle = low + (high - low) / 2;
            if (root->windows[middle].base <= physical) {
                low = middle;
            } else {
                high = middle;
            }
        }
        root->window_last = low;
    }
    const struct pcie_window *window = &root->windows[root->window_last];
    return window_has(window, physical) && size_bytes <= window->bytes - (physical - window->base) ? window : NULL;
}

bool pcie_is_mmio(const struct pcie_root *root, uint64_t physical) {
    return physical >= root->config.device_window_base && physical < root->window_end;
}

/* ---- writes ---- */

static void deliver(struct pcie_function *function, unsigned bar, uint64_t offset, uint32_t size_bytes, uint64_t value,
                    struct request *request) {
    struct device *device = function->device;
    if (device->ops->mmio_write != NULL) {
        device->ops->mmio_write(device, function, bar, offset, size_bytes, value, request);
    } else {
        ledger_abandon(request, "device takes no writes", sim_now());
    }
}

static void write_arrives(void *context) {
    struct pcie_message *message = context;
    struct pcie_function *function = message->function;
    const unsigned bar = message->bar;
    const uint64_t offset = message->offset;
    const uint64_t value = message->value;
    const uint32_t size_bytes = message->size_bytes;
    struct request *request = message->request;
    pcie_message_give(message); /* first: the device may cause more writes */
    deliver(function, bar, offset, size_bytes, value, request);
}

/* Crosses the root and then the link, behind the writes that went before. */
static void send_write(const struct pcie_window *window, struct pcie_message *message) {
    const struct pcie_components *components = pcie_components();
    struct pcie_link *link = window->function->link;
    const sim_time out = sim_now() + message->root->config.mmio_write_latency;
    const sim_time earliest = out > link->last_mmio ? out : link->last_mmio;
    const sim_time crossing = pcie_serialize(link, pcie_write_bytes(link, message->size_bytes));
    const sim_time start = pcie_lane_book(&link->down, components->doorbell, earliest, crossing);
    if (start > out && message->request != NULL) {
        ledger_turn_at(message->request, LEDGER_WAITING, out);
        ledger_turn_at(message->request, LEDGER_SERVICE, start);
    }
    link->last_mmio = start + crossing;
    sim_schedule_at(&message->event, start + crossing);
}

void pcie_mmio_write_for(struct pcie_root *root, uint64_t physical, uint32_t size_bytes, uint64_t value,
                         struct request *request, ledger_component owner) {
    const struct pcie_window *window = find_window(root, physical, size_bytes);
    root->mmio_writes++;
    ledger_hand_over(request, owner, pcie_components()->doorbell, LEDGER_SERVICE);
    if (window == NULL) {
        root->mmio_unmapped++;
        ledger_abandon(request, "no device at that address", sim_now());
        return;
    }
    struct pcie_message *message = pcie_message_take(root, write_arrives);
    message->function = window->function;
    message->bar = window->bar;
    message->offset = physical - window->base;
    message->size_bytes = size_bytes;
    message->value = value;
    message->request = request;
    send_write(window, message);
}

void pcie_mmio_write(struct pcie_root *root, uint64_t physical, uint32_t size_bytes, uint64_t value) {
    pcie_mmio_write_for(root, physical, size_bytes, value, NULL, 0);
}

void pcie_poke(struct pcie_root *root, uint64_t physical, uint32_t size_bytes, uint64_t value) {
    const struct pcie_window *window = find_window(root, physical, size_bytes);
    if (window == NULL) {
        root->mmio_unmapped++;
        return;
    }
    deliver(window->function, window->bar, physical - window->base, size_bytes, value, NULL);
}

/* ---- reads ---- */

uint64_t pcie_mmio_read(struct pcie_root *root, uint64_t physical, uint32_t size_bytes) {
    const struct pcie_window *window = find_window(root, physical, size_bytes);
    root->mmio_reads++;
    if (window == NULL) {
        root->mmio_unmapped++;
        return UINT64_MAX; /* the root's answer for a device that does not */
    }
    struct device *device = window->function->device;
    if (device->ops->mmio_read == NULL) {
        return UINT64_MAX;
    }
    return device->ops->mmio_read(device, window->function, window->bar, physical - window->base, size_bytes);
}
