/* line_map.h: a map from a number (of a block, of a cache line) to another, which
 * grows with what is in it. */
#ifndef STILLSUIT_HW_MEDIA_LINE_MAP_H
#define STILLSUIT_HW_MEDIA_LINE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: empty. */
struct line_map {
    struct line_map_entry {
        uint64_t key, value; /* value 0: free */
    } * entries;
    size_t capacity, count;
};

/* Values are not 0. Replaces. */
void line_map_put(struct line_map *map, uint64_t key, uint64_t value);
uint64_t line_map_get(const struct line_map *map, uint64_t key); /* 0: not there */
void line_map_remove(struct line_map *map, uint64_t key);
void line_map_free(struct line_map *map);

#endif
