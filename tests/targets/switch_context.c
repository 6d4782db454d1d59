/*
 * switch_context COUNT: sleeps for 50 us at a time until the kernel counts COUNT voluntary context
 * switches for the process since it was cloned (exec does not reset them), then ends.
 *
 * Truth: COUNT voluntary context switches by getrusage(RUSAGE_SELF), plus at most two on the way
 * out.
 */
#include <sys/resource.h>
#include "tests/targets/target.h"

static long switches(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) < 0) {
        target_die("getrusage");
    }
    return usage.ru_nvcsw;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        target_usage("COUNT");
    }
    long count = target_number(argv[1]);
    while (switches() < count) {
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    return 0;
}
