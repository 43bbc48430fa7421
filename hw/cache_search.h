/* cache_search.h: what every simulated touch does, several times: finding a tag
 * among the ways of a set; and what a miss does: finding the oldest. */
#ifndef STILLSUIT_HW_CACHE_SEARCH_H
#define STILLSUIT_HW_CACHE_SEARCH_H

#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { CACHE_WAYS_MAX = 64 };

/* A bit for each of `count` (at most 64) words that is `wanted` once the bits
 * `ignored` are set in it. No branch hangs on the contents: which way a line is in
 * cannot be predicted. */
static inline __attribute__((always_inline)) uint64_t cache_matches(const uint32_t *words, uint32_t count,
                                                                    uint32_t wanted, uint32_t ignored) {
    uint64_t found = 0;
    uint32_t i = 0;
#ifdef __SSE2__
    const __m128i all_wanted = _mm_set1_epi32((int)wanted);
    const __m128i all_ignored = _mm_set1_epi32((int)ignored);
#define CACHE_FOUR_WORDS(at) _mm_loadu_si128((const __m128i *)(const void *)(words + (at)))
#define CACHE_MATCH_FOUR(at) _mm_cmpeq_epi32(_mm_or_si128(CACHE_FOUR_WORDS(at), all_ignored), all_wanted)
    for (; i + 8 <= count; i += 8) {
        const __m128i eight = _mm_packs_epi32(CACHE_MATCH_FOUR(i), CACHE_MATCH_FOUR(i + 4));
        found |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_packs_epi16(eight, _mm_setzero_si128())) << i;
    }
    for (; i + 4 <= count; i += 4) {
        found |= (uint64_t)(unsigned)_mm_movemask_ps(_mm_castsi128_ps(CACHE_MATCH_FOUR(i))) << i;
    }
#undef CACHE_MATCH_FOUR
#undef CACHE_FOUR_WORDS
#endif
    for (; i < count; ++i) {
        found |= (uint64_t)((words[i] | ignored) == wanted) << i;
    }
    return found;
}

/* The first of them; `count` if there is none. */
static inline __attribute__((always_inline)) uint32_t cache_search(const uint32_t *words, uint32_t count,
                                                                   uint32_t wanted, uint32_t ignored) {
    const uint64_t found = cache_matches(words, count, wanted, ignored);
    return found != 0 ? (uint32_t)__builtin_ctzll(found) : count;
}

/* The first of the least of `count` (at least 1) stamps of use. */
static inline __attribute__((always_inline)) uint32_t cache_oldest(const uint32_t *stamps, uint32_t count) {
    /* Stamp and way in one number: its minimum needs no branch. */
    uint64_t oldest = (uint64_t)stamps[0] << 8;
    for (uint32_t way = 1; way < count; ++way) {
        const uint64_t candidate = (uint64_t)stamps[way] << 8 | way;
        oldest = candidate < oldest ? candidate : oldest;
    }
    return (uint32_t)oldest & 0xff;
}

#endif
