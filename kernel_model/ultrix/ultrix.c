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
    ULTRIX_COST(reclaim, "a page that is not valid but has its frame: found, given back"),
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
    ULTRIX_COST(clock_tick, "the clock's interrupt: its handler found, time, the running process's account, time-outs"),
    ULTRIX_COST(recompute, "a process's priority computed anew"),
    ULTRIX_COST(exit, "the end of a process: what it has is given back"),
    {0}};

const struct param ultrix_params[] = {
    {"hz", PARAM_INTEGER, offsetof(struct ultrix_config, hz), "256", "0", "10000", NULL,
     "clock interrupts a second; 0: none (assumed, 64 to 256; the rates of the DECstation's clock chip are powers of "
     "two)"},
    {"quantum", PARAM_TIME, offsetof(struct ultrix_config, quantum), "100 ms", "1 ms", "10 s", NULL,
     "after which processes of one priority take turns; 4.3BSD: 100 ms (Leffler et al., 1989, 4.4)"},
    {0}};

void ultrix_declare_components(void) {
    static const struct ledger_declaration table[] = {{"ultrix_trap", "cpu", "Into the kernel and out", NULL},
                                                      {"ultrix_system_call", "cpu", "System calls", NULL},
                                                      {"ultrix_signal", "cpu", "Signals", NULL},
                                                      {"ultrix_memory", "cpu", "Memory management", NULL},
                                                      {"ultrix_scheduler", "cpu", "Sleep, wakeup, switch", NULL},
                                                      {"ultrix_pipe", "cpu", "Files and pipes", NULL},
                                                      {"ultrix_network", "cpu", "Network", NULL},
                                                      {"ultrix_clock", "cpu", "Clock", NULL},
                                                      {"backing_store", NULL, "Backing store", "ready cpu"},
                                                      {0}};
    ledger_component out[9];
    ledger_declare_all(table, out);
    ultrix_components =
        (struct ultrix_components){out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7], out[8]};
}

/* ---- life ---- */

static enum error_code boot(struct ultrix *ultrix, struct error *error) {
    ultrix->globals = frames_allocate(ultrix->frames);
    ultrix->idle_area = frames_allocate(ultrix->frames);
    if (ultrix->globals == 0 || ultrix->idle_area == 0) {
        return error_set(error, ERR_EXHAUSTED, "no memory for ultrix");
    }
    ultrix_reboot(ultrix);
    return OK;
}

struct ultrix *ultrix_create(struct machine *machine, const struct ultrix_config *config, struct ultrix_costs *costs,
                             struct error *error) {
    if (machine->r3000 == NULL) {
        (void)error_set(error, ERR_UNSUPPORTED, "ultrix needs a machine whose cores are 'r3000'");
        return NULL;
    }
    struct ultrix *ultrix = calloc(1, sizeof *ultrix);
    SIM_ASSERT(ultrix != NULL);
    ultrix->machine = machine;
    ultrix->config = *config;
    ultrix->cpu = machine->r3000[0];
    ultrix->costs = costs;
    ultrix->frames = frames_create(machine->memory);
    if (boot(ultrix, error) != OK) {
        ultrix_free(ultrix);
        return NULL;
    }
    return ultrix;
}

void ultrix_free(struct ultrix *ultrix) {
    if (ultrix == NULL) {
        return;
    }
    while (ultrix->processes != NULL) {
        ultrix_process_free(ultrix->processes);
    }
    if (ultrix->interrupt != NULL) {
        r3000_timer_start(ultrix->cpu, 0);
        context_kill(ultrix->interrupt);
    }
    frames_free(ultrix->frames);
    free(ultrix);
}

/* A frame at one of a process's pages. */
static bool map(struct ultrix_process *process, uint32_t address, uint64_t frame) {
    const uint32_t rights = ULTRIX_PTE_READ | ULTRIX_PTE_WRITE | ULTRIX_PTE_ALLOCATED | ULTRIX_PTE_MODIFIED;
    if (frame != 0) {
        memory_write32(process->ultrix->machine->memory, ultrix_pte_at(process, address),
                       (uint32_t)frame | R3000_LO_VALID | R3000_LO_DIRTY | rights);
    }
    return frame != 0;
}

/* Its u-area and page tables; false: no memory. */
static bool take_memory(struct ultrix_process *process) {
    struct frames *frames = process->ultrix->frames;
    process->u_area = frames_allocate(frames);
    process->data_table = frames_allocate(frames);
    process->stack_table = frames_allocate(frames);
    return process->u_area != 0 && process->data_table != 0 && process->stack_table != 0 &&
           map(process, ULTRIX_STACK_AT, frames_allocate(frames));
}

static struct ultrix_process *make(struct ultrix *ultrix, const struct ultrix_process *as) {
    struct ultrix_process *process = calloc(1, sizeof *process);
    SIM_ASSERT(process != NULL && ultrix->asids + 1 < R3000_ASIDS);
    *process = *as;
    process->ultrix = ultrix;
    process->asid = ++ultrix->asids;
    process->status = R3000_STATUS_MASK;
    if (!take_memory(process)) {
        free(process);
        return NULL;
    }
    process->context =
        context_create(ultrix->machine->cores[0], CORE_THREAD, as->name, NULL, ultrix_process_body, process);
    ultrix_set_priority(process);
    struct ultrix_process **end = &ultrix->processes;
    while (*end != NULL) {
        end = &(*end)->next_made;
    }
    *end = process;
    process->priority = process->user_priority;
    ultrix_queue_push(ultrix, process);
    return process;
}

struct ultrix_process *ultrix_process_create(struct ultrix *ultrix, const char *name,
                                             void (*main)(struct ultrix_process *process), void *state) {
    const struct ultrix_process as = {.name = name, .main = main, .state = state};
    return make(ultrix, &as);
}

struct ultrix_process *ultrix_process_of_kernel(struct ultrix *ultrix, const char *name,
                                                void (*main)(struct ultrix_process *process), void *state) {
    const struct ultrix_process as = {.name = name, .main = main, .state = state, .in_kernel = true, .apart = true};
    return make(ultrix, &as);
}

static void unlink_process(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    struct ultrix_process **made = &ultrix->processes, **queued = &ultrix->run_queue;
    while (*made != process) {
        made = &(*made)->next_made;
    }
    *made = process->next_made;
    while (*queued != NULL && *queued != process) {
        queued = &(*queued)->next;
    }
    if (*queued != NULL) {
        *queued = process->next;
    }
    ultrix->current = ultrix->current == process ? NULL : ultrix->current;
}

static void give_back_memory(struct ultrix_process *process) {
    struct frames *frames = process->ultrix->frames;
    const struct memory *memory = process->ultrix->machine->memory;
    frames_give_back(frames, memory_read32(memory, process->stack_table) & R3000_LO_PFN);
    for (uint64_t i = 0; process->store == NULL && i < process->data_pages; i++) {
        const uint32_t pte = memory_read32(memory, process->data_table + 4 * i);
        if ((pte & R3000_LO_PFN) != 0) {
            frames_give_back(frames, pte & R3000_LO_PFN);
        }
    }
    frames_give_back(frames, process->u_area);
    frames_give_back(frames, process->data_table);
    frames_give_back(frames, process->stack_table);
}

void ultrix_process_free(struct ultrix_process *process) {
    if (process != NULL) {
        unlink_process(process);
        context_kill(process->context);
        give_back_memory(process);
        free(process->store);
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
    stats_counter(sink, "ultrix", "preemptions", ultrix->counters.preemptions);
    stats_counter(sink, "ultrix", "reclaims", ultrix->counters.reclaims);
    stats_counter(sink, "ultrix", "modifies", ultrix->counters.modifies);
    stats_counter(sink, "ultrix", "panics", ultrix->counters.panics);
}

void ultrix_reset_stats(struct ultrix *ultrix) {
    memset(&ultrix->counters, 0, sizeof ultrix->counters);
}
