#include "wrapper/probe/bpf/account.h"

#include <account.skel.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "wrapper/probe/bpf/account_impl.h"

/* The programs' variables, as part of this process's memory. */
static int map_data(struct pw_account *account, struct pw_err *err)
{
    void *data = mmap(NULL, account->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                      account->loaded.fds[PW_ACCOUNT_DATA], 0);
    _Static_assert(sizeof(struct pw_account_bpf__data) <= 4096, "they fit into one page");
    if (data == MAP_FAILED)
        return pw_err_system(err, errno, "map the variables of the accounting programs");
    account->data = data;
    return 0;
}

static int open_account(struct pw_account *account, const struct pw_account_options *options,
                        const struct pw_account_knobs *knobs, struct pw_err *err)
{
    account->slots = calloc(options->slots, sizeof *account->slots);
    if (!account->slots)
        return pw_err_memory(err);
    if (pw_account_load(options, knobs, &account->loaded, err) != 0 || map_data(account, err) != 0)
        return -1;
    if (account->loaded.has_io)
        memcpy(&account->io, &account->loaded.fds[PW_ACCOUNT_OWN_MAPS], sizeof account->io);
    account->ring =
        ring_buffer__new(account->loaded.fds[PW_ACCOUNT_RING], pw_account_keep, account, NULL);
    if (!account->ring)
        return pw_err_system(err, errno, "map the ring buffer of the accounting programs");
    return 0;
}

int pw_account_open_as(const struct pw_account_options *options,
                       const struct pw_account_knobs *knobs, struct pw_account **ret_account,
                       struct pw_err *err)
{
    struct pw_err own = PW_ERR_INIT;
    err = err ? err : &own;
    if (options->slots == 0 || options->slots > PW_BPF_SLOTS_MAX)
        return pw_err_set(err, PW_ERR_INTERNAL, "eBPF accounting of %u workers", options->slots);
    struct pw_account *account = calloc(1, sizeof *account);
    if (!account)
        return pw_err_memory(err);
    account->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    account->slot_count = options->slots;
    if (open_account(account, options, knobs, err) != 0) {
        pw_account_close(account);
        return -1;
    }
    *ret_account = account;
    return 0;
}

int pw_account_open(const struct pw_account_options *options, struct pw_account **ret_account,
                    struct pw_err *err)
{
    const struct pw_account_knobs usual = {0};
    return pw_account_open_as(options, &usual, ret_account, err);
}

void pw_account_close(struct pw_account *account)
{
    if (!account)
        return;
    ring_buffer__free(account->ring);
    if (account->data)
        munmap(account->data, account->page_bytes);
    pw_account_unload(&account->loaded);
    for (unsigned i = 0; account->slots && i < account->slot_count; i++)
        free(account->slots[i].ended);
    free(account->slots);
    free(account);
}

const struct pw_kernel_powers *pw_account_powers(const struct pw_account *account)
{
    return &account->loaded.powers;
}

const char *pw_account_why_not(const struct pw_account *account)
{
    return account->loaded.why_not;
}
