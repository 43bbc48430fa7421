/* The ledger: intervals tile a request's life; what must not happen is refused. */
#include <criterion/criterion.h>
#include <signal.h>

#include "sim/engine.h"
#include "sim/ledger.h"
#include "sim/random.h"
#include "sim/usage.h"

enum { CLIENT, WIRE, NIC, DMA, CPU, STACK, APP, COMPONENTS };
static const struct ledger_declaration table[] = {
    {"client", NULL, "Client", "wire client"}, {"wire", NULL, "Wire", "nic client"},
    {"nic", NULL, "NIC", "dma wire cpu"},      {"dma", "nic", "DMA", NULL},
    {"cpu", NULL, "Software", "nic"},          {"stack", "cpu", "Stack", "app nic nobody_declared_this"},
    {"app", "cpu", "Application", "stack"},    {0},
};
static ledger_component c[COMPONENTS];

static struct ledger *setup(void) {
    ledger_declare_all(table, c);
    struct ledger *ledger = ledger_create("test");
    ledger_record(ledger, true);
    return ledger;
}

Test(ledger, parts_sum_to_the_latency_exactly) {
    struct ledger *ledger = setup();
    const ledger_component rows[] = {c[STACK], c[APP]};
    const size_t group = ledger_group_add(ledger, rows, 2);
    struct request *r = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, 100);
    ledger_hand_over_at(r, c[CLIENT], c[WIRE], LEDGER_WAITING, 110);
    ledger_turn_at(r, LEDGER_SERVICE, 115);
    ledger_hand_over_at(r, c[WIRE], c[NIC], LEDGER_SERVICE, 130);
    ledger_hand_over_at(r, c[NIC], c[DMA], LEDGER_SERVICE, 131);
    ledger_hand_over_at(r, c[DMA], c[STACK], LEDGER_SERVICE, 140);
    ledger_hand_over_at(r, c[STACK], c[APP], LEDGER_SERVICE, 150);
    ledger_hand_over_at(r, c[APP], c[STACK], LEDGER_SERVICE, 157);
    ledger_hand_over_at(r, c[STACK], c[NIC], LEDGER_SERVICE, 160);
    ledger_hand_over_at(r, c[NIC], c[WIRE], LEDGER_SERVICE, 161);
    ledger_hand_over_at(r, c[WIRE], c[CLIENT], LEDGER_SERVICE, 190);
    ledger_end(r, c[CLIENT], 200);
    cr_assert_eq(ledger_completed(ledger), 1);
    cr_assert_eq(ledger_latency(ledger)->maximum, 100);
    cr_assert_eq(ledger_spent(ledger, c[WIRE], LEDGER_WAITING)->maximum, 5);
    cr_assert_eq(ledger_spent(ledger, c[WIRE], LEDGER_SERVICE)->maximum, 15 + 29);
    cr_assert_eq(ledger_spent(ledger, c[NIC], LEDGER_KINDS)->maximum, 1 + 9 + 1);
    cr_assert_eq(ledger_spent(ledger, c[DMA], LEDGER_KINDS)->maximum, 9);
    cr_assert_eq(ledger_spent(ledger, c[CPU], LEDGER_KINDS)->maximum, 10 + 7 + 3);
    cr_assert_eq(ledger_group_spent(ledger, group)->maximum, 20);
    cr_assert_eq(ledger_audit(ledger, 200), 0);
    ledger_free(ledger);
}

Test(ledger, random_lives_tile) {
    struct ledger *ledger = setup();
    random_seed(1);
    struct random_stream *stream = random_stream_create("lives");
    histogram_sum latencies = 0;
    for (int life = 0; life < 2000; life++) {
        sim_time now = (sim_time)life * 1000;
        struct request *r = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, now);
        const uint64_t steps = random_below(stream, 40);
        for (uint64_t i = 0; i < steps; i++) {
            const ledger_component to = (ledger_component)(1 + random_below(stream, COMPONENTS));
            now += random_below(stream, 50);
            if (ledger_allows(r->owner, to)) {
                ledger_hand_over_at(r, r->owner, to, random_below(stream, 2) ? LEDGER_SERVICE : LEDGER_WAITING, now);
            }
        }
        latencies += now - r->born;
        ledger_end(r, r->owner, now);
    }
    histogram_sum parts = 0;
    for (ledger_component i = 1; i <= ledger_component_count(); i++) {
        parts += ledger_sum(ledger, i, LEDGER_WAITING) + ledger_sum(ledger, i, LEDGER_SERVICE);
    }
    cr_assert(parts == latencies);
    cr_assert(ledger_latency(ledger)->sum == latencies);
    cr_assert_eq(ledger_spent(ledger, c[APP], LEDGER_KINDS)->count, 2000);
    cr_assert_eq(ledger_audit(ledger, 0), 0);
}

Test(ledger, only_the_owner_hands_over, .signal = SIGABRT) {
    struct ledger *ledger = setup();
    struct request *r = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, 0);
    ledger_hand_over_at(r, c[WIRE], c[NIC], LEDGER_SERVICE, 1);
}

Test(ledger, the_sequence_must_be_declared, .signal = SIGABRT) {
    struct ledger *ledger = setup();
    struct request *r = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, 0);
    ledger_hand_over_at(r, c[CLIENT], c[APP], LEDGER_SERVICE, 1);
}

Test(ledger, time_does_not_run_backwards, .signal = SIGABRT) {
    struct ledger *ledger = setup();
    struct request *r = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, 10);
    ledger_hand_over_at(r, c[CLIENT], c[WIRE], LEDGER_SERVICE, 9);
}

Test(ledger, who_ends_must_own, .signal = SIGABRT) {
    struct ledger *ledger = setup();
    struct request *r = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, 0);
    ledger_end(r, c[WIRE], 5);
}

Test(ledger, dropped_requests_are_counted_and_in_no_distribution) {
    struct ledger *ledger = setup();
    for (int i = 0; i < 3; i++) {
        struct request *r = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, 0);
        ledger_hand_over_at(r, c[CLIENT], c[WIRE], LEDGER_SERVICE, 1);
        ledger_abandon(r, i == 0 ? "queue full" : "no route", 2);
    }
    const struct ledger_drop *drops;
    cr_assert_eq(ledger_drops(ledger, &drops), 2);
    cr_assert_eq(drops[0].count, 1);
    cr_assert_eq(drops[1].count, 2);
    cr_assert_eq(drops[1].owner, c[WIRE]);
    cr_assert_eq(ledger_completed(ledger), 0);
    cr_assert_eq(ledger_live(ledger), 0);
}

static unsigned came_back;
static void take_back(void *keeper, struct request *request) {
    cr_assert_eq(keeper, &came_back);
    cr_assert_eq(request->owner, ledger_retransmit());
    came_back++;
}

/* A reliable protocol's: dropped twice, sent again each time, and its latency is whole. */
Test(ledger, a_kept_request_survives_its_drops) {
    struct ledger *ledger = setup();
    struct request *r = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, 0);
    for (unsigned i = 0; i < 2; i++) {
        const sim_time at = 100 * (i + 1);
        ledger_hand_over_at(r, i == 0 ? c[CLIENT] : ledger_retransmit(), i == 0 ? c[WIRE] : c[CLIENT], LEDGER_SERVICE,
                            at);
        ledger_keep(r, take_back, &came_back);
        ledger_abandon(r, "full", at + 10);
        cr_assert_eq(came_back, i + 1);
        cr_assert_eq(ledger_live(ledger), 1U);
    }
    ledger_hand_over_at(r, ledger_retransmit(), c[CLIENT], LEDGER_SERVICE, 300);
    ledger_end(r, c[CLIENT], 320);
    cr_assert_eq(ledger_completed(ledger), 1U);
    cr_assert_eq((uint64_t)ledger_latency(ledger)->sum, 320U);
    cr_assert_eq((uint64_t)ledger_sum(ledger, ledger_retransmit(), LEDGER_WAITING), 90U + 90U);
    const struct ledger_drop *drops = NULL;
    cr_assert_eq(ledger_drops(ledger, &drops), 2U, "one where the wire had it, one where the client had it");
    cr_assert_eq(ledger_audit(ledger, 320), 0U);
    ledger_free(ledger);
}

Test(ledger, what_nobody_keeps_any_more_ends_with_its_drop) {
    struct ledger *ledger = setup();
    struct request *r = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, 0);
    ledger_keep(r, take_back, &came_back);
    ledger_keep(r, NULL, NULL);
    ledger_abandon(r, "full", 10);
    struct request *other = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, 20);
    ledger_keep(other, take_back, &came_back);
    ledger_give_up(other, "closed", 30);
    cr_assert_eq(came_back, 0U);
    cr_assert_eq(ledger_live(ledger), 0U);
    ledger_free(ledger);
}

Test(ledger, the_branch_that_finishes_last_continues_the_trunk) {
    struct ledger *ledger = setup();
    struct request *trunk = ledger_begin(ledger, c[NIC], LEDGER_SERVICE, 0);
    struct request *a = ledger_fork(trunk, 10);
    struct request *b = ledger_fork(trunk, 10);
    ledger_hand_over_at(a, c[NIC], c[DMA], LEDGER_SERVICE, 12);
    ledger_hand_over_at(b, c[NIC], c[DMA], LEDGER_WAITING, 14);
    ledger_release(a, 20);
    ledger_turn_at(b, LEDGER_SERVICE, 25);
    ledger_join(trunk, b, 30);
    ledger_hand_over_at(trunk, c[DMA], c[WIRE], LEDGER_SERVICE, 30);
    ledger_end(trunk, c[WIRE], 31);
    cr_assert_eq(ledger_latency(ledger)->maximum, 31);
    cr_assert_eq(ledger_spent(ledger, c[DMA], LEDGER_WAITING)->maximum, 11);
    cr_assert_eq(ledger_spent(ledger, c[DMA], LEDGER_SERVICE)->maximum, 5);
    cr_assert_eq(ledger_audit(ledger, 31), 0);
}

Test(ledger, warm_up_is_not_measured) {
    struct ledger *ledger = setup();
    ledger_record(ledger, false);
    struct request *r = ledger_begin(ledger, c[CLIENT], LEDGER_SERVICE, 0);
    ledger_record(ledger, true);
    ledger_end(r, c[CLIENT], 5);
    cr_assert_eq(ledger_completed(ledger), 0);
}

Test(usage, busy_plus_idle_is_elapsed) {
    (void)setup();
    struct usage usage;
    usage_init(&usage, 0);
    usage_switch(&usage, c[APP], 10);
    usage_switch(&usage, 0, 25);
    usage_book(&usage, c[DMA], 30, 50);
    usage_book(&usage, c[DMA], 50, 51);
    usage_close(&usage, 60);
    cr_assert_eq(usage.spent[c[APP]], 15);
    cr_assert_eq(usage.spent[c[DMA]], 21);
    cr_assert_eq(usage.spent[0], 24);
    cr_assert_eq(usage_elapsed(&usage), 60);
    usage_reset(&usage, 60);
    usage_close(&usage, 70);
    cr_assert_eq(usage.spent[0], 10);
}
