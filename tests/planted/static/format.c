/* A planted fault: not as clang-format writes it. */
int  planted( void ){return 1 ;}
