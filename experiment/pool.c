#include "experiment/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct pool {
    const struct pool_job *job;
    pid_t *children; /* by index; 0: not running */
    size_t next, ended, failed, running;
};

static void show_progress(const struct pool *pool) {
    enum { WIDTH = 40 };
    const struct pool_job *job = pool->job;
    if (!job->progress || job->count == 0 || isatty(STDERR_FILENO) == 0) {
        return;
    }
    char bar[WIDTH + 1];
    const size_t filled = WIDTH * pool->ended / job->count;
    for (size_t i = 0; i < WIDTH; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[WIDTH] = '\0';
    (void)fprintf(stderr, "\r%s [%s] %zu of %zu", job->what, bar, pool->ended, job->count);
    if (pool->ended == job->count) {
        (void)fputs("\r\033[K", stderr);
    }
    (void)fflush(stderr);
}

static void count_end(struct pool *pool, size_t index, bool good) {
    pool->ended++;
    pool->failed += good ? 0 : 1;
    pool->job->ended(pool->job->context, index, good);
    show_progress(pool);
}

static void start(struct pool *pool, size_t index) {
    (void)fflush(NULL);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) {
        perror("fork");
        count_end(pool, index, false);
        return;
    }
    if (child == 0) {
        /* An interrupted run leaves no process behind. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        const int status = pool->job->work(pool->job->context, index);
        (void)fflush(NULL);
        _exit(status);
    }
    pool->children[index] = child;
    pool->running++;
}

static void reap(struct pool *pool) {
    int status = 0;
    const pid_t child = wait(&status);
    if (child < 0) {
        return;
    }
    for (size_t index = 0; index < pool->next; index++) {
        if (pool->children[index] == child) {
            pool->children[index] = 0;
            pool->running--;
            count_end(pool, index, WIFEXITED(status) && WEXITSTATUS(status) == 0);
        }
    }
}

size_t pool_run(const struct pool_job *job) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t jobs = job->jobs > 0 ? job->jobs : cores > 0 ? (size_t)cores : 1;
    struct pool pool = {.job = job, .children = calloc(job->count + 1, sizeof(pid_t))};
    SIM_ASSERT(pool.children != NULL);
    show_progress(&pool);
    while (pool.ended < job->count) {
        while (pool.next < job->count && pool.running < jobs) {
            const size_t index = pool.next++;
            if (job->skip != NULL && job->skip(job->context, index)) {
                count_end(&pool, index, true);
            } else {
                start(&pool, index);
            }
        }
        if (pool.running > 0) {
            reap(&pool);
        }
    }
    free(pool.children);
    return pool.failed;
}
