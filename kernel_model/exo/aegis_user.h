/* aegis_user.h: what user code of an environment does on the processor, whatever
 * processor that is: a library OS is written against this.
 *
 * All are [env], on a context of the environment. Accesses and instructions that fault
 * come to the program's exception handler, as often as it answers AEGIS_RETRY; false:
 * the instruction was skipped, without effect. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_AEGIS_USER_H
#define STILLSUIT_KERNEL_MODEL_EXO_AEGIS_USER_H

#include "kernel_model/exo/aegis_machine.h"

/* `count` instructions that touch no memory. */
static inline void aegis_user_execute(struct aegis_environment *environment, uint64_t count) {
    environment->aegis->machine->execute(environment->aegis, count);
}
/* A step of a library's: its instructions, and one more use of its cost. */
static inline void aegis_user_step(struct aegis_environment *environment, struct cost *cost) {
    cost->uses++;
    aegis_user_execute(environment, cost->cycles);
}
/* 1, 2 or 4 bytes. */
static inline bool aegis_user_load(struct aegis_environment *environment, uint32_t address, uint32_t size_bytes,
                                   uint32_t *value) {
    return environment->aegis->machine->user_load(environment->aegis, address, size_bytes, value);
}
static inline bool aegis_user_store(struct aegis_environment *environment, uint32_t address, uint32_t size_bytes,
                                    uint32_t value) {
    return environment->aegis->machine->user_store(environment->aegis, address, size_bytes, value);
}
/* *sum = a + b, or an overflow. */
static inline bool aegis_user_add(struct aegis_environment *environment, int32_t a, int32_t b, int32_t *sum) {
    return environment->aegis->machine->user_add(environment->aegis, a, b, sum);
}
/* An instruction of a coprocessor (1 to 3), such as of floating point. */
static inline bool aegis_user_coprocessor(struct aegis_environment *environment, unsigned number) {
    return environment->aegis->machine->user_coprocessor(environment->aegis, number);
}

/* The general registers, by number (struct aegis_registers names them). */
static inline uint64_t aegis_register(const struct aegis_environment *environment, unsigned number) {
    return environment->aegis->machine->get_register(environment->aegis, number);
}
static inline void aegis_set_register(struct aegis_environment *environment, unsigned number, uint64_t value) {
    environment->aegis->machine->set_register(environment->aegis, number, value);
}
static inline const struct aegis_registers *aegis_register_names(const struct aegis_environment *environment) {
    return &environment->aegis->machine->registers;
}
/* Stores a register whole, and loads it again: registers.bytes at `address`. */
static inline void aegis_user_save_register(struct aegis_environment *environment, uint32_t address, unsigned number) {
    (void)environment->aegis->machine->save_register(environment->aegis, address, number);
}
static inline void aegis_user_restore_register(struct aegis_environment *environment, uint32_t address,
                                               unsigned number) {
    (void)environment->aegis->machine->restore_register(environment->aegis, address, number);
}
/* The scratch registers as they were at an exception, from the save area: what a handler
 * does before the program goes on. */
static inline void aegis_user_restore_scratch(struct aegis_environment *environment) {
    for (uint32_t i = 0; i < AEGIS_SCRATCH; i++) {
        const struct aegis_registers *names = aegis_register_names(environment);
        aegis_user_restore_register(environment, AEGIS_SAVE_AREA_AT + AEGIS_SAVE_SCRATCH + names->bytes * i,
                                    names->scratch[i]);
    }
}

#endif
