#include "kernel_model/exo/aegis_network.h"

#include <stdlib.h>

#include "kernel_model/exo/aegis_sleep.h"
#include "kernel_model/exo/binding.h"

enum { WORD = 4, HANDLER_LIMIT_CYCLES = 4000, PREDICATE_LIMIT_CYCLES = 400 };

/* A filter's ring: a record that counts among the environment's filters. */
struct packet_binding {
    struct packet_binding *next;
    struct aegis_environment *environment;
    uint32_t filter;
    struct exo_handle handle; /* the filter's */
    uint64_t ring;            /* physical */
};

struct aegis_network {
    struct aegis *aegis;
    struct lance_driver driver;
    struct download_costs *costs;
    struct exo_bound_downloads *downloads;
    struct packet_binding *bindings;
    ledger_component network, ready;
    void (*below)(void *context, uint64_t physical, uint64_t count, uint32_t index, bool derived);
    void *below_context;
    uint64_t dropped; /* no room in the ring, or too long for it */
};

/* ---- what the downloaded code's part of the kernel asks for ---- */

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

/* Where the record of a filter is linked in; behind the last if there is none. */
static struct packet_binding **binding_of(struct aegis_network *network, uint32_t filter) {
    struct packet_binding **at = &network->bindings;
    while (*at != NULL && (*at)->filter != filter) {
        at = &(*at)->next;
    }
    return at;
}

/* Into the ring; the environment will find it, and is woken if it sleeps until then. */
static void deliver(void *context, uint32_t owner, uint32_t filter, uint64_t physical, uint32_t length_bytes,
                    struct request *request) {
    struct aegis_network *network = context;
    struct aegis *aegis = network->aegis;
    const struct packet_binding *binding = *binding_of(network, filter);
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
    aegis_sleep_check(binding->environment);
}

/* ---- what ends ---- */

/* The filter's capability has ended. */
static void removed(void *context, uint32_t owner, uint32_t filter) {
    struct aegis_network *network = context;
    struct packet_binding **at = binding_of(network, filter), *binding = *at;
    (void)owner;
    if (binding != NULL) {
        *at = binding->next;
        free(binding);
    }
}

static void woken(void *context, uint32_t owner) {
    const struct aegis_network *network = context;
    struct aegis_environment *environment = aegis_environment_find(network->aegis, owner);
    if (environment != NULL) {
        aegis_sleep_end(environment);
    }
}

/* A ring whose frame is its environment's no more would have packets written over what is
 * another's: its filter goes first. */
static void on_released(void *context, uint64_t physical, uint64_t count, uint32_t index, bool derived) {
    struct aegis_network *network = context;
    struct exo_kernel *kernel = network->aegis->kernel;
    for (const struct packet_binding *at = network->bindings; at != NULL;) {
        const bool touched = at->ring >= physical && at->ring < physical + count * MEMORY_FRAME_BYTES;
        const uint32_t owner = at->environment->environment->number;
        if (touched && !exo_memory_holds(kernel, owner, at->ring, AEGIS_PAGE, true)) {
            const struct exo_handle handle = at->handle; /* the record goes with it */
            exo_capability_revoke(kernel->capabilities, &handle);
            at = network->bindings;
        } else {
            at = at->next;
        }
    }
    network->below(network->below_context, physical, count, index, derived);
}

/* ---- life ---- */

static void make_downloads(struct aegis_network *network, struct download_costs *costs) {
    struct exo_kernel *kernel = network->aegis->kernel;
    const struct exo_bound_downloads_config config = {.packets = {.memory = kernel->machine->memory,
                                                                  .costs = costs,
                                                                  .engine = DOWNLOAD_COMPILED,
                                                                  .handler_limit_cycles = HANDLER_LIMIT_CYCLES,
                                                                  .context = network,
                                                                  .send = handler_sends,
                                                                  .deliver = deliver},
                                                      .predicate_limit_cycles = PREDICATE_LIMIT_CYCLES,
                                                      .woken = woken,
                                                      .removed = removed};
    network->costs = costs;
    network->downloads = exo_bound_downloads_create(kernel, &config);
    network->below = kernel->frames_released;
    network->below_context = kernel->frames_released_context;
    kernel->frames_released = on_released;
    kernel->frames_released_context = network;
}

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
    make_downloads(network, &costs->download);
    aegis->network = network;
    return OK;
}

void aegis_network_free(struct aegis *aegis) {
    if (aegis->network != NULL) {
        exo_bound_downloads_free(aegis->network->downloads);
        free(aegis->network);
        aegis->network = NULL;
    }
}

/* ---- the environments' side ---- */

/* The steps that a download takes, as many as happened. */
static void charge(struct aegis_network *network, enum download_step step, uint64_t times) {
    struct download_work work = {{0}};
    download_count(&work, step, times);
    (void)download_work_charge(&work, network->costs, context_current());
}

/* What the text becomes has to be looked at, instruction by instruction, and compared with
 * each filter that is there. */
static void charge_filter(struct aegis_network *network, const char *text) {
    struct download_bpf program;
    if (download_bpf_compile(text, &program, NULL) == OK) {
        charge(network, DOWNLOAD_filter_verify, program.count);
        charge(network, DOWNLOAD_filter_compare,
               download_demux_count(exo_download_filters(exo_bound_packets(network->downloads))));
    }
}

static enum error_code bind(struct aegis_environment *environment, const char *filter, uint64_t ring,
                            struct exo_handle *out, struct error *error) {
    struct aegis_network *network = environment->aegis->network;
    uint32_t number = 0;
    charge_filter(network, filter);
    const enum error_code code =
        exo_bound_filter_text(network->downloads, environment->environment, NULL, filter, &number, out, error);
    if (code == OK) {
        struct packet_binding *binding = calloc(1, sizeof *binding);
        SIM_ASSERT(binding != NULL);
        *binding = (struct packet_binding){network->bindings, environment, number, *out, ring};
        network->bindings = binding;
    }
    return code;
}

enum error_code aegis_packet_bind(struct aegis_environment *environment, const char *filter,
                                  const struct exo_handle *ring, struct exo_handle *out, struct error *error) {
    struct aegis *aegis = environment->aegis;
    uint64_t physical = 0, count = 0;
    aegis_call_begin(environment, aegis->network->network, true);
    enum error_code code = aegis_check_frames(environment, ring, EXO_WRITE, &physical, &count, error);
    aegis_work(aegis, aegis->network->network);
    if (code == OK) {
        code = bind(environment, filter, physical, out, error);
    }
    aegis_call_end(environment);
    return code;
}

enum error_code aegis_packet_release(struct aegis_environment *environment, const struct exo_handle *filter,
                                     struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_call_begin(environment, aegis->network->network, true);
    aegis_step(aegis, &aegis->costs->capability_check);
    const enum error_code code = exo_check(environment->environment, filter, EXO_DOWNLOADED, EXO_CONTROL, NULL, error);
    aegis_work(aegis, aegis->network->network);
    if (code == OK) {
        aegis_step(aegis, &aegis->costs->capability_revoke);
        exo_capability_revoke(aegis->kernel->capabilities, filter);
    }
    aegis_call_end(environment);
    return code;
}

/* Code over memory: each region is a capability's to allow. */
static void charge_code(struct aegis_environment *environment, uint32_t count, uint32_t region_count) {
    struct aegis *aegis = environment->aegis;
    for (uint32_t i = 0; i < region_count && i < DOWNLOAD_REGIONS_MAX; i++) {
        aegis_step(aegis, &aegis->costs->capability_check);
    }
    charge(aegis->network, DOWNLOAD_code_verify, count < DOWNLOAD_CODE_MAX ? count : (uint64_t)DOWNLOAD_CODE_MAX);
}

enum error_code aegis_packet_handler(struct aegis_environment *environment, const struct exo_handle *filter,
                                     const struct download_instruction *code, uint32_t count,
                                     const struct download_region *regions, uint32_t region_count,
                                     struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_call_begin(environment, aegis->network->network, true);
    aegis_step(aegis, &aegis->costs->capability_check);
    charge_code(environment, count, region_count);
    const enum error_code result = exo_bound_handler(aegis->network->downloads, environment->environment, filter, code,
                                                     count, regions, region_count, error);
    aegis_call_end(environment);
    return result;
}

enum error_code aegis_predicate(struct aegis_environment *environment, const struct download_instruction *code,
                                uint32_t count, const struct download_region *regions, uint32_t region_count,
                                struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_call_begin(environment, aegis_components.slice, true);
    charge_code(environment, count, region_count);
    const enum error_code result = exo_bound_predicate(aegis->network->downloads, environment->environment, code, count,
                                                       regions, region_count, error);
    aegis_call_end(environment);
    return result;
}

struct download_waiters *aegis_waiters(const struct aegis *aegis) {
    return aegis->network != NULL ? exo_bound_waiters(aegis->network->downloads) : NULL;
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
    exo_bound_forget(network->downloads, environment->environment);
    for (const struct packet_binding *at = network->bindings; at != NULL;) {
        const struct exo_handle handle = at->handle;
        const bool own = at->environment == environment;
        at = at->next;
        if (own) {
            exo_capability_revoke(environment->aegis->kernel->capabilities, &handle);
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
        (void)exo_download_packet(exo_bound_packets(network->downloads), context, physical, length, request);
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
    return exo_download_counters(exo_bound_packets(aegis->network->downloads));
}

void aegis_network_visit_stats(const struct aegis *aegis, const struct stats_sink *sink) {
    if (aegis->network != NULL) {
        lance_driver_visit_stats(&aegis->network->driver, sink);
        exo_download_visit_stats(exo_bound_packets(aegis->network->downloads), "aegis.packets", sink);
        stats_counter(sink, "aegis.packets", "dropped", aegis->network->dropped);
    }
}

void aegis_network_reset_stats(struct aegis *aegis) {
    if (aegis->network != NULL) {
        lance_driver_reset_stats(&aegis->network->driver);
        exo_download_reset_stats(exo_bound_packets(aegis->network->downloads));
        aegis->network->dropped = 0;
    }
}
