/* tables.h: what a thread that runs a script knows of its tables of keys and values. */
#ifndef STILLSUIT_WORKLOADS_TABLES_H
#define STILLSUIT_WORKLOADS_TABLES_H

#include <stddef.h>
#include <stdint.h>

struct workload_thread;
struct random_zipf;

/* A hash table in the application's memory: an array of 8-byte buckets, then a line of
 * 64 bytes for each entry (key, hash, pointers), then the values, each from a line's
 * beginning. Every key has a bucket of its own: there are no chains. */
struct workload_table {
    uint64_t buckets, entries, values; /* physical addresses; 0: not made yet */
    struct random_zipf *zipf;          /* NULL: all keys are equally popular */
    uint64_t place;                    /* of the key that was looked up last */
};

void tables_free(struct workload_thread *thread, size_t tables);

#endif
