#include <account.skel.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/file.h"
#include "core/str.h"
#include "wrapper/probe/bpf/account_impl.h"

enum { RING_BYTES = 2 << 20, PATIENCE_MS = 30000, KEPT_BYTES = 32 << 20 };

/* libbpf's last warning, since its functions tell no more than an errno. */
static char last_warning[160];

__attribute__((format(printf, 2, 0))) static int keep_warning(enum libbpf_print_level level,
                                                              const char *format, va_list args)
{
    if (level == LIBBPF_WARN) {
        char text[sizeof last_warning];
        vsnprintf(text, sizeof text, format, args);
        text[strcspn(text, "\n")] = '\0';
        /* What follows the first failure only says that all has failed therefore. */
        if (last_warning[0] == '\0')
            memcpy(last_warning, text, sizeof text);
    }
    return 0;
}

/* Whether atomic operations may tell what was there before (Linux 5.12), by loading one. */
static bool can_fetch(void)
{
    const struct bpf_insn program[] = {
        {.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .off = -8},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
        {.code = BPF_STX | BPF_ATOMIC | BPF_DW,
         .dst_reg = BPF_REG_10,
         .src_reg = BPF_REG_0,
         .off = -8,
         .imm = BPF_ADD | BPF_FETCH},
        {.code = BPF_JMP | BPF_EXIT},
    };
    int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, NULL, "Dual MIT/GPL", program,
                           sizeof program / sizeof *program, NULL);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Older kernels look at such instructions also where they can never get to: they are made to do
 * nothing. */
static int drop_fetches(struct bpf_object *object)
{
    struct bpf_program *program;
    bpf_object__for_each_program(program, object)
    {
        size_t count = bpf_program__insn_cnt(program);
        struct bpf_insn *insns = malloc(count * sizeof *insns);
        if (!insns)
            return -ENOMEM;
        memcpy(insns, bpf_program__insns(program), count * sizeof *insns);
        for (size_t i = 0; i < count; i++) {
            int class = BPF_CLASS(insns[i].code), mode = BPF_MODE(insns[i].code);
            if (class == BPF_STX && mode == BPF_ATOMIC && insns[i].imm != BPF_ADD) {
                insns[i] = (struct bpf_insn){.code = BPF_JMP | BPF_JA};
            }
        }
        int failed = bpf_program__set_insns(program, insns, count);
        free(insns);
        if (failed)
            return failed;
    }
    return 0;
}

static bool kernel_has(const struct btf *kernel, const char *name, unsigned kind)
{
    return btf__find_by_name_kind(kernel, name, kind) > 0;
}

/* The number of a helper, if the kernel has it. */
static bool kernel_has_helper(const struct btf *kernel, const char *helper)
{
    int id = btf__find_by_name_kind(kernel, "bpf_func_id", BTF_KIND_ENUM);
    const struct btf_type *type = id > 0 ? btf__type_by_id(kernel, (__u32)id) : NULL;
    for (unsigned i = 0; type && i < btf_vlen(type); i++) {
        if (strcmp(btf__name_by_offset(kernel, btf_enum(type)[i].name_off), helper) == 0)
            return true;
    }
    return false;
}

static bool has_member(const struct btf *kernel, const char *structure, const char *member)
{
    int id = btf__find_by_name_kind(kernel, structure, BTF_KIND_STRUCT);
    const struct btf_type *type = id > 0 ? btf__type_by_id(kernel, (__u32)id) : NULL;
    for (unsigned i = 0; type && i < btf_vlen(type); i++) {
        if (strcmp(btf__name_by_offset(kernel, btf_members(type)[i].name_off), member) == 0)
            return true;
    }
    return false;
}

static void find_powers(struct pw_account_bpf *programs, const struct btf *kernel,
                        const struct pw_account_knobs *knobs, struct pw_kernel_powers *powers,
                        struct pw_str *why_not)
{
    bool fetch = !knobs->no_fetch && can_fetch();
    powers->tree = true;
    powers->faults = true;
    powers->waits = kernel_has(kernel, "btf_trace_sched_wakeup", BTF_KIND_TYPEDEF);
    powers->decomposition = powers->waits && fetch;
    powers->reasons = powers->waits && kernel_has_helper(kernel, "BPF_FUNC_task_pt_regs");
    powers->io = has_member(kernel, "task_io_accounting", "cancelled_write_bytes");
    powers->memory =
        !knobs->no_memory && kernel_has(kernel, "btf_trace_rss_stat", BTF_KIND_TYPEDEF);
    if (!powers->waits)
        pw_str_add(why_not, "waits: no tracepoint sched_wakeup. ");
    if (!fetch)
        pw_str_add(why_not, "decomposition: needs Linux 5.12. ");
    if (!powers->reasons)
        pw_str_add(why_not, "reasons: need Linux 5.15. ");
    if (!powers->io)
        pw_str_add(why_not, "io: the kernel has no CONFIG_TASK_XACCT. ");
    if (!powers->memory)
        pw_str_add(why_not, "memory: no tracepoint rss_stat. ");

    programs->rodata->missed_comings = knobs->missed_comings;
    programs->rodata->missed_leavings = knobs->missed_leavings;
    programs->rodata->have_fetch = fetch;
    programs->rodata->have_reasons = powers->reasons;
    programs->rodata->have_percpu_lookup =
        kernel_has_helper(kernel, "BPF_FUNC_map_lookup_percpu_elem");
    bpf_program__set_autoload(programs->progs.pw_wakeup, powers->waits);
    bpf_program__set_autoload(programs->progs.pw_rss_stat, powers->memory);
}

static int set_sizes(struct pw_account_bpf *programs, unsigned slots,
                     const struct pw_account_knobs *knobs, struct pw_err *err)
{
    unsigned threads = knobs->threads ? knobs->threads : PW_LIMIT_KERNEL_THREADS;
    unsigned ring_bytes = knobs->ring_bytes ? knobs->ring_bytes : RING_BYTES;
    struct stat namespace;
    int cpus = libbpf_num_possible_cpus();

    if (stat("/proc/self/ns/pid", &namespace) != 0)
        return pw_err_system(err, errno, "stat `/proc/self/ns/pid`");
    bpf_map__set_max_entries(programs->maps.threads, threads);
    bpf_map__set_max_entries(programs->maps.processes, threads);
    bpf_map__set_max_entries(programs->maps.mms, threads);
    bpf_map__set_max_entries(programs->maps.slots, slots);
    bpf_map__set_max_entries(programs->maps.ring, ring_bytes);
    programs->rodata->ring_bytes = ring_bytes;
    programs->rodata->own_pid_namespace = (unsigned)namespace.st_ino;
    programs->rodata->cpus = cpus > 0 ? (unsigned)cpus : 1;
    pw_account_fill_waits((unsigned char *)programs->rodata->wait_of_syscall);
    return 0;
}

static int load(struct pw_account_bpf *programs, bool is_refused)
{
    if (is_refused)
        return -EINVAL;
    last_warning[0] = '\0';
    int failed = pw_account_bpf__load(programs);
    return failed ? failed : pw_account_bpf__attach(programs);
}

static bool is_locked_down(void)
{
    char *text = NULL;
    if (pw_file_read("/sys/kernel/security/lockdown", 256, &text, NULL, NULL) != 0)
        return false;
    bool locked = strstr(text, "[confidentiality]") != NULL;
    free(text);
    return locked;
}

static int refuse(int sys, struct pw_err *err)
{
    bool is_denied = sys == EPERM || sys == EACCES;
    pw_err_system(err, sys, "eBPF accounting");
    if (last_warning[0] != '\0' && !is_denied && sys != EMFILE)
        pw_err_set(err, PW_ERR_SYSTEM, "eBPF accounting: %s (%s)", strerror(sys), last_warning);
    pw_err_errno(err, sys);
    if (sys == EMFILE || sys == ENFILE)
        return pw_err_remedy(err, "raise the limit on open files (ulimit -n)");
    /* A program that reads the kernel's memory calls then what there is not. */
    if ((is_denied ? geteuid() == 0 : sys == EINVAL) && is_locked_down()) {
        pw_err_set(err, PW_ERR_SYSTEM, "eBPF accounting: the kernel is locked down");
        pw_err_errno(err, sys);
        return pw_err_remedy(err, "boot with lockdown=integrity instead of confidentiality");
    }
    if (is_denied)
        return pw_err_remedy(err, "run as root, or with CAP_BPF and CAP_PERFMON");
    if (sys == ENOMEM || sys == E2BIG)
        return pw_err_remedy(err, "raise the limit of locked memory (ulimit -l) or of the cgroup");
    return pw_err_remedy(err, "this kernel refuses the programs: please report what it says");
}

/* Fits the programs to what this kernel has. Its types are forgotten before libbpf reads them too:
 * in the same memory. */
static int prepare(struct pw_account_bpf *programs, const struct pw_account_options *options,
                   const struct pw_account_knobs *knobs, struct pw_kernel_powers *powers,
                   struct pw_str *why_not, struct pw_err *err)
{
    struct btf *kernel = btf__load_vmlinux_btf();
    if (!kernel) {
        int sys = errno;
        pw_err_set(err, PW_ERR_SYSTEM,
                   "no types of the kernel can be read: /sys/kernel/btf/vmlinux");
        pw_err_errno(err, sys);
        if (sys == EMFILE || sys == ENFILE)
            return refuse(sys, err);
        return pw_err_remedy(err, "eBPF accounting needs Linux 5.8 with CONFIG_DEBUG_INFO_BTF");
    }
    find_powers(programs, kernel, knobs, powers, why_not);
    int result = set_sizes(programs, options->slots, knobs, err);
    if (result == 0)
        result = pw_account_io_prepare(programs->obj, kernel, options->slots, options->syscalls,
                                       powers, why_not, err);
    btf__free(kernel);
    return result;
}

/* One attempt; what `left_out` names is not loaded. Positive if the kernel refused it and may take
 * less. *ret_programs is to be destroyed also after a failure. */
static int load_once(const struct pw_account_options *options, const struct pw_account_knobs *knobs,
                     bool io_left_out, bool memory_left_out, struct pw_account_bpf **ret_programs,
                     struct pw_account_loaded *ret, struct pw_err *err)
{
    PW_STR_AUTO why_not = PW_STR_INIT;
    struct pw_kernel_powers *powers = &ret->powers;
    *powers = (struct pw_kernel_powers){0};
    struct pw_account_bpf *programs = *ret_programs = pw_account_bpf__open();
    if (!programs)
        return refuse(errno, err);
    if (prepare(programs, options, knobs, powers, &why_not, err) != 0)
        return -1;
    if (memory_left_out) {
        powers->memory = false;
        bpf_program__set_autoload(programs->progs.pw_rss_stat, false);
        pw_str_add(&why_not, "memory: refused by this kernel. ");
    }
    if (io_left_out) {
        pw_account_io_leave_out(programs->obj, powers);
        pw_str_add(&why_not, "block, tcp, syscalls: refused by this kernel. ");
    }
    if (!programs->rodata->have_fetch && drop_fetches(programs->obj) != 0)
        return pw_err_memory(err);
    int failed = load(programs, (knobs->refuses_io && !io_left_out) ||
                                    (knobs->refuses_memory && !memory_left_out));
    if (failed) {
        refuse(-failed, err);
        bool is_wanting = failed == -ENOMEM || failed == -EMFILE || failed == -ENFILE;
        return failed == -EPERM || is_wanting ? -1 : 1;
    }
    snprintf(ret->why_not, sizeof ret->why_not, "%s", why_not.text);
    ret->has_io = !io_left_out;
    return 0;
}

/* Again without what is optional, if that may be the fault. */
static int load_programs(const struct pw_account_options *options,
                         const struct pw_account_knobs *knobs, struct pw_account_bpf **ret_programs,
                         struct pw_account_loaded *ret, struct pw_err *err)
{
    int result = 1;
    for (int attempt = 0; attempt < 3 && result > 0; attempt++) {
        pw_account_bpf__destroy(*ret_programs);
        *err = PW_ERR_INIT; /* of the attempt before */
        result = load_once(options, knobs, attempt >= 1, attempt >= 2, ret_programs, ret, err);
    }
    return result == 0 ? 0 : -1;
}

/* What stays of the programs: the descriptors of maps and links. Borrowed from the skeleton. */
static int find_descriptors(const struct pw_account_bpf *programs, struct pw_account_loaded *ret,
                            struct pw_err *err)
{
    const struct bpf_map *const maps[PW_ACCOUNT_OWN_MAPS] = {
        [PW_ACCOUNT_THREADS] = programs->maps.threads,
        [PW_ACCOUNT_PROCESSES] = programs->maps.processes,
        [PW_ACCOUNT_MMS] = programs->maps.mms,
        [PW_ACCOUNT_SLOTS] = programs->maps.slots,
        [PW_ACCOUNT_WARDENS] = programs->maps.wardens,
        [PW_ACCOUNT_RING] = programs->maps.ring,
        [PW_ACCOUNT_DATA] = programs->maps.data,
    };
    const struct bpf_object_skeleton *skeleton = programs->skeleton;
    for (size_t i = 0; i < PW_ACCOUNT_OWN_MAPS; i++)
        ret->fds[i] = bpf_map__fd(maps[i]);
    ret->count = PW_ACCOUNT_OWN_MAPS;
    struct pw_account_io io;
    if (ret->has_io && pw_account_io_find(programs->obj, &io, err) != 0)
        return -1;
    if (ret->has_io) {
        memcpy(&ret->fds[ret->count], &io, sizeof io);
        ret->count += sizeof io / sizeof(int);
    }
    for (int i = 0; i < skeleton->prog_cnt; i++) {
        const struct bpf_link *link = *skeleton->progs[i].link;
        if (link && ret->count == PW_ACCOUNT_FDS_MAX)
            return pw_err_set(err, PW_ERR_INTERNAL, "more accounting programs than descriptors");
        if (link)
            ret->fds[ret->count++] = bpf_link__fd(link);
    }
    return 0;
}

/* In the process of its own. */
struct reply {
    struct pw_err err;
    struct pw_account_loaded loaded;
};

static void send_reply(int fd, const struct reply *reply)
{
    union {
        char bytes[CMSG_SPACE(PW_ACCOUNT_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec piece = {.iov_base = (void *)reply, .iov_len = sizeof *reply};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    size_t fds_bytes = reply->loaded.count * sizeof(int);
    if (reply->err.cls == PW_ERR_NONE) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fds_bytes);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fds_bytes);
        memcpy(CMSG_DATA(head), reply->loaded.fds, fds_bytes);
    }
    sendmsg(fd, &message, MSG_NOSIGNAL);
}

__attribute__((noreturn)) static void load_and_send(int fd,
                                                    const struct pw_account_options *options,
                                                    const struct pw_account_knobs *knobs)
{
    /* Kernels before 5.11 count maps as locked memory. */
    const struct rlimit most = {RLIM_INFINITY, RLIM_INFINITY};
    struct reply reply = {.err = PW_ERR_INIT};
    struct pw_account_bpf *programs = NULL;
    setrlimit(RLIMIT_MEMLOCK, &most);
    /* What is freed is kept: each new page of a table of types is a fault. */
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    libbpf_set_print(keep_warning);
    if (load_programs(options, knobs, &programs, &reply.loaded, &reply.err) == 0 && programs)
        find_descriptors(programs, &reply.loaded, &reply.err);
    send_reply(fd, &reply);
    _exit(0);
}

/* It may never come: where a thread of the caller's held a lock when the process was made. */
static bool has_reply(int fd)
{
    struct pollfd reply = {.fd = fd, .events = POLLIN};
    int count;
    do
        count = poll(&reply, 1, PATIENCE_MS);
    while (count < 0 && errno == EINTR);
    return count > 0;
}

/* True if the process has sent a reply; its descriptors are then in it, and of this process. */
static bool take_reply(int fd, struct reply *reply)
{
    union {
        char bytes[CMSG_SPACE(PW_ACCOUNT_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec piece = {.iov_base = reply, .iov_len = sizeof *reply};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof *reply)
        return false;
    if (reply->err.cls != PW_ERR_NONE)
        return true;
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    size_t bytes = reply->loaded.count * sizeof(int);
    bool whole = head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(bytes);
    size_t count = head ? (head->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    if (head)
        memcpy(reply->loaded.fds, CMSG_DATA(head), count * sizeof(int));
    reply->loaded.count = (unsigned)count;
    if (!whole) { /* too many open files: only some came */
        pw_account_unload(&reply->loaded);
        pw_err_set(&reply->err, PW_ERR_SYSTEM, "eBPF accounting: too many open files");
        pw_err_remedy(&reply->err, "raise the limit on open files (ulimit -n)");
    }
    return true;
}

void pw_account_unload(struct pw_account_loaded *loaded)
{
    for (unsigned i = 0; i < loaded->count; i++)
        close(loaded->fds[i]);
    loaded->count = 0;
}

int pw_account_load(const struct pw_account_options *options, const struct pw_account_knobs *knobs,
                    struct pw_account_loaded *ret_loaded, struct pw_err *err)
{
    int pair[2];
    struct reply reply = {.err = PW_ERR_INIT};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return pw_err_system(err, errno, "make a socket pair");
    pid_t pid = fork();
    if (pid == 0)
        load_and_send(pair[1], options, knobs);
    int sys = errno;
    close(pair[1]);
    bool replied = pid > 0 && has_reply(pair[0]) && take_reply(pair[0], &reply);
    close(pair[0]);
    int status = 0;
    if (pid > 0 && !replied)
        kill(pid, SIGKILL);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0)
        return pw_err_system(err, sys, "start a process that loads eBPF programs");
    if (!replied) {
        pw_err_set(err, PW_ERR_SYSTEM,
                   "eBPF accounting: the process that loads it did not answer (wait status %d)",
                   status);
        return pw_err_remedy(err, "try again; --accounting cgroup does without it");
    }
    if (reply.err.cls != PW_ERR_NONE) {
        *err = reply.err;
        return -1;
    }
    *ret_loaded = reply.loaded;
    return 0;
}
