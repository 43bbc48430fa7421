#include "libos_model/exos/stride.h"
#include "kernel_model/exo/aegis_user.h"

#include "kernel_model/exo/slice.h"
#include "libos_model/exos/exos.h"

void stride_add(struct stride *stride, struct aegis_environment *environment, uint64_t tickets) {
    SIM_ASSERT(stride->count < STRIDE_CLIENTS_MAX && tickets > 0);
    stride->clients[stride->count++] = (struct stride_client){.environment = environment, .tickets = tickets};
}

/* The one with the least pass; the first of several. */
static size_t least(const struct stride *stride) {
    size_t best = 0;
    for (size_t i = 1; i < stride->count; i++) {
        best = stride->clients[i].pass < stride->clients[best].pass ? i : best;
    }
    return best;
}

static void remove_client(struct stride *stride, size_t index) {
    stride->count--;
    for (size_t i = index; i < stride->count; i++) {
        stride->clients[i] = stride->clients[i + 1];
    }
}

static void stride_main(struct aegis_environment *environment) {
    struct stride *stride = environment->state;
    while (stride->count > 0) {
        const size_t index = least(stride);
        struct stride_client *client = &stride->clients[index];
        stride->costs->stride_pick.uses++;
        aegis_user_execute(environment, stride->costs->stride_pick.cycles);
        const sim_time before = client->environment->used;
        client->slices++;
        if (aegis_yield(environment, client->environment) != OK) {
            remove_client(stride, index);
        } else {
            client->pass += (client->environment->used - before) / client->tickets;
        }
    }
}

const struct aegis_program stride_program = {.name = "stride", .main = stride_main};
