/*
 * map_memory FILE MS: maps 32 MiB of a memfd "pw-frames" and the first 16 MiB of FILE, which a
 * forked child maps too, and then 64 MiB of private memory (called "pw pool" where the kernel has
 * names for such). Every page is touched by each who has it, and all is held for MS ms.
 *
 * Truth: of the two together, anonymous Pss is 64 MiB, shared memory's 32, files' 16, each plus
 * their images, which are below 2 MiB in all; Rss has what both map twice.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "tests/targets/target.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define MIB ((size_t)1 << 20)
enum { ANON_MIB = 64, SHMEM_MIB = 32, FILE_MIB = 16 };

static char *map(size_t mib, int protection, int flags, int fd)
{
    char *bytes = mmap(NULL, mib * MIB, protection, flags, fd, 0);
    if (bytes == MAP_FAILED) {
        target_die("mmap");
    }
    return bytes;
}

static unsigned read_pages(const volatile char *bytes, size_t mib)
{
    unsigned sum = 0;
    for (size_t at = 0; at < mib * MIB; at += 4096) {
        sum += (unsigned char)bytes[at];
    }
    return sum;
}

static void write_pages(volatile char *bytes, size_t mib)
{
    for (size_t at = 0; at < mib * MIB; at += 4096) {
        bytes[at] = 1;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        target_usage("FILE MS");
    }
    long ms = target_number(argv[2]);
    int file_fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    int memfd = memfd_create("pw-frames", MFD_CLOEXEC);
    if (file_fd < 0 || memfd < 0 || ftruncate(memfd, (off_t)(SHMEM_MIB * MIB)) != 0) {
        target_die(argv[1]);
    }
    char *shmem = map(SHMEM_MIB, PROT_READ | PROT_WRITE, MAP_SHARED, memfd);
    char *file = map(FILE_MIB, PROT_READ, MAP_PRIVATE, file_fd);
    int ready[2];
    char byte = 0;
    write_pages(shmem, SHMEM_MIB);
    (void)read_pages(file, FILE_MIB);
    pid_t child = pipe2(ready, O_CLOEXEC) == 0 ? fork() : -1;
    if (child < 0) {
        target_die("fork");
    }
    if (child == 0) {
        /* What is shared with a file is mapped anew after a fork, when it is touched. */
        (void)read_pages(shmem, SHMEM_MIB);
        (void)read_pages(file, FILE_MIB);
        if (write(ready[1], &byte, 1) != 1) {
            target_die("write");
        }
    } else {
        if (read(ready[0], &byte, 1) != 1) {
            target_die("read");
        }
        char *anon = map(ANON_MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        (void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, anon, ANON_MIB * MIB, "pw pool");
        write_pages(anon, ANON_MIB);
    }
    target_pause_ms(ms);
    int status = 0;
    return child == 0 || (waitpid(child, &status, 0) == child && status == 0) ? 0 : TARGET_FAILED;
}
