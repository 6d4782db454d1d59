/*
 * exec_other MIB MS PROGRAM [ARGUMENT …]: holds MIB MiB for MS ms and then becomes another program,
 * in the same process.
 *
 * Truth: one process; its peak is the larger of the two programs', its time the sum.
 */
#include "tests/targets/target.h"

int main(int argc, char **argv)
{
    if (argc < 4) {
        target_usage("MIB MS PROGRAM [ARGUMENT]");
    }
    target_touch_mib(target_number(argv[1]));
    target_pause_ms(target_number(argv[2]));
    execv(argv[3], &argv[3]);
    target_die(argv[3]);
}
