/* A planted fault: reads behind the end of an array. cppcheck must refuse it. */
int planted(void);
int planted(void)
{
    int numbers[4] = {1, 2, 3, 4};

    return numbers[4];
}
