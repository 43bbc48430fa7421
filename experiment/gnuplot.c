/* gnuplot.c: running gnuplot, without a shell in between. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "experiment/plot_internal.h"

void gnuplot_set_text(FILE *settings, const char *name, const char *text) {
    (void)fprintf(settings, "%s = '", name);
    for (; *text != '\0'; ++text) {
        if (*text == '\n') {
            (void)fputs("'.\"\\n\".'", settings); /* only double quotes know it, and they would run what is in `` */
        } else if (*text == '\'') {
            (void)fputs("''", settings);
        } else {
            (void)fputc(*text, settings);
        }
    }
    (void)fputs("'\n", settings);
}

/* In the child: becomes gnuplot, or sends why not and ends. */
static void become_gnuplot(const char *script, const char *argument, int report) {
    char program[] = "gnuplot", flag[] = "-c", script_copy[PLOT_PATH_BYTES], argument_copy[PLOT_PATH_BYTES];
    (void)snprintf(script_copy, sizeof script_copy, "%s", script);
    (void)snprintf(argument_copy, sizeof argument_copy, "%s", argument);
    char *const arguments[] = {program, flag, script_copy, argument_copy, NULL};
    (void)execvp(program, arguments);
    const int why = errno;
    if (write(report, &why, sizeof why) != (ssize_t)sizeof why) {
        _exit(126);
    }
    _exit(127);
}

static enum error_code wait_for(pid_t child, const char *argument, struct error *error) {
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return error_set(error, ERR_IO, "gnuplot: %s", strerror(errno));
        }
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return error_set(error, ERR_IO, "gnuplot failed on %s.gp; what it says stands above", argument);
    }
    return OK;
}

enum error_code gnuplot_run(const char *script, const char *argument, struct error *error) {
    int report[2];
    if (pipe(report) != 0 || fcntl(report[1], F_SETFD, FD_CLOEXEC) != 0) {
        return error_set(error, ERR_IO, "gnuplot: %s", strerror(errno));
    }
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        (void)close(report[0]);
        become_gnuplot(script, argument, report[1]);
    }
    (void)close(report[1]);
    int why = child < 0 ? errno : 0;
    const bool refused = child < 0 || read(report[0], &why, sizeof why) == (ssize_t)sizeof why;
    (void)close(report[0]);
    const enum error_code code = child < 0 ? ERR_IO : wait_for(child, argument, error);
    if (refused && why == ENOENT) {
        return error_set(error, ERR_NOT_FOUND, "gnuplot is not installed: plots need the Debian package gnuplot-nox");
    }
    if (refused) {
        return error_set(error, ERR_IO, "gnuplot does not start: %s", strerror(why));
    }
    return code;
}
