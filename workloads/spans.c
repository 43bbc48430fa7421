#include "workloads/spans.h"

#include <string.h>

#include "sim/error.h"

void spans_init(struct spans *spans, size_t count) {
    SIM_ASSERT(count <= SPANS_MAX);
    memset(spans, 0, sizeof *spans);
    spans->count = count;
    for (size_t i = 0; i < count; i++) {
        histogram_init(&spans->each[i]);
    }
    histogram_init(&spans->sum);
}

void spans_free(struct spans *spans) {
    for (size_t i = 0; i < spans->count; i++) {
        histogram_free(&spans->each[i]);
    }
    histogram_free(&spans->sum);
}

void spans_begin(struct spans *spans, bool measured) {
    spans_end(spans);
    spans->open = measured && spans->count > 0;
}

void spans_add(struct spans *spans, size_t index, sim_time duration) {
    SIM_ASSERT(index < spans->count);
    if (spans->open) {
        spans->present[index] += duration;
    }
}

void spans_swap(struct spans *spans, struct spans_message *message) {
    const struct spans_message other = *message;
    message->open = spans->open;
    memcpy(message->present, spans->present, sizeof message->present);
    spans->open = other.open;
    memcpy(spans->present, other.present, sizeof spans->present);
}

void spans_end(struct spans *spans) {
    if (!spans->open) {
        return;
    }
    spans->open = false;
    sim_time sum = 0;
    for (size_t i = 0; i < spans->count; i++) {
        histogram_add(&spans->each[i], spans->present[i]);
        sum += spans->present[i];
        spans->present[i] = 0;
    }
    histogram_add(&spans->sum, sum);
}

void spans_reset(struct spans *spans) {
    spans->open = false;
    memset(spans->present, 0, sizeof spans->present);
    for (size_t i = 0; i < spans->count; i++) {
        histogram_clear(&spans->each[i]);
    }
    histogram_clear(&spans->sum);
}

void spans_merge(struct spans *into, const struct spans *from) {
    SIM_ASSERT(into->count == from->count);
    for (size_t i = 0; i < from->count; i++) {
        histogram_merge(&into->each[i], &from->each[i]);
    }
    histogram_merge(&into->sum, &from->sum);
}
