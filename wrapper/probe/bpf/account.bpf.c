/*
 * Exact accounting of workers' process trees: the kernel's side. See account.h for the whole,
 * account_task.bpf.h for the tree. One object, so that all parts share the map of threads.
 */
#include "wrapper/probe/bpf/account_block.bpf.h"
#include "wrapper/probe/bpf/account_syscall.bpf.h"
#include "wrapper/probe/bpf/account_task.bpf.h"
#include "wrapper/probe/bpf/account_tcp.bpf.h"
#include "wrapper/probe/bpf/account_types.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";
