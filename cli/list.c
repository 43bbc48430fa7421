/* list.c: `list`: what there is, each with one line. */
#include <string.h>

#include "cli/cli.h"
#include "experiment/operation_types.h"
#include "experiment/share.h"
#include "experiment/system_types.h"
#include "hw/device.h"
#include "hw/media/media.h"
#include "workloads/op.h"

enum { LINE_BYTES = 512 };

/* The first sentence of the comment that a file begins with. */
static void first_sentence(const char *path, char *out) {
    char line[LINE_BYTES];
    size_t used = 0;
    FILE *file = fopen(path, "r");
    out[0] = '\0';
    while (file != NULL && strstr(out, ". ") == NULL && fgets(line, sizeof line, file) != NULL && line[0] == '#') {
        line[strcspn(line, "\n")] = '\0';
        const char *text = line + 1 + strspn(line + 1, " ");
        used += (size_t)snprintf(out + used, LINE_BYTES - used, "%s%s", used > 0 ? " " : "", text);
        if (used >= LINE_BYTES) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    char *end = strstr(out, ". ");
    if (end != NULL) {
        end[0] = '\0';
    } else if (strlen(out) > 0 && out[strlen(out) - 1] == '.') {
        out[strlen(out) - 1] = '\0';
    }
}

/* What a configuration says of itself: its title, its help, or its first comment. */
static void describe_file(const char *path, char *out) {
    static const char *const keys[] = {"title", "help"};
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct config *config = config_load(path, &diagnostics);
    const char *text = NULL;
    for (size_t i = 0; config != NULL && text == NULL && i < sizeof keys / sizeof *keys; ++i) {
        text = config_text(config_get(config_root(config), keys[i]), NULL);
    }
    if (text != NULL) {
        (void)snprintf(out, LINE_BYTES, "%s", text);
    } else if (config == NULL) {
        (void)snprintf(out, LINE_BYTES, "(cannot be read; see: stillsuit check %.400s)", path);
    } else {
        first_sentence(path, out);
    }
    config_free(config);
    diagnostics_free(&diagnostics);
}

static void print_line(const char *name, const char *help) {
    (void)printf("  %-26s %s\n", name, help);
}

static void list_folder(const char *title, const char *folder) {
    struct cli_names names;
    cli_names_read(folder, &names);
    if (names.count > 0) {
        (void)printf("%s (%s)\n", title, folder);
    }
    for (size_t i = 0; i < names.count; ++i) {
        char name[CLI_PATH_BYTES], path[CLI_PATH_BYTES], help[LINE_BYTES];
        (void)snprintf(name, sizeof name, "%s/%s.yaml", folder, names.names[i]);
        (void)share_find(name, path, sizeof path);
        describe_file(path, help);
        print_line(names.names[i], help);
    }
    cli_names_free(&names);
}

int cli_list(const struct cli_arguments *arguments) {
    if (!cli_load_types(arguments)) {
        return CLI_USAGE;
    }
    list_folder("experiments", "configs/experiments");
    list_folder("questions", "configs/questions");
    list_folder("machines", "configs/machines");
    list_folder("profiles", "configs/profiles");
    list_folder("papers", "configs/papers");
    list_folder("scripts", "workloads");
    (void)puts("systems (a system's type:)");
    for (size_t i = 0; system_type_at(i) != NULL; ++i) {
        print_line(system_type_at(i)->type_name, system_type_at(i)->help);
    }
    for (size_t i = 0; operation_type_at(i) != NULL; ++i) {
        print_line(operation_type_at(i)->type_name, operation_type_at(i)->help);
    }
    (void)puts("devices (a device's type:)");
    for (size_t i = 0; device_type_at(i) != NULL; ++i) {
        print_line(device_type_at(i)->type_name, device_type_at(i)->help);
    }
    (void)puts("media (the type of a drive's medium:)");
    for (size_t i = 0; media_type_at(i) != NULL; ++i) {
        print_line(media_type_at(i)->type_name, media_type_at(i)->help);
    }
    (void)puts("operations of a script");
    for (size_t i = 0; op_type_at(i) != NULL; ++i) {
        print_line(op_type_at(i)->name, op_type_at(i)->help);
    }
    return CLI_OK;
}
