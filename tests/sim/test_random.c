/* Random streams: named, seeded, independent of each other. */
#include <criterion/criterion.h>

#include "sim/random.h"

static void draw(const char *name, uint64_t seed, uint64_t out[8]) {
    random_seed(seed);
    struct random_stream *stream = random_stream_create(name);
    for (int i = 0; i < 8; i++) {
        out[i] = random_below(stream, UINT64_C(1) << 48);
    }
    random_stream_free(stream);
}

Test(random, streams_depend_on_seed_and_name_alone) {
    uint64_t a[8], b[8], c[8], d[8];
    draw("nic0", 1, a);
    draw("nic0", 1, b);
    draw("nic1", 1, c);
    draw("nic0", 2, d);
    cr_assert_arr_eq(a, b, sizeof a);
    cr_assert_arr_neq(a, c, sizeof a);
    cr_assert_arr_neq(a, d, sizeof a);
}

Test(random, distributions_have_their_moments) {
    random_seed(3);
    struct random_stream *stream = random_stream_create("moments");
    double exponential = 0, factor = 0, square = 0;
    const int count = 200000;
    for (int i = 0; i < count; i++) {
        exponential += (double)random_exponential(stream, SIM_US);
        const double f = random_lognormal_factor(stream, 0.2);
        factor += f;
        square += f * f;
    }
    const double mean = factor / count;
    cr_assert_float_eq(exponential / count, (double)SIM_US, 0.01 * (double)SIM_US);
    cr_assert_float_eq(mean, 1, 0.005);
    cr_assert_float_eq(square / count - mean * mean, 0.04, 0.002);
    cr_assert_eq(random_lognormal_factor(stream, 0), 1);
    random_stream_free(stream);
}

Test(random, zipf_ranks_fall_off_as_they_should) {
    random_seed(5);
    struct random_stream *stream = random_stream_create("zipf");
    struct random_zipf *zipf = random_zipf_create(100, 1.0);
    int counts[100] = {0};
    for (int i = 0; i < 100000; i++) {
        counts[random_zipf_draw(zipf, stream)]++;
    }
    cr_assert_float_eq((double)counts[0] / counts[1], 2.0, 0.1);
    cr_assert_float_eq((double)counts[0] / counts[9], 10.0, 1.0);
    random_zipf_free(zipf);
    random_stream_free(stream);
}
