/*
 * What the I/O programs of account.bpf.c and user space share: keys and values of their maps.
 * Included by both, so only the kernel's types. Times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_IO_ABI_H
#define PW_PROBE_BPF_ACCOUNT_IO_ABI_H

#include <linux/types.h>

enum {
    IO_REMOTES = 63,        /* endpoints of a slot told apart; with the rest's: 64 */
    IO_BIOS = 16384,        /* requests under way, of all slots */
    IO_SOCKETS = 16384,     /* connections, likewise */
    IO_SYSCALL_KINDS = 512, /* told apart: numbers below */
    IO_SYSCALL_OTHER = -1   /* all others */
};

/* An endpoint, by the slot that connected to it. IPv4 as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2), so
 * that both ways to one endpoint are one. */
struct io_remote_key {
    __u32 slot;
    __u16 port; /* network byte order */
    __u16 zero;
    __u8 address[16];
};

struct io_traffic {
    __u64 sent_bytes, received_bytes, retransmits;
};

struct io_remote {
    __u64 attempts, established, failed; /* pending: what is left of the attempts */
    __u64 connect_ns, longest_connect_ns;
    struct io_traffic traffic;
};

struct io_syscall_key {
    __u32 slot;
    __s32 number;
};

struct io_syscall {
    __u64 count;                /* entered */
    __u64 total_ns, longest_ns; /* of those that came back */
};

/* Of one slot. */
struct io_sums {
    __u64 block_read_bytes, block_written_bytes, block_requests;
    __u64 block_ns, longest_block_ns;
    struct io_remote rest;      /* endpoints beyond IO_REMOTES */
    struct io_traffic accepted; /* of connections that others began */
    __u64 remotes;              /* endpoints told apart */
    /* No room for them: requests without a time, connections without bytes, calls. */
    __u64 lost_bios, lost_sockets, lost_syscalls;
};

/* Under way; keyed by the kernel's address. */
struct io_bio {
    __u64 at_ns;
    __u32 slot;
    __u32 zero;
};

enum io_socket_kind { IO_SOCKET_REMOTE, IO_SOCKET_REST, IO_SOCKET_ACCEPTED };

struct io_socket {
    __u64 at_ns;
    struct io_remote_key key; /* its slot is valid of each kind */
    __u32 kind;               /* enum io_socket_kind: where its sums are */
    __u32 established;
    struct io_traffic counted; /* of this, in the sums */
};

#endif
