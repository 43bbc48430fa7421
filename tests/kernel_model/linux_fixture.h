/* linux_fixture.h: a machine with Linux on it, and a client at the far end of its
 * NIC's link. One a test: each test is a process of its own. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_LINUX_FIXTURE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_LINUX_FIXTURE_H

#include "hw/machine.h"
#include "hw/wire.h"
#include "kernel_model/linux/linux_system.h"
#include "sim/config.h"
#include "sim/engine.h"
#include "sim/ledger.h"
#include "stack/net_headers.h"

enum { LINUX_FIXTURE_PORT = 7, LINUX_FIXTURE_CLIENT_PORT = 40000 };

struct linux_fixture {
    struct config *config;
    struct diagnostics diagnostics;
    struct machine *machine;
    struct system *system;
    struct system_process *process;
    struct link *link;
    struct port client;
    struct ledger *ledger;
    ledger_component component;
    /* what came back */
    uint64_t replies, bad_replies;
    struct net_udp reply;
    uint8_t reply_payload[1500];
    /* a flood */
    struct sim_event flood;
    sim_time flood_interval;
    uint64_t flood_left;
    uint16_t port, client_port; /* that the client sends to, and from */
    uint32_t payload_bytes;
    uint64_t sent;
};

/* An echo server's thread. */
struct linux_fixture_echo {
    uint16_t port;
    enum system_wait wait;
    sim_time processing;
    uint64_t served;
};

/* Builds machine and system from the checked-in profile, with `settings` (ended by
 * NULL) applied as by --set. Returns false, with diagnostics, if that is refused. */
bool linux_fixture_open(struct linux_fixture *fixture, const char *const settings[]);
/* The same with a drive and a storage stack: a RAM disk of 16 MiB with ext4, unless the
 * settings say otherwise. */
bool linux_fixture_open_storage(struct linux_fixture *fixture, const char *const settings[]);
void linux_fixture_close(struct linux_fixture *fixture);

/* Sends one datagram now; its payload is a pattern that its number seeds. */
void linux_fixture_send(struct linux_fixture *fixture);
void linux_fixture_flood(struct linux_fixture *fixture, sim_time interval, uint64_t count);
/* The byte at an offset of the payload of datagram `number` (from 1). */
uint8_t linux_fixture_byte(uint64_t number, uint32_t offset);

/* Runs for so long. */
void linux_fixture_run(sim_time duration);
uint64_t linux_fixture_counter(const struct linux_fixture *fixture, const char *counter);
/* Mean over the measured requests, in fs. */
double linux_fixture_spent(struct linux_fixture *fixture, const char *component, enum ledger_kind kind);

/* A thread's body: `argument` is a struct linux_fixture_echo. */
void linux_fixture_echo_main(struct system_thread *thread, void *argument);
struct system_thread *linux_fixture_thread(struct linux_fixture *fixture, unsigned core,
                                           void (*body)(struct system_thread *thread, void *argument), void *argument);

#endif
