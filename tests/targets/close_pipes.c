/*
 * close_pipes MS [EXIT]: closes standard input, output and error at once and goes on for MS ms.
 * Returns EXIT (0).
 *
 * Truth: it lives for MS ms at least, with no descriptor open.
 */
#include "tests/targets/target.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        target_usage("MS [EXIT]");
    }
    long ms = target_number(argv[1]);
    int code = argc > 2 ? (int)target_number(argv[2]) : 0;
    for (int fd = 0; fd < 3; fd++) {
        close(fd);
    }
    target_pause_ms(ms);
    _exit(code);
}
