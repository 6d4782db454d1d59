/* wrapper/run/environment: what workers and hooks find in their environment. */
#include "tests/unit/unit.h"

#include <unistd.h>
#include "wrapper/run/outfit.h"

/* Makes these the whole environment of the test itself. */
static void inherit(const char *const *variables)
{
    static char *inherited[32];
    size_t count = 0;
    for (; variables[count]; count++) {
        assert_true(count + 1 < sizeof inherited / sizeof *inherited);
        inherited[count] = (char *)variables[count]; /* nobody writes to them */
    }
    inherited[count] = NULL;
    environ = inherited;
}
#define INHERIT(...) inherit((const char *const[]){__VA_ARGS__, NULL})

static const struct pw_worker_facts worker = {
    .iteration = 3,
    .worker_id = 2,
    .run_dir = "/results/run",
    .worker_dir = "/private/worker-2",
    .run_id = "0b3b4f0e-0000-4000-8000-000000000001",
    .endpoint = "http://127.0.0.1:40123/w/abc",
    .trace_id = "0123456789abcdef0123456789abcdef",
    .span_id = "fedcba9876543210",
};
#define ATTRIBUTES \
    "perfwrap.run.id=0b3b4f0e-0000-4000-8000-000000000001,perfwrap.iteration=3,perfwrap.worker=2"

static struct pw_plan plan;
static struct pw_outfit outfit;
static char **made;

/* The environment of the worker that `facts` describe, in `made` until the test ends. */
static void make(const struct pw_worker_facts *facts)
{
    struct pw_err err = PW_ERR_INIT;
    pw_environment_free(made);
    made = pw_environment_new(&plan, facts, &err);
    if (!made) {
        fail_msg("%s", err.message);
    }
}

/* NULL: not set. Fails if it is set twice. */
static const char *value_of(const char *name)
{
    const char *found = NULL;
    size_t length = strlen(name);
    for (size_t i = 0; made[i]; i++) {
        if (strncmp(made[i], name, length) == 0 && made[i][length] == '=') {
            assert_null(found);
            found = made[i] + length + 1;
        }
    }
    return found;
}

#define assert_variable(name, expected)                                            \
    do {                                                                           \
        const char *variable_v = value_of(name);                                   \
        if (!variable_v || strcmp(variable_v, (expected)) != 0) {                  \
            fail_msg("%s is `%s`", (name), variable_v ? variable_v : "(not set)"); \
        }                                                                          \
    } while (0)
#define assert_unset(name) assert_null(value_of(name))

static size_t count_made(void)
{
    size_t count = 0;
    while (made[count]) {
        count++;
    }
    return count;
}

static int begin(void **state)
{
    static char **own;
    if (!own) {
        own = environ;
    }
    *state = own;
    plan = (struct pw_plan){.otlp_mode = PW_OTLP_AUTO, .outfit = &outfit};
    return 0;
}

static int end(void **state)
{
    environ = *state;
    pw_outfit_done(&outfit);
    pw_environment_free(made);
    made = NULL;
    return 0;
}

static void add_variable(const char *text)
{
    assert_int_equal(pw_outfit_add_variable(&outfit, text, NULL), 0);
}

static void test_own_names(void **state)
{
    struct pw_worker_facts hook = {.iteration = 0, .run_dir = "/results/run"};
    (void)state;
    INHERIT("A=1", "PERFWRAP_WORKER_ID=9", "PERFWRAP_WORKER_DIR=/outer", "PERFWRAP_ITERATION=7",
            "PERFWRAP_OTHER=kept", "B=");
    make(&worker);
    assert_variable("PERFWRAP_ITERATION", "3");
    assert_variable("PERFWRAP_WORKER_ID", "2");
    assert_variable("PERFWRAP_RUN_DIR", "/results/run");
    assert_variable("PERFWRAP_WORKER_DIR", "/private/worker-2");
    assert_variable("PERFWRAP_OTHER", "kept");
    assert_variable("A", "1");
    assert_variable("B", "");
    add_variable("A=2");
    make(&hook);
    assert_variable("PERFWRAP_ITERATION", "0");
    assert_variable("PERFWRAP_RUN_DIR", "/results/run");
    assert_unset("PERFWRAP_WORKER_ID");
    assert_unset("PERFWRAP_WORKER_DIR");
    assert_variable("A", "1");
    assert_int_equal(count_made(), 5);
}

static void test_no_environment_at_all(void **state)
{
    const struct pw_worker_facts hook = {.run_dir = "/r"};
    (void)state;
    environ = NULL;
    make(&hook);
    assert_int_equal(count_made(), 2);
}

static void test_reporting(void **state)
{
    (void)state;
    INHERIT("PATH=/bin");
    make(&worker);
    assert_variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:40123/w/abc");
    assert_variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                    "http://127.0.0.1:40123/w/abc/v1/metrics");
    assert_variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:40123/w/abc/v1/traces");
    assert_variable("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:40123/w/abc/v1/logs");
    assert_variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    assert_variable("OTEL_METRICS_EXPORTER", "otlp");
    assert_variable("OTEL_TRACES_EXPORTER", "otlp");
    assert_variable("OTEL_LOGS_EXPORTER", "otlp");
    assert_variable("OTEL_METRIC_EXPORT_INTERVAL", "1000");
    assert_variable("OTEL_BSP_SCHEDULE_DELAY", "500");
    assert_variable("OTEL_BLRP_SCHEDULE_DELAY", "500");
    assert_variable("OTEL_RESOURCE_ATTRIBUTES", ATTRIBUTES);
    assert_variable("TRACEPARENT", "00-0123456789abcdef0123456789abcdef-fedcba9876543210-01");
    assert_variable("NO_PROXY", "127.0.0.1,localhost");
    assert_variable("no_proxy", "127.0.0.1,localhost");
    assert_variable("PATH", "/bin");
    assert_unset("OTEL_EXPORTER_OTLP_HEADERS");
    assert_unset("OTEL_EXPORTER_OTLP_COMPRESSION");
    assert_unset("OTEL_METRIC_EXPORT_TIMEOUT");
    assert_int_equal(count_made(), 20);
}

/* All that is inherited for another collector goes; how to aggregate, and what is set anyhow,
 * stays.
 */
static void test_inherited_reporting(void **state)
{
    (void)state;
    INHERIT("OTEL_EXPORTER_OTLP_ENDPOINT=https://other:4317", "OTEL_EXPORTER_OTLP_HEADERS=k=secret",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS=k=secret", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_CERTIFICATE=/c.pem",
            "OTEL_EXPORTER_OTLP_TIMEOUT=1", "OTEL_EXPORTER_OTLP_INSECURE=true",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta",
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION=any",
            "OTEL_TRACES_EXPORTER=none", "OTEL_LOGS_EXPORTER=", "OTEL_METRIC_EXPORT_INTERVAL=200",
            "OTEL_METRIC_EXPORT_TIMEOUT=100", "OTEL_SERVICE_NAME=mine",
            "TRACEPARENT=00-11111111111111111111111111111111-2222222222222222-00", "TRACESTATE=a=b",
            "BAGGAGE=c=d");
    make(&worker);
    assert_variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:40123/w/abc");
    assert_variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    static const char *const gone[] = {"OTEL_EXPORTER_OTLP_HEADERS",
                                       "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
                                       "OTEL_EXPORTER_OTLP_COMPRESSION",
                                       "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
                                       "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
                                       "OTEL_EXPORTER_OTLP_CERTIFICATE",
                                       "OTEL_EXPORTER_OTLP_TIMEOUT",
                                       "OTEL_EXPORTER_OTLP_INSECURE",
                                       "TRACESTATE"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        assert_unset(gone[i]);
    }
    assert_variable("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta");
    assert_variable("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "any");
    assert_variable("OTEL_TRACES_EXPORTER", "none");
    assert_variable("OTEL_LOGS_EXPORTER", "otlp"); /* empty is as good as not set */
    assert_variable("OTEL_METRIC_EXPORT_INTERVAL", "200");
    assert_variable("OTEL_METRIC_EXPORT_TIMEOUT", "100");
    assert_variable("OTEL_SERVICE_NAME", "mine");
    assert_variable("TRACEPARENT", "00-0123456789abcdef0123456789abcdef-fedcba9876543210-01");
    assert_variable("BAGGAGE", "c=d");
}

/* A timeout longer than the interval makes some SDKs give up. */
static void test_inherited_timeout(void **state)
{
    (void)state;
    INHERIT("OTEL_METRIC_EXPORT_TIMEOUT=30000");
    make(&worker);
    assert_variable("OTEL_METRIC_EXPORT_INTERVAL", "1000");
    assert_unset("OTEL_METRIC_EXPORT_TIMEOUT");
}

static void test_off(void **state)
{
    struct pw_worker_facts facts = worker;
    (void)state;
    facts.endpoint = NULL;
    facts.trace_id = facts.span_id = NULL;
    plan.otlp_mode = PW_OTLP_OFF;
    INHERIT("OTEL_EXPORTER_OTLP_ENDPOINT=https://other", "OTEL_EXPORTER_OTLP_HEADERS=k=v",
            "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "TRACEPARENT=tp", "TRACESTATE=ts", "NO_PROXY=x");
    make(&facts);
    assert_variable("OTEL_EXPORTER_OTLP_ENDPOINT", "https://other");
    assert_variable("OTEL_EXPORTER_OTLP_HEADERS", "k=v");
    assert_variable("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    assert_variable("TRACEPARENT", "tp");
    assert_variable("TRACESTATE", "ts");
    assert_variable("NO_PROXY", "x");
    assert_int_equal(count_made(), 6 + 4);
}

static void test_elsewhere(void **state)
{
    struct pw_worker_facts facts = worker;
    (void)state;
    facts.endpoint = "https://collector.example/base";
    plan.otlp_mode = PW_OTLP_ELSEWHERE;
    INHERIT("OTEL_EXPORTER_OTLP_HEADERS=k=v", "NO_PROXY=x", "OTEL_RESOURCE_ATTRIBUTES=a=b");
    add_variable("OTEL_EXPORTER_OTLP_HEADERS=k=other");
    make(&facts);
    assert_variable("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example/base");
    assert_variable("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://collector.example/base/v1/logs");
    assert_variable("OTEL_EXPORTER_OTLP_HEADERS", "k=other");
    assert_variable("OTEL_RESOURCE_ATTRIBUTES", "a=b," ATTRIBUTES);
    assert_non_null(value_of("TRACEPARENT"));
    assert_variable("NO_PROXY", "x");
    assert_unset("no_proxy");
}

static void test_token(void **state)
{
    struct pw_worker_facts facts = worker;
    (void)state;
    facts.bearer_token = "ab=c,d e/f";
    INHERIT("OTEL_EXPORTER_OTLP_HEADERS=k=v");
    make(&facts);
    assert_variable("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20ab%3Dc%2Cd%20e%2Ff");
}

static void test_resource_attributes(void **state)
{
    static const struct {
        const char *inherited, *expected;
    } cases[] = {
        {"OTEL_RESOURCE_ATTRIBUTES=", ATTRIBUTES},
        {"OTEL_RESOURCE_ATTRIBUTES=a=b", "a=b," ATTRIBUTES},
        {"OTEL_RESOURCE_ATTRIBUTES=a=b%2Cc,d=e,", "a=b%2Cc,d=e," ATTRIBUTES},
        {"OTEL_RESOURCE_ATTRIBUTES=,,a=b, ,", "a=b," ATTRIBUTES},
        /* of a perfwrap that runs this one */
        {"OTEL_RESOURCE_ATTRIBUTES=perfwrap.run.id=outer,a=b, perfwrap.iteration=9",
         "a=b," ATTRIBUTES},
        {"OTEL_RESOURCE_ATTRIBUTES=perfwrapped=1", "perfwrapped=1," ATTRIBUTES},
    };
    struct pw_worker_facts facts = worker;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        INHERIT(cases[i].inherited);
        make(&worker);
        assert_variable("OTEL_RESOURCE_ATTRIBUTES", cases[i].expected);
    }
    INHERIT("A=");
    facts.run_id = "a b,c=d%\xc3\xa4-._~Z9";
    make(&facts);
    assert_variable("OTEL_RESOURCE_ATTRIBUTES",
                    "perfwrap.run.id=a%20b%2Cc%3Dd%25%C3%A4-._~Z9,perfwrap.iteration=3,"
                    "perfwrap.worker=2");
}

static void test_no_proxy(void **state)
{
    static const struct {
        const char *first, *second, *endpoint;
        const char *upper, *lower;
    } cases[] = {
        {"NO_PROXY=corp.example", "A=", NULL, "corp.example,127.0.0.1,localhost",
         "corp.example,127.0.0.1,localhost"},
        {"no_proxy=corp.example", "NO_PROXY=", NULL, "corp.example,127.0.0.1,localhost",
         "corp.example,127.0.0.1,localhost"},
        {"NO_PROXY=upper", "no_proxy=lower", NULL, "upper,127.0.0.1,localhost",
         "lower,127.0.0.1,localhost"},
        {"NO_PROXY=LocalHost , 127.0.0.1", "A=", NULL, "LocalHost , 127.0.0.1",
         "LocalHost , 127.0.0.1"},
        {"NO_PROXY=.localhost,127.0.0.11", "A=", NULL, ".localhost,127.0.0.11,127.0.0.1,localhost",
         ".localhost,127.0.0.11,127.0.0.1,localhost"},
        {"NO_PROXY=*", "no_proxy=a", NULL, "*", "a,127.0.0.1,localhost"},
        {"NO_PROXY=*", "A=", NULL, "*", "*"},
        {"A=", "B=", "http://10.0.0.5:4318/w/1", "127.0.0.1,localhost,10.0.0.5",
         "127.0.0.1,localhost,10.0.0.5"},
        {"A=", "B=", "http://[::1]:4318/w/1", "127.0.0.1,localhost,::1", "127.0.0.1,localhost,::1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pw_worker_facts facts = worker;
        if (cases[i].endpoint) {
            facts.endpoint = cases[i].endpoint;
        }
        INHERIT(cases[i].first, cases[i].second);
        make(&facts);
        assert_variable("NO_PROXY", cases[i].upper);
        assert_variable("no_proxy", cases[i].lower);
    }
}

/* What is given on the command line wins over what perfwrap sets, the later over the earlier. */
static void test_precedence(void **state)
{
    (void)state;
    INHERIT("X=inherited", "OTEL_METRIC_EXPORT_INTERVAL=7");
    add_variable("OTEL_METRIC_EXPORT_INTERVAL=50");
    add_variable("OTEL_EXPORTER_OTLP_COMPRESSION=gzip");
    add_variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT={endpoint}/special");
    add_variable("X=first {worker_id}");
    add_variable("X=second={iteration}{run_id}{unknown}");
    add_variable("EMPTY=");
    make(&worker);
    assert_variable("OTEL_METRIC_EXPORT_INTERVAL", "50");
    assert_variable("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    assert_variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:40123/w/abc/special");
    assert_variable("X", "second=30b3b4f0e-0000-4000-8000-000000000001{unknown}");
    assert_variable("EMPTY", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_own_names, begin, end),
        cmocka_unit_test_setup_teardown(test_no_environment_at_all, begin, end),
        cmocka_unit_test_setup_teardown(test_reporting, begin, end),
        cmocka_unit_test_setup_teardown(test_inherited_reporting, begin, end),
        cmocka_unit_test_setup_teardown(test_inherited_timeout, begin, end),
        cmocka_unit_test_setup_teardown(test_off, begin, end),
        cmocka_unit_test_setup_teardown(test_elsewhere, begin, end),
        cmocka_unit_test_setup_teardown(test_token, begin, end),
        cmocka_unit_test_setup_teardown(test_resource_attributes, begin, end),
        cmocka_unit_test_setup_teardown(test_no_proxy, begin, end),
        cmocka_unit_test_setup_teardown(test_precedence, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
