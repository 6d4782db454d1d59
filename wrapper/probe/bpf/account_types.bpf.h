/*
 * The kernel's structures as far as the accounting programs read them. Nothing here says where a
 * field is: preserve_access_index lets libbpf look it up in the running kernel's BTF when the
 * programs are loaded (CO-RE), so only names and kinds matter. What follows `___` in a name is not
 * part of it: a flavor, for kernels in which the same structure looks otherwise.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_TYPES_BPF_H
#define PW_PROBE_BPF_ACCOUNT_TYPES_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <linux/bpf.h>
#include <stdbool.h>

#define PW_KERNEL_TYPE __attribute__((preserve_access_index))

typedef struct {
    int counter;
} PW_KERNEL_TYPE atomic_t;

struct ns_common {
    unsigned int inum;
} PW_KERNEL_TYPE;

struct pid_namespace {
    struct ns_common ns;
} PW_KERNEL_TYPE;

struct upid {
    int nr;
    struct pid_namespace *ns;
} PW_KERNEL_TYPE;

struct pid {
    unsigned int level;
    struct upid numbers[1];
} PW_KERNEL_TYPE;

struct signal_struct {
    atomic_t live;
    int group_exit_code;
    unsigned int flags;
    unsigned long maxrss; /* pages */
} PW_KERNEL_TYPE;

struct task_io_accounting {
    __u64 rchar, wchar, read_bytes, write_bytes;
} PW_KERNEL_TYPE;

struct sched_entity {
    __u64 sum_exec_runtime;
} PW_KERNEL_TYPE;

struct percpu_counter {
    __s64 count;
    __s32 *counters;
} PW_KERNEL_TYPE;

struct mm_struct {
    unsigned long hiwater_rss;
    struct percpu_counter rss_stat[4]; /* since 6.2 */
} PW_KERNEL_TYPE;

struct mm_struct___old {
    struct mm_rss_stat {
        struct {
            long counter;
        } count[4];
    } PW_KERNEL_TYPE rss_stat;
} PW_KERNEL_TYPE;

struct bpf_array {
    void *pptrs[1];
} PW_KERNEL_TYPE;

struct inode {
    unsigned short i_mode;
} PW_KERNEL_TYPE;

struct file {
    struct inode *f_inode;
} PW_KERNEL_TYPE;

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
} PW_KERNEL_TYPE;

struct files_struct {
    struct fdtable *fdt;
} PW_KERNEL_TYPE;

struct task_struct {
    unsigned int __state; /* since 5.14 */
    int pid, tgid;
    int exit_code, exit_signal;
    unsigned int in_iowait : 1;
    struct sched_entity se;
    struct mm_struct *mm;
    struct pid *thread_pid;
    struct task_struct *group_leader;
    unsigned long nvcsw, nivcsw, min_flt, maj_flt;
    char comm[16];
    struct files_struct *files;
    struct signal_struct *signal;
    struct task_io_accounting ioac;
} PW_KERNEL_TYPE;

#if defined(__TARGET_ARCH_arm64)
struct pt_regs___kernel {
    __u64 regs[31];
    __s32 syscallno;
} PW_KERNEL_TYPE;
#else
struct pt_regs___kernel {
    unsigned long di, orig_ax;
} PW_KERNEL_TYPE;
#endif

struct task_struct___old {
    long state;
} PW_KERNEL_TYPE;

struct linux_binprm;

#endif
