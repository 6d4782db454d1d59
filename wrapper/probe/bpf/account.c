#include "wrapper/probe/bpf/account.h"

#include <account.skel.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "core/str.h"
#include "wrapper/probe/bpf/account_impl.h"

enum { RING_BYTES = 2 << 20 };

/* libbpf's last warning, since its functions tell no more than an errno. */
static __thread char last_warning[160];

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

static void find_powers(struct pw_account *account, const struct btf *kernel,
                        const struct pw_account_knobs *knobs, struct pw_str *why_not)
{
    struct pw_kernel_powers *powers = &account->powers;
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

    struct pw_account_bpf *programs = account->programs;
    programs->rodata->have_fetch = fetch;
    programs->rodata->have_reasons = powers->reasons;
    programs->rodata->have_percpu_lookup =
        kernel_has_helper(kernel, "BPF_FUNC_map_lookup_percpu_elem");
    bpf_program__set_autoload(programs->progs.on_wakeup, powers->waits);
    bpf_program__set_autoload(programs->progs.on_rss_stat, powers->memory);
}

static int set_sizes(struct pw_account *account, const struct pw_account_knobs *knobs,
                     struct pw_err *err)
{
    struct pw_account_bpf *programs = account->programs;
    unsigned threads = knobs->threads ? knobs->threads : PW_LIMIT_KERNEL_THREADS;
    unsigned ring_bytes = knobs->ring_bytes ? knobs->ring_bytes : RING_BYTES;
    struct stat namespace;
    int cpus = libbpf_num_possible_cpus();

    if (stat("/proc/self/ns/pid", &namespace) != 0)
        return pw_err_system(err, errno, "stat `/proc/self/ns/pid`");
    bpf_map__set_max_entries(programs->maps.threads, threads);
    bpf_map__set_max_entries(programs->maps.processes, threads);
    bpf_map__set_max_entries(programs->maps.mms, threads);
    bpf_map__set_max_entries(programs->maps.slots, account->slot_count);
    bpf_map__set_max_entries(programs->maps.ring, ring_bytes);
    programs->rodata->ring_bytes = ring_bytes;
    programs->rodata->own_pid_namespace = (unsigned)namespace.st_ino;
    programs->rodata->cpus = cpus > 0 ? (unsigned)cpus : 1;
    pw_account_fill_waits((unsigned char *)programs->rodata->wait_of_syscall);
    return 0;
}

static int load(struct pw_account_bpf *programs)
{
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
    pw_err_system(err, sys, "eBPF accounting");
    if (last_warning[0] != '\0')
        pw_err_set(err, PW_ERR_SYSTEM, "eBPF accounting: %s (%s)", strerror(sys), last_warning);
    pw_err_errno(err, sys);
    if (sys == EPERM || sys == EACCES) {
        if (geteuid() == 0 && is_locked_down())
            return pw_err_remedy(err, "the kernel is locked down (lockdown=confidentiality)");
        return pw_err_remedy(err, "run as root, or with CAP_BPF and CAP_PERFMON");
    }
    if (sys == ENOMEM || sys == E2BIG)
        return pw_err_remedy(err, "raise the limit of locked memory (ulimit -l) or of the cgroup");
    return -1;
}

/* One attempt; what `left_out` names is not loaded. */
static int open_once(struct pw_account *account, const struct pw_account_options *options,
                     const struct pw_account_knobs *knobs, const struct btf *kernel,
                     bool io_left_out, bool memory_left_out, struct pw_err *err)
{
    PW_STR_AUTO why_not = PW_STR_INIT;
    account->powers = (struct pw_kernel_powers){0};
    account->programs = pw_account_bpf__open();
    if (!account->programs)
        return refuse(errno, err);
    struct bpf_object *object = account->programs->obj;
    find_powers(account, kernel, knobs, &why_not);
    if (memory_left_out) {
        account->powers.memory = false;
        bpf_program__set_autoload(account->programs->progs.on_rss_stat, false);
        pw_str_add(&why_not, "memory: refused by this kernel. ");
    }
    if (set_sizes(account, knobs, err) != 0 ||
        pw_account_io_prepare(object, kernel, account->slot_count, options->syscalls,
                              &account->powers, &why_not, err) != 0) {
        return -1;
    }
    if (io_left_out) {
        pw_account_io_leave_out(object, &account->powers);
        pw_str_add(&why_not, "block, tcp, syscalls: refused by this kernel. ");
    }
    if (!account->programs->rodata->have_fetch && drop_fetches(object) != 0)
        return pw_err_memory(err);
    int failed = load(account->programs);
    if (failed)
        return refuse(-failed, err);
    snprintf(account->why_not, sizeof account->why_not, "%s", why_not.text);
    account->has_io = !io_left_out;
    return account->has_io ? pw_account_io_find(object, &account->io, err) : 0;
}

/* Again without what is optional, if that may be the fault. */
static int open_programs(struct pw_account *account, const struct pw_account_options *options,
                         const struct pw_account_knobs *knobs, struct pw_err *err)
{
    struct btf *kernel = btf__load_vmlinux_btf();
    if (!kernel) {
        pw_err_system(err, errno, "the kernel tells no types of its own (/sys/kernel/btf/vmlinux)");
        return pw_err_remedy(err, "eBPF accounting needs Linux 5.8 with CONFIG_DEBUG_INFO_BTF");
    }
    int result = -1;
    for (int attempt = 0; attempt < 3 && result != 0; attempt++) {
        pw_account_bpf__destroy(account->programs);
        account->programs = NULL;
        result = open_once(account, options, knobs, kernel, attempt >= 1, attempt >= 2, err);
        if (result != 0 && (err->sys == EPERM || err->sys == ENOMEM))
            break;
    }
    btf__free(kernel);
    return result;
}

int pw_account_open_as(const struct pw_account_options *options,
                       const struct pw_account_knobs *knobs, struct pw_account **ret_account,
                       struct pw_err *err)
{
    struct pw_err own = PW_ERR_INIT;
    err = err ? err : &own;
    if (options->slots == 0 || options->slots > PW_BPF_SLOTS_MAX)
        return pw_err_set(err, PW_ERR_INTERNAL, "eBPF accounting of %u workers", options->slots);
    libbpf_set_print(keep_warning);
    struct pw_account *account = calloc(1, sizeof *account);
    if (!account)
        return pw_err_memory(err);
    account->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    account->slot_count = options->slots;
    account->slots = calloc(options->slots, sizeof *account->slots);
    if (!account->slots) {
        pw_account_close(account);
        return pw_err_memory(err);
    }
    /* Kernels before 5.11 count maps as locked memory. The limit is inherited by children, so it is
     * put back. */
    const struct rlimit most = {RLIM_INFINITY, RLIM_INFINITY};
    struct rlimit before;
    bool known = getrlimit(RLIMIT_MEMLOCK, &before) == 0;
    bool raised = known && setrlimit(RLIMIT_MEMLOCK, &most) == 0;
    int opened = open_programs(account, options, knobs, err);
    if (raised)
        setrlimit(RLIMIT_MEMLOCK, &before);
    if (opened != 0 || !account->programs) {
        pw_account_close(account);
        return -1;
    }
    account->ring =
        ring_buffer__new(bpf_map__fd(account->programs->maps.ring), pw_account_keep, account, NULL);
    if (!account->ring) {
        refuse(errno, err);
        pw_account_close(account);
        return -1;
    }
    *ret_account = account;
    return 0;
}

int pw_account_open(const struct pw_account_options *options, struct pw_account **ret_account,
                    struct pw_err *err)
{
    const struct pw_account_knobs usual = {0};
    return pw_account_open_as(options, &usual, ret_account, err);
}

void pw_account_close(struct pw_account *account)
{
    if (!account)
        return;
    ring_buffer__free(account->ring);
    pw_account_bpf__destroy(account->programs);
    for (unsigned i = 0; account->slots && i < account->slot_count; i++)
        free(account->slots[i].ended);
    free(account->slots);
    free(account);
}

const struct pw_kernel_powers *pw_account_powers(const struct pw_account *account)
{
    return &account->powers;
}

const char *pw_account_why_not(const struct pw_account *account)
{
    return account->why_not;
}
