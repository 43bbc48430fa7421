/* test_epoll.c: event sets as programs see them, on both systems. */
#include "tests/experiment/tcp_bench.h"

static const char linux_entry[] = "type: linux, profile: {include: profiles/linux-3.8.yaml}";
static const char libos_entry[] = "type: arrakis_posix, buffers: 4096, profile: {include: profiles/arrakis-2014.yaml}";

static struct system_socket *listener, *connections[8];
static struct system_event_set *set;
static unsigned accepted, served, closed;
static sim_time woken_at;

static const struct system_ops *ops(void) {
    return bench.system->ops;
}

static void listen_with_set(struct system_thread *thread) {
    cr_assert_eq(ops()->socket_listen_tcp(thread, 7, 16, &listener), OK);
    cr_assert_eq(ops()->event_set_create(thread, &set), OK);
    cr_assert_eq(ops()->event_set_add(thread, set, listener, &listener), OK);
    cr_assert_eq(ops()->event_set_add(thread, set, listener, &listener), ERR_EXISTS);
}

static unsigned wait_for(struct system_thread *thread, struct system_event *events, unsigned capacity) {
    unsigned count = 0;
    cr_assert_eq(ops()->event_wait(thread, set, SYSTEM_WAIT_BLOCK, events, capacity, &count), OK);
    cr_assert(count >= 1 && count <= capacity);
    return count;
}

static struct system_socket *accept_one(struct system_thread *thread) {
    struct system_event event;
    (void)wait_for(thread, &event, 1);
    cr_assert_eq(event.user, &listener);
    cr_assert_eq(event.ready, (unsigned)SYSTEM_ACCEPTABLE);
    struct system_socket *connection = NULL;
    cr_assert_eq(ops()->socket_accept(thread, listener, &connection), OK);
    cr_assert_eq(ops()->socket_accept(thread, listener, &connections[7]), ERR_AGAIN);
    cr_assert_eq(ops()->event_set_add(thread, set, connection, connection), OK);
    accepted++;
    return connection;
}

/* What was not read, or read in part, is reported again; what was read is not. */
static void level_triggered(struct system_thread *thread, void *argument) {
    (void)argument;
    struct system_buffer buffer;
    struct system_event event;
    listen_with_set(thread);
    cr_assert_eq(ops()->buffer_create(thread, 100, &buffer), OK);
    struct system_socket *connection = accept_one(thread);
    for (;;) {
        for (unsigned i = 0; i < 3; i++) {
            (void)wait_for(thread, &event, 1);
            cr_assert_eq(event.user, connection);
            cr_assert_eq(event.ready, (unsigned)SYSTEM_READABLE);
        }
        buffer.capacity_bytes = 60;
        cr_assert_eq(ops()->receive(thread, connection, &buffer), OK);
        cr_assert_eq(buffer.length_bytes, 60U);
        cr_assert_null(buffer.request, "the request comes with the message's end");
        (void)wait_for(thread, &event, 1);
        cr_assert_eq(event.user, connection);
        struct system_buffer rest = {.physical = buffer.physical + 60, .capacity_bytes = 40};
        cr_assert_eq(ops()->receive(thread, connection, &rest), OK);
        cr_assert_eq(rest.length_bytes, 40U);
        cr_assert_not_null(rest.request);
        cr_assert_eq(ops()->receive(thread, connection, &rest), ERR_AGAIN);
        rest.physical = buffer.physical;
        rest.length_bytes = 100;
        cr_assert_eq(ops()->send(thread, connection, &rest, rest.peer), OK);
        served++;
    }
}

static void run_level_triggered(const char *entry) {
    tcp_bench_body = level_triggered;
    tcp_bench_build(entry, "payload: 100 B", "hosts: 1");
    tcp_bench_run(3 * SIM_MS);
    cr_assert_gt(served, 50U);
    cr_assert_eq(accepted, 1U);
    cr_assert_leq(served - client_stats(bench.client).completed, 1U);
    cr_assert_eq(client_stats(bench.client).mismatched, 0U);
}
Test(epoll, linux_is_level_triggered) {
    run_level_triggered(linux_entry);
}
Test(epoll, libos_is_level_triggered) {
    run_level_triggered(libos_entry);
}

/* Two threads wait for one set: what comes wakes one of them, not both. */
static void herd(struct system_thread *thread, void *argument) {
    (void)argument;
    struct system_event event;
    struct system_buffer buffer;
    cr_assert_eq(ops()->buffer_create(thread, 100, &buffer), OK);
    if (listener == NULL) {
        listen_with_set(thread);
    }
    for (;;) {
        (void)wait_for(thread, &event, 1);
        if (event.user == &listener) {
            struct system_socket *connection = NULL;
            if (ops()->socket_accept(thread, listener, &connection) == OK) {
                cr_assert_eq(ops()->event_set_add(thread, set, connection, connection), OK);
            }
        } else if (ops()->receive(thread, event.user, &buffer) == OK) {
            served++;
            cr_assert_eq(ops()->send(thread, event.user, &buffer, buffer.peer), OK);
        }
    }
}

static void second_comes_later(struct system_thread *thread, void *argument) {
    static bool first_is_here;
    if (first_is_here) {
        ops()->compute(thread, NULL, 50 * SIM_US);
    }
    first_is_here = true;
    herd(thread, argument);
}

Test(epoll, linux_wakes_one_of_a_herd) {
    tcp_bench_body = second_comes_later;
    tcp_bench_threads = 2;
    tcp_bench_build(linux_entry, "payload: 100 B", "think: 100 us");
    tcp_bench_run(2 * SIM_MS);
    ops()->reset_stats(bench.system);
    const unsigned before = served;
    tcp_bench_run(20 * SIM_MS);
    const uint64_t messages = served - before;
    cr_assert_gt(messages, 100U);
    cr_assert_leq(tcp_bench_counter("linux", "wakeups"), messages + 1);
    cr_assert_geq(tcp_bench_counter("linux", "wakeups"), messages - 1);
}

/* The server closes: the peer acknowledges, what it still sends is refused. */
static void closes(struct system_thread *thread, void *argument) {
    (void)argument;
    struct system_event event;
    struct system_buffer buffer;
    listen_with_set(thread);
    cr_assert_eq(ops()->buffer_create(thread, 100, &buffer), OK);
    struct system_socket *connection = accept_one(thread);
    (void)wait_for(thread, &event, 1);
    cr_assert_eq(ops()->receive(thread, connection, &buffer), OK);
    cr_assert_eq(ops()->send(thread, connection, &buffer, buffer.peer), OK);
    cr_assert_eq(ops()->socket_close(thread, connection), OK);
    closed++;
    woken_at = sim_now();
    (void)wait_for(thread, &event, 1); /* a closed socket is in no set: nothing wakes it */
    cr_assert_fail("woken by %p", event.user);
}

static void run_closes(const char *entry) {
    tcp_bench_body = closes;
    tcp_bench_build(entry, "payload: 100 B", "hosts: 1");
    tcp_bench_run(50 * SIM_MS);
    cr_assert_eq(closed, 1U);
    cr_assert_geq(client_stats(bench.client).completed, 1U);
}
Test(epoll, linux_closes) {
    run_closes(linux_entry);
}
Test(epoll, libos_closes) {
    run_closes(libos_entry);
}

/* A backlog of one: the second SYN is ignored, and comes again a second later. */
static void accepts_nobody(struct system_thread *thread, void *argument) {
    (void)argument;
    cr_assert_eq(ops()->socket_listen_tcp(thread, 7, 1, &listener), OK);
    ops()->compute(thread, NULL, SIM_MS);
    struct system_socket *first = NULL, *second = NULL;
    cr_assert_eq(ops()->socket_accept(thread, listener, &first), OK);
    cr_assert_eq(ops()->socket_accept(thread, listener, &second), ERR_AGAIN);
    cr_assert_eq(ops()->socket_wait(thread, listener, SYSTEM_WAIT_BLOCK), OK);
    cr_assert_eq(ops()->socket_accept(thread, listener, &second), OK);
    accepted = 2;
    woken_at = sim_now();
}

Test(epoll, a_full_backlog_turns_away) {
    tcp_bench_body = accepts_nobody;
    tcp_bench_build(linux_entry, "payload: 100 B, connections: 2", "hosts: 1");
    tcp_bench_run(2 * SIM_S);
    cr_assert_eq(accepted, 2U);
    cr_assert_gt(woken_at, SIM_S);
    cr_assert_eq(tcp_bench_counter("linux", "tcp_backlog_drops"), 1U);
}
