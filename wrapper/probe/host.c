#include "wrapper/probe/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "core/file.h"
#include "core/json.h"
#include "core/value.h"
#include "wrapper/probe/host_cgroup.h"
#include "wrapper/probe/proc_file.h"

enum { LINE_BYTES = 256, TEXT_BYTES = 16384, KVM_API_VERSION_WANTED = 12 };

struct host {
    const char *proc_root;
    int proc_fd, sys_fd; /* the folders, for openat(2) */
    json_t *root;
    bool failed;
};

static void put(struct host *host, const char *key, json_t *value)
{
    pw_json_put(host->root, key, value, &host->failed);
}

static void put_number(struct host *host, const char *key, double number, bool is_known,
                       bool integer)
{
    struct pw_value value =
        is_known ? pw_value_of(number) : pw_value_absent(PW_ABSENT_NOT_SUPPORTED);

    put(host, key, pw_json_number(value, integer));
}

/* The first line of a small file, or NULL; `line` is LINE_BYTES large. */
static const char *read_line(int dir_fd, const char *path, char *line)
{
    if (pw_proc_text_read(dir_fd, path, line, LINE_BYTES) <= 0)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return *line != '\0' ? line : NULL;
}

/* Returns where the number ends, or NULL if there is none. */
static const char *parse_number(const char *text, double *ret_number)
{
    char *end;
    double number = text == NULL ? 0 : strtod(text, &end);

    if (text == NULL || end == text)
        return NULL;
    *ret_number = number;
    return end;
}

static void put_line(struct host *host, const char *key, int dir_fd, const char *path)
{
    char line[LINE_BYTES];

    put(host, key, pw_json_string_or_null(read_line(dir_fd, path, line)));
}

/* The number of CPUs in a list such as "0-3,8", as the kernel writes them; 0 if it is none. */
static long count_cpus(const char *list)
{
    long count = 0;

    while (list != NULL && *list >= '0' && *list <= '9') {
        char *end;
        long first = strtol(list, &end, 10), last = first;
        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        if (last < first)
            return 0;
        count += last - first + 1;
        list = *end == ',' ? end + 1 : NULL;
    }
    return count;
}

/* A copy of what a line of /proc says behind its name, without the rest of the text. */
static const char *copy_value(const char *text, const char *name, char *line)
{
    const char *value = pw_proc_line_find(text, name);

    if (value == NULL)
        return NULL;
    snprintf(line, LINE_BYTES, "%.*s", (int)strcspn(value, "\n"), value);
    return line;
}

static void put_cpu(struct host *host, const char *cpuinfo)
{
    char line[LINE_BYTES], text[TEXT_BYTES];
    double mhz = 0;
    const char *allowed = NULL;

    put(host, "cpu_model", pw_json_string_or_null(copy_value(cpuinfo, "model name", line)));
    long online = count_cpus(read_line(host->sys_fd, "devices/system/cpu/online", line));
    put_number(host, "cpu_count", (double)online, online > 0, true);
    if (pw_proc_text_read(host->proc_fd, "self/status", text, sizeof text) > 0)
        allowed = copy_value(text, "Cpus_allowed_list", line);
    long usable = count_cpus(allowed);
    put_number(host, "cpu_allowed", (double)usable, usable > 0, true);
    put_line(host, "cpu_governor", host->sys_fd,
             "devices/system/cpu/cpu0/cpufreq/scaling_governor");
    bool has_mhz = parse_number(pw_proc_line_find(cpuinfo, "cpu MHz"), &mhz) != NULL;
    if (!has_mhz) {
        const char *path = "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"; /* kHz */
        has_mhz = parse_number(read_line(host->sys_fd, path, line), &mhz) != NULL;
        mhz /= 1000;
    }
    put_number(host, "cpu_mhz", mhz, has_mhz, false);
}

static void put_memory(struct host *host)
{
    static const struct {
        const char *key, *name;
    } rows[] = {{"memory_total_mb", "MemTotal"},
                {"memory_available_mb", "MemAvailable"},
                {"swap_total_mb", "SwapTotal"}};
    char text[TEXT_BYTES] = "";

    (void)pw_proc_text_read(host->proc_fd, "meminfo", text, sizeof text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double kib = 0;
        bool is_known = parse_number(pw_proc_line_find(text, rows[i].name), &kib) != NULL;
        put_number(host, rows[i].key, kib / 1024, is_known, false);
    }
}

static void put_load(struct host *host)
{
    static const char *const keys[] = {"load_1m", "load_5m", "load_15m"};
    char line[LINE_BYTES];
    const char *text = read_line(host->proc_fd, "loadavg", line);

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        double load = 0;
        text = parse_number(text, &load);
        put_number(host, keys[i], load, text != NULL, false);
    }
}

/* Of "always [madvise] never" the one in brackets. */
static void put_hugepage(struct host *host)
{
    char line[LINE_BYTES];
    const char *text = read_line(host->sys_fd, "kernel/mm/transparent_hugepage/enabled", line);
    char *begin = text == NULL ? NULL : strchr(line, '[');

    if (begin != NULL) {
        begin++;
        begin[strcspn(begin, "]")] = '\0';
    }
    put(host, "transparent_hugepage", pw_json_string_or_null(begin));
}

/* Whether the kernel merges equal pages of those that offer them, as machine monitors do: 0 no, 1
 * yes, 2 no and merged ones were parted. */
static void put_ksm(struct host *host)
{
    char line[LINE_BYTES];
    double run = 0;
    const char *text = read_line(host->sys_fd, "kernel/mm/ksm/run", line);

    text = parse_number(text, &run);
    put_number(host, "ksm", run, text != NULL, true);
}

static const char *power_name(int sys)
{
    if (sys == 0)
        return "available";
    return sys == EPERM || sys == EACCES ? "no_permission" : "not_supported";
}

/* Loads, and lets go, a tracing program that does nothing: `return 0`. */
static int try_bpf(void)
{
    static const char license[] = "GPL";
    const struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attr;

    memset(&attr, 0, sizeof attr);
    attr.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
    attr.insns = (uintptr_t)program;
    attr.insn_cnt = sizeof program / sizeof *program;
    attr.license = (uintptr_t)license;
    PW_FD_AUTO fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    return fd >= 0 ? 0 : errno;
}

static void put_powers(struct host *host)
{
    char line[LINE_BYTES];
    double paranoid = 0;
    int sys = try_bpf();

    /* Without the kernel's types no program can follow its structures. */
    if (sys == 0 && faccessat(host->sys_fd, "kernel/btf/vmlinux", R_OK, 0) != 0)
        sys = errno;
    put(host, "ebpf", json_string(power_name(sys)));
    const char *text = read_line(host->proc_fd, "sys/kernel/perf_event_paranoid", line);
    bool is_known = parse_number(text, &paranoid) != NULL;
    put_number(host, "perf_event_paranoid", paranoid, is_known, true);
    PW_FD_AUTO kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    sys = kvm >= 0 ? 0 : errno;
    if (kvm >= 0 && ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION_WANTED)
        sys = ENOTSUP;
    put(host, "kvm", json_string(power_name(sys)));
}

/* The name that the container's maker left: in a file, or in the environment of process 1. */
static const char *container_name(struct host *host, const char *cgroup_path, char *line)
{
    static const struct {
        const char *part, *name;
    } cgroups[] = {{"kubepods", "kubernetes"},
                   {"docker", "docker"},
                   {"libpod", "podman"},
                   {"containerd", "containerd"},
                   {"/lxc", "lxc"}};
    static const char key[] = "container=";
    char text[TEXT_BYTES];
    ssize_t length = pw_proc_text_read(host->proc_fd, "1/environ", text, sizeof text);

    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(text + at) + 1) {
        if (strncmp(text + at, key, strlen(key)) == 0 && text[at + (ssize_t)strlen(key)] != '\0') {
            snprintf(line, LINE_BYTES, "%.*s", LINE_BYTES - 1, text + at + strlen(key));
            return line;
        }
    }
    if (read_line(host->proc_fd, "self/root/run/systemd/container", line) != NULL)
        return line;
    if (faccessat(host->proc_fd, "self/root/run/.containerenv", F_OK, 0) == 0)
        return "podman";
    if (faccessat(host->proc_fd, "self/root/.dockerenv", F_OK, 0) == 0)
        return "docker";
    for (size_t i = 0; cgroup_path != NULL && i < sizeof cgroups / sizeof *cgroups; i++) {
        if (strstr(cgroup_path, cgroups[i].part) != NULL)
            return cgroups[i].name;
    }
    return NULL;
}

/* True if the CPU's flags have `hypervisor`, which x86 keeps for virtual machines. */
static bool has_hypervisor_flag(const char *cpuinfo)
{
    const char *flags = pw_proc_line_find(cpuinfo, "flags");
    const char *found = flags == NULL ? NULL : strstr(flags, " hypervisor");

    return found != NULL && found < flags + strcspn(flags, "\n");
}

static const char *virtualization_name(struct host *host, const char *cpuinfo)
{
    /* Parts of what the firmware says; NULL: anything. */
    static const struct {
        const char *vendor, *product, *name;
    } makers[] = {
        {"QEMU", NULL, "qemu"},
        {NULL, "KVM", "kvm"},
        {NULL, "OpenStack", "openstack"},
        {"VMware", NULL, "vmware"},
        {"innotek", NULL, "virtualbox"},
        {NULL, "VirtualBox", "virtualbox"},
        {"Xen", NULL, "xen"},
        {"Microsoft Corporation", "Virtual Machine", "hyper-v"},
        {"Parallels", NULL, "parallels"},
        {"Bochs", NULL, "bochs"},
        {NULL, "Google Compute Engine", "google compute engine"},
        {"Amazon EC2", NULL, "amazon ec2"},
        {NULL, "BHYVE", "bhyve"},
        {"Apple Inc.", "Apple Virtualization", "apple"},
    };
    char vendor[LINE_BYTES] = "", product[LINE_BYTES] = "", type[LINE_BYTES];

    (void)read_line(host->sys_fd, "class/dmi/id/sys_vendor", vendor);
    (void)read_line(host->sys_fd, "class/dmi/id/product_name", product);
    /* Clouds rent whole machines too, under such names. */
    bool is_metal = strstr(product, ".metal") != NULL;
    for (size_t i = 0; !is_metal && i < sizeof makers / sizeof *makers; i++) {
        if ((makers[i].vendor == NULL || strstr(vendor, makers[i].vendor) != NULL) &&
            (makers[i].product == NULL || strstr(product, makers[i].product) != NULL))
            return makers[i].name;
    }
    if (read_line(host->sys_fd, "hypervisor/type", type) != NULL && strcmp(type, "xen") == 0)
        return "xen";
    if (read_line(host->proc_fd, "device-tree/hypervisor/compatible", type) != NULL)
        return strstr(type, "kvm") != NULL ? "kvm" : "unknown hypervisor";
    return has_hypervisor_flag(cpuinfo) ? "unknown hypervisor" : NULL;
}

static void put_surroundings(struct host *host, const char *cpuinfo)
{
    char line[LINE_BYTES];
    json_t *cgroup = pw_host_cgroup(host->proc_root, &host->failed);
    const char *path = json_string_value(json_object_get(cgroup, "path"));

    put(host, "container", pw_json_string_or_null(container_name(host, path, line)));
    put(host, "virtualization", pw_json_string_or_null(virtualization_name(host, cpuinfo)));
    put(host, "cgroup", cgroup);
}

static void put_all(struct host *host)
{
    struct utsname names;
    char cpuinfo[TEXT_BYTES] = "";

    (void)pw_proc_text_read(host->proc_fd, "cpuinfo", cpuinfo, sizeof cpuinfo);
    put_line(host, "kernel", host->proc_fd, "sys/kernel/osrelease");
    put(host, "arch", pw_json_string_or_null(uname(&names) == 0 ? names.machine : NULL));
    put_cpu(host, cpuinfo);
    put_memory(host);
    put_load(host);
    put(host, "clock_ticks_per_sec", json_integer(sysconf(_SC_CLK_TCK)));
    put(host, "page_size_bytes", json_integer(sysconf(_SC_PAGESIZE)));
    put_line(host, "clocksource", host->sys_fd,
             "devices/system/clocksource/clocksource0/current_clocksource");
    put_hugepage(host);
    put_ksm(host);
    put_powers(host);
    put_surroundings(host, cpuinfo);
    put(host, "user_is_root", json_boolean(geteuid() == 0));
}

json_t *pw_host_describe(const char *proc_root, const char *sys_root, struct pw_err *err)
{
    /* A folder that is missing only makes its values unknown. */
    PW_FD_AUTO proc_fd = open(proc_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    PW_FD_AUTO sys_fd = open(sys_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct host host = {
        .proc_root = proc_root, .proc_fd = proc_fd, .sys_fd = sys_fd, .root = json_object()};

    if (host.root != NULL)
        put_all(&host);
    if (host.root == NULL || host.failed) {
        json_decref(host.root);
        pw_err_memory(err);
        return NULL;
    }
    return host.root;
}
