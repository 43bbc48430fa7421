/* block_trace.h: traces of block input and output, as others recorded them.
 *
 * Two formats, a request a line:
 *   msr      Microsoft Research, Cambridge (Narayanan et al., FAST 2008; SNIA IOTTA):
 *            timestamp,hostname,disk,type,offset,size,response
 *            timestamp in 100 ns (Windows file time), type Read or Write, offset and
 *            size in bytes; the response is the recorded system's and is not used
 *   disksim  DiskSim's ASCII format, which SSD simulators read, too: fields that blanks
 *            separate: arrival time, device, first sector of 512 bytes, sectors,
 *            flags (bit 0: read). The unit of the time is milliseconds in DiskSim's own
 *            traces, nanoseconds in MQSim's.
 * Empty lines and lines that begin with # are passed over. Times count from the first
 * request's. */
#ifndef STILLSUIT_WORKLOADS_BLOCK_TRACE_H
#define STILLSUIT_WORKLOADS_BLOCK_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/config.h"
#include "sim/time.h"

enum block_trace_format { BLOCK_TRACE_MSR, BLOCK_TRACE_DISKSIM };

enum { BLOCK_TRACE_SECTOR_BYTES = 512, BLOCK_TRACE_ERRORS_MAX = 20 };

struct block_trace_request {
    sim_time at; /* since the first */
    uint64_t offset_bytes, length_bytes;
    uint32_t device;
    bool write;
};

struct block_trace {
    struct block_trace_request *requests;
    size_t count;
    uint64_t end_bytes; /* one past the highest byte of any device */
};

struct block_trace_options {
    enum block_trace_format format;
    sim_time time_unit; /* disksim: of its first field */
    uint64_t most;      /* requests; 0: all */
    bool one_device;    /* only those of `device` */
    uint32_t device;
};

/* Reads a trace whole. Each malformed line is reported with file, line and column, up
 * to BLOCK_TRACE_ERRORS_MAX of them; requests out of order in time are malformed, too.
 * NULL if anything was reported. The caller frees it. */
struct block_trace *block_trace_load(const char *path, const struct block_trace_options *options,
                                     struct diagnostics *diagnostics);
void block_trace_free(struct block_trace *trace);

#endif
