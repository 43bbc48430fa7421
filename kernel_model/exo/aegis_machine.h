/* aegis_machine.h: what of Aegis depends on the processor.
 *
 * All else of the kernel is the same on every machine: capabilities, records of
 * bindings, slices, transfers, revocation. A processor is a table of these functions;
 * aegis_r3000.c has the one whose TLB is software's, aegis_x86.c the one that walks
 * page tables. What a function charges is what the processor's own steps take; the
 * kernel's code around them is charged by who calls. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_AEGIS_MACHINE_H
#define STILLSUIT_KERNEL_MODEL_EXO_AEGIS_MACHINE_H

#include "kernel_model/exo/aegis.h"

/* What the kernel's interrupt context looks after. */
enum aegis_line {
    AEGIS_LINE_NOTICE, /* raised by the kernel itself: somebody has a notice, or is to be buried */
    AEGIS_LINE_TIMER,
    AEGIS_LINE_NETWORK,
    AEGIS_LINES
};

enum { AEGIS_SCRATCH = 3, AEGIS_MESSAGE = 4, AEGIS_CALLEE_SAVED_MAX = 12, AEGIS_NESTED_EXCEPTIONS_MAX = 16 };

/* The registers of the calling convention, by their numbers. */
struct aegis_registers {
    unsigned bytes;                         /* of one, in memory */
    unsigned first, count;                  /* all that a context has */
    unsigned scratch[AEGIS_SCRATCH];        /* the kernel's at an exception */
    unsigned message[AEGIS_MESSAGE];        /* arguments, and a transfer's message */
    unsigned result;                        /* a procedure's */
    unsigned saved[AEGIS_CALLEE_SAVED_MAX]; /* what a procedure keeps for its caller */
    unsigned saved_count;
    unsigned stack;
};

struct aegis_machine {
    const char *name;
    struct aegis_registers registers;

    /* ---- life ---- */
    /* On machine->...: takes memory for its tables, installs the vectors. ERR_EXHAUSTED. */
    enum error_code (*boot)(struct aegis *aegis, struct error *error);
    void (*shutdown)(struct aegis *aegis);
    /* Without an environment, and the timer stopped: the processor as after boot: no translation,
     * no interrupt that waits. NULL: not offered. */
    void (*reset)(struct aegis *aegis);
    /* An environment gets what the processor keeps for it, in its block and beside it. */
    enum error_code (*begin)(struct aegis_environment *environment, struct error *error);
    void (*end)(struct aegis_environment *environment);

    /* ---- the kernel's instructions; none takes time before the run ---- */
    void (*execute)(struct aegis *aegis, uint64_t count);
    uint32_t (*load)(struct aegis *aegis, uint64_t physical);
    void (*store)(struct aegis *aegis, uint64_t physical, uint32_t value);
    void (*store_register)(struct aegis *aegis, uint64_t physical, unsigned number); /* whole: registers.bytes */

    /* ---- into the kernel and out ---- */
    bool (*is_user)(const struct aegis *aegis);
    void (*enter)(struct aegis *aegis);       /* user code's part of a system call, and the hardware's */
    void (*read_cause)(struct aegis *aegis);  /* what happened? */
    void (*read_resume)(struct aegis *aegis); /* where does the caller go on? */
    void (*skip_call)(struct aegis *aegis);   /* ... behind its system call */
    void (*read_fault)(struct aegis *aegis);  /* the registers of an exception, for the application */
    /* Back to user code of the same context; an interrupt that waited is taken first. */
    void (*return_to_user)(struct aegis *aegis);
    /* To another's: the instructions of it, charged to the context that leaves; then, once
     * they are executed, the change itself. NULL: to nobody. The caller blocks next. */
    void (*jump_away)(struct aegis *aegis);
    void (*leave_to)(struct aegis *aegis, struct context *next);
    /* `next` is the environment whose addresses the processor translates: the kernel's
     * word of it and the processor's own. */
    void (*switch_to)(struct aegis *aegis, struct aegis_environment *next);

    /* ---- interrupts ---- */
    void (*raise)(struct aegis *aegis, enum aegis_line line);
    /* Whether the line waits; acknowledges it. */
    bool (*take)(struct aegis *aegis, enum aegis_line line);
    /* The ends of an interrupt's context. */
    void (*interrupt_begin)(struct aegis *aegis);
    void (*interrupt_return)(struct aegis *aegis);
    void (*timer_start)(struct aegis *aegis, sim_time period); /* 0 stops it */
    sim_time (*timer_tick)(const struct aegis *aegis);         /* the instant of the latest */

    /* ---- bindings: what enforces a record of binding.c ---- */
    /* A page is bound; again, if it was. ERR_SHARE, ERR_EXHAUSTED: no memory for its table. */
    enum error_code (*bind)(struct aegis_environment *environment, uint32_t page, uint64_t physical, bool write,
                            struct error *error);
    void (*unbind)(struct aegis_environment *environment, unsigned name_space, uint32_t page);
    /* A page of the environment's own that the kernel keeps for it (in the guaranteed list) is there. */
    enum error_code (*keep)(struct aegis_environment *environment, uint32_t page, uint64_t physical, bool write,
                            struct error *error);
    /* What a bound page allows is changed: `write` of no matter without `access`. */
    void (*allow)(struct aegis_environment *environment, uint32_t page, uint64_t physical, bool access, bool write);
    /* The end of a run of these. */
    void (*allowed)(struct aegis_environment *environment);

    /* Another name space of the environment's, in which the kernel's own pages for it are there
     * alone; its end, after all that was bound in it. NULL: an identifier is all that it takes. */
    enum error_code (*make_space)(struct aegis_environment *environment, unsigned name_space, struct error *error);
    void (*end_space)(struct aegis_environment *environment, unsigned name_space);
    /* The environment's addresses are those of environment->asid from now on. */
    void (*enter_space)(struct aegis_environment *environment);

    /* ---- user code: see aegis_user.h ---- */
    bool (*user_load)(struct aegis *aegis, uint32_t address, uint32_t size_bytes, uint32_t *value);
    bool (*user_store)(struct aegis *aegis, uint32_t address, uint32_t size_bytes, uint32_t value);
    bool (*user_add)(struct aegis *aegis, int32_t a, int32_t b, int32_t *sum);
    bool (*user_coprocessor)(struct aegis *aegis, unsigned number);
    /* A whole register to memory and back, registers.bytes of it. */
    bool (*save_register)(struct aegis *aegis, uint32_t address, unsigned number);
    bool (*restore_register)(struct aegis *aegis, uint32_t address, unsigned number);
    uint64_t (*get_register)(const struct aegis *aegis, unsigned number);
    void (*set_register)(struct aegis *aegis, unsigned number, uint64_t value);
};

extern const struct aegis_machine aegis_r3000, aegis_x86;

/* The table for a machine's cores, or NULL. */
const struct aegis_machine *aegis_machine_of(const struct machine *machine);

/* ---- For these tables: aegis_trap.c, binding.c ---- */
/* The application's handler takes an exception that the processor has entered the kernel
 * for; called on the context that faulted. */
enum aegis_resume aegis_dispatch(struct aegis_environment *environment, const struct aegis_exception *exception);
/* An interrupt is let through: dispatches the kernel's context for it. */
void aegis_interrupted(struct aegis *aegis);
/* What user code works for again, after the kernel's part. */
void aegis_back_to_work(struct aegis_environment *environment);
/* The guaranteed mapping of a page: AEGIS_LO_... and frame. False: there is none. */
bool aegis_guaranteed_find(struct aegis_environment *environment, uint32_t page, uint32_t *lo);

#endif
