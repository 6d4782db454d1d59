#include "wrapper/cli/cli.h"

int main(int argc, char **argv)
{
    return pw_cli_main(argc, argv);
}
