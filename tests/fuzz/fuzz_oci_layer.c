/* A layer: a tar file of any bytes. Whatever is in it, nothing beside the root is touched, and what
 * is unpacked can be measured and removed. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/boot/image/tree.h"
#include "wrapper/boot/image/unpack.h"

enum {
    ENTRIES = 200,
    BYTES = 1 << 20,
    HEADER_BYTES = 512,
    SUM_AT = 148,
    SUM_BYTES = 8,
    MAGIC_AT = 257
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static char base[64], root[80], secret[80];

static void remove_base(void)
{
    pw_dir_remove_tree(base, NULL);
}

static void make_base(void)
{
    snprintf(base, sizeof(base), "%s/perfwrap-fuzz-%ld",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
    snprintf(root, sizeof(root), "%s/root", base);
    snprintf(secret, sizeof(secret), "%s/secret", base);
    require(mkdir(base, 0700) == 0 && pw_file_write(secret, "untouched", 9, 0640, NULL) == 0);
    atexit(remove_base);
}

static void check_outside(void)
{
    char *text = NULL;
    struct stat info;
    struct pw_tree tree;
    require(pw_file_read(secret, 100, &text, NULL, NULL) == 0 && strcmp(text, "untouched") == 0);
    require(stat(secret, &info) == 0 && info.st_nlink == 1 && (info.st_mode & 07777) == 0640);
    free(text);
    require(pw_dir_remove_tree(root, NULL) == 0);
    require(pw_tree_measure(base, &tree, NULL) == 0 && tree.entries == 2);
}

/* Makes the checksums of what look like headers right: without that hardly any input is more than
 * a damaged archive. */
static void mend(uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at + HEADER_BYTES <= size; at += HEADER_BYTES) {
        uint8_t *header = bytes + at;
        if (memcmp(header + MAGIC_AT, "ustar", 5) == 0) {
            char text[SUM_BYTES + 1];
            unsigned sum = 0;
            memset(header + SUM_AT, ' ', SUM_BYTES);
            for (size_t i = 0; i < HEADER_BYTES; i++) {
                sum += header[i];
            }
            snprintf(text, sizeof(text), "%06o", sum);
            memcpy(header + SUM_AT, text, SUM_BYTES - 1);
        }
    }
}

static void unpack_twice(struct pw_unpacking *unpacking, const uint8_t *data, size_t size)
{
    struct pw_err err = PW_ERR_INIT;
    PW_FREE_AUTO uint8_t *bytes = malloc(size + 1);
    PW_FD_AUTO fd = memfd_create("layer", MFD_CLOEXEC);
    require(bytes && fd >= 0);
    memcpy(bytes, data, size);
    mend(bytes, size);
    require(pw_fd_write_all(fd, bytes, size) == 0);
    for (int i = 0; i < 2; i++) {
        require(lseek(fd, 0, SEEK_SET) == 0);
        if (pw_unpack_tar(unpacking, fd, NULL, &err) != 0) {
            require(err.cls == PW_ERR_INPUT || err.cls == PW_ERR_SYSTEM);
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (base[0] == '\0') {
        make_base();
    }
    struct pw_err err = PW_ERR_INIT;
    PW_UNPACKING_AUTO unpacking = {.root = -1};
    require(mkdir(root, 0700) == 0 && pw_unpacking_start(root, true, &unpacking, &err) == 0);
    unpacking.limit_entries = ENTRIES;
    unpacking.limit_bytes = BYTES;
    /* Devices are not what is looked for here, nor owners. */
    unpacking.gives_owners = false;
    unpack_twice(&unpacking, data, size);
    PW_STR_AUTO script = PW_STR_INIT;
    struct pw_tree tree;
    if (pw_tree_finish(&unpacking, &script, &err) == 0) {
        require(pw_tree_measure(root, &tree, &err) == 0);
        require(tree.entries <= 2 * ENTRIES);
    }
    check_outside();
    return 0;
}
