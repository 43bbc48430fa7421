/* Distributions against GSL's own statistics on the same values. */
#include <criterion/criterion.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdlib.h>

#include "sim/histogram.h"
#include "sim/random.h"

enum { VALUES = 20000 };

static void compare(const struct histogram *histogram, double *values, size_t count) {
    cr_assert_eq(histogram->count, count);
    const double mean = gsl_stats_mean(values, 1, count);
    const double deviation = gsl_stats_sd(values, 1, count);
    cr_assert_float_eq(histogram_mean(histogram), mean, fabs(mean) * 1e-9);
    cr_assert_float_eq(histogram_stddev(histogram), deviation, deviation * 1e-6 + 1e-9);
    gsl_sort(values, 1, count);
    const double quantiles[] = {0.01, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        const size_t rank = (size_t)ceil(quantiles[i] * (double)count);
        const double exact = values[rank - 1];
        const double found = (double)histogram_quantile(histogram, quantiles[i]);
        cr_assert(found >= exact && found <= exact * (1 + 1.0 / 128) + 1, "quantile %g: %g for %g", quantiles[i], found,
                  exact);
    }
    cr_assert_eq((double)histogram->minimum, values[0]);
    cr_assert_eq((double)histogram->maximum, values[count - 1]);
}

Test(histogram, agrees_with_gsl) {
    random_seed(7);
    struct random_stream *stream = random_stream_create("histogram");
    double *values = malloc(VALUES * sizeof *values);
    for (int shape = 0; shape < 3; shape++) {
        struct histogram histogram;
        histogram_init(&histogram);
        for (size_t i = 0; i < VALUES; i++) {
            uint64_t value = 0;
            switch (shape) {
            case 0:
                value = random_exponential(stream, 3 * SIM_US);
                break;
            case 1:
                value = random_below(stream, 50);
                break;
            default:
                value = 5 * SIM_S + random_below(stream, 1000);
                break; /* large mean, small deviation */
            }
            values[i] = (double)value;
            histogram_add(&histogram, value);
        }
        compare(&histogram, values, VALUES);
        histogram_free(&histogram);
    }
    free(values);
    random_stream_free(stream);
}

Test(histogram, merging_equals_adding) {
    struct histogram whole, left, right;
    histogram_init(&whole);
    histogram_init(&left);
    histogram_init(&right);
    for (uint64_t i = 0; i < 1000; i++) {
        histogram_add(&whole, i * i);
        histogram_add(i % 3 == 0 ? &left : &right, i * i);
    }
    histogram_merge(&left, &right);
    cr_assert_eq(left.count, whole.count);
    cr_assert_eq(histogram_mean(&left), histogram_mean(&whole));
    cr_assert_eq(histogram_stddev(&left), histogram_stddev(&whole));
    cr_assert_eq(histogram_quantile(&left, 0.99), histogram_quantile(&whole, 0.99));
}

Test(histogram, empty_and_single) {
    struct histogram histogram;
    histogram_init(&histogram);
    cr_assert_eq(histogram_quantile(&histogram, 0.5), 0);
    cr_assert_eq(histogram_stddev(&histogram), 0);
    histogram_add(&histogram, UINT64_MAX / 2);
    cr_assert_eq(histogram_quantile(&histogram, 0.999), UINT64_MAX / 2);
    cr_assert_eq(histogram_stddev(&histogram), 0);
}
