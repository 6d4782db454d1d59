#include "wrapper/run/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct {
    uint64_t mask;
    bool sigpipe_ignored;
} inherited;

static const int taken[] = {SIGINT, SIGTERM, SIGHUP};
enum { TAKEN_COUNT = sizeof taken / sizeof taken[0], SIGNAL_MAX = 64 };

static bool is_ignored(int sig)
{
    struct sigaction action;
    return sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void add_taken(sigset_t *set)
{
    sigemptyset(set);
    for (int i = 0; i < TAKEN_COUNT; i++)
        if (!is_ignored(taken[i]))
            sigaddset(set, taken[i]);
}

void pw_signals_prepare(void)
{
    sigset_t before, block;
    add_taken(&block);
    sigprocmask(SIG_BLOCK, &block, &before);
    inherited.mask = 0;
    for (int sig = 1; sig <= SIGNAL_MAX; sig++)
        if (sigismember(&before, sig) == 1)
            inherited.mask |= UINT64_C(1) << (sig - 1);
    inherited.sigpipe_ignored = is_ignored(SIGPIPE);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* an inherited SIG_IGN would reap wardens unseen */
}

uint64_t pw_signals_inherited_mask(void)
{
    return inherited.mask;
}

bool pw_signals_inherited_sigpipe_ignored(void)
{
    return inherited.sigpipe_ignored;
}

int pw_signals_open(struct pw_err *err)
{
    sigset_t set;
    add_taken(&set);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        pw_err_system(err, errno, "create signalfd");
    return fd;
}

int pw_signals_read(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}
