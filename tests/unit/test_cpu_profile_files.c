#include <inttypes.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include "core/limits.h"
#include "core/str.h"
#include "exporters/cpu_profile.h"
#include "tests/unit/sample_cpu_profile.h"

/* --- folded --- */

static void assert_folded(const struct pw_cpu_profile *profile, const char *expected)
{
    PW_STR_AUTO text = PW_STR_INIT;
    assert_int_equal(pw_cpu_profile_to_folded(profile, &text, NULL), 0);
    assert_string_equal(text.text, expected);
}

static void test_folded(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 1000);
    assert_folded(&profile, "");
    for (unsigned i = SAMPLE_STACKS; i > 0; i--) {
        add_sample_stack(&profile, i - 1);
    }
    assert_folded(&profile, "app;main;load;sys_read 150000\n"
                            "app;main;parse 700000\n"
                            "app;main;walk;walk 100000\n"
                            "sh;[broken stack];parse 50000\n");
    pw_cpu_profile_done(&profile);
}

static void test_folded_names(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 1000);
    add_user_stack(&profile, "a;b c\n", "f\t\x7F", false, 1, 1499);
    const uint32_t in_one[] = {add_frame(&profile, "Lorg/a;::b", "/one", PW_FRAME_JIT),
                               add_frame(&profile, "m", "/one", PW_FRAME_USER)};
    const uint32_t in_two[] = {add_frame(&profile, "Lorg/a;::b", "/two", PW_FRAME_USER),
                               add_frame(&profile, "m", "/two", PW_FRAME_USER)};
    const uint32_t other[] = {add_frame(&profile, "", "/two", PW_FRAME_USER), in_one[1]};
    uint32_t process = add_process(&profile, "");
    pw_cpu_profile_add(&profile, process, in_one, 2, false, 1, 400, NULL);
    pw_cpu_profile_add(&profile, process, other, 2, false, 1, 499, NULL);
    pw_cpu_profile_add(&profile, process, in_two, 2, false, 1, 1100, NULL);
    /* One line for what differs in the object alone, added up before it is rounded; none for
     * what rounds to nothing. */
    assert_folded(&profile, "[unknown];m;Lorg/a:::b 2\n"
                            "a:b c?;f?? 1\n");
    pw_cpu_profile_done(&profile);
}

/* --- pprof: a reader of its own, after the documents of protobuf and pprof --- */

struct part {
    const unsigned char *at, *end;
};

struct field {
    unsigned number;
    uint64_t value;     /* of wire type 0 */
    struct part nested; /* of wire type 2 */
};

static uint64_t read_varint(struct part *part)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        assert_true(part->at < part->end);
        unsigned char byte = *part->at++;
        value += (uint64_t)(byte % 128) << shift;
        if (byte < 128) {
            return value;
        }
    }
    fail_msg("a varint without an end");
    return 0;
}

static bool read_field(struct part *part, struct field *field)
{
    if (part->at == part->end) {
        return false;
    }
    uint64_t tag = read_varint(part);
    *field = (struct field){.number = (unsigned)(tag / 8)};
    if (tag % 8 == 0) {
        field->value = read_varint(part);
    } else {
        assert_int_equal(tag % 8, 2);
        uint64_t length = read_varint(part);
        assert_true(length <= (uint64_t)(part->end - part->at));
        field->nested = (struct part){part->at, part->at + length};
        part->at += length;
    }
    return true;
}

/* The last of the numbers with `number` in a message; 0 if there is none, as protobuf has it. */
static uint64_t number_in(struct part part, unsigned number)
{
    uint64_t value = 0;
    for (struct field field; read_field(&part, &field);) {
        value = field.number == number ? field.value : value;
    }
    return value;
}

/* The nth field with `number`. */
static bool nested_in(struct part part, unsigned number, uint64_t nth, struct part *ret_nested)
{
    for (struct field field; read_field(&part, &field);) {
        if (field.number == number && nth-- == 0) {
            *ret_nested = field.nested;
            return true;
        }
    }
    return false;
}

static struct part must_nested(struct part part, unsigned number, uint64_t nth)
{
    struct part nested = {NULL, NULL};
    assert_true(nested_in(part, number, nth, &nested));
    return nested;
}

/* The message with `id` (always field 1) among the fields with `number`; exactly one. */
static struct part by_id(struct part profile, unsigned number, uint64_t id)
{
    struct part found = {NULL, NULL};
    struct part one;
    for (uint64_t i = 0; nested_in(profile, number, i, &one); i++) {
        if (number_in(one, 1) == id) {
            assert_null(found.at);
            found = one;
        }
    }
    assert_non_null(found.at);
    return found;
}

static void say_string(struct pw_str *out, struct part profile, uint64_t index)
{
    struct part text = must_nested(profile, 6, index);
    pw_str_add_bytes(out, text.at, (size_t)(text.end - text.at));
}

static void say_location(struct pw_str *out, struct part profile, uint64_t id)
{
    struct part location = by_id(profile, 4, id);
    struct part line = must_nested(location, 4, 0);
    struct part function = by_id(profile, 5, number_in(line, 1));
    assert_int_equal(number_in(function, 2), number_in(function, 3));
    say_string(out, profile, number_in(function, 2));
    uint64_t mapping_id = number_in(location, 2);
    if (mapping_id != 0) {
        struct part mapping = by_id(profile, 3, mapping_id);
        assert_int_equal(number_in(mapping, 7), 1);
        pw_str_add_char(out, '@');
        say_string(out, profile, number_in(mapping, 5));
    }
}

/* "leaf@object caller@object: samples ns process=p", a line a sample. */
static void say_sample(struct pw_str *out, struct part profile, struct part sample)
{
    struct part ids = must_nested(sample, 1, 0);
    while (ids.at < ids.end) {
        say_location(out, profile, read_varint(&ids));
        pw_str_add_char(out, ids.at < ids.end ? ' ' : ':');
    }
    struct part values = must_nested(sample, 2, 0);
    while (values.at < values.end) {
        pw_str_addf(out, " %llu", (unsigned long long)read_varint(&values));
    }
    struct part label;
    for (uint64_t i = 0; nested_in(sample, 3, i, &label); i++) {
        pw_str_add_char(out, ' ');
        say_string(out, profile, number_in(label, 1));
        pw_str_add_char(out, '=');
        say_string(out, profile, number_in(label, 2));
    }
    pw_str_add_char(out, '\n');
}

static void say_type(struct pw_str *out, struct part profile, struct part type)
{
    say_string(out, profile, number_in(type, 1));
    pw_str_add_char(out, '/');
    say_string(out, profile, number_in(type, 2));
    pw_str_add_char(out, '\n');
}

/* What gunzip makes of it; free(). */
static unsigned char *unpack(const struct pw_str *packed, size_t *ret_length)
{
    size_t capacity = 64 << 20;
    unsigned char *bytes = malloc(capacity);
    assert_non_null(bytes);
    z_stream stream = {.next_in = (unsigned char *)packed->text,
                       .avail_in = (unsigned)packed->length,
                       .next_out = bytes,
                       .avail_out = (unsigned)capacity};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    *ret_length = stream.total_out;
    assert_int_equal(inflateEnd(&stream), Z_OK);
    return bytes;
}

/* Types, samples, comments, then the numbers that are set. */
static void assert_pprof(const struct pw_cpu_profile *profile, const char *expected)
{
    PW_STR_AUTO packed = PW_STR_INIT;
    PW_STR_AUTO text = PW_STR_INIT;
    assert_int_equal(pw_cpu_profile_to_pprof(profile, &packed, NULL), 0);
    size_t length = 0;
    unsigned char *bytes = unpack(&packed, &length);
    struct part whole = {bytes, bytes + length};
    struct part first = must_nested(whole, 6, 0);
    assert_ptr_equal(first.at, first.end);
    struct part part;
    for (uint64_t i = 0; nested_in(whole, 1, i, &part); i++) {
        say_type(&text, whole, part);
    }
    for (uint64_t i = 0; nested_in(whole, 2, i, &part); i++) {
        say_sample(&text, whole, part);
    }
    if (nested_in(whole, 13, 0, &part)) {
        while (part.at < part.end) {
            say_string(&text, whole, read_varint(&part));
            pw_str_add_char(&text, '\n');
        }
    }
    pw_str_addf(&text, "duration %llu, period %llu ", (unsigned long long)number_in(whole, 10),
                (unsigned long long)number_in(whole, 12));
    if (nested_in(whole, 11, 0, &part)) {
        say_type(&text, whole, part);
    }
    pw_str_add(&text, "shown first: ");
    say_string(&text, whole, number_in(whole, 14));
    assert_string_equal(text.text, expected);
    free(bytes);
}

static void test_pprof(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 1000);
    for (unsigned i = SAMPLE_STACKS; i > 0; i--) {
        add_sample_stack(&profile, i - 1);
    }
    profile.first_at_ns = 5000000000;
    profile.last_at_ns = 6500000000;
    profile.lost = 12;
    assert_pprof(&profile,
                 "samples/count\ncpu/nanoseconds\n"
                 "sys_read@[kernel] load@/bin/app main@/bin/app: 150 150000000 process=app\n"
                 "parse@/bin/app main@/bin/app: 700 700000000 process=app\n"
                 "walk@/bin/app walk@/bin/app main@/bin/app: 100 100000000 process=app\n"
                 "parse@/bin/app: 50 50000000 process=sh stack=broken\n"
                 "12 samples lost: the kernel's buffers were full\n"
                 "50 samples with callers missing: label stack=broken\n"
                 "duration 1500000000, period 1000000 cpu/nanoseconds\n"
                 "shown first: cpu");
    pw_cpu_profile_done(&profile);
}

static void test_pprof_odd(void **state)
{
    (void)state;
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 0);
    assert_pprof(&profile, "samples/count\ncpu/nanoseconds\n"
                           "duration 0, period 0 shown first: cpu");
    /* One name in two objects, and in none; bytes that are no text; a semicolon may stay. */
    const uint32_t frames[] = {add_frame(&profile, "f;<g>", "/two", PW_FRAME_USER),
                               add_frame(&profile, "f;<g>", "", PW_FRAME_UNKNOWN),
                               add_frame(&profile, "f;<g>", "/one\n", PW_FRAME_USER)};
    uint32_t process = add_process(&profile, "\xC3(\x80\xC2\x85\xED\xA0\x80\xEF\xBF\xBF\xC3\xA9");
    pw_cpu_profile_add(&profile, process, frames, 3, false, UINT64_MAX, INT64_MAX, NULL);
    assert_pprof(&profile, "samples/count\ncpu/nanoseconds\n"
                           "f;<g>@/two f;<g> f;<g>@/one?: 9223372036854775807 "
                           "9223372036854775807 process=?(????????"
                           "\xC3\xA9\n"
                           "duration 0, period 0 shown first: cpu");
    pw_cpu_profile_done(&profile);
}

/* Long enough for several rounds of zlib, and two equal ones are equal files. */
static void test_pprof_large(void **state)
{
    (void)state;
    PW_STR_AUTO first = PW_STR_INIT;
    PW_STR_AUTO second = PW_STR_INIT;
    for (int round = 0; round < 2; round++) {
        struct pw_cpu_profile profile;
        pw_cpu_profile_init(&profile, 997);
        for (uint64_t i = 0; i < 20000; i++) {
            uint64_t k = round == 0 ? i : 19999 - i;
            char names[64];
            snprintf(names, sizeof(names), "f%" PRIx64 ";g%" PRIx64, k * 0x9E3779B97F4A7C15,
                     k % 100);
            add_user_stack(&profile, "app", names, false, 1, 1003009 + (int64_t)k);
        }
        assert_int_equal(pw_cpu_profile_to_pprof(&profile, round == 0 ? &first : &second, NULL), 0);
        pw_cpu_profile_done(&profile);
    }
    assert_true(first.length > 100000);
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.text, second.text, first.length);
    size_t length = 0;
    unsigned char *bytes = unpack(&first, &length);
    struct part whole = {bytes, bytes + length};
    uint64_t samples = 0;
    for (struct field field; read_field(&whole, &field);) {
        samples += field.number == 2;
    }
    assert_int_equal(samples, 20000);
    free(bytes);
}

/* --- svg --- */

/* One box a line, as Python's XML parser sees it: name|place|numbers, start, weight, level, x,
 * width, colour, label. Refuses what would be fetched from elsewhere. */
static const char reader[] =
    "import sys, re, xml.etree.ElementTree as tree\n"
    "s = '{http://www.w3.org/2000/svg}'\n"
    "svg = tree.parse(sys.argv[1]).getroot()\n"
    "assert svg.tag == s + 'svg'\n"
    "assert [e.tag for e in svg.iter() if e.tag[len(s):] not in\n"
    "        ('svg', 'style', 'script', 'text', 'g', 'title', 'rect')] == []\n"
    "assert len(list(svg.iter(s + 'script'))) == 1\n"
    "assert [a for e in svg.iter() for a in e.attrib if re.match('on|.*href|src', a)] == []\n"
    "assert not re.search('@import|url[(]|https?:|innerHTML|eval',\n"
    "                     ''.join(e.text for e in svg if e.tag in (s + 'style', s + 'script')))\n"
    "out = open(sys.argv[2], 'w', encoding='utf-8', newline='')\n"
    "for g in svg.iter(s + 'g'):\n"
    "    title, rect, text = g\n"
    "    a, r = g.attrib, rect.attrib\n"
    "    out.write('%s, %s+%s level %s, x %s+%s y %s %s \"%s\"\\n' % (\n"
    "        title.text.replace('\\n', '|'), a['data-a'], a['data-w'], a['data-l'], r['x'],\n"
    "        r['width'], r['y'], r['fill'], text.text or ''))\n"
    "for text in svg.findall(s + 'text'):\n"
    "    out.write('text: %s\\n' % (text.text or ''))\n";

/* free() it. */
static char *read_svg(void **state, const struct pw_cpu_profile *profile, const char *title)
{
    PW_STR_AUTO svg = PW_STR_INIT;
    assert_int_equal(pw_cpu_profile_to_svg(profile, title, &svg, NULL), 0);
    assert_int_equal(strlen(svg.text), svg.length);
    char *from = in_folder(state, "graph.svg");
    char *to = in_folder(state, "graph.txt");
    FILE *file = fopen(from, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(svg.text, 1, svg.length, file), svg.length);
    assert_int_equal(fclose(file), 0);
    pid_t child = 0;
    int status = -1;
    char *words[] = {"python3", "-c", (char *)reader, from, to, NULL};
    assert_int_equal(posix_spawnp(&child, "python3", NULL, NULL, words, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    file = fopen(to, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    free(from);
    free(to);
    return text;
}

/* Levels count from the bottom, weights from the left. */
static void test_svg(void **state)
{
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 1000);
    for (unsigned i = SAMPLE_STACKS; i > 0; i--) {
        add_sample_stack(&profile, i - 1);
    }
    profile.lost = 7;
    char *text = read_svg(state, &profile, "A profile");
    assert_string_equal(
        text,
        "all||1000.000 ms, 100.00 %, 1000 samples, 0+1000000000 level 0, "
        "x 10.00+1180.00 y 144 #b0b0b0 \"all\"\n"
        "sh|process|50.000 ms, 5.00 %, 50 samples, 950000000+50000000 level 1, "
        "x 1131.00+59.00 y 127 #c4c4c4 \"sh\"\n"
        "[broken stack]|outer callers are missing|50.000 ms, 5.00 %, 50 samples, "
        "950000000+50000000 level 2, x 1131.00+59.00 y 110 #e8e8e8 \"[brok..\"\n"
        "parse|/bin/app|50.000 ms, 5.00 %, 50 samples, 950000000+50000000 level 3, "
        "x 1131.00+59.00 y 93 #c9cba3 \"parse\"\n"
        "app|process|950.000 ms, 95.00 %, 950 samples, 0+950000000 level 1, "
        "x 10.00+1121.00 y 127 #c4c4c4 \"app\"\n"
        "main|/bin/app|950.000 ms, 95.00 %, 950 samples, 0+950000000 level 2, "
        "x 10.00+1121.00 y 110 #c9cba3 \"main\"\n"
        "walk|/bin/app|100.000 ms, 10.00 %, 100 samples, 850000000+100000000 level 3, "
        "x 1013.00+118.00 y 93 #c9cba3 \"walk\"\n"
        "walk|/bin/app|100.000 ms, 10.00 %, 100 samples, 850000000+100000000 level 4, "
        "x 1013.00+118.00 y 76 #c9cba3 \"walk\"\n"
        "parse|/bin/app|700.000 ms, 70.00 %, 700 samples, 150000000+700000000 level 3, "
        "x 187.00+826.00 y 93 #c9cba3 \"parse\"\n"
        "load|/bin/app|150.000 ms, 15.00 %, 150 samples, 0+150000000 level 3, "
        "x 10.00+177.00 y 93 #c9cba3 \"load\"\n"
        "sys_read|[kernel]|150.000 ms, 15.00 %, 150 samples, 0+150000000 level 4, "
        "x 10.00+177.00 y 76 #8ab6e8 \"sys_read\"\n"
        "text: A profile\n"
        "text: 1.000 s of CPU time in 1000 samples at 1000 Hz; callers are missing in 5.0 % of "
        "them; 7 more were lost\n"
        "text: Reset zoom\ntext: Search\ntext: \ntext: \n"
        "text: 85.0 % app\ntext: 15.0 % [kernel]\n");
    free(text);
    pw_cpu_profile_done(&profile);
}

static void test_svg_escapes(void **state)
{
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 997);
    static const char script[] = "</title><script>alert(\"1\" & '2')</script>]]>";
    const uint32_t frames[] = {
        add_frame(&profile, script, script, PW_FRAME_JIT),
        add_frame(&profile, "a\x01\x1F\x7F\n\tb", "", PW_FRAME_UNKNOWN),
        add_frame(&profile, "\xE2\x82\xAC\xFF\xC2\x9B", "\xEF\xBF\xBE", PW_FRAME_USER)};
    uint32_t process = add_process(&profile, "<&>\"'");
    pw_cpu_profile_add(&profile, process, frames, 3, false, 1, 1000000, NULL);
    char *text = read_svg(state, &profile, "<script>\x02 & \"title\"");
    assert_contains(text, "</title><script>alert(\"1\" & '2')</script>]]>|"
                          "</title><script>alert(\"1\" & '2')</script>]]>|1.000 ms, ");
    assert_contains(text, " \"</title><script>alert(\"1\" & '2')</script>]]>\"\n");
    assert_contains(text, "\na?????b||1.000 ms, ");
    assert_contains(text, " #d9d4c7 \"a?????b\"\n");
    assert_contains(text, "\n\xE2\x82\xAC??|???|1.000 ms, ");
    assert_contains(text, "\n<&>\"'|process|1.000 ms, ");
    assert_contains(text, "text: <script>? & \"title\"\n");
    free(text);
    pw_cpu_profile_done(&profile);
}

static void test_svg_left_out(void **state)
{
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 1000);
    add_user_stack(&profile, "app", "heavy;main", false, 998, 998000000);
    add_user_stack(&profile, "app", "just;main", false, 1, 1000000); /* 0.1 % exactly */
    add_user_stack(&profile, "app", "under;below;main", false, 1, 999000);
    add_user_stack(&profile, "app", "main", false, 1, 1000);
    char *text = read_svg(state, &profile, "t");
    assert_contains(text, "\nheavy|");
    assert_contains(text, "\njust|/bin/app|1.000 ms, 0.10 %, 1 sample, ");
    assert_contains(text, " x 1188.82+1.18 y 76 #c9cba3 \"\"\n"); /* no room for its name */
    assert_null(strstr(text, "under|"));
    assert_null(strstr(text, "below|"));
    assert_contains(text, "\ntext: 2 frames under 0.1 % of the time are left out.\n");
    free(text);
    pw_cpu_profile_done(&profile);
}

/* Names are cut between characters. */
static void test_svg_cut_names(void **state)
{
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 1000);
    add_user_stack(&profile, "app", "x", false, 95, 95000000);
    add_user_stack(&profile, "app", "\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4<\xC3\xA4\xC3\xA4\xC3\xA4",
                   false, 5, 5000000);
    char *text = read_svg(state, &profile, "t");
    assert_contains(text, " \"\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4<..\"\n");
    free(text);
    pw_cpu_profile_done(&profile);
}

static void test_svg_empty(void **state)
{
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 997);
    for (int round = 0; round < 2; round++) {
        char *text = read_svg(state, &profile, "");
        assert_contains(text, "text: No CPU time was sampled.\n");
        assert_null(strstr(text, "level"));
        free(text);
        add_user_stack(&profile, "app", "weightless", true, 3, 0);
    }
    pw_cpu_profile_done(&profile);
}

/* As deep as a stack can be, and weights that do not fit. */
static void test_svg_extremes(void **state)
{
    struct pw_cpu_profile profile;
    pw_cpu_profile_init(&profile, 997);
    uint32_t frames[PW_LIMIT_PROFILE_DEPTH + 1];
    for (size_t i = 0; i < PW_LIMIT_PROFILE_DEPTH + 1; i++) {
        char name[32];
        snprintf(name, sizeof(name), "f%zu", i);
        frames[i] = add_frame(&profile, name, "/a", PW_FRAME_USER);
    }
    uint32_t process = add_process(&profile, "p");
    for (int i = 0; i < 2; i++) {
        pw_cpu_profile_add(&profile, process, frames + i, PW_LIMIT_PROFILE_DEPTH, true, UINT64_MAX,
                           INT64_MAX, NULL);
    }
    char *text = read_svg(state, &profile, "t");
    assert_contains(text, "\nf0|/a|");
    assert_contains(text, " level 514, ");
    free(text);
    pw_cpu_profile_done(&profile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folded),
        cmocka_unit_test(test_folded_names),
        cmocka_unit_test(test_pprof),
        cmocka_unit_test(test_pprof_odd),
        cmocka_unit_test(test_pprof_large),
        cmocka_unit_test_setup_teardown(test_svg, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_svg_escapes, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_svg_left_out, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_svg_cut_names, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_svg_empty, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(test_svg_extremes, make_folder, drop_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
