/* A planted fault: memory that nobody frees. LeakSanitizer must report it. */
#include <stdlib.h>

int main(int argc, char **argv)
{
    (void)argv;
    char *volatile lost = malloc((size_t)argc + 64);

    if (lost != NULL) {
        lost[0] = 'x';
    }
    lost = NULL;
    return 0;
}
