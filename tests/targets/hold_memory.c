/*
 * hold_memory MIB MS [child]: touches MIB MiB of private memory and holds it for MS ms. With
 * `child` a forked child does so, and the parent waits for it.
 *
 * Truth: the resident set of the process that holds is MIB MiB plus its image, which is below 2
 * MiB; the tree's is one image more with `child`. The parent's own set stays below 2 MiB, but
 * ru_maxrss after wait4 is that of the largest process, so it shows the child's too.
 */
#include <sys/wait.h>
#include "tests/targets/target.h"

int main(int argc, char **argv)
{
    if (argc < 3) {
        target_usage("MIB MS [child]");
    }
    long mib = target_number(argv[1]);
    long ms = target_number(argv[2]);
    if (argc > 3) {
        pid_t child = fork();
        if (child < 0) {
            target_die("fork");
        }
        if (child > 0) {
            int status = 0;
            return waitpid(child, &status, 0) == child && status == 0 ? 0 : TARGET_FAILED;
        }
    }
    target_touch_mib(mib);
    target_pause_ms(ms);
    return 0;
}
