#include <sys/syscall.h>
#include "wrapper/probe/bpf/account_impl.h"

/* Not all architectures have all of them. */
static const struct {
    int number;
    enum pw_bpf_wait wait;
} waits[] = {
    {SYS_futex, PW_BPF_WAIT_LOCK},
    {SYS_flock, PW_BPF_WAIT_LOCK},
    {SYS_semtimedop, PW_BPF_WAIT_LOCK},
    {SYS_semop, PW_BPF_WAIT_LOCK},
#ifdef SYS_futex_waitv
    {SYS_futex_waitv, PW_BPF_WAIT_LOCK},
#endif
    {SYS_nanosleep, PW_BPF_WAIT_SLEEP},
    {SYS_clock_nanosleep, PW_BPF_WAIT_SLEEP},
    {SYS_rt_sigtimedwait, PW_BPF_WAIT_SLEEP},
#ifdef SYS_poll
    {SYS_poll, PW_BPF_WAIT_POLL},
    {SYS_select, PW_BPF_WAIT_POLL},
    {SYS_epoll_wait, PW_BPF_WAIT_POLL},
#endif
    {SYS_ppoll, PW_BPF_WAIT_POLL},
    {SYS_pselect6, PW_BPF_WAIT_POLL},
    {SYS_epoll_pwait, PW_BPF_WAIT_POLL},
#ifdef SYS_epoll_pwait2
    {SYS_epoll_pwait2, PW_BPF_WAIT_POLL},
#endif
    {SYS_recvfrom, PW_BPF_WAIT_NETWORK},
    {SYS_recvmsg, PW_BPF_WAIT_NETWORK},
    {SYS_recvmmsg, PW_BPF_WAIT_NETWORK},
    {SYS_sendto, PW_BPF_WAIT_NETWORK},
    {SYS_sendmsg, PW_BPF_WAIT_NETWORK},
    {SYS_sendmmsg, PW_BPF_WAIT_NETWORK},
    {SYS_accept, PW_BPF_WAIT_NETWORK},
    {SYS_accept4, PW_BPF_WAIT_NETWORK},
    {SYS_connect, PW_BPF_WAIT_NETWORK},
    {SYS_wait4, PW_BPF_WAIT_CHILD},
    {SYS_waitid, PW_BPF_WAIT_CHILD},
    {SYS_clone, PW_BPF_WAIT_CHILD},
#ifdef SYS_vfork
    {SYS_vfork, PW_BPF_WAIT_CHILD},
#endif
#ifdef SYS_clone3
    {SYS_clone3, PW_BPF_WAIT_CHILD},
#endif
    {SYS_read, PW_BPF_WAIT_FILE},
    {SYS_write, PW_BPF_WAIT_FILE},
    {SYS_readv, PW_BPF_WAIT_FILE},
    {SYS_writev, PW_BPF_WAIT_FILE},
    {SYS_sendfile, PW_BPF_WAIT_FILE},
    {SYS_splice, PW_BPF_WAIT_FILE},
    {SYS_fsync, PW_BPF_WAIT_IO},
    {SYS_fdatasync, PW_BPF_WAIT_IO},
    {SYS_sync, PW_BPF_WAIT_IO},
    {SYS_syncfs, PW_BPF_WAIT_IO},
    {SYS_sync_file_range, PW_BPF_WAIT_IO},
    {SYS_msync, PW_BPF_WAIT_IO},
    {SYS_io_getevents, PW_BPF_WAIT_IO},
#ifdef SYS_io_uring_enter
    {SYS_io_uring_enter, PW_BPF_WAIT_IO},
#endif
};

void pw_account_fill_waits(unsigned char table[PW_BPF_SYSCALLS_MAX])
{
    for (int i = 0; i < PW_BPF_SYSCALLS_MAX; i++) {
        table[i] = PW_BPF_WAIT_OTHER;
    }
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        if (waits[i].number >= 0 && waits[i].number < PW_BPF_SYSCALLS_MAX)
            table[waits[i].number] = (unsigned char)waits[i].wait;
    }
}
