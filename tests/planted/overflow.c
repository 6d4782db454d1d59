/* A planted fault: a write behind the end of an allocation. AddressSanitizer must report it. */
#include <stdlib.h>

int main(int argc, char **argv)
{
    (void)argv;
    size_t size = (size_t)argc + 7;
    volatile char *block = malloc(size);

    if (block != NULL) {
        block[size] = 'x';
    }
    free((void *)block);
    return 0;
}
