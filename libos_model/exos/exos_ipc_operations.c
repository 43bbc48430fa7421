/* exos_ipc_operations.c: Tables 8 and 12: the measured program and a partner, there and
 * back. */
#include "libos_model/exos/exos.h"

static struct exos_system *system_of(struct operations *base) {
    return (struct exos_system *)base;
}

/* ---- the partners' programs ---- */

/* As the measured program does. */
static void start(struct aegis_environment *environment) {
    const struct exos_system *system = environment->state;
    const enum error_code code = exos_start(environment, &system->profile.vm, NULL);
    SIM_ASSERT_MSG(code == OK, "a partner cannot begin");
}

static void answer_words(struct exos_ipc *ipc) {
    start(ipc->environment);
    for (;;) {
        uint32_t word = 0;
        (void)exos_pipe_read(ipc, EXOS_SHARED_REQUESTS, &word, 1);
        exos_pipe_write(ipc, EXOS_SHARED_REPLIES, &word, 1);
    }
}

static void pipe_main(struct aegis_environment *environment) {
    struct exos_system *system = environment->state;
    answer_words(&system->pipe.far);
}

static void stranger_main(struct aegis_environment *environment) {
    struct exos_system *system = environment->state;
    answer_words(&system->stranger.far);
}

static void trusted_main(struct aegis_environment *environment) {
    struct exos_system *system = environment->state;
    answer_words(&system->trusted.far);
}

static void counter_main(struct aegis_environment *environment) {
    struct exos_system *system = environment->state;
    start(environment);
    for (;;) {
        exos_counter_take(&system->counter.far, true);
    }
}

static void server_entered(struct aegis_environment *environment) {
    struct exos_system *system = environment->state;
    start(environment);
    while (exos_reply(&system->server.far) == OK) {
    }
}

static void on_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    struct exos_system *system = environment->state;
    if (notice == AEGIS_SLICE_END) {
        exos_slice_end(environment, &system->profile.exos);
    }
}

/* What a partner misses is what it shares, or its stack. */
static enum aegis_resume on_exception(struct aegis_environment *environment, const struct aegis_exception *exception) {
    struct exos_system *system = environment->state;
    struct exos_ipc *sides[] = {&system->pipe.far, &system->counter.far, &system->server.far, &system->stranger.far,
                                &system->trusted.far};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        if (sides[i]->environment == environment && exos_ipc_fault(sides[i], exception)) {
            return AEGIS_RETRY;
        }
    }
    return exos_skip(environment, &system->profile.exos);
}

bool exos_peers_fault(struct exos_system *system, const struct aegis_exception *exception) {
    struct exos_ipc *sides[] = {&system->pipe.near, &system->counter.near, &system->server.near, &system->stranger.near,
                                &system->trusted.near};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        if (sides[i]->environment != NULL && exos_ipc_fault(sides[i], exception)) {
            return true;
        }
    }
    return false;
}

static const struct aegis_program pipe_program = {
    .name = "pipe", .main = pipe_main, .exception = on_exception, .notice = on_notice};
static const struct aegis_program stranger_program = {
    .name = "stranger", .main = stranger_main, .exception = on_exception, .notice = on_notice};
static const struct aegis_program trusted_program = {
    .name = "trusted", .main = trusted_main, .exception = on_exception, .notice = on_notice};
static const struct aegis_program counter_program = {
    .name = "counter", .main = counter_main, .exception = on_exception, .notice = on_notice};
static const struct aegis_program server_program = {
    .name = "server", .entered = server_entered, .exception = on_exception};

/* ---- what is measured ---- */

static void pipe_there_and_back(struct exos_peer *peer, bool inlined) {
    struct exos_ipc *ipc = &peer->near;
    uint32_t word = 1;
    ipc->inlined = peer->far.inlined = inlined;
    exos_pipe_write(ipc, EXOS_SHARED_REQUESTS, &word, 1);
    (void)exos_pipe_read(ipc, EXOS_SHARED_REPLIES, &word, 1);
}

void exos_run_pipe(struct operations *base) {
    pipe_there_and_back(&system_of(base)->pipe, false);
}

void exos_run_pipe_inlined(struct operations *base) {
    pipe_there_and_back(&system_of(base)->pipe, true);
}

void exos_run_pipe_checked(struct operations *base) {
    pipe_there_and_back(&system_of(base)->stranger, true);
}

void exos_run_pipe_one_way(struct operations *base) {
    pipe_there_and_back(&system_of(base)->trusted, true);
}

/* Counts on, and waits until the other has. */
void exos_run_counter(struct operations *base) {
    struct exos_ipc *ipc = &system_of(base)->counter.near;
    exos_counter_take(ipc, false);
    exos_ipc_yield(ipc);
}

static void call(struct exos_system *system, bool trusting) {
    const enum error_code code = exos_call(&system->server.near, 1, trusting);
    SIM_ASSERT_MSG(code == OK, "the server cannot be entered");
}

void exos_run_call(struct operations *base) {
    call(system_of(base), false);
}

void exos_run_trusting_call(struct operations *base) {
    call(system_of(base), true);
}

/* ---- who is needed ---- */

bool exos_is_planned(const struct exos_system *system, operation_run *one, operation_run *other) {
    for (size_t i = 0; i < system->plan.count; i++) {
        if (system->plan.sequence[i]->run == one || system->plan.sequence[i]->run == other) {
            return true;
        }
    }
    return false;
}

static enum error_code make_peer(struct exos_system *system, struct exos_peer *peer,
                                 const struct aegis_program *program, struct error *error) {
    struct exo_limits limits = exo_limits_default();
    peer->environment = aegis_environment_create(system->aegis, program->name, &limits, program, system, error);
    if (peer->environment == NULL) {
        return error->code;
    }
    peer->near = (struct exos_ipc){.environment = system->measured, .costs = &system->profile.ipc};
    peer->near.shared = EXOS_SHARED_AT + system->shared_pages++ * AEGIS_PAGE;
    peer->far = (struct exos_ipc){.environment = peer->environment, .costs = &system->profile.ipc};
    peer->near.stack_handle = system->stack_handle;
    const bool one_way = peer == &system->trusted, apart = one_way || peer == &system->stranger;
    system->shared_pages += apart ? 1 : 0;
    const enum error_code code = (one_way ? exos_ipc_connect_one_way
                                  : apart ? exos_ipc_connect_apart
                                          : exos_ipc_connect)(&peer->near, &peer->far, error);
    system->stack_handle = peer->near.stack_handle;
    return code;
}

enum error_code exos_make_peers(struct exos_system *system, struct error *error) {
    enum error_code code = OK;
    if (exos_is_planned(system, exos_run_pipe, exos_run_pipe_inlined)) {
        code = make_peer(system, &system->pipe, &pipe_program, error);
    }
    if (code == OK && exos_is_planned(system, exos_run_pipe_checked, NULL)) {
        code = make_peer(system, &system->stranger, &stranger_program, error);
    }
    if (code == OK && exos_is_planned(system, exos_run_pipe_one_way, NULL)) {
        code = make_peer(system, &system->trusted, &trusted_program, error);
    }
    if (code == OK && exos_is_planned(system, exos_run_counter, NULL)) {
        code = make_peer(system, &system->counter, &counter_program, error);
    }
    if (code == OK && exos_is_planned(system, exos_run_call, exos_run_trusting_call)) {
        code = make_peer(system, &system->server, &server_program, error);
    }
    return code;
}
