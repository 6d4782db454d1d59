/* A planted fault: takes the size of a pointer for the size of its text. clang-tidy must refuse it. */
#include <stddef.h>

size_t planted(const char *text);
size_t planted(const char *text)
{
    return sizeof(text) / sizeof(text[0]);
}
