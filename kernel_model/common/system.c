#include "kernel_model/common/system.h"

struct system_components system_components;

void system_declare_components(void) {
    static const struct ledger_declaration declarations[] = {
        {"app", "cpu", "Application", NULL},
        {"net_stack_in", "cpu", "Network stack, in", NULL},
        {"net_stack_out", "cpu", "Network stack, out", NULL},
        {"copy_in", "cpu", "Copy, in", NULL},
        {"copy_out", "cpu", "Copy, out", NULL},
        {"socket_queue", "cpu", "Socket queue", "scheduler epoll copy_in net_stack_in app"},
        {0},
    };
    ledger_component indices[6];
    core_declare_components(); /* "cpu" is their parent */
    ledger_declare_all(declarations, indices);
    system_components = (struct system_components){.app = indices[0],
                                                   .net_stack_in = indices[1],
                                                   .net_stack_out = indices[2],
                                                   .copy_in = indices[3],
                                                   .copy_out = indices[4],
                                                   .socket_queue = indices[5]};
}
