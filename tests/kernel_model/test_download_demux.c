/* test_download_demux.c: the three engines give one answer; merged work does not grow
 * with the filters; another's packets are refused. */
#include "tests/kernel_model/download_fixture.h"

static uint32_t install(struct download_demux *demux, uint32_t owner, const char *text, enum error_code expected) {
    uint32_t number = 0;
    struct error error = {0};
    const enum error_code code = download_demux_install_text(demux, owner, NULL, text, &number, &error);
    cr_assert_eq(code, expected, "'%s': %s", text, error.text);
    return number;
}

static uint64_t work_of(const struct download_demux *demux, enum download_engine engine, struct download_packet packet,
                        uint32_t expected) {
    struct download_costs costs;
    struct download_work work = {{0}};
    download_costs_default(&costs);
    cr_assert_eq(download_demux_find(demux, engine, packet, &work), expected);
    return download_work_cycles(&work, &costs);
}

Test(download_demux, a_tcp_filter_becomes_atoms_alone) {
    struct download_bpf program;
    static struct download_paths paths;
    cr_assert_eq(download_bpf_compile("tcp and ip src host 10.0.0.1 and dst port 80", &program, NULL), OK);
    download_paths_extract(&program, &paths);
    cr_assert_eq(paths.count, 1);
    cr_assert(paths.path[0].exact);
    /* type, protocol, fragment offset, source, destination port past the IP header */
    cr_assert_eq(paths.path[0].atom_count, 5);
    cr_assert_eq(paths.path[0].test_count, 0);
    cr_assert_eq(paths.path[0].atoms[4].field.base, 14);
    cr_assert_eq(paths.path[0].atoms[4].value, 80);
}

Test(download_demux, one_filter_costs_its_atoms) {
    struct download_demux *demux = download_demux_create();
    const uint32_t number = install(demux, 1, "tcp and ip src host 10.0.0.1 and dst port 80", OK);
    struct fixture_packet packet;
    struct download_work work = {{0}};
    fixture_packet_ip(&packet, 6, 1, 2, 1000, 80, 2);
    cr_assert_eq(download_demux_find(demux, DOWNLOAD_MERGED, packet.view, &work), number);
    cr_assert_eq(work.count[DOWNLOAD_demux_call], 1);
    cr_assert_eq(work.count[DOWNLOAD_demux_node], 6);
    cr_assert_eq(work.count[DOWNLOAD_demux_field], 5);
    cr_assert_eq(work.count[DOWNLOAD_demux_base], 1);
    cr_assert_eq(work.count[DOWNLOAD_demux_compare], 5);
    cr_assert_eq(work.count[DOWNLOAD_demux_hash], 0);
    cr_assert_eq(work.count[DOWNLOAD_demux_leaf], 1);
    download_demux_free(demux);
}

Test(download_demux, compiled_code_joins_neighbouring_fields) {
    struct download_demux *demux = download_demux_create();
    const uint32_t number = install(demux, 1, "ip and tcp src port 1000 and dst port 80", OK);
    struct fixture_packet packet;
    struct download_work work = {{0}};
    fixture_packet_ip(&packet, 6, 1, 2, 1000, 80, 2);
    cr_assert_eq(download_demux_find(demux, DOWNLOAD_COMPILED, packet.view, &work), number);
    cr_assert_eq(work.count[DOWNLOAD_compiled_field], 4, "type, fragment, protocol, and both ports at once");
    cr_assert_eq(work.count[DOWNLOAD_compiled_base], 1);
    cr_assert_eq(work.count[DOWNLOAD_demux_field], 0);
    cr_assert_eq(download_demux_find(demux, DOWNLOAD_MERGED, packet.view, &work), number);
    cr_assert_eq(work.count[DOWNLOAD_demux_field], 5);
    download_demux_free(demux);
}

Test(download_demux, merged_work_does_not_grow_with_the_filters) {
    struct download_demux *demux = download_demux_create();
    uint32_t last = 0;
    uint64_t merged[2] = {0, 0}, linear[2] = {0, 0}, collapsed[2] = {0, 0};
    for (uint32_t i = 0; i < 256; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "tcp and dst host 10.0.0.2 and src port %u and dst port 80", 1000 + i);
        last = install(demux, 1 + i, text, OK);
        if (i == 1 || i == 255) {
            struct fixture_packet packet;
            fixture_packet_ip(&packet, 6, 1, 2, (uint16_t)(1000 + i), 80, 0);
            merged[i == 255] = work_of(demux, DOWNLOAD_MERGED, packet.view, last);
            linear[i == 255] = work_of(demux, DOWNLOAD_LINEAR, packet.view, last);
            collapsed[i == 255] = work_of(demux, DOWNLOAD_COLLAPSED, packet.view, last);
        }
    }
    cr_assert_lt(merged[1], merged[0] + 40, "a few probes more at most");
    cr_assert_lt(collapsed[1], collapsed[0] + 60);
    cr_assert_gt(linear[1], linear[0] * 60);
    cr_assert_eq(download_demux_exact(demux), 256);
    download_demux_free(demux);
}

Test(download_demux, engines_agree_on_random_filters_and_packets) {
    random_seed(11);
    struct random_stream *random = random_stream_create("test.demux");
    uint32_t matched = 0, interpreted = 0;
    for (uint32_t round = 0; round < 120; round++) {
        struct download_demux *demux = download_demux_create();
        uint32_t numbers[24], count = 1 + (uint32_t)random_below(random, 24);
        for (uint32_t i = 0; i < count; i++) {
            char text[160];
            fixture_filter_text(random, text, sizeof text);
            numbers[i] = install(demux, 1, text, OK);
        }
        for (uint32_t i = 0; i < count / 4; i++) {
            (void)download_demux_remove(demux, 1, numbers[random_below(random, count)]);
        }
        interpreted += download_demux_count(demux) - download_demux_exact(demux);
        for (uint32_t i = 0; i < 400; i++) {
            struct fixture_packet packet;
            struct download_work work = {{0}};
            fixture_packet_random(random, &packet);
            const uint32_t linear = download_demux_find(demux, DOWNLOAD_LINEAR, packet.view, &work);
            const uint32_t merged = download_demux_find(demux, DOWNLOAD_MERGED, packet.view, &work);
            const uint32_t compiled = download_demux_find(demux, DOWNLOAD_COMPILED, packet.view, &work);
            cr_assert_eq(compiled, linear, "round %u, packet %u", round, i);
            const uint32_t collapsed = download_demux_find(demux, DOWNLOAD_COLLAPSED, packet.view, &work);
            cr_assert_eq(merged, linear, "round %u, packet %u", round, i);
            cr_assert_eq(collapsed, linear, "round %u, packet %u", round, i);
            matched += linear != DOWNLOAD_NONE;
        }
        download_demux_free(demux);
    }
    cr_assert_gt(matched, 10000);
    cr_assert_gt(interpreted, 100, "some filters have no atoms for all that they ask");
    random_stream_free(random);
}

Test(download_demux, engines_agree_on_random_raw_programs) {
    random_seed(12);
    struct random_stream *random = random_stream_create("test.demux.raw");
    for (uint32_t round = 0; round < 3000; round++) {
        struct download_demux *demux = download_demux_create();
        uint32_t number;
        for (uint32_t i = 0; i < 6; i++) {
            struct download_bpf_instruction code[10];
            for (uint32_t j = 0; j < 9; j++) {
                static const uint16_t codes[] = {0x30, 0x28, 0xb1, 0x48, 0x54, 0x15,
                                                 0x15, 0x25, 0x35, 0x45, 0x15, 0x05};
                const uint32_t left = 9 - j;
                code[j] = (struct download_bpf_instruction){
                    codes[random_below(random, 12)], (uint8_t)random_below(random, left),
                    (uint8_t)random_below(random, left), (uint32_t)random_below(random, 30)};
                code[j].k = code[j].code == 0x05 ? (uint32_t)random_below(random, left) : code[j].k;
            }
            code[0] = (struct download_bpf_instruction){0xb1, 0, 0, 14};
            code[1] = (struct download_bpf_instruction){0x30, 0, 0, (uint32_t)random_below(random, 40)};
            code[8] = (struct download_bpf_instruction){0x06, 0, 0, 0};
            code[9] = (struct download_bpf_instruction){0x06, 0, 0, 1};
            (void)download_demux_install(demux, 1, NULL, code, 10, &number, NULL);
        }
        for (uint32_t i = 0; i < 30; i++) {
            struct fixture_packet packet;
            struct download_work work = {{0}};
            fixture_packet_random(random, &packet);
            const uint32_t linear = download_demux_find(demux, DOWNLOAD_LINEAR, packet.view, &work);
            cr_assert_eq(download_demux_find(demux, DOWNLOAD_MERGED, packet.view, &work), linear, "round %u", round);
            cr_assert_eq(download_demux_find(demux, DOWNLOAD_COMPILED, packet.view, &work), linear, "round %u", round);
            cr_assert_eq(download_demux_find(demux, DOWNLOAD_COLLAPSED, packet.view, &work), linear, "round %u", round);
        }
        download_demux_free(demux);
    }
    random_stream_free(random);
}

/* ---- ownership ---- */

Test(download_demux, anothers_packets_are_refused) {
    struct download_demux *demux = download_demux_create();
    install(demux, 1, "tcp dst port 80 and dst host 10.0.0.2", OK);
    install(demux, 2, "tcp dst port 81 and dst host 10.0.0.2", OK);
    install(demux, 3, "udp dst port 80 and dst host 10.0.0.2", OK);
    install(demux, 2, "tcp", ERR_OVERLAP);
    install(demux, 2, "dst host 10.0.0.2", ERR_OVERLAP);
    install(demux, 2, "tcp src port 7", ERR_OVERLAP);
    install(demux, 2, "tcp dst portrange 70-90 and dst host 10.0.0.2", ERR_OVERLAP);
    install(demux, 2, "len > 0", ERR_OVERLAP);
    install(demux, 1, "tcp dst port 80", OK);
    install(demux, 1, "ip and tcp dst port 80 and dst host 10.0.0.2 and src port 9", OK);
    install(demux, 2, "tcp dst portrange 82-90 and dst host 10.0.0.2", OK);
    install(demux, 4, "tcp dst portrange 91-95 and dst host 10.0.0.2", OK);
    install(demux, 4, "tcp dst portrange 90-95 and dst host 10.0.0.2", ERR_OVERLAP);
    cr_assert_geq(download_demux_counters(demux)->overlaps, 6);
    download_demux_free(demux);
}

Test(download_demux, what_cannot_be_decided_is_refused) {
    struct download_demux *demux = download_demux_create();
    install(demux, 1, "ip[8] + ip[9] = 70 and dst host 10.0.0.2", OK);
    install(demux, 2, "ip[8] + ip[9] = 71 and dst host 10.0.0.2", ERR_OVERLAP); /* disjoint, but by a sum */
    install(demux, 2, "ip[8] + ip[9] = 71 and dst host 10.0.0.3", OK);
    download_demux_free(demux);
}

Test(download_demux, overlap_is_never_missed) {
    random_seed(13);
    struct random_stream *random = random_stream_create("test.overlap");
    uint32_t refused = 0, both = 0;
    for (uint32_t round = 0; round < 400; round++) {
        char text[2][160];
        uint32_t number;
        struct download_demux *demux = download_demux_create();
        struct download_bpf program[2];
        for (int i = 0; i < 2; i++) {
            fixture_filter_text(random, text[i], sizeof text[i]);
            cr_assert_eq(download_bpf_compile(text[i], &program[i], NULL), OK);
        }
        (void)download_demux_install_text(demux, 1, NULL, text[0], &number, NULL);
        const enum error_code code = download_demux_install_text(demux, 2, NULL, text[1], &number, NULL);
        refused += code == ERR_OVERLAP;
        for (uint32_t i = 0; i < 300; i++) {
            struct fixture_packet packet;
            struct download_work work = {{0}};
            fixture_packet_random(random, &packet);
            const bool shared = download_bpf_run(&program[0], packet.view, &work) != 0 &&
                                download_bpf_run(&program[1], packet.view, &work) != 0;
            cr_assert(!shared || code == ERR_OVERLAP, "'%s' and '%s'", text[0], text[1]);
            both += shared;
        }
        download_demux_free(demux);
    }
    cr_assert_gt(both, 1000);
    cr_assert_lt(refused, 400, "some are told apart");
    random_stream_free(random);
}

Test(download_demux, scope_bounds_what_one_may_ask_for) {
    const struct download_scope scope = {1, {{{DOWNLOAD_NO_BASE, 30, 4, 0xffffff00}, 0x0a000200}}}; /* to 10.0.2.0/24 */
    struct download_demux *demux = download_demux_create();
    uint32_t number;
    cr_assert_eq(download_demux_install_text(demux, 1, &scope, "ip and dst host 10.0.2.7 and tcp", &number, NULL), OK);
    cr_assert_eq(download_demux_install_text(demux, 1, &scope, "ip and dst net 10.0.2.128/25", &number, NULL), OK);
    cr_assert_eq(download_demux_install_text(demux, 1, &scope, "ip and dst net 10.0.2.0/23", &number, NULL),
                 ERR_DENIED);
    cr_assert_eq(download_demux_install_text(demux, 1, &scope, "tcp port 80", &number, NULL), ERR_DENIED);
    cr_assert_eq(download_demux_counters(demux)->greedy, 2);
    download_demux_free(demux);
}

Test(download_demux, removal_is_the_owners) {
    struct download_demux *demux = download_demux_create();
    struct fixture_packet packet;
    fixture_packet_ip(&packet, 6, 1, 2, 1000, 80, 0);
    const uint32_t first = install(demux, 1, "tcp dst port 80", OK), second = install(demux, 1, "tcp", OK);
    (void)work_of(demux, DOWNLOAD_MERGED, packet.view, first);
    cr_assert_eq(download_demux_remove(demux, 2, first), ERR_DENIED);
    cr_assert_eq(download_demux_remove(demux, 1, first), OK);
    cr_assert_eq(download_demux_remove(demux, 1, first), ERR_NOT_FOUND);
    (void)work_of(demux, DOWNLOAD_MERGED, packet.view, second);
    cr_assert_eq(download_demux_owner(demux, second), 1);
    cr_assert_eq(download_demux_owner(demux, first), 0);
    download_demux_free(demux);
}
