/* param.c: literals with units. Where the result is an integer, the decimal is
 * converted exactly: a binary fraction in between would make "2.2 GHz" some other
 * number than 2200000000. */
#include "sim/param.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/config_internal.h"
#include "sim/param_internal.h"

__extension__ typedef unsigned __int128 uint128;

enum { UNITS_MAX = 13, DIGITS_MAX = 30, EXPONENT_MAX = 400, SHOWN_MAX = 60 };

/* factor * 10^exponent of the base unit. */
struct unit {
    const char *name;
    uint64_t factor;
    int exponent;
};

struct type_rule {
    const char *name, *phrase, *example;
    const char *whole;            /* what an integer counts: "bytes"; NULL for doubles */
    struct unit units[UNITS_MAX]; /* ends with a NULL name; none: a bare number */
};

#define BINARY(power) ((uint64_t)1 << (10 * (power)))

static const struct type_rule rules[] = {
    [PARAM_TIME] = {"time",
                    "a time",
                    "25 us",
                    "femtoseconds",
                    {{"fs", 1, 0}, {"ps", 1, 3}, {"ns", 1, 6}, {"us", 1, 9}, {"ms", 1, 12}, {"s", 1, 15}}},
    [PARAM_BYTES] = {"bytes",
                     "a size in bytes",
                     "64 KiB",
                     "bytes",
                     {{"B", 1, 0},
                      {"KB", 1, 3},
                      {"KiB", BINARY(1), 0},
                      {"MB", 1, 6},
                      {"MiB", BINARY(2), 0},
                      {"GB", 1, 9},
                      {"GiB", BINARY(3), 0},
                      {"TB", 1, 12},
                      {"TiB", BINARY(4), 0}}},
    [PARAM_BIT_RATE] = {"bit rate",
                        "a bit rate",
                        "10 Gbps",
                        "bits per second",
                        {{"bps", 1, 0}, {"kbps", 1, 3}, {"Mbps", 1, 6}, {"Gbps", 1, 9}}},
    [PARAM_BYTE_RATE] = {"byte rate",
                         "a byte rate",
                         "32 GB/s",
                         "bytes per second",
                         {{"B/s", 1, 0},
                          {"KB/s", 1, 3},
                          {"KiB/s", BINARY(1), 0},
                          {"MB/s", 1, 6},
                          {"MiB/s", BINARY(2), 0},
                          {"GB/s", 1, 9},
                          {"GiB/s", BINARY(3), 0}}},
    [PARAM_FREQUENCY] =
        {"frequency", "a frequency", "2.2 GHz", "hertz", {{"Hz", 1, 0}, {"kHz", 1, 3}, {"MHz", 1, 6}, {"GHz", 1, 9}}},
    [PARAM_CYCLES] = {"cycles", "a number of cycles", "130 cycles", "cycles", {{"cycles", 1, 0}, {"cycle", 1, 0}}},
    [PARAM_RATE] = {"rate", "a rate", "270 kpps", NULL, {{"pps", 1, 0}, {"kpps", 1, 3}, {"Mpps", 1, 6}, {"/s", 1, 0}}},
    [PARAM_INTEGER] = {"integer", "an integer", "64", "units", {{NULL, 1, 0}}},
    [PARAM_REAL] = {"number", "a number", "0.35", NULL, {{NULL, 1, 0}}},
    [PARAM_SHARE] = {"share", "a share", "7 %", NULL, {{"%", 1, -2}}},
    [PARAM_BOOL] = {"boolean", "true or false", "true", NULL, {{NULL, 1, 0}}},
    [PARAM_CHOICE] = {"choice", "a choice", "one of a list", NULL, {{NULL, 1, 0}}},
    [PARAM_TEXT] = {"text", "a text", "a text", NULL, {{NULL, 1, 0}}},
    [PARAM_COST] = {"cost", "a cost", "{cycles: 130, lines: 4, source: \"...\"}", NULL, {{NULL, 1, 0}}},
    [PARAM_NODE] = {"mapping", "a mapping", "keys of its own", NULL, {{NULL, 1, 0}}},
};

static const struct type_rule *rule_of(enum param_type type) {
    SIM_ASSERT((size_t)type < sizeof rules / sizeof rules[0]);
    return &rules[type];
}

const char *param_type_name(enum param_type type) {
    return rule_of(type)->name;
}
const char *param_type_example(enum param_type type) {
    return rule_of(type)->example;
}
const char *param_type_phrase(enum param_type type) {
    return rule_of(type)->phrase;
}

/* ---- the number ---- */

/* digits * 10^exponent, without leading zeros and trailing zeros. */
struct decimal {
    bool negative;
    char digits[DIGITS_MAX + 1];
    size_t count;
    int exponent;
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Takes digits at `*at`; false if there are too many to keep. */
static bool take_digits(const char **at, struct decimal *decimal, bool fraction) {
    for (; is_digit(**at); ++*at) {
        decimal->exponent -= fraction ? 1 : 0;
        if (decimal->count == 0 && **at == '0') {
            continue;
        }
        if (decimal->count == DIGITS_MAX) {
            return false;
        }
        decimal->digits[decimal->count++] = **at;
    }
    return true;
}

/* An 'e' with digits behind it; any other 'e' begins a unit. */
static bool take_exponent(const char **at, struct decimal *decimal) {
    const char *c = *at;
    if (*c != 'e' && *c != 'E') {
        return true;
    }
    c += 1;
    const bool negative = *c == '-';
    c += *c == '-' || *c == '+' ? 1 : 0;
    if (!is_digit(*c)) {
        return true;
    }
    int exponent = 0;
    for (; is_digit(*c); ++c) {
        exponent = exponent > EXPONENT_MAX ? exponent : 10 * exponent + (*c - '0');
    }
    decimal->exponent += negative ? -exponent : exponent;
    *at = c;
    return exponent <= EXPONENT_MAX;
}

enum number { NUMBER_GOOD, NUMBER_NONE, NUMBER_TOO_LONG };

/* The number at the start of `*at`, which moves behind it. */
static enum number take_decimal(const char **at, struct decimal *decimal) {
    *decimal = (struct decimal){0};
    decimal->negative = **at == '-';
    *at += **at == '-' || **at == '+' ? 1 : 0;
    if (!is_digit(**at)) {
        return NUMBER_NONE;
    }
    bool fits = take_digits(at, decimal, false);
    if (fits && **at == '.') {
        *at += 1;
        if (!is_digit(**at)) {
            return NUMBER_NONE;
        }
        fits = take_digits(at, decimal, true);
    }
    if (!fits || !take_exponent(at, decimal)) {
        return NUMBER_TOO_LONG;
    }
    while (decimal->count > 0 && decimal->digits[decimal->count - 1] == '0') {
        decimal->count -= 1;
        decimal->exponent += 1;
    }
    decimal->digits[decimal->count] = '\0';
    decimal->negative = decimal->negative && decimal->count != 0;
    return NUMBER_GOOD;
}

enum conversion { CONVERTED, NOT_WHOLE, TOO_LARGE };

static bool multiply(uint128 *value, uint64_t factor) {
    const uint128 limit = ~(uint128)0;
    if (factor != 0 && *value > limit / factor) {
        return false;
    }
    *value *= factor;
    return true;
}

static enum conversion to_integer(const struct decimal *decimal, const struct unit *unit, uint64_t *out) {
    uint128 value = 0;
    for (size_t i = 0; i < decimal->count; ++i) {
        value = value * 10 + (unsigned)(decimal->digits[i] - '0'); /* 30 digits fit 128 bits */
    }
    if (!multiply(&value, unit->factor)) {
        return TOO_LARGE;
    }
    int exponent = value == 0 ? 0 : decimal->exponent + unit->exponent;
    for (; exponent < 0; ++exponent) {
        if (value % 10 != 0) {
            return NOT_WHOLE;
        }
        value /= 10;
    }
    for (; exponent > 0; --exponent) {
        if (!multiply(&value, 10)) {
            return TOO_LARGE;
        }
    }
    if (value > UINT64_MAX) {
        return TOO_LARGE;
    }
    *out = (uint64_t)value;
    return CONVERTED;
}

/* The unit's power of ten joins the exponent, so that there is one rounding only and
 * "0.1 Mpps" is 100000. The factors of these types are all 1. */
static enum conversion to_real(const struct decimal *decimal, const struct unit *unit, double *out) {
    char text[DIGITS_MAX + 32];
    (void)snprintf(text, sizeof text, "%s%se%d", decimal->negative ? "-" : "",
                   decimal->count == 0 ? "0" : decimal->digits,
                   decimal->count == 0 ? 0 : decimal->exponent + unit->exponent);
    errno = 0;
    const double value = strtod(text, NULL);
    if (errno == ERANGE && (value > 1 || value < -1)) {
        return TOO_LARGE;
    }
    *out = value;
    return CONVERTED;
}

/* ---- the literal ---- */

__attribute__((format(printf, 3, 4))) static bool refuse(char *why, size_t why_bytes, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, why_bytes, format, arguments);
    va_end(arguments);
    return false;
}

/* Enough of a text to be known again; a whole file in quotes is no help. */
static const char *shown(const char *text, char *out, size_t out_bytes) {
    const size_t length = strlen(text);
    if (length < out_bytes) {
        (void)snprintf(out, out_bytes, "%s", text);
    } else {
        (void)snprintf(out, out_bytes, "%.*s...", (int)(out_bytes - 4), text);
    }
    return out;
}

/* "us" of "25 us". */
static const char *example_unit(const struct type_rule *rule) {
    const char *space = strchr(rule->example, ' ');
    return space == NULL ? "" : space + 1;
}

static void list_units(const struct type_rule *rule, char *out, size_t out_bytes) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; rule->units[i].name != NULL && used < out_bytes; ++i) {
        const int length = snprintf(out + used, out_bytes - used, "%s%s", i == 0 ? "" : ", ", rule->units[i].name);
        used += length > 0 ? (size_t)length : 0;
    }
}

/* The unit that `name` is, or NULL with the reason. */
static const struct unit *find_unit(const struct type_rule *rule, const char *text, const char *number_end,
                                    const char *name, char *why, size_t why_bytes) {
    char text_shown[SHOWN_MAX];
    (void)shown(text, text_shown, sizeof text_shown);
    if (rule->units[0].name == NULL) {
        if (*name == '\0') {
            return &rule->units[0];
        }
        (void)refuse(why, why_bytes, "'%s' is not %s such as '%s'", text_shown, rule->phrase, rule->example);
        return NULL;
    }
    if (*name == '\0') {
        (void)refuse(why, why_bytes, "'%s' has no unit; write for example '%.*s %s'", text_shown,
                     (int)(number_end - text), text, example_unit(rule));
        return NULL;
    }
    const char *names[UNITS_MAX + 1] = {NULL};
    for (size_t i = 0; rule->units[i].name != NULL; ++i) {
        names[i] = rule->units[i].name;
        if (strcmp(name, names[i]) == 0) {
            return &rule->units[i];
        }
    }
    char list[128];
    char name_shown[SHOWN_MAX];
    list_units(rule, list, sizeof list);
    (void)refuse(why, why_bytes, "'%s': '%s' is not a unit of %s; the units are %s", text_shown,
                 shown(name, name_shown, sizeof name_shown), rule->name, list);
    return NULL;
}

static bool parse_quantity(enum param_type type, const char *text, void *out, char *why, size_t why_bytes) {
    const struct type_rule *rule = rule_of(type);
    char text_shown[SHOWN_MAX];
    struct decimal decimal;
    const char *at = text;
    (void)shown(text, text_shown, sizeof text_shown);
    const enum number number = take_decimal(&at, &decimal);
    if (number == NUMBER_NONE) {
        return refuse(why, why_bytes, "'%s' is not %s such as '%s'", text_shown, rule->phrase, rule->example);
    }
    if (number == NUMBER_TOO_LONG) {
        return refuse(why, why_bytes, "'%s' has too many digits", text_shown);
    }
    const char *name = at + strspn(at, " ");
    const struct unit *unit = find_unit(rule, text, at, name, why, why_bytes);
    if (unit == NULL) {
        return false;
    }
    if (decimal.negative && type != PARAM_REAL) {
        return refuse(why, why_bytes, "'%s' is negative", text_shown);
    }
    union param_value value = {0};
    const enum conversion result =
        rule->whole != NULL ? to_integer(&decimal, unit, &value.integer) : to_real(&decimal, unit, &value.real);
    if (result == NOT_WHOLE) {
        return type == PARAM_INTEGER
                   ? refuse(why, why_bytes, "'%s' is not a whole number", text_shown)
                   : refuse(why, why_bytes, "'%s' is not a whole number of %s", text_shown, rule->whole);
    }
    if (result == TOO_LARGE) {
        return refuse(why, why_bytes, "'%s' is too large", text_shown);
    }
    if (type == PARAM_SHARE && value.real > 1) {
        return refuse(why, why_bytes, "%s is outside 0 %%..100 %%", text_shown);
    }
    memcpy(out, &value, param_type_bytes(type));
    return true;
}

bool param_parse(enum param_type type, const char *text, void *out, char *why, size_t why_bytes) {
    char text_shown[SHOWN_MAX];
    bool boolean = false;
    switch (type) {
    case PARAM_TEXT:
        memcpy(out, &text, sizeof text);
        return true;
    case PARAM_BOOL:
        boolean = strcmp(text, "true") == 0;
        if (!boolean && strcmp(text, "false") != 0) {
            return refuse(why, why_bytes, "'%s' is neither true nor false", shown(text, text_shown, sizeof text_shown));
        }
        memcpy(out, &boolean, sizeof boolean);
        return true;
    case PARAM_CHOICE:
    case PARAM_COST:
    case PARAM_NODE:
        return refuse(why, why_bytes, "%s is not a literal", rule_of(type)->phrase);
    default:
        return parse_quantity(type, text, out, why, why_bytes);
    }
}

/* ---- values ---- */

size_t param_type_bytes(enum param_type type) {
    switch (type) {
    case PARAM_RATE:
    case PARAM_REAL:
    case PARAM_SHARE:
        return sizeof(double);
    case PARAM_BOOL:
        return sizeof(bool);
    case PARAM_CHOICE:
        return sizeof(int);
    case PARAM_TEXT:
    case PARAM_NODE:
        return sizeof(void *);
    case PARAM_COST:
        return sizeof(struct cost);
    default:
        return sizeof(uint64_t);
    }
}

int param_compare(enum param_type type, const union param_value *a, const union param_value *b) {
    if (rule_of(type)->whole != NULL || type == PARAM_COST) {
        return (a->integer > b->integer) - (a->integer < b->integer);
    }
    return (a->real > b->real) - (a->real < b->real);
}

void param_visit_costs(const struct param *params, const void *bound, const char *prefix, param_cost_visitor *visit,
                       void *context) {
    char key[96];
    for (const struct param *row = params; row->key != NULL; row++) {
        if (row->type == PARAM_COST) {
            (void)snprintf(key, sizeof key, "%s%s%s", prefix != NULL ? prefix : "", prefix != NULL ? "." : "",
                           row->key);
            visit(context, key, (const struct cost *)(const void *)((const char *)bound + row->offset));
        }
    }
}
