#include "kernel_model/exo/download_atoms.h"

int download_field_compare(const struct download_field *a, const struct download_field *b) {
    /* No base before any: what lies at a fixed offset is looked at first. */
    const uint32_t base_a = (uint16_t)(a->base + 1), base_b = (uint16_t)(b->base + 1);
    const uint32_t keys_a[4] = {base_a, a->offset, a->width_bytes, a->mask};
    const uint32_t keys_b[4] = {base_b, b->offset, b->width_bytes, b->mask};
    for (int i = 0; i < 4; i++) {
        if (keys_a[i] != keys_b[i]) {
            return keys_a[i] < keys_b[i] ? -1 : 1;
        }
    }
    return 0;
}

bool download_field_load(const struct download_field *field, struct download_packet packet, uint32_t *value) {
    uint64_t offset = field->offset;
    if (field->base != DOWNLOAD_NO_BASE) {
        if (field->base >= packet.length_bytes) {
            return false;
        }
        offset += (packet.bytes[field->base] & 15u) * 4u;
    }
    if (offset + field->width_bytes > packet.length_bytes) {
        return false;
    }
    uint32_t loaded = 0;
    for (uint32_t i = 0; i < field->width_bytes; i++) {
        loaded = loaded << 8 | packet.bytes[offset + i];
    }
    *value = loaded & field->mask;
    return true;
}

bool download_test_holds(const struct download_test *test, uint32_t value) {
    switch (test->relation) {
    case DOWNLOAD_DIFFERS:
        return value != test->value;
    case DOWNLOAD_ABOVE:
        return value > test->value;
    default:
        return value <= test->value;
    }
}

/* ---- sets of packets ---- */

/* The bits of one packet byte that an atom fixes. */
static void byte_of(const struct download_atom *atom, uint32_t offset, uint8_t *mask, uint8_t *value) {
    const uint32_t shift = 8 * (atom->field.width_bytes - 1 - (offset - atom->field.offset));
    *mask = (uint8_t)(atom->field.mask >> shift);
    *value = (uint8_t)(atom->value >> shift);
}

/* Whether two atoms demand different bits of the same byte. */
static bool contradict(const struct download_atom *a, const struct download_atom *b) {
    if (a->field.base != b->field.base) {
        return false;
    }
    const uint32_t end_a = a->field.offset + a->field.width_bytes, end_b = b->field.offset + b->field.width_bytes;
    uint32_t offset = a->field.offset > b->field.offset ? a->field.offset : b->field.offset;
    for (; offset < end_a && offset < end_b; offset++) {
        uint8_t mask_a, value_a, mask_b, value_b;
        byte_of(a, offset, &mask_a, &value_a);
        byte_of(b, offset, &mask_b, &value_b);
        if (((value_a ^ value_b) & mask_a & mask_b) != 0) {
            return true;
        }
    }
    return false;
}

/* Whether an atom's value fails another's test on the same field. */
static bool fails(const struct download_path *atoms, const struct download_path *tests) {
    for (uint32_t i = 0; i < tests->test_count; i++) {
        for (uint32_t j = 0; j < atoms->atom_count; j++) {
            if (download_field_compare(&atoms->atoms[j].field, &tests->tests[i].field) == 0 &&
                !download_test_holds(&tests->tests[i], atoms->atoms[j].value)) {
                return true;
            }
        }
    }
    return false;
}

/* Whether two intervals of the same field do not meet. */
static bool apart(const struct download_path *above, const struct download_path *below) {
    for (uint32_t i = 0; i < above->test_count; i++) {
        for (uint32_t j = 0; j < below->test_count; j++) {
            const struct download_test *low = &above->tests[i], *high = &below->tests[j];
            if (low->relation == DOWNLOAD_ABOVE && high->relation == DOWNLOAD_AT_MOST && low->value >= high->value &&
                download_field_compare(&low->field, &high->field) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool disjoint(const struct download_path *a, const struct download_path *b) {
    for (uint32_t i = 0; i < a->atom_count; i++) {
        for (uint32_t j = 0; j < b->atom_count; j++) {
            if (contradict(&a->atoms[i], &b->atoms[j])) {
                return true;
            }
        }
    }
    return fails(a, b) || fails(b, a) || apart(a, b) || apart(b, a);
}

bool download_paths_overlap(const struct download_paths *a, const struct download_paths *b) {
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t j = 0; j < b->count; j++) {
            if (!disjoint(&a->path[i], &b->path[j])) {
                return true;
            }
        }
    }
    return false;
}

/* Whether the atoms of a path fix all bits that the scope's atom fixes, alike. */
static bool implies(const struct download_path *path, const struct download_atom *scope) {
    for (uint32_t offset = scope->field.offset; offset < scope->field.offset + (uint32_t)scope->field.width_bytes;
         offset++) {
        uint8_t wanted, value, fixed = 0, agree = 0;
        byte_of(scope, offset, &wanted, &value);
        for (uint32_t i = 0; i < path->atom_count; i++) {
            const struct download_atom *atom = &path->atoms[i];
            if (atom->field.base == scope->field.base && offset >= atom->field.offset &&
                offset < atom->field.offset + (uint32_t)atom->field.width_bytes) {
                uint8_t mask, bits;
                byte_of(atom, offset, &mask, &bits);
                fixed |= mask;
                agree |= (uint8_t)(mask & ~(bits ^ value));
            }
        }
        if ((wanted & (uint8_t) ~(fixed & agree)) != 0) {
            return false;
        }
    }
    return true;
}

bool download_paths_within(const struct download_paths *paths, const struct download_atom *scope, uint32_t count) {
    for (uint32_t i = 0; i < paths->count; i++) {
        for (uint32_t j = 0; j < count; j++) {
            if (!implies(&paths->path[i], &scope[j])) {
                return false;
            }
        }
    }
    return true;
}
