/* places.c: configurations by name, and device types from shared objects. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "experiment/share.h"
#include "hw/device.h"

static int by_name(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

void cli_names_read(const char *folder, struct cli_names *names) {
    char path[CLI_PATH_BYTES];
    memset(names, 0, sizeof *names);
    DIR *directory = share_find(folder, path, sizeof path) ? opendir(path) : NULL;
    if (directory == NULL) {
        return;
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL && names->count < CLI_NAMES_MAX;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && dot != entry->d_name && strcmp(dot, ".yaml") == 0) {
            char *name = strndup(entry->d_name, (size_t)(dot - entry->d_name));
            SIM_ASSERT(name != NULL);
            names->names[names->count++] = name;
        }
    }
    (void)closedir(directory);
    qsort(names->names, names->count, sizeof *names->names, by_name);
}

void cli_names_free(struct cli_names *names) {
    for (size_t i = 0; i < names->count; ++i) {
        free(names->names[i]);
    }
    names->count = 0;
}

static bool is_file(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && !S_ISDIR(status.st_mode);
}

/* The nearest of all names in the folders. */
static void suggest_config(const char *word, const char *const *folders, char *out, size_t out_bytes) {
    for (; *folders != NULL; ++folders) {
        struct cli_names names;
        cli_names_read(*folders, &names);
        cli_suggest(word, (const char *const *)names.names, out, out_bytes);
        cli_names_free(&names);
        if (out[0] != '\0') {
            return;
        }
    }
}

bool cli_find_config(const char *word, const char *const *folders, char *out, size_t out_bytes) {
    const char *dot = strrchr(word, '.');
    (void)snprintf(out, out_bytes, "%s", word);
    if (strchr(word, '/') != NULL || (dot != NULL && strcmp(dot, ".yaml") == 0) || is_file(word)) {
        return true; /* a path; if it cannot be read, who loads it says so */
    }
    for (const char *const *folder = folders; *folder != NULL; ++folder) {
        char name[CLI_PATH_BYTES];
        (void)snprintf(name, sizeof name, "%s/%s.yaml", *folder, word);
        if (share_find(name, out, out_bytes)) {
            return true;
        }
    }
    char suggestion[CLI_PATH_BYTES] = "";
    suggest_config(word, folders, suggestion, sizeof suggestion);
    (void)cli_usage_error("there is no '%s', neither as a file nor below %s%s", word, folders[0], suggestion);
    return false;
}

bool cli_load_types(const struct cli_arguments *arguments) {
    for (size_t i = 0; i < arguments->load_count; ++i) {
        struct error error = {0};
        if (device_type_load(arguments->loads[i], &error) != OK) {
            (void)cli_usage_error("--load: %s", error.text);
            return false;
        }
    }
    return true;
}
