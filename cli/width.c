/* width.c: how wide a table may be. */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"

size_t cli_width(void) {
    enum { LEAST = 40, MOST = 10000, WITHOUT_TERMINAL = 120 };
    struct winsize window;
    const char *columns = getenv("COLUMNS");
    char *end = NULL;
    const unsigned long given = columns != NULL ? strtoul(columns, &end, 10) : 0;
    if (end != NULL && end != columns && *end == '\0' && given >= LEAST && given <= MOST) {
        return given;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col >= LEAST) {
        return window.ws_col;
    }
    return WITHOUT_TERMINAL;
}
