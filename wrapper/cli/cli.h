/* perfwrap's command line: what main() calls. */
#ifndef PW_CLI_CLI_H
#define PW_CLI_CLI_H

/* Runs the subcommand that argv names (`run` if none) and returns the exit status; see help.h.
 * `argv` is NULL-terminated. Makes sure that descriptors 0 to 2 are open. */
int pw_cli_main(int argc, char **argv);

#endif
