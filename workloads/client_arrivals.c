/* client_arrivals.c: when requests begin. */
#include <math.h>
#include <stdlib.h>

#include "sim/error.h"
#include "workloads/client_internal.h"

__extension__ typedef unsigned __int128 wide;

/* Arrival k of all hosts, exactly: no sum of rounded gaps, so that nothing drifts. */
static sim_time constant_arrival(const struct client *client, uint64_t k) {
    return client->start + (sim_time)((wide)k * SIM_S * 1000000 / client->rate_micro);
}

static sim_time next_arrival(struct client_host *host, sim_time previous) {
    const struct client *client = host->client;
    if (client->config.arrivals.process == CLIENT_POISSON) {
        return previous + random_exponential(host->random, client->mean_gap);
    }
    return constant_arrival(client, host->arrivals * client->config.hosts + host->index);
}

static void closed_begins(struct client_host *host) {
    for (uint32_t i = 0; i < host->client->config.arrivals.outstanding; ++i) {
        client_send(host, client_slot_take(host), sim_now());
    }
}

static void arrives(void *context) {
    struct client_host *host = context;
    const struct client *client = host->client;
    if (client->config.arrivals.process == CLIENT_CLOSED) {
        closed_begins(host);
        return;
    }
    const sim_time now = sim_now();
    host->arrivals += 1;
    sim_schedule_at(&host->arrival, next_arrival(host, now));
    client_send(host, client->tracked ? client_slot_take(host) : CLIENT_NO_SLOT, now);
}

static void thought(void *context) {
    const struct client_thinker *thinker = context;
    if (thinker->host->client->running) {
        client_send(thinker->host, thinker->slot, sim_now());
    }
}

void client_slot_idle(struct client_host *host, uint32_t slot, sim_time when) {
    const struct client *client = host->client;
    if (!client->running) {
        return;
    }
    if (client->config.think == 0) { /* the reply's own event sends the next request */
        client_send(host, slot, when);
        return;
    }
    const sim_time think = client->config.think_distribution == CLIENT_THINK_EXPONENTIAL
                               ? random_exponential(host->random, client->config.think)
                               : client->config.think;
    sim_schedule_at(&host->thinkers[slot].event, when + think);
}

static void make_thinkers(struct client_host *host) {
    const uint64_t count = host->client->config.arrivals.outstanding;
    host->thinkers = calloc(count, sizeof *host->thinkers);
    SIM_ASSERT_MSG(host->thinkers != NULL, "out of memory");
    for (uint32_t slot = 0; slot < count; ++slot) {
        struct client_thinker *thinker = &host->thinkers[slot];
        thinker->host = host;
        thinker->slot = slot;
        sim_event_init(&thinker->event, SIM_PRIORITY_SOFTWARE, thought, thinker);
    }
}

void client_arrivals_init(struct client_host *host) {
    struct client *client = host->client;
    const struct client_config *config = &client->config;
    sim_event_init(&host->arrival, SIM_PRIORITY_SOFTWARE, arrives, host);
    if (config->arrivals.process != CLIENT_CLOSED) {
        client->rate_micro = (uint64_t)llround(config->arrivals.rate * 1e6);
        client->mean_gap = (sim_time)llround(1e15 * (double)config->hosts / config->arrivals.rate);
    } else if (config->think != 0) {
        make_thinkers(host);
    }
}

void client_arrivals_start(struct client_host *host) {
    const struct client *client = host->client;
    const bool closed = client->config.arrivals.process == CLIENT_CLOSED;
    sim_schedule_at(&host->arrival, closed ? client->start : next_arrival(host, client->start));
}
