/* pit.c: "timer/pit": a programmable interval timer. Registers: PERIOD (ticks), CONTROL
 * (enable, periodic; starts anew), COUNT (ticks left). It raises MSI-X vector 0. */
#include "hw/machine.h"

enum { PIT_PERIOD = 0x00, PIT_CONTROL = 0x08, PIT_COUNT = 0x10, PIT_ENABLE = 1, PIT_PERIODIC = 2 };

struct pit_config {
    struct pcie_link_config link;
    uint64_t clock_hz;
};
struct pit {
    struct pcie_function function;
    struct sim_clock clock;
    struct sim_event expiry;
    uint64_t period, control, due_tick;
};

static const struct param pit_params[] = {
    PCIE_LINK_ROWS("pcie_", offsetof(struct pit_config, link)),
    {"clock", PARAM_FREQUENCY, offsetof(struct pit_config, clock_hz), "10 MHz", "1 Hz", "1 GHz", NULL,
     "rate at which it counts (10 MHz: the least that the IA-PC HPET specification, 2.2, allows)"},
    {0}};

static enum error_code pit_check(const void *config, struct error *error) {
    return pcie_link_check(&((const struct pit_config *)config)->link, error);
}

static void pit_arm(struct pit *pit, uint64_t from_tick) {
    pit->due_tick = from_tick + pit->period; /* counted in ticks: a periodic timer does not drift */
    sim_schedule_at(&pit->expiry, sim_clock_edge(&pit->clock, pit->due_tick));
}

static void pit_expire(void *context) {
    struct pit *pit = context;
    if ((pit->control & PIT_PERIODIC) != 0 && pit->period != 0) {
        pit_arm(pit, pit->due_tick);
    } else {
        pit->control &= ~(uint64_t)PIT_ENABLE;
    }
    pcie_msix_raise(&pit->function, 0);
}

static enum error_code pit_init(struct device *device, struct error *error) {
    static const uint64_t bar_bytes[PCIE_BARS] = {MEMORY_FRAME_BYTES};
    const struct pit_config *config = device->config;
    struct pit *pit = device->state;
    struct pcie_link *link = pcie_link_create(device->machine->pcie, device->name, &config->link, error);
    if (link == NULL) {
        return error->code;
    }
    pcie_function_attach(link, &pit->function, device, 0, bar_bytes);
    pit->function.bus_master = true; /* its interrupts are writes */
    pit->clock = sim_clock_make(config->clock_hz);
    sim_event_init(&pit->expiry, SIM_PRIORITY_HARDWARE, pit_expire, pit);
    return OK;
}

static uint64_t pit_read(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                         uint32_t size_bytes) {
    const struct pit *pit = device->state;
    const uint64_t tick = sim_clock_cycle_floor(&pit->clock, sim_now());
    const uint64_t left = sim_event_pending(&pit->expiry) ? pit->due_tick - tick : 0;
    (void)function, (void)bar, (void)size_bytes;
    return offset == PIT_PERIOD ? pit->period : offset == PIT_CONTROL ? pit->control : offset == PIT_COUNT ? left : 0;
}

static void pit_write(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                      uint32_t size_bytes, uint64_t value, struct request *request) {
    struct pit *pit = device->state;
    (void)function, (void)bar, (void)size_bytes;
    if (offset == PIT_PERIOD) {
        pit->period = value & UINT32_MAX; /* 32 bits, as in hardware; in force from the next start */
    } else if (offset == PIT_CONTROL) {
        (void)sim_cancel(&pit->expiry);
        pit->control = value & (PIT_ENABLE | PIT_PERIODIC);
        if ((value & PIT_ENABLE) != 0 && pit->period != 0) {
            pit_arm(pit, sim_clock_cycle_ceil(&pit->clock, sim_now()));
        }
    }
    ledger_abandon(request, "timer", sim_now()); /* no request waits for a timer's register */
}

static void pit_fini(struct device *device) {
    (void)sim_cancel(&((struct pit *)device->state)->expiry);
}

extern const struct device_ops pit_ops;
const struct device_ops pit_ops = {
    .type_name = "timer/pit",
    .help = "programmable interval timer with one MSI-X vector",
    .params = pit_params,
    .config_bytes = sizeof(struct pit_config),
    .state_bytes = sizeof(struct pit),
    .check = pit_check,
    .init = pit_init,
    .mmio_read = pit_read,
    .mmio_write = pit_write,
    .fini = pit_fini,
};
