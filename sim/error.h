/* error.h: operating errors, as values.
 *
 * A function that can fail for a reason outside the program (a bad file, a
 * refused grant, a full table) returns one of these codes and, where a person
 * will read it, fills a struct error. Programmer errors are SIM_ASSERT, which
 * stays on in release builds. A protection fault inside the simulated machine is
 * neither: it is a modelled event with a counter. */
#ifndef STILLSUIT_SIM_ERROR_H
#define STILLSUIT_SIM_ERROR_H

#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One list: code, text. */
#define STILLSUIT_ERRORS(X)                                                                                            \
    X(OK, "success")                                                                                                   \
    X(ERR_CONFIG, "the configuration is not valid")                                                                    \
    X(ERR_NOT_FOUND, "no such thing")                                                                                  \
    X(ERR_EXISTS, "exists already")                                                                                    \
    X(ERR_DENIED, "the capability does not allow this")                                                                \
    X(ERR_OVERLAP, "overlaps what another holds")                                                                      \
    X(ERR_SHARE, "more than this owner's share")                                                                       \
    X(ERR_EXHAUSTED, "none left")                                                                                      \
    X(ERR_RANGE, "outside the range allowed")                                                                          \
    X(ERR_FAULT, "a protection fault")                                                                                 \
    X(ERR_AGAIN, "nothing there now")                                                                                  \
    X(ERR_IO, "input or output failed")                                                                                \
    X(ERR_UNSUPPORTED, "this system does not offer that")

#define STILLSUIT_ERROR_ENUM(name, text) name,
enum error_code { STILLSUIT_ERRORS(STILLSUIT_ERROR_ENUM) ERROR_CODES };
#undef STILLSUIT_ERROR_ENUM

/* What went wrong, for a person. Caller-allocated; zeroed means "none". */
struct error {
    enum error_code code;
    char text[512];
};

/* The text of a code; never NULL. */
const char *error_code_text(enum error_code code);

/* Fills `error` (may be NULL) and returns `code`, so that a function can
 * `return error_set(error, ERR_RANGE, "...")`. */
enum error_code error_set(struct error *error, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Ends the program with a message that names the place. */
void sim_assert_failed(const char *expression, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5), noreturn, cold));

/* An invariant of the program. Stays on in release builds. */
#define SIM_ASSERT(condition)                                                                                          \
    ((condition) ? (void)0 : sim_assert_failed(#condition, __FILE__, __LINE__, "invariant broken"))
#define SIM_ASSERT_MSG(condition, ...)                                                                                 \
    ((condition) ? (void)0 : sim_assert_failed(#condition, __FILE__, __LINE__, __VA_ARGS__))

#ifdef __cplusplus
}
#endif

#endif
