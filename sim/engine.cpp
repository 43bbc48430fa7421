/* engine.cpp: the engine over SystemC.
 *
 * Events are ordered by (time, priority, order of scheduling). Those of the near
 * future lie in a wheel: a short sorted list for each slot of time, and a bit for each
 * slot that has one, so that to put in and to take out cost the same however many
 * there are (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987). What
 * comes later lies in a heap, and stays there until it is its turn.
 * Tasks are SC_THREADs, and control is one token: whoever holds it pumps the events.
 * A task that blocks goes on pumping on its own stack; callbacks run there, and if
 * the next task to wake is itself it simply returns, with no switch at all. Only
 * when another task is due does the token pass: notify it, wait for one's own
 * event; SystemC then switches straight from coroutine to coroutine. A root thread
 * holds the token at the start and gets it back at the end of sim_run. */
#include "sim/engine.h"

/* Without this SystemC hides sc_spawn. */
#define SC_INCLUDE_DYNAMIC_PROCESSES

#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <systemc>
#include <vector>

#include "sim/error.h"

/* The library wants one, though our own main never calls it. */
int sc_main(int, char **) {
    return 0;
}

struct sim_task {
    struct sim_event wake; /* callback NULL marks a task's wake-up */
    sc_core::sc_event go;
    std::string name;
    void (*body)(void *);
    void *argument;
    bool finished = false;
    explicit sim_task(const char *task_name) : go(sc_core::sc_gen_unique_name("go")), name(task_name) {}
};

namespace {

struct heap_entry {
    sim_time due;
    struct sim_event *event;
    /* The order within an instant lies with the event: it is seldom asked for, and
     * entries that are moved stay short. */
    bool before(const heap_entry &other) const {
        return due != other.due ? due < other.due : event->order < other.event->order;
    }
};

constexpr unsigned HEAP_ARITY = 4;
/* A slot is 2^27 fs, 134 ns; all slots 34 us. */
constexpr unsigned SLOT_SHIFT = 27;
constexpr unsigned SLOTS = 256;
constexpr unsigned WORD_BITS = 64;
constexpr unsigned WORDS = SLOTS / WORD_BITS;
constexpr unsigned PRIORITY_SHIFT = 56;
/* heap_index of an event that lies in the wheel. */
constexpr uint32_t IN_WHEEL = SIM_EVENT_IDLE - 1;

struct wheel {
    uint64_t in_use[WORDS];
    struct sim_event *slots[SLOTS]; /* the first of each, linked by `later` */
};

struct engine {
    sim_time now = 0;
    sim_time until = 0;
    uint64_t sequence = 0, events_run = 0;
    bool stopping = false, started = false, lockstep = false, waiting_for_time = false;
    wheel near = {};
    std::vector<heap_entry> heap;
    sim_time heap_due = SIM_TIME_MAX; /* of the first in the heap */
    std::deque<std::unique_ptr<sim_task>> tasks;
    sim_task *current = nullptr;
    std::unique_ptr<sc_core::sc_event> root_go, kick;
    sim_callback *observer = nullptr;
    void *observer_context = nullptr;
};

engine instance; /* one simulation a process */

engine &the_engine() {
    return instance;
}

void heap_place(engine &e, size_t index, const heap_entry &entry) {
    e.heap[index] = entry;
    entry.event->heap_index = static_cast<uint32_t>(index);
}

void heap_up(engine &e, size_t index, const heap_entry &entry) {
    while (index > 0) {
        const size_t parent = (index - 1) / HEAP_ARITY;
        if (!entry.before(e.heap[parent])) {
            break;
        }
        heap_place(e, index, e.heap[parent]);
        index = parent;
    }
    heap_place(e, index, entry);
}

void heap_down(engine &e, size_t index, const heap_entry &entry) {
    const size_t size = e.heap.size();
    for (;;) {
        const size_t first = index * HEAP_ARITY + 1;
        if (first >= size) {
            break;
        }
        const size_t last = first + HEAP_ARITY < size ? first + HEAP_ARITY : size;
        size_t least = first;
        for (size_t child = first + 1; child < last; child++) {
            if (e.heap[child].before(e.heap[least])) {
                least = child;
            }
        }
        if (!e.heap[least].before(entry)) {
            break;
        }
        heap_place(e, index, e.heap[least]);
        index = least;
    }
    heap_place(e, index, entry);
}

__attribute__((noinline)) void heap_remove(engine &e, size_t index) {
    const heap_entry last = e.heap.back();
    e.heap.pop_back();
    if (index != e.heap.size()) {
        if (index > 0 && last.before(e.heap[(index - 1) / HEAP_ARITY])) {
            heap_up(e, index, last);
        } else {
            heap_down(e, index, last);
        }
    }
    e.heap_due = e.heap.empty() ? SIM_TIME_MAX : e.heap[0].due;
}

__attribute__((noinline)) void heap_insert(engine &e, const heap_entry &entry) {
    e.heap.push_back(entry);
    heap_up(e, e.heap.size() - 1, entry);
    e.heap_due = e.heap[0].due;
}

inline bool before(const struct sim_event *one, const struct sim_event *other) {
    return one->due != other->due ? one->due < other->due : one->order < other->order;
}

inline unsigned slot_of(sim_time due) {
    return static_cast<unsigned>(due >> SLOT_SHIFT) % SLOTS;
}

inline void wheel_insert(wheel &w, struct sim_event *event) {
    const unsigned slot = slot_of(event->due);
    struct sim_event **link = &w.slots[slot];
    w.in_use[slot / WORD_BITS] |= UINT64_C(1) << (slot % WORD_BITS);
    while (*link != nullptr && before(*link, event)) {
        link = &(*link)->later;
    }
    event->later = *link;
    event->heap_index = IN_WHEEL;
    *link = event;
}

/* Takes out what `link`, in `slot`, points to. */
inline void wheel_unlink(wheel &w, unsigned slot, struct sim_event **link) {
    *link = (*link)->later;
    if (w.slots[slot] == nullptr) {
        w.in_use[slot / WORD_BITS] &= ~(UINT64_C(1) << (slot % WORD_BITS));
    }
}

/* The first slot in use, from that of `now` round to the one before it; SLOTS: none. */
inline unsigned wheel_first(const wheel &w, sim_time now) {
    const unsigned begin = slot_of(now);
    unsigned word = begin / WORD_BITS;
    uint64_t bits = w.in_use[word] & (~UINT64_C(0) << (begin % WORD_BITS));
    for (unsigned i = 0; bits == 0; i++) {
        if (i == WORDS) {
            return SLOTS;
        }
        word = (word + 1) % WORDS;
        bits = w.in_use[word];
    }
    return word * WORD_BITS + static_cast<unsigned>(__builtin_ctzll(bits));
}

/* What is due within the wheel's turn goes there. It holds nothing that is past, so
 * that a slot never holds events of two turns. */
inline void insert(engine &e, struct sim_event *event) {
    if ((event->due >> SLOT_SHIFT) - (e.now >> SLOT_SHIFT) < SLOTS) {
        wheel_insert(e.near, event);
    } else {
        heap_insert(e, {event->due, event});
    }
}

__attribute__((noinline)) void remove(engine &e, struct sim_event *event) {
    if (event->heap_index == IN_WHEEL) {
        const unsigned slot = slot_of(event->due);
        struct sim_event **link = &e.near.slots[slot];
        while (*link != event) {
            link = &(*link)->later;
        }
        wheel_unlink(e.near, slot, link);
    } else {
        heap_remove(e, event->heap_index);
    }
    event->heap_index = SIM_EVENT_IDLE;
}

/* Takes out the first event, unless it comes after `until`; nullptr: there is none. */
inline struct sim_event *take_first(engine &e, sim_time until) {
    const unsigned slot = wheel_first(e.near, e.now);
    struct sim_event *event = slot == SLOTS ? nullptr : e.near.slots[slot];
    if (event == nullptr || e.heap_due <= event->due) {
        if (!e.heap.empty() && (event == nullptr || before(e.heap[0].event, event))) {
            event = e.heap[0].event;
        }
        if (event != nullptr && event->due <= until) {
            remove(e, event);
            return event;
        }
        return nullptr;
    }
    if (event->due > until) {
        return nullptr;
    }
    wheel_unlink(e.near, slot, &e.near.slots[slot]);
    event->heap_index = SIM_EVENT_IDLE;
    return event;
}

/* Lets SystemC's time come up to the first event while foreign modules run; false if
 * one of them scheduled something earlier meanwhile. */
bool advance_in_lockstep(engine &e) {
    const unsigned slot = wheel_first(e.near, e.now);
    const sim_time near_due = slot == SLOTS ? SIM_TIME_MAX : e.near.slots[slot]->due;
    const sim_time due = near_due < e.heap_due ? near_due : e.heap_due;
    const sim_time stamp = sc_core::sc_time_stamp().value();
    if (due <= stamp || due > e.until || due == SIM_TIME_MAX) {
        return true;
    }
    e.waiting_for_time = true;
    sc_core::wait(sc_core::sc_time::from_value(due - stamp), *e.kick);
    e.waiting_for_time = false;
    return sc_core::sc_time_stamp().value() >= due;
}

/* Pumps until `self`'s wake-up is due (self a task) or the run is over (self the
 * root, or NULL-bodied). Returns the task to pass the token to, `self` if it is to
 * go on, or nullptr at the end of the run. */
sim_task *pump(engine &e, const sim_task *self) {
    e.current = nullptr;
    for (;;) {
        if (e.observer != nullptr) {
            e.observer(e.observer_context);
        }
        if (e.stopping) {
            return nullptr;
        }
        if (e.lockstep && !advance_in_lockstep(e)) {
            continue;
        }
        struct sim_event *event = take_first(e, e.until);
        if (event == nullptr) {
            return nullptr;
        }
        e.now = event->due;
        e.events_run++;
        if (event->callback != nullptr) {
            event->callback(event->context);
            continue;
        }
        sim_task *task = static_cast<sim_task *>(event->context);
        e.current = task;
        (void)self;
        return task;
    }
}

/* Gives the token away and waits for it to come back to `self`. */
void block(engine &e, sim_task *self) {
    sim_task *next = pump(e, self);
    if (next == self) {
        return;
    }
    if (next != nullptr) {
        next->go.notify();
    } else {
        e.root_go->notify();
    }
    sc_core::wait(self->go);
    e.current = self;
}

void task_main(sim_task *task) {
    engine &e = the_engine();
    e.current = task;
    task->body(task->argument);
    task->finished = true;
    sim_task *next = pump(e, nullptr);
    if (next != nullptr) {
        next->go.notify();
    } else {
        e.root_go->notify();
    }
}

void root_main() {
    engine &e = the_engine();
    for (;;) {
        sim_task *next = pump(e, nullptr);
        if (next != nullptr) {
            next->go.notify();
            sc_core::wait(*e.root_go); /* the end of the run */
        }
        sc_core::sc_pause();
        sc_core::wait(*e.root_go); /* the next sim_run */
    }
}

void start(engine &e) {
    if (e.started) {
        return;
    }
    e.started = true;
    e.root_go = std::make_unique<sc_core::sc_event>("root_go");
    e.kick = std::make_unique<sc_core::sc_event>("kick");
    sc_core::sc_spawn_options options;
    options.set_stack_size(SIM_TASK_STACK_BYTES);
    options.dont_initialize();
    options.set_sensitivity(e.root_go.get());
    sc_core::sc_spawn(root_main, "root", &options);
}

/* Before anything of SystemC exists: its banner is not ours to print, and its unit
 * of time is ours. */
void prepare_systemc() {
    static bool prepared = false;
    if (!prepared) {
        prepared = true;
        (void)setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1);
        (void)setenv("SC_COPYRIGHT_MESSAGE", "DISABLE", 1);
        sc_core::sc_set_time_resolution(1, sc_core::SC_FS);
    }
}

} // namespace

extern "C" {

void sim_event_init(struct sim_event *event, enum sim_priority priority, sim_callback *callback, void *context) {
    SIM_ASSERT(callback != nullptr);
    event->due = 0;
    event->order = 0;
    event->heap_index = SIM_EVENT_IDLE;
    event->priority = static_cast<uint8_t>(priority);
    event->context = context;
    event->callback = callback;
}

sim_time sim_now(void) {
    return the_engine().now;
}

void sim_schedule_at(struct sim_event *event, sim_time due) {
    engine &e = the_engine();
    SIM_ASSERT_MSG(event->heap_index == SIM_EVENT_IDLE, "an event is scheduled twice");
    SIM_ASSERT_MSG(due >= e.now, "an event is scheduled in the past");
    event->due = due;
    event->order = (static_cast<uint64_t>(event->priority) << PRIORITY_SHIFT) | e.sequence++;
    insert(e, event);
    if (e.waiting_for_time) {
        e.kick->notify(sc_core::SC_ZERO_TIME);
    }
}

void sim_schedule(struct sim_event *event, sim_time delay) {
    sim_schedule_at(event, the_engine().now + delay);
}

bool sim_cancel(struct sim_event *event) {
    if (event->heap_index == SIM_EVENT_IDLE) {
        return false;
    }
    remove(the_engine(), event);
    return true;
}

void sim_run(sim_time until) {
    engine &e = the_engine();
    prepare_systemc();
    start(e);
    e.until = until;
    e.stopping = false;
    e.root_go->notify(sc_core::SC_ZERO_TIME);
    sc_core::sc_start();
    if (!e.stopping && until != SIM_TIME_MAX && e.now < until) {
        e.now = until;
    }
}

void sim_stop(void) {
    the_engine().stopping = true;
}

void sim_observe(sim_callback *observer, void *context) {
    the_engine().observer = observer;
    the_engine().observer_context = context;
}

uint64_t sim_events_run(void) {
    return the_engine().events_run;
}

void sim_set_lockstep(bool on) {
    the_engine().lockstep = on;
}

struct sim_task *sim_task_create(const char *name, size_t stack_bytes, void (*body)(void *argument), void *argument) {
    engine &e = the_engine();
    prepare_systemc();
    start(e);
    e.tasks.push_back(std::make_unique<sim_task>(name));
    sim_task *task = e.tasks.back().get();
    task->body = body;
    task->argument = argument;
    task->wake.due = 0;
    task->wake.heap_index = SIM_EVENT_IDLE;
    task->wake.priority = SIM_PRIORITY_SOFTWARE;
    task->wake.context = task;
    task->wake.callback = nullptr;
    sc_core::sc_spawn_options options;
    const size_t bytes = stack_bytes != 0 ? stack_bytes : static_cast<size_t>(SIM_TASK_STACK_BYTES);
    options.set_stack_size(static_cast<int>(bytes));
    options.dont_initialize();
    options.set_sensitivity(&task->go);
    sc_core::sc_spawn([task] { task_main(task); }, sc_core::sc_gen_unique_name("task"), &options);
    sim_schedule_at(&task->wake, e.now);
    return task;
}

struct sim_task *sim_task_current(void) {
    return the_engine().current;
}

const char *sim_task_name(const struct sim_task *task) {
    return task->name.c_str();
}

void sim_task_block(void) {
    engine &e = the_engine();
    SIM_ASSERT_MSG(e.current != nullptr, "only a task can block");
    block(e, e.current);
}

void sim_task_wait_until(sim_time due) {
    sim_task_wake_at(the_engine().current, due);
    sim_task_block();
}

void sim_task_delay(sim_time delay) {
    sim_task_wait_until(the_engine().now + delay);
}

void sim_task_wake_at(struct sim_task *task, sim_time due) {
    SIM_ASSERT_MSG(!task->finished, "a task that has ended is woken");
    sim_schedule_at(&task->wake, due);
}

void sim_task_wake(struct sim_task *task) {
    sim_task_wake_at(task, the_engine().now);
}

bool sim_task_wake_cancel(struct sim_task *task) {
    return sim_cancel(&task->wake);
}

bool sim_task_is_blocked(const struct sim_task *task) {
    return !task->finished && the_engine().current != task;
}

void sim_task_kill(struct sim_task *task) {
    SIM_ASSERT_MSG(the_engine().current != task, "a task cannot end itself but by returning");
    (void)sim_cancel(&task->wake);
    task->finished = true;
}

} /* extern "C" */
