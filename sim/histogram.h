/* histogram.h: distributions in constant memory (HDR-style: buckets whose width
 * grows with the value, 128 to an octave, so that a percentile is off by less than
 * 1/128 of itself), with exact count, minimum, maximum, mean and deviation. */
#ifndef STILLSUIT_SIM_HISTOGRAM_H
#define STILLSUIT_SIM_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_SUB_BITS = 7, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS };

__extension__ typedef unsigned __int128 histogram_sum;

/* Sums are whole numbers, so that they are exact, and the same in any order. */
struct histogram {
    uint64_t count, minimum, maximum;
    histogram_sum sum, sum_of_squares;
    uint64_t zeros;    /* values of 0, which stand in no bucket */
    uint64_t *buckets; /* HISTOGRAM_BUCKETS, allocated when the first value comes */
};

void histogram_init(struct histogram *histogram);
void histogram_free(struct histogram *histogram);
void histogram_clear(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t value);
/* `count` values of 0 at once: requests that a component never owned. */
void histogram_add_zeros(struct histogram *histogram, uint64_t count);

/* Adds all of `from` to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

double histogram_mean(const struct histogram *histogram);
/* Sample standard deviation (n - 1); 0 below two values. */
double histogram_stddev(const struct histogram *histogram);
/* The smallest bucket's upper bound (never above the maximum) at or below which
 * `quantile` (0..1) of the values lie. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

#endif
