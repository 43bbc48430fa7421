#include "kernel_model/exo/download_bytecode.h"

const struct download_rule download_rules[DOWNLOAD_OPERATION_COUNT] = {
#define DOWNLOAD_OPERATION_ROW(name, use, group, step, kinds, help)                                                    \
    {#name, (use), (group), DOWNLOAD_##step, (kinds), (help)},
    DOWNLOAD_OPERATIONS(DOWNLOAD_OPERATION_ROW)
#undef DOWNLOAD_OPERATION_ROW
};

uint32_t download_access_bytes(enum download_operation operation) {
    switch (operation) {
    case OPERATION_load8:
    case OPERATION_store8:
        return 1;
    case OPERATION_load16:
    case OPERATION_store16:
        return 2;
    case OPERATION_load32:
    case OPERATION_store32:
        return 4;
    default:
        return 0;
    }
}

void download_bulk_count(const struct download_instruction *at, uint32_t bytes, struct download_work *work) {
    const uint32_t words = (bytes + 3) / 4;
    switch (at->operation) {
    case OPERATION_copy:
        download_count(work, DOWNLOAD_code_copy_word, words);
        break;
    case OPERATION_sum:
        download_count(work, DOWNLOAD_code_sum_word, words);
        break;
    case OPERATION_copy_sum:
        download_count(work, DOWNLOAD_code_copy_sum_word, words);
        break;
    default:
        break;
    }
}
