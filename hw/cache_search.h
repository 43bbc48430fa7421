/* cache_search.h: what every simulated touch does, several times: finding a tag
 * among the ways of a set, and keeping ways in order of use. */
#ifndef STILLSUIT_HW_CACHE_SEARCH_H
#define STILLSUIT_HW_CACHE_SEARCH_H

#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { CACHE_WAYS_MAX = 64 };

/* The first of `count` (at most 64) words that is `tag` when shifted right by
 * `shift`; `count` if none is. No branch hangs on the contents: which way a line is
 * in cannot be predicted. */
static inline uint32_t cache_search(const uint32_t *words, uint32_t count, uint32_t tag, int shift) {
    uint64_t found = 0;
    uint32_t i = 0;
#ifdef __SSE2__
    const __m128i wanted = _mm_set1_epi32((int)tag);
    for (; i + 4 <= count; i += 4) {
        const __m128i four = _mm_loadu_si128((const __m128i *)(const void *)(words + i));
        const __m128i equal = _mm_cmpeq_epi32(_mm_srli_epi32(four, shift), wanted);
        found |= (uint64_t)(unsigned)_mm_movemask_ps(_mm_castsi128_ps(equal)) << i;
    }
#endif
    for (; i < count; ++i) {
        found |= (uint64_t)(words[i] >> shift == tag) << i;
    }
    return found != 0 ? (uint32_t)__builtin_ctzll(found) : count;
}

/* ---- An order of up to 16 ways in one word: a digit of 4 bits each, the newest
 * lowest. ---- */

enum { CACHE_ORDER_WAYS_MAX = 16, CACHE_ORDER_BITS = 4 };
#define CACHE_ORDER_AT_FIRST UINT64_C(0xfedcba9876543210)

static inline uint32_t cache_order_newest(uint64_t order) {
    return (uint32_t)order & 15U;
}

static inline uint32_t cache_order_oldest(uint64_t order, uint32_t ways) {
    return (uint32_t)(order >> (CACHE_ORDER_BITS * (ways - 1))) & 15U;
}

/* The bit at which the digit `way` stands. */
static inline uint32_t cache_order_find(uint64_t order, uint32_t way) {
    /* The digit that is `way` becomes 0; the lowest zero digit is where a borrow
     * first reaches a top bit that was clear. */
    const uint64_t ones = UINT64_C(0x1111111111111111);
    const uint64_t difference = order ^ (ones * way);
    const uint64_t zeros = (difference - ones) & ~difference & (ones << 3U);
    return (uint32_t)__builtin_ctzll(zeros) - 3U;
}

/* The order after `way` was used. */
static inline uint64_t cache_order_use(uint64_t order, uint32_t way) {
    const uint32_t bit = cache_order_find(order, way);
    const uint64_t newer = order & ((UINT64_C(1) << bit) - 1);
    const uint64_t older = order & ~(((UINT64_C(16) << bit) - 1));
    return older | newer << CACHE_ORDER_BITS | way;
}

/* The order after `way`, of `ways`, was emptied: it is the next to be filled. */
static inline uint64_t cache_order_drop(uint64_t order, uint32_t way, uint32_t ways) {
    const uint32_t bit = cache_order_find(order, way);
    const uint32_t last = CACHE_ORDER_BITS * (ways - 1);
    const uint64_t newer = order & ((UINT64_C(1) << bit) - 1);
    const uint64_t all = last == 60 ? UINT64_MAX : (UINT64_C(16) << last) - 1; /* the digits in use */
    const uint64_t older = (order & all & ~((UINT64_C(16) << bit) - 1)) >> CACHE_ORDER_BITS;
    return (order & ~all) | older | newer | (uint64_t)way << last;
}

#endif
