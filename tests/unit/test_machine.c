/* wrapper/boot: the words of machine monitors, and what is made for those that are not QEMU. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/str.h"
#include "wrapper/boot/guest_proto.h"
#include "wrapper/boot/machine.h"

static struct pw_guest_kernel kernel = {.image = "/k/vmlinux"};
static struct pw_image image = {.disk = "/images/disk.ext4"};
static struct pw_machine machine;
static struct pw_words words;
static struct pw_err err;

static int begin(void **state)
{
    err = PW_ERR_INIT;
    image.disk = "/images/disk.ext4";
    kernel.image = "/k/vmlinux";
    machine = (struct pw_machine){
        .size = pw_machine_size_find("small"),
        .accel = {.accel = PW_ACCEL_TCG, .tsc_khz = 2596132},
        .type = PW_MACHINE_MICROVM,
        .network = PW_NETWORK_ISOLATED,
        .kernel = &kernel,
        .initrd = "/i/initrd",
        .monitor = "/usr/bin/qemu",
    };
    unsetenv("TMPDIR");
    return make_folder(state);
}

static int end(void **state)
{
    pw_words_done(&words);
    unsetenv("TMPDIR");
    return drop_folder(state);
}

/* The value behind the `nth` word `name`, from 0; NULL if there is none. */
static const char *value_of(const char *name, unsigned nth)
{
    for (size_t i = 0; i + 1 < words.count; i++) {
        if (strcmp(words.items[i], name) == 0 && nth-- == 0) {
            return words.items[i + 1];
        }
    }
    return NULL;
}

static bool has(const char *word)
{
    for (size_t i = 0; i < words.count; i++) {
        if (strcmp(words.items[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static void make_qemu(void)
{
    pw_words_done(&words);
    assert_int_equal(pw_machine_qemu(&machine, &words, &err), 0);
    assert_null(words.items[words.count]);
}

static void test_sizes(void **state)
{
    (void)state;
    assert_int_equal(pw_machine_size_find("tiny")->memory_mib, 256);
    assert_int_equal(pw_machine_size_find("medium")->disk_mib, 8192);
    assert_int_equal(pw_machine_size_find("large")->vcpus, 4);
    assert_null(pw_machine_size_find("Tiny"));
    assert_null(pw_machine_size_find(""));
}

/* Also what keeps a microvm under TCG from hanging: see vm type and tsc_early_khz. */
static void test_type(void **state)
{
    struct pw_accel_choice accel = {.accel = PW_ACCEL_TCG, .tsc_khz = 1};
    (void)state;
    assert_int_equal(pw_machine_type_for(&accel), PW_MACHINE_MICROVM);
    accel.tsc_khz = 0;
    assert_int_equal(pw_machine_type_for(&accel), PW_MACHINE_PC);
    accel.accel = PW_ACCEL_KVM;
    assert_int_equal(pw_machine_type_for(&accel), PW_MACHINE_MICROVM);
    assert_string_equal(pw_machine_type_name(PW_MACHINE_MICROVM), "microvm");
    assert_string_equal(pw_machine_type_name(PW_MACHINE_PC), "pc");
}

static void test_cmdline(void **state)
{
    (void)state;
    PW_FREE_AUTO char *tcg = pw_machine_cmdline(&machine, true, &err);
    assert_contains(tcg, "console=ttyS0 panic=-1 reboot=t tsc_early_khz=2596132 tsc=reliable ");
    assert_true(strstr(tcg, "earlyprintk=ttyS0") < strstr(tcg, "quiet"));
    PW_FREE_AUTO char *foreign = pw_machine_cmdline(&machine, false, &err);
    assert_null(strstr(foreign, "tsc"));
    assert_contains(foreign, "reboot=k");
    machine.accel.accel = PW_ACCEL_KVM;
    PW_FREE_AUTO char *kvm = pw_machine_cmdline(&machine, true, &err);
    assert_null(strstr(kvm, "tsc"));
    machine.accel = (struct pw_accel_choice){.accel = PW_ACCEL_TCG};
    PW_FREE_AUTO char *unknown = pw_machine_cmdline(&machine, true, &err);
    assert_null(strstr(unknown, "tsc"));
}

static void test_qemu(void **state)
{
    char port[64];
    (void)state;
    make_qemu();
    assert_string_equal(words.items[0], "/usr/bin/qemu");
    assert_string_equal(value_of("-accel", 0), "tcg");
    assert_string_equal(value_of("-machine", 0), "microvm,mem-merge=off");
    assert_string_equal(value_of("-m", 0), "512");
    assert_string_equal(value_of("-smp", 0), "2");
    assert_string_equal(value_of("-display", 0), "none");
    assert_true(has("-nodefaults") && has("-no-user-config") && has("-no-reboot"));
    assert_contains(value_of("-sandbox", 0), "on,");
    assert_contains(value_of("-sandbox", 0), "spawn=deny");
    assert_string_equal(value_of("-chardev", 0), "file,id=con,path=/dev/fd/1");
    assert_string_equal(value_of("-chardev", 1), "file,id=ctl,path=/dev/fd/3");
    snprintf(port, sizeof(port), "isa-debugcon,iobase=0x%x,chardev=ctl", PW_MARK_PORT);
    assert_string_equal(value_of("-device", 0), port);
    assert_string_equal(value_of("-device", 1), "isa-debug-exit,iobase=0xf4,iosize=4");
    assert_string_equal(value_of("-fw_cfg", 0), "name=opt/perfwrap/job,file={worker_dir}/job");
    assert_string_equal(value_of("-kernel", 0), "/k/vmlinux");
    assert_string_equal(value_of("-initrd", 0), "/i/initrd");
    assert_contains(value_of("-append", 0), "console=ttyS0");
    assert_false(has("-cpu") || has("-drive") || has("-netdev") || has("-incoming") || has("-mon"));
}

static void test_devices(void **state)
{
    (void)state;
    machine.image = &image;
    machine.network = PW_NETWORK_USER;
    make_qemu();
    assert_string_equal(value_of("-drive", 0),
                        "id=disk,format=raw,if=none,snapshot=on,file=/images/disk.ext4");
    assert_string_equal(value_of("-device", 2), "virtio-blk-device,drive=disk");
    assert_string_equal(value_of("-netdev", 0), "user,id=net");
    assert_string_equal(value_of("-device", 3), "virtio-net-device,netdev=net,status=off");
    machine.type = PW_MACHINE_PC;
    machine.no_sandbox = true;
    make_qemu();
    assert_string_equal(value_of("-machine", 0), "pc,mem-merge=off");
    assert_string_equal(value_of("-device", 2), "virtio-blk-pci,drive=disk");
    assert_contains(value_of("-device", 3), "virtio-net-pci,netdev=net");
    assert_false(has("-sandbox"));
}

static void test_kvm_and_state(void **state)
{
    (void)state;
    machine.accel.accel = PW_ACCEL_KVM;
    machine.waits_for_state = true;
    machine.qmp_socket = "/run/a,b/qmp";
    make_qemu();
    assert_string_equal(value_of("-accel", 0), "kvm");
    assert_string_equal(value_of("-cpu", 0), "host");
    assert_string_equal(value_of("-incoming", 0), "fd:0");
    assert_string_equal(value_of("-chardev", 2),
                        "socket,id=qmp,server=on,wait=off,path=/run/a,,b/qmp");
    assert_string_equal(value_of("-mon", 0), "chardev=qmp,mode=control");
}

static void test_paths(void **state)
{
    char longest[200];
    (void)state;
    machine.image = &image;
    image.disk = "/a,b/c,,d=e.ext4";
    kernel.image = "/k,1/vm linux";
    make_qemu();
    assert_string_equal(value_of("-drive", 0),
                        "id=disk,format=raw,if=none,snapshot=on,file=/a,,b/c,,,,d=e.ext4");
    assert_string_equal(value_of("-kernel", 0), "/k,1/vm linux");
    image.disk = "nbd:host:1"; /* a file of that name, not a server */
    make_qemu();
    assert_contains(value_of("-drive", 0), "file=./nbd:host:1");
    image.disk = "/a\nb";
    assert_int_equal(pw_machine_qemu(&machine, &words, &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_contains(err.message, "newline");
    image.disk = "/a";
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    machine.qmp_socket = longest;
    assert_int_equal(pw_machine_qemu(&machine, &words, &err), -1);
    assert_contains(err.message, "107 bytes");
    machine.qmp_socket = NULL;
    setenv("TMPDIR", "/tmp/a,b", 1);
    assert_int_equal(pw_machine_qemu(&machine, &words, &err), -1);
    assert_contains(err.message, "TMPDIR");
    assert_contains(err.remedy, "TMPDIR");
}

static void make_template(const char *template)
{
    pw_words_done(&words);
    assert_int_equal(pw_machine_template(&machine, template, &words, &err), 0);
}

static void test_template(void **state)
{
    (void)state;
    machine.image = &image;
    kernel.image = "/k k/vmlinux";
    make_template(
        "vmm --kernel {kernel} 'a b' --cmdline={cmdline} {initrd},{disk} -m {memory_mib}M "
        "-c {vcpus} {job} {config} {worker_dir}/x {net} {} {a=b}");
    assert_int_equal(words.count, 16);
    assert_string_equal(words.items[0], "vmm");
    assert_string_equal(words.items[2], "/k k/vmlinux");
    assert_string_equal(words.items[3], "a b");
    assert_contains(words.items[4], "--cmdline=earlyprintk");
    assert_contains(words.items[4], " console=ttyS0 ");
    assert_string_equal(words.items[5], "{worker_dir}/initrd,{worker_dir}/disk.ext4");
    assert_string_equal(words.items[7], "512M");
    assert_string_equal(words.items[9], "2");
    assert_string_equal(words.items[10], "{worker_dir}/job");
    assert_string_equal(words.items[11], "{worker_dir}/config.json");
    assert_string_equal(words.items[12], "{worker_dir}/x");
    assert_string_equal(words.items[13], "isolated");
    assert_string_equal(words.items[14], "{}");
    assert_string_equal(words.items[15], "{a=b}");
}

static void test_template_refused(void **state)
{
    static const struct {
        const char *template, *message, *remedy;
    } cases[] = {
        {"vmm {kernal}", "{kernal} is no placeholder", "{kernel}"},
        {"vmm {zzzzzzzzzzzz}", "is no placeholder", "{cmdline}"},
        {"vmm --disk={disk}", "no", "--image"},
        {"vmm 'a", "unclosed", ""},
        {"", "no words", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(pw_machine_template(&machine, cases[i].template, &words, &err), -1);
        assert_int_equal(err.cls, PW_ERR_USAGE);
        assert_contains(err.message, cases[i].message);
        assert_contains(err.remedy, cases[i].remedy);
        assert_int_equal(words.count, 0);
    }
}

/* A value is one string of the JSON, whatever is in it. */
static void test_config(void **state)
{
    (void)state;
    PW_STR_AUTO text = PW_STR_INIT;
    PW_STR_AUTO plain = PW_STR_INIT;
    machine.image = &image;
    kernel.image = "/a\"b\\c\td/vmlinux";
    assert_int_equal(pw_machine_config(&machine,
                                       " {\"kernel\": \"{kernel}\", \"args\": \"{cmdline}\",\n"
                                       "\"mem\": {memory_mib}, \"disks\": [{\"path\": "
                                       "\"{disk}\"}], \"n\": {\"x\":{}}}",
                                       &text, &err),
                     0);
    json_t *root = json_loads(text.text, 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "kernel")), kernel.image);
    assert_int_equal(json_integer_value(json_object_get(root, "mem")), 512);
    const json_t *disk = json_array_get(json_object_get(root, "disks"), 0);
    assert_string_equal(json_string_value(json_object_get(disk, "path")), "{worker_dir}/disk.ext4");
    json_decref(root);
    kernel.image = "/a\"b";
    assert_int_equal(pw_machine_config(&machine, "kernel = {kernel}", &plain, &err), 0);
    assert_string_equal(plain.text, "kernel = /a\"b");
    assert_int_equal(pw_machine_config(&machine, "{\"a\": \"{vcpu}\"}", &plain, &err), -1);
    assert_contains(err.remedy, "{vcpus}");
}

static void test_uses(void **state)
{
    struct pw_machine_uses uses = {0};
    (void)state;
    pw_machine_find_uses("vmm {kernel} {{initrd} {disks} {job", &uses);
    assert_true(uses.initrd);
    assert_false(uses.disk || uses.job || uses.config);
    pw_machine_find_uses("{\"a\": \"{disk}\"}", &uses);
    assert_true(uses.initrd && uses.disk);
    pw_machine_find_uses("{job}{config}", &uses);
    assert_true(uses.job && uses.config);
}

static void write_text(void **state, const char *name, const char *text, size_t size)
{
    PW_FREE_AUTO char *path = in_folder(state, name);
    assert_int_equal(pw_file_write(path, text, size, 0600, &err), 0);
}

static void test_prepare_worker(void **state)
{
    static const char job[] = "arg=true\0clock=1";
    char shared[512];
    struct pw_clone clone;
    const struct pw_machine_uses uses = {.disk = true, .initrd = true};
    memset(shared, 'i', sizeof(shared));
    write_text(state, "shared-initrd", shared, sizeof(shared));
    write_text(state, "shared-disk", "disk", 4);
    PW_FREE_AUTO char *initrd = in_folder(state, "shared-initrd");
    PW_FREE_AUTO char *disk = in_folder(state, "shared-disk");
    machine.image = &image;
    image.disk = disk;
    machine.initrd = initrd;
    assert_int_equal(pw_machine_prepare_worker(&machine, &uses, *state, &clone, &err), -1);
    assert_contains(err.message, "/job"); /* it is not there yet */
    PW_FREE_AUTO char *copy = in_folder(state, "disk.ext4");
    assert_int_equal(unlink(copy), 0);
    write_text(state, "job", job, sizeof(job));
    assert_int_equal(pw_machine_prepare_worker(&machine, &uses, *state, &clone, &err), 0);
    assert_int_equal(clone.bytes, 4);
    assert_non_null(clone.how);
    PW_FREE_AUTO char *made = in_folder(state, "initrd");
    PW_FREE_AUTO char *text = NULL;
    size_t size = 0;
    assert_int_equal(pw_file_read(made, 1 << 20, &text, &size, &err), 0);
    assert_true(size > sizeof(shared) && size % 4 == 0);
    assert_memory_equal(text, shared, sizeof(shared));
    assert_memory_equal(text + sizeof(shared), "070701", 6);
    assert_non_null(memmem(text, size, job, sizeof(job)));
    assert_non_null(memmem(text, size, &PW_JOB_FILE[1], strlen(&PW_JOB_FILE[1])));
    /* Nothing is made that is not used. */
    const struct pw_machine_uses none = {0};
    assert_int_equal(pw_machine_prepare_worker(&machine, &none, "/nowhere", &clone, &err), 0);
    assert_null(clone.how);
}

static void test_version(void **state)
{
    static const char script[] = "#!/bin/sh\n[ \"$1\" = --version ] || exit 1\n"
                                 "echo 'Monitor 1.2'\necho more\n";
    PW_FREE_AUTO char *path = in_folder(state, "monitor");
    PW_FREE_AUTO char *version = NULL;
    assert_int_equal(pw_file_write(path, script, strlen(script), 0755, &err), 0);
    assert_int_equal(pw_machine_version(path, &version, &err), 0);
    assert_string_equal(version, "Monitor 1.2");
    assert_false(pw_machine_has_sandbox(path));
    PW_FREE_AUTO char *missing = in_folder(state, "missing");
    assert_int_equal(pw_machine_version(missing, &version, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    assert_contains(err.remedy, "--supervisor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, begin, end),
        cmocka_unit_test_setup_teardown(test_type, begin, end),
        cmocka_unit_test_setup_teardown(test_cmdline, begin, end),
        cmocka_unit_test_setup_teardown(test_qemu, begin, end),
        cmocka_unit_test_setup_teardown(test_devices, begin, end),
        cmocka_unit_test_setup_teardown(test_kvm_and_state, begin, end),
        cmocka_unit_test_setup_teardown(test_paths, begin, end),
        cmocka_unit_test_setup_teardown(test_template, begin, end),
        cmocka_unit_test_setup_teardown(test_template_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_config, begin, end),
        cmocka_unit_test_setup_teardown(test_uses, begin, end),
        cmocka_unit_test_setup_teardown(test_prepare_worker, begin, end),
        cmocka_unit_test_setup_teardown(test_version, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
