/* share.h: where the files that come with the program are: configs/, plots/. */
#ifndef STILLSUIT_EXPERIMENT_SHARE_H
#define STILLSUIT_EXPERIMENT_SHARE_H

#include <stdbool.h>
#include <stddef.h>

/* Finds `name`, such as "configs/papers" or "plots/lines.gp": below the current
 * folder, then below the folder above the program's own (a build folder inside the
 * sources), then below its ../share/stillsuit (an installed program). False, with
 * the name itself in `out`, if there is none. */
bool share_find(const char *name, char *out, size_t out_bytes);

#endif
