/* commands.h -- the program's commands, and the one door main() uses.
 *
 * Every command has --help and --json (exactly one object on stdout; progress goes to stderr) and
 * ends with 0 done, 1 failed, 2 wrong usage, 3 not allowed by a rule.
 *
 * Thread  main, before any other is started. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_REFUSED = 3 };

int cli_main(int argc, char **argv);

/* The daemon; argv[0] is "serve". Defined beside main(), which wires the rooms together. */
int cmd_serve(int argc, char **argv);

#endif
