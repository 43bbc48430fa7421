/* test_ultrix_clock.c: whose turn it is: clock interrupts, the quantum, priorities. */
#include "tests/kernel_model/ultrix_fixture.h"

enum { HZ = 256, SECONDS = 20, PROGRAMS = 3, SECRET = 0x5eed };

static uint64_t slices[PROGRAMS];
static struct ultrix_process *programs[PROGRAMS];

static unsigned number_of(const struct ultrix_process *process) {
    unsigned number = 0;
    while (programs[number] != process) {
        number++;
    }
    return number;
}

/* ---- equal shares ---- */

static void compute(struct ultrix_process *process) {
    for (;;) {
        fixture_compute(process, 5 * SIM_MS);
        slices[number_of(process)]++;
    }
}

Test(ultrix_clock, who_computes_has_as_much_as_the_others) {
    fixture_make(HZ);
    for (unsigned i = 0; i < PROGRAMS; i++) {
        programs[i] = fixture_process("program", compute, NULL);
    }
    fixture_run(programs[0], SECONDS * SIM_S);
    const uint64_t each = slices[0] + slices[1] + slices[2];
    for (unsigned i = 0; i < PROGRAMS; i++) {
        cr_expect(slices[i] * 3 > each - each / 20 && slices[i] * 3 < each + each / 20, "%llu of %llu",
                  (unsigned long long)slices[i], (unsigned long long)each);
    }
    cr_expect_eq(ultrix->ticks, SECONDS * HZ);
    cr_expect_geq(ultrix->counters.preemptions, SECONDS * 9, "a turn each 100 ms: %llu",
                  (unsigned long long)ultrix->counters.preemptions);
    cr_expect_leq(ultrix->counters.preemptions, SECONDS * 11);
}

Test(ultrix_clock, without_a_clock_the_first_keeps_the_processor) {
    fixture_make(0);
    for (unsigned i = 0; i < PROGRAMS; i++) {
        programs[i] = fixture_process("program", compute, NULL);
    }
    fixture_run(programs[0], SIM_S);
    cr_expect_geq(slices[0], 199);
    cr_expect_eq(slices[1] + slices[2], 0);
}

/* ---- what an interrupt displaces comes back as it was ---- */

static void scribble(struct ultrix_process *process) {
    for (;;) {
        cpu->registers[R3000_SP] = number_of(process);
        fixture_compute(process, 3 * SIM_MS);
        cr_assert_eq(cpu->registers[R3000_SP], number_of(process));
        cr_assert(r3000_is_user(cpu) && ultrix->current == process);
        slices[number_of(process)]++;
        (void)ultrix_getpid(process);
        cr_assert_eq(cpu->registers[R3000_SP], number_of(process));
    }
}

Test(ultrix_clock, registers_are_their_processes_across_turns) {
    fixture_make(HZ);
    for (unsigned i = 0; i < PROGRAMS; i++) {
        programs[i] = fixture_process("program", scribble, NULL);
    }
    fixture_run(programs[0], 5 * SIM_S);
    cr_expect(slices[0] > 300 && slices[1] > 300 && slices[2] > 300);
}

/* ---- who was woken comes first ---- */

static struct ultrix_pipe *there, *back;

static void echo(struct ultrix_process *process) {
    for (;;) {
        uint32_t word = 0;
        (void)ultrix_read(process, there, &word, 1);
        ultrix_write(process, back, &word, 1);
    }
}

/* 50 round trips with one who computes beside, whose quantum is 100 ms: the word goes there
 * and back as its receiver is woken, not after a turn of the third. */
static void ask(struct ultrix_process *process) {
    const sim_time from = fixture_now(process);
    for (uint32_t i = 0; i < 50; i++) {
        uint32_t word = 0;
        ultrix_write(process, there, &i, 1);
        (void)ultrix_read(process, back, &word, 1);
        cr_assert_eq(word, i);
    }
    cr_expect_lt(fixture_now(process) - from, 120 * SIM_MS, "at most one turn of the other's");
    fixture_stop(process);
}

Test(ultrix_clock, who_was_woken_does_not_wait_for_a_turn) {
    fixture_make(HZ);
    programs[0] = fixture_process("asks", ask, NULL);
    programs[1] = fixture_process("echoes", echo, NULL);
    programs[2] = fixture_process("computes", compute, NULL);
    there = ultrix_pipe_create(ultrix);
    back = ultrix_pipe_create(ultrix);
    fixture_run(programs[0], 5 * SIM_S);
    cr_expect(finished);
}

/* ---- processor time of late makes a priority worse, and is forgotten ---- */

static void watch(struct ultrix_process *process) {
    fixture_compute(process, 500 * SIM_MS);
    cr_expect_eq(process->recent_ticks, 128, "a tick of each 1/256 s: %u", process->recent_ticks);
    cr_expect_eq(process->user_priority, ULTRIX_PRIORITY_USER + 128 / 4);
    fixture_compute(process, 502 * SIM_MS);
    cr_expect_leq(process->recent_ticks, 255 * 2 / 3 + 2, "alone, two thirds are kept: %u", process->recent_ticks);
    fixture_stop(process);
}

Test(ultrix_clock, a_priority_decays) {
    fixture_make(HZ);
    fixture_run(fixture_process("watch", watch, NULL), 5 * SIM_S);
    cr_expect(finished);
}

/* ---- one that dies ---- */

static void wild(struct ultrix_process *process) {
    uint32_t value = 0;
    (void)process;
    (void)r3000_load(cpu, 0, 4, &value);
    cr_assert_fail("a program goes on after a signal that ends it");
}

Test(ultrix_clock, a_program_that_does_not_catch_its_signal_ends_alone) {
    fixture_make(HZ);
    programs[0] = fixture_process("wild", wild, NULL);
    programs[1] = fixture_process("program", compute, NULL);
    fixture_run(programs[0], SIM_S);
    cr_expect(programs[0]->dead);
    cr_expect_geq(slices[1], 195, "%llu", (unsigned long long)slices[1]);
}
