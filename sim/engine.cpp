/* engine.cpp: the engine over SystemC.
 *
 * Events are ordered by (time, priority, order of scheduling). The next few lie in a
 * short sorted array, whose end comes and goes at the cost of a few moves; all others,
 * which come later than those, in a heap.
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
    uint64_t order() const { return (static_cast<uint64_t>(event->priority) << 56) | event->sequence; }
    bool before(const heap_entry &other) const { return due != other.due ? due < other.due : order() < other.order(); }
};

constexpr unsigned HEAP_ARITY = 4;
/* Of the sorted array; when it has run empty it takes half as many from the heap. */
constexpr unsigned NEAR_MAX = 32;
/* heap_index of an event that lies there. */
constexpr uint32_t IN_NEAR = SIM_EVENT_IDLE - 1;

struct engine {
    sim_time now = 0;
    sim_time until = 0;
    uint64_t sequence = 0, events_run = 0;
    bool stopping = false, started = false, lockstep = false, waiting_for_time = false;
    unsigned near_count = 0;
    heap_entry near[NEAR_MAX + 1]; /* the first to come stands last */
    std::vector<heap_entry> heap;
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

void heap_remove(engine &e, size_t index) {
    const heap_entry last = e.heap.back();
    e.heap.pop_back();
    if (index == e.heap.size()) {
        return;
    }
    if (index > 0 && last.before(e.heap[(index - 1) / HEAP_ARITY])) {
        heap_up(e, index, last);
    } else {
        heap_down(e, index, last);
    }
}

void heap_insert(engine &e, const heap_entry &entry) {
    e.heap.push_back(entry);
    heap_up(e, e.heap.size() - 1, entry);
}

/* Into the sorted array; its latest goes to the heap if it is full. */
void near_insert(engine &e, const heap_entry &entry) {
    unsigned at = e.near_count++;
    for (; at > 0 && e.near[at - 1].before(entry); at--) {
        e.near[at] = e.near[at - 1];
    }
    e.near[at] = entry;
    entry.event->heap_index = IN_NEAR;
    if (e.near_count > NEAR_MAX) {
        heap_insert(e, e.near[0]);
        e.near_count--;
        std::memmove(&e.near[0], &e.near[1], e.near_count * sizeof e.near[0]);
    }
}

/* The array is empty: the heap's first fill half of it. */
void refill(engine &e) {
    const size_t wanted = e.heap.size() < NEAR_MAX / 2 ? e.heap.size() : NEAR_MAX / 2;
    for (size_t at = wanted; at > 0; at--) {
        e.near[at - 1] = e.heap[0];
        e.heap[0].event->heap_index = IN_NEAR;
        heap_remove(e, 0);
    }
    e.near_count = static_cast<unsigned>(wanted);
}

void insert(engine &e, const heap_entry &entry) {
    /* What comes before something in the array belongs there, and if there is room
     * what comes before all of the heap. */
    const bool is_near = e.near_count > 0 && entry.before(e.near[0]);
    if (is_near || (e.near_count < NEAR_MAX && (e.heap.empty() || entry.before(e.heap[0])))) {
        near_insert(e, entry);
    } else {
        heap_insert(e, entry);
    }
}

void remove(engine &e, const sim_event *event) {
    if (event->heap_index != IN_NEAR) {
        heap_remove(e, event->heap_index);
        return;
    }
    unsigned at = e.near_count - 1;
    while (e.near[at].event != event) {
        at--;
    }
    e.near_count--;
    std::memmove(&e.near[at], &e.near[at + 1], (e.near_count - at) * sizeof e.near[0]);
}

/* The first event, or nullptr if there is none. */
const heap_entry *first_event(engine &e) {
    if (e.near_count == 0) {
        if (e.heap.empty()) {
            return nullptr;
        }
        refill(e);
    }
    return &e.near[e.near_count - 1];
}

/* Lets SystemC's time come up to `due` while foreign modules run; false if one of
 * them scheduled something earlier meanwhile. */
bool advance_in_lockstep(engine &e, sim_time due) {
    const sim_time stamp = sc_core::sc_time_stamp().value();
    if (due <= stamp) {
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
        const heap_entry *first = first_event(e);
        if (e.stopping || first == nullptr || first->due > e.until) {
            return nullptr;
        }
        if (e.lockstep && !advance_in_lockstep(e, first->due)) {
            continue;
        }
        if (e.lockstep) {
            first = first_event(e); /* foreign modules may have scheduled something meanwhile */
        }
        struct sim_event *event = first->event;
        e.now = first->due;
        e.near_count--;
        event->heap_index = SIM_EVENT_IDLE;
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
    event->sequence = 0;
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
    event->sequence = e.sequence++;
    const heap_entry entry = {due, event};
    insert(e, entry);
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
    event->heap_index = SIM_EVENT_IDLE;
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
