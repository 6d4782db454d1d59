/* wrapper/boot/job: what a guest is told to do. */
#include "tests/unit/unit.h"

#include "core/limits.h"
#include "wrapper/boot/guest_proto.h"
#include "wrapper/boot/job.h"

static struct pw_image image;
static struct pw_job job;
static struct pw_str text;
static size_t verbatim;
static struct pw_err err;

static int begin(void **state)
{
    (void)state;
    err = PW_ERR_INIT;
    image = (struct pw_image){0};
    job = (struct pw_job){.exec = "true", .network = PW_NETWORK_ISOLATED};
    text = PW_STR_INIT;
    return 0;
}

static int end(void **state)
{
    (void)state;
    pw_str_done(&text);
    return 0;
}

static void make(void)
{
    pw_str_done(&text);
    assert_int_equal(pw_job_make(&job, &text, &verbatim, &err), 0);
    assert_true(verbatim <= text.length);
    assert_int_equal(text.text[text.length - 1], '\0');
    assert_true(verbatim == 0 || text.text[verbatim - 1] == '\0');
}

/* How many lines there are like that; *ret_at: of the last one. */
static unsigned count_of(const char *line, size_t *ret_at)
{
    unsigned count = 0;
    for (size_t at = 0; at < text.length; at += strlen(text.text + at) + 1) {
        if (strcmp(text.text + at, line) == 0) {
            count++;
            *ret_at = at;
        }
    }
    return count;
}

static unsigned count_prefix(const char *prefix)
{
    unsigned count = 0;
    for (size_t at = 0; at < text.length; at += strlen(text.text + at) + 1) {
        count += strncmp(text.text + at, prefix, strlen(prefix)) == 0;
    }
    return count;
}

static void expect(const char *line, bool is_verbatim)
{
    size_t at = 0;
    if (count_of(line, &at) != 1 || (at < verbatim) != is_verbatim) {
        fail_msg("%u of `%s`, at %zu, verbatim %zu", count_of(line, &at), line, at, verbatim);
    }
}

static void test_bare(void **state)
{
    static const char expected[] = "arg=exit\0arg=7\0env=PERFWRAP_ITERATION={iteration}\0"
                                   "env=PERFWRAP_WORKER_ID={worker_id}\0clock={unix_ns}";
    (void)state;
    job.exec = "exit 7";
    job.is_words = true;
    make();
    assert_int_equal(text.length, sizeof(expected));
    assert_memory_equal(text.text, expected, sizeof(expected));
    assert_int_equal(verbatim, strlen("arg=exit") + strlen("arg=7") + 2);
    job.exec = NULL;
    make();
    assert_int_equal(verbatim, 0);
    assert_int_equal(count_prefix("arg="), 0);
}

static void test_shell(void **state)
{
    (void)state;
    job.exec = "echo {worker_id} 'a b' \n";
    make();
    static const char expected[] = "arg=/bin/sh\0arg=-c\0arg=echo {worker_id} 'a b' \n";
    assert_memory_equal(text.text, expected, sizeof(expected));
    expect("arg=echo {worker_id} 'a b' \n", true);
    job.is_words = true;
    make();
    expect("arg={worker_id}", true);
    expect("arg=a b", true);
    job.exec = "a 'b";
    assert_int_equal(pw_job_make(&job, &text, &verbatim, &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_contains(err.message, "--exec: unclosed");
}

static void test_image(void **state)
{
    char *environment[] = {"PATH=/bin",   "A={iteration}",
                           "A=2",         "PERFWRAP_ITERATION=9",
                           "=x",          "none",
                           "EMPTY=",      "TRACEPARENT=of-image",
                           "A_B={a}={b}", NULL};
    (void)state;
    image.environment = environment;
    image.folder = "/srv/{x}";
    image.user = "1000:1001";
    image.entrypoint = (char *[]){"/entry", NULL};
    job.image = &image;
    job.hold = true;
    make();
    expect("root=vda", true);
    expect("cwd=/srv/{x}", true);
    expect("user=1000:1001", true);
    expect("hold=1", true);
    expect("env=PATH=/bin", true);
    expect("env=A=2", true); /* the later one */
    expect("env=A_B={a}={b}", true);
    expect("env=EMPTY=", true);
    expect("env=TRACEPARENT=of-image", true);
    expect("env=PERFWRAP_ITERATION={iteration}", false);
    assert_int_equal(count_prefix("env="), 7);
    assert_int_equal(count_prefix("net="), 0);
    assert_null(memmem(text.text, text.length, "/entry", 6));
    image.folder = "";
    image.user = "";
    job.hold = false;
    make();
    assert_int_equal(count_prefix("cwd=") + count_prefix("user=") + count_prefix("hold="), 0);
}

static void test_reports(void **state)
{
    char *environment[] = {"OTEL_EXPORTER_OTLP_ENDPOINT=http://elsewhere",
                           "OTEL_EXPORTER_OTLP_HEADERS=key=1",
                           "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta",
                           "OTEL_RESOURCE_ATTRIBUTES=service.name=a{worker_id}b,perfwrap.run.id=x",
                           "OTEL_TRACES_EXPORTER=none",
                           "OTEL_LOGS_EXPORTER=",
                           "OTEL_METRIC_EXPORT_TIMEOUT=30000",
                           "no_proxy=inner",
                           "TRACESTATE=a=b",
                           NULL};
    (void)state;
    image.environment = environment;
    job.image = &image;
    job.network = PW_NETWORK_USER;
    job.reports = true;
    make();
    expect("net=10.0.2.15/24,10.0.2.2,10.0.2.3", true);
    expect("env=OTEL_EXPORTER_OTLP_ENDPOINT=http://10.0.2.2:{endpoint_port}{endpoint_path}", false);
    expect("env=OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://10.0.2.2:{endpoint_port}{endpoint_path}"
           "/v1/traces",
           false);
    expect("env=OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", true);
    expect("env=TRACEPARENT={traceparent}", false);
    expect("env=OTEL_RESOURCE_ATTRIBUTES=service.name=a%7Bworker_id}b,perfwrap.run.id={run_id},"
           "perfwrap.iteration={iteration},perfwrap.worker={worker_id}",
           false);
    expect("env=OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta", true);
    expect("env=OTEL_TRACES_EXPORTER=none", true); /* as the image has it */
    expect("env=OTEL_LOGS_EXPORTER=otlp", true);
    expect("env=OTEL_METRIC_EXPORT_INTERVAL=1000", true);
    expect("env=NO_PROXY=inner,127.0.0.1,localhost,10.0.2.2", true);
    expect("env=no_proxy=inner,127.0.0.1,localhost,10.0.2.2", true);
    assert_int_equal(count_prefix("env=OTEL_EXPORTER_OTLP_ENDPOINT="), 1);
    assert_int_equal(count_prefix("env=OTEL_LOGS_EXPORTER="), 1);
    assert_int_equal(count_prefix("env=OTEL_EXPORTER_OTLP_HEADERS="), 0);
    assert_int_equal(count_prefix("env=OTEL_METRIC_EXPORT_TIMEOUT="), 0);
    assert_int_equal(count_prefix("env=TRACESTATE="), 0);
    job.network = PW_NETWORK_ISOLATED; /* there is no way to the collector */
    make();
    expect("env=OTEL_EXPORTER_OTLP_ENDPOINT=http://elsewhere", true);
    assert_int_equal(count_prefix("env=OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="), 0);
}

static void test_no_image_reports(void **state)
{
    (void)state;
    job.network = PW_NETWORK_USER;
    job.reports = true;
    make();
    expect("env=NO_PROXY=127.0.0.1,localhost,10.0.2.2", true);
    expect("env=OTEL_RESOURCE_ATTRIBUTES=perfwrap.run.id={run_id},perfwrap.iteration={iteration},"
           "perfwrap.worker={worker_id}",
           false);
    assert_int_equal(count_prefix("root="), 0);
    char *environment[] = {"NO_PROXY=*", NULL};
    image.environment = environment;
    job.image = &image;
    make();
    expect("env=NO_PROXY=*", true);
}

static void test_bounds(void **state)
{
    static char *many[PW_LIMIT_IMAGE_VARIABLES + 2];
    static char name[PW_LIMIT_IMAGE_VARIABLES + 1][16];
    (void)state;
    PW_FREE_AUTO char *exec = malloc(PW_JOB_BYTES + 1);
    assert_non_null(exec);
    memset(exec, 'x', PW_JOB_BYTES);
    exec[PW_JOB_BYTES] = '\0';
    job.exec = exec;
    assert_int_equal(pw_job_make(&job, &text, &verbatim, &err), -1);
    assert_int_equal(err.cls, PW_ERR_USAGE);
    assert_contains(err.remedy, "file of the image");
    exec[PW_JOB_BYTES / 2] = '\0';
    make();
    for (size_t i = 0; i <= PW_LIMIT_IMAGE_VARIABLES; i++) {
        snprintf(name[i], sizeof(name[i]), "V%zu=1", i);
        many[i] = name[i];
    }
    job.exec = "true";
    job.image = &image;
    image.environment = many;
    assert_int_equal(pw_job_make(&job, &text, &verbatim, &err), -1);
    assert_int_equal(err.cls, PW_ERR_INPUT);
    many[PW_LIMIT_IMAGE_VARIABLES] = NULL;
    make();
    assert_int_equal(count_prefix("env=V"), PW_LIMIT_IMAGE_VARIABLES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bare, begin, end),
        cmocka_unit_test_setup_teardown(test_shell, begin, end),
        cmocka_unit_test_setup_teardown(test_image, begin, end),
        cmocka_unit_test_setup_teardown(test_reports, begin, end),
        cmocka_unit_test_setup_teardown(test_no_image_reports, begin, end),
        cmocka_unit_test_setup_teardown(test_bounds, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
