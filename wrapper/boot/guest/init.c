/* PID 1 of the guest: see guest_proto.h. */
#include <fcntl.h>
#include <sys/klog.h>
#include <sys/wait.h>
#include <unistd.h>
#include "wrapper/boot/guest/guest.h"

/* From here on the console is the command's: syslog(2). */
enum { SET_CONSOLE_LEVEL = 8, LEVEL_WARNING = 4 };

/* Descriptors 0 to 2 are the console, if the kernel found one. */
static void fill_standard_descriptors(void)
{
    if (fcntl(STDERR_FILENO, F_GETFD) >= 0) {
        return;
    }
    int fd = open("/dev/console", O_RDWR);
    if (fd < 0) {
        fd = open("/dev/null", O_RDWR);
    }
    while (fd >= 0 && fd <= STDERR_FILENO) {
        fd = dup(fd);
    }
    if (fd > STDERR_FILENO) {
        close(fd);
    }
}

int main(void)
{
    struct pw_guest_job job;
    const char *name_server = NULL;
    pw_guest_ports_open();
    pw_guest_mark("kernel", "%s", "");
    klogctl(SET_CONSOLE_LEVEL, NULL, LEVEL_WARNING);
    pw_guest_mount_system();
    fill_standard_descriptors();
    pw_guest_load_modules();
    pw_guest_net_loopback();
    pw_guest_mark("modules", "%s", "");

    pw_guest_job_get(&job);
    pw_guest_set_clock(job.clock_ns);
    if (job.network) {
        name_server = pw_guest_net_up(job.network);
        pw_guest_mark("network", "%s", "");
    }
    if (job.root) {
        pw_guest_switch_root(job.root, name_server);
        pw_guest_mark("rootfs", "%s", "");
    }
    int status = pw_guest_run(&job);
    pw_guest_mark("exec", "code=%d signal=%d", WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                  WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    /* Without children none can come, so pause() does not return. */
    while (job.hold) {
        if (waitpid(-1, NULL, 0) < 0) {
            pause();
        }
    }
    if (job.root) {
        sync();
    }
    pw_guest_end();
}
