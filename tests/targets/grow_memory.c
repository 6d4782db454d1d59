/*
 * grow_memory KIB STEP_MS MS: touches KIB KiB more of private memory every STEP_MS ms, for MS ms.
 *
 * Truth: the resident set grows by KIB * 60000 / STEP_MS KiB a minute, less what its waiting is
 * late.
 */
#include <sys/mman.h>
#include "tests/targets/target.h"

int main(int argc, char **argv)
{
    if (argc < 4) {
        target_usage("KIB STEP_MS MS");
    }
    size_t bytes = (size_t)target_number(argv[1]) * 1024;
    long step_ms = target_number(argv[2]);
    long steps = target_number(argv[3]) / (step_ms > 0 ? step_ms : 1);
    for (long i = 0; i < steps; i++) {
        char *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) {
            target_die("mmap");
        }
        /* Else the step that fills a huge page is 2 MiB, and the others nothing. */
        (void)madvise(block, bytes, MADV_NOHUGEPAGE);
        memset(block, 1, bytes);
        target_pause_ms(step_ms);
    }
    return 0;
}
