#include "sim/random.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdlib.h>

#include "sim/error.h"

struct random_stream {
    gsl_rng *generator;
};

static uint64_t master_seed = 1;

void random_seed(uint64_t seed) {
    master_seed = seed;
}

/* FNV-1a over the name, started from the seed, then the finalizer of SplitMix64 so
 * that neighbouring seeds and names give unrelated states. */
static uint64_t stream_seed(const char *instance) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (master_seed * UINT64_C(0x9e3779b97f4a7c15));
    for (const char *c = instance; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    }
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    return hash ^ (hash >> 31);
}

struct random_stream *random_stream_create(const char *instance) {
    struct random_stream *stream = malloc(sizeof *stream);
    SIM_ASSERT(stream != NULL);
    stream->generator = gsl_rng_alloc(gsl_rng_mt19937);
    const uint64_t seed = stream_seed(instance);
    gsl_rng_set(stream->generator, (unsigned long)((seed ^ (seed >> 32)) & UINT32_MAX));
    return stream;
}

void random_stream_free(struct random_stream *stream) {
    if (stream != NULL) {
        gsl_rng_free(stream->generator);
        free(stream);
    }
}

double random_uniform(struct random_stream *stream) {
    return gsl_rng_uniform(stream->generator);
}

uint64_t random_below(struct random_stream *stream, uint64_t bound) {
    SIM_ASSERT(bound > 0);
    if (bound <= UINT32_MAX) {
        return gsl_rng_uniform_int(stream->generator, (unsigned long)bound);
    }
    /* Two 32-bit draws; what lies past the last whole multiple of the bound is drawn
     * again, so that every value is as likely as any other. */
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t draw;
    do {
        const uint64_t high = gsl_rng_get(stream->generator) & UINT32_MAX;
        draw = high << 32 | (gsl_rng_get(stream->generator) & UINT32_MAX);
    } while (draw >= limit);
    return draw % bound;
}

sim_time random_exponential(struct random_stream *stream, sim_time mean) {
    return (sim_time)(gsl_ran_exponential(stream->generator, (double)mean) + 0.5);
}

double random_gaussian(struct random_stream *stream, double sigma) {
    return gsl_ran_gaussian_ziggurat(stream->generator, sigma);
}

double random_lognormal_factor(struct random_stream *stream, double variation) {
    if (variation <= 0) {
        return 1;
    }
    /* Mean exp(zeta + sigma^2 / 2) = 1 and variance exp(sigma^2) - 1 = variation^2. */
    const double variance = log1p(variation * variation);
    return exp(gsl_ran_gaussian_ziggurat(stream->generator, sqrt(variance)) - variance / 2);
}

struct random_zipf {
    gsl_ran_discrete_t *table;
};

struct random_zipf *random_zipf_create(size_t count, double exponent) {
    SIM_ASSERT(count > 0);
    double *weights = malloc(count * sizeof *weights);
    struct random_zipf *zipf = malloc(sizeof *zipf);
    SIM_ASSERT(weights != NULL && zipf != NULL);
    for (size_t k = 0; k < count; k++) {
        weights[k] = pow((double)(k + 1), -exponent);
    }
    zipf->table = gsl_ran_discrete_preproc(count, weights);
    free(weights);
    return zipf;
}

void random_zipf_free(struct random_zipf *zipf) {
    if (zipf != NULL) {
        gsl_ran_discrete_free(zipf->table);
        free(zipf);
    }
}

size_t random_zipf_draw(const struct random_zipf *zipf, struct random_stream *stream) {
    return gsl_ran_discrete(stream->generator, zipf->table);
}
