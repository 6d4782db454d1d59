#include "wrapper/probe/powers_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "core/file.h"

#define BTF_PATH "kernel/btf/vmlinux"
#define TRACEPOINT "sched_process_exit"
/* Kinds that older uapi headers lack. */
enum { KIND_FLOAT = 16, KIND_DECL_TAG = 17, KIND_TYPE_TAG = 18, KIND_ENUM64 = 19 };
enum { ENUM64_BYTES = 12, BTF_MOST_BYTES = 64 << 20 };

void pw_power_probe_btf(const struct pw_power_machine *machine, struct pw_power *power)
{
    struct btf_header header;
    struct stat stat;
    PW_FD_AUTO fd = openat(machine->sys_fd, BTF_PATH, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, &header, sizeof header);

    if (length < 0 || fstat(fd, &stat) != 0)
        pw_power_say_refusal(power, errno);
    else if (length < (ssize_t)sizeof header || header.magic != BTF_MAGIC)
        pw_power_say(power, PW_POWER_ABSENT, "it does not hold the kernel's types");
    else if (header.version != BTF_VERSION)
        pw_power_say(power, PW_POWER_ABSENT, "version %u, not %d", header.version, BTF_VERSION);
    else
        pw_power_say(power, PW_POWER_OK, "version 1, %lld KiB", (long long)stat.st_size / 1024);
}

static int call_bpf(enum bpf_cmd command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

/* `return 0` on the end of a process, attached for a moment. `tracepoint` is the raw tracepoint,
 * for which no tracefs is needed; NULL: the program itself says where, by its BTF id. */
static void try_program(union bpf_attr *attr, const char *tracepoint, struct pw_power *power)
{
    static const char license[] = "GPL";
    const struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT},
    };

    attr->insns = (uintptr_t)program;
    attr->insn_cnt = sizeof program / sizeof *program;
    attr->license = (uintptr_t)license;
    PW_FD_AUTO loaded = call_bpf(BPF_PROG_LOAD, attr);
    if (loaded < 0) {
        pw_power_say_refusal(power, errno);
        return;
    }
    memset(attr, 0, sizeof *attr);
    attr->raw_tracepoint.name = (uintptr_t)tracepoint;
    attr->raw_tracepoint.prog_fd = (uint32_t)loaded;
    PW_FD_AUTO attached = call_bpf(BPF_RAW_TRACEPOINT_OPEN, attr);
    if (attached < 0)
        pw_power_say(power, errno == EPERM || errno == EACCES ? PW_POWER_DENIED : PW_POWER_LIMITED,
                     "a program loads, but cannot be attached: %s", strerror(errno));
    else
        pw_power_say(power, PW_POWER_OK, "a program was attached to " TRACEPOINT);
}

void pw_power_probe_tracepoints(const struct pw_power_machine *machine, struct pw_power *power)
{
    union bpf_attr attr;

    (void)machine;
    memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
    try_program(&attr, TRACEPOINT, power);
}

/* Bytes behind a type of this kind. Documentation/bpf/btf.rst. -1: a kind not known here. */
static int64_t bytes_behind(uint32_t info)
{
    int64_t count = BTF_INFO_VLEN(info);

    switch (BTF_INFO_KIND(info)) {
    case BTF_KIND_INT: return sizeof(uint32_t);
    case BTF_KIND_ARRAY: return sizeof(struct btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: return count * (int64_t)sizeof(struct btf_member);
    case BTF_KIND_ENUM: return count * (int64_t)sizeof(struct btf_enum);
    case BTF_KIND_FUNC_PROTO: return count * (int64_t)sizeof(struct btf_param);
    case BTF_KIND_VAR: return sizeof(struct btf_var);
    case BTF_KIND_DATASEC: return count * (int64_t)sizeof(struct btf_var_secinfo);
    case KIND_DECL_TAG: return sizeof(uint32_t);
    case KIND_ENUM64: return count * (int64_t)ENUM64_BYTES;
    case BTF_KIND_PTR:
    case BTF_KIND_FWD:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC:
    case KIND_FLOAT:
    case KIND_TYPE_TAG: return 0;
    default: return -1;
    }
}

/* The number of the typedef `name`; 0: there is none, or the types cannot be read. */
static uint32_t find_typedef(const char *bytes, size_t size, const char *name)
{
    struct btf_header header;
    struct btf_type type;
    uint32_t id = 1;

    if (size < sizeof header)
        return 0;
    memcpy(&header, bytes, sizeof header);
    uint64_t at = (uint64_t)header.hdr_len + header.type_off, end = at + header.type_len;
    uint64_t names = (uint64_t)header.hdr_len + header.str_off, names_end = names + header.str_len;
    if (header.magic != BTF_MAGIC || end > size || names_end > size)
        return 0;
    for (; at + sizeof type <= end; id++) {
        memcpy(&type, bytes + at, sizeof type);
        uint64_t name_at = names + type.name_off;
        size_t length = strlen(name) + 1;
        if (BTF_INFO_KIND(type.info) == BTF_KIND_TYPEDEF && name_at + length <= names_end &&
            memcmp(bytes + name_at, name, length) == 0)
            return id;
        int64_t behind = bytes_behind(type.info);
        if (behind < 0)
            return 0;
        at += sizeof type + (uint64_t)behind;
    }
    return 0;
}

void pw_power_probe_tp_btf(const struct pw_power_machine *machine, struct pw_power *power)
{
    PW_FD_AUTO fd = openat(machine->sys_fd, BTF_PATH, O_RDONLY | O_CLOEXEC);
    PW_FREE_AUTO char *bytes = NULL;
    size_t size = 0;
    union bpf_attr attr;

    if (fd < 0) {
        pw_power_say_refusal(power, errno);
        return;
    }
    uint32_t id = 0;
    if (pw_fd_read_all(fd, BTF_PATH, BTF_MOST_BYTES, &bytes, &size, NULL) == 0)
        id = find_typedef(bytes, size, "btf_trace_" TRACEPOINT);
    if (id == 0) {
        pw_power_say(power, PW_POWER_ABSENT, "the kernel's types lack btf_trace_" TRACEPOINT);
        return;
    }
    memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_TRACING;
    attr.expected_attach_type = BPF_TRACE_RAW_TP;
    attr.attach_btf_id = id;
    try_program(&attr, NULL, power);
}

void pw_power_probe_ring_buffer(const struct pw_power_machine *machine, struct pw_power *power)
{
    union bpf_attr attr;

    (void)machine;
    memset(&attr, 0, sizeof attr);
    attr.map_type = BPF_MAP_TYPE_RINGBUF;
    attr.max_entries = (uint32_t)sysconf(_SC_PAGESIZE);
    PW_FD_AUTO fd = call_bpf(BPF_MAP_CREATE, &attr);
    if (fd >= 0)
        pw_power_say(power, PW_POWER_OK, "one was made");
    else if (errno == EINVAL)
        pw_power_say(power, PW_POWER_ABSENT, "this kernel has none (Linux 5.8 and later do)");
    else
        pw_power_say_refusal(power, errno);
}
