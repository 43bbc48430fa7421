/* config_text.c: reads a file's bytes within their limit and checks that they are
 * text, before a parser sees them. */
#include "sim/config_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *config_read_all(int descriptor, size_t *length, char *why, size_t why_bytes) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        (void)snprintf(why, why_bytes, "%s", strerror(errno));
        return NULL;
    }
    if (!S_ISREG(status.st_mode)) {
        (void)snprintf(why, why_bytes, "it is %s", S_ISDIR(status.st_mode) ? "a directory" : "not a regular file");
        return NULL;
    }
    /* The size is looked at before a byte is read: a huge file costs nothing. */
    if (status.st_size > CONFIG_FILE_BYTES_MAX) {
        (void)snprintf(why, why_bytes, "it has %lld bytes, and a configuration may have %d", (long long)status.st_size,
                       (int)CONFIG_FILE_BYTES_MAX);
        return NULL;
    }
    char *bytes = malloc(CONFIG_FILE_BYTES_MAX + 1);
    SIM_ASSERT_MSG(bytes != NULL, "out of memory");
    size_t used = 0;
    ssize_t got = 1;
    while (got != 0 && used <= CONFIG_FILE_BYTES_MAX) { /* it may have grown since */
        got = read(descriptor, bytes + used, CONFIG_FILE_BYTES_MAX + 1 - used);
        if (got < 0 && errno != EINTR) {
            (void)snprintf(why, why_bytes, "%s", strerror(errno));
            free(bytes);
            return NULL;
        }
        used += got > 0 ? (size_t)got : 0;
    }
    if (used > CONFIG_FILE_BYTES_MAX) {
        (void)snprintf(why, why_bytes, "it grew beyond the %d bytes that a configuration may have",
                       (int)CONFIG_FILE_BYTES_MAX);
        free(bytes);
        return NULL;
    }
    *length = used;
    return bytes;
}

/* The bytes of the UTF-8 sequence that starts here, and its code point; 0 if it is none. */
static size_t decode(const unsigned char *bytes, size_t left, uint32_t *code) {
    static const struct {
        unsigned char mask, lead;
        uint32_t minimum;
    } forms[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    for (size_t form = 0; form < sizeof forms / sizeof forms[0]; ++form) {
        if ((bytes[0] & forms[form].mask) != forms[form].lead) {
            continue;
        }
        if (left < form + 1) {
            return 0;
        }
        uint32_t value = bytes[0] & (unsigned char)~forms[form].mask;
        for (size_t i = 1; i <= form; ++i) {
            if ((bytes[i] & 0xC0) != 0x80) {
                return 0;
            }
            value = value << 6 | (bytes[i] & 0x3F);
        }
        *code = value;
        const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
        return value < forms[form].minimum || value > 0x10FFFF || surrogate ? 0 : form + 1;
    }
    return 0;
}

/* The characters of YAML 1.1, section 5.1. */
static bool allowed(uint32_t code) {
    return code == '\t' || code == '\n' || code == '\r' || (code >= 0x20 && code <= 0x7E) || code == 0x85 ||
           (code >= 0xA0 && code <= 0xD7FF) || (code >= 0xE000 && code <= 0xFFFD) || code >= 0x10000;
}

bool config_check_text(const char *file, const char *bytes, size_t length, struct diagnostics *diagnostics) {
    uint32_t line = 1;
    uint32_t column = 1;
    for (size_t i = 0; i < length;) {
        const unsigned char *here = (const unsigned char *)bytes + i;
        uint32_t code = 0;
        const size_t size = decode(here, length - i, &code);
        if (size == 0) {
            diagnostics_add(diagnostics, file, line, column, "this is not text: the byte 0x%02X is not UTF-8", *here);
            return false;
        }
        if (code == 0) {
            diagnostics_add(diagnostics, file, line, column, "this is not text: a zero byte");
            return false;
        }
        if (!allowed(code)) {
            diagnostics_add(diagnostics, file, line, column, "this is not text: the control character 0x%02X",
                            (unsigned)code);
            return false;
        }
        const bool break_here = code == '\n' || (code == '\r' && (i + 1 == length || bytes[i + 1] != '\n'));
        line += break_here ? 1 : 0;
        column = break_here ? 1 : column + 1;
        i += size;
    }
    return true;
}
