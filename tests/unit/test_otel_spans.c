/* Spans, log records, and the actions that both report. */
#include "tests/unit/otel_window.h"

static const struct pw_otel_span *find_span(const struct pw_telemetry *telemetry, const char *name)
{
    for (size_t i = 0; i < telemetry->span_name_count; i++) {
        if (strcmp(telemetry->span_names[i].name, name) == 0) {
            return &telemetry->span_names[i];
        }
    }
    fail_msg("no span %s", name);
    return NULL;
}

/* Feeds spans given as JSON members, without brackets. */
static void feed_spans(struct otel *otel, const char *spans)
{
    PW_STR_AUTO text = PW_STR_INIT;
    pw_str_addf(&text, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[%s]}]}]}", spans);
    feed_json(otel, PW_SIGNAL_TRACES, text.text, text.length);
}

/* A span of trace `trace` in ms; ids 0 are left out. */
static void add_span(struct pw_str *out, int trace, int id, int parent, const char *name,
                     int start_ms, int end_ms, const char *more)
{
    pw_str_addf(out, "%s{\"traceId\":\"%032x\",\"name\":\"%s\"", out->length > 0 ? "," : "", trace,
                name);
    if (id != 0) {
        pw_str_addf(out, ",\"spanId\":\"%016x\"", id);
    }
    if (parent != 0) {
        pw_str_addf(out, ",\"parentSpanId\":\"%016x\"", parent);
    }
    pw_str_addf(out, ",\"startTimeUnixNano\":\"%lld\",\"endTimeUnixNano\":\"%lld\"%s}",
                start_ms * 1000000LL, end_ms * 1000000LL, more);
}

static double self_ms(const struct otel *otel, const char *name)
{
    return find_span(&otel->result, name)->self_ms;
}

static void test_self_times(void **state)
{
    struct otel *otel = *state;
    PW_STR_AUTO spans = PW_STR_INIT;
    add_span(&spans, 1, 1, 0, "root", 100, 200, "");
    add_span(&spans, 1, 2, 1, "a", 110, 130, "");
    add_span(&spans, 1, 3, 1, "b", 120, 140, "");     /* overlaps a */
    add_span(&spans, 1, 4, 1, "c", 125, 128, "");     /* within both */
    add_span(&spans, 1, 5, 1, "d", 190, 260, "");     /* outlives its parent */
    add_span(&spans, 1, 6, 1, "e", 50, 105, "");      /* began before it */
    add_span(&spans, 1, 7, 1, "f", 300, 400, "");     /* after it */
    add_span(&spans, 1, 8, 2, "a.a", 110, 130, "");   /* a grandchild: not the root's */
    add_span(&spans, 2, 9, 1, "other", 150, 160, ""); /* the same id in another trace */
    feed_spans(otel, spans.text);
    take(otel);
    assert_near(self_ms(otel, "root"), 100 - 30 - 10 - 5);
    assert_near(self_ms(otel, "a"), 0.0);
    assert_near(self_ms(otel, "b"), 20.0);
    assert_near(self_ms(otel, "a.a"), 20.0);
    assert_near(self_ms(otel, "d"), 70.0);
    assert_near(self_ms(otel, "other"), 10.0);
    assert_int_equal(otel->result.spans, 9);
    assert_int_equal(find_span(&otel->result, "root")->durations.count, 1);
    assert_near(find_span(&otel->result, "root")->durations.mean_ms, 100.0);
    for (size_t i = 1; i < otel->result.span_name_count; i++) {
        assert_true(strcmp(otel->result.span_names[i - 1].name, otel->result.span_names[i].name) <
                    0);
    }
}

/* Children may come before their parents, and in other payloads. */
static void test_self_times_across_payloads(void **state)
{
    struct otel *otel = *state;
    PW_STR_AUTO spans = PW_STR_INIT;
    add_span(&spans, 1, 2, 1, "child", 110, 130, "");
    feed_spans(otel, spans.text);
    pw_str_clear(&spans);
    add_span(&spans, 1, 1, 0, "root", 100, 200, "");
    feed_spans(otel, spans.text);
    take(otel);
    assert_near(self_ms(otel, "root"), 80.0);
    feed_spans(otel, spans.text); /* sent again */
    pw_str_clear(&spans);
    add_span(&spans, 1, 1, 0, "renamed", 100, 200, ""); /* the same span, says its id */
    feed_spans(otel, spans.text);
    take(otel);
    assert_near(self_ms(otel, "root"), 80.0);
    assert_int_equal(otel->result.spans, 4);
    assert_int_equal(otel->result.losses[PW_LOSS_REPEATED], 2);
    assert_int_equal(otel->result.span_name_count, 2);
    take(otel);
    assert_int_equal(otel->result.losses[PW_LOSS_REPEATED], 2); /* not counted twice */
}

static void test_spans_without_ids(void **state)
{
    struct otel *otel = *state;
    PW_STR_AUTO spans = PW_STR_INIT;
    add_span(&spans, 1, 0, 0, "a", 100, 200, "");
    add_span(&spans, 1, 0, 0, "a", 100, 200, "");   /* no repeat, nor a child */
    add_span(&spans, 1, 5, 5, "own", 100, 200, ""); /* its own parent */
    feed_spans(otel, spans.text);
    feed_spans(otel, "{\"traceId\":\"abcd\",\"spanId\":\"ef\",\"name\":\"short\","
                     "\"startTimeUnixNano\":1000000,\"endTimeUnixNano\":3000000}");
    take(otel);
    assert_int_equal(find_span(&otel->result, "a")->durations.count, 2);
    assert_near(self_ms(otel, "a"), 200.0);
    assert_near(self_ms(otel, "own"), 100.0);
    assert_near(self_ms(otel, "short"), 2.0);
    assert_int_equal(otel->result.losses[PW_LOSS_REPEATED], 0);
}

static void test_spans_without_time(void **state)
{
    struct otel *otel = *state;
    PW_STR_AUTO spans = PW_STR_INIT;
    add_span(&spans, 1, 1, 0, "backwards", 200, 100, "");
    add_span(&spans, 1, 2, 0, "endless", 200, 0, "");
    add_span(&spans, 1, 3, 0, "beginningless", 0, 100, "");
    add_span(&spans, 1, 4, 0, "instant", 100, 100, "");
    feed_spans(otel, spans.text);
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->spans, 4);
    assert_int_equal(result->losses[PW_LOSS_INVALID_POINT], 3);
    assert_int_equal(result->span_name_count, 1);
    assert_near(find_span(result, "instant")->durations.sum_ms, 0.0);
}

/* --- against a slow way --- */

struct slow_span {
    int trace, id, parent;
    uint64_t start, end;
    const char *name;
};

static int compare_times(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Cuts the span at all borders of all spans, and adds up the pieces that no child covers. */
static double slow_self_ms(const struct slow_span *spans, size_t count, const struct slow_span *of)
{
    uint64_t *borders = calloc(2 * count, sizeof(*borders));
    uint64_t self = 0;
    assert_non_null(borders);
    for (size_t i = 0; i < count; i++) {
        borders[2 * i] = spans[i].start;
        borders[2 * i + 1] = spans[i].end;
    }
    qsort(borders, 2 * count, sizeof(*borders), compare_times);
    for (size_t i = 0; i + 1 < 2 * count; i++) {
        bool is_own = borders[i] >= of->start && borders[i + 1] <= of->end;
        for (size_t j = 0; j < count && is_own; j++) {
            is_own = !(spans[j].parent == of->id && spans[j].trace == of->trace &&
                       spans[j].start <= borders[i] && spans[j].end >= borders[i + 1]);
        }
        self += is_own ? borders[i + 1] - borders[i] : 0;
    }
    free(borders);
    return (double)self / 1e6;
}

static void assert_self_times(struct otel *otel, const struct slow_span *spans, size_t count)
{
    const struct pw_telemetry *result = take(otel);
    uint64_t seen = 0;
    for (size_t i = 0; i < result->span_name_count; i++) {
        const struct pw_otel_span *name = &result->span_names[i];
        double self = 0;
        double duration = 0;
        for (size_t j = 0; j < count; j++) {
            if (strcmp(spans[j].name, name->name) == 0) {
                self += slow_self_ms(spans, count, &spans[j]);
                duration += (double)(spans[j].end - spans[j].start) / 1e6;
            }
        }
        assert_true(fabs(self - name->self_ms) < 1e-6);
        assert_true(fabs(duration - name->durations.sum_ms) < 1e-6);
        seen += name->durations.count;
    }
    assert_int_equal(seen, count);
}

static void test_random_trees(void **state)
{
    struct otel *otel = *state;
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    uint64_t random = 7;
    for (int round = 0; round < 30; round++) {
        struct slow_span spans[60];
        PW_STR_AUTO text = PW_STR_INIT;
        for (int i = 0; i < 60; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
            uint64_t draw = random >> 16;
            int start = 1 + (int)(draw % 500);
            int end = start + (int)(draw / 500 % 200);
            spans[i] = (struct slow_span){.trace = 1 + (int)(draw / 7 % 2),
                                          .id = i + 1,
                                          .parent = (int)(draw / 11 % (uint64_t)(i + 1)),
                                          .start = (uint64_t)start * 1000000,
                                          .end = (uint64_t)end * 1000000,
                                          .name = names[draw / 13 % 5]};
            add_span(&text, spans[i].trace, spans[i].id, spans[i].parent, spans[i].name, start, end,
                     "");
        }
        otel_restart(otel, WINDOW_SINCE_NS, NULL);
        feed_spans(otel, text.text);
        assert_self_times(otel, spans, 60);
    }
}

/* --- payloads of real clients --- */

static int number_of(json_t *numbers, const char *id)
{
    if (id[0] != '\0' && !json_object_get(numbers, id)) {
        json_object_set_new(numbers, id, json_integer((json_int_t)json_object_size(numbers) + 1));
    }
    return (int)json_integer_value(json_object_get(numbers, id));
}

static void check_file(struct otel *otel, const char *name)
{
    json_t *items = expected_items(name);
    json_t *numbers = json_object();
    size_t count = json_array_size(items);
    struct slow_span *spans = calloc(count, sizeof(*spans));
    assert_non_null(spans);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(items, i);
        spans[i] = (struct slow_span){
            .trace = number_of(numbers, json_string_value(json_object_get(item, "trace_id"))),
            .id = number_of(numbers, json_string_value(json_object_get(item, "span_id"))),
            .parent = number_of(numbers, json_string_value(json_object_get(item, "parent"))),
            .start = (uint64_t)json_integer_value(json_object_get(item, "start")),
            .end = (uint64_t)json_integer_value(json_object_get(item, "end")),
            .name = json_string_value(json_object_get(item, "name"))};
    }
    assert_self_times(otel, spans, count);
    assert_int_equal(otel->result.spans, count);
    free(spans);
    json_decref(numbers);
    json_decref(items);
}

static void test_codex_traces(void **state)
{
    struct otel *otel = *state;
    feed_file(otel, PW_SIGNAL_TRACES, "codex_traces_proto.pb");
    check_file(otel, "codex_traces_proto");
    assert_int_equal(find_span(&otel->result, "append_items")->durations.count, 4);
    assert_int_equal(otel->result.action_count, 0); /* its spans tell of no tools */
    feed_file(otel, PW_SIGNAL_TRACES, "codex_traces_proto.pb");
    assert_int_equal(take(otel)->losses[PW_LOSS_REPEATED], 37);
    assert_int_equal(find_span(&otel->result, "append_items")->durations.count, 4);
    otel_restart(otel, WINDOW_SINCE_NS, NULL);
    feed_file(otel, PW_SIGNAL_TRACES, "codex_traces_json.json");
    check_file(otel, "codex_traces_json");
}

static void test_js_traces(void **state)
{
    struct otel *otel = *state;
    static const uint8_t trace_id[16] = {0xa3, 0x58, 0xb4, 0x2f, 0x3e, 0xfd, 0xc6, 0x65,
                                         0xfa, 0x94, 0xa6, 0xce, 0x00, 0xe2, 0x93, 0x89};
    otel_restart(otel, WINDOW_SINCE_NS, trace_id);
    feed_file(otel, PW_SIGNAL_TRACES, "js_traces_proto.pb");
    check_file(otel, "js_traces_proto");
    assert_int_equal(otel->result.joined_spans, 2);
    assert_int_equal(find_span(&otel->result, "child")->errors, 1);
    assert_int_equal(find_span(&otel->result, "root")->errors, 0);
    feed_file(otel, PW_SIGNAL_TRACES, "codex_traces_proto.pb");
    assert_int_equal(take(otel)->joined_spans, 2);
    assert_int_equal(otel->result.spans, 39);
}

/* --- limits --- */

/* `count` spans in messages made here, with names "NAME0" to "NAME<kinds - 1>". */
static void feed_many(struct otel *otel, int first, int count, int kinds)
{
    Otlp__Span *spans = calloc((size_t)count, sizeof(*spans));
    Otlp__Span **list = calloc((size_t)count, sizeof(Otlp__Span *));
    uint64_t *ids = calloc((size_t)count, sizeof(*ids));
    char(*names)[16] = calloc((size_t)count, sizeof(*names));
    uint8_t trace[16] = {1};
    assert_true(spans && list && ids && names);
    for (int i = 0; i < count; i++) {
        otlp__span__init(&spans[i]);
        ids[i] = (uint64_t)(first + i) + 1;
        snprintf(names[i], sizeof(names[i]), "n%d", (first + i) % kinds);
        spans[i].trace_id = (ProtobufCBinaryData){16, trace};
        spans[i].span_id = (ProtobufCBinaryData){8, (uint8_t *)&ids[i]};
        spans[i].name = names[i];
        spans[i].start_time_unix_nano = 1000000;
        spans[i].end_time_unix_nano = 3000000;
        list[i] = &spans[i];
    }
    Otlp__ScopeSpans scope = OTLP__SCOPE_SPANS__INIT;
    Otlp__ResourceSpans resource = OTLP__RESOURCE_SPANS__INIT;
    Otlp__TracesRequest request = OTLP__TRACES_REQUEST__INIT;
    scope.n_spans = (size_t)count;
    scope.spans = list;
    resource.n_scope_spans = 1;
    resource.scope_spans = &(Otlp__ScopeSpans *){&scope};
    request.n_resource_spans = 1;
    request.resource_spans = &(Otlp__ResourceSpans *){&resource};
    assert_int_equal(pw_window_add(otel->window, PW_SIGNAL_TRACES, &request.base, 1, NULL), 0);
    free(spans);
    free(list);
    free(ids);
    free(names);
}

static void test_too_many_spans(void **state)
{
    struct otel *otel = *state;
    feed_many(otel, 0, PW_LIMIT_OTEL_SPANS - 1, 1);
    feed_many(otel, PW_LIMIT_OTEL_SPANS - 1, 8, 1);
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->spans, PW_LIMIT_OTEL_SPANS + 7);
    assert_int_equal(result->losses[PW_LOSS_SPAN_LIMIT], 7);
    assert_int_equal(find_span(result, "n0")->durations.count, PW_LIMIT_OTEL_SPANS);
    assert_near(find_span(result, "n0")->self_ms, 2.0 * PW_LIMIT_OTEL_SPANS);
}

static void test_too_many_names(void **state)
{
    struct otel *otel = *state;
    feed_many(otel, 0, 3 * PW_LIMIT_OTEL_NAMES, PW_LIMIT_OTEL_NAMES + 2);
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->span_name_count, PW_LIMIT_OTEL_NAMES);
    /* Two names too many, met three times but for the last turn, which ends before them. */
    assert_int_equal(result->losses[PW_LOSS_NAME_LIMIT], 4);
    assert_int_equal(find_span(result, "n0")->durations.count, 3);
}

/* --- actions of spans --- */

#define STRING(key, value) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define ATTRIBUTES(list) ",\"attributes\":[" list "]"

static void test_actions_of_spans(void **state)
{
    struct otel *otel = *state;
    PW_STR_AUTO spans = PW_STR_INIT;
    add_span(&spans, 1, 1, 0, "Grep", 100, 110,
             ATTRIBUTES(STRING("action", "worst") "," STRING("tool.name",
                                                             "grep") "," STRING("tool", "better")));
    add_span(&spans, 1, 2, 0, "tool call", 100, 120,
             ATTRIBUTES(STRING("tool_name", "grep")) ",\"status\":{\"code\":2}");
    add_span(&spans, 1, 3, 0, "execute_tool grep", 100, 130,
             ATTRIBUTES(STRING("success", "False")));
    add_span(&spans, 1, 4, 0, "execute_tool ", 100, 130, ""); /* of what? */
    add_span(&spans, 1, 5, 0, "execute_tool sed", 100, 105,
             ATTRIBUTES(STRING("gen_ai.tool.name", "awk") ",{\"key\":\"success\",\"value\":"
                                                          "{\"boolValue\":false}}"));
    add_span(&spans, 1, 6, 0, "z", 100, 200,
             ATTRIBUTES("{\"key\":\"tool\",\"value\":{\"intValue\":5}}")); /* no name */
    add_span(&spans, 1, 7, 0, "z", 100, 200, ATTRIBUTES(STRING("tool", "")));
    add_span(&spans, 1, 8, 0, "tool call", 100, 150,
             ATTRIBUTES(STRING("tool", "grep") "," STRING("success", "true")));
    add_span(&spans, 1, 2, 0, "tool call", 100, 120,
             ATTRIBUTES(STRING("tool_name", "grep"))); /* again */
    add_span(&spans, 1, 9, 0, "handle", 100, 900,      /* around a call: not a call itself */
             ATTRIBUTES(STRING("tool_name", "grep")));
    feed_spans(otel, spans.text);
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->action_count, 2);
    const struct pw_otel_action *grep = find_action(result, "grep", PW_ACTION_SPAN);
    assert_int_equal(grep->durations.count, 4);
    assert_near(grep->durations.sum_ms, 110.0);
    assert_near(grep->durations.max_ms, 50.0);
    assert_int_equal(grep->failures, 2);
    assert_int_equal(find_action(result, "awk", PW_ACTION_SPAN)->failures, 1);
}

/* --- log records --- */

static void feed_log(struct otel *otel, const char *members, const char *attributes)
{
    PW_STR_AUTO text = PW_STR_INIT;
    pw_str_addf(&text,
                "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{%s\"attributes\":[%s]}]}]}]}",
                members, attributes);
    feed_json(otel, PW_SIGNAL_LOGS, text.text, text.length);
}

#define EVENT "\"eventName\":\"tool_result\","
#define MS(value) "{\"key\":\"duration_ms\",\"value\":{" value "}}"

static void test_actions_of_logs(void **state)
{
    struct otel *otel = *state;
    /* The duration in all forms. */
    feed_log(otel, EVENT, STRING("tool", "t") "," MS("\"intValue\":10"));
    feed_log(otel, EVENT, STRING("tool", "t") "," MS("\"doubleValue\":2.5"));
    feed_log(otel, EVENT, MS("\"stringValue\":\"20\"") "," STRING("tool", "t"));
    feed_log(otel, EVENT,
             STRING("tool", "t") ",{\"key\":\"duration_s\",\"value\":{\"doubleValue\":0.5}}");
    feed_log(otel, EVENT,
             STRING("tool", "t") "," MS("\"intValue\":7") "," STRING("duration_s", "100"));
    feed_log(otel, EVENT,
             STRING("duration_s", "100") "," STRING("tool", "t") "," MS("\"intValue\":8"));
    const struct pw_otel_action *action = find_action(take(otel), "t", PW_ACTION_LOG);
    assert_int_equal(action->durations.count, 6);
    assert_near(action->durations.sum_ms, 10 + 2.5 + 20 + 500 + 7 + 8);
    assert_int_equal(action->failures, 0);

    /* No duration, no name, another event: no action. */
    feed_log(otel, EVENT, STRING("tool", "t"));
    feed_log(otel, EVENT, MS("\"intValue\":10"));
    feed_log(otel, "", STRING("tool", "t") "," MS("\"intValue\":10"));
    feed_log(otel, "\"eventName\":\"tool_start\",", STRING("tool", "t") "," MS("\"intValue\":1"));
    /* The attribute says more than the field. */
    feed_log(otel, EVENT,
             STRING("tool", "t") "," MS("\"intValue\":10") "," STRING("event.name", "tool_start"));
    feed_log(otel, "\"eventName\":\"src/x.rs:3\",",
             STRING("tool", "u") "," MS("\"intValue\":10") "," STRING("event.name", "tool_result"));
    /* A duration that is none. */
    static const char *const faulty[] = {"\"stringValue\":\"10ms\"",
                                         "\"stringValue\":\"\"",
                                         "\"boolValue\":true",
                                         "\"doubleValue\":\"NaN\"",
                                         "\"intValue\":-1",
                                         "\"doubleValue\":\"Infinity\"",
                                         ""};
    for (size_t i = 0; i < 7; i++) {
        PW_STR_AUTO attributes = PW_STR_INIT;
        pw_str_addf(&attributes, STRING("tool", "t") "," MS("%s"), faulty[i]);
        feed_log(otel, EVENT, attributes.text);
    }
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->action_count, 2);
    assert_int_equal(find_action(result, "t", PW_ACTION_LOG)->durations.count, 6);
    assert_int_equal(find_action(result, "u", PW_ACTION_LOG)->durations.count, 1);
    assert_int_equal(result->losses[PW_LOSS_INVALID_POINT], 7);
    assert_int_equal(result->log_records, 19);
}

static void test_failures_of_logs(void **state)
{
    struct otel *otel = *state;
    static const struct {
        const char *members, *attributes;
        unsigned failures;
    } records[] = {
        {"", "", 0},
        {"\"severityNumber\":16,", "", 0},
        {"\"severityNumber\":17,", "", 1},
        {"", "," STRING("error", "no such file"), 1},
        {"", "," STRING("error", ""), 0},
        {"", ",{\"key\":\"error\",\"value\":{\"boolValue\":false}}", 0},
        {"", ",{\"key\":\"error\",\"value\":{}}", 0},
        {"", ",{\"key\":\"error\",\"value\":{\"intValue\":3}}", 1},
        {"", "," STRING("success", "false"), 1},
        {"", "," STRING("success", "true"), 0},
        {"", ",{\"key\":\"success\",\"value\":{\"boolValue\":false}}", 1},
        /* What `success` says holds. */
        {"\"severityNumber\":21,",
         ",{\"key\":\"success\",\"value\":{\"boolValue\":true}}," STRING("error", "x"), 0},
    };
    unsigned failures = 0;
    for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++) {
        PW_STR_AUTO members = PW_STR_INIT;
        PW_STR_AUTO attributes = PW_STR_INIT;
        pw_str_addf(&members, "%s" EVENT, records[i].members);
        pw_str_addf(&attributes, STRING("tool", "t") "," MS("\"intValue\":1") "%s",
                    records[i].attributes);
        feed_log(otel, members.text, attributes.text);
        failures += records[i].failures;
        assert_int_equal(find_action(take(otel), "t", PW_ACTION_LOG)->failures, failures);
    }
}

static void test_codex_logs(void **state)
{
    struct otel *otel = *state;
    feed_file(otel, PW_SIGNAL_LOGS, "codex_logs_proto.pb");
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->log_records, 21);
    assert_int_equal(result->action_count, 1);
    const struct pw_otel_action *action = find_action(result, "exec_command", PW_ACTION_LOG);
    assert_int_equal(action->durations.count, 1);
    assert_near(action->durations.sum_ms, 206.0);
    assert_int_equal(action->failures, 0);
    feed_file(otel, PW_SIGNAL_LOGS, "codex_logs_json.json");
    feed_file(otel, PW_SIGNAL_LOGS, "js_logs_proto.pb");
    action = find_action(take(otel), "exec_command", PW_ACTION_LOG);
    assert_near(action->durations.sum_ms, 206.0 + 187.0);
}

/* --- actions of histograms --- */

static void feed_durations(struct otel *otel, const char *name, const char *unit, int count,
                           const char *attributes)
{
    feed_metric(otel, "",
                "{\"name\":\"%s\",\"unit\":\"%s\",\"histogram\":{\"aggregationTemporality\":1,"
                "\"dataPoints\":[{\"count\":%d,\"sum\":%d,\"min\":2,\"max\":2,"
                "\"explicitBounds\":[5],\"bucketCounts\":[%d,0],\"attributes\":[%s]}]}}",
                name, unit, count, 2 * count, count, attributes);
}

static void test_actions_of_histograms(void **state)
{
    struct otel *otel = *state;
    feed_durations(otel, "tool.duration", "s", 3,
                   STRING("tool", "grep") "," STRING("success", "true"));
    feed_durations(otel, "tool.duration", "s", 2,
                   STRING("tool", "grep") "," STRING("success", "false"));
    feed_durations(otel, "tool.duration", "s", 1,
                   STRING("tool", "sed") ",{\"key\":\"success\",\"value\":{\"boolValue\":false}}");
    feed_durations(otel, "tool.duration", "s", 1, "");                   /* of what? */
    feed_durations(otel, "tool.latency", "By", 9, STRING("tool", "no")); /* no time */
    feed_durations(otel, "tool.latency", "", 9, STRING("tool", "no"));
    feed_durations(otel, "queue.duration", "s", 9, STRING("tool", "no")); /* no action */
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->action_count, 2);
    const struct pw_otel_action *grep = find_action(result, "grep", PW_ACTION_HISTOGRAM);
    assert_int_equal(grep->total.count, 5);
    assert_value(grep->total.sum, 10.0);
    assert_value(grep->total.max, 2.0);
    assert_int_equal(grep->failures, 2);
    assert_near(grep->unit_ms, 1000.0);
    assert_int_equal(grep->total.histogram.counts[0], 5);
    assert_int_equal(find_action(result, "sed", PW_ACTION_HISTOGRAM)->failures, 1);

    /* Another metric about the same action: not on top, but instead if it has more. */
    feed_durations(otel, "tool.wait_duration_ms", "", 4, STRING("tool", "grep"));
    feed_durations(otel, "agent.wait_duration_ms", "", 4, STRING("tool", "sed"));
    result = take(otel);
    assert_int_equal(result->action_count, 2);
    assert_int_equal(find_action(result, "grep", PW_ACTION_HISTOGRAM)->total.count, 5);
    const struct pw_otel_action *sed = find_action(result, "sed", PW_ACTION_HISTOGRAM);
    assert_int_equal(sed->total.count, 4);
    assert_int_equal(sed->failures, 0);
    assert_near(sed->unit_ms, 1.0);
}

static void test_all_sources_stand_beside_each_other(void **state)
{
    struct otel *otel = *state;
    PW_STR_AUTO spans = PW_STR_INIT;
    add_span(&spans, 1, 1, 0, "execute_tool exec_command", 100, 110, "");
    add_span(&spans, 1, 2, 0, "execute_tool zzz", 100, 110, "");
    feed_spans(otel, spans.text);
    feed_file(otel, PW_SIGNAL_METRICS, "codex_metrics_proto.pb");
    feed_file(otel, PW_SIGNAL_LOGS, "codex_logs_proto.pb");
    pw_window_lose(otel->window, PW_LOSS_UNDECODABLE, 3);
    const struct pw_telemetry *result = take(otel);
    assert_int_equal(result->action_count, 4);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(result->actions[i].name, "exec_command");
        assert_int_equal(result->actions[i].source, i);
    }
    assert_int_equal(result->payloads[PW_SIGNAL_METRICS], 1);
    assert_int_equal(result->payloads[PW_SIGNAL_TRACES], 1);
    assert_int_equal(result->payloads[PW_SIGNAL_LOGS], 1);
    assert_int_equal(result->losses[PW_LOSS_UNDECODABLE], 3);

    /* Workers merged: everything twice. */
    struct pw_telemetry both = {0};
    assert_int_equal(pw_telemetry_merge(&both, result, NULL), 0);
    assert_int_equal(pw_telemetry_merge(&both, result, NULL), 0);
    assert_int_equal(both.action_count, 4);
    assert_int_equal(both.metric_count, result->metric_count);
    assert_int_equal(both.datapoints, 2 * result->datapoints);
    for (size_t i = 0; i < both.metric_count; i++) {
        assert_int_equal(both.metrics[i].set_count, result->metrics[i].set_count);
        assert_int_equal(both.metrics[i].total.count, 2 * result->metrics[i].total.count);
        if (pw_value_is_present(result->metrics[i].total.total)) {
            assert_value(both.metrics[i].total.total, 2 * result->metrics[i].total.total.number);
        }
    }
    pw_telemetry_done(&both);
}

#define WINDOW_TEST(test) cmocka_unit_test_setup_teardown(test, otel_set_up, otel_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WINDOW_TEST(test_self_times),
        WINDOW_TEST(test_self_times_across_payloads),
        WINDOW_TEST(test_spans_without_ids),
        WINDOW_TEST(test_spans_without_time),
        WINDOW_TEST(test_random_trees),
        WINDOW_TEST(test_codex_traces),
        WINDOW_TEST(test_js_traces),
        WINDOW_TEST(test_too_many_spans),
        WINDOW_TEST(test_too_many_names),
        WINDOW_TEST(test_actions_of_spans),
        WINDOW_TEST(test_actions_of_logs),
        WINDOW_TEST(test_failures_of_logs),
        WINDOW_TEST(test_codex_logs),
        WINDOW_TEST(test_actions_of_histograms),
        WINDOW_TEST(test_all_sources_stand_beside_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
