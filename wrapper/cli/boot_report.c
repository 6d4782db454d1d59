#include "wrapper/cli/boot_report.h"

#include <stdio.h>
#include <string.h>
#include "core/json.h"
#include "wrapper/boot/verdict.h"

static bool is_ok(const struct pw_worker_record *worker)
{
    return worker->verdict && strcmp(worker->verdict, pw_boot_verdict_name(PW_BOOT_OK)) == 0;
}

size_t pw_boot_failures(const struct pw_run_record *run)
{
    size_t failures = 0;
    for (size_t i = 0; i < run->iteration_count; i++) {
        for (size_t w = 0; w < run->iterations[i].worker_count; w++) {
            failures += !is_ok(&run->iterations[i].workers[w]);
        }
    }
    return failures;
}

static const char *machine_text(const struct pw_run_record *run, const char *key)
{
    return json_string_value(json_object_get(run->machine, key));
}

/* JSON */

static json_t *ms_or_null(struct pw_value value)
{
    return pw_json_number(value, false);
}

static json_t *iteration_to_json(const struct pw_run_record *run,
                                 const struct pw_iteration_record *iteration,
                                 const struct pw_worker_record *worker, bool *failed)
{
    json_t *object = json_object();
    char name[96];
    int used = snprintf(name, sizeof name, "perf-boot-%lld%09ld-%u",
                        (long long)iteration->started_wall.tv_sec, iteration->started_wall.tv_nsec,
                        iteration->number);
    if (iteration->worker_count > 1) {
        snprintf(name + used, sizeof name - (size_t)used, "-%u", worker->id);
    }
    pw_json_put(object, "name", json_string(name), failed);
    pw_json_put(object, "ok", json_boolean(is_ok(worker)), failed);
    pw_json_put(object, "duration_ms", json_real(worker->duration_ms), failed);
    if (machine_text(run, "image_ref")) {
        pw_json_put(object, "rootfs", json_string("baseline"), failed);
    }
    if (!is_ok(worker)) {
        pw_json_put(object, "error",
                    pw_json_string_or_null(worker->verdict_detail && worker->verdict_detail[0]
                                               ? worker->verdict_detail
                                               : worker->verdict),
                    failed);
    }
    pw_json_put(object, "iteration", json_integer(iteration->number), failed);
    pw_json_put(object, "worker", json_integer(worker->id), failed);
    pw_json_put(object, "verdict", pw_json_string_or_null(worker->verdict), failed);
    pw_json_put(object, "return_code", json_integer(worker->return_code), failed);
    pw_json_put(object, "signal", worker->signal ? json_integer(worker->signal) : json_null(),
                failed);
    if (run->moment_names) {
        pw_json_put(object, "phases",
                    pw_phases_to_json(run->moment_names, &worker->moments,
                                      worker->ended_at_ns - worker->started_at_ns, failed),
                    failed);
    }
    pw_json_put(object, "disk_clone_ms", ms_or_null(worker->values[PW_METRIC_DISK_CLONE]), failed);
    pw_json_put(object, "teardown_ms", ms_or_null(worker->values[PW_METRIC_TEARDOWN]), failed);
    pw_json_put(object, "max_rss_kib", pw_json_number(worker->values[PW_METRIC_MAX_RSS_KB], true),
                failed);
    return object;
}

static json_t *boundary_to_json(bool *failed)
{
    json_t *boundary = json_object(), *excluded = json_array();
    pw_json_put(boundary, "start", json_string("before_workspace_run"), failed);
    pw_json_put(boundary, "stop", json_string("after_guest_command_result"), failed);
    pw_json_append(excluded, json_string("image_prepare"), failed);
    pw_json_append(excluded, json_string("disk_clone"), failed);
    pw_json_append(excluded, json_string("iteration_teardown"), failed);
    pw_json_put(boundary, "excluded", excluded, failed);
    return boundary;
}

/* Failed boots are counted and nothing more. */
static json_t *summary_to_json(const struct pw_run_record *run, bool *failed)
{
    json_t *summary = json_object();
    size_t count = 0, ok = 0;
    double sum = 0, least = 0, most = 0;
    for (size_t i = 0; i < run->iteration_count; i++) {
        for (size_t w = 0; w < run->iterations[i].worker_count; w++) {
            const struct pw_worker_record *worker = &run->iterations[i].workers[w];
            double ms = worker->duration_ms;
            count++;
            if (!is_ok(worker)) {
                continue;
            }
            least = ok == 0 || ms < least ? ms : least;
            most = ok == 0 || ms > most ? ms : most;
            sum += ms;
            ok++;
        }
    }
    bool has_image = machine_text(run, "image_ref") != NULL;
    bool built = json_is_true(json_object_get(run->machine, "image_built"));
    pw_json_put(summary, "count", json_integer((json_int_t)count), failed);
    pw_json_put(summary, "failures", json_integer((json_int_t)(count - ok)), failed);
    pw_json_put(summary, "baselines", json_integer(has_image ? (json_int_t)count : 0), failed);
    pw_json_put(summary, "builds", json_integer(built), failed);
    pw_json_put(summary, "min_ms", ok ? json_real(least) : json_null(), failed);
    pw_json_put(summary, "avg_ms", ok ? json_real(sum / (double)ok) : json_null(), failed);
    pw_json_put(summary, "max_ms", ok ? json_real(most) : json_null(), failed);
    return summary;
}

json_t *pw_boot_to_json(const struct pw_run_record *run, const char *summary_path)
{
    bool failed = false;
    json_t *root = json_object(), *iterations = json_array();
    pw_json_put(root, "benchmark", json_string("boot"), &failed);
    pw_json_put(root, "backend", pw_json_string_or_null(machine_text(run, "backend")), &failed);
    pw_json_put(
        root, "arch",
        pw_json_string_or_null(json_string_value(json_object_get(run->environment, "arch"))),
        &failed);
    pw_json_put(root, "image_ref", pw_json_string_or_null(machine_text(run, "image_ref")), &failed);
    pw_json_put(root, "profile", pw_json_string_or_null(machine_text(run, "profile")), &failed);
    pw_json_put(root, "boundary", boundary_to_json(&failed), &failed);
    pw_json_put(root, "cache_condition",
                pw_json_string_or_null(machine_text(run, "cache_condition")), &failed);
    for (size_t i = 0; i < run->iteration_count; i++) {
        const struct pw_iteration_record *iteration = &run->iterations[i];
        for (size_t w = 0; w < iteration->worker_count; w++) {
            pw_json_append(iterations,
                           iteration_to_json(run, iteration, &iteration->workers[w], &failed),
                           &failed);
        }
    }
    pw_json_put(root, "iterations", iterations, &failed);
    pw_json_put(root, "summary", summary_to_json(run, &failed), &failed);
    pw_json_put(root, "host", json_deep_copy(run->environment), &failed);
    pw_json_put(root, "machine", json_deep_copy(run->machine), &failed);
    pw_json_put(root, "summary_json", pw_json_string_or_null(summary_path), &failed);
    if (failed) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* The document */

static void add_image(const struct pw_run_record *run, struct pw_document *document)
{
    const char *reference = machine_text(run, "image_ref");
    const char *digest = machine_text(run, "image_digest");
    if (!reference) {
        pw_document_field(document, "Image", "none: perfwrap's own init");
        return;
    }
    pw_document_field(document, "Image", "%s%s%s (%s in %.0f ms)", reference,
                      digest && *digest ? ", " : "", digest ? digest : "",
                      json_is_true(json_object_get(run->machine, "image_built")) ? "built"
                                                                                 : "from the cache",
                      json_number_value(json_object_get(run->machine, "image_prepare_ms")));
}

void pw_boot_report(const struct pw_run_record *run, struct pw_document *document)
{
    pw_document_heading(document, 1, "Machine boots");
    pw_document_field(document, "Machine", "%s: %lld MiB, %lld vCPU, %s, %s start",
                      machine_text(run, "profile"),
                      (long long)json_integer_value(json_object_get(run->machine, "memory_mib")),
                      (long long)json_integer_value(json_object_get(run->machine, "vcpus")),
                      machine_text(run, "backend"), machine_text(run, "start"));
    pw_document_field(document, "Accelerator", "%s (%s)", machine_text(run, "accel"),
                      machine_text(run, "accel_reason"));
    pw_document_field(document, "Guest kernel", "%s", machine_text(run, "guest_kernel"));
    add_image(run, document);
}
