/* linux_writeback.c: kernel threads of the storage stack. The flusher writes pages
 * back that are old, or when there are too many; the journal's thread (jbd2,
 * btrfs-transaction) commits, when an fsync asks for it and when a transaction has
 * been open for long. Who makes too many pages dirty has to write some back itself. */
#include <stdio.h>

#include "kernel_model/linux/linux_storage.h"

static struct fs_call *base_of(struct linux_file_call *call) {
    call->base.user = call;
    call->thread->file_call = call;
    return &call->base;
}

static uint64_t pages(const struct linux_storage *storage, double share) {
    return (uint64_t)(share * (double)storage->config.cache_bytes / FS_PAGE_BYTES);
}

/* A kernel thread sleeps until it is woken for more work. */
static void idle(struct linux_file_call *call, struct fs_queue *queue) {
    linux_storage_sleep(call, queue, call->components->code);
}

/* ---- the journal's thread ---- */

static bool has_commit(const struct linux_storage *storage) {
    return storage->mounted && storage->commit_wanted > fs_committed_transaction(storage->fs);
}

/* A request that was lent for a commit goes back to its call. */
static void give_back(struct linux_storage *storage, struct linux_file_call *asked, struct linux_cpu *cpu) {
    if (asked != NULL) {
        asked->away = false;
    }
    linux_storage_wake(&storage->commit_queue, cpu);
}

/* The commit is the work of the fsync that asked for it first: its request comes along
 * and goes back. */
static void commit_for(struct linux_storage *storage, struct linux_thread *thread) {
    struct linux_file_call *asked = storage->commit_call;
    struct linux_file_call call = linux_kernel_call(thread);
    storage->commit_call = NULL;
    if (asked != NULL) {
        call.components = asked->components;
        call.request = asked->lent;
        call.base.id = asked->base.id;
    }
    linux_call_work(&call, call.components->journal);
    linux_charge(thread->context, &storage->profile.commit_wake, 1);
    const enum error_code code = fs_commit(storage->fs, base_of(&call));
    storage->counters.journal_thread_commits += 1;
    linux_call_work(&call, call.components->context_switch);
    linux_charge(thread->context, &storage->system->profile.wake_up, 1);
    if (call.request != NULL) {
        cpu_pass_on(thread->context, call.components->context_switch, LEDGER_WAITING);
    }
    cpu_run(thread->context);
    thread->file_call = NULL;
    if (code != OK || fs_transaction_since(storage->fs) == SIM_TIME_MAX) {
        storage->commit_wanted = fs_committed_transaction(storage->fs); /* there is nothing more to commit */
    }
    give_back(storage, asked, thread->cpu);
}

static void journal_main(struct linux_thread *thread) {
    struct linux_storage *storage = linux_of(thread)->storage;
    for (;;) {
        while (has_commit(storage)) {
            commit_for(storage, thread);
            linux_sched_preemption_point(thread, linux_write_back_components.code, NULL);
        }
        if (storage->commit_call != NULL) { /* what it asks for has been committed meanwhile */
            struct linux_file_call *asked = storage->commit_call;
            storage->commit_call = NULL;
            give_back(storage, asked, thread->cpu);
        }
        struct linux_file_call call = linux_kernel_call(thread);
        (void)base_of(&call);
        linux_call_work(&call, call.at);
        idle(&call, &storage->journal_idle);
    }
}

void linux_commit_and_wait(void *context, const struct fs_call *call, uint64_t sequence) {
    struct linux_storage *storage = context;
    struct linux_file_call *own = call->user;
    linux_call_work(own, own->components->context_switch);
    linux_charge(call->cpu, &storage->system->profile.wake_up, 1);
    if (storage->commit_call == NULL) { /* the journal's thread works for it */
        if (own->request != NULL) {
            cpu_pass_on(call->cpu, own->components->context_switch, LEDGER_WAITING);
        }
        own->lent = own->request;
        own->request = NULL;
        own->away = true;
        storage->commit_call = own;
    }
    cpu_run(call->cpu);
    storage->commit_wanted = sequence > storage->commit_wanted ? sequence : storage->commit_wanted;
    linux_storage_wake(&storage->journal_idle, own->thread->cpu);
    if (own->away || fs_committed_transaction(storage->fs) < sequence) {
        do {
            linux_storage_sleep(own, &storage->commit_queue, own->components->context_switch);
        } while (own->away);
    }
    own->request = own->lent != NULL ? own->lent : own->request;
    own->lent = NULL;
    linux_call_work(own, own->components->context_switch);
    linux_charge(call->cpu, &storage->profile.commit_wake, 1);
    linux_call_work(own, own->components->code);
}

/* ---- the flusher ---- */

static bool too_many_dirty(const struct linux_storage *storage, double share) {
    return fs_dirty_pages(storage->fs) > pages(storage, share);
}

static void flush(struct linux_storage *storage, struct linux_thread *thread) {
    struct linux_file_call call = linux_kernel_call(thread);
    const sim_time now = sim_now(), expire = storage->config.dirty_expire;
    const bool all = too_many_dirty(storage, storage->config.dirty_background);
    const sim_time before = all ? SIM_TIME_MAX : now > expire ? now - expire : 0;
    storage->flusher_wanted = false;
    storage->counters.flusher_runs += 1;
    linux_call_work(&call, call.at);
    (void)fs_write_back(storage->fs, base_of(&call), before, UINT64_MAX);
    thread->file_call = NULL;
}

static void flusher_main(struct linux_thread *thread) {
    struct linux_storage *storage = linux_of(thread)->storage;
    for (;;) {
        while (storage->flusher_wanted) {
            flush(storage, thread);
            linux_sched_preemption_point(thread, linux_write_back_components.code, NULL);
        }
        struct linux_file_call call = linux_kernel_call(thread);
        (void)base_of(&call);
        linux_call_work(&call, call.at);
        idle(&call, &storage->flusher_idle);
    }
}

/* ---- when ---- */

static void on_timer(void *context) {
    struct linux_storage *storage = context;
    const struct linux_storage_config *config = &storage->config;
    const sim_time now = sim_now();
    const sim_time step =
        config->write_back_interval < config->commit_interval ? config->write_back_interval : config->commit_interval;
    sim_schedule(&storage->timer, step);
    if (!storage->mounted) {
        return;
    }
    const sim_time since = fs_transaction_since(storage->fs), dirty = fs_dirty_since(storage->fs);
    if (since != SIM_TIME_MAX && now - since >= config->commit_interval) {
        storage->commit_wanted = fs_open_transaction(storage->fs);
        linux_storage_wake(&storage->journal_idle, NULL);
    }
    if (dirty != SIM_TIME_MAX && now - dirty >= config->dirty_expire) {
        storage->flusher_wanted = true;
        linux_storage_wake(&storage->flusher_idle, NULL);
    }
}

enum error_code linux_balance(struct linux_storage *storage, struct linux_file_call *call) {
    enum error_code code = OK;
    const uint64_t cached = fs_cached_pages(storage->fs), most = pages(storage, 1);
    if (too_many_dirty(storage, storage->config.dirty_background) && !storage->flusher_wanted) {
        linux_charge(call->base.cpu, &storage->system->profile.wake_up, 1);
        cpu_run(call->base.cpu);
        storage->flusher_wanted = true;
        linux_storage_wake(&storage->flusher_idle, call->thread->cpu);
    }
    if (too_many_dirty(storage, storage->config.dirty_limit)) {
        storage->counters.throttled_writes += 1;
        code = fs_write_back(storage->fs, &call->base, SIM_TIME_MAX, pages(storage, storage->config.dirty_background));
    }
    if (cached > most) {
        (void)fs_shrink(storage->fs, cached - most);
    }
    return code;
}

void linux_writeback_open(struct linux_storage *storage) {
    struct linux_cpu *cpu = &storage->system->cpus[storage->config.thread_core];
    char name[32];
    (void)snprintf(name, sizeof name, "journal/%s", fs_kind_names[storage->config.filesystem]);
    storage->journal_thread = linux_thread_create(cpu, name, journal_main);
    storage->flusher = linux_thread_create(cpu, "flusher", flusher_main);
    linux_sched_wake(storage->journal_thread, NULL);
    linux_sched_wake(storage->flusher, NULL);
    sim_event_init(&storage->timer, SIM_PRIORITY_HARDWARE, on_timer, storage);
    sim_schedule(&storage->timer, storage->config.write_back_interval);
}

void linux_writeback_close(struct linux_storage *storage) {
    if (storage->flusher != NULL) {
        (void)sim_cancel(&storage->timer);
    }
}
