/* error.c: texts of the error codes, and how an invariant that broke ends the program. */
#include "sim/error.h"

#include <stdarg.h>
#include <stdlib.h>

const char *error_code_text(enum error_code code) {
#define STILLSUIT_ERROR_TEXT(name, text) [name] = text,
    static const char *const texts[ERROR_CODES] = {STILLSUIT_ERRORS(STILLSUIT_ERROR_TEXT)};
#undef STILLSUIT_ERROR_TEXT
    return (unsigned)code < (unsigned)ERROR_CODES ? texts[code] : "an unknown error";
}

enum error_code error_set(struct error *error, enum error_code code, const char *format, ...) {
    if (error != NULL) {
        va_list arguments;
        error->code = code;
        va_start(arguments, format);
        (void)vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return code;
}

void sim_assert_failed(const char *expression, const char *file, int line, const char *format, ...) {
    va_list arguments;
    (void)fflush(stdout); /* what the run printed so far helps to find the place */
    (void)fprintf(stderr, "%s:%d: ", file, line);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, " (%s)\n", expression);
    abort();
}
