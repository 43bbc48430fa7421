/* download_packet.h: from a packet in memory to whom it is for: demultiplexing by the
 * filters that were downloaded, then the handler of the filter that takes it, which
 * runs in the kernel at once, or else the queue of its library.
 *
 * A handler (an application-specific safe handler, ASH; Wallach, Engler, Kaashoek,
 * SIGCOMM 1996) vectors the packet to where it belongs, copies and sums it in one
 * pass, and may answer, without its environment being scheduled. It ends with a value:
 * not 0, and the packet is dealt with; 0, and it goes to the library. A handler that
 * is stopped has sent nothing, and its packet goes to the library, too.
 *
 * The file knows owners by number and asks the kernel around it for the rest. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_PACKET_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_PACKET_H

#include "kernel_model/exo/download_demux.h"
#include "kernel_model/exo/download_run.h"
#include "sim/stats_sink.h"

/* What the kernel around it is and does. */
struct exo_download_config {
    struct memory *memory;
    struct download_costs *costs;
    enum download_engine engine;
    uint64_t handler_limit_cycles;
    void *context;
    /* Whether an owner holds that memory, for writing or for reading alone. */
    bool (*holds)(void *context, uint32_t owner, uint64_t physical, uint32_t length_bytes, bool write);
    /* Sends a frame for an owner. It is in the owner's memory, or in the packet's own
     * buffer: the driver takes what it needs before it returns. `request` rides along
     * with the first frame; it is owned by the component handler. */
    void (*send)(void *context, uint32_t owner, struct download_send frame, struct request *request);
    /* Queues a packet for its library and tells it. `request` is owned by upcall. */
    void (*deliver)(void *context, uint32_t owner, uint32_t filter, uint64_t physical, uint32_t length_bytes,
                    struct request *request);
};

enum exo_packet_fate {
    EXO_PACKET_UNCLAIMED, /* no filter takes it: dropped */
    EXO_PACKET_HANDLED,   /* by its handler */
    EXO_PACKET_DELIVERED  /* to its library */
};

struct exo_download_counters {
    uint64_t packets, unclaimed, handled, delivered, sent;
    uint64_t handlers, unsafe; /* handlers taken; refused by the verifier */
    uint64_t foreign;          /* refused: a region that is not the owner's */
    uint64_t stopped;          /* runs of handlers that were stopped */
    uint64_t cycles;           /* of all that the counters above took */
};

struct exo_download;

/* The caller frees it; `config` is copied. */
struct exo_download *exo_download_create(const struct exo_download_config *config);
void exo_download_free(struct exo_download *download);

/* Where filters are installed and removed. */
struct download_demux *exo_download_filters(struct exo_download *download);

/* Attaches a handler to a filter of `owner` (another one's place is taken by it). Region
 * 0 is the packet, writable; `regions` are 1 and up: memory that the owner must hold.
 * ERR_NOT_FOUND: no such filter; ERR_DENIED: it or a region is another's, or the
 * verifier refuses. */
enum error_code exo_download_handler(struct exo_download *download, uint32_t owner, uint32_t filter,
                                     const struct download_instruction *code, uint32_t count,
                                     const struct download_region *regions, uint32_t region_count, struct error *error);
/* Takes a filter's handler off, if it has one. */
void exo_download_unhandle(struct exo_download *download, uint32_t filter);
/* Takes an owner's handlers off: what they wrote to is no longer its own, say. */
void exo_download_forget(struct exo_download *download, uint32_t owner);

/* A packet has arrived at `physical`. On a context its work is charged to the
 * components of exo_download_components, for `request` (may be NULL), and done when
 * the call returns; without one (NULL: before the run) it takes no time. */
enum exo_packet_fate exo_download_packet(struct exo_download *download, struct context *context, uint64_t physical,
                                         uint32_t length_bytes, struct request *request);

const struct exo_download_counters *exo_download_counters(const struct exo_download *download);
/* Counters of filters, handlers and packets as one instance. */
void exo_download_visit_stats(const struct exo_download *download, const char *instance, const struct stats_sink *sink);

/* The end of the warm-up: what packets did counts anew; what was downloaded stays. */
void exo_download_reset_stats(struct exo_download *download);

/* "packet_demux", "packet_handler", "packet_upcall", under "cpu". */
struct exo_download_components {
    ledger_component demux, handler, upcall;
};
extern struct exo_download_components exo_download_components;
void exo_download_declare_components(void);

#endif
