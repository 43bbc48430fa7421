#include "stack/tcp_carrier.h"

#include "sim/engine.h"

/* ---- the request ---- */

/* What rode on a segment was dropped on its way: it rides again with the segment. */
static void came_back(void *keeper, struct request *request) {
    struct tcp_carrier *carrier = keeper;
    carrier->request = request;
    carrier->away = NULL;
}

void tcp_carrier_leaves(struct tcp_carrier *carrier) {
    if (carrier->request != NULL) {
        ledger_keep(carrier->request, came_back, carrier);
        carrier->away = carrier->request;
    }
}

void tcp_carrier_settle(struct tcp_carrier *carrier) {
    struct request *request = carrier->request;
    if (carrier->away != NULL && carrier->away->keeper == carrier) {
        ledger_keep(carrier->away, NULL, NULL);
    }
    if (request != NULL) {
        const sim_time now = sim_now();
        ledger_give_up(request, "delivered without it", request->since > now ? request->since : now);
    }
    carrier->away = NULL;
    carrier->request = NULL;
}

/* ---- reading ---- */

struct request *tcp_first_request(const struct tcp_connection *connection, uint32_t capacity_bytes) {
    uint32_t bytes = 0;
    const struct tcp_segment *segment = tcp_first_ready(connection);
    for (; segment != NULL && bytes + segment->length_bytes <= capacity_bytes; segment = segment->next) {
        bytes += segment->length_bytes;
        if (tcp_carrier_of(segment)->request != NULL) {
            return tcp_carrier_of(segment)->request;
        }
    }
    return NULL;
}

void tcp_read(struct context *context, struct tcp_connection *connection, struct tcp_reading *reading) {
    reading->length_bytes = 0;
    reading->request = NULL;
    while (reading->length_bytes < reading->capacity_bytes && reading->request == NULL) {
        struct tcp_segment *segment = tcp_first_ready(connection);
        if (segment == NULL) {
            return;
        }
        struct tcp_carrier *carrier = tcp_carrier_of(segment);
        const uint32_t left = reading->capacity_bytes - reading->length_bytes;
        const uint32_t bytes = segment->length_bytes < left ? segment->length_bytes : left;
        cpu_copy(context, reading->into + reading->length_bytes, carrier->payload + segment->offset_bytes, bytes);
        reading->length_bytes += bytes;
        if (tcp_consume(connection, bytes) != NULL) {
            reading->request = carrier->request;
            carrier->request = NULL;
            reading->done(reading->owner, carrier);
        }
    }
}

/* ---- sending ---- */

static void let_go(const struct tcp_sender *sender, void *owner, struct tcp_segment *segment) {
    struct tcp_carrier *carrier = tcp_carrier_of(segment);
    tcp_carrier_settle(carrier);
    sender->release(owner, carrier);
}

void tcp_sender_run(const struct tcp_sender *sender, void *owner, struct tcp_stream *stream) {
    struct tcp_connection *connection = &stream->connection;
    struct tcp_transmission out;
    struct tcp_segment *segment;
    while (tcp_output(connection, sim_now(), &out)) {
        struct tcp_carrier *carrier = out.segment != NULL ? tcp_carrier_of(out.segment) : sender->control(owner);
        if (carrier != NULL && !sender->flying(owner, carrier)) {
            sender->transmit(owner, &out.header, carrier);
        }
    }
    while ((segment = tcp_take_acknowledged(connection)) != NULL) {
        let_go(sender, owner, segment);
    }
}

void tcp_sender_bury(const struct tcp_sender *sender, void *owner, struct tcp_stream *stream) {
    struct tcp_segment *segment;
    if (!tcp_stream_is_over(stream) || !stream->hashed) {
        return;
    }
    while ((segment = tcp_take_any(&stream->connection)) != NULL) {
        let_go(sender, owner, segment);
    }
    tcp_stream_forget(stream);
}
