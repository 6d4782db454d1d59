#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "wrapper/boot/accel_impl.h"

__attribute__((format(printf, 3, 4))) static void say(struct pw_kvm_probe *probe, enum pw_kvm kvm,
                                                      const char *format, ...)
{
    va_list args;
    probe->kvm = kvm;
    va_start(args, format);
    (void)vsnprintf(probe->reason, sizeof(probe->reason), format, args);
    va_end(args);
}

#ifdef __x86_64__

/*
 * A guest of one page of code, in long mode with the first 2 MiB mapped as they are. Sources:
 * Linux, Documentation/virt/kvm/api; Intel SDM volume 3, 4.5 (paging), 10.8.5 (entering long mode).
 */
enum {
    GUEST_BYTES = 1 << 20,
    PML4_AT = 0x1000,
    PDPT_AT = 0x2000,
    PD_AT = 0x3000,
    DATA_AT = 0x4000,
    CODE_AT = 0x5000,
    LOOPS = 10000,
    EXIT_PORT = 0xf4,
    AFTER_LOOP = 1,      /* written to the port: the loop has ended, */
    AFTER_ATOMIC = 2,    /* and an instruction that emulation in software often lacks has worked */
    TRIES = 3,           /* of the loop; the quickest counts */
    LIMIT_MS = 40,       /* of CPU time: a machine in use may not be taken for a slow one */
    WAIT_LIMIT_MS = 400, /* of the clock, for a guest that waits forever */
};
/* A CPU needs some 10 us; emulated it takes a thousand times as long. */
#define USABLE_MS 2.0

static const uint8_t guest_code[] = {
    0xb9, LOOPS & 0xff,   LOOPS >> 8,   0,         0,    /* mov ecx, LOOPS */
    0xff, 0xc9,                                          /* dec ecx */
    0x75, 0xfc,                                          /* jnz to dec */
    0xb0, AFTER_LOOP,     0xe6,         EXIT_PORT,       /* mov al, AFTER_LOOP; out EXIT_PORT, al */
    0xbe, DATA_AT & 0xff, DATA_AT >> 8, 0,         0,    /* mov esi, DATA_AT */
    0xf0, 0x48,           0x0f,         0xc7,      0x0e, /* lock cmpxchg16b [rsi] */
    0xb0, AFTER_ATOMIC,   0xe6,         EXIT_PORT, /* mov al, AFTER_ATOMIC; out EXIT_PORT, al */
    0xf4,                                          /* hlt */
};

struct guest {
    int kvm_fd, vm_fd, cpu_fd;
    uint8_t *memory;
    struct kvm_run *run;
    size_t run_bytes;
    int64_t cpu_end_ns, end_ns; /* of this thread's CPU time; of the clock */
};

static void put_u64(uint8_t *memory, size_t at, uint64_t value)
{
    memcpy(memory + at, &value, sizeof(value));
}

static int fail(struct pw_kvm_probe *probe, const char *what)
{
    const int sys = errno;
    say(probe, PW_KVM_BROKEN, "KVM cannot %s: %s.", what, strerror(sys));
    return -1;
}

static int make_memory(struct guest *guest, struct pw_kvm_probe *probe)
{
    enum { PRESENT_WRITABLE = 3, LARGE = 0x80 };
    void *memory =
        mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return fail(probe, "get memory for a guest");
    }
    guest->memory = memory;
    put_u64(memory, PML4_AT, PDPT_AT | PRESENT_WRITABLE);
    put_u64(memory, PDPT_AT, PD_AT | PRESENT_WRITABLE);
    put_u64(memory, PD_AT, 0 | PRESENT_WRITABLE | LARGE);
    memcpy(guest->memory + CODE_AT, guest_code, sizeof(guest_code));
    struct kvm_userspace_memory_region region = {.memory_size = GUEST_BYTES,
                                                 .userspace_addr = (uintptr_t)memory};
    return ioctl(guest->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0
               ? 0
               : fail(probe, "give memory to a guest");
}

static int enter_long_mode(struct guest *guest, struct pw_kvm_probe *probe)
{
    enum {
        CODE_SELECTOR = 8,
        DATA_SELECTOR = 16,
        CODE_TYPE = 11, /* execute, read, accessed */
        DATA_TYPE = 3,  /* read, write, accessed */
        CR4_PAE = 1 << 5,
        EFER_LME_LMA = 1 << 8 | 1 << 10,
    };
    const uint64_t cr0_pe_et_pg = 1u << 0 | 1u << 4 | 1u << 31;
    struct kvm_sregs sregs;
    if (ioctl(guest->cpu_fd, KVM_GET_SREGS, &sregs) != 0) {
        return fail(probe, "read a guest's registers");
    }
    struct kvm_segment data = {.limit = ~0u,
                               .selector = DATA_SELECTOR,
                               .type = DATA_TYPE,
                               .present = 1,
                               .db = 1,
                               .s = 1,
                               .g = 1};
    sregs.cs = data;
    sregs.cs.selector = CODE_SELECTOR;
    sregs.cs.type = CODE_TYPE;
    sregs.cs.db = 0;
    sregs.cs.l = 1;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
    sregs.cr3 = PML4_AT;
    sregs.cr4 |= CR4_PAE;
    sregs.cr0 = cr0_pe_et_pg;
    sregs.efer |= EFER_LME_LMA;
    return ioctl(guest->cpu_fd, KVM_SET_SREGS, &sregs) == 0
               ? 0
               : fail(probe, "put a guest in long mode");
}

static int make_cpu(struct guest *guest, struct pw_kvm_probe *probe)
{
    guest->cpu_fd = ioctl(guest->vm_fd, KVM_CREATE_VCPU, 0);
    if (guest->cpu_fd < 0) {
        return fail(probe, "make a guest's CPU");
    }
    int size = ioctl(guest->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(struct kvm_run)) {
        return fail(probe, "say what a guest's CPU needs");
    }
    void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->cpu_fd, 0);
    if (run == MAP_FAILED) {
        return fail(probe, "show a guest's CPU");
    }
    guest->run = run;
    guest->run_bytes = (size_t)size;
    return enter_long_mode(guest, probe);
}

static int make_guest(struct guest *guest, const char *device, struct pw_kvm_probe *probe)
{
    guest->kvm_fd = open(device, O_RDWR | O_CLOEXEC);
    if (guest->kvm_fd < 0) {
        const int sys = errno;
        const bool is_denied = sys == EACCES || sys == EPERM;
        const bool is_absent = sys == ENOENT || sys == ENODEV || sys == ENXIO || sys == ENOTDIR;
        say(probe,
            is_denied   ? PW_KVM_DENIED
            : is_absent ? PW_KVM_ABSENT
                        : PW_KVM_BROKEN,
            "%s cannot be opened: %s.", device, strerror(sys));
        return -1;
    }
    int version = ioctl(guest->kvm_fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        say(probe, PW_KVM_BROKEN, "%s is not KVM, or of another version than %d.", device,
            KVM_API_VERSION);
        return -1;
    }
    guest->vm_fd = ioctl(guest->kvm_fd, KVM_CREATE_VM, 0);
    if (guest->vm_fd < 0) {
        return fail(probe, "make a guest");
    }
    return make_memory(guest, probe) == 0 && make_cpu(guest, probe) == 0 ? 0 : -1;
}

static void drop_guest(struct guest *guest)
{
    if (guest->run) {
        munmap(guest->run, guest->run_bytes);
    }
    pw_fd_done(&guest->cpu_fd);
    pw_fd_done(&guest->vm_fd);
    pw_fd_done(&guest->kvm_fd);
    if (guest->memory) {
        munmap(guest->memory, GUEST_BYTES);
    }
}

/*
 * A timer that ends KVM_RUN. Its signal comes to this thread alone, which keeps it blocked but
 * while the guest runs (KVM_SET_SIGNAL_MASK). It ends KVM_RUN with EINTR and stays pending, so no
 * handler is needed; it is taken away in the end.
 */
struct limit {
    timer_t timer;
    bool has_timer;
    sigset_t signal, before;
};

static int limit_signal(void)
{
    return SIGRTMAX - 1;
}

static int set_run_mask(const struct guest *guest, const sigset_t *mask)
{
    enum { KERNEL_MASK_BYTES = 8 };
    /* A struct kvm_signal_mask: the length, then the mask. */
    const uint32_t length = KERNEL_MASK_BYTES;
    uint8_t argument[sizeof(struct kvm_signal_mask) + KERNEL_MASK_BYTES];
    memcpy(argument, &length, sizeof(length));
    memcpy(argument + sizeof(struct kvm_signal_mask), mask, KERNEL_MASK_BYTES);
    return ioctl(guest->cpu_fd, KVM_SET_SIGNAL_MASK, argument);
}

static void end_limit(struct limit *limit)
{
    if (limit->has_timer) {
        timer_delete(limit->timer);
    }
    while (sigtimedwait(&limit->signal, NULL, &(struct timespec){0}) > 0) {}
    pthread_sigmask(SIG_SETMASK, &limit->before, NULL);
}

static int start_limit(struct limit *limit, struct guest *guest, struct pw_kvm_probe *probe)
{
    sigemptyset(&limit->signal);
    sigaddset(&limit->signal, limit_signal());
    pthread_sigmask(SIG_BLOCK, &limit->signal, &limit->before);
    sigset_t while_running = limit->before;
    sigdelset(&while_running, limit_signal());
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = limit_signal()};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    guest->cpu_end_ns = pw_clock_thread_cpu_ns() + LIMIT_MS * PW_NS_PER_MS;
    guest->end_ns = pw_clock_now_ns() + WAIT_LIMIT_MS * PW_NS_PER_MS;
    const struct itimerspec when = {.it_value = {.tv_nsec = LIMIT_MS * PW_NS_PER_MS},
                                    /* Again: it may come right before KVM_RUN is entered. */
                                    .it_interval = {.tv_nsec = PW_NS_PER_MS}};
    limit->has_timer = timer_create(CLOCK_MONOTONIC, &event, &limit->timer) == 0;
    if (!limit->has_timer || timer_settime(limit->timer, 0, &when, NULL) != 0 ||
        set_run_mask(guest, &while_running) != 0) {
        return fail(probe, "be given a limit of time");
    }
    return 0;
}

enum outcome { WROTE, TIMED_OUT, FAILED };

/* Lets the guest run until it writes to the port: `expected`. */
static enum outcome run_until(struct guest *guest, uint8_t expected, struct pw_kvm_probe *probe)
{
    while (ioctl(guest->cpu_fd, KVM_RUN, 0) != 0) {
        if (errno != EINTR && errno != EAGAIN) {
            fail(probe, "run a guest");
            return FAILED;
        }
        if (pw_clock_thread_cpu_ns() >= guest->cpu_end_ns || pw_clock_now_ns() >= guest->end_ns) {
            return TIMED_OUT;
        }
    }
    const struct kvm_run *run = guest->run;
    if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT &&
        run->io.port == EXIT_PORT && run->io.size == 1 && run->io.count == 1 &&
        run->io.data_offset < guest->run_bytes &&
        ((const uint8_t *)run)[run->io.data_offset] == expected) {
        return WROTE;
    }
    if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
        say(probe, PW_KVM_BROKEN, "KVM ran a guest up to an internal error (suberror %u).",
            run->internal.suberror);
    } else {
        say(probe, PW_KVM_BROKEN, "KVM ended a guest for a wrong reason (%u).", run->exit_reason);
    }
    return FAILED;
}

static int set_registers(const struct guest *guest)
{
    enum { FLAGS_FIXED = 2 };
    const struct kvm_regs regs = {.rip = CODE_AT, .rsp = CODE_AT, .rflags = FLAGS_FIXED};
    return ioctl(guest->cpu_fd, KVM_SET_REGS, &regs);
}

/* The quickest of some tries, or when one is quick enough. */
static enum outcome time_loop(struct guest *guest, struct pw_kvm_probe *probe)
{
    enum outcome outcome = WROTE;
    for (int i = 0; i < TRIES && (probe->loop_ms < 0 || probe->loop_ms >= USABLE_MS); i++) {
        if (set_registers(guest) != 0) {
            fail(probe, "set a guest's registers");
            return FAILED;
        }
        const int64_t began_ns = pw_clock_thread_cpu_ns(); /* the guest's is in it */
        outcome = run_until(guest, AFTER_LOOP, probe);
        if (outcome != WROTE) {
            break;
        }
        const double loop_ms = pw_ns_to_ms(pw_clock_thread_cpu_ns() - began_ns);
        probe->loop_ms = probe->loop_ms < 0 || loop_ms < probe->loop_ms ? loop_ms : probe->loop_ms;
    }
    return outcome;
}

static void say_slow(struct pw_kvm_probe *probe)
{
    if (probe->loop_ms < 0) {
        say(probe, PW_KVM_EMULATED,
            "A guest's loop of %d turns was not through after %d ms: guests do not run on the CPU.",
            LOOPS, LIMIT_MS);
    } else {
        say(probe, PW_KVM_EMULATED,
            "A guest's loop of %d turns took %.1f ms, over %.0f: guests do not run on the CPU.",
            LOOPS, probe->loop_ms, USABLE_MS);
    }
}

static void judge(struct guest *guest, struct pw_kvm_probe *probe)
{
    enum outcome outcome = time_loop(guest, probe);
    if (outcome == FAILED) {
        return;
    }
    if (probe->loop_ms < 0 || probe->loop_ms >= USABLE_MS) {
        say_slow(probe);
        return;
    }
    outcome = run_until(guest, AFTER_ATOMIC, probe);
    if (outcome == TIMED_OUT) {
        say(probe, PW_KVM_BROKEN, "A guest got stuck at an instruction (cmpxchg16b).");
    } else if (outcome == WROTE) {
        say(probe, PW_KVM_USABLE, "A guest's loop of %d turns took %.3f ms.", LOOPS,
            probe->loop_ms);
    }
}

void pw_kvm_probe(const char *device, struct pw_kvm_probe *ret_probe)
{
    struct guest guest = {.kvm_fd = -1, .vm_fd = -1, .cpu_fd = -1};
    *ret_probe = (struct pw_kvm_probe){.loop_ms = -1};
    if (make_guest(&guest, device, ret_probe) == 0) {
        struct limit limit = {.has_timer = false};
        if (start_limit(&limit, &guest, ret_probe) == 0) {
            judge(&guest, ret_probe);
        }
        end_limit(&limit);
    }
    drop_guest(&guest);
}

#else

void pw_kvm_probe(const char *device, struct pw_kvm_probe *ret_probe)
{
    (void)device;
    ret_probe->loop_ms = -1;
    say(ret_probe, PW_KVM_ABSENT, "The guests are of x86-64, and this machine is not.");
}

#endif
