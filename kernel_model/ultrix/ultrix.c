/* ultrix.c: boot, parameters, processes. */
#include "kernel_model/ultrix/ultrix.h"

#include <stdlib.h>
#include <string.h>

struct ultrix_components ultrix_components;

#define ULTRIX_COST(name, text)                                                                                        \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct ultrix_costs, name), .help = text }
const struct param ultrix_cost_params[] = {
    ULTRIX_COST(loop, "one turn of the loop that repeats what is measured"),
    ULTRIX_COST(procedure_call, "a call of an empty procedure, and back"),
    ULTRIX_COST(system_call_stub, "libc's stub of a system call"),
    ULTRIX_COST(signal_handler, "from the trampoline into the program's handler of a signal, and back"),
    ULTRIX_COST(trap_entry, "from the vector to a frame with all registers, beside its stores"),
    ULTRIX_COST(trap_exit, "from the frame back to the user, beside its loads"),
    ULTRIX_COST(trap, "finding out what an exception means"),
    ULTRIX_COST(system_call, "arguments copied in, the table of calls, the check for signals and a switch"),
    ULTRIX_COST(signal_post, "a signal posted: masks, its disposition"),
    ULTRIX_COST(signal_deliver, "a pending signal taken and its context built, beside the words written"),
    ULTRIX_COST(signal_return, "a context checked and taken back, beside its words"),
    ULTRIX_COST(fault, "an access fault: the region found, why it was refused"),
    ULTRIX_COST(mprotect, "mprotect: arguments checked, the region found"),
    ULTRIX_COST(protect_page, "one page's entry changed"),
    ULTRIX_COST(sleep, "onto a sleep queue"),
    ULTRIX_COST(wakeup, "off a sleep queue, onto a run queue"),
    ULTRIX_COST(switch_to, "the next process chosen and its context entered, beside its registers"),
    ULTRIX_COST(file, "a descriptor resolved, a transfer described, its layers passed"),
    ULTRIX_COST(socket_send, "a pipe's writing side, beside copy and wakeup"),
    ULTRIX_COST(socket_receive, "a pipe's reading side, beside copy and sleep"),
    ULTRIX_COST(copy, "a copy between user and kernel: checked, set up"),
    ULTRIX_COST(copy_word, "one word of it, beside its load and store"),
    ULTRIX_COST(kill, "the receiver of a signal found, permission checked"),
    ULTRIX_COST(sigpause, "the signal mask exchanged"),
    {0}};

void ultrix_declare_components(void) {
    static const struct ledger_declaration table[] = {{"ultrix_trap", "cpu", "Into the kernel and out", NULL},
                                                      {"ultrix_system_call", "cpu", "System calls", NULL},
                                                      {"ultrix_signal", "cpu", "Signals", NULL},
                                                      {"ultrix_memory", "cpu", "Memory management", NULL},
                                                      {"ultrix_scheduler", "cpu", "Sleep, wakeup, switch", NULL},
                                                      {"ultrix_pipe", "cpu", "Files and pipes", NULL},
                                                      {"ultrix_network", "cpu", "Network", NULL},
                                                      {0}};
    ledger_component out[7];
    ledger_declare_all(table, out);
    ultrix_components = (struct ultrix_components){out[0], out[1], out[2], out[3], out[4], out[5], out[6]};
}

/* ---- life ---- */

struct ultrix *ultrix_create(struct machine *machine, struct ultrix_costs *costs, struct error *error) {
    if (machine->r3000 == NULL) {
        (void)error_set(error, ERR_UNSUPPORTED, "ultrix needs a machine whose cores are 'r3000'");
        return NULL;
    }
    struct ultrix *ultrix = calloc(1, sizeof *ultrix);
    SIM_ASSERT(ultrix != NULL);
    ultrix->machine = machine;
    ultrix->cpu = machine->r3000[0];
    ultrix->costs = costs;
    ultrix->frames = frames_create(machine->memory);
    ultrix->globals = frames_allocate(ultrix->frames);
    if (ultrix->globals == 0) {
        (void)error_set(error, ERR_EXHAUSTED, "no memory for ultrix");
        ultrix_free(ultrix);
        return NULL;
    }
    struct r3000_vectors vectors = ultrix_vectors;
    vectors.os = ultrix;
    r3000_boot(ultrix->cpu, &vectors);
    return ultrix;
}

void ultrix_free(struct ultrix *ultrix) {
    if (ultrix != NULL) {
        frames_free(ultrix->frames);
        free(ultrix);
    }
}

/* A frame at one of a process's pages. */
static bool map(struct ultrix_process *process, uint32_t address, uint64_t frame) {
    const uint32_t rights = ULTRIX_PTE_READ | ULTRIX_PTE_WRITE | ULTRIX_PTE_ALLOCATED;
    if (frame != 0) {
        memory_write32(process->ultrix->machine->memory, ultrix_pte_at(process, address),
                       (uint32_t)frame | R3000_LO_VALID | R3000_LO_DIRTY | rights);
    }
    return frame != 0;
}

struct ultrix_process *ultrix_process_create(struct ultrix *ultrix, const char *name,
                                             void (*main)(struct ultrix_process *process), void *state) {
    struct ultrix_process *process = calloc(1, sizeof *process);
    SIM_ASSERT(process != NULL && ultrix->asids + 1 < R3000_ASIDS);
    *process = (struct ultrix_process){.ultrix = ultrix, .name = name, .main = main, .state = state};
    process->asid = ++ultrix->asids;
    process->u_area = frames_allocate(ultrix->frames);
    process->data_table = frames_allocate(ultrix->frames);
    process->stack_table = frames_allocate(ultrix->frames);
    if (process->u_area == 0 || process->data_table == 0 || process->stack_table == 0 ||
        !map(process, ULTRIX_STACK_AT, frames_allocate(ultrix->frames))) {
        free(process);
        return NULL;
    }
    process->context = context_create(ultrix->machine->cores[0], CORE_THREAD, name, NULL, ultrix_process_body, process);
    struct ultrix_process **end = &ultrix->run_queue;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = process;
    return process;
}

void ultrix_process_free(struct ultrix_process *process) {
    if (process != NULL) {
        context_kill(process->context);
        free(process);
    }
}

enum error_code ultrix_data_grow(struct ultrix_process *process, uint64_t pages, struct error *error) {
    if (pages > ULTRIX_DATA_PAGES_MAX) {
        return error_set(error, ERR_RANGE, "kernel.pages: a process has at most %d", (int)ULTRIX_DATA_PAGES_MAX);
    }
    while (process->data_pages < pages) {
        const uint32_t address = ULTRIX_DATA_AT + (uint32_t)process->data_pages * ULTRIX_PAGE;
        if (!map(process, address, frames_allocate(process->ultrix->frames))) {
            return error_set(error, ERR_EXHAUSTED, "no memory for a process's data");
        }
        process->data_pages++;
    }
    return OK;
}

enum error_code ultrix_share(struct ultrix_process *one, struct ultrix_process *other, struct error *error) {
    const uint64_t frame = frames_allocate(one->ultrix->frames);
    return map(one, ULTRIX_SHARED_AT, frame) && map(other, ULTRIX_SHARED_AT, frame)
               ? OK
               : error_set(error, ERR_EXHAUSTED, "no memory for a shared page");
}

/* ---- counters ---- */

void ultrix_visit_stats(const struct ultrix *ultrix, const struct stats_sink *sink) {
    stats_counter(sink, "ultrix", "system_calls", ultrix->counters.system_calls);
    stats_counter(sink, "ultrix", "traps", ultrix->counters.traps);
    stats_counter(sink, "ultrix", "tlb_refills", ultrix->counters.refills);
    stats_counter(sink, "ultrix", "signals", ultrix->counters.signals);
    stats_counter(sink, "ultrix", "switches", ultrix->counters.switches);
    stats_counter(sink, "ultrix", "wakeups", ultrix->counters.wakeups);
}

void ultrix_reset_stats(struct ultrix *ultrix) {
    memset(&ultrix->counters, 0, sizeof ultrix->counters);
}
