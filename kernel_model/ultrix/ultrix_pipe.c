/* ultrix_pipe.c: a pipe behind file descriptors, as in 4.2BSD: two sockets' queues. */
#include <stdlib.h>

#include "kernel_model/ultrix/ultrix.h"

enum { HEAD = 0, TAIL = 4, DATA = 8, RING_BYTES = 2048, WORD = 4 };

struct ultrix_pipe *ultrix_pipe_create(struct ultrix *ultrix) {
    struct ultrix_pipe *pipe = calloc(1, sizeof *pipe);
    SIM_ASSERT(pipe != NULL);
    *pipe = (struct ultrix_pipe){ultrix, frames_allocate(ultrix->frames), {NULL}};
    if (pipe->buffer == 0) {
        free(pipe);
        return NULL;
    }
    return pipe;
}

void ultrix_pipe_free(struct ultrix_pipe *pipe) {
    free(pipe);
}

/* From the call to the pipe: the descriptor's words in the u-area, the open file's. */
static void enter_file(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    ultrix_call_begin(process, ultrix_components.pipe);
    ultrix_step(ultrix, &ultrix->costs->file);
    (void)ultrix_load(ultrix, process->u_area + ULTRIX_U_FILES);
    (void)ultrix_load(ultrix, process->u_area + ULTRIX_U_FILES + WORD);
}

static uint64_t place(const struct ultrix_pipe *pipe, uint32_t position) {
    return pipe->buffer + DATA + position % RING_BYTES;
}

static void wake(struct ultrix_pipe *pipe, bool reader) {
    struct ultrix_process **waits = &pipe->waits[reader ? 0 : 1];
    if (*waits != NULL) {
        ultrix_wakeup(pipe->ultrix, *waits);
        ultrix_work(pipe->ultrix, ultrix_components.pipe);
        *waits = NULL;
    }
}

static void wait_for(struct ultrix_process *process, struct ultrix_pipe *pipe, bool reader) {
    pipe->waits[reader ? 0 : 1] = process;
    ultrix_sleep(process, pipe, ULTRIX_PRIORITY_WAIT);
    ultrix_work(process->ultrix, ultrix_components.pipe);
}

void ultrix_write(struct ultrix_process *process, struct ultrix_pipe *pipe, const uint32_t *words, uint32_t count) {
    struct ultrix *ultrix = process->ultrix;
    enter_file(process);
    ultrix_step(ultrix, &ultrix->costs->socket_send);
    uint32_t head = ultrix_load(ultrix, pipe->buffer + HEAD);
    while (RING_BYTES - (head - ultrix_load(ultrix, pipe->buffer + TAIL)) < count * WORD) {
        wait_for(process, pipe, false);
    }
    ultrix_step(ultrix, &ultrix->costs->copy);
    for (uint32_t i = 0; i < count; i++, head += WORD) {
        ultrix_step(ultrix, &ultrix->costs->copy_word);
        r3000_execute(ultrix->cpu, 1); /* the load of the user's word */
        ultrix_store(ultrix, place(pipe, head), words[i]);
    }
    ultrix_store(ultrix, pipe->buffer + HEAD, head);
    wake(pipe, true);
    ultrix_call_end(process);
}

uint32_t ultrix_read(struct ultrix_process *process, struct ultrix_pipe *pipe, uint32_t *words, uint32_t count) {
    struct ultrix *ultrix = process->ultrix;
    enter_file(process);
    ultrix_step(ultrix, &ultrix->costs->socket_receive);
    uint32_t tail = ultrix_load(ultrix, pipe->buffer + TAIL), head = 0;
    while ((head = ultrix_load(ultrix, pipe->buffer + HEAD)) == tail) {
        wait_for(process, pipe, true);
    }
    ultrix_step(ultrix, &ultrix->costs->copy);
    uint32_t got = 0;
    for (; got < count && tail != head; got++, tail += WORD) {
        ultrix_step(ultrix, &ultrix->costs->copy_word);
        words[got] = ultrix_load(ultrix, place(pipe, tail));
        r3000_execute(ultrix->cpu, 1); /* the store to the user's word */
    }
    ultrix_store(ultrix, pipe->buffer + TAIL, tail);
    wake(pipe, false);
    ultrix_call_end(process);
    return got;
}
