/* Open addressing with linear probing; what is removed closes the gap behind it, so
 * that no tombstones gather. */
#include "hw/media/line_map.h"

#include <stdlib.h>

#include "sim/error.h"

enum { CAPACITY_MIN = 64 };

static size_t home_of(const struct line_map *map, uint64_t key) {
    const uint64_t mixed = key * UINT64_C(0x9e3779b97f4a7c15); /* Fibonacci hashing */
    return (size_t)(mixed >> 20) & (map->capacity - 1);
}

static size_t place_of(const struct line_map *map, uint64_t key) {
    size_t place = home_of(map, key);
    while (map->entries[place].value != 0 && map->entries[place].key != key) {
        place = (place + 1) & (map->capacity - 1);
    }
    return place;
}

static void grow(struct line_map *map) {
    struct line_map old = *map;
    map->capacity = old.capacity == 0 ? CAPACITY_MIN : 2 * old.capacity;
    map->entries = calloc(map->capacity, sizeof *map->entries);
    SIM_ASSERT_MSG(map->entries != NULL, "out of memory");
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.entries[i].value != 0) {
            map->entries[place_of(map, old.entries[i].key)] = old.entries[i];
        }
    }
    free(old.entries);
}

void line_map_put(struct line_map *map, uint64_t key, uint64_t value) {
    SIM_ASSERT(value != 0);
    if (4 * (map->count + 1) > 3 * map->capacity) {
        grow(map);
    }
    struct line_map_entry *entry = &map->entries[place_of(map, key)];
    map->count += entry->value == 0 ? 1 : 0;
    *entry = (struct line_map_entry){key, value};
}

uint64_t line_map_get(const struct line_map *map, uint64_t key) {
    return map->count == 0 ? 0 : map->entries[place_of(map, key)].value;
}

void line_map_remove(struct line_map *map, uint64_t key) {
    const size_t mask = map->capacity - 1;
    if (map->count == 0) {
        return;
    }
    size_t hole = place_of(map, key);
    if (map->entries[hole].value == 0) {
        return;
    }
    map->count--;
    for (size_t place = (hole + 1) & mask; map->entries[place].value != 0; place = (place + 1) & mask) {
        const size_t home = home_of(map, map->entries[place].key);
        if (((place - home) & mask) >= ((place - hole) & mask)) { /* it may stand in the hole */
            map->entries[hole] = map->entries[place];
            hole = place;
        }
    }
    map->entries[hole].value = 0;
}

void line_map_free(struct line_map *map) {
    free(map->entries);
    *map = (struct line_map){0};
}
