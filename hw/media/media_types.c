/* media_types.c: the types of media. To add one: its declaration and its row here. */
#include <string.h>

#include "hw/media/media.h"

extern const struct media_ops battery_dram_ops;
extern const struct media_ops low_latency_ops;
extern const struct media_ops disk_ops;
extern const struct media_ops flash_media_ops;

static const struct media_ops *const types[] = {
    &battery_dram_ops,
    &disk_ops,
    &flash_media_ops,
    &low_latency_ops,
};

const struct media_ops *media_type_at(size_t index) {
    return index < sizeof types / sizeof types[0] ? types[index] : NULL;
}

const struct media_ops *media_type_find(const char *type_name) {
    const struct media_ops *ops = NULL;
    for (size_t i = 0; (ops = media_type_at(i)) != NULL; i++) {
        if (strcmp(ops->type_name, type_name) == 0) {
            return ops;
        }
    }
    return NULL;
}
