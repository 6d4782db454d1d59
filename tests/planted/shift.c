/* A planted fault: a shift by more than the width. UndefinedBehaviorSanitizer must report it. */
#include <stdio.h>

int main(int argc, char **argv)
{
    (void)argv;
    int bits = argc + 40;

    printf("%d\n", 1 << bits);
    return 0;
}
