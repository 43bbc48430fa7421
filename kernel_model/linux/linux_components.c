/* linux_components.c: who may own a request while the kernel has it, in order of a
 * packet's way through. */
#include "hw/nvme/nvme.h"
#include "kernel_model/linux/linux_storage.h"

struct linux_components linux_components;

static const struct ledger_declaration table[] = {
    {"interrupt", "cpu", "Interrupt", "net_stack_in"},
    {"scheduler", "cpu", "Scheduler",
     "interrupt net_stack_in socket_queue epoll copy_in copy_out app crossing_return file_write file_read file_sync"},
    {"idle_exit", "scheduler", "Idle exit", "interrupt net_stack_in"},
    {"context_switch", "scheduler", "Context switch", NULL},
    {"epoll", "cpu", "epoll_wait", "socket_queue"},
    {"crossing_return", "cpu", "Return from kernel", "app scheduler"},
    {"crossing_syscall", "cpu", "System call", "copy_out"},
    /* Work on no request's path. */
    {"softirq_overhead", "cpu", "Softirq, NAPI", ""},
    {"idle_loop", "cpu", "Idle loop", ""},
    {"net_housekeeping", "cpu", "Releasing buffers", ""},
    {"timer_tick", "cpu", "Timer tick", ""},
    {"recv_poll", "cpu", "Polling recv", ""},
    {0}};

void linux_declare_components(void) {
    core_declare_components();
    nic_declare_components();
    system_declare_components();
    nvme_declare_components();
    linux_storage_declare_components();
    ledger_component out[sizeof table / sizeof table[0]];
    ledger_declare_all(table, out);
    linux_components = (struct linux_components){.ready = ledger_find("ready"),
                                                 .interrupt = out[0],
                                                 .scheduler = out[1],
                                                 .idle_exit = out[2],
                                                 .context_switch = out[3],
                                                 .socket_queue = system_components.socket_queue,
                                                 .epoll = out[4],
                                                 .crossing_return = out[5],
                                                 .crossing_syscall = out[6],
                                                 .softirq_overhead = out[7],
                                                 .idle_loop = out[8],
                                                 .net_housekeeping = out[9],
                                                 .timer_tick = out[10],
                                                 .recv_poll = out[11]};
}
