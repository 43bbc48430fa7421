/* tcp_fixture.h: two ends of a TCP connection and a network between them that loses,
 * delays and doubles segments as it is told, in its own time: no engine, no machine.
 * One a test: each test is a process of its own. */
#ifndef STILLSUIT_TESTS_STACK_TCP_FIXTURE_H
#define STILLSUIT_TESTS_STACK_TCP_FIXTURE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "stack/tcp.h"

enum { FLIGHT_MAX = 4096, STREAM_MAX = 1 << 20 };

/* A segment's bytes at one end. */
struct piece {
    struct tcp_segment segment;
    uint8_t bytes[NET_TCP_MSS_ETHERNET];
};

struct end {
    struct tcp_connection connection;
    struct tcp_counters counters;
    struct tcp_config config;
    uint8_t received[STREAM_MAX];
    uint32_t received_bytes, pieces; /* pieces: that exist */
    unsigned outcomes;               /* all that came about */
    bool reads;                      /* takes what arrives at once */
};

struct flying {
    struct net_tcp header;
    uint8_t bytes[NET_TCP_MSS_ETHERNET];
    sim_time arrives;
    uint64_t order;
    unsigned to;
};

static struct end ends[2];
static struct flying *flights[FLIGHT_MAX];
static unsigned flight_count;
static uint64_t sent_count;
static sim_time now;
static const sim_time one_way = 10 * SIM_US;
/* How many copies of a segment arrive, and when beyond one_way. */
static unsigned (*fate)(unsigned from, const struct net_tcp *header, uint64_t number, sim_time *delay);
static uint64_t fate_seed;

static inline uint32_t draw(void) {
    fate_seed = fate_seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(fate_seed >> 33);
}

static inline void launch(unsigned from, const struct tcp_transmission *out) {
    sim_time delay = 0;
    const uint64_t number = sent_count++;
    unsigned copies = fate != NULL ? fate(from, &out->header, number, &delay) : 1;
    for (; copies > 0; copies--) {
        struct flying *flying = calloc(1, sizeof *flying);
        cr_assert(flight_count < FLIGHT_MAX);
        flying->header = out->header;
        flying->to = 1 - from;
        flying->arrives = now + one_way + delay;
        flying->order = sent_count++;
        if (out->segment != NULL) {
            memcpy(flying->bytes, ((struct piece *)(void *)out->segment)->bytes, out->segment->length_bytes);
        }
        flights[flight_count++] = flying;
    }
}

static inline void drop_piece(struct end *end, struct tcp_segment *segment) {
    end->pieces--;
    free(segment);
}

static inline void read_all(struct end *end) {
    struct tcp_segment *segment;
    while ((segment = tcp_first_ready(&end->connection)) != NULL) {
        const struct piece *piece = (const struct piece *)(const void *)segment;
        cr_assert(end->received_bytes + segment->length_bytes <= STREAM_MAX);
        memcpy(end->received + end->received_bytes, piece->bytes + segment->offset_bytes, segment->length_bytes);
        end->received_bytes += segment->length_bytes;
        cr_assert_not_null(tcp_consume(&end->connection, segment->length_bytes));
        drop_piece(end, segment);
    }
}

static inline void pump(unsigned index) {
    struct end *end = &ends[index];
    struct tcp_transmission out;
    struct tcp_segment *segment;
    if (end->reads) {
        read_all(end);
    }
    while (tcp_output(&end->connection, now, &out)) {
        launch(index, &out);
    }
    while ((segment = tcp_take_acknowledged(&end->connection)) != NULL) {
        drop_piece(end, segment);
    }
}

static inline void arrive(unsigned index, const struct flying *flying) {
    struct end *end = &ends[index];
    struct piece *piece = calloc(1, sizeof *piece);
    end->pieces++;
    memcpy(piece->bytes, flying->bytes, sizeof piece->bytes);
    if (end->connection.state == TCP_CLOSED && (flying->header.flags & NET_TCP_SYN) != 0 && index == 1) {
        tcp_accept(&end->connection, end->connection.initial_send, &flying->header);
        drop_piece(end, &piece->segment);
    } else if (end->connection.state == TCP_CLOSED) { /* forgotten: a host refuses */
        struct tcp_transmission refusal = {.segment = NULL};
        if (tcp_refuse(&flying->header, &refusal.header)) {
            launch(index, &refusal);
        }
        drop_piece(end, &piece->segment);
    } else {
        const unsigned outcome = tcp_input(&end->connection, &flying->header, &piece->segment, now);
        end->outcomes |= outcome;
        if ((outcome & TCP_KEPT) == 0) {
            drop_piece(end, &piece->segment);
        }
    }
    pump(index);
}

static inline unsigned first_flight(void) {
    unsigned first = FLIGHT_MAX;
    for (unsigned i = 0; i < flight_count; i++) {
        if (first == FLIGHT_MAX || flights[i]->arrives < flights[first]->arrives ||
            (flights[i]->arrives == flights[first]->arrives && flights[i]->order < flights[first]->order)) {
            first = i;
        }
    }
    return first;
}

/* The next thing that happens, not after `until`. False: nothing. */
static inline bool step(sim_time until) {
    const unsigned first = first_flight();
    sim_time due = first < FLIGHT_MAX ? flights[first]->arrives : SIM_TIME_MAX;
    int timer = -1;
    for (int i = 0; i < 2; i++) {
        const sim_time deadline = tcp_deadline(&ends[i].connection);
        if (deadline != 0 && deadline < due) {
            due = deadline;
            timer = i;
        }
    }
    if (due > until) {
        now = until;
        return false;
    }
    now = due > now ? due : now;
    if (timer >= 0) {
        ends[timer].outcomes |= tcp_timer(&ends[timer].connection, now);
        pump((unsigned)timer);
        return true;
    }
    struct flying *flying = flights[first];
    flights[first] = flights[--flight_count];
    arrive(flying->to, flying);
    free(flying);
    return true;
}

static inline void run_for(sim_time duration) {
    const sim_time until = now + duration;
    while (step(until)) {
    }
}

static inline void make_ends(uint32_t client_sequence, uint32_t server_sequence) {
    static const struct tcp_config config = {.mss_bytes = 1460,
                                             .receive_buffer_bytes = 65535,
                                             .initial_window_segments = 10,
                                             .retries = 15,
                                             .rto_initial = SIM_S,
                                             .rto_minimum = 200 * SIM_MS,
                                             .rto_maximum = 120 * SIM_S,
                                             .delayed_ack = 40 * SIM_MS,
                                             .time_wait = 60 * SIM_S};
    static const struct tcp_path paths[2] = {{.local_ip = 1, .remote_ip = 2, .local_port = 1000, .remote_port = 7},
                                             {.local_ip = 2, .remote_ip = 1, .local_port = 7, .remote_port = 1000}};
    for (unsigned i = 0; i < 2; i++) {
        ends[i].config = config;
        ends[i].reads = true;
        tcp_init(&ends[i].connection, &ends[i].config, &ends[i].counters, &paths[i]);
    }
    ends[1].connection.initial_send = server_sequence; /* for tcp_accept, above */
    tcp_connect(&ends[0].connection, client_sequence);
    now = SIM_US;
}

static inline void open_both(uint32_t client_sequence, uint32_t server_sequence) {
    make_ends(client_sequence, server_sequence);
    pump(0);
    run_for(SIM_MS);
    cr_assert_eq(ends[0].connection.state, TCP_ESTABLISHED);
    cr_assert_eq(ends[1].connection.state, TCP_ESTABLISHED);
}

/* The byte of every stream at a position. */
static inline uint8_t stream_byte(uint32_t at) {
    return (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

/* Appends the stream's bytes [from, from + count). */
static inline void write_bytes(unsigned index, uint32_t from, uint32_t count) {
    struct end *end = &ends[index];
    for (uint32_t done = 0; done < count;) {
        struct piece *piece = calloc(1, sizeof *piece);
        end->pieces++;
        const uint32_t left = count - done;
        piece->segment.length_bytes = left < end->connection.mss ? left : end->connection.mss;
        for (uint32_t i = 0; i < piece->segment.length_bytes; i++) {
            piece->bytes[i] = stream_byte(from + done + i);
        }
        done += piece->segment.length_bytes;
        piece->segment.push = done == count;
        tcp_append(&end->connection, &piece->segment);
    }
}

static inline void check_received(unsigned index, uint32_t count) {
    cr_assert_eq(ends[index].received_bytes, count, "%u of %u bytes", ends[index].received_bytes, count);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(ends[index].received[i], stream_byte(i), "byte %u", i);
    }
}

#endif
