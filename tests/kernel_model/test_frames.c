/* Physical frames: each handed out once, zeroed, by name or not. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "kernel_model/common/frames.h"
#include "kernel_model/common/system.h"
#include "sim/random.h"

enum { MEMORY_BYTES = 4 << 20, FIRST = 1 << 20, FRAMES = (MEMORY_BYTES - FIRST) / MEMORY_FRAME_BYTES };

static struct memory *memory;
static struct frames *frames;

static void setup(void) {
    memory = memory_create(MEMORY_BYTES);
    frames = frames_create(memory);
}
static void teardown(void) {
    frames_free(frames);
    memory_free(memory);
}
TestSuite(frames, .init = setup, .fini = teardown);

Test(frames, all_but_the_first_megabyte_are_handed_out_once) {
    cr_assert_eq(frames_available(frames), FRAMES);
    for (uint64_t i = 0; i < FRAMES; i++) {
        cr_assert_eq(frames_allocate(frames), FIRST + i * MEMORY_FRAME_BYTES);
    }
    cr_assert_eq(frames_available(frames), 0);
    cr_assert_eq(frames_allocate(frames), 0);
    cr_assert_eq(frames_allocate_callback(frames), 0);
    frames_give_back(frames, FIRST + 5 * MEMORY_FRAME_BYTES);
    cr_assert_eq(frames_allocate_callback(frames), FIRST + 5 * MEMORY_FRAME_BYTES);
}

Test(frames, a_frame_comes_without_its_past) {
    const uint64_t address = frames_allocate(frames);
    memory_write64(memory, address + 8, 0x5ec2e7);
    frames_give_back(frames, address);
    cr_assert_eq(frames_allocate(frames), address);
    cr_assert_eq(memory_read64(memory, address + 8), 0);
    memory_write64(memory, address + 8, 0x5ec2e7);
    frames_give_back(frames, address);
    cr_assert(frames_take(frames, address));
    cr_assert_eq(memory_read64(memory, address + 8), 0);
    cr_assert_eq(memory_resident_bytes(memory), MEMORY_FRAME_BYTES, "zeroing made no frame resident");
}

Test(frames, a_named_frame_is_given_if_it_is_free) {
    const uint64_t name = FIRST + 100 * MEMORY_FRAME_BYTES;
    cr_assert(frames_is_free(frames, name));
    cr_assert(frames_take(frames, name));
    cr_assert_not(frames_is_free(frames, name));
    cr_assert_not(frames_take(frames, name));
    cr_assert_not(frames_take(frames, name + 4097), "not a frame's address");
    cr_assert_not(frames_take(frames, 0), "reserved");
    cr_assert_not(frames_take(frames, MEMORY_BYTES), "past the end");
    cr_assert_not(frames_take(frames, UINT64_MAX & ~UINT64_C(4095)));
    for (uint64_t i = 0; i < FRAMES - 1; i++) {
        cr_assert_neq(frames_allocate(frames), name);
    }
    cr_assert_eq(frames_allocate(frames), 0);
}

Test(frames, contiguous_frames_go_where_there_is_room) {
    cr_assert(frames_take(frames, FIRST + 3 * MEMORY_FRAME_BYTES));
    cr_assert_eq(frames_allocate_contiguous(frames, 4), FIRST + 4 * MEMORY_FRAME_BYTES);
    cr_assert_eq(frames_allocate_contiguous(frames, 3), FIRST);
    cr_assert_eq(frames_available(frames), FRAMES - 8);
    cr_assert_eq(frames_allocate_contiguous(frames, FRAMES), 0);
    cr_assert_eq(frames_allocate_contiguous(frames, 0), 0);
    cr_assert_eq(frames_allocate_contiguous(frames, FRAMES - 8), FIRST + 8 * MEMORY_FRAME_BYTES);
    cr_assert_eq(frames_allocate_contiguous(frames, 1), 0);
    frames_give_back(frames, FIRST);
    frames_give_back(frames, FIRST + 2 * MEMORY_FRAME_BYTES);
    cr_assert_eq(frames_allocate_contiguous(frames, 2), 0, "two are free, but not neighbours");
}

Test(frames, giving_back_twice_is_a_bug, .signal = SIGABRT) {
    const uint64_t address = frames_allocate(frames);
    frames_give_back(frames, address);
    frames_give_back(frames, address);
}

/* Against a plain array of who has what. */
Test(frames, random_use_agrees_with_a_plain_array) {
    static bool taken[FRAMES];
    uint64_t free_count = FRAMES;
    random_seed(4);
    struct random_stream *stream = random_stream_create("frames");
    for (unsigned round = 0; round < 20000; round++) {
        const uint64_t index = random_below(stream, FRAMES);
        const uint64_t name = FIRST + index * MEMORY_FRAME_BYTES;
        const uint64_t choice = random_below(stream, 5);
        uint64_t address = 0;
        uint64_t count = 1;
        if (choice == 0) {
            cr_assert_eq(frames_take(frames, name), !taken[index]);
            address = taken[index] ? 0 : name;
        } else if (choice == 1) {
            count = 1 + random_below(stream, 8);
            address = frames_allocate_contiguous(frames, count);
        } else if (choice == 2) {
            address = frames_allocate(frames);
            cr_assert_eq(address == 0, free_count == 0);
        } else if (taken[index]) {
            frames_give_back(frames, name);
            taken[index] = false;
            free_count++;
        }
        for (uint64_t i = 0; address != 0 && i < count; i++) {
            const uint64_t at = (address - FIRST) / MEMORY_FRAME_BYTES + i;
            cr_assert_lt(at, FRAMES);
            cr_assert_not(taken[at]);
            taken[at] = true;
            free_count--;
        }
        cr_assert_eq(frames_available(frames), free_count);
    }
    random_stream_free(stream);
}

Test(system, components_are_the_rows_of_the_tables) {
    system_declare_components();
    cr_assert_str_eq(ledger_component_label(system_components.net_stack_in), "Network stack, in");
    cr_assert_str_eq(ledger_component_name(system_components.copy_out), "copy_out");
    cr_assert_eq(ledger_component_parent(system_components.app), ledger_find("cpu"));
    cr_assert(ledger_allows(system_components.net_stack_in, system_components.app));
    cr_assert(ledger_allows(ledger_find("ready"), system_components.net_stack_in));
    pcie_declare_components();
    cr_assert(ledger_allows(system_components.net_stack_out, ledger_find("doorbell")));
    cr_assert_not(ledger_allows(ledger_find("ready"), ledger_find("doorbell")), "what lies in memory rings no bell");
}
