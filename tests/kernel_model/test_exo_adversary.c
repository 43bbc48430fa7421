/* test_exo_adversary.c: on the x86 machine, two library OSes (accomplices) make random
 * calls with random arguments over the whole interface of one kernel, while a third, Alice,
 * does its work. A monitor written apart from the kernel (monitor.h) says of every answer
 * whether it may be given, and looks now and then at what the hardware would do: page
 * tables, IOMMU tables, the NIC's filters, the drive's namespaces; at XN's disk, and at who
 * gets packets. */
#include "tests/kernel_model/adversary_fixture.h"

/* Fewer under a sanitizer, and as many as one likes with -DADVERSARY_CALLS=... */
#ifndef ADVERSARY_CALLS
#ifdef __SANITIZE_ADDRESS__
#define ADVERSARY_CALLS 50000
#else
#define ADVERSARY_CALLS 1000000
#endif
#endif

enum { KINDS = 10 };
static uint64_t granted[KINDS]; /* by kind of call */
static unsigned kind;

/* ---- the adversaries ---- */

static const struct exo_handle *alices(void) {
    const struct exo_handle *const all[] = {&memory[0].handle,
                                            &memory[1].handle,
                                            &memory[2].handle,
                                            &function,
                                            &queue,
                                            &filter,
                                            &vsic,
                                            &storage_queue,
                                            &area,
                                            &end_point,
                                            &doorbell,
                                            &directories,
                                            &tree,
                                            &downloaded};
    return all[draw(sizeof all / sizeof *all)];
}

/* Valid, stale, another's, edited, made up. */
static struct exo_handle some_handle(enum exo_type type) {
    const uint32_t from = draw(8) != 0 ? (uint32_t)type : draw(EXO_TYPES);
    struct exo_handle handle = pool[from][draw(POOL)];
    for (int i = 0; i < POOL && monitor_find(&monitor, &handle) == NULL && draw(20) != 0; i++) {
        handle = pool[from][draw(POOL)]; /* rather one that lives */
    }
    switch (draw(10)) {
    case 0:
        handle = *alices();
        break;
    case 1:
        handle = *alices();
        handle.holder = mallory[draw(2)]->number;
        break;
    case 2:
        handle.rights = (uint16_t)draw(64);
        break;
    case 3:
        ((uint8_t *)&handle)[draw(sizeof handle)] ^= (uint8_t)(1U << draw(8));
        break;
    case 4:
        handle.generation += draw(3);
        break;
    default:
        break;
    }
    return handle;
}

/* Remembers a handle; what was there is given up, if the environment may. */
static void keep(enum exo_type type, const struct exo_handle *made) {
    struct exo_handle *at = &pool[type][draw(POOL)];
    const struct exo_handle was = *at;
    const struct monitor_capability *held = monitor_find(&monitor, &was);
    *at = *made;
    if (held != NULL && held->holder != alice->number) {
        struct exo_environment *holder = held->holder == mallory[0]->number ? mallory[0] : mallory[1];
        const bool may = monitor_allows(&monitor, holder->number, &was, held->type, EXO_CONTROL);
        MUST((exo_revoke(holder, &was, NULL) == OK) == may, "what an environment holds it can give up");
        if (may) {
            monitor_revoked(&monitor, &was);
        }
    }
}

/* An answer to a call that takes one capability: granted if and only if... the second
 * only where nothing else is refused with ERR_DENIED. */
static bool answered(enum error_code code, bool allowed, bool exact) {
    MUST(code != OK || allowed, "a call was granted against the rules");
    MUST(!exact || code != ERR_DENIED || !allowed, "a capability was refused that is good");
    granted[kind] += code == OK;
    return code == OK;
}

static int who(const struct exo_environment *e) {
    return e == mallory[0] ? 0 : 1;
}

#include "tests/kernel_model/adversary_code.h"

static uint64_t some_address(void) {
    static const uint64_t odd[] = {1,
                                   0xfff,
                                   UINT64_MAX,
                                   UINT64_MAX - 4095,
                                   UINT64_C(0x800000000000),
                                   UINT64_C(0xffff800000000000),
                                   UINT64_C(0x7ffffffff000)};
    switch (draw(6)) {
    case 0:
        return odd[draw(7)];
    case 1:
        return memory[draw(3)].virtual_address + draw(64) * 4096;
    case 2:
        return UINT64_C(0x10000000) + draw(4096) * 4096;
    default:
        return 0;
    }
}

static void memory_call(struct exo_environment *e) {
    struct exo_region region = {.virtual_address = some_address()};
    const bool write = draw(2) == 0;
    uint64_t physical = 0;
    if (draw(3) == 0) {
        const uint64_t wanted = draw(3) == 0   ? memory[draw(3)].physical + draw(FRAMES) * 4096
                                : draw(3) == 0 ? draw(2) == 0 ? UINT64_MAX - 4095 : draw(70000) * UINT64_C(4096)
                                : draw(9) == 0 ? draw(1 << 20)
                                               : 0;
        const uint64_t bytes = draw(20) == 0 ? UINT64_MAX - draw(2) * 4096 : draw(6 * 4096);
        if (exo_memory_allocate(e, wanted, bytes, &region, NULL) == OK) {
            monitor_granted_frames(&monitor, e->number, &region.handle, region.physical, region.length_bytes);
            keep(EXO_FRAMES, &region.handle);
            granted[kind]++;
        }
        return;
    }
    if (draw(3) == 0) { /* a store, by its own page table */
        const uint64_t at = draw(2) == 0 ? memory[draw(3)].virtual_address + draw(FRAMES * 4096) : some_address();
        if (address_space_translate(e->space, at, true, true, &physical) &&
            memory_contains(fixture_machine->memory, physical, 1)) {
            *memory_at(fixture_machine->memory, physical) = 0x66;
        }
        return;
    }
    region.handle = some_handle(EXO_FRAMES);
    const bool allowed =
        monitor_allows(&monitor, e->number, &region.handle, EXO_FRAMES, EXO_READ | (write ? (unsigned)EXO_WRITE : 0U));
    if (answered(exo_memory_map(e, &region, write, NULL), allowed, true)) {
        record_mapping(e->number, &region.handle, region.virtual_address, region.physical, region.length_bytes, write,
                       false);
    }
}

static void capability_call(struct exo_environment *e) {
    const enum exo_type type = (enum exo_type)(1 + draw(EXO_DOWNLOADED));
    const struct exo_handle handle = some_handle(type);
    if (draw(2) == 0) {
        const unsigned rights = draw(4) == 0 ? draw(UINT32_MAX) : draw(32);
        const struct exo_environment *to = draw(8) == 0 ? alice : mallory[draw(2)];
        struct exo_handle made;
        const unsigned needed = rights | (to == e ? 0U : (unsigned)EXO_GRANT);
        const bool allowed = monitor_allows(&monitor, e->number, &handle, handle.type, needed);
        if (answered(exo_derive(e, &handle, rights, to, &made, NULL), allowed, true)) {
            monitor_derived(&monitor, &handle, rights, to->number, &made);
            keep(type, &made);
        }
        return;
    }
    const bool allowed = monitor_allows(&monitor, e->number, &handle, handle.type, EXO_CONTROL);
    if (answered(exo_revoke(e, &handle, NULL), allowed, true)) {
        monitor_revoked(&monitor, &handle);
    }
}

static struct nic_filter some_space(void) {
    const uint16_t low = (uint16_t)(draw(2) == 0 ? PORT + draw(PORTS) - draw(3) : draw(65536));
    struct nic_filter space = fixture_space(low, (uint16_t)(draw(6) == 0 ? draw(65536) : low + draw(12)));
    space.priority = (uint8_t)draw(3);
    space.protocol = draw(4) == 0 ? (uint8_t)draw(256) : (uint8_t)NET_PROTOCOL_UDP;
    space.service_count = (uint8_t)(draw(12) == 0 ? draw(12) : 1);
    space.peer_count = (uint8_t)(draw(12) == 0 ? draw(12) : 0);
    space.queue = draw(4) == 0 ? draw(70) : 0;
    if (draw(8) == 0) {
        space.services[0].mask = draw(UINT32_MAX);
    }
    if (draw(8) == 0) {
        space.services[0].address = draw(UINT32_MAX);
    }
    return space;
}

static void network_call(struct exo_environment *e) {
    const struct exo_handle handle = some_handle(EXO_FUNCTION), other = some_handle(EXO_END_POINT);
    struct exo_handle made;
    uint64_t at = 0;
    uint32_t index = 0;
    const bool binds = monitor_allows(&monitor, e->number, &handle, EXO_FUNCTION, EXO_BIND);
    const uint32_t which = draw(8);
    const struct nic_filter space = some_space();
    switch (which) {
    case 0:
        if (draw(4) == 0 &&
            answered(exo_function_grant(e, fixture_nic, draw(2) == 0 ? FIXTURE_MAC_A : FIXTURE_MAC_B, &made, NULL),
                     true, true)) {
            (void)monitor_granted(&monitor, NULL, EXO_FUNCTION, e->number, &made);
            keep(EXO_FUNCTION, &made);
        }
        break;
    case 1:
    case 2:
        if (answered(exo_queue_grant(e, &handle, &index, &made, NULL), binds, true)) {
            (void)monitor_granted(&monitor, &handle, EXO_QUEUE, e->number, &made);
            keep(EXO_QUEUE, &made);
        }
        break;
    case 3:
    case 4:
        if (answered(exo_filter_create(e, &handle, draw(5), &space, &made, NULL), binds, false)) {
            (void)monitor_granted(&monitor, &handle, EXO_FILTER, e->number, &made);
            keep(EXO_FILTER, &made);
        }
        break;
    case 5:
        if (answered(exo_doorbell_create(e, &handle, draw(3), &other, &made, NULL),
                     binds && monitor_allows(&monitor, e->number, &other, EXO_END_POINT, EXO_BIND), true)) {
            (void)monitor_granted(&monitor, &handle, EXO_DOORBELL, e->number, &made);
            keep(EXO_DOORBELL, &made);
        }
        break;
    case 6: {
        const bool writes = monitor_allows(&monitor, e->number, &handle, EXO_FUNCTION, EXO_WRITE);
        if (answered(exo_function_map(e, &handle, &at, NULL), writes, true)) {
            /* Whose registers they are the answer does not say: any function's but hers. */
            uint64_t physical = 0;
            MUST(address_space_translate(e->space, at, true, true, &physical), "registers are mapped");
            MUST(physical > memory_size(fixture_machine->memory) &&
                     physical != nic_function(fixture_nic, 0)->bar_address[0] &&
                     physical != nic_function(fixture_nic, 1)->bar_address[0],
                 "registers that are not its own");
            record_mapping(e->number, &handle, at, physical, nic_function(fixture_nic, 2)->bar_bytes[0], true, true);
        }
        break;
    }
    default: {
        const struct exo_handle mine = some_handle(EXO_QUEUE);
        (void)answered(
            exo_queue_set_rate(e, &mine, draw(2) == 0 ? draw(UINT32_MAX) : draw(UINT32_MAX) * UINT64_C(64), NULL),
            monitor_allows(&monitor, e->number, &mine, EXO_QUEUE, EXO_CONTROL), true);
        if (e == mallory[0] && draw(8) == 0) {
            if (answered(exo_end_point_create(thread, &made, NULL), true, true)) {
                (void)monitor_granted(&monitor, NULL, EXO_END_POINT, e->number, &made);
                keep(EXO_END_POINT, &made);
            }
        }
        MUST(draw(8) != 0 ||
                 exo_thread_create(e, draw(2) == 0 ? draw(2) : 3 + draw(9), "thief", nothing, NULL, NULL) == NULL,
             "a core that is Alice's, or her adversary's already, or none");
        break;
    }
    }
}

static void interface_call(struct exo_environment *e) {
    const struct exo_queue_memory rings = {draw(2) == 0 ? memory[1].device_address : some_address(), some_address(),
                                           1U << draw(8)};
    const struct nvme_rate rate = {draw(UINT32_MAX), draw(UINT32_MAX), draw(2000) * SIM_US};
    struct exo_storage_binding bound;
    struct exo_handle made;
    const struct exo_handle handle = some_handle(EXO_VSIC);
    const bool binds = monitor_allows(&monitor, e->number, &handle, EXO_VSIC, EXO_BIND);
    const bool controls = monitor_allows(&monitor, e->number, &handle, EXO_VSIC, EXO_CONTROL);
    switch (draw(4)) {
    case 0:
        if (answered(exo_vsic_grant(e, drive, &made, NULL), true, true)) {
            (void)monitor_granted(&monitor, NULL, EXO_VSIC, e->number, &made);
            keep(EXO_VSIC, &made);
        }
        break;
    case 1:
        if (answered(exo_storage_queue_grant(e, &handle, &rings, draw(2) == 0, &bound, &made, NULL), binds, true)) {
            (void)monitor_granted(&monitor, &handle, EXO_STORAGE_QUEUE, e->number, &made);
            keep(EXO_STORAGE_QUEUE, &made);
            uint64_t physical = 0;
            const uint64_t first = NVME_SQ_DOORBELL(bound.queue, bound.doorbell_stride);
            MUST(address_space_translate(e->space, bound.doorbells + first, true, true, &physical), "a doorbell");
            const uint32_t number = physical - first == nvme_function(ssd, 2)->bar_address[0] ? 2 : 3;
            record_doorbells(e->number, &made, number, &bound);
        }
        break;
    case 2:
        (void)answered(exo_vsic_set_weight(e, &handle, draw(4), NULL), controls, true);
        break;
    default:
        (void)answered(exo_vsic_set_rate(e, &handle, &rate, NULL), controls, true);
        break;
    }
}

/* Areas by name, as the answers had it. */
static const char *const area_names[] = {"m1", "m2", "t1", "alice's", ""};
enum { AREAS = 3, AREA_NAMES = 5 };
static struct {
    uint64_t object; /* 0: there is none */
    int owner;       /* 0 mallory, 1 trudy */
    unsigned to_all, to_trudy;
} areas[AREAS];
static uint64_t areas_made = 1000; /* above any NSID: Alice's is known by that */

/* The area of an object; -1: Alice's, or none. */
static int area_of(uint64_t object) {
    for (int i = 0; object != 0 && i < AREAS; i++) {
        if (areas[i].object == object) {
            return i;
        }
    }
    return -1;
}

static void named_area_call(struct exo_environment *e) {
    struct exo_handle made;
    const uint32_t name = draw(AREA_NAMES);
    const bool free_name = name < AREAS && areas[name].object == 0;
    if (draw(2) == 0) {
        const uint64_t wanted = draw(2) == 0   ? EXO_ANY_BLOCK
                                : draw(2) == 0 ? extent.first_block + draw(3000)
                                               : UINT64_MAX - draw(5000);
        const uint64_t bytes = draw(9) == 0 ? UINT64_MAX - draw(600) : draw(1 << 20);
        if (answered(exo_vsa_create(e, drive, area_names[name], bytes, wanted, &made, NULL), free_name, true)) {
            areas[name].object = ++areas_made;
            areas[name].owner = who(e);
            areas[name].to_all = areas[name].to_trudy = 0;
            monitor_granted(&monitor, NULL, EXO_VSA, e->number, &made)->object = areas_made;
            keep(EXO_VSA, &made);
        }
        return;
    }
    const unsigned rights = draw(6) == 0 ? draw(UINT32_MAX) : 1 + draw(31);
    bool allowed = false;
    if (name < AREAS && !free_name) {
        const unsigned exported = areas[name].to_all | (who(e) == 1 ? areas[name].to_trudy : 0U);
        const unsigned most = areas[name].owner == who(e) ? (unsigned)EXO_ALL : exported;
        allowed = rights != 0 && (rights & ~most) == 0;
    }
    if (answered(exo_vsa_acquire(e, drive, area_names[name], rights, &made, NULL), allowed, true)) {
        monitor_granted(&monitor, NULL, EXO_VSA, e->number, &made)->object = areas[name].object;
        keep(EXO_VSA, &made);
    }
}

static void export_area(struct exo_environment *e, const struct exo_handle *handle, uint64_t object) {
    const unsigned rights = draw(6) == 0 ? draw(UINT32_MAX) : draw(32);
    const bool all = draw(2) == 0;
    const bool allowed = monitor_allows(&monitor, e->number, handle, EXO_VSA, rights | EXO_CONTROL | EXO_GRANT);
    if (answered(exo_vsa_export(e, handle, all ? NULL : "trudy", rights, NULL), allowed, true)) {
        const int at = area_of(object);
        MUST(at >= 0, "Alice's area was exported by another");
        *(all ? &areas[at].to_all : &areas[at].to_trudy) = rights;
    }
}

static void area_call(struct exo_environment *e) {
    const struct exo_handle handle = some_handle(EXO_VSA), interface = some_handle(EXO_VSIC);
    const bool binds = monitor_allows(&monitor, e->number, &interface, EXO_VSIC, EXO_BIND), write = draw(2) == 0;
    const struct monitor_capability *held = monitor_find(&monitor, &handle);
    const uint64_t object = held != NULL ? held->object : 0;
    const int at = area_of(object);
    const bool owns =
        monitor_allows(&monitor, e->number, &handle, EXO_VSA, EXO_CONTROL) && at >= 0 && areas[at].owner == who(e);
    const unsigned rights = EXO_READ | (write ? (unsigned)EXO_WRITE : 0U);
    uint32_t name = 0;
    switch (draw(6)) {
    case 0:
        (void)answered(exo_vsa_resize(e, &handle, draw(9) == 0 ? UINT64_MAX : draw(1 << 20), NULL), owns, true);
        break;
    case 1:
        if (draw(4) == 0 && answered(exo_vsa_delete(e, &handle, NULL), owns, true)) {
            monitor_object_ended(&monitor, EXO_VSA, object);
            areas[at].object = 0;
        }
        break;
    case 2:
        export_area(e, &handle, object);
        break;
    case 3:
        (void)answered(exo_vsa_detach(e, &interface, &handle, NULL),
                       binds && monitor_allows(&monitor, e->number, &handle, EXO_VSA, 0), true);
        break;
    default:
        (void)answered(exo_vsa_attach(e, &interface, &handle, write, &name, NULL),
                       binds && monitor_allows(&monitor, e->number, &handle, EXO_VSA, rights), true);
        break;
    }
}

/* Alice works: memory comes and goes, her own is hers to use. */
static void work(void) {
    struct exo_region region = {.physical = 0};
    cr_assert_eq(exo_memory_allocate(alice, 0, 2 * 4096, &region, &error), OK, "%s", error.text);
    monitor_granted_frames(&monitor, alice->number, &region.handle, region.physical, region.length_bytes);
    for (uint8_t port = 8; port <= 10; port++) { /* what others have downloaded runs, and not on hers */
        MUST(arrive(port) != alice->number, "another's packet went to Alice");
    }
    for (uint64_t i = 0; i < region.length_bytes; i += 64) {
        MUST(*memory_at(fixture_machine->memory, region.physical + i) == 0, "new frames hold another's bytes");
    }
    cr_assert_eq(exo_memory_map(alice, &region, true, &error), OK, "%s", error.text);
    cr_assert_eq(exo_revoke(alice, &region.handle, &error), OK, "%s", error.text);
    monitor_revoked(&monitor, &region.handle);
    MUST(exo_vsa_blocks(alice, &area) == AREA_BYTES / BLOCK, "Alice's area");
    MUST(exo_queue_set_rate(alice, &queue, 1000000000, &error) == OK, "Alice's queue");
}

/* One of them ends, and another of its name comes. */
static void end_and_begin(void) {
    const uint32_t number = mallory[1]->number;
    exo_environment_destroy(mallory[1]);
    monitor_holder_ended(&monitor, number);
    mallory[1] = make_environment("trudy");
}

Test(exo_adversary, random_calls_leave_the_other_as_it_was) {
    static void (*const kinds[KINDS])(struct exo_environment *) = {
        memory_call,    memory_call,     capability_call, network_call, network_call,
        interface_call, named_area_call, area_call,       blocks_call,  code_call};
    make(make_code);
    look();
    for (calls = 1; calls <= ADVERSARY_CALLS; calls++) {
        kind = draw(KINDS);
        kinds[kind](mallory[draw(2)]);
        MUST(monitor.fault == NULL, monitor.fault);
        if (calls % 97 == 0) {
            work();
        }
        if (calls % LOOK == 0) {
            look();
            look_at_code();
        }
        if (calls % (ADVERSARY_CALLS / 16) == 0) {
            end_and_begin();
        }
    }
    look();
    for (kind = 0; kind < KINDS; kind++) {
        cr_expect_gt(granted[kind], calls / 1000, "kind %u: %llu", kind, (unsigned long long)granted[kind]);
    }
    for (int i = EXO_FORGED; i < EXO_REFUSALS; i++) {
        cr_expect_gt(kernel->counters.refused[i], 100, "%s", exo_refusal_text((enum exo_refusal)i));
    }
    const struct xn_counters *xn = xn_counters(fixture_xn);
    cr_expect(xn->stolen > 100 && xn->lies > 100 && claims > 100, "%llu, %llu, %llu", (unsigned long long)xn->stolen,
              (unsigned long long)xn->lies, (unsigned long long)claims);
    cr_expect(handlers > 100 && sleepers > 100, "%llu, %llu", (unsigned long long)handlers,
              (unsigned long long)sleepers);
    monitor_fini(&monitor);
}
