#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/probe/bpf/account_impl.h"

/* Taking the types apart takes longer than loading the programs; the names are one table. */
int pw_account_find_names(const char *const *names, size_t count, bool *ret, struct pw_err *err)
{
    static const char path[] = "/sys/kernel/btf/vmlinux";
    enum { MOST = 64 << 20 };
    char *text = NULL;
    size_t size = 0;

    if (pw_file_read(path, MOST, &text, &size, err) != 0) {
        pw_err_prefix(err, "the kernel tells no types of its own");
        return pw_err_remedy(err, "eBPF accounting needs a kernel with CONFIG_DEBUG_INFO_BTF");
    }
    struct btf_header header;
    if (size < sizeof header) {
        free(text);
        return pw_err_set(err, PW_ERR_SYSTEM, "`%s` is no BTF", path);
    }
    memcpy(&header, text, sizeof header);
    uint64_t begin = (uint64_t)header.hdr_len + header.str_off;
    if (header.magic != BTF_MAGIC || begin > size || header.str_len > size - begin) {
        free(text);
        return pw_err_set(err, PW_ERR_SYSTEM, "`%s` is no BTF", path);
    }
    for (size_t i = 0; i < count; i++) {
        ret[i] = memmem(text + begin, header.str_len, names[i], strlen(names[i]) + 1) != NULL;
    }
    free(text);
    return 0;
}
