/* share.c: finding the files that come with the program. */
#include "experiment/share.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROGRAM_BYTES = 4096 };

/* The folder that the program lies in; false if the system does not tell. */
static bool program_folder(char out[PROGRAM_BYTES]) {
    const ssize_t length = readlink("/proc/self/exe", out, PROGRAM_BYTES - 1);
    if (length <= 0) {
        return false;
    }
    out[length] = '\0';
    char *slash = strrchr(out, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return true;
}

bool share_find(const char *name, char *out, size_t out_bytes) {
    static const char *const places[] = {"..", "../share/stillsuit"};
    char program[PROGRAM_BYTES];
    (void)snprintf(out, out_bytes, "%s", name);
    if (name[0] == '/' || access(name, R_OK) == 0) {
        return access(name, R_OK) == 0;
    }
    if (program_folder(program)) {
        for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
            const int length = snprintf(out, out_bytes, "%s/%s/%s", program, places[i], name);
            if (length > 0 && (size_t)length < out_bytes && access(out, R_OK) == 0) {
                return true;
            }
        }
    }
    (void)snprintf(out, out_bytes, "%s", name);
    return false;
}
