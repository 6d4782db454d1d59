/*
 * The kernel's structures as far as the I/O programs read them, relocated to the running kernel's
 * by libbpf (CO-RE). Members of the kernel's nameless unions are found by their names. A name's
 * part from ___ on is ignored: these stand beside other declarations of the same structure.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_IO_TYPES_BPF_H
#define PW_PROBE_BPF_ACCOUNT_IO_TYPES_BPF_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct task_struct___io {
    void *bio_list; /* set while a block driver's submission runs */
};

struct bvec_iter {
    unsigned int bi_size;
};

struct bio {
    struct bio *bi_next;
    unsigned int bi_opf;
    struct bvec_iter bi_iter;
};

struct request {
    struct bio *bio;
};

struct in6_addr___io {
    union {
        __u8 u6_addr8[16];
    } in6_u;
};

struct sock_common {
    __u32 skc_daddr;
    __u16 skc_dport;
    unsigned short skc_family;
    struct in6_addr___io skc_v6_daddr; /* only with CONFIG_IPV6 */
    unsigned long skc_flags;
};

struct sock {
    struct sock_common __sk_common;
    __u16 sk_protocol;
};

struct tcp_sock {
    __u64 bytes_sent, bytes_retrans, bytes_received;
    __u32 total_retrans;
};

enum sock_flags___io { SOCK_DONE = 1 }; /* the peer's FIN was received */

#pragma clang attribute pop

#endif
