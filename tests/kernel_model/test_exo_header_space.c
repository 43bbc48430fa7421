/* Intersection and containment of parts of header space, also against brute force. */
#include <criterion/criterion.h>
#include <string.h>

#include "kernel_model/exo/header_space.h"
#include "sim/random.h"
#include "stack/net_headers.h"

static struct nic_endpoints ports(uint32_t address, uint32_t mask, uint16_t low, uint16_t high) {
    return (struct nic_endpoints){.address = address, .mask = mask, .port_low = low, .port_high = high};
}

static struct nic_filter service(uint8_t protocol, struct nic_endpoints one) {
    return (struct nic_filter){.protocol = protocol, .service_count = 1, .services = {one}};
}

Test(exo_header_space, valid_means_convex) {
    struct nic_filter space = service(17, ports(0x0a000000, 0xff000000, 7, 7));
    cr_assert(header_space_valid(&space));
    space.services[0].mask = 0xff00ff00;
    cr_assert_not(header_space_valid(&space));
    space.services[0].mask = 0;
    cr_assert(header_space_valid(&space));
    space.services[0].port_low = 8;
    cr_assert_not(header_space_valid(&space));
    space = service(17, ports(0, 0, 0, 1));
    space.service_count = NIC_FILTER_RANGES_MAX + 1;
    cr_assert_not(header_space_valid(&space));
}

Test(exo_header_space, overlap_needs_every_dimension) {
    const struct nic_filter a = service(17, ports(0x0a000001, UINT32_MAX, 10, 20));
    struct nic_filter b = service(17, ports(0x0a000001, UINT32_MAX, 20, 30));
    cr_assert(header_space_overlaps(&a, &b), "at port 20");
    b.services[0].port_low = 21;
    cr_assert_not(header_space_overlaps(&a, &b));
    b = service(6, ports(0x0a000001, UINT32_MAX, 10, 20));
    cr_assert_not(header_space_overlaps(&a, &b), "another protocol");
    b.protocol = 0;
    cr_assert(header_space_overlaps(&a, &b), "any protocol");
    b = service(17, ports(0x0a000000, 0xffffff00, 10, 20));
    cr_assert(header_space_overlaps(&a, &b), "a prefix holds the address");
    b = service(17, ports(0x0a000100, 0xffffff00, 10, 20));
    cr_assert_not(header_space_overlaps(&a, &b));
    b = service(17, ports(0, 0, 15, 15));
    b.peer_count = 1;
    b.peers[0] = ports(0x0a000063, UINT32_MAX, 0, 65535);
    cr_assert(header_space_overlaps(&a, &b), "a has all peers");
    struct nic_filter c = a;
    c.peer_count = 1;
    c.peers[0] = ports(0x0a000064, UINT32_MAX, 0, 65535);
    cr_assert_not(header_space_overlaps(&b, &c), "distinct peers");
}

/* Random parts over a universe small enough to count through. */
static struct nic_filter random_space(struct random_stream *stream) {
    struct nic_filter space = {.protocol = (uint8_t)random_below(stream, 3)};
    space.peer_count = (uint8_t)random_below(stream, 3);
    space.service_count = (uint8_t)random_below(stream, 3);
    for (int i = 0; i < 4; i++) {
        const uint32_t bits = (uint32_t)random_below(stream, 3);
        const uint16_t low = (uint16_t)random_below(stream, 4);
        const struct nic_endpoints one = ports((uint32_t)random_below(stream, 4), UINT32_MAX << bits, low,
                                               (uint16_t)(low + random_below(stream, (uint64_t)4 - low)));
        *(i < 2 ? &space.peers[i] : &space.services[i - 2]) = one;
    }
    return space;
}

static bool list_has(const struct nic_endpoints *list, unsigned count, uint32_t address, uint16_t port) {
    for (unsigned i = 0; i < count; i++) {
        if (((address ^ list[i].address) & list[i].mask) == 0 && list[i].port_low <= port &&
            port <= list[i].port_high) {
            return true;
        }
    }
    return count == 0;
}

Test(exo_header_space, overlap_agrees_with_counting_through) {
    random_seed(7);
    struct random_stream *stream = random_stream_create("test");
    unsigned overlapping = 0;
    for (int round = 0; round < 3000; round++) {
        const struct nic_filter a = random_space(stream);
        const struct nic_filter b = random_space(stream);
        bool found = false;
        for (uint32_t point = 0; point < 2 * 4 * 4 * 4 * 4 && !found; point++) {
            const uint8_t protocol = (uint8_t)(1 + point % 2);
            const uint32_t peer = point / 2 % 4, local = point / 8 % 4;
            const uint16_t peer_port = (uint16_t)(point / 32 % 4), local_port = (uint16_t)(point / 128);
            found = (a.protocol == 0 || a.protocol == protocol) && (b.protocol == 0 || b.protocol == protocol) &&
                    list_has(a.peers, a.peer_count, peer, peer_port) &&
                    list_has(b.peers, b.peer_count, peer, peer_port) &&
                    list_has(a.services, a.service_count, local, local_port) &&
                    list_has(b.services, b.service_count, local, local_port);
        }
        overlapping += found;
        cr_assert_eq(header_space_overlaps(&a, &b), found, "round %d", round);
        cr_assert_eq(header_space_overlaps(&b, &a), found, "round %d, the other way", round);
    }
    cr_assert(overlapping > 500 && overlapping < 2500, "%u of 3000: the test sees both cases", overlapping);
    random_stream_free(stream);
}

Test(exo_header_space, ports_are_counted_once) {
    struct port_set set;
    memset(&set, 0, sizeof set);
    const struct nic_filter a = service(17, ports(1, UINT32_MAX, 100, 199));
    const struct nic_filter b = service(6, ports(2, UINT32_MAX, 150, 249));
    port_set_add(&set, &a);
    cr_assert_eq(port_set_count(&set), 100U);
    port_set_add(&set, &b);
    cr_assert_eq(port_set_count(&set), 150U);
    const struct nic_filter all = {.protocol = 17};
    port_set_add(&set, &all);
    cr_assert_eq(port_set_count(&set), 65536U);
}

Test(exo_header_space, services_lie_within_the_union_of_what_is_owned) {
    const struct nic_filter low = service(17, ports(1, UINT32_MAX, 100, 149));
    const struct nic_filter high = service(17, ports(1, UINT32_MAX, 150, 199));
    const struct nic_filter elsewhere = service(17, ports(2, UINT32_MAX, 0, 65535));
    const struct nic_filter *owned[] = {&high, &elsewhere, &low};
    struct nic_filter sent = service(17, ports(1, UINT32_MAX, 120, 180));
    cr_assert(header_space_services_within(&sent, owned, 3), "across two of them");
    sent.services[0].port_high = 200;
    cr_assert_not(header_space_services_within(&sent, owned, 3), "one port too many");
    sent = service(6, ports(1, UINT32_MAX, 120, 130));
    cr_assert_not(header_space_services_within(&sent, owned, 3), "another protocol");
    sent = service(0, ports(1, UINT32_MAX, 120, 130));
    cr_assert_not(header_space_services_within(&sent, owned, 3), "any protocol is more than one");
    sent = service(17, ports(0, 0, 120, 130));
    cr_assert_not(header_space_services_within(&sent, owned, 3), "any address is more than one");
    sent = (struct nic_filter){.protocol = 17};
    cr_assert_not(header_space_services_within(&sent, owned, 3), "every service");
    sent = service(17, ports(2, UINT32_MAX, 65535, 65535));
    cr_assert(header_space_services_within(&sent, owned, 3), "the last port");
}
