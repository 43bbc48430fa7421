/* random.h: random streams by name.
 *
 * A stream's numbers depend on (master seed, instance name) alone, so that adding
 * a device shifts no other stream. The generator and the distributions are GSL's. */
#ifndef STILLSUIT_SIM_RANDOM_H
#define STILLSUIT_SIM_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "sim/time.h"

struct random_stream;

/* Sets the master seed; before any stream is made. */
void random_seed(uint64_t seed);

/* A stream for an instance ("nic0.moderation"). The caller frees it. */
struct random_stream *random_stream_create(const char *instance);
void random_stream_free(struct random_stream *stream);

/* 0 <= result < 1. */
double random_uniform(struct random_stream *stream);
/* 0 <= result < bound; bound is not 0. */
uint64_t random_below(struct random_stream *stream, uint64_t bound);
/* Exponentially distributed with that mean. */
sim_time random_exponential(struct random_stream *stream, sim_time mean);
/* Normal with mean 0. */
double random_gaussian(struct random_stream *stream, double sigma);
/* Lognormal with mean 1 and the given coefficient of variation (0 gives 1). */
double random_lognormal_factor(struct random_stream *stream, double variation);

/* Zipf-distributed ranks 0..count-1, P(k) ~ 1/(k+1)^exponent, from a table made
 * once. The caller frees it. */
struct random_zipf;
struct random_zipf *random_zipf_create(size_t count, double exponent);
void random_zipf_free(struct random_zipf *zipf);
size_t random_zipf_draw(const struct random_zipf *zipf, struct random_stream *stream);

#endif
