/* linux_storage_config.c: `storage:` of a system's entry, and its profile. */
#include <stddef.h>
#include <string.h>

#include "kernel_model/linux/linux_storage.h"
#include "kernel_model/linux/linux_system.h"

static const char *const device_choices[] = {"ram_disk", "nvme", NULL};
static const char *const scheduler_choices[] = {"none", "noop", "deadline", NULL};

#define ROW(name, kind, member, value, low, high, text)                                                                \
    {                                                                                                                  \
        .key = (name), .type = (kind), .offset = offsetof(struct linux_storage_config, member),                        \
        .default_text = (value), .minimum = (low), .maximum = (high), .help = (text)                                   \
    }
#define CHOICE(name, list, member, value, text)                                                                        \
    {                                                                                                                  \
        .key = (name), .type = PARAM_CHOICE, .offset = offsetof(struct linux_storage_config, member),                  \
        .default_text = (value), .choices = (list), .help = (text)                                                     \
    }

const struct param linux_storage_params[] = {
    CHOICE("device", device_choices, device, "nvme", "what the file system is on: a RAM disk (brd), or a drive"),
    ROW("drive", PARAM_TEXT, drive, "nvme", NULL, NULL, "the machine's device of type nvme"),
    CHOICE("filesystem", fs_kind_names, filesystem, "ext4", "ext2, ext3, ext4 or btrfs"),
    CHOICE("scheduler", scheduler_choices, scheduler, "none",
           "of requests: none (bio-based drivers: NVMe, brd), noop (merges), deadline (sorts)"),
    ROW("ram_disk", PARAM_BYTES, ram_disk_bytes, "64 MiB", "4 MiB", "64 GiB", "size of the RAM disk"),
    ROW("journal", PARAM_BYTES, journal_bytes, "16 MiB", "256 KiB", "1 GiB",
        "size of the journal of ext3 and ext4 (mke2fs: by size of the drive, up to 128 MiB)"),
    ROW("barriers", PARAM_BOOL, barriers, "true", NULL, NULL,
        "flushes the drive where order asks for it (mount -o barrier)"),
    ROW("journal_checksums", PARAM_BOOL, journal_checksums, "false", NULL, NULL, "mount -o journal_checksum"),
    ROW("cache", PARAM_BYTES, cache_bytes, "1 GiB", "1 MiB", "1 TiB", "memory for pages of files"),
    ROW("dirty_background", PARAM_SHARE, dirty_background, "10 %", "1 %", "100 %",
        "of the cache: above it the flusher begins (vm.dirty_background_ratio)"),
    ROW("dirty_limit", PARAM_SHARE, dirty_limit, "20 %", "1 %", "100 %",
        "of the cache: above it who writes has to write back (vm.dirty_ratio)"),
    ROW("dirty_expire", PARAM_TIME, dirty_expire, "30 s", "10 ms", "1000 s",
        "age at which a page is written back (vm.dirty_expire_centisecs)"),
    ROW("write_back_interval", PARAM_TIME, write_back_interval, "5 s", "10 ms", "1000 s",
        "how often the flusher looks (vm.dirty_writeback_centisecs)"),
    ROW("commit_interval", PARAM_TIME, commit_interval, "5 s", "10 ms", "1000 s",
        "age at which a transaction is committed (ext3, ext4: 5 s; btrfs: 30 s)"),
    ROW("queue_entries", PARAM_INTEGER, queue_entries, "256", "4", "4096", "of an NVMe queue pair, one a core"),
    ROW("queue_depth", PARAM_INTEGER, queue_depth, "64", "1", "4095",
        "operations that a scheduler gives the drive at a time"),
    ROW("read_expire", PARAM_TIME, read_expire, "500 ms", "1 ms", "100 s", "deadline: of a read"),
    ROW("write_expire", PARAM_TIME, write_expire, "5 s", "1 ms", "100 s", "deadline: of a write"),
    ROW("thread_core", PARAM_INTEGER, thread_core, "0", "0", "63", "the core of flusher and journal thread"),
    ROW("profile", PARAM_NODE, profile_node, "", NULL, NULL,
        "what its steps cost (configs/profiles/linux-3.8-storage.yaml); required"),
    {0}};

const struct param linux_storage_profile_params[] = {
#define STEP_ROW(name, text)                                                                                           \
    {.key = #name, .type = PARAM_COST, .offset = offsetof(struct linux_storage_profile, name.cost), .help = (text)},
    LINUX_STORAGE_STEPS(STEP_ROW)
#undef STEP_ROW
#define SECTION(name, kind)                                                                                            \
    {                                                                                                                  \
        .key = (name), .type = PARAM_NODE, .offset = offsetof(struct linux_storage_profile, section_nodes[kind]),      \
        .default_text = "", .help = "what the steps of " name " cost"                                                  \
    }
        SECTION("ext2", FS_EXT2),
    SECTION("ext3", FS_EXT3),
    SECTION("ext4", FS_EXT4),
    SECTION("btrfs", FS_BTRFS),
    {0}};

bool linux_storage_bind(const struct config_node *node, struct linux_storage_config *config,
                        struct linux_storage_profile *profile, struct diagnostics *diagnostics) {
    memset(config, 0, sizeof *config);
    memset(profile, 0, sizeof *profile);
    bool good = config_bind(node, linux_storage_params, config, diagnostics);
    if (config->profile_node == NULL) {
        diagnostics_at(diagnostics, node, "storage: 'profile' is required: {include: linux-3.8-storage.yaml}, say");
        return false;
    }
    good = config_bind(config->profile_node, linux_storage_profile_params, profile, diagnostics) && good;
    if (good && config->dirty_background > config->dirty_limit) {
        diagnostics_at(diagnostics, node, "storage: dirty_background is above dirty_limit");
        good = false;
    }
    for (int kind = 0; kind < FS_KINDS; ++kind) {
        struct fs_costs other;
        const struct config_node *section = profile->section_nodes[kind];
        if (kind == config->filesystem && section == NULL && good) {
            diagnostics_at(diagnostics, config->profile_node, "storage.profile: there is no section '%s'",
                           fs_kind_names[kind]);
            return false;
        }
        if (section != NULL) { /* what is wrong with a section that is not in use is said, too */
            struct fs_costs *costs = kind == config->filesystem ? &profile->costs : &other;
            memset(costs, 0, sizeof *costs);
            good = config_bind(section, fs_cost_params, costs, diagnostics) && good;
        }
    }
    return good;
}
