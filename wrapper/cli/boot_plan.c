/* From what a boot was set up with to the plan of its session, and to what the summary says of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "wrapper/boot/job.h"
#include "wrapper/boot/verdict.h"
#include "wrapper/cli/boot_setup.h"

/* After its command the guest ends the machine, which takes QEMU some 10 ms. */
enum { PATIENCE_MS = 2000 };

/* The worker's end, as the guest and the monitor tell it. */
static int judge(void *context, const struct pw_worker_output *output,
                 struct pw_worker_record *record, struct pw_err *err)
{
    const struct pw_boot_setup *setup = context;
    struct pw_boot_judgement judgement;
    const struct pw_boot_end end = {.told = output->told,
                                    .console = output->out,
                                    .errors = output->err,
                                    .end = record->end,
                                    .return_code = record->return_code,
                                    .signal = record->signal,
                                    .names = setup->names,
                                    .moments = &record->moments};
    pw_boot_judge(&end, &judgement);
    record->verdict = pw_boot_verdict_name(judgement.verdict);
    record->return_code = judgement.return_code;
    record->signal = judgement.signal;
    record->verdict_detail = judgement.detail[0] ? strdup(judgement.detail) : NULL;
    return judgement.detail[0] && !record->verdict_detail ? pw_err_memory(err) : 0;
}

/* Marks that the guest will tell, in their order; `exec` is the boot's end. */
static int add_marks(struct pw_boot_setup *setup, struct pw_marks *marks, struct pw_err *err)
{
    const struct pw_machine *machine = &setup->machine;
    const struct {
        const char *name;
        bool comes;
    } guest[] = {
        {"kernel", !machine->waits_for_state}, {"modules", !machine->waits_for_state},
        {"restore", machine->waits_for_state}, {"network", machine->network == PW_NETWORK_USER},
        {"rootfs", machine->image != NULL},    {"exec", true}};
    if (!machine->waits_for_state && pw_marks_add(marks, "vmm_start=serial:/./", err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof guest / sizeof *guest; i++) {
        if (guest[i].comes && pw_marks_add_guest(marks, guest[i].name, err) != 0) {
            return -1;
        }
    }
    setup->names = &marks->names;
    return pw_marks_set_until(marks, "exec", err);
}

/* A file for each machine; takes nothing of `text` but its bytes. */
static int add_file(struct pw_owned_plan *plan, const char *name, struct pw_str *text,
                    size_t verbatim, struct pw_err *err)
{
    struct pw_worker_file file = {.size = text->length, .verbatim = verbatim};
    file.text = pw_str_take(text, err);
    file.dest = strdup(name);
    if (!file.text || !file.dest) {
        free(file.text);
        free(file.dest);
        return pw_err_memory(err);
    }
    return pw_outfit_add_file(&plan->outfit, &file, err);
}

static int add_job(const struct pw_boot_setup *setup, struct pw_owned_plan *plan,
                   struct pw_err *err)
{
    const struct pw_boot_options *options = setup->options;
    const struct pw_job job = {.exec = options->exec,
                               .is_words = !options->image,
                               .image = setup->machine.image,
                               .network = setup->machine.network,
                               .environment = options->environment.items,
                               .environment_count = options->environment.count,
                               .hold = options->hold > 0 || options->keep,
                               .reports = plan->plan.otlp_mode == PW_OTLP_AUTO &&
                                          setup->machine.network == PW_NETWORK_USER};
    PW_STR_AUTO text = PW_STR_INIT;
    size_t verbatim;
    if (pw_job_make(&job, &text, &verbatim, err) != 0) {
        return -1;
    }
    return add_file(plan, "job", &text, verbatim, err);
}

static int complete_profile(const struct pw_boot_setup *setup, struct pw_owned_plan *plan,
                            struct pw_err *err)
{
    json_t *own = pw_options_profile(&pw_boot_option_set, setup->options, err);
    if (!own) {
        return -1;
    }
    int result = json_object_update(plan->profile, own);
    json_decref(own);
    return result ? pw_err_memory(err) : 0;
}

/* What another monitor reads besides the job, which is there already. */
static int prepare_foreign(void *context, const struct pw_worker_facts *facts,
                           struct pw_worker_record *record, struct pw_err *err)
{
    const struct pw_boot_setup *setup = context;
    struct pw_clone clone = {0};
    if (pw_machine_prepare_worker(&setup->machine, &setup->uses, facts->worker_dir, &clone, err) !=
        0) {
        return -1;
    }
    if (clone.how) {
        record->values[PW_METRIC_DISK_CLONE] = pw_value_of(pw_ns_to_ms(clone.took_ns));
    }
    return 0;
}

int pw_boot_fill_plan(struct pw_boot_setup *setup, struct pw_owned_plan *owned, struct pw_err *err)
{
    struct pw_plan *plan = &owned->plan;
    if (add_marks(setup, &owned->marks, err) != 0 || add_job(setup, owned, err) != 0 ||
        complete_profile(setup, owned, err) != 0) {
        return -1;
    }
    if (setup->uses.config && add_file(owned, "config.json", &setup->config, 0, err) != 0) {
        return -1;
    }
    setup->kind = (struct pw_worker_kind){
        .context = setup, .prepare = setup->is_qemu ? NULL : prepare_foreign, .judge = judge};
    owned->marks.hopeless = setup->is_qemu ? "KVM internal error" : NULL;
    plan->marks = &owned->marks;
    plan->outfit = &owned->outfit;
    plan->kind = &setup->kind;
    plan->argv_has_placeholders = true;
    plan->until_patience_ms = PATIENCE_MS;
    plan->keep = setup->options->keep != NULL;
    plan->hold = plan->keep ? 1 : setup->options->hold;
    plan->input_file = setup->machine.waits_for_state ? setup->snapshot.state_file : NULL;
    return 0;
}

/* The summary */

static void put_text(json_t *object, const char *key, const char *text, bool *failed)
{
    pw_json_put(object, key, pw_json_string_or_null(text), failed);
}

static void put_image(const struct pw_image *image, json_t *machine, bool *failed)
{
    put_text(machine, "image_ref", image->reference, failed);
    put_text(machine, "image_digest", image->digest, failed);
    pw_json_put(machine, "image_disk_bytes", json_integer((json_int_t)image->disk_bytes), failed);
    pw_json_put(machine, "image_built", json_boolean(image->built), failed);
    pw_json_put(machine, "image_prepare_ms", json_real(pw_ns_to_ms(image->prepare_ns)), failed);
}

static void put_snapshot(const struct pw_snapshot *snapshot, json_t *machine, bool *failed)
{
    pw_json_put(machine, "snapshot_bytes", json_integer((json_int_t)snapshot->bytes), failed);
    pw_json_put(machine, "snapshot_made", json_boolean(snapshot->made), failed);
    pw_json_put(machine, "snapshot_prepare_ms", json_real(pw_ns_to_ms(snapshot->prepare_ns)),
                failed);
}

static json_t *machine_to_json(const struct pw_boot_setup *setup, const char *backend, bool *failed)
{
    const struct pw_machine *machine = &setup->machine;
    json_t *object = json_object();
    put_text(object, "backend", backend, failed);
    put_text(object, "monitor", setup->monitor, failed);
    put_text(object, "monitor_version", setup->version, failed);
    put_text(object, "type", setup->is_qemu ? pw_machine_type_name(machine->type) : NULL, failed);
    put_text(object, "profile", machine->size->name, failed);
    pw_json_put(object, "memory_mib", json_integer(machine->size->memory_mib), failed);
    pw_json_put(object, "vcpus", json_integer(machine->size->vcpus), failed);
    put_text(object, "network", setup->options->network, failed);
    put_text(object, "start", setup->options->start, failed);
    put_text(object, "accel", pw_accel_name(machine->accel.accel), failed);
    put_text(object, "accel_reason", machine->accel.kvm.reason, failed);
    put_text(object, "kvm", pw_kvm_name(machine->accel.kvm.kvm), failed);
    pw_json_put(object, "tsc_khz",
                machine->accel.tsc_khz ? json_integer(machine->accel.tsc_khz) : json_null(),
                failed);
    put_text(object, "guest_kernel", setup->kernel.release, failed);
    put_text(object, "guest_kernel_sha256", setup->kernel.digest, failed);
    put_text(object, "cache_condition", PW_BOOT_CACHE_CONDITION, failed);
    if (machine->image) {
        put_image(machine->image, object, failed);
    }
    if (machine->waits_for_state) {
        put_snapshot(&setup->snapshot, object, failed);
    }
    return object;
}

int pw_boot_describe(const struct pw_boot_setup *setup, struct pw_run_record *run,
                     struct pw_err *err)
{
    char backend[64];
    bool failed = false;
    snprintf(backend, sizeof backend, "%s-%s", setup->is_qemu ? "qemu" : "custom",
             pw_accel_name(setup->machine.accel.accel));
    run->machine = machine_to_json(setup, backend, &failed);
    put_text(run->environment, "accelerator", backend, &failed);
    put_text(run->environment, "guest_kernel", setup->kernel.release, &failed);
    put_text(run->environment, "monitor", setup->version, &failed);
    put_text(run->environment, "boot_start", setup->options->start, &failed);
    put_text(run->environment, "cache_state", PW_BOOT_CACHE_CONDITION, &failed);
    return failed ? pw_err_memory(err) : 0;
}
