/* Puts fitted values into the profile's text exactly where the old ones stand, so
 * that comments and layout stay as their author left them. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/fit.h"

static void value_text(const struct fit_key *key, char out[64]) {
    if (key->quantity == FIT_VALUE) {
        (void)snprintf(out, 64, "%.4g", key->value);
    } else {
        (void)snprintf(out, 64, "%.0f", round(key->value));
    }
}

/* The key whose value begins at this place of the file, or NULL. */
static const struct fit_key *key_at(const struct fit *fit, uint32_t line, uint32_t column) {
    for (size_t i = 0; i < fit->key_count; i++) {
        if (fit->keys[i].node->line == line && fit->keys[i].node->column == column) {
            return &fit->keys[i];
        }
    }
    return NULL;
}

static void rewrite(const struct fit *fit, const char *text, FILE *out) {
    uint32_t line = 1, column = 1;
    while (*text != '\0') {
        const struct fit_key *key = key_at(fit, line, column);
        if (key != NULL) {
            char value[64];
            value_text(key, value);
            (void)fputs(value, out);
            /* The number alone is replaced: a unit behind it stays. */
            const size_t old = strspn(text, "0123456789.eE+-");
            text += old;
            column += (uint32_t)old;
            continue;
        }
        if (*text == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*text & 0xc0) != 0x80) {
            column++; /* libyaml counts characters, not bytes */
        }
        (void)fputc(*text++, out);
    }
}

enum error_code fit_write_profile(const struct fit *fit, struct error *error) {
    FILE *in = fopen(fit->options->profile, "re");
    if (in == NULL) {
        return error_set(error, ERR_IO, "cannot read %s: %s", fit->options->profile, strerror(errno));
    }
    char *text = calloc(1, CONFIG_FILE_BYTES_MAX + 1);
    SIM_ASSERT(text != NULL);
    (void)fread(text, 1, CONFIG_FILE_BYTES_MAX, in);
    (void)fclose(in);
    char temporary[1100];
    (void)snprintf(temporary, sizeof temporary, "%s.new", fit->options->profile);
    FILE *out = fopen(temporary, "we");
    if (out == NULL) {
        free(text);
        return error_set(error, ERR_IO, "cannot write %s: %s", temporary, strerror(errno));
    }
    rewrite(fit, text, out);
    free(text);
    if (fclose(out) != 0 || rename(temporary, fit->options->profile) != 0) {
        return error_set(error, ERR_IO, "cannot write %s: %s", fit->options->profile, strerror(errno));
    }
    return OK;
}
