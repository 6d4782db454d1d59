/*
 * open_files COUNT MS: opens COUNT descriptors on /dev/null and stays for MS ms.
 *
 * Truth: COUNT descriptors more than it was started with (three, when started with standard input,
 * output and error only).
 */
#include <fcntl.h>
#include "tests/targets/target.h"

int main(int argc, char **argv)
{
    if (argc != 3) {
        target_usage("COUNT MS");
    }
    for (long count = target_number(argv[1]); count > 0; count--) {
        if (open("/dev/null", O_RDONLY) < 0) {
            target_die("open");
        }
    }
    target_pause_ms(target_number(argv[2]));
    return 0;
}
