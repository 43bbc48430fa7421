/* fake_system.c: see fake_system.h. */
#include "fake_system.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/script.h"

struct fake_thread {
    struct system_thread thread;
    unsigned core;
    void (*body)(struct system_thread *thread, void *argument);
    void *argument;
};

static struct fake_system *system_of(struct system_thread *thread) {
    return (struct fake_system *)thread->process->system;
}

__attribute__((format(printf, 2, 3))) static void note(struct fake_system *fake, const char *format, ...) {
    const size_t used = strlen(fake->log);
    va_list arguments;
    if (used + 128 > sizeof fake->log) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(fake->log + used, sizeof fake->log - used, format, arguments);
    va_end(arguments);
}

static struct system_process *process_create(struct system *system, const char *name, struct error *error) {
    struct fake_system *fake = (struct fake_system *)system;
    (void)error;
    note(fake, "process %s\n", name);
    fake->process.system = system;
    return &fake->process;
}

static void run_thread(void *argument) {
    struct fake_thread *thread = argument;
    thread->body(&thread->thread, thread->argument);
}

static struct system_thread *thread_create(struct system_process *process, unsigned core,
                                           void (*body)(struct system_thread *thread, void *argument), void *argument,
                                           struct error *error) {
    struct fake_system *fake = (struct fake_system *)process->system;
    if (core > 7) {
        (void)error_set(error, ERR_RANGE, "there is no core %u", core);
        return NULL;
    }
    struct fake_thread *thread = calloc(1, sizeof *thread);
    *thread = (struct fake_thread){{process}, core, body, argument};
    note(fake, "thread on %u\n", core);
    fake->threads += 1;
    (void)sim_task_create("thread", 0, run_thread, thread);
    return &thread->thread;
}

static enum error_code open_udp(struct system_thread *thread, uint16_t port, struct system_socket **socket) {
    struct fake_system *fake = system_of(thread);
    note(fake, "open %u\n", port);
    if (fake->open_error != OK) {
        return fake->open_error;
    }
    struct fake_socket *made = &fake->sockets[fake->socket_count++];
    made->system = fake;
    made->port = port;
    *socket = &made->socket;
    return OK;
}

static enum error_code buffer_create(struct system_thread *thread, uint32_t capacity_bytes,
                                     struct system_buffer *buffer) {
    struct fake_system *fake = system_of(thread);
    *buffer = (struct system_buffer){.capacity_bytes = capacity_bytes};
    fake->buffers += 1;
    return OK;
}

static enum error_code socket_wait(struct system_thread *thread, struct system_socket *socket, enum system_wait how) {
    struct fake_socket *own = (struct fake_socket *)socket;
    note(system_of(thread), "wait %u %s\n", own->port, how == SYSTEM_WAIT_SPIN ? "spin" : "block");
    while (own->count == 0 && !own->system->endless) {
        own->waiter = sim_task_current();
        sim_task_block();
    }
    return OK;
}

static enum error_code receive(struct system_thread *thread, struct system_socket *socket, struct system_buffer *into) {
    struct fake_socket *own = (struct fake_socket *)socket;
    struct fake_system *fake = system_of(thread);
    if (own->count == 0) {
        note(fake, "receive nothing\n");
        return fake->endless ? OK : ERR_AGAIN;
    }
    const struct fake_message *message = &own->inbox[own->first];
    into->peer = message->peer;
    into->request = message->request;
    into->length_bytes = 64;
    own->first = (own->first + 1) % FAKE_INBOX_MAX;
    own->count -= 1;
    note(fake, "receive from %u\n", message->peer.port);
    return OK;
}

static enum error_code send_buffer(struct system_thread *thread, struct system_socket *socket,
                                   struct system_buffer *buffer, struct system_endpoint to) {
    struct fake_system *fake = system_of(thread);
    (void)socket;
    note(fake, "send to %u\n", to.port);
    if (fake->send_error != OK) {
        return fake->send_error;
    }
    fake->sends += 1;
    ledger_end(buffer->request, fake->app, sim_now());
    buffer->request = NULL;
    return OK;
}

static void compute(struct system_thread *thread, struct request *request, sim_time duration) {
    struct fake_system *fake = system_of(thread);
    note(fake, "compute %llu ps%s\n", (unsigned long long)(duration / SIM_PS), request == NULL ? "" : " for a request");
    fake->computes += 1;
    fake->computed += duration;
    fake->last_compute = duration;
    sim_task_delay(duration);
}

static enum error_code file_open(struct system_thread *thread, const struct system_file_options *options,
                                 struct system_file **file) {
    struct fake_system *fake = system_of(thread);
    note(fake, "open %s %llu%s\n", options->name, (unsigned long long)options->size_bytes,
         options->direct ? " direct" : "");
    *file = &fake->files[fake->file_count++];
    return OK;
}

static enum error_code transfer(struct system_thread *thread, const char *what, const struct system_file *file,
                                uint64_t offset_bytes, uint32_t length_bytes, const struct request *request) {
    struct fake_system *fake = system_of(thread);
    note(fake, "%s %d %lld %u%s\n", what, (int)(file - fake->files), (long long)offset_bytes, length_bytes,
         request == NULL ? "" : " for a request");
    sim_task_delay(SIM_US);
    return fake->file_error;
}

static enum error_code file_write(struct system_thread *thread, struct system_file *file, uint64_t offset_bytes,
                                  uint64_t physical, uint32_t length_bytes, struct request *request) {
    (void)physical;
    return transfer(thread, "write", file, offset_bytes, length_bytes, request);
}

static enum error_code file_read(struct system_thread *thread, struct system_file *file, uint64_t offset_bytes,
                                 uint64_t physical, uint32_t length_bytes, struct request *request) {
    (void)physical;
    return transfer(thread, "read", file, offset_bytes, length_bytes, request);
}

static enum error_code file_sync(struct system_thread *thread, struct system_file *file, enum system_sync how,
                                 struct request *request) {
    return transfer(thread, how == SYSTEM_SYNC_DATA ? "fdatasync" : "fsync", file, 0, 0, request);
}

static enum error_code misbehave(struct system_thread *thread, enum system_misbehaviour how,
                                 struct system_endpoint accomplice) {
    struct fake_system *fake = system_of(thread);
    note(fake, "misbehave %d for %u\n", (int)how, accomplice.port);
    return fake->misbehave_answer;
}

static const struct system_ops ops = {.type_name = "fake",
                                      .process_create = process_create,
                                      .thread_create = thread_create,
                                      .socket_open_udp = open_udp,
                                      .buffer_create = buffer_create,
                                      .socket_wait = socket_wait,
                                      .receive = receive,
                                      .send = send_buffer,
                                      .compute = compute,
                                      .file_open = file_open,
                                      .file_write = file_write,
                                      .file_read = file_read,
                                      .file_sync = file_sync,
                                      .misbehave = misbehave};

void fake_system_init(struct fake_system *fake) {
    static const struct ledger_declaration app = {"app", NULL, "Application", "client"};
    memset(fake, 0, sizeof *fake);
    fake->machine.clock = sim_clock_make(2000000000);
    fake->system = (struct system){&ops, &fake->machine};
    fake->app = ledger_declare(&app);
}

void fake_deliver(struct fake_system *fake, uint16_t port, struct system_endpoint peer, struct request *request) {
    for (unsigned i = 0; i < fake->socket_count; ++i) {
        struct fake_socket *socket = &fake->sockets[i];
        if (socket->port != port) {
            continue;
        }
        if (request != NULL) {
            ledger_hand_over(request, request->owner, fake->app, LEDGER_SERVICE);
        }
        socket->inbox[(socket->first + socket->count++) % FAKE_INBOX_MAX] = (struct fake_message){peer, request};
        if (socket->waiter != NULL) {
            struct sim_task *waiter = socket->waiter;
            socket->waiter = NULL;
            sim_task_wake(waiter);
        }
        return;
    }
    cr_assert_fail("no socket on port %u", port);
}

struct script *fake_script(const char *text) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct script *script = script_parse("test.yaml", text, NULL, NULL, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    cr_assert_not_null(script);
    diagnostics_free(&diagnostics);
    return script;
}
