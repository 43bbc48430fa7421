/* test_flash_path.c: the planned times are those of a simulation with an event for every
 * step: dies and channels that serve first come, first served, written again here. The times share
 * no common unit, so that few things become ready at one instant. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/hw/flash_fixture.h"

enum { COMMANDS = 4000, CHANNELS = 2, DIES = 8, STRIPE_UNITS = 4, STRIPE_BYTES = 16384 };

/* ---- The simulation step by step ---- */

enum step { ARRIVES, HAS_CHANNEL_BEFORE, IN_ARRAY, HAS_CHANNEL_AFTER };

struct customer;
struct line {
    struct customer *waiting[2 * COMMANDS]; /* of a channel, each may wait twice */
    unsigned first, end;
    bool is_busy;
};
struct customer {
    struct line *die, *channel;
    struct sim_event event;
    sim_time before, array, after; /* on the channel; in the array; on the channel again */
    enum step step;
    sim_time completed;
};

static void next_on_channel(struct line *channel) {
    if (!channel->is_busy && channel->first < channel->end) {
        struct customer *customer = channel->waiting[channel->first++];
        channel->is_busy = true;
        sim_schedule(&customer->event, customer->step == HAS_CHANNEL_BEFORE ? customer->before : customer->after);
    }
}

static void want_channel(struct customer *customer, enum step step) {
    customer->step = step;
    customer->channel->waiting[customer->channel->end++] = customer;
    next_on_channel(customer->channel);
}

static void enter_array(struct customer *customer) {
    customer->step = IN_ARRAY;
    sim_schedule(&customer->event, customer->array);
}

static void next_on_die(struct line *die) {
    if (die->is_busy || die->first == die->end) {
        return;
    }
    struct customer *customer = die->waiting[die->first++];
    die->is_busy = true;
    if (customer->before > 0) {
        want_channel(customer, HAS_CHANNEL_BEFORE);
    } else {
        enter_array(customer);
    }
}

static void leave_die(struct customer *customer) {
    customer->completed = sim_now();
    customer->die->is_busy = false;
    next_on_die(customer->die);
}

static void customer_event(void *context) {
    struct customer *customer = context;
    switch (customer->step) {
    case ARRIVES:
        customer->die->waiting[customer->die->end++] = customer;
        next_on_die(customer->die);
        break;
    case HAS_CHANNEL_BEFORE:
        customer->channel->is_busy = false;
        enter_array(customer);
        next_on_channel(customer->channel);
        break;
    case IN_ARRAY:
        if (customer->after > 0) {
            want_channel(customer, HAS_CHANNEL_AFTER);
        } else {
            leave_die(customer);
        }
        break;
    case HAS_CHANNEL_AFTER:
        customer->channel->is_busy = false;
        leave_die(customer);
        next_on_channel(customer->channel);
        break;
    }
}

/* ---- Both, with the same commands ---- */

struct both {
    struct line dies[DIES], channels[CHANNELS];
    struct customer customers[COMMANDS];
    struct flash_access accesses[COMMANDS];
};

/* Reads of units never written, which lie in order over the dies, and writes of whole
 * stripes, which take the dies in turn. */
static void compare(const char *parameters, sim_time command_time, sim_time firmware, sim_time mean_gap,
                    unsigned writes_percent) {
    struct both *both = calloc(1, sizeof *both);
    struct flash_drive *drive = flash_drive_make(256 * FLASH_MIB, parameters);
    struct random_stream *stream = random_stream_create("test.path");
    const sim_time unit_time = 10240 * SIM_NS;
    unsigned writes = 0;
    for (unsigned i = 0; i < COMMANDS; i++) {
        struct customer *customer = &both->customers[i];
        const sim_time at =
            (i > 0 ? both->customers[i - 1].event.due : sim_now()) + random_exponential(stream, mean_gap);
        const bool is_write = random_below(stream, 100) < writes_percent;
        const uint64_t stripe = is_write ? writes : 8192 + random_below(stream, 8192); /* of 16,384 */
        const unsigned units = is_write ? STRIPE_UNITS : 1 + (unsigned)random_below(stream, STRIPE_UNITS);
        const uint64_t die = stripe % DIES, page = stripe / DIES % 64;
        customer->die = &both->dies[die];
        customer->channel = &both->channels[die % CHANNELS];
        customer->before = command_time + (is_write ? STRIPE_UNITS * unit_time : 0);
        customer->array =
            is_write ? (page % 2 == 0 ? 300017 : 900029) * SIM_NS : (page % 2 == 0 ? 40001 : 65003) * SIM_NS;
        customer->after = is_write ? 0 : units * unit_time;
        writes += is_write;
        sim_event_init(&customer->event, SIM_PRIORITY_HARDWARE, customer_event, customer);
        sim_schedule_at(&customer->event, at);
        flash_access_at(drive, &both->accesses[i], is_write ? MEDIA_WRITE : MEDIA_READ, stripe * STRIPE_BYTES,
                        units * 4096, at);
    }
    sim_run(SIM_TIME_MAX);
    for (unsigned i = 0; i < COMMANDS; i++) {
        const bool is_read = both->customers[i].after > 0;
        cr_assert_eq(both->accesses[i].completed, both->customers[i].completed + (is_read ? firmware : 0),
                     "command %u: %llu fs, step by step %llu fs", i, (unsigned long long)both->accesses[i].completed,
                     (unsigned long long)both->customers[i].completed);
    }
    random_stream_free(stream);
    flash_drive_free(drive);
    free(both);
}

#define GEOMETRY                                                                                                       \
    "channels: 2\nchips: 4\nplanes: 2\npage_size: 8 KiB\npages_per_block: 64\nover_provisioning: 30 %\n"               \
    "channel_rate: 400 MB/s\ncell: mlc\nread: 40.001 us\nread_msb: 65.003 us\nprogram: 300.017 us\nprogram_msb: "      \
    "900.029 us\n"

Test(flash_path, agrees_when_little_waits) {
    compare(GEOMETRY "command_time: 300 ns\n", 300 * SIM_NS, 0, 60 * SIM_US, 20);
}

Test(flash_path, agrees_when_reads_queue) {
    compare(GEOMETRY "command_time: 300 ns\n", 300 * SIM_NS, 0, 11 * SIM_US, 0);
}

Test(flash_path, agrees_when_reads_and_programs_queue) {
    compare(GEOMETRY "command_time: 300 ns\n", 300 * SIM_NS, 0, 25 * SIM_US, 30);
}

/* A program ends without the channel, so that without commands on it a read after a
 * program and a program after a read can become ready at the same instant: reads only. */
Test(flash_path, agrees_without_commands_on_the_channel) {
    compare(GEOMETRY, 0, 0, 11 * SIM_US, 0);
}

Test(flash_path, agrees_where_answers_have_events_of_their_own) {
    compare(GEOMETRY "firmware_read: 13 us\n", 0, 13 * SIM_US, 11 * SIM_US, 0);
    compare(GEOMETRY "firmware_read: 13 us\n", 0, 13 * SIM_US, 60 * SIM_US, 0);
    compare(GEOMETRY "firmware_read: 13 us\ncommand_time: 300 ns\n", 300 * SIM_NS, 13 * SIM_US, 25 * SIM_US, 30);
    compare(GEOMETRY "firmware_read: 90 us\ncommand_time: 300 ns\n", 300 * SIM_NS, 90 * SIM_US, 40 * SIM_US, 20);
}
