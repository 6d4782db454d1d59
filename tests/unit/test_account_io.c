/*
 * Block I/O, TCP and system calls as the kernel accounts them, against workers whose doings are
 * known: forks of this program. Where eBPF is refused, they are skipped and say why. The network is
 * one that this program makes for itself, see slow_link.h.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include "core/clock.h"
#include "tests/unit/slow_link.h"
#include "wrapper/probe/bpf/account.h"

enum { MIB = 1 << 20, NO_WORKER = 99, DELAY_MS = 10 };

/* What a worker tells, in memory that it shares with this program. */
struct told {
    int64_t took_ns;
    uint64_t retransmits;
};

struct fixture {
    struct pw_account *account; /* NULL: not possible here */
    char why[PW_ERR_MESSAGE_MAX];
    bool network;
    struct told *told;
    struct pw_kernel_account seen;
};
static struct fixture fixture;

static int begin(void **state, bool syscalls)
{
    (void)state;
    struct pw_err err = PW_ERR_INIT;
    const struct pw_account_options options = {.slots = 2, .syscalls = syscalls};
    pw_kernel_account_init(&fixture.seen);
    fixture.account = NULL;
    if (pw_account_open(&options, &fixture.account, &err) != 0) {
        snprintf(fixture.why, sizeof(fixture.why), "%s", err.message);
    }
    return 0;
}

static int begin_io(void **state)
{
    return begin(state, false);
}

static int begin_syscalls(void **state)
{
    return begin(state, true);
}

static int end(void **state)
{
    (void)state;
    pw_account_close(fixture.account);
    pw_kernel_account_done(&fixture.seen);
    return 0;
}

#define NEED_ACCOUNT()                                         \
    do {                                                       \
        if (!fixture.account) {                                \
            print_message("no accounting: %s\n", fixture.why); \
            skip();                                            \
        }                                                      \
    } while (0)

#define NEED_NETWORK()                                            \
    do {                                                          \
        NEED_ACCOUNT();                                           \
        if (!fixture.network) {                                   \
            print_message("no network namespace of one's own\n"); \
            skip();                                               \
        }                                                         \
    } while (0)

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A worker under its warden, in slot 1: the warden is watched before it forks. `outside` is what
 * this program does meanwhile. The account is in fixture.seen. */
static void run(int (*worker)(void *), void (*outside)(void *), void *argument)
{
    int go[2];
    struct pw_err err = PW_ERR_INIT;
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    int64_t began_ns = pw_clock_now_ns();
    pid_t warden = fork();
    assert_true(warden >= 0);
    if (warden == 0) {
        char byte;
        if (read(go[0], &byte, 1) != 1) {
            _exit(NO_WORKER);
        }
        pid_t pid = fork();
        if (pid == 0) {
            _exit(worker(argument));
        }
        _exit(pid < 0 ? NO_WORKER : wait_for(pid));
    }
    assert_int_equal(pw_account_watch(fixture.account, 1, warden, &err), 0);
    assert_int_equal(write(go[1], "", 1), 1);
    if (outside) {
        outside(argument);
    }
    assert_int_equal(wait_for(warden), 0);
    close(go[0]);
    close(go[1]);
    pw_account_drain(fixture.account);
    pw_kernel_account_done(&fixture.seen);
    pw_kernel_account_init(&fixture.seen);
    if (pw_account_take(fixture.account, 1, began_ns, pw_clock_now_ns(), &fixture.seen, &err) !=
        0) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(fixture.seen.lost, 0);
    assert_int_equal(fixture.seen.untracked, 0);
}

/* Block I/O */

struct file {
    const char *path;
    int flags;
    bool write, again;
    size_t bytes, piece;
};

static int use_file(void *argument)
{
    const struct file *file = argument;
    void *buffer = NULL;
    if (posix_memalign(&buffer, 4096, file->piece) != 0) {
        return 1;
    }
    memset(buffer, 7, file->piece);
    int fd = open(file->path, O_RDWR | O_CLOEXEC | file->flags);
    int64_t began_ns = pw_clock_now_ns();
    for (size_t at = 0; fd >= 0 && at < file->bytes; at += file->piece) {
        ssize_t done = file->write ? pwrite(fd, buffer, file->piece, (off_t)at)
                                   : pread(fd, buffer, file->piece, (off_t)at);
        if (done != (ssize_t)file->piece) {
            return 1;
        }
    }
    if (fd < 0 || (file->write && fdatasync(fd) != 0)) {
        return 1;
    }
    fixture.told->took_ns = pw_clock_now_ns() - began_ns;
    return 0;
}

static void assert_bytes_near(uint64_t actual, uint64_t expected)
{
    if (actual < expected || actual > expected + expected / 100) {
        fail_msg("%llu bytes, not %llu", (unsigned long long)actual, (unsigned long long)expected);
    }
}

/* A file whose blocks are written, so that using it again changes no more than them. */
static char *make_file(void **state, size_t bytes)
{
    char *path = in_folder(state, "file");
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    char *zeroes = calloc(1, MIB);
    for (size_t at = 0; at < bytes; at += MIB) {
        assert_int_equal(write(fd, zeroes, MIB), MIB);
    }
    free(zeroes);
    assert_int_equal(fsync(fd), 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
    int direct = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (direct < 0 || major(status.st_dev) == 0) { /* tmpfs, overlayfs, a network's */
        print_message("%s is on no block device\n", path);
        free(path);
        return NULL;
    }
    close(direct);
    return path;
}

static void test_block(void **state)
{
    NEED_ACCOUNT();
    assert_int_equal(make_folder(state), 0);
    struct file file = {.bytes = 16UL * MIB, .piece = 128 << 10, .flags = O_DIRECT, .write = true};
    char *path = make_file(state, file.bytes);
    if (!path) {
        drop_folder(state);
        skip();
    }
    file.path = path;
    const struct pw_kernel_account *seen = &fixture.seen;
    assert_true(pw_account_powers(fixture.account)->block);

    run(use_file, NULL, &file);
    assert_bytes_near(seen->block_written_bytes, file.bytes);
    assert_true(seen->block_read_bytes < file.bytes / 100);
    assert_true(seen->block_requests >= file.bytes / file.piece);
    assert_true(seen->longest_block_ns > 0 && seen->longest_block_ns <= seen->block_ns);
    /* One after the other: no more than the worker waited. */
    assert_true(seen->block_ns < fixture.told->took_ns);
    assert_true(seen->block_ns > fixture.told->took_ns / 50);

    file.write = false;
    run(use_file, NULL, &file);
    assert_bytes_near(seen->block_read_bytes, file.bytes);
    assert_int_equal(seen->block_written_bytes, 0);
    assert_int_equal(seen->block_requests, file.bytes / file.piece);

    /* Through the page cache, which hands it on in fdatasync(). */
    file.flags = 0;
    file.write = true;
    run(use_file, NULL, &file);
    assert_bytes_near(seen->block_written_bytes, file.bytes);

    /* From the page cache: nothing. */
    file.write = false;
    run(use_file, NULL, &file);
    assert_int_equal(seen->block_read_bytes, 0);
    assert_int_equal(seen->block_requests, 0);
    free(path);
    drop_folder(state);
}

/* TCP */

struct call {
    int family;
    const char *address;
    uint16_t port; /* network byte order */
    int listener;  /* in this program; -1: none */
    size_t sends, receives;
    unsigned times;   /* connections, one after the other */
    bool peer_first;  /* closes */
    bool only_begins; /* not waiting for the connection */
    bool exits;       /* without close */
    int pass_to;      /* a socket: the connection goes there */
};

static socklen_t address_of(const struct call *call, struct sockaddr_in6 *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (call->family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = call->port};
        inet_pton(AF_INET, call->address, &in.sin_addr);
        memcpy(ret, &in, sizeof(in));
        return sizeof(in);
    }
    ret->sin6_family = AF_INET6;
    ret->sin6_port = call->port;
    inet_pton(AF_INET6, call->address, &ret->sin6_addr);
    return sizeof(*ret);
}

static bool transfer(int fd, size_t sends, size_t receives)
{
    static char bytes[65536];
    for (size_t piece; sends; sends -= piece) {
        piece = sends < sizeof(bytes) ? sends : sizeof(bytes);
        ssize_t sent = send(fd, bytes, piece, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        piece = (size_t)sent;
    }
    while (receives) {
        ssize_t got = recv(fd, bytes, receives < sizeof(bytes) ? receives : sizeof(bytes), 0);
        if (got <= 0) {
            return false;
        }
        receives -= (size_t)got;
    }
    return true;
}

static bool pass(int over, int fd)
{
    char byte = 0;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(sizeof(int))}};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control.space)};
    return sendmsg(over, &message, 0) == 1;
}

static int make_call(void *argument)
{
    const struct call *call = argument;
    struct sockaddr_in6 address;
    socklen_t size = address_of(call, &address);
    for (unsigned i = 0; i < call->times; i++) {
        int fd = socket(call->family,
                        SOCK_STREAM | SOCK_CLOEXEC | (call->only_begins ? SOCK_NONBLOCK : 0), 0);
        if (fd < 0) {
            return 1;
        }
        if (connect(fd, (struct sockaddr *)&address, size) != 0) {
            if (call->only_begins && errno == EINPROGRESS && call->pass_to >= 0) {
                return pass(call->pass_to, fd) ? 0 : 1;
            }
            if (call->listener >= 0 && !call->only_begins) {
                return 1;
            }
            close(fd);
            continue;
        }
        char byte;
        if (!transfer(fd, call->sends, call->receives) ||
            (call->peer_first && recv(fd, &byte, 1, 0) != 0)) {
            return 1;
        }
        struct tcp_info info = {0};
        socklen_t length = sizeof(info);
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
        fixture.told->retransmits = info.tcpi_total_retrans;
        if (!call->exits) {
            close(fd);
        }
    }
    return 0;
}

static int take_call(const struct call *call)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    return accept4(call->listener, (struct sockaddr *)&address, &size, SOCK_CLOEXEC);
}

/* The other side. It takes all that is sent before it sends. */
static void answer_call(void *argument)
{
    const struct call *call = argument;
    for (unsigned i = 0; i < call->times; i++) {
        int fd = take_call(call);
        assert_true(fd >= 0);
        assert_true(transfer(fd, 0, call->sends));
        assert_true(transfer(fd, call->receives, 0));
        char byte;
        if (!call->peer_first) {
            assert_int_equal(recv(fd, &byte, 1, 0), 0);
        }
        close(fd);
    }
}

static const struct pw_kernel_remote *only_remote(const char *address, uint16_t port)
{
    assert_int_equal(fixture.seen.remote_count, 1);
    const struct pw_kernel_remote *remote = &fixture.seen.remotes[0];
    assert_string_equal(remote->address, address);
    assert_int_equal(remote->port, ntohs(port));
    assert_int_equal(fixture.seen.tcp_connects, remote->connects);
    assert_int_equal(fixture.seen.tcp_failed, remote->failed);
    assert_int_equal(fixture.seen.tcp_sent_bytes, remote->sent_bytes);
    assert_int_equal(fixture.seen.tcp_received_bytes, remote->received_bytes);
    assert_int_equal(fixture.seen.tcp_retransmits, remote->retransmits);
    return remote;
}

static void test_tcp_loopback(void **state)
{
    (void)state;
    NEED_NETWORK();
    const struct {
        struct call call;
        const char *shown;
    } cases[] = {
        {{.family = AF_INET, .address = "127.0.0.1", .sends = 100001, .receives = 3000000},
         "127.0.0.1"},
        {{.family = AF_INET6, .address = "::1", .sends = 5, .receives = 0}, "::1"},
        {{.family = AF_INET6, .address = "::1", .sends = 0, .receives = 7, .peer_first = true},
         "::1"},
        {{.family = AF_INET6, .address = "::ffff:127.0.0.1", .sends = 9, .receives = 8},
         "127.0.0.1"},
        {{.family = AF_INET, .address = "127.0.0.1", .sends = 77, .exits = true}, "127.0.0.1"},
        {{.family = AF_INET,
          .address = "127.0.0.1",
          .sends = 1000,
          .receives = 2000,
          .peer_first = true,
          .exits = true},
         "127.0.0.1"},
        {{.family = AF_INET, .address = "127.0.0.1"}, "127.0.0.1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call call = cases[i].call;
        call.times = 3;
        call.listener = slow_link_listen(call.family, &call.port);
        if (call.listener < 0 && call.family == AF_INET6) {
            print_message("no IPv6\n");
            continue;
        }
        assert_true(call.listener >= 0);
        run(make_call, answer_call, &call);
        const struct pw_kernel_remote *remote = only_remote(cases[i].shown, call.port);
        assert_int_equal(remote->connects, 3);
        assert_int_equal(remote->failed, 0);
        assert_int_equal(remote->pending, 0);
        assert_int_equal(remote->sent_bytes, 3 * call.sends);
        assert_int_equal(remote->received_bytes, 3 * call.receives);
        assert_true(remote->longest_connect_ns > 0);
        assert_true(remote->connect_ns >= remote->longest_connect_ns);
        assert_int_equal(fixture.seen.tcp_connect_ns, remote->connect_ns);
        assert_int_equal(fixture.seen.longest_tcp_connect_ns, remote->longest_connect_ns);
        close(call.listener);
    }
}

static void test_tcp_refused(void **state)
{
    (void)state;
    NEED_NETWORK();
    struct call call = {.family = AF_INET, .address = "127.0.0.1", .listener = -1, .times = 4};
    close(slow_link_listen(AF_INET, &call.port));
    run(make_call, NULL, &call);
    const struct pw_kernel_remote *remote = only_remote("127.0.0.1", call.port);
    assert_int_equal(remote->connects, 0);
    assert_int_equal(remote->failed, 4);
    assert_int_equal(remote->connect_ns, 0);
    assert_int_equal(remote->pending, 0);

    /* No route: no attempt. */
    call.address = "192.0.2.1";
    run(make_call, NULL, &call);
    assert_int_equal(fixture.seen.remote_count, 0);
    assert_int_equal(fixture.seen.tcp_failed, 0);
}

/* One after the other from the delayed link, so that a disturbed one can be told: the delay is the
 * least that each of them takes, and what the best took. */
static void test_tcp_delay(void **state)
{
    (void)state;
    NEED_NETWORK();
    struct call call = {
        .family = AF_INET, .address = SLOW_LINK_FAR, .times = 1, .sends = 10000, .receives = 20000};
    struct slow_link *link = slow_link_begin(DELAY_MS, &call.listener, &call.port);
    if (!link) {
        print_message("no TUN device\n");
        skip();
    }
    const int64_t expected_ns = 2LL * DELAY_MS * 1000000;
    int64_t best_ns = INT64_MAX;
    for (unsigned i = 0; i < 20; i++) {
        run(make_call, answer_call, &call);
        const struct pw_kernel_remote *remote = only_remote(SLOW_LINK_FAR, call.port);
        assert_int_equal(remote->connects, 1);
        assert_int_equal(remote->sent_bytes, call.sends);
        assert_int_equal(remote->received_bytes, call.receives);
        assert_true(remote->connect_ns >= expected_ns);
        best_ns = remote->connect_ns < best_ns ? remote->connect_ns : best_ns;
        if (best_ns < expected_ns + 1000000 && i >= 2) {
            break;
        }
    }
    if (best_ns >= expected_ns + 1000000) {
        fail_msg("20 ms measured as %.3f ms", (double)best_ns / 1e6);
    }

    /* Not waited for: given up while under way, or gone to a process that is not the worker's. */
    call.only_begins = true;
    call.pass_to = -1;
    run(make_call, NULL, &call);
    const struct pw_kernel_remote *remote = only_remote(SLOW_LINK_FAR, call.port);
    assert_int_equal(remote->connects, 0);
    assert_int_equal(remote->failed, 1);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    call.pass_to = pair[0];
    atomic_store(&link->delay_ns, 2000000000); /* for longer than the worker lasts */
    run(make_call, NULL, &call);
    remote = only_remote(SLOW_LINK_FAR, call.port);
    assert_int_equal(remote->connects, 0);
    assert_int_equal(remote->failed, 0);
    assert_int_equal(remote->pending, 1);
    close(pair[0]);
    close(pair[1]);
    slow_link_end(link);
    close(call.listener);
}

static void test_tcp_lost(void **state)
{
    (void)state;
    NEED_NETWORK();
    struct call call = {
        .family = AF_INET, .address = SLOW_LINK_FAR, .times = 1, .sends = 200000, .receives = 5};
    struct slow_link *link = slow_link_begin(1, &call.listener, &call.port);
    if (!link) {
        print_message("no TUN device\n");
        skip();
    }
    for (unsigned lost = 0; lost <= 8; lost += 4) {
        atomic_store(&link->lose_data, lost);
        run(make_call, answer_call, &call);
        const struct pw_kernel_remote *remote = only_remote(SLOW_LINK_FAR, call.port);
        /* The kernel's own count of this connection, as the worker asked for it. */
        assert_int_equal(remote->retransmits, fixture.told->retransmits);
        assert_true(remote->retransmits >= lost);
        assert_int_equal(remote->sent_bytes, call.sends);
        assert_int_equal(remote->received_bytes, call.receives);
    }
    slow_link_end(link);
    close(call.listener);
}

enum { MANY = 80 };

static int call_many(void *argument)
{
    const struct call *call = argument;
    for (unsigned i = 1; i <= MANY; i++) {
        char address[32];
        snprintf(address, sizeof(address), "127.0.1.%u", i);
        struct call one = *call;
        one.address = address;
        one.times = i == 5 ? 2 : 1;
        if (make_call(&one) != 0) {
            return 1;
        }
    }
    return 0;
}

static void answer_many(void *argument)
{
    struct call call = *(struct call *)argument;
    call.times = MANY + 1;
    answer_call(&call);
}

static void test_tcp_many_remotes(void **state)
{
    (void)state;
    NEED_NETWORK();
    struct call call = {.family = AF_INET, .sends = 10, .receives = 20};
    call.listener = slow_link_listen(AF_INET, &call.port);
    for (unsigned again = 0; again < 2; again++) {
        run(call_many, answer_many, &call);
        const struct pw_kernel_account *seen = &fixture.seen;
        assert_int_equal(seen->tcp_connects, MANY + 1);
        assert_int_equal(seen->tcp_sent_bytes, 10 * (MANY + 1));
        assert_int_equal(seen->tcp_received_bytes, 20 * (MANY + 1));
        assert_int_equal(seen->remote_count, 64);
        assert_string_equal(seen->remotes[0].address, "127.0.1.5");
        assert_int_equal(seen->remotes[0].connects, 2);
        assert_string_equal(seen->remotes[63].address, "*");
        assert_int_equal(seen->remotes[63].port, 0);
        assert_int_equal(seen->remotes[63].connects, MANY - 63);
        assert_int_equal(seen->remotes[63].sent_bytes, 10 * (MANY - 63));
    }
    close(call.listener);
}

static void make_calls_outside(void *argument)
{
    struct call call = *(struct call *)argument;
    call.exits = false;
    assert_int_equal(make_call(&call), 0);
}

static int answer_in_worker(void *argument)
{
    const struct call *call = argument;
    for (unsigned i = 0; i < call->times; i++) {
        int fd = take_call(call);
        char byte;
        if (fd < 0 || !transfer(fd, 0, call->sends) || !transfer(fd, call->receives, 0) ||
            recv(fd, &byte, 1, 0) != 0) {
            return 1;
        }
        if (!call->exits) {
            close(fd);
        }
    }
    return 0;
}

static void test_tcp_accepted(void **state)
{
    (void)state;
    NEED_NETWORK();
    struct call call = {
        .family = AF_INET, .address = "127.0.0.1", .times = 3, .sends = 1234, .receives = 56789};
    call.listener = slow_link_listen(AF_INET, &call.port);
    for (unsigned exits = 0; exits < 2; exits++) {
        call.exits = exits;
        run(answer_in_worker, make_calls_outside, &call);
        assert_int_equal(fixture.seen.remote_count, 0);
        assert_int_equal(fixture.seen.tcp_connects, 0);
        assert_int_equal(fixture.seen.tcp_sent_bytes, 3 * call.receives);
        assert_int_equal(fixture.seen.tcp_received_bytes, 3 * call.sends);
    }
    close(call.listener);
}

/* System calls */

enum { CALLS = 12345, THREADS = 4, STRANGE = 1 << 20 };

static void *call_often(void *argument)
{
    for (unsigned i = 0; i < CALLS; i++) {
        syscall(SYS_getppid);
    }
    return argument;
}

static int call_system(void *argument)
{
    (void)argument;
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, call_often, NULL) != 0) {
            return 1;
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 600; i++) {
        syscall(STRANGE + i);
    }
    struct timespec time = {.tv_nsec = 30000000};
    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL);
    execl("/bin/true", "true", NULL);
    return 1;
}

static const struct pw_kernel_syscall *find_syscall(long number)
{
    for (size_t i = 0; i < fixture.seen.slowest_count; i++) {
        if (fixture.seen.slowest[i].number == number) {
            return &fixture.seen.slowest[i];
        }
    }
    fail_msg("system call %ld is not listed", number);
    return NULL;
}

static void test_syscalls(void **state)
{
    (void)state;
    NEED_ACCOUNT();
    assert_true(pw_account_powers(fixture.account)->syscalls);
    run(call_system, NULL, NULL);
    const struct pw_kernel_syscall *call = find_syscall(SYS_getppid);
    assert_int_equal(call->count, CALLS * THREADS);
    assert_true(call->total_ns > 0 && call->longest_ns > 0 && call->longest_ns <= call->total_ns);
    call = find_syscall(SYS_clock_nanosleep);
    assert_int_equal(call->count, 1);
    assert_true(call->total_ns >= 30000000);
    assert_int_equal(call->total_ns, call->longest_ns);
    call = find_syscall(SYS_execve);
    assert_int_equal(call->count, 1);
    assert_true(call->total_ns > 0);
    assert_int_equal(find_syscall(-1)->count, 600);
    call = find_syscall(SYS_exit_group);
    assert_int_equal(call->count, 1);
    assert_int_equal(call->total_ns, 0);
    assert_true(fixture.seen.syscalls > CALLS * THREADS + 600);
    for (size_t i = 1; i < fixture.seen.slowest_count; i++) {
        assert_true(fixture.seen.slowest[i - 1].total_ns >= fixture.seen.slowest[i].total_ns);
    }
}

static void test_syscalls_not_asked(void **state)
{
    (void)state;
    NEED_ACCOUNT();
    assert_false(pw_account_powers(fixture.account)->syscalls);
    run(call_system, NULL, NULL);
    assert_int_equal(fixture.seen.syscalls, 0);
    assert_int_equal(fixture.seen.slowest_count, 0);
}

static int make_fixture(void **state)
{
    (void)state;
    fixture.network = slow_link_enter();
    fixture.told = mmap(NULL, sizeof(*fixture.told), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return fixture.told == MAP_FAILED ? -1 : 0;
}

static int drop_fixture(void **state)
{
    (void)state;
    return munmap(fixture.told, sizeof(*fixture.told));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_block, begin_io, end),
        cmocka_unit_test_setup_teardown(test_tcp_loopback, begin_io, end),
        cmocka_unit_test_setup_teardown(test_tcp_refused, begin_io, end),
        cmocka_unit_test_setup_teardown(test_tcp_delay, begin_io, end),
        cmocka_unit_test_setup_teardown(test_tcp_lost, begin_io, end),
        cmocka_unit_test_setup_teardown(test_tcp_many_remotes, begin_io, end),
        cmocka_unit_test_setup_teardown(test_tcp_accepted, begin_io, end),
        cmocka_unit_test_setup_teardown(test_syscalls, begin_syscalls, end),
        cmocka_unit_test_setup_teardown(test_syscalls_not_asked, begin_io, end),
    };
    return cmocka_run_group_tests(tests, make_fixture, drop_fixture);
}
