/*
 * print_bytes BYTES [stdout | stderr | both] [EXIT]: prints BYTES bytes to the stream (each stream
 * with `both`, in turns), in lines of 64 bytes. Returns EXIT (0).
 *
 * Truth: BYTES bytes on the stream, of which every 64th is a newline; memory below 2 MiB.
 */
#include "tests/targets/target.h"

enum { LINE = 64, BLOCK = 65536 };

static void print(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, bytes, size);
        if (done < 0) {
            target_die("write");
        }
        bytes += done;
        size -= (size_t)done;
    }
}

int main(int argc, char **argv)
{
    static char block[BLOCK];
    if (argc < 2) {
        target_usage("BYTES [stdout|stderr|both] [EXIT]");
    }
    const char *where = argc > 2 ? argv[2] : "stdout";
    int to_stdout = strcmp(where, "stderr") != 0;
    int to_stderr = strcmp(where, "stdout") != 0;
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] = i % LINE == LINE - 1 ? '\n' : 'x';
    }
    for (size_t left = (size_t)target_number(argv[1]); left > 0;) {
        size_t size = left < sizeof block ? left : sizeof block;
        if (to_stdout) {
            print(STDOUT_FILENO, block, size);
        }
        if (to_stderr) {
            print(STDERR_FILENO, block, size);
        }
        left -= size;
    }
    return argc > 3 ? (int)target_number(argv[3]) : 0;
}
