/* test_download_bind.c: downloaded code under capabilities, on both kernels. */
#include "kernel_model/exo/download_bind.h"
#include "kernel_model/exo/memory.h"
#include "tests/kernel_model/aegis_fixture.h"

typedef struct download_instruction instruction;
#define I(name, a, b, c, immediate)                                                                                    \
    { OPERATION_##name, (a), (b), (c), (immediate) }

/* Stores a word into region 1 and has dealt with the packet. */
static const instruction marks[] = {I(set, 0, 0, 0, 0), I(set, 1, 0, 0, 7), I(store32, 1, 0, 1, 0),
                                    I(return_value, 1, 0, 0, 0)};
static const instruction nonzero[] = {I(set, 0, 0, 0, 0), I(load32, 0, 0, 0, 0), I(return_value, 0, 0, 0, 0)};

static struct exo_kernel *kernel;
static struct exo_bound_downloads *downloads;
static struct download_costs code_costs;
static struct exo_costs x86_costs;
static struct exo_environment *alice, *bob;
static struct exo_region own, foreign;
static struct exo_handle filter;
static uint32_t filter_number, delivered, woken;
static uint64_t packet;
static struct error error;

static void deliver(void *context, uint32_t owner, uint32_t number, uint64_t physical, uint32_t length_bytes,
                    struct request *request) {
    (void)context, (void)number, (void)physical, (void)length_bytes, (void)request;
    delivered = owner;
}

static void wake(void *context, uint32_t environment) {
    (void)context;
    woken = environment;
}

static void make_x86(void) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    random_seed(1);
    machine_declare_components();
    system_declare_components();
    exo_declare_components();
    struct config *text = config_parse("machine.yaml", "memory: {size: 16 MiB}\n", &diagnostics);
    cr_assert(text != NULL && machine_create(config_root(text), &machine, &diagnostics));
    kernel = exo_kernel_create(machine, &x86_costs, EXO_IDLE_HALT, &error);
}

/* Alice and Bob with a frame each; Alice with a filter for UDP port 7. */
static void make(bool on_aegis) {
    if (on_aegis) {
        fixture_make();
        kernel = aegis->kernel;
    } else {
        make_x86();
    }
    download_costs_default(&code_costs);
    const struct exo_bound_downloads_config with = {.packets = {.memory = machine->memory,
                                                                .costs = &code_costs,
                                                                .engine = DOWNLOAD_MERGED,
                                                                .handler_limit_cycles = 2000,
                                                                .deliver = deliver},
                                                    .predicate_limit_cycles = 2000,
                                                    .woken = wake};
    downloads = exo_bound_downloads_create(kernel, &with);
    const struct exo_limits limits = exo_limits_default();
    alice = exo_environment_create(kernel, "alice", &limits, &error);
    bob = exo_environment_create(kernel, "bob", &limits, &error);
    struct exo_region buffer;
    cr_assert_eq(exo_memory_allocate(bob, 0, 4096, &buffer, &error), OK, "%s", error.text);
    cr_assert_eq(exo_memory_allocate(bob, 0, 4096, &foreign, &error), OK, "%s", error.text);
    cr_assert_eq(exo_memory_allocate(alice, 0, 8192, &own, &error), OK, "%s", error.text);
    packet = buffer.physical;
    cr_assert_eq(exo_bound_filter_text(downloads, alice, NULL, "udp dst port 7", &filter_number, &filter, &error), OK,
                 "%s", error.text);
}

static enum exo_packet_fate arrive(void) {
    uint8_t bytes[64] = {[12] = 8, [14] = 0x45, [23] = 17, [37] = 7};
    delivered = 0;
    memory_write(machine->memory, packet, bytes, sizeof bytes);
    return exo_download_packet(exo_bound_packets(downloads), NULL, packet, sizeof bytes, NULL);
}

static enum error_code attach(struct exo_environment *environment, uint64_t physical) {
    const struct download_region region = {physical, 64, true};
    return exo_bound_handler(downloads, environment, &filter, marks, 4, &region, 1, &error);
}

static void handlers_write_their_environment_s_memory_alone(bool on_aegis) {
    make(on_aegis);
    cr_assert_eq(attach(alice, foreign.physical), ERR_DENIED);
    cr_assert_eq(attach(alice, own.physical + 8192 - 32), ERR_DENIED, "half of it is not hers");
    cr_assert_eq(attach(alice, UINT64_MAX - 32), ERR_DENIED);
    struct exo_handle lent;
    cr_assert_eq(exo_derive(bob, &foreign.handle, EXO_READ, alice, &lent, &error), OK);
    cr_assert_eq(attach(alice, foreign.physical), ERR_DENIED, "to read, not to write");
    cr_assert_eq(attach(bob, own.physical), ERR_DENIED, "the filter is not his");
    cr_assert_eq(bob->counters.refused[EXO_NOT_HOLDER], 1);
    cr_assert_eq(arrive(), EXO_PACKET_DELIVERED);
    cr_assert_eq(delivered, alice->number);
    cr_assert_eq(attach(alice, own.physical + 4096 - 32), OK, "across two of hers: %s", error.text);
    cr_assert_eq(arrive(), EXO_PACKET_HANDLED);
    cr_assert_eq(memory_read32(machine->memory, own.physical + 4096 - 32), 7);
}

static void revoked_memory_takes_the_handler_off(bool on_aegis) {
    make(on_aegis);
    cr_assert_eq(attach(alice, own.physical), OK, "%s", error.text);
    cr_assert_eq(exo_revoke(bob, &foreign.handle, &error), OK);
    cr_assert_eq(arrive(), EXO_PACKET_HANDLED, "that was none of it");
    cr_assert_eq(exo_revoke(alice, &own.handle, &error), OK);
    cr_assert_eq(exo_memory_allocate(bob, own.physical, 4096, &foreign, &error), OK, "%s", error.text);
    cr_assert_eq(arrive(), EXO_PACKET_DELIVERED);
    cr_assert_eq(memory_read32(machine->memory, foreign.physical), 0, "it wrote into Bob's frame");
}

static void an_end_takes_filters_along(bool on_aegis) {
    make(on_aegis);
    struct exo_handle other;
    uint32_t number = 0;
    cr_assert_eq(attach(alice, own.physical), OK);
    cr_assert_eq(exo_bound_filter_text(downloads, bob, NULL, "udp dst port 7", &number, &other, &error), ERR_OVERLAP);
    exo_environment_destroy(alice);
    cr_assert_eq(arrive(), EXO_PACKET_UNCLAIMED);
    cr_assert_eq(exo_bound_filter_text(downloads, bob, NULL, "udp dst port 7", &number, &other, &error), OK);
    cr_assert_eq(arrive(), EXO_PACKET_DELIVERED);
    cr_assert_eq(exo_revoke(bob, &other, &error), OK);
    cr_assert_eq(arrive(), EXO_PACKET_UNCLAIMED, "revoked, it is gone");
}

static void predicates_read_what_their_environment_holds(bool on_aegis) {
    make(on_aegis);
    const struct download_region mine = {own.physical, 64, false}, his = {foreign.physical, 64, false};
    struct exo_handle lent;
    cr_assert_eq(exo_bound_wait(downloads, alice, nonzero, 3, &his, 1, &error), ERR_DENIED);
    cr_assert_eq(exo_bound_wait(downloads, alice, nonzero, 3, &mine, 0, &error), ERR_RANGE);
    cr_assert_eq(exo_derive(bob, &foreign.handle, EXO_READ, alice, &lent, &error), OK);
    cr_assert_eq(exo_bound_wait(downloads, alice, nonzero, 3, &his, 1, &error), OK, "%s", error.text);
    cr_assert_eq(exo_revoke(bob, &foreign.handle, &error), OK);
    cr_assert_eq(woken, alice->number, "it would sleep on another's memory");
    cr_assert_eq(exo_bound_wait(downloads, alice, nonzero, 3, &mine, 1, &error), OK, "it does not sleep: %s",
                 error.text);
}

Test(download_bind, x86_handlers_write_their_own) {
    handlers_write_their_environment_s_memory_alone(false);
}
Test(download_bind, aegis_handlers_write_their_own) {
    handlers_write_their_environment_s_memory_alone(true);
}
Test(download_bind, x86_revoked_memory_takes_the_handler_off) {
    revoked_memory_takes_the_handler_off(false);
}
Test(download_bind, aegis_revoked_memory_takes_the_handler_off) {
    revoked_memory_takes_the_handler_off(true);
}
Test(download_bind, x86_an_end_takes_filters_along) {
    an_end_takes_filters_along(false);
}
Test(download_bind, aegis_an_end_takes_filters_along) {
    an_end_takes_filters_along(true);
}
Test(download_bind, x86_predicates_read_their_own) {
    predicates_read_what_their_environment_holds(false);
}
Test(download_bind, aegis_predicates_read_their_own) {
    predicates_read_what_their_environment_holds(true);
}
Test(download_bind, ends_after_the_kernel) {
    make(false);
    cr_assert_eq(attach(alice, own.physical), OK);
    exo_kernel_free(kernel);
    exo_bound_downloads_free(downloads);
}
