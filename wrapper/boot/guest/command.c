/* The command. */
#include "wrapper/boot/guest/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_FOUND = 127, NOT_EXECUTABLE = 126, BAD_NUMBER = 2 }; /* as shells have it */

/* Init's own commands, for guests without a root file system. Returns the exit code. */
static int run_own(char *const *argv)
{
    if (!argv[0] || strcmp(argv[0], "true") == 0) {
        return 0;
    }
    if (strcmp(argv[0], "false") == 0) {
        return 1;
    }
    if (strcmp(argv[0], "exit") == 0) {
        char *end = NULL;
        unsigned long code = argv[1] ? strtoul(argv[1], &end, 10) : 0;
        if (end && (end == argv[1] || *end != '\0' || code > UINT8_MAX)) {
            pw_guest_say("exit: %s is not a number from 0 to 255", argv[1]);
            return BAD_NUMBER;
        }
        return (int)code;
    }
    pw_guest_say("%s: not found; without an image there are `true`, `false` and `exit N`", argv[0]);
    return NOT_FOUND;
}

/* As execvpe(3), but what the kernel cannot execute is an error, not a script. Returns errno. */
static int exec_by_path(char *const *argv, char *const *environment)
{
    const char *name = argv[0], *path = "";
    char candidate[PATH_MAX];
    int sys = ENOENT;
    if (strchr(name, '/')) {
        execve(name, argv, environment);
        return errno;
    }
    for (char *const *variable = environment; *variable; variable++) {
        if (strncmp(*variable, "PATH=", strlen("PATH=")) == 0) {
            path = *variable + strlen("PATH=");
            break;
        }
    }
    for (const char *at = path; at && *name; at = *at ? at + 1 : NULL) {
        int length = (int)strcspn(at, ":");
        if (snprintf(candidate, sizeof candidate, "%.*s%s%s", length, at, length ? "/" : "", name) <
            (int)sizeof candidate) {
            execve(candidate, argv, environment);
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) {
                return errno;
            }
            sys = errno == EACCES ? EACCES : sys;
        }
        at += length;
    }
    return sys;
}

_Noreturn static void become_command(const struct pw_guest_job *job)
{
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
    }
    if (setgroups(0, NULL) != 0 || setgid(job->gid) != 0 || setuid(job->uid) != 0) {
        pw_guest_say("cannot become user %u: %s", (unsigned)job->uid, strerror(errno));
        _exit(NOT_EXECUTABLE);
    }
    int sys = exec_by_path(job->argv, job->environment);
    if (sys == ENOENT && job->instead[0]) {
        sys = exec_by_path(job->instead, job->environment);
    }
    pw_guest_say("%s: %s", job->argv[0], strerror(sys));
    _exit(sys == ENOENT || sys == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE);
}

int pw_guest_run(const struct pw_guest_job *job)
{
    enum { CODE_SHIFT = 8 };
    int status = 0;
    if (job->folder && chdir(job->folder) != 0) {
        int sys = errno;
        pw_guest_say("cannot change to the folder %s", job->folder);
        pw_guest_fault("cwd", sys);
    }
    if (!job->root || !job->argv[0]) {
        return run_own(job->argv) << CODE_SHIFT;
    }
    pid_t child = fork();
    if (child == 0) {
        become_command(job);
    }
    if (child < 0) {
        pw_guest_fault("fork", errno);
    }
    /* Orphans become init's children. */
    for (pid_t ended = 0; ended != child;) {
        ended = waitpid(-1, &status, 0);
        if (ended < 0 && errno != EINTR) {
            pw_guest_fault("wait", errno);
        }
    }
    return status;
}
