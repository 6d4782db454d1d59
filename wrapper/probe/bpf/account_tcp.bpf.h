/*
 * TCP: connections by the remote endpoint that a worker connects to, followed by their sockets'
 * changes of state.
 *
 * An attempt begins when the socket goes to SYN_SENT, in the thread that connects (or sends, with
 * TCP fast open); it is established when it gets to ESTABLISHED, and failed when it gets to CLOSE
 * before: refused, timed out, or given up by the worker. Attempts that do not get that far (no
 * route, no port) send nothing and are not counted. The latency is what the network and both
 * kernels took, whether or not the worker waited.
 *
 * Bytes are payload: sent counts what went out once, without retransmissions; both are read at each
 * change of state, so of a connection that stays open beyond the worker's end only what its last
 * change saw. What is in the send buffer at close still counts when it goes out, as long as the
 * slot is not taken. A socket belongs to the worker that connected it, whoever uses it later.
 * Of connections that the worker accepted the bytes count, in its totals only, from when the worker
 * itself closes or shuts them down; not if the peer reset them.
 */
#ifndef PW_PROBE_BPF_ACCOUNT_TCP_BPF_H
#define PW_PROBE_BPF_ACCOUNT_TCP_BPF_H

#include "wrapper/probe/bpf/account_io.bpf.h"

enum { /* net/tcp_states.h; linux/in.h; linux/socket.h */
       TCP_STATE_ESTABLISHED = 1,
       TCP_STATE_SYN_SENT = 2,
       TCP_STATE_FIN_WAIT1 = 4,
       TCP_STATE_CLOSE = 7,
       TCP_STATE_LAST_ACK = 9,
       TCP_PROTOCOL = 6,
       TCP_FAMILY_IPV4 = 2
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, IO_SOCKETS);
    __type(key, __u64);
    __type(value, struct io_socket);
} io_sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, IO_REMOTES); /* set by user space: times the slots */
    __type(key, struct io_remote_key);
    __type(value, struct io_remote);
} io_remotes SEC(".maps");

static __always_inline void tcp_read_remote(const struct sock *sk, struct io_remote_key *key)
{
    key->port = sk->__sk_common.skc_dport;
    if (sk->__sk_common.skc_family == TCP_FAMILY_IPV4) {
        __u32 daddr = sk->__sk_common.skc_daddr;
        key->address[10] = key->address[11] = 0xff;
        __builtin_memcpy(&key->address[12], &daddr, sizeof(daddr));
    } else if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
        BPF_CORE_READ_INTO(&key->address, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
    }
}

/* The counters of a socket whose state changes, under its lock. The peer's FIN takes a place in the
 * sequence, which tcp_rcv_nxt_update() counts as a received byte. */
static __always_inline struct io_traffic tcp_read_traffic(const struct sock *sk)
{
    const struct tcp_sock *tp = (const void *)sk;
    struct io_traffic traffic = {
        .sent_bytes = BPF_CORE_READ(tp, bytes_sent) - BPF_CORE_READ(tp, bytes_retrans),
        .received_bytes = BPF_CORE_READ(tp, bytes_received),
        .retransmits = BPF_CORE_READ(tp, total_retrans),
    };
    if (traffic.received_bytes && sk->__sk_common.skc_flags >> SOCK_DONE & 1)
        traffic.received_bytes--;
    return traffic;
}

static __always_inline void tcp_add_traffic(struct io_traffic *sum, const struct io_traffic *now,
                                            const struct io_traffic *counted)
{
    add(&sum->sent_bytes, now->sent_bytes - counted->sent_bytes);
    add(&sum->received_bytes, now->received_bytes - counted->received_bytes);
    add(&sum->retransmits, now->retransmits - counted->retransmits);
}

/* The sums of the socket's endpoint; NULL for accepted ones. */
static __always_inline struct io_remote *tcp_remote(const struct io_socket *socket,
                                                    struct io_sums *sums)
{
    if (socket->kind == IO_SOCKET_REMOTE)
        return bpf_map_lookup_elem(&io_remotes, &socket->key);
    return socket->kind == IO_SOCKET_REST ? &sums->rest : NULL;
}

static __always_inline __u32 tcp_make_remote(const struct io_remote_key *key, struct io_sums *sums)
{
    if (bpf_map_lookup_elem(&io_remotes, key))
        return IO_SOCKET_REMOTE;
    if (sums->remotes >= IO_REMOTES)
        return IO_SOCKET_REST;
    const struct io_remote none = {};
    if (bpf_map_update_elem(&io_remotes, key, &none, BPF_NOEXIST) == 0)
        add(&sums->remotes, 1);
    return bpf_map_lookup_elem(&io_remotes, key) ? IO_SOCKET_REMOTE : IO_SOCKET_REST;
}

static __always_inline void tcp_connect_begins(const struct sock *sk)
{
    const struct pw_thread_entry *thread = tracked_current();
    if (!thread)
        return;
    struct io_socket socket = {.at_ns = bpf_ktime_get_ns(), .key = {.slot = thread->slot}};
    struct io_sums *sums = io_sums_of(socket.key.slot);
    if (!sums)
        return;
    tcp_read_remote(sk, &socket.key);
    socket.kind = tcp_make_remote(&socket.key, sums);
    struct io_remote *remote = tcp_remote(&socket, sums);
    if (!remote)
        return;
    add(&remote->attempts, 1);
    __u64 key = (__u64)sk;
    if (bpf_map_update_elem(&io_sockets, &key, &socket, BPF_ANY))
        add(&sums->lost_sockets, 1);
}

/* Somebody's close or shutdown of a connection that was not seen to begin. */
static __always_inline void tcp_accepted_ends(const struct sock *sk)
{
    const struct pw_thread_entry *thread = tracked_current();
    if (!thread)
        return;
    struct io_socket socket = {.key = {.slot = thread->slot}, .kind = IO_SOCKET_ACCEPTED};
    struct io_sums *sums = io_sums_of(socket.key.slot);
    if (!sums)
        return;
    const struct io_traffic none = {};
    socket.counted = tcp_read_traffic(sk);
    tcp_add_traffic(&sums->accepted, &socket.counted, &none);
    __u64 key = (__u64)sk;
    if (bpf_map_update_elem(&io_sockets, &key, &socket, BPF_ANY))
        add(&sums->lost_sockets, 1);
}

static __always_inline void tcp_connect_ends(struct io_socket *socket, struct io_remote *remote,
                                             int state)
{
    if (state == TCP_STATE_ESTABLISHED) {
        __u64 took_ns = bpf_ktime_get_ns() - socket->at_ns;
        socket->established = 1;
        add(&remote->established, 1);
        add(&remote->connect_ns, took_ns);
        raise_to(&remote->longest_connect_ns, took_ns);
    } else if (state == TCP_STATE_CLOSE) {
        add(&remote->failed, 1);
    }
}

SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(pw_tcp_state, const struct sock *sk, int old_state, int state)
{
    if (sk->sk_protocol != TCP_PROTOCOL)
        return 0;
    if (state == TCP_STATE_SYN_SENT) {
        tcp_connect_begins(sk);
        return 0;
    }
    __u64 key = (__u64)sk;
    struct io_socket *socket = bpf_map_lookup_elem(&io_sockets, &key);
    if (!socket) {
        /* Only a close or shutdown leads to these: the current thread is whose it is. */
        if (state == TCP_STATE_FIN_WAIT1 || state == TCP_STATE_LAST_ACK)
            tcp_accepted_ends(sk);
        return 0;
    }
    struct io_sums *sums = io_sums_of(socket->key.slot);
    if (!sums)
        return 0;
    struct io_remote *remote = tcp_remote(socket, sums);
    if (remote && !socket->established)
        tcp_connect_ends(socket, remote, state);
    if (remote || socket->kind == IO_SOCKET_ACCEPTED) {
        struct io_traffic now = tcp_read_traffic(sk);
        tcp_add_traffic(remote ? &remote->traffic : &sums->accepted, &now, &socket->counted);
        socket->counted = now;
    }
    if (state == TCP_STATE_CLOSE)
        bpf_map_delete_elem(&io_sockets, &key);
    return 0;
}

#endif
