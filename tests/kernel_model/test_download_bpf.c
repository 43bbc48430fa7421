/* test_download_bpf.c: programs that are taken, programs that are refused, and the
 * interpreter against libpcap's. */
#define _DEFAULT_SOURCE 1 // NOLINT(readability-identifier-naming): the type names of libpcap's headers

#include <pcap/pcap.h>

#include "tests/kernel_model/download_fixture.h"

typedef struct download_bpf_instruction instruction;
static struct download_bpf program;

#define ACCEPT(...)                                                                                                    \
    download_bpf_accept((instruction[]){__VA_ARGS__}, sizeof((instruction[]){__VA_ARGS__}) / sizeof(instruction),      \
                        &program, NULL)

Test(download_bpf, text_compiles_and_runs) {
    struct error error = {0};
    cr_assert_eq(download_bpf_compile("tcp dst port 80", &program, &error), OK, "%s", error.text);
    struct fixture_packet packet;
    struct download_work work = {{0}};
    fixture_packet_ip(&packet, 6, 1, 2, 1000, 80, 0);
    cr_assert_neq(download_bpf_run(&program, packet.view, &work), 0);
    cr_assert_eq(work.count[DOWNLOAD_bpf_return], 1);
    cr_assert_gt(work.count[DOWNLOAD_bpf_load], 1);
    fixture_packet_ip(&packet, 17, 1, 2, 1000, 80, 0);
    cr_assert_eq(download_bpf_run(&program, packet.view, &work), 0);
}

Test(download_bpf, nonsense_text_is_refused_in_libpcaps_words) {
    struct error error = {0};
    cr_assert_eq(download_bpf_compile("tcp dst prot 80", &program, &error), ERR_CONFIG);
    cr_assert_neq(strstr(error.text, "tcp dst prot 80"), NULL);
}

Test(download_bpf, length_is_bounded) {
    static instruction longest[DOWNLOAD_BPF_MAX + 1];
    for (int i = 0; i <= DOWNLOAD_BPF_MAX; i++) {
        longest[i] = (instruction){BPF_RET | BPF_K, 0, 0, 1};
    }
    cr_assert_eq(download_bpf_accept(longest, DOWNLOAD_BPF_MAX, &program, NULL), OK);
    cr_assert_eq(download_bpf_accept(longest, DOWNLOAD_BPF_MAX + 1, &program, NULL), ERR_RANGE);
    cr_assert_eq(download_bpf_accept(longest, 0, &program, NULL), ERR_RANGE);
}

Test(download_bpf, unsafe_programs_are_refused) {
    const instruction end = {BPF_RET | BPF_K, 0, 0, 1}, load = {BPF_LD | BPF_B | BPF_ABS, 0, 0, 0};
    /* a loop; a jump out of the program; no return at the end */
    cr_assert_eq(ACCEPT(load, {BPF_JMP | BPF_JA, 0, 0, UINT32_MAX}, end), ERR_DENIED);
    cr_assert_eq(ACCEPT(load, {BPF_JMP | BPF_JEQ | BPF_K, 9, 0, 1}, end), ERR_DENIED);
    cr_assert_eq(ACCEPT(end, load), ERR_DENIED);
    /* division by zero; scratch memory out of bounds; an unknown code */
    cr_assert_eq(ACCEPT(load, {BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0}, end), ERR_DENIED);
    cr_assert_eq(ACCEPT(load, {BPF_ST, 0, 0, 16}, end), ERR_DENIED);
    cr_assert_eq(ACCEPT({0xff, 0, 0, 0}, end), ERR_DENIED);
    /* what bpf_validate lets pass: ancillary data, a load that X has not, values never set */
    cr_assert_eq(ACCEPT({BPF_LD | BPF_W | BPF_ABS, 0, 0, 0xfffff000}, end), ERR_DENIED);
    cr_assert_eq(ACCEPT({BPF_LDX | BPF_B | BPF_ABS, 0, 0, 0}, end), ERR_DENIED);
    cr_assert_eq(ACCEPT({BPF_LD | BPF_MEM, 0, 0, 3}, end), ERR_DENIED);
    cr_assert_eq(ACCEPT({BPF_LD | BPF_B | BPF_IND, 0, 0, 3}, end), ERR_DENIED);
    cr_assert_eq(ACCEPT({BPF_RET | BPF_A, 0, 0, 0}), ERR_DENIED);
    cr_assert_eq(ACCEPT(load, {BPF_ALU | BPF_LSH | BPF_K, 0, 0, 32}, end), ERR_DENIED);
    cr_assert_eq(ACCEPT(load, {BPF_ST, 0, 0, 3}, {BPF_LD | BPF_MEM, 0, 0, 3}, end), OK);
}

Test(download_bpf, division_by_x_rejects_when_x_is_zero) {
    cr_assert_eq(ACCEPT({BPF_LD | BPF_B | BPF_ABS, 0, 0, 0}, {BPF_MISC | BPF_TAX, 0, 0, 0},
                        {BPF_LD | BPF_IMM, 0, 0, 100}, {BPF_ALU | BPF_DIV | BPF_X, 0, 0, 0},
                        {BPF_RET | BPF_A, 0, 0, 0}),
                 OK);
    struct fixture_packet packet;
    struct download_work work = {{0}};
    fixture_packet_ip(&packet, 6, 1, 2, 1, 2, 0);
    cr_assert_eq(download_bpf_run(&program, packet.view, &work), 0);
    packet.bytes[0] = 7;
    cr_assert_eq(download_bpf_run(&program, packet.view, &work), 14);
}

/* Random instructions, near to sense: some of the programs pass. */
static instruction random_instruction(struct random_stream *random, uint32_t left) {
    static const uint16_t codes[] = {BPF_LD | BPF_W | BPF_ABS,  BPF_LD | BPF_H | BPF_ABS,
                                     BPF_LD | BPF_B | BPF_IND,  BPF_LDX | BPF_B | BPF_MSH,
                                     BPF_LD | BPF_IMM,          BPF_LDX | BPF_IMM,
                                     BPF_LD | BPF_MEM,          BPF_ST,
                                     BPF_MISC | BPF_TAX,        BPF_MISC | BPF_TXA,
                                     BPF_ALU | BPF_ADD | BPF_K, BPF_ALU | BPF_AND | BPF_K,
                                     BPF_ALU | BPF_DIV | BPF_X, BPF_ALU | BPF_MUL | BPF_X,
                                     BPF_ALU | BPF_NEG,         BPF_JMP | BPF_JEQ | BPF_K,
                                     BPF_JMP | BPF_JGT | BPF_K, BPF_JMP | BPF_JSET | BPF_K,
                                     BPF_JMP | BPF_JGE | BPF_X, BPF_JMP | BPF_JA,
                                     BPF_RET | BPF_K,           BPF_RET | BPF_A,
                                     BPF_ALU | BPF_RSH | BPF_X, BPF_ALU | BPF_MOD | BPF_X,
                                     BPF_LD | BPF_W | BPF_LEN,  BPF_STX,
                                     BPF_LDX | BPF_MEM};
    return (instruction){codes[random_below(random, sizeof codes / sizeof codes[0])],
                         (uint8_t)random_below(random, left), (uint8_t)random_below(random, left),
                         (uint32_t)random_below(random, random_below(random, 2) == 0 ? 4 : 40)};
}

Test(download_bpf, interpreter_agrees_with_libpcap) {
    random_seed(7);
    struct random_stream *random = random_stream_create("test.bpf");
    uint32_t taken = 0, accepted = 0;
    for (uint32_t round = 0; round < 100000; round++) {
        instruction code[12];
        const uint32_t count = 2 + (uint32_t)random_below(random, 10);
        code[0] = (instruction){BPF_LD | BPF_B | BPF_ABS, 0, 0, (uint32_t)random_below(random, 40)};
        code[1] = (instruction){BPF_LDX | BPF_B | BPF_MSH, 0, 0, 14};
        for (uint32_t i = 2; i < count; i++) {
            code[i] = random_instruction(random, count - i);
        }
        code[count - 1] = (instruction){BPF_RET | BPF_A, 0, 0, 0};
        if (download_bpf_accept(code, count, &program, NULL) != OK) {
            continue;
        }
        taken++;
        struct fixture_packet packet;
        struct download_work work = {{0}};
        fixture_packet_random(random, &packet);
        const uint32_t length = packet.view.length_bytes;
        const uint32_t expected = bpf_filter((const struct bpf_insn *)program.code, packet.bytes, length, length);
        const uint32_t found = download_bpf_run(&program, packet.view, &work);
        cr_assert_eq(found, expected, "round %u: %u instead of %u", round, found, expected);
        accepted += found != 0;
    }
    cr_assert_gt(taken, 10000);
    cr_assert_gt(accepted, 1000);
    random_stream_free(random);
}
