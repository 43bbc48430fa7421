#include "kernel_model/exo/aegis_network.h"

#include <stdlib.h>

#include "kernel_model/exo/binding.h"

enum { BINDINGS_MAX = 16, WORD = 4, HANDLER_LIMIT_CYCLES = 4000 };

/* A filter's ring. */
struct packet_binding {
    struct aegis_environment *environment; /* NULL: free */
    uint32_t filter;
    uint64_t ring; /* physical */
};

struct aegis_network {
    struct aegis *aegis;
    struct lance_driver driver;
    struct exo_download *download;
    struct packet_binding bindings[BINDINGS_MAX];
    ledger_component network, ready;
    uint64_t dropped; /* no room in the ring, or too long for it */
};

/* ---- what the downloaded code's part of the kernel asks for ---- */

static bool holds(void *context, uint32_t owner, uint64_t physical, uint32_t length_bytes, bool write) {
    const struct aegis_network *network = context;
    const struct aegis_environment *environment = aegis_environment_find(network->aegis, owner);
    const uint64_t frame = physical / AEGIS_PAGE * AEGIS_PAGE;
    (void)write; /* its own frames it may also write */
    if (environment == NULL || length_bytes == 0 || physical + length_bytes > frame + AEGIS_PAGE) {
        return false;
    }
    const struct aegis_frame *at = environment->frames;
    while (at != NULL && at->physical != frame) {
        at = at->next;
    }
    return at != NULL;
}

static void drop(struct aegis_network *network, struct request *request) {
    network->dropped++;
    cpu_run(context_current());
    if (request != NULL) {
        ledger_abandon(request, "no room for a packet", sim_now());
    }
    cpu_work_for(context_current(), network->network, NULL);
}

/* From wherever a frame lies into a transmit buffer, and out. */
static bool transmit(struct aegis_network *network, uint64_t physical, uint32_t length_bytes, struct request *request) {
    const uint64_t to = lance_driver_transmit_at(&network->driver);
    if (to == 0) {
        return false;
    }
    lance_driver_copy(&network->driver, to, physical, length_bytes);
    lance_driver_transmit(&network->driver, length_bytes, request);
    return true;
}

static void handler_sends(void *context, uint32_t owner, struct download_send frame, struct request *request) {
    struct aegis_network *network = context;
    (void)owner;
    cpu_work_for(context_current(), network->network, request);
    if (frame.physical % WORD != LANCE_DRIVER_OFFSET ||
        !transmit(network, frame.physical, frame.length_bytes, request)) {
        drop(network, request);
    }
    cpu_work_for(context_current(), network->network, NULL);
}

static struct packet_binding *binding_of(struct aegis_network *network, uint32_t filter) {
    for (size_t i = 0; i < BINDINGS_MAX; i++) {
        if (network->bindings[i].environment != NULL && network->bindings[i].filter == filter) {
            return &network->bindings[i];
        }
    }
    return NULL;
}

/* Into the ring; the environment will find it. */
static void deliver(void *context, uint32_t owner, uint32_t filter, uint64_t physical, uint32_t length_bytes,
                    struct request *request) {
    struct aegis_network *network = context;
    struct aegis *aegis = network->aegis;
    const struct packet_binding *binding = binding_of(network, filter);
    (void)owner;
    cpu_work_for(context_current(), network->network, request);
    if (binding == NULL || length_bytes > AEGIS_RING_FRAME_MAX) {
        drop(network, request);
        return;
    }
    const uint32_t head = aegis_load(aegis, binding->ring + AEGIS_RING_HEAD);
    if (head - aegis_load(aegis, binding->ring + AEGIS_RING_TAIL) >= AEGIS_RING_SLOTS) {
        drop(network, request);
        return;
    }
    const uint64_t slot = binding->ring + AEGIS_RING_SLOTS_AT + head % AEGIS_RING_SLOTS * AEGIS_RING_SLOT_BYTES;
    lance_driver_copy(&network->driver, slot + AEGIS_RING_FRAME, physical, length_bytes);
    aegis_store(aegis, slot, length_bytes);
    cpu_pass_on(context_current(), network->ready, LEDGER_WAITING);
    cpu_run(context_current());
    memory_board(aegis->kernel->machine->memory, slot, request);
    cpu_work_for(context_current(), network->network, NULL);
    aegis_store(aegis, binding->ring + AEGIS_RING_HEAD, head + 1);
}

/* ---- life ---- */

enum error_code aegis_network_create(struct aegis *aegis, struct aegis_network_costs *costs, const uint8_t mac[6],
                                     struct error *error) {
    struct aegis_network *network = calloc(1, sizeof *network);
    SIM_ASSERT(network != NULL);
    network->aegis = aegis;
    network->network = ledger_find("exo_network");
    network->ready = ledger_find("ready");
    const enum error_code code =
        lance_driver_init(&network->driver, aegis->kernel->machine, aegis->kernel->frames, &costs->lance, mac, error);
    if (code != OK) {
        free(network);
        return code;
    }
    const struct exo_download_config config = {.memory = aegis->kernel->machine->memory,
                                               .costs = &costs->download,
                                               .engine = DOWNLOAD_COMPILED,
                                               .handler_limit_cycles = HANDLER_LIMIT_CYCLES,
                                               .context = network,
                                               .holds = holds,
                                               .send = handler_sends,
                                               .deliver = deliver};
    network->download = exo_download_create(&config);
    aegis->network = network;
    return OK;
}

void aegis_network_free(struct aegis *aegis) {
    if (aegis->network != NULL) {
        exo_download_free(aegis->network->download);
        free(aegis->network);
        aegis->network = NULL;
    }
}

/* ---- the environments' side ---- */

enum error_code aegis_packet_bind(struct aegis_environment *environment, const char *filter,
                                  const struct exo_handle *ring, uint32_t *number, struct error *error) {
    struct aegis *aegis = environment->aegis;
    struct aegis_network *network = aegis->network;
    SIM_ASSERT_MSG(context_current() == NULL, "filters are bound before the run");
    uint64_t physical = 0, count = 0;
    struct packet_binding *free_one = NULL;
    for (size_t i = BINDINGS_MAX; i > 0; i--) {
        free_one = network->bindings[i - 1].environment == NULL ? &network->bindings[i - 1] : free_one;
    }
    if (free_one == NULL) {
        return error_set(error, ERR_EXHAUSTED, "at most %d filters have rings", (int)BINDINGS_MAX);
    }
    enum error_code code = exo_memory_frames(environment->environment, ring, EXO_WRITE, &physical, &count, error);
    if (code == OK) {
        code = download_demux_install_text(exo_download_filters(network->download), environment->environment->number,
                                           NULL, filter, number, error);
    }
    if (code == OK) {
        *free_one = (struct packet_binding){environment, *number, physical};
    }
    return code;
}

enum error_code aegis_packet_handler(struct aegis_environment *environment, uint32_t filter,
                                     const struct download_instruction *code, uint32_t count,
                                     const struct download_region *regions, uint32_t region_count,
                                     struct error *error) {
    return exo_download_handler(environment->aegis->network->download, environment->environment->number, filter, code,
                                count, regions, region_count, error);
}

enum error_code aegis_packet_send(struct aegis_environment *environment, uint32_t address, uint32_t length_bytes) {
    struct aegis *aegis = environment->aegis;
    struct aegis_network *network = aegis->network;
    const uint32_t page = address & AEGIS_PAGE_MASK, offset = address - page;
    aegis_call_begin(environment, network->network, true);
    aegis_step(aegis, &aegis->costs->binding_find);
    const struct aegis_binding *binding = aegis_binding_find(environment, page);
    enum error_code code = OK;
    if (length_bytes == 0 || offset + length_bytes > AEGIS_PAGE || length_bytes > FRAME_BYTES_MAX ||
        address % WORD != LANCE_DRIVER_OFFSET) {
        code = ERR_RANGE;
    } else if (binding == NULL) {
        code = ERR_DENIED;
    } else if (!transmit(network, (uint64_t)binding->frame * AEGIS_PAGE + offset, length_bytes, environment->request)) {
        code = ERR_EXHAUSTED;
    } else {
        environment->request = NULL; /* it is on its way */
    }
    aegis_call_end(environment);
    return code;
}

void aegis_network_forget(struct aegis_environment *environment) {
    struct aegis_network *network = environment->aegis->network;
    if (network == NULL) {
        return;
    }
    exo_download_forget(network->download, environment->environment->number);
    for (size_t i = 0; i < BINDINGS_MAX; i++) {
        if (network->bindings[i].environment == environment) {
            (void)download_demux_remove(exo_download_filters(network->download), environment->environment->number,
                                        network->bindings[i].filter);
            network->bindings[i].environment = NULL;
        }
    }
}

/* ---- the interrupt ---- */

static void receive_all(struct aegis_network *network) {
    uint64_t physical = 0;
    uint32_t length = 0;
    struct request *request = NULL;
    while (lance_driver_received(&network->driver, &physical, &length, &request)) {
        struct context *context = context_current();
        cpu_work_for(context, network->network, request);
        lance_driver_refresh(&network->driver, physical, length);
        cpu_run(context);
        (void)exo_download_packet(network->download, context, physical, length, request);
        cpu_work_for(context, network->network, NULL);
        lance_driver_release(&network->driver);
    }
}

void aegis_network_serve(struct aegis *aegis) {
    cpu_work_for(aegis->interrupt, aegis->network->network, NULL);
    while (lance_driver_acknowledge(&aegis->network->driver)) {
        receive_all(aegis->network);
    }
    cpu_run(aegis->interrupt);
}

/* ---- counters ---- */

const struct exo_download_counters *aegis_network_counters(const struct aegis *aegis) {
    return exo_download_counters(aegis->network->download);
}

void aegis_network_visit_stats(const struct aegis *aegis, const struct stats_sink *sink) {
    if (aegis->network != NULL) {
        lance_driver_visit_stats(&aegis->network->driver, sink);
        exo_download_visit_stats(aegis->network->download, "aegis.packets", sink);
        stats_counter(sink, "aegis.packets", "dropped", aegis->network->dropped);
    }
}

void aegis_network_reset_stats(struct aegis *aegis) {
    if (aegis->network != NULL) {
        lance_driver_reset_stats(&aegis->network->driver);
        exo_download_reset_stats(aegis->network->download);
        aegis->network->dropped = 0;
    }
}
