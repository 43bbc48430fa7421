/* pcie.h: the root complex, links, functions, MMIO, DMA and MSI-X.
 *
 * Sizes on the link follow the PCI Express Base Specification as counted by the
 * pcie-bench model (Neugebauer et al., SIGCOMM 2018): 24 bytes around a memory
 * write, 24 for a read request, 20 around a completion. Each direction of a link is
 * a first-in-first-out resource. Everything that a function reads or writes goes
 * through the IOMMU under the function's requester id. */
#ifndef STILLSUIT_HW_PCIE_H
#define STILLSUIT_HW_PCIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/engine.h"
#include "sim/error.h"
#include "sim/ledger.h"
#include "sim/param.h"
#include "sim/stats_sink.h"

struct machine;
struct device;

/* The root complex's share of the costs; one a machine. */
struct pcie_root_config {
    sim_time read_latency;       /* request in to completion out, LLC hit: without the link's own serialization */
    sim_time write_latency;      /* write in to data visible to a core */
    sim_time mmio_write_latency; /* a core's posted write, out to the device */
    sim_time mmio_read_latency;  /* a core's read, round trip */
    uint64_t mmio_write_cycles;  /* what the posted write costs the core */
    sim_time msi_latency;        /* the device's message to the core's interrupt pin */
    uint64_t completion_bytes;   /* largest completion payload */
    uint64_t device_window_base; /* BARs are laid out from here */
};
extern const struct param pcie_root_params[];

/* One device's link. */
struct pcie_link_config {
    uint64_t generation, lanes;
    uint64_t max_payload_bytes, max_read_request_bytes;
    uint64_t tags; /* reads outstanding */
};
extern const struct param pcie_link_params[];
/* The same rows for a device whose config holds a pcie_link_config at `base`, each
 * key with a prefix: PCIE_LINK_ROWS("pcie_", offsetof(struct my_config, link)). */
/* clang-format off */
#define PCIE_LINK_ROWS(prefix, base)                                                                                   \
    {prefix "generation", PARAM_INTEGER, (base) + offsetof(struct pcie_link_config, generation), "3", "1", "4", NULL,  \
     "PCI Express generation: 2.5, 5, 8, 16 GT/s a lane"},                                                             \
    {prefix "lanes", PARAM_INTEGER, (base) + offsetof(struct pcie_link_config, lanes), "8", "1", "16", NULL,           \
     "width of the link: 1, 2, 4, 8, 12 or 16"},                                                                       \
    {prefix "max_payload", PARAM_BYTES, (base) + offsetof(struct pcie_link_config, max_payload_bytes),                 \
     "256 B", "128 B", "4096 B", NULL, "largest payload of a packet on the link; a power of two"},                     \
    {prefix "max_read_request", PARAM_BYTES, (base) + offsetof(struct pcie_link_config, max_read_request_bytes),       \
     "512 B", "128 B", "4096 B", NULL, "largest read request of the device; a power of two"},                          \
    {prefix "tags", PARAM_INTEGER, (base) + offsetof(struct pcie_link_config, tags), "32", "1", "256", NULL,           \
     "read requests that the device may have outstanding (5-bit tags: 32)"}
/* clang-format on */
/* What ranges cannot say: ERR_RANGE for a width, generation or size that does not
 * exist. For a device's `check`. */
enum error_code pcie_link_check(const struct pcie_link_config *config, struct error *error);

struct pcie_root;
struct pcie_root *pcie_root_create(struct machine *machine, const struct pcie_root_config *config, struct error *error);
void pcie_root_free(struct pcie_root *root);
const struct pcie_root_config *pcie_root_configuration(const struct pcie_root *root);

struct pcie_link;
/* The root owns it. Returns NULL with `error` for a width or generation that does
 * not exist. */
struct pcie_link *pcie_link_create(struct pcie_root *root, const char *name, const struct pcie_link_config *config,
                                   struct error *error);
/* Bytes on the link for a transfer (both formulas are in configs/machines' source:
 * pcie-bench), and the time of so many bytes at its rate. */
uint64_t pcie_write_bytes(const struct pcie_link *link, uint64_t length_bytes);
uint64_t pcie_read_request_bytes(const struct pcie_link *link, uint64_t length_bytes);
uint64_t pcie_completion_bytes(const struct pcie_link *link, uint64_t length_bytes);
sim_time pcie_serialize(const struct pcie_link *link, uint64_t bytes);

enum { PCIE_BARS = 2, PCIE_MSIX_MAX = 128 };

/* A function of a device: its identity for DMA, its BARs, its interrupt vectors. */
struct pcie_function {
    uint16_t requester_id; /* bus, device, function */
    struct device *device;
    uint32_t number;  /* 0: the physical function; n: virtual function n-1 */
    const char *name; /* "nic.pf", "nic.vf0": in statistics; the root's */
    struct pcie_link *link;
    bool bus_master; /* off: it may not DMA */
    uint64_t bar_address[PCIE_BARS], bar_bytes[PCIE_BARS];
    struct {
        bool enabled;
        uint32_t core, vector;
    } msix[PCIE_MSIX_MAX];
    uint64_t dma_reads, dma_writes, dma_read_bytes, dma_write_bytes, dma_faults, interrupts;
};

/* Puts a function on a link: gives it a requester id and lays out its BARs (each a
 * power of two of whole frames, 0 for none). The device owns the struct. */
void pcie_function_attach(struct pcie_link *link, struct pcie_function *function, struct device *device,
                          uint32_t number, const uint64_t bar_bytes[PCIE_BARS]);

/* ---- DMA ---- */
enum dma_status { DMA_PENDING, DMA_DONE, DMA_FAULT };

/* One transfer between the device and memory. Owned by the device; untouched while
 * pending. A chain (`next`) is done in order, its bytes appear together, and only
 * the last one's `done` is called: a packet and then its descriptor, say. */
struct dma_op {
    struct sim_event event;
    struct pcie_function *function;
    struct dma_op *next;
    uint64_t address; /* what the device believes: an I/O virtual address */
    uint32_t length_bytes;
    bool write; /* to memory */
    enum dma_status status;
    void *data;              /* the device's side: written from, or read into */
    struct request *request; /* rides along; NULL for none */
    ledger_component owner;  /* who holds the request now and gets it back when done */
    void (*done)(struct dma_op *op);
    void *context;
    /* private: */
    uint64_t segment_physical[4];
    uint32_t segments;
    uint64_t bindings_epoch; /* of the IOMMU at the translation */
};

/* Submits at sim_now(): queues for the link, is translated frame by frame, crosses,
 * and ends by `done`; `status` says how. A faulting operation moves no byte. The
 * ledger of `request` goes owner -> dma_write or dma_read (with iotlb_miss and
 * dram_miss below) -> owner. At most 4 frames an operation (12 KiB). */
void dma_submit(struct dma_op *op);

/* ---- MMIO ---- */
/* Whether a physical address is a BAR's. */
bool pcie_is_mmio(const struct pcie_root *root, uint64_t physical);
/* A core's posted write, leaving at sim_now(): arrives at the device's mmio_write
 * after the root's latency and the link, in order. Not in a BAR: dropped, counted. */
void pcie_mmio_write(struct pcie_root *root, uint64_t physical, uint32_t size_bytes, uint64_t value);
/* The same for a write that carries a request: its ledger goes `owner` -> doorbell
 * -> what the device says. */
void pcie_mmio_write_for(struct pcie_root *root, uint64_t physical, uint32_t size_bytes, uint64_t value,
                         struct request *request, ledger_component owner);
/* A read; the value now (the caller charges mmio_read_latency). */
uint64_t pcie_mmio_read(struct pcie_root *root, uint64_t physical, uint32_t size_bytes);
/* Boot-time access that takes no time: for set-up before the measured run. */
void pcie_poke(struct pcie_root *root, uint64_t physical, uint32_t size_bytes, uint64_t value);

/* ---- MSI-X ---- */
void pcie_msix_route(struct pcie_function *function, uint32_t entry, uint32_t core, uint32_t vector);
void pcie_msix_mask(struct pcie_function *function, uint32_t entry, bool masked);
/* The device's interrupt: reaches the core after msi_latency. */
void pcie_msix_raise(struct pcie_function *function, uint32_t entry);

/* Components: "dma_write", "dma_read" (each with "..._iotlb_miss", "..._dram_miss"
 * below it) and "doorbell", under "pcie". What follows a DMA is the device's to
 * say, so `next` names all of hardware. */
void pcie_declare_components(void);

void pcie_visit_stats(const struct pcie_root *root, const struct stats_sink *sink);
/* End of the warm-up: counters and the links' accounts start anew. */
void pcie_reset_stats(struct pcie_root *root);

#endif
