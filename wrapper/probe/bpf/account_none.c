/* Instead of account*.c in a build without eBPF (PW_BPF=OFF): nothing can be opened, so the other
 * functions have nothing to do. */
#include "wrapper/probe/bpf/account.h"

int pw_account_open(const struct pw_account_options *options, struct pw_account **ret_account,
                    struct pw_err *err)
{
    (void)options;
    (void)ret_account;
    pw_err_set(err, PW_ERR_SYSTEM, "built without eBPF");
    return pw_err_remedy(err, "build with -DPW_BPF=ON");
}

void pw_account_close(struct pw_account *account)
{
    (void)account;
}

const struct pw_kernel_powers *pw_account_powers(const struct pw_account *account)
{
    static const struct pw_kernel_powers none;
    (void)account;
    return &none;
}

const char *pw_account_why_not(const struct pw_account *account)
{
    (void)account;
    return "built without eBPF";
}

int pw_account_watch(struct pw_account *account, unsigned slot, pid_t warden_pid,
                     struct pw_err *err)
{
    (void)account;
    (void)slot;
    (void)warden_pid;
    return pw_err_set(err, PW_ERR_INTERNAL, "built without eBPF");
}

void pw_account_mark(struct pw_account *account, unsigned slot)
{
    (void)account;
    (void)slot;
}

int pw_account_fd(const struct pw_account *account)
{
    (void)account;
    return -1;
}

void pw_account_drain(struct pw_account *account)
{
    (void)account;
}

int pw_account_take(struct pw_account *account, unsigned slot, int64_t spawned_at_ns,
                    int64_t ended_at_ns, struct pw_kernel_account *ret, struct pw_err *err)
{
    (void)account;
    (void)slot;
    (void)spawned_at_ns;
    (void)ended_at_ns;
    (void)ret;
    return pw_err_set(err, PW_ERR_INTERNAL, "built without eBPF");
}
