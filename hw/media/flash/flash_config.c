/* flash_config.c: the parameters, what they must agree on, and the geometry. */
#include <math.h>

#include "hw/media/flash/flash_internal.h"
#include "sim/config.h"

static const char *const cell_choices[] = {"slc", "mlc", "tlc", NULL};
static const char *const suspend_choices[] = {"none", "erase", "program_and_erase", NULL};
static const char *const order_choices[] = {"fifo", "reads_first", NULL};
static const char *const unwritten_choices[] = {"array", "zeros", NULL};
static const char *const policy_choices[] = {"greedy", "cost_benefit", "fifo", NULL};
static const char *const wear_choices[] = {"none", "dynamic", "static", NULL};
static const char *const fill_choices[] = {"none", "sequential", "random", NULL};

#define AT(member) offsetof(struct flash_config, member)

const struct param flash_params[] = {
    {"channels", PARAM_INTEGER, AT(channels), "8", "1", "256", NULL, "buses between controller and chips"},
    {"chips", PARAM_INTEGER, AT(chips), "4", "1", "64", NULL, "chips (ways) on a channel"},
    {"dies", PARAM_INTEGER, AT(dies), "1", "1", "16", NULL, "dies of a chip: each does one operation at a time"},
    {"planes", PARAM_INTEGER, AT(planes), "2", "1", "8", NULL,
     "planes of a die: one program writes, one erase erases, one read reads in all of them"},
    {"pages_per_block", PARAM_INTEGER, AT(pages_per_block), "256", "2", "16384", NULL, "pages of a block of one plane"},
    {"page_size", PARAM_BYTES, AT(page_bytes), "16 KiB", "512 B", "256 KiB", NULL, "data bytes of a page"},
    {"mapping_unit", PARAM_BYTES, AT(unit_bytes), "4 KiB", "512 B", "256 KiB", NULL,
     "what one entry of the translation layer's map stands for; divides the page"},
    {"over_provisioning", PARAM_SHARE, AT(over_provisioning), "7 %", "0.1 %", "100 %", NULL,
     "flash beyond the drive's capacity, as a share of the capacity; rounded up to whole blocks a die"},
    {"cell", PARAM_CHOICE, AT(cell), "slc", NULL, NULL, cell_choices,
     "bits of a cell: pages of a block take turns as LSB, (CSB,) MSB page"},
    {"read", PARAM_TIME, AT(read[0]), "40 us", "0 s", "10 ms", NULL, "array time of a read; of an LSB page"},
    {"read_csb", PARAM_TIME, AT(read[1]), "0 s", "0 s", "10 ms", NULL, "of a CSB page (tlc)"},
    {"read_msb", PARAM_TIME, AT(read[2]), "0 s", "0 s", "10 ms", NULL, "of an MSB page (mlc, tlc)"},
    {"program", PARAM_TIME, AT(program[0]), "200 us", "0 s", "100 ms", NULL, "array time of a program; of an LSB page"},
    {"program_csb", PARAM_TIME, AT(program[1]), "0 s", "0 s", "100 ms", NULL, "of a CSB page (tlc)"},
    {"program_msb", PARAM_TIME, AT(program[2]), "0 s", "0 s", "100 ms", NULL, "of an MSB page (mlc, tlc)"},
    {"erase", PARAM_TIME, AT(erase), "3.5 ms", "0 s", "1 s", NULL, "array time of an erase"},
    {"channel_rate", PARAM_BYTE_RATE, AT(channel_rate), "400 MB/s", "1 MB/s", "100 GB/s", NULL, "of a channel"},
    {"command_time", PARAM_TIME, AT(command), "0 s", "0 s", "100 us", NULL,
     "what command and address cycles take of the channel, per operation"},
    {"firmware_read", PARAM_TIME, AT(firmware_read), "0 s", "0 s", "10 ms", NULL,
     "firmware and error correction of a read: added to its latency, holds nothing"},
    {"firmware_write", PARAM_TIME, AT(firmware_write), "0 s", "0 s", "10 ms", NULL, "likewise of a write"},
    {"fill_wait", PARAM_TIME, AT(fill_wait), "0 s", "0 s", "1 s", NULL,
     "how long a stripe that is not full waits for more writes; then its other pages stay empty"},
    {"order", PARAM_CHOICE, AT(order), "fifo", NULL, NULL, order_choices,
     "of a die's operations: as they came, or the host's reads before all others"},
    {"suspend", PARAM_CHOICE, AT(suspend), "none", NULL, NULL, suspend_choices,
     "what the host's reads may suspend on their die"},
    {"suspend_latency", PARAM_TIME, AT(suspend_latency), "0 s", "0 s", "10 ms", NULL,
     "from suspending to the read; what has no more than this left is not suspended"},
    {"resume_latency", PARAM_TIME, AT(resume_latency), "0 s", "0 s", "10 ms", NULL,
     "added to what is left of an operation each time that it resumes"},
    {"suspends_max", PARAM_INTEGER, AT(suspends_max), "16", "1", "1000000", NULL, "of one operation"},
    {"unwritten_reads", PARAM_CHOICE, AT(unwritten), "array", NULL, NULL, unwritten_choices,
     "a read of what was never written: as if it had been, in order; or zeros without touching the flash"},
    {"gc_policy", PARAM_CHOICE, AT(policy), "greedy", NULL, NULL, policy_choices,
     "which block is collected: the one with fewest valid units, by cost and benefit, the oldest"},
    {"gc_start", PARAM_INTEGER, AT(collect_start), "2", "1", "1000", NULL,
     "free blocks of a die at or below which collection begins"},
    {"gc_stop", PARAM_INTEGER, AT(collect_stop), "3", "2", "1001", NULL, "free blocks of a die at which it ends"},
    {"wear_levelling", PARAM_CHOICE, AT(wear), "dynamic", NULL, NULL, wear_choices,
     "dynamic: the least worn free block is used next; static: and what lies too long on a fresh block is moved"},
    {"wear_gap", PARAM_INTEGER, AT(wear_gap), "100", "1", "1000000", NULL,
     "static wear levelling: erases that blocks of a die may lie apart"},
    {"precondition", PARAM_CHOICE, AT(fill), "none", NULL, NULL, fill_choices,
     "the drive's state at the start: fresh; written once in order; and then at random until steady"},
    {"precondition_writes", PARAM_REAL, AT(fill_overwrites), "3", "0", "100", NULL,
     "precondition random: units overwritten, over the drive's units"},
    {0}};

enum error_code flash_check(const void *opaque, struct error *error) {
    const struct flash_config *config = opaque;
    if (config->page_bytes % config->unit_bytes != 0) {
        return error_set(error, ERR_CONFIG, "mapping_unit: %llu bytes do not divide the page's %llu",
                         (unsigned long long)config->unit_bytes, (unsigned long long)config->page_bytes);
    }
    const uint64_t stripe = config->page_bytes / config->unit_bytes * config->planes;
    if (stripe > FTL_STRIPE_MAX) {
        return error_set(error, ERR_CONFIG,
                         "mapping_unit: %llu units in a page of each plane, at most %d can be handled",
                         (unsigned long long)stripe, FTL_STRIPE_MAX);
    }
    if (config->collect_stop <= config->collect_start) {
        return error_set(error, ERR_CONFIG, "gc_stop: %llu is not above gc_start, %llu",
                         (unsigned long long)config->collect_stop, (unsigned long long)config->collect_start);
    }
    return OK;
}

enum error_code flash_geometry(const struct flash_config *config, uint64_t capacity_bytes, struct ftl_config *out,
                               struct error *error) {
    const uint64_t stripe = config->page_bytes / config->unit_bytes * config->planes;
    const uint64_t slots = stripe * config->pages_per_block;
    const uint64_t dies = config->channels * config->chips * config->dies;
    const uint64_t units = (capacity_bytes + config->unit_bytes - 1) / config->unit_bytes;
    const double raw = ceil((double)units * (1 + config->over_provisioning));
    const double blocks = ceil(raw / (double)(dies * slots));
    if (raw >= (double)FTL_PENDING || slots > UINT32_MAX / 2) {
        return error_set(error, ERR_RANGE, "a drive of %llu bytes has %.0f mapping units, at most %u can be numbered",
                         (unsigned long long)capacity_bytes, raw, FTL_PENDING - 2);
    }
    *out = (struct ftl_config){.dies = (uint32_t)dies,
                               .blocks = (uint32_t)blocks,
                               .slots = (uint32_t)slots,
                               .stripe = (uint32_t)stripe,
                               .units = (uint32_t)units,
                               .collect_start = (uint32_t)config->collect_start,
                               .collect_stop = (uint32_t)config->collect_stop,
                               .policy = (enum ftl_policy)config->policy,
                               .wear = (enum ftl_wear)config->wear,
                               .wear_gap = (uint32_t)config->wear_gap};
    return OK;
}

bool flash_check_places(const struct media *media, struct diagnostics *diagnostics) {
    struct error error = {0};
    struct ftl_config geometry;
    if (flash_geometry(media->config, media->capacity_bytes, &geometry, &error) != OK ||
        ftl_check(&geometry, &error) != OK) {
        diagnostics_at(diagnostics, media->node, "%s: %s", media->name, error.text);
        return false;
    }
    return true;
}
