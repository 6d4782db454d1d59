#include "wrapper/probe/bpf/account_io.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "wrapper/probe/bpf/account_io_abi.h"

_Static_assert(IO_REMOTES + 1 == PW_LIMIT_KERNEL_REMOTES, "the rest's entry has its place");

enum part { PART_BLOCK, PART_TCP, PART_SYSCALLS, PART_COUNT };

static const char *const part_names[PART_COUNT] = {"block I/O", "TCP", "system calls"};

/* A program, and the form of its tracepoint that it reads: so many arguments, of which the one at
 * `place` is a pointer to a struct of that name. */
struct program {
    enum part part;
    const char *name, *tracepoint;
    unsigned arguments, place;
    const char *type;
    bool alternative; /* to the program before: one of them is needed */
};

static const struct program programs[] = {
    {PART_BLOCK, "pw_bio_queue", "block_bio_queue", 1, 0, "bio", false},
    {PART_BLOCK, "pw_bio_queue_old", "block_bio_queue", 2, 1, "bio", true},
    {PART_BLOCK, "pw_bio_complete", "block_bio_complete", 2, 1, "bio", false},
    {PART_BLOCK, "pw_rq_complete", "block_rq_complete", 3, 0, "request", false},
    {PART_TCP, "pw_tcp_state", "inet_sock_set_state", 3, 0, "sock", false},
    {PART_SYSCALLS, "pw_sys_enter", "sys_enter", 2, 0, "pt_regs", false},
    {PART_SYSCALLS, "pw_sys_exit", "sys_exit", 2, 0, "pt_regs", false},
};
enum { PROGRAMS = sizeof(programs) / sizeof(programs[0]), STEPS_MAX = 1 << 20 };

static const struct btf_type *without_modifiers(const struct btf *kernel, __u32 id)
{
    const struct btf_type *type = btf__type_by_id(kernel, id);
    while (type && (btf_is_mod(type) || btf_is_typedef(type)))
        type = btf__type_by_id(kernel, type->type);
    return type;
}

static const struct btf_type *pointed_to(const struct btf *kernel, __u32 id)
{
    const struct btf_type *type = without_modifiers(kernel, id);
    return type && btf_is_ptr(type) ? without_modifiers(kernel, type->type) : NULL;
}

/* The kernel describes the tracepoint NAME by the type of its callbacks, btf_trace_NAME, whose
 * first argument is the callback's own. */
static bool has_form(const struct btf *kernel, const struct program *program)
{
    char name[64];
    snprintf(name, sizeof(name), "btf_trace_%s", program->tracepoint);
    int id = btf__find_by_name_kind(kernel, name, BTF_KIND_TYPEDEF);
    const struct btf_type *callback = id > 0 ? pointed_to(kernel, (__u32)id) : NULL;
    if (!callback || !btf_is_func_proto(callback) || btf_vlen(callback) != program->arguments + 1) {
        return false;
    }
    const struct btf_param *argument = &btf_params(callback)[program->place + 1];
    const struct btf_type *type = pointed_to(kernel, argument->type);
    return type && btf_is_struct(type) &&
           strcmp(btf__name_by_offset(kernel, type->name_off), program->type) == 0;
}

static int set_entries(struct bpf_object *object, const char *name, unsigned entries,
                       struct pw_err *err)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object, name);
    if (!map)
        return pw_err_set(err, PW_ERR_INTERNAL, "no map %s in the accounting programs", name);
    int failed = bpf_map__set_max_entries(map, entries);
    return failed ? pw_err_system(err, -failed, "size the map %s", name) : 0;
}

static void set_autoload(struct bpf_object *object, const struct program *program, bool load)
{
    struct bpf_program *found = bpf_object__find_program_by_name(object, program->name);
    if (found)
        bpf_program__set_autoload(found, load);
}

static void set_powers(struct pw_kernel_powers *powers, const bool *has)
{
    powers->block = has[PART_BLOCK];
    powers->tcp = has[PART_TCP];
    powers->syscalls = has[PART_SYSCALLS];
}

int pw_account_io_prepare(struct bpf_object *object, const struct btf *kernel, unsigned slots,
                          bool syscalls, struct pw_kernel_powers *powers, struct pw_str *why_not,
                          struct pw_err *err)
{
    unsigned kinds = syscalls ? IO_SYSCALL_KINDS * slots : 1;
    if (set_entries(object, "io_sums", slots, err) != 0 ||
        set_entries(object, "io_remotes", IO_REMOTES * slots, err) != 0 ||
        set_entries(object, "io_syscalls", kinds, err) != 0) {
        return -1;
    }
    bool has[PART_COUNT] = {true, true, syscalls};
    bool formed[PROGRAMS] = {false};
    for (size_t i = 0; i < PROGRAMS; i++) {
        const struct program *program = &programs[i];
        bool before = program->alternative && formed[i - 1];
        bool next = i + 1 < PROGRAMS && programs[i + 1].alternative;
        formed[i] = has[program->part] && !before && has_form(kernel, program);
        if (!has[program->part] || before || next || formed[i])
            continue;
        has[program->part] = false;
        pw_str_add(why_not, part_names[program->part]);
        pw_str_add(why_not, ": this kernel has no tracepoint ");
        pw_str_add(why_not, program->tracepoint);
        pw_str_add(why_not, " of a known form. ");
    }
    for (size_t i = 0; i < PROGRAMS; i++)
        set_autoload(object, &programs[i], formed[i] && has[programs[i].part]);
    set_powers(powers, has);
    return 0;
}

void pw_account_io_leave_out(struct bpf_object *object, struct pw_kernel_powers *powers)
{
    const bool none[PART_COUNT] = {false};
    for (size_t i = 0; i < PROGRAMS; i++)
        set_autoload(object, &programs[i], false);
    set_powers(powers, none);
}

int pw_account_io_find(const struct bpf_object *object, struct pw_account_io *ret_io,
                       struct pw_err *err)
{
    struct pw_account_io io;
    const struct {
        const char *name;
        int *fd;
    } maps[] = {{"io_sums", &io.sums},
                {"io_bios", &io.bios},
                {"io_sockets", &io.sockets},
                {"io_remotes", &io.remotes},
                {"io_syscalls", &io.syscalls}};
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        *maps[i].fd = bpf_object__find_map_fd_by_name(object, maps[i].name);
        if (*maps[i].fd < 0)
            return pw_err_set(err, PW_ERR_INTERNAL, "no map %s in the accounting programs",
                              maps[i].name);
    }
    *ret_io = io;
    return 0;
}

static void add_remote(struct io_remote *sum, const struct io_remote *more)
{
    sum->attempts += more->attempts;
    sum->established += more->established;
    sum->failed += more->failed;
    sum->connect_ns += more->connect_ns;
    if (sum->longest_connect_ns < more->longest_connect_ns)
        sum->longest_connect_ns = more->longest_connect_ns;
    sum->traffic.sent_bytes += more->traffic.sent_bytes;
    sum->traffic.received_bytes += more->traffic.received_bytes;
    sum->traffic.retransmits += more->traffic.retransmits;
}

static void to_remote(const struct io_remote *from, struct pw_kernel_remote *ret)
{
    ret->connects = from->established;
    ret->failed = from->failed;
    /* An attempt is counted before its end, but both are read one after the other. */
    uint64_t ended = from->established + from->failed;
    ret->pending = from->attempts > ended ? from->attempts - ended : 0;
    ret->connect_ns = (int64_t)from->connect_ns;
    ret->longest_connect_ns = (int64_t)from->longest_connect_ns;
    ret->sent_bytes = from->traffic.sent_bytes;
    ret->received_bytes = from->traffic.received_bytes;
    ret->retransmits = from->traffic.retransmits;
}

static void name_remote(const struct io_remote_key *key, struct pw_kernel_remote *ret)
{
    struct in6_addr address;
    memcpy(&address, key->address, sizeof(address));
    if (IN6_IS_ADDR_V4MAPPED(&address))
        inet_ntop(AF_INET, &key->address[12], ret->address, sizeof(ret->address));
    else
        inet_ntop(AF_INET6, &address, ret->address, sizeof(ret->address));
    ret->port = ntohs(key->port);
}

static int by_connects(const void *a, const void *b)
{
    const struct pw_kernel_remote *x = a, *y = b;
    if (x->connects != y->connects)
        return x->connects > y->connects ? -1 : 1;
    if (x->failed != y->failed)
        return x->failed > y->failed ? -1 : 1;
    int order = strcmp(x->address, y->address);
    return order ? order : (int)x->port - (int)y->port;
}

static int by_time(const void *a, const void *b)
{
    const struct pw_kernel_syscall *x = a, *y = b;
    if (x->total_ns != y->total_ns)
        return x->total_ns > y->total_ns ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static void set_tcp_totals(const struct io_sums *sums, struct pw_kernel_account *ret)
{
    ret->tcp_connects = ret->tcp_failed = 0;
    ret->tcp_connect_ns = ret->longest_tcp_connect_ns = 0;
    ret->tcp_sent_bytes = sums->accepted.sent_bytes;
    ret->tcp_received_bytes = sums->accepted.received_bytes;
    ret->tcp_retransmits = sums->accepted.retransmits;
    for (size_t i = 0; i < ret->remote_count; i++) {
        const struct pw_kernel_remote *remote = &ret->remotes[i];
        ret->tcp_connects += remote->connects;
        ret->tcp_failed += remote->failed;
        ret->tcp_connect_ns += remote->connect_ns;
        if (ret->longest_tcp_connect_ns < remote->longest_connect_ns)
            ret->longest_tcp_connect_ns = remote->longest_connect_ns;
        ret->tcp_sent_bytes += remote->sent_bytes;
        ret->tcp_received_bytes += remote->received_bytes;
        ret->tcp_retransmits += remote->retransmits;
    }
}

static int take_remotes(const struct pw_account_io *io, unsigned slot, const struct io_sums *sums,
                        struct pw_kernel_account *ret, struct pw_err *err)
{
    struct pw_kernel_remote *list = calloc(PW_LIMIT_KERNEL_REMOTES, sizeof(*list));
    if (!list)
        return pw_err_memory(err);
    struct io_remote rest = sums->rest, value;
    struct io_remote_key key, *before = NULL;
    size_t count = 0;
    while (bpf_map_get_next_key(io->remotes, before, &key) == 0) {
        before = &key;
        if (key.slot != slot || bpf_map_lookup_elem(io->remotes, &key, &value) != 0)
            continue;
        /* Several CPUs at once may have told apart a few more than there is room for. */
        if (count == IO_REMOTES) {
            add_remote(&rest, &value);
            continue;
        }
        name_remote(&key, &list[count]);
        to_remote(&value, &list[count++]);
    }
    qsort(list, count, sizeof(*list), by_connects);
    if (rest.attempts) {
        strcpy(list[count].address, "*");
        to_remote(&rest, &list[count++]);
    }
    ret->remotes = list;
    ret->remote_count = count;
    set_tcp_totals(sums, ret);
    return 0;
}

static int take_syscalls(const struct pw_account_io *io, unsigned slot, const struct io_sums *sums,
                         struct pw_kernel_account *ret, struct pw_err *err)
{
    struct pw_kernel_syscall *list = calloc(IO_SYSCALL_KINDS + 1, sizeof(*list));
    if (!list)
        return pw_err_memory(err);
    struct io_syscall_key key, *before = NULL;
    struct io_syscall value;
    size_t count = 0;
    uint64_t calls = sums->lost_syscalls;
    while (count <= IO_SYSCALL_KINDS && bpf_map_get_next_key(io->syscalls, before, &key) == 0) {
        before = &key;
        if (key.slot != slot || bpf_map_lookup_elem(io->syscalls, &key, &value) != 0)
            continue;
        calls += value.count;
        struct pw_kernel_syscall *kind = &list[count];
        kind->number = key.number;
        kind->count = value.count;
        kind->total_ns = (int64_t)value.total_ns;
        kind->longest_ns = (int64_t)value.longest_ns;
        count++;
    }
    qsort(list, count, sizeof(*list), by_time);
    ret->syscalls = calls;
    ret->slowest = list;
    ret->slowest_count = count < PW_LIMIT_KERNEL_SYSCALLS ? count : PW_LIMIT_KERNEL_SYSCALLS;
    return 0;
}

int pw_account_io_take(const struct pw_account_io *io, unsigned slot, struct pw_kernel_account *ret,
                       struct pw_err *err)
{
    struct io_sums sums;
    __u32 key = slot;
    if (bpf_map_lookup_elem(io->sums, &key, &sums) != 0)
        return pw_err_system(err, errno, "read the I/O sums of slot %u", slot);
    if (ret->powers.block) {
        ret->block_read_bytes = sums.block_read_bytes;
        ret->block_written_bytes = sums.block_written_bytes;
        ret->block_requests = sums.block_requests;
        ret->block_ns = (int64_t)sums.block_ns;
        ret->longest_block_ns = (int64_t)sums.longest_block_ns;
    }
    if (ret->powers.tcp && take_remotes(io, slot, &sums, ret, err) != 0)
        return -1;
    if (ret->powers.syscalls && take_syscalls(io, slot, &sums, ret, err) != 0)
        return -1;
    ret->lost += sums.lost_bios + sums.lost_sockets + sums.lost_syscalls;
    return 0;
}

/* Where entries of a map name their slot. */
struct owned {
    int map;
    bool in_value;
    size_t offset;
};

static bool is_owned(const struct owned *owned, const void *key, unsigned slot)
{
    union {
        struct io_bio bio;
        struct io_socket socket;
    } value;
    const unsigned char *from = key;
    if (owned->in_value) {
        if (bpf_map_lookup_elem(owned->map, key, &value) != 0)
            return false;
        from = (const unsigned char *)&value;
    }
    __u32 owner;
    memcpy(&owner, from + owned->offset, sizeof(owner));
    return owner == slot;
}

/* Other slots' entries come and go meanwhile: if the one goes from which the next is asked for, the
 * kernel begins with the first again, hence the bound. */
static void drop_entries(const struct owned *owned, unsigned slot)
{
    union {
        struct io_remote_key remote;
        struct io_syscall_key syscall;
        __u64 address;
    } keys[2];
    void *before = NULL;
    unsigned at = 0;
    for (size_t steps = 0; steps < STEPS_MAX; steps++) {
        if (bpf_map_get_next_key(owned->map, before, &keys[at]) != 0)
            return;
        if (is_owned(owned, &keys[at], slot)) {
            bpf_map_delete_elem(owned->map, &keys[at]);
            continue; /* from the same place */
        }
        before = &keys[at];
        at = !at;
    }
}

void pw_account_io_forget(const struct pw_account_io *io, unsigned slot)
{
    const struct owned all[] = {
        {io->bios, true, offsetof(struct io_bio, slot)},
        {io->sockets, true, offsetof(struct io_socket, key.slot)},
        {io->remotes, false, offsetof(struct io_remote_key, slot)},
        {io->syscalls, false, offsetof(struct io_syscall_key, slot)},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        drop_entries(&all[i], slot);
    const struct io_sums none = {0};
    const __u32 key = slot;
    bpf_map_update_elem(io->sums, &key, &none, BPF_ANY);
}
