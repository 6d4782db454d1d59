/*
 * perfwrap that has grown: allocates and touches 200 MiB, then is perfwrap. What its workers report
 * must be the same as without: the wrapper's memory must not leak into the target's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "wrapper/cli/cli.h"

enum { GROWN_BYTES = 200 << 20 };

int main(int argc, char **argv)
{
    volatile char *grown = malloc(GROWN_BYTES);
    if (!grown) {
        fputs("perfwrap-grown: no memory\n", stderr);
        return 125;
    }
    for (size_t i = 0; i < GROWN_BYTES; i += 4096)
        grown[i] = (char)i;
    int status = pw_cli_main(argc, argv);
    free((void *)grown);
    return status;
}
