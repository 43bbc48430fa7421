/* exos_udp_operations.c: Table 11: a datagram to the far end of a wire and back, by the
 * library or by a handler that it downloads. Both ends are the same system; the far one
 * answers, beside other programs if there are any. */
#include "kernel_model/common/system.h"
#include "kernel_model/exo/slice.h"
#include "libos_model/exos/exos.h"

enum { PORT = 7, NEAR_ADDRESS = 0x0a000001, FAR_ADDRESS = 0x0a000002 };
static const uint8_t stations[2][6] = {{8, 0, 0x2b, 0, 0, 1}, {8, 0, 0x2b, 0, 0, 2}};

static struct exos_system *system_of(struct operations *base) {
    return (struct exos_system *)base;
}

/* ---- who is needed ---- */

static void spin(struct aegis_environment *environment) {
    const struct exos_system *system = environment->state;
    for (;;) {
        cpu_charge_time(context_current(), system->config.quantum);
        cpu_run(context_current());
    }
}

static void on_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    struct exos_system *system = environment->state;
    if (notice == AEGIS_SLICE_END) {
        exos_slice_end(environment, &system->profile.exos);
    }
}

static const struct aegis_program other_program = {.name = "other", .main = spin, .notice = on_notice};

static enum error_code make_others(struct exos_system *system, struct error *error) {
    struct exo_limits limits = exo_limits_default();
    enum error_code code = OK;
    for (uint64_t i = 0; i < system->plan.others && code == OK; i++) {
        struct exo_handle slice;
        struct aegis_environment *other =
            aegis_environment_create(system->aegis, other_program.name, &limits, &other_program, system, error);
        code = other != NULL ? aegis_slice_allocate(other, AEGIS_ANY_POSITION, &slice, error) : error->code;
    }
    return code;
}

static struct net_udp remote(bool answers) {
    struct net_udp udp = {.source_port = PORT, .destination_port = PORT};
    udp.source_ip = answers ? FAR_ADDRESS : NEAR_ADDRESS;
    udp.destination_ip = answers ? NEAR_ADDRESS : FAR_ADDRESS;
    for (size_t i = 0; i < sizeof udp.source_mac; i++) {
        udp.source_mac[i] = stations[answers ? 1 : 0][i];
        udp.destination_mac[i] = stations[answers ? 0 : 1][i];
    }
    return udp;
}

/* A datagram's first word counts the wire's crossings; the last one is the library's. */
static uint32_t last_crossing(const struct exos_system *system) {
    return (uint32_t)(2 * system->plan.round_trips);
}

enum error_code exos_make_network(struct exos_system *system, struct error *error) {
    const bool answers = system->plan.answers;
    if (!exos_is_planned(system, exos_run_udp, NULL)) {
        return OK;
    }
    if (!system->profile.has_network) {
        return error_set(error, ERR_UNSUPPORTED, "the profile has no sections udp, lance and download");
    }
    enum error_code code =
        aegis_network_create(system->aegis, &system->profile.network, stations[answers ? 1 : 0], error);
    if (code == OK) {
        system->udp = (struct exos_udp){.environment = system->measured,
                                        .costs = &system->profile.udp,
                                        .remote = remote(answers),
                                        .sleeps = system->config.wake_predicates};
        code = exos_udp_open(&system->udp, error);
    }
    if (code == OK && system->config.packet_handlers) {
        code = exos_udp_download(&system->udp, answers ? UINT32_MAX : last_crossing(system), error);
    }
    return code == OK && answers ? make_others(system, error) : code;
}

/* ---- the two ends ---- */

static void send(struct exos_system *system, const uint32_t *words) {
    const enum error_code code = exos_udp_send(&system->udp, words);
    SIM_ASSERT_MSG(code == OK, "a datagram cannot be sent");
}

/* All the round trips of a repetition. With a handler at both ends only the first send
 * and the last receipt are the library's. */
void exos_run_udp(struct operations *base) {
    struct exos_system *system = system_of(base);
    uint32_t words[EXOS_DATAGRAM_WORDS] = {0};
    do {
        words[0]++;
        send(system, words);
        exos_udp_receive(&system->udp, words);
        (void)aegis_user_work(system->measured, system_components.app);
    } while (words[0] < last_crossing(system));
}

void exos_answer_udp(struct exos_system *system) {
    uint32_t words[EXOS_DATAGRAM_WORDS] = {0};
    while (!system->config.packet_handlers) { /* with a handler there is nothing to be done here */
        exos_udp_receive(&system->udp, words);
        words[0]++;
        send(system, words);
    }
}
