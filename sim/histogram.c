#include "sim/histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/error.h"

static unsigned bucket_of(uint64_t value) {
    if (value < (UINT64_C(1) << HISTOGRAM_SUB_BITS)) {
        return (unsigned)value;
    }
    /* The value's leading 1 adds one to the octave of its exponent. */
    const unsigned exponent = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (exponent << HISTOGRAM_SUB_BITS) + (unsigned)(value >> exponent);
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_top(unsigned bucket) {
    const unsigned octave = bucket >> HISTOGRAM_SUB_BITS;
    const uint64_t sub = bucket & ((1u << HISTOGRAM_SUB_BITS) - 1);
    if (octave == 0) {
        return sub;
    }
    const unsigned exponent = octave - 1;
    const uint64_t low = ((UINT64_C(1) << HISTOGRAM_SUB_BITS) + sub) << exponent;
    return low + ((UINT64_C(1) << exponent) - 1);
}

static void need_buckets(struct histogram *histogram) {
    if (histogram->buckets == NULL) {
        histogram->buckets = calloc(HISTOGRAM_BUCKETS, sizeof *histogram->buckets);
        SIM_ASSERT(histogram->buckets != NULL);
    }
}

void histogram_init(struct histogram *histogram) {
    memset(histogram, 0, sizeof *histogram);
    histogram->minimum = UINT64_MAX;
}

void histogram_free(struct histogram *histogram) {
    free(histogram->buckets);
    histogram_init(histogram);
}

void histogram_clear(struct histogram *histogram) {
    uint64_t *buckets = histogram->buckets;
    histogram_init(histogram);
    histogram->buckets = buckets;
    if (buckets != NULL) {
        memset(buckets, 0, HISTOGRAM_BUCKETS * sizeof *buckets);
    }
}

void histogram_add(struct histogram *histogram, uint64_t value) {
    if (value == 0) {
        histogram_add_zeros(histogram, 1);
        return;
    }
    need_buckets(histogram);
    histogram->buckets[bucket_of(value)]++;
    histogram->count++;
    histogram->sum += value;
    histogram->sum_of_squares += (histogram_sum)value * value;
    if (value < histogram->minimum) {
        histogram->minimum = value;
    }
    if (value > histogram->maximum) {
        histogram->maximum = value;
    }
}

void histogram_add_zeros(struct histogram *histogram, uint64_t count) {
    if (count > 0) {
        histogram->zeros += count;
        histogram->count += count;
        histogram->minimum = 0;
    }
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    if (from->count == 0) {
        return;
    }
    if (from->buckets != NULL) {
        need_buckets(into);
        for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
            into->buckets[bucket] += from->buckets[bucket];
        }
    }
    into->count += from->count;
    into->zeros += from->zeros;
    into->sum += from->sum;
    into->sum_of_squares += from->sum_of_squares;
    into->minimum = from->minimum < into->minimum ? from->minimum : into->minimum;
    into->maximum = from->maximum > into->maximum ? from->maximum : into->maximum;
}

double histogram_mean(const struct histogram *histogram) {
    return histogram->count == 0 ? 0 : (double)((long double)histogram->sum / (long double)histogram->count);
}

double histogram_stddev(const struct histogram *histogram) {
    if (histogram->count < 2) {
        return 0;
    }
    /* Around the rounded mean, so that no significant digits cancel:
     * sum (x - m)^2 = sum x^2 - 2 m sum x + n m^2, all in whole numbers. */
    const histogram_sum mean = histogram->sum / histogram->count;
    const histogram_sum cross = histogram->sum * mean;
    const histogram_sum about = histogram->sum_of_squares + mean * mean * histogram->count - 2 * cross;
    const long double rest = (long double)(histogram->sum - mean * histogram->count);
    const long double count = (long double)histogram->count;
    const long double variance = ((long double)about - rest * rest / count) / (count - 1);
    return (double)sqrtl(variance > 0 ? variance : 0);
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile) {
    if (histogram->count == 0) {
        return 0;
    }
    const double exact = quantile * (double)histogram->count;
    uint64_t rank = (uint64_t)ceil(exact);
    rank = rank < 1 ? 1 : rank > histogram->count ? histogram->count : rank;
    uint64_t seen = histogram->zeros;
    if (seen >= rank) {
        return 0;
    }
    for (unsigned bucket = 1; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen >= rank) {
            const uint64_t top = bucket_top(bucket);
            return top < histogram->maximum ? top : histogram->maximum;
        }
    }
    return histogram->maximum;
}
