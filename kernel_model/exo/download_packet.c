#include "kernel_model/exo/download_packet.h"

#include <stdlib.h>
#include <string.h>

struct handler {
    struct handler *next;
    uint32_t owner, filter;
    struct download_program program;
};
struct exo_download {
    struct exo_download_config config;
    struct download_demux *demux;
    struct handler *handlers;
    struct exo_download_counters counters;
};

struct exo_download_components exo_download_components;

void exo_download_declare_components(void) {
    static const struct ledger_declaration table[] = {{"packet_demux", "cpu", "Demultiplexing", NULL},
                                                      {"packet_handler", "cpu", "Packet handler", NULL},
                                                      {"packet_upcall", "cpu", "Packet queued for its library", NULL},
                                                      {0}};
    ledger_component out[3];
    core_declare_components();
    ledger_declare_all(table, out);
    exo_download_components = (struct exo_download_components){out[0], out[1], out[2]};
}

struct exo_download *exo_download_create(const struct exo_download_config *config) {
    struct exo_download *download = calloc(1, sizeof *download);
    SIM_ASSERT(download != NULL);
    download->config = *config;
    download->demux = download_demux_create();
    return download;
}

void exo_download_free(struct exo_download *download) {
    if (download == NULL) {
        return;
    }
    for (struct handler *at = download->handlers; at != NULL;) {
        struct handler *next = at->next;
        free(at);
        at = next;
    }
    download_demux_free(download->demux);
    free(download);
}

struct download_demux *exo_download_filters(struct exo_download *download) {
    return download->demux;
}

/* ---- handlers ---- */

static struct handler **handler_of(struct exo_download *download, uint32_t filter) {
    struct handler **at = &download->handlers;
    while (*at != NULL && (*at)->filter != filter) {
        at = &(*at)->next;
    }
    return at;
}

/* The regions of a handler: the packet, then the owner's, each checked. */
static enum error_code gather(struct exo_download *download, uint32_t owner, const struct download_region *regions,
                              uint32_t count, struct download_region *out, struct error *error) {
    out[0] = (struct download_region){0, DOWNLOAD_PACKET_BYTES_MAX, true};
    if (count >= DOWNLOAD_REGIONS_MAX) {
        return error_set(error, ERR_RANGE, "a handler has at most %d regions", DOWNLOAD_REGIONS_MAX - 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct download_region *at = &regions[i];
        if (!memory_contains(download->config.memory, at->physical, at->length_bytes) ||
            !download->config.holds(download->config.context, owner, at->physical, at->length_bytes, at->writable)) {
            download->counters.foreign++;
            return error_set(error, ERR_DENIED, "region %u of the handler is not its owner's", i + 1);
        }
        out[i + 1] = *at;
    }
    return OK;
}

enum error_code exo_download_handler(struct exo_download *download, uint32_t owner, uint32_t filter,
                                     const struct download_instruction *code, uint32_t count,
                                     const struct download_region *regions, uint32_t region_count,
                                     struct error *error) {
    const uint32_t holder = download_demux_owner(download->demux, filter);
    if (holder != owner) {
        return error_set(error, holder == 0 ? ERR_NOT_FOUND : ERR_DENIED, "filter %u is not its owner's", filter);
    }
    struct download_region all[DOWNLOAD_REGIONS_MAX];
    enum error_code result = gather(download, owner, regions, region_count, all, error);
    if (result != OK) {
        return result;
    }
    struct handler *handler = calloc(1, sizeof *handler);
    SIM_ASSERT(handler != NULL);
    result = download_verify(DOWNLOAD_HANDLER, code, count, all, region_count + 1, download->config.costs,
                             download->config.handler_limit_cycles, &handler->program, NULL, error);
    if (result != OK) {
        download->counters.unsafe++;
        free(handler);
        return result;
    }
    handler->owner = owner;
    handler->filter = filter;
    struct handler **at = handler_of(download, filter);
    handler->next = *at != NULL ? (*at)->next : NULL;
    free(*at);
    *at = handler;
    download->counters.handlers++;
    return OK;
}

void exo_download_unhandle(struct exo_download *download, uint32_t filter) {
    struct handler **at = handler_of(download, filter), *handler = *at;
    if (handler != NULL) {
        *at = handler->next;
        free(handler);
    }
}

void exo_download_forget(struct exo_download *download, uint32_t owner) {
    for (struct handler **at = &download->handlers; *at != NULL;) {
        struct handler *handler = *at;
        if (handler->owner == owner) {
            *at = handler->next;
            free(handler);
        } else {
            at = &handler->next;
        }
    }
}

/* ---- a packet ---- */

/* One packet's way. */
struct passage {
    struct exo_download *download;
    struct context *context;
    uint64_t physical;
    uint32_t length_bytes;
    struct request *request;
};

static void begin(const struct passage *passage, ledger_component component) {
    if (passage->context != NULL) {
        cpu_work_for(passage->context, component, passage->request);
    }
}

/* Charges the steps, and lets them pass before what they lead to is seen. */
static void finish(const struct passage *passage, struct download_work *work) {
    passage->download->counters.cycles += download_work_charge(work, passage->download->config.costs, passage->context);
    if (passage->context != NULL) {
        cpu_run(passage->context);
    }
}

enum { HEADER_BYTES = 64 };

static uint32_t demultiplex(const struct passage *passage) {
    uint8_t bytes[DOWNLOAD_PACKET_BYTES_MAX];
    const struct download_packet packet = {bytes, passage->length_bytes};
    struct download_work work = {{0}};
    begin(passage, exo_download_components.demux);
    memory_read(passage->download->config.memory, passage->physical, bytes, passage->length_bytes);
    if (passage->context != NULL && passage->length_bytes > 0) {
        const uint32_t headers = passage->length_bytes < HEADER_BYTES ? passage->length_bytes : (uint32_t)HEADER_BYTES;
        cpu_touch(passage->context, passage->physical, headers, false);
    }
    const uint32_t filter =
        download_demux_find(passage->download->demux, passage->download->config.engine, packet, &work);
    finish(passage, &work);
    return filter;
}

static void touch(void *context, uint64_t physical, uint32_t length_bytes, bool write) {
    cpu_touch(context, physical, length_bytes, write);
}

/* Whether the handler dealt with the packet. */
static bool handle(const struct passage *passage, const struct handler *handler) {
    struct exo_download *download = passage->download;
    const struct download_region packet = {passage->physical, passage->length_bytes, true};
    const struct download_observer observer = {passage->context, touch};
    struct download_outcome outcome;
    struct download_work work = {{0}};
    begin(passage, exo_download_components.handler);
    download_run(&handler->program, download->config.memory, &packet, passage->context != NULL ? &observer : NULL,
                 &work, &outcome);
    SIM_ASSERT(download_work_cycles(&work, download->config.costs) <= handler->program.bound_cycles);
    finish(passage, &work);
    if (outcome.stop != DOWNLOAD_RETURNED) {
        download->counters.stopped++;
        return false;
    }
    for (uint32_t i = 0; i < outcome.send_count; i++) {
        download->counters.sent++;
        download->config.send(download->config.context, handler->owner, outcome.sends[i],
                              i == 0 && outcome.value != 0 ? passage->request : NULL);
    }
    if (outcome.value != 0 && outcome.send_count == 0 && passage->request != NULL) {
        ledger_abandon(passage->request, "taken by a handler", sim_now());
    }
    return outcome.value != 0;
}

static void deliver(const struct passage *passage, uint32_t filter) {
    struct download_work work = {{0}};
    begin(passage, exo_download_components.upcall);
    download_count(&work, DOWNLOAD_upcall, 1);
    finish(passage, &work);
    passage->download->counters.delivered++;
    passage->download->config.deliver(passage->download->config.context,
                                      download_demux_owner(passage->download->demux, filter), filter, passage->physical,
                                      passage->length_bytes, passage->request);
}

enum exo_packet_fate exo_download_packet(struct exo_download *download, struct context *context, uint64_t physical,
                                         uint32_t length_bytes, struct request *request) {
    SIM_ASSERT(length_bytes <= DOWNLOAD_PACKET_BYTES_MAX);
    const struct passage passage = {download, context, physical, length_bytes, request};
    download->counters.packets++;
    const uint32_t filter = demultiplex(&passage);
    if (filter == DOWNLOAD_NONE) {
        download->counters.unclaimed++;
        if (request != NULL) {
            ledger_abandon(request, "no filter takes it", sim_now());
        }
        return EXO_PACKET_UNCLAIMED;
    }
    const struct handler *handler = *handler_of(download, filter);
    if (handler != NULL && handle(&passage, handler)) {
        download->counters.handled++;
        return EXO_PACKET_HANDLED;
    }
    deliver(&passage, filter);
    return EXO_PACKET_DELIVERED;
}

/* ---- counters ---- */

const struct exo_download_counters *exo_download_counters(const struct exo_download *download) {
    return &download->counters;
}

void exo_download_visit_stats(const struct exo_download *download, const char *instance,
                              const struct stats_sink *sink) {
    const struct exo_download_counters *c = &download->counters;
    const struct download_demux_counters *f = download_demux_counters(download->demux);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"filters_installed", f->installed},
                {"filters_unsafe", f->unsafe},
                {"filters_overlapping", f->overlaps},
                {"filters_greedy", f->greedy},
                {"handlers", c->handlers},
                {"handlers_unsafe", c->unsafe},
                {"handlers_foreign", c->foreign},
                {"handlers_stopped", c->stopped},
                {"packets", c->packets},
                {"packets_unclaimed", c->unclaimed},
                {"packets_handled", c->handled},
                {"packets_delivered", c->delivered},
                {"packets_sent", c->sent},
                {"cycles", c->cycles}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stats_counter(sink, instance, rows[i].name, rows[i].value);
    }
}

void exo_download_reset_stats(struct exo_download *download) {
    struct exo_download_counters *c = &download->counters;
    c->packets = c->unclaimed = c->handled = c->delivered = c->sent = c->stopped = c->cycles = 0;
}
