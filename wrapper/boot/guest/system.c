/* Modules, mounts and the clock. */
#include "wrapper/boot/guest/guest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { DISK_WAIT_MS = 1000 };
static const char module_folder[] = "/modules";
static const char *const moved[] = {"/dev", "/proc", "/sys"};

static void mount_or_fault(const char *type, const char *place)
{
    mkdir(place, 0755);
    if (mount(type, place, type, MS_NOSUID, NULL) != 0 && errno != EBUSY) {
        pw_guest_say("cannot mount %s on %s", type, place);
        pw_guest_fault("mount", errno);
    }
}

void pw_guest_mount_system(void)
{
    mount_or_fault("devtmpfs", moved[0]);
    mount_or_fault("proc", moved[1]);
    mount_or_fault("sysfs", moved[2]);
}

static void load_module(const char *name)
{
    char path[sizeof module_folder + NAME_MAX + 1];
    snprintf(path, sizeof path, "%s/%s", module_folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST)) {
        int sys = errno;
        pw_guest_say("cannot load the module %s", name);
        pw_guest_fault("modules", sys);
    }
    close(fd);
    unlink(path); /* its memory is the guest's */
}

/* NN-NAME.ko: those with the lowest numbers first. */
void pw_guest_load_modules(void)
{
    struct dirent **entries = NULL;
    int count = scandir(module_folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            load_module(entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
}

void pw_guest_set_clock(int64_t clock_ns)
{
    enum { NS_PER_SEC = 1000000000, NS_PER_US = 1000 };
    struct timespec now;
    const struct timeval right = {.tv_sec = clock_ns / NS_PER_SEC,
                                  .tv_usec = clock_ns % NS_PER_SEC / NS_PER_US};
    if (clock_ns <= 0 || clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return;
    }
    int64_t off_ns = (int64_t)now.tv_sec * NS_PER_SEC + now.tv_nsec - clock_ns;
    if ((off_ns > NS_PER_SEC || off_ns < -NS_PER_SEC) && settimeofday(&right, NULL) != 0) {
        pw_guest_fault("clock", errno);
    }
}

static bool is_empty(const char *path)
{
    DIR *folder = opendir(path);
    bool empty = folder != NULL;
    if (folder) {
        for (struct dirent *entry; empty && (entry = readdir(folder));) {
            empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        }
        closedir(folder);
    }
    return empty;
}

/* What containers' programs are used to; what an image has there itself stays visible. */
static void mount_comforts(void)
{
    mkdir("/dev/pts", 0755);
    mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "ptmxmode=0666,mode=0620,gid=5");
    mkdir("/dev/shm", 01777);
    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    if (is_empty("/run")) {
        mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
    }
    if (is_empty("/tmp")) {
        mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    }
    if (symlink("/proc/self/fd", "/dev/fd") == 0) {
        (void)!symlink("/proc/self/fd/0", "/dev/stdin");
        (void)!symlink("/proc/self/fd/1", "/dev/stdout");
        (void)!symlink("/proc/self/fd/2", "/dev/stderr");
    }
}

/* Images leave these files to who runs them: they are missing, or empty. */
static void write_if_empty(const char *path, const char *text)
{
    struct stat info;
    int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd >= 0) {
        if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == 0) {
            (void)!write(fd, text, strlen(text));
        }
        close(fd);
    }
}

static void write_names(const char *name_server)
{
    char text[128];
    write_if_empty("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
    if (name_server) {
        snprintf(text, sizeof text, "nameserver %s\n", name_server);
        write_if_empty("/etc/resolv.conf", text);
    }
}

void pw_guest_switch_root(const char *device, const char *name_server)
{
    static const char step[] = "rootfs", root[] = "/root";
    char path[NAME_MAX], place[NAME_MAX];
    int waited_ms = 0;
    snprintf(path, sizeof path, "/dev/%.200s", device);
    while (access(path, F_OK) != 0 && waited_ms++ < DISK_WAIT_MS) {
        pw_guest_nap();
    }
    mkdir(root, 0755);
    if (mount(path, root, "ext4", MS_NOATIME, NULL) != 0) {
        int sys = errno;
        pw_guest_say("cannot mount %s", path);
        pw_guest_fault(step, sys);
    }
    for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++) {
        snprintf(place, sizeof place, "%s%s", root, moved[i]);
        mkdir(place, 0755);
        if (mount(moved[i], place, NULL, MS_MOVE, NULL) != 0) {
            pw_guest_fault(step, errno);
        }
    }
    if (chdir(root) != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
        chdir("/") != 0) {
        pw_guest_fault(step, errno);
    }
    mount_comforts();
    write_names(name_server);
}
