/*
 * timed_sleep_static MS PATH: sleeps for MS ms and appends one line "START_NS END_NS\n"
 * (CLOCK_MONOTONIC) to PATH: when main() began, and when it was about to end. Linked statically, so
 * that no loader's work lies outside these two times.
 *
 * Truth: a duration that contains the whole process is at least END_NS - START_NS, which is at
 * least MS ms. What it may have more is clone, exec, exit and the write of that line.
 */
#include <fcntl.h>
#include <inttypes.h>
#include "tests/targets/target.h"

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int main(int argc, char **argv)
{
    int64_t start_ns = now_ns();
    if (argc != 3) {
        target_usage("MS PATH");
    }
    int fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        target_die("open");
    }
    target_pause_ms(target_number(argv[1]));
    char line[64];
    int length = snprintf(line, sizeof line, "%" PRId64 " %" PRId64 "\n", start_ns, now_ns());
    return write(fd, line, (size_t)length) == length ? 0 : TARGET_FAILED;
}
