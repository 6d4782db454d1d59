/* Which of the I/O programs are loaded, by a kernel's description of its tracepoints (BTF), which
 * is made here. Needs no privilege. */
#include "tests/unit/unit.h"

#ifdef PW_BPF
#include <account.skel.h>
#include <bpf/btf.h>
#include "core/str.h"
#include "wrapper/probe/bpf/account_impl.h"

/* btf_trace_NAME: a callback's arguments, NULL-terminated: names of structs that are pointed to, or
 * "" for a number. */
static void describe(struct btf *kernel, const char *name, const char *const *arguments)
{
    int number = btf__add_int(kernel, "int", 4, BTF_INT_SIGNED);
    int pointers[8];
    unsigned count = 0;
    for (; arguments[count]; count++) {
        pointers[count] = number;
        if (arguments[count][0] != '\0') {
            int structure = btf__add_struct(kernel, arguments[count], 8);
            pointers[count] = btf__add_ptr(kernel, btf__add_const(kernel, structure));
        }
    }
    int anything = btf__add_ptr(kernel, 0);
    int callback = btf__add_func_proto(kernel, 0);
    assert_int_equal(btf__add_func_param(kernel, NULL, anything), 0);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(btf__add_func_param(kernel, NULL, pointers[i]), 0);
    }
    char full_name[64];
    snprintf(full_name, sizeof(full_name), "btf_trace_%s", name);
    assert_true(btf__add_typedef(kernel, full_name, btf__add_ptr(kernel, callback)) > 0);
}

enum { FORMS = 6, QUEUE = 0, MERGED = 2, STATE = 3 };

struct form {
    const char *name;
    const char *arguments[5];
};

static const struct form usual_forms[FORMS] = {
    {"block_bio_queue", {"bio"}},
    {"block_bio_complete", {"request_queue", "bio"}},
    {"block_rq_complete", {"request", "", ""}},
    {"inet_sock_set_state", {"sock", "", ""}},
    {"sys_enter", {"pt_regs", ""}},
    {"sys_exit", {"pt_regs", ""}},
};

static struct pw_kernel_powers powers_with(struct pw_account_bpf *programs,
                                           const struct form *forms, bool syscalls,
                                           struct pw_str *why_not)
{
    struct btf *kernel = btf__new_empty();
    assert_non_null(kernel);
    for (unsigned i = 0; i < FORMS; i++) {
        if (forms[i].name) {
            describe(kernel, forms[i].name, forms[i].arguments);
        }
    }
    struct pw_kernel_powers powers = {0};
    struct pw_err err = PW_ERR_INIT;
    pw_str_clear(why_not);
    assert_int_equal(
        pw_account_io_prepare(programs->obj, kernel, 3, syscalls, &powers, why_not, &err), 0);
    btf__free(kernel);
    return powers;
}

static void test_forms(void **state)
{
    (void)state;
    struct pw_account_bpf *programs = pw_account_bpf__open();
    assert_non_null(programs);
    struct form forms[FORMS];
    memcpy(forms, usual_forms, sizeof(forms));
    PW_STR_AUTO why_not = PW_STR_INIT;
    struct pw_kernel_powers powers = powers_with(programs, forms, true, &why_not);
    assert_true(powers.block && powers.tcp && powers.syscalls);
    assert_string_equal(why_not.text, "");
    assert_true(bpf_program__autoload(programs->progs.pw_bio_queue));
    assert_false(bpf_program__autoload(programs->progs.pw_bio_queue_old));
    assert_true(bpf_program__autoload(programs->progs.pw_sys_enter));
    assert_int_equal(bpf_map__max_entries(programs->maps.io_sums), 3);

    forms[QUEUE] = (struct form){"block_bio_queue", {"request_queue", "bio"}}; /* before 5.11 */
    powers = powers_with(programs, forms, false, &why_not);
    assert_true(powers.block && powers.tcp && !powers.syscalls);
    assert_string_equal(why_not.text, "");
    assert_false(bpf_program__autoload(programs->progs.pw_bio_queue));
    assert_true(bpf_program__autoload(programs->progs.pw_bio_queue_old));
    assert_false(bpf_program__autoload(programs->progs.pw_sys_enter));
    assert_false(bpf_program__autoload(programs->progs.pw_sys_exit));

    forms[QUEUE] = (struct form){"block_bio_queue", {"bio", "request_queue", "sock"}};
    powers = powers_with(programs, forms, false, &why_not);
    assert_true(!powers.block && powers.tcp);
    assert_contains(why_not.text, "block I/O: this kernel has no tracepoint block_bio_queue");

    memcpy(forms, usual_forms, sizeof(forms));
    forms[MERGED].name = NULL;
    forms[STATE].arguments[0] = "socket";
    powers = powers_with(programs, forms, true, &why_not);
    assert_true(!powers.block && !powers.tcp && powers.syscalls);
    assert_contains(why_not.text, "block_rq_complete");
    assert_contains(why_not.text, "TCP: this kernel has no tracepoint inet_sock_set_state");
    assert_false(bpf_program__autoload(programs->progs.pw_bio_queue));
    assert_false(bpf_program__autoload(programs->progs.pw_bio_complete));
    assert_false(bpf_program__autoload(programs->progs.pw_tcp_state));

    pw_account_io_leave_out(programs->obj, &powers);
    assert_false(powers.syscalls);
    assert_false(bpf_program__autoload(programs->progs.pw_sys_exit));
    pw_account_bpf__destroy(programs);
}

#else

static void test_forms(void **state)
{
    (void)state;
    print_message("built without eBPF\n");
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
