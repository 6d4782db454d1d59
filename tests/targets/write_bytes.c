/*
 * write_bytes BYTES PATH: writes BYTES zero bytes to a new file in blocks of 64 KiB, and has them
 * flushed to the device with fsync.
 *
 * Truth (proc(5), /proc/PID/io): wchar is BYTES exactly; write_bytes is BYTES rounded up to pages
 * plus what the file system writes for itself, where PATH is on a device; a file system in memory
 * (tmpfs) counts nothing there.
 */
#include <fcntl.h>
#include "tests/targets/target.h"

int main(int argc, char **argv)
{
    static const char block[65536];
    if (argc != 3) {
        target_usage("BYTES PATH");
    }
    int fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        target_die("open");
    }
    for (size_t left = (size_t)target_number(argv[1]); left > 0;) {
        ssize_t done = write(fd, block, left < sizeof block ? left : sizeof block);
        if (done < 0) {
            target_die("write");
        }
        left -= (size_t)done;
    }
    return fsync(fd) == 0 && close(fd) == 0 ? 0 : TARGET_FAILED;
}
