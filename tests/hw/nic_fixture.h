/* nic_fixture.h: a machine with one NIC, a link to a far end that notes what it
 * gets, and drivers of a few lines that do with rings what real ones do. */
#ifndef STILLSUIT_TESTS_HW_NIC_FIXTURE_H
#define STILLSUIT_TESTS_HW_NIC_FIXTURE_H

#include "hw/nic/nic.h"
#include "hw/nic/nic_regs.h"
#include "hw/wire.h"
#include "tests/hw/pcie_fixture.h"

enum { FAR_MAX = 256, BUFFER_BYTES = 2048, RING_DESCRIPTORS = 64 };
#define IOVA_OFFSET UINT64_C(0x40000000) /* of what a function sees, with the IOMMU on */
#define REGION_BYTES (UINT64_C(1) << 20) /* of a function's memory */

struct far_frame {
    sim_time when;
    uint32_t length_bytes;
    struct request *request;
    uint8_t bytes[1600];
};

struct nic_fixture {
    struct machine *machine;
    struct device *nic;
    struct link *link;
    struct port far;
    unsigned far_count;
    struct far_frame far_frames[FAR_MAX];
    struct ledger *ledger;
    ledger_component client, driver, ready;
    uint64_t table_frames; /* where page tables are taken from */
    bool iommu;
};

/* A queue pair of a function, as its driver sees it. Rings and buffers lie in the
 * function's region; an address in a descriptor is physical plus `offset`. */
struct driver {
    struct nic_fixture *fixture;
    struct pcie_function *function;
    uint32_t queue;
    uint64_t rx_ring, tx_ring, rx_buffers, tx_buffers; /* physical */
    uint64_t offset;
    uint64_t rx_base, tx_base; /* of the registers, in BAR 0 */
    uint32_t rx_tail, tx_tail;
};

extern const uint8_t far_mac[6];
/* The address that function n gets: 02:00:00:00:00:nn. */
void function_mac(uint32_t function, uint8_t mac[6]);

/* `settings` is put into the NIC's entry: "filtering: header, queues: 256". */
void nic_fixture_make(struct nic_fixture *fixture, const char *settings, const char *iommu_mode);
void nic_fixture_free(struct nic_fixture *fixture);

/* Physical address of a function's region. */
uint64_t region_of(uint32_t function);
/* Enables a function with its MAC address and its region mapped. */
void function_start(struct nic_fixture *fixture, uint32_t function);
/* Sets up and enables both rings, with `posted` receive buffers. */
void driver_start(struct driver *driver, struct nic_fixture *fixture, uint32_t function, uint32_t queue,
                  uint32_t posted);
/* A function may send anything; and the whole of it, with rings on its queue 0 and nothing
 * posted. */
void function_open_filter(struct nic_fixture *fixture, uint32_t function);
void driver_start_virtual(struct nic_fixture *fixture, struct driver *driver, uint32_t function);
void driver_poke(struct driver *driver, uint64_t offset, uint32_t value);
uint32_t driver_peek(struct driver *driver, uint64_t offset);
union nic_rx_descriptor rx_descriptor(const struct driver *driver, uint32_t slot);
struct nic_tx_descriptor tx_descriptor(const struct driver *driver, uint32_t slot);
void tx_put(struct driver *driver, struct nic_tx_descriptor descriptor);
/* A data descriptor for bytes at an address as the function sees it. */
struct nic_tx_descriptor data_descriptor(uint64_t address, uint32_t length_bytes, uint32_t command, uint32_t options);
/* Writes a packet into transmit buffer `slot` and its descriptor; no doorbell. */
void tx_post(struct driver *driver, const uint8_t *bytes, uint32_t length_bytes);
void tx_ring_doorbell(struct driver *driver);

/* A UDP datagram with good checksums. Returns the frame's length. */
struct flow {
    uint32_t from_function, to_function; /* FAR: the far end */
    uint32_t source_ip, destination_ip;
    uint16_t source_port, destination_port;
};
#define FAR UINT32_MAX
uint32_t udp_frame(uint8_t *bytes, const struct flow *flow, uint32_t payload_bytes);
/* The far end sends it now; its request (or NULL) is owned by "client". */
void far_send(struct nic_fixture *fixture, const uint8_t *bytes, uint32_t length_bytes, struct request *request);
/* The checksum of RFC 1071, byte by byte: not the model's. */
uint16_t reference_checksum(const uint8_t *bytes, uint32_t length_bytes, uint32_t sum);

uint64_t nic_counter(const struct nic_fixture *fixture, const char *instance, const char *counter);
void run_for(sim_time duration);

#endif
