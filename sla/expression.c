#include "sla/expression.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "core/json_reader.h"
#include "core/limits.h"
#include "core/str.h"
#include "sla/subject_impl.h"
#include "sla/unit.h"

struct parser {
    const char *text; /* ends in a NUL */
    size_t at;        /* of the byte that is next */
    size_t column;    /* of the fault, from 1; 0: none */
    struct pw_bound *bound;
    struct pw_err *err;
};

/* Records a fault at `offset`; the message gets the column in front. */
__attribute__((format(printf, 3, 4))) static int fault_at(struct parser *parser, size_t offset,
                                                          const char *format, ...)
{
    char message[PW_ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    parser->column = offset + 1;
    return pw_err_set(parser->err, PW_ERR_USAGE, "column %zu: %s", offset + 1, message);
}

static const char *rest(const struct parser *parser)
{
    return parser->text + parser->at;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct parser *parser)
{
    while (is_blank(*rest(parser))) {
        parser->at++;
    }
}

static bool at_end(const struct parser *parser)
{
    return *rest(parser) == '\0';
}

static bool is_operator(char c)
{
    return c != '\0' && strchr("<>=!", c);
}

/* The characters up to the next one that means something. */
static struct pw_piece word_at(const struct parser *parser)
{
    return (struct pw_piece){rest(parser), strcspn(rest(parser), " \t<>=!()\"")};
}

static int check_text(struct parser *parser)
{
    size_t length = strnlen(parser->text, PW_LIMIT_EXPRESSION_BYTES + 1);
    if (length > PW_LIMIT_EXPRESSION_BYTES) {
        return fault_at(parser, PW_LIMIT_EXPRESSION_BYTES, "the bound is longer than %d bytes",
                        PW_LIMIT_EXPRESSION_BYTES);
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)parser->text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F) {
            fault_at(parser, i, "control character 0x%02X", c);
            return pw_err_remedy(parser->err, "Write one bound on one line.");
        }
    }
    size_t valid = length;
    while (!pw_utf8_is_valid(parser->text, valid)) {
        valid--;
    }
    return valid == length ? 0 : fault_at(parser, valid, "this is not UTF-8");
}

/* Numbers. */

static size_t count_digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* Bytes of an unsigned decimal number; 0 if there is none: no hexadecimal, no
 * inf, no nan. */
static size_t number_length(const char *text)
{
    size_t length = count_digits(text);
    if (length == 0) {
        return 0;
    }
    if (text[length] == '.') {
        size_t fraction = count_digits(text + length + 1);
        length += fraction > 0 ? 1 + fraction : 0;
    }
    if (text[length] == 'e' || text[length] == 'E') {
        size_t sign = text[length + 1] == '+' || text[length + 1] == '-';
        size_t exponent = count_digits(text + length + 1 + sign);
        length += exponent > 0 ? 1 + sign + exponent : 0;
    }
    return length;
}

/* `what` is for messages: "the limit". */
static int parse_number(struct parser *parser, bool may_be_negative, const char *what,
                        double *ret_number)
{
    skip_blanks(parser);
    size_t start = parser->at;
    size_t sign = may_be_negative && *rest(parser) == '-';
    size_t length = number_length(rest(parser) + sign);
    char behind = rest(parser)[sign + length];
    if (length == 0 || behind == 'x' || behind == 'X' || behind == '.') {
        struct pw_piece word = {rest(parser), strcspn(rest(parser), " \t")};
        if (word.length == 0) {
            fault_at(parser, start, "%s is missing", what);
            return pw_err_remedy(parser->err, "A whole bound: `latency_ms p(95) <= 1000ms`.");
        }
        fault_at(parser, start, "%s is no number: `%.*s`", what, pw_piece_shown(word), word.text);
        return pw_err_remedy(parser->err, "Numbers are decimal, such as 1000, 0.5 or 1e6.");
    }
    char digits[PW_LIMIT_EXPRESSION_BYTES + 1];
    memcpy(digits, rest(parser), sign + length);
    digits[sign + length] = '\0';
    double number = strtod(digits, NULL);
    if (!isfinite(number)) {
        return fault_at(parser, start, "%s is too large", what);
    }
    parser->at += sign + length;
    *ret_number = number;
    return 0;
}

/* Units. */

static struct pw_piece unit_at(const struct parser *parser)
{
    const char *text = rest(parser);
    if (*text == '%') {
        return (struct pw_piece){text, 1};
    }
    size_t length = 0;
    while (isalpha((unsigned char)text[length]) || (unsigned char)text[length] >= 0x80 ||
           (length > 0 && text[length] == '/')) {
        length++;
    }
    return (struct pw_piece){text, length};
}

/* Whether the number of the bound can be compared with a limit in `unit`. */
static int check_unit(struct parser *parser, const struct pw_unit *unit)
{
    const char *name = parser->bound->name;
    int shown = pw_piece_shown((struct pw_piece){name, strlen(name)});
    bool in_summary = false;
    const char *own_text = pw_subject_unit(parser->bound, &in_summary);
    const struct pw_unit *own = own_text ? pw_unit_find(own_text, strlen(own_text)) : NULL;
    if (in_summary || (own && own->dimension == unit->dimension)) {
        return 0;
    }
    if (!own) {
        fault_at(parser, parser->at, "the unit of `%.*s` is not known, so `%s` cannot be converted",
                 shown, name, unit->name);
        return pw_err_remedy(parser->err, "Write the limit without a unit.");
    }
    if (own->dimension == PW_DIMENSION_COUNT) {
        fault_at(parser, parser->at, "`%.*s` is a plain count, not in %s", shown, name, unit->name);
        return pw_err_remedy(parser->err, "Write the limit without a unit.");
    }
    fault_at(parser, parser->at, "`%.*s` is in %s, not in %s", shown, name, own_text, unit->name);
    if (unit->dimension == PW_DIMENSION_RATIO) {
        return pw_err_remedy(parser->err, "Ten percent above the baseline is `baseline*1.10`.");
    }
    return pw_err_remedy(parser->err, "Write the limit in %s.", own_text);
}

static int unknown_unit(struct parser *parser, struct pw_piece piece)
{
    static const char *const names[] = {"ns", "us", "ms",  "s",   "min", "h", "B",      "KB",
                                        "MB", "GB", "KiB", "MiB", "GiB", "%", "runs/s", NULL};
    char text[16] = "";
    memcpy(text, piece.text, piece.length < sizeof(text) ? piece.length : 0);
    const char *nearest = NULL;
    for (size_t i = 0; !nearest && names[i]; i++) {
        nearest = strcasecmp(names[i], text) == 0 ? names[i] : NULL;
    }
    if (!nearest) {
        nearest = pw_nearest_name(text, names);
    }
    fault_at(parser, parser->at, "unknown unit `%.*s`", pw_piece_shown(piece), piece.text);
    return nearest ? pw_err_remedy(parser->err, "Did you mean `%s`?", nearest)
                   : pw_err_remedy(parser->err, "Units: ns us ms s min h, B KB MB GB KiB MiB GiB, "
                                                "%%, runs/s; a plain count has none.");
}

/* An optional unit. `relative`: "%" is of the limit, whatever the number is in.
 */
static int parse_unit(struct parser *parser, bool relative, const char **ret_unit)
{
    size_t start = parser->at;
    skip_blanks(parser);
    struct pw_piece piece = unit_at(parser);
    bool word = pw_piece_is(piece, "of") || pw_piece_is(piece, "and") || pw_piece_is(piece, "or");
    if (piece.length == 0 || word) {
        parser->at = start;
        return 0;
    }
    const struct pw_unit *unit = pw_unit_find(piece.text, piece.length);
    if (!unit) {
        return unknown_unit(parser, piece);
    }
    if (!(relative && pw_piece_is(piece, "%")) && check_unit(parser, unit) != 0) {
        return -1;
    }
    parser->at += piece.length;
    *ret_unit = unit->name;
    return 0;
}

/* The left side. */

/* A name in double quotes; a backslash makes the next character an ordinary
 * one. */
static int parse_quoted_name(struct parser *parser, char *name)
{
    size_t start = parser->at++;
    size_t length = 0;
    while (*rest(parser) != '"') {
        if (*rest(parser) == '\\') {
            parser->at++;
        }
        if (at_end(parser)) {
            return fault_at(parser, start, "the quote is not closed");
        }
        name[length++] = *rest(parser);
        parser->at++;
    }
    parser->at++;
    name[length] = '\0';
    return length > 0 ? 0 : fault_at(parser, start, "the name is empty");
}

static int parse_name(struct parser *parser, char *name)
{
    if (*rest(parser) == '"') {
        return parse_quoted_name(parser, name);
    }
    struct pw_piece word = word_at(parser);
    if (word.length == 0) {
        fault_at(parser, parser->at, at_end(parser) ? "the bound is empty" : "a name is missing");
        return pw_err_remedy(parser->err, "A whole bound: `latency_ms p(95) <= 1000ms`.");
    }
    parser->at += word.length;
    if (*rest(parser) == '"') {
        fault_at(parser, parser->at, "a quote within a name");
        return pw_err_remedy(parser->err, "Quote the whole name: `\"span.tool call\" count >= 3`.");
    }
    memcpy(name, word.text, word.length);
    name[word.length] = '\0';
    return 0;
}

static int impossible_percentile(struct parser *parser, size_t start)
{
    fault_at(parser, start, "there is no such percentile");
    return pw_err_remedy(parser->err, "Percentiles go from p(0) to p(100); 99.9 is one too.");
}

/* Behind the `p` of p(N). */
static int parse_percentile(struct parser *parser, size_t start, struct pw_aggregate *ret_aggregate)
{
    double percent = 0;
    skip_blanks(parser);
    if (*rest(parser) != '(') {
        fault_at(parser, start, "`p` of what?");
        return pw_err_remedy(parser->err, "The 95th percentile is p(95).");
    }
    parser->at++;
    if (parse_number(parser, true, "the percentile", &percent) != 0) {
        return -1;
    }
    skip_blanks(parser);
    if (*rest(parser) != ')') {
        return fault_at(parser, parser->at, "`)` is missing");
    }
    parser->at++;
    if (percent < 0 || percent > 100) {
        return impossible_percentile(parser, start);
    }
    *ret_aggregate = (struct pw_aggregate){PW_AGGREGATE_PERCENTILE, percent / 100};
    return 0;
}

/* An optional aggregate. */
static int parse_aggregate(struct parser *parser, struct pw_aggregate *ret_aggregate)
{
    size_t start = parser->at;
    struct pw_piece word = word_at(parser);
    *ret_aggregate = (struct pw_aggregate){PW_AGGREGATE_NONE, 0};
    if (word.length == 0 || pw_piece_is(word, "within")) {
        return 0;
    }
    parser->at += word.length;
    if (pw_piece_is(word, "p")) {
        return parse_percentile(parser, start, ret_aggregate);
    }
    if (pw_aggregate_find(word, ret_aggregate)) {
        return 0;
    }
    if (word.text[0] == 'p' && isdigit((unsigned char)word.text[1])) {
        return impossible_percentile(parser, start);
    }
    char text[16] = "";
    memcpy(text, word.text, word.length < sizeof(text) ? word.length : 0);
    const char *nearest = pw_nearest_name(text, pw_aggregate_words);
    fault_at(parser, start, "`%.*s` is neither an aggregate nor a comparison", pw_piece_shown(word),
             word.text);
    if (nearest) {
        return pw_err_remedy(parser->err, "Did you mean `%s`?", nearest);
    }
    return pw_err_remedy(parser->err, "Aggregates: mean, med, min, max, stddev, mad, total, count, "
                                      "p(N); comparisons: <= < >= > == != within.");
}

static int parse_left(struct parser *parser)
{
    char name[PW_LIMIT_EXPRESSION_BYTES + 1];
    struct pw_aggregate aggregate;
    size_t name_at = parser->at;
    if (parse_name(parser, name) != 0) {
        return -1;
    }
    size_t end = parser->at;
    skip_blanks(parser);
    size_t aggregate_at = parser->at;
    if (parse_aggregate(parser, &aggregate) != 0) {
        return -1;
    }
    if (aggregate.kind != PW_AGGREGATE_NONE) {
        end = parser->at;
    }
    enum pw_subject_fault where = PW_FAULT_NAME;
    struct pw_err err = PW_ERR_INIT;
    if (pw_subject_resolve(name, aggregate, parser->bound, &where, &err) != 0) {
        fault_at(parser, where == PW_FAULT_NAME ? name_at : aggregate_at, "%s", err.message);
        if (err.cls == PW_ERR_MEMORY) {
            return pw_err_memory(parser->err);
        }
        return err.remedy[0] != '\0' ? pw_err_remedy(parser->err, "%s", err.remedy) : -1;
    }
    parser->bound->label = strndup(parser->text + name_at, end - name_at);
    return parser->bound->label ? 0 : pw_err_memory(parser->err);
}

/* The comparison and the right side. */

static int parse_operator(struct parser *parser, enum pw_bound_op *ret_op)
{
    static const enum pw_bound_op longest_first[] = {PW_OP_LE, PW_OP_GE, PW_OP_EQ,
                                                     PW_OP_NE, PW_OP_LT, PW_OP_GT};
    static const char *const mended[][2] = {{"=<", "<="}, {"=>", ">="}, {"<>", "!="}, {"=", "=="}};
    skip_blanks(parser);
    const char *text = rest(parser);
    if (pw_piece_is(word_at(parser), "within")) {
        parser->at += strlen("within");
        *ret_op = PW_OP_WITHIN;
        return 0;
    }
    size_t length = 0;
    while (is_operator(text[length])) {
        length++;
    }
    struct pw_piece written = {text, length};
    for (size_t i = 0; i < sizeof(longest_first) / sizeof(longest_first[0]); i++) {
        if (pw_piece_is(written, pw_bound_op_text(longest_first[i]))) {
            parser->at += length;
            *ret_op = longest_first[i];
            return 0;
        }
    }
    if (length == 0) {
        fault_at(parser, parser->at, "the comparison is missing");
    } else {
        fault_at(parser, parser->at, "`%.*s` is no comparison", pw_piece_shown(written), text);
    }
    for (size_t i = 0; i < sizeof(mended) / sizeof(mended[0]); i++) {
        if (pw_piece_is(written, mended[i][0])) {
            return pw_err_remedy(parser->err, "Write `%s`.", mended[i][1]);
        }
    }
    return pw_err_remedy(parser->err, "Comparisons: <= < >= > == != within.");
}

/* Behind `baseline`: [*NUMBER][+NUMBER[UNIT]|-NUMBER[UNIT]] */
static int parse_baseline(struct parser *parser, struct pw_operand *operand)
{
    operand->factor = 1;
    skip_blanks(parser);
    if (*rest(parser) == '*') {
        parser->at++;
        skip_blanks(parser);
        size_t start = parser->at;
        if (parse_number(parser, false, "the factor", &operand->factor) != 0) {
            return -1;
        }
        if (operand->factor <= 0) {
            return fault_at(parser, start, "the factor is not above zero");
        }
        skip_blanks(parser);
    }
    if (*rest(parser) != '+' && *rest(parser) != '-') {
        return 0;
    }
    bool minus = *rest(parser) == '-';
    parser->at++;
    if (parse_number(parser, false, "what is added to the baseline", &operand->value) != 0 ||
        parse_unit(parser, false, &operand->unit) != 0) {
        return -1;
    }
    operand->value = minus ? 0 - operand->value : operand->value; /* never -0 */
    return 0;
}

static int parse_limit(struct parser *parser, struct pw_operand *operand)
{
    static const char word[] = "baseline";
    skip_blanks(parser);
    if (strncmp(rest(parser), word, strlen(word)) == 0 &&
        !isalnum((unsigned char)rest(parser)[strlen(word)])) {
        parser->at += strlen(word);
        return parse_baseline(parser, operand);
    }
    if (parse_number(parser, true, "the limit", &operand->value) != 0 ||
        parse_unit(parser, false, &operand->unit) != 0) {
        return -1;
    }
    skip_blanks(parser);
    if (*rest(parser) == '*') {
        fault_at(parser, parser->at, "a factor stands behind `baseline`");
        return pw_err_remedy(parser->err, "Write `baseline*%.10g`.", operand->value);
    }
    return 0;
}

/* TOLERANCE of LIMIT */
static int parse_within(struct parser *parser, struct pw_bound *bound)
{
    if (parse_number(parser, false, "the tolerance", &bound->tolerance.value) != 0 ||
        parse_unit(parser, true, &bound->tolerance.unit) != 0) {
        return -1;
    }
    skip_blanks(parser);
    if (!pw_piece_is(word_at(parser), "of")) {
        fault_at(parser, parser->at, "`of` is missing");
        return pw_err_remedy(parser->err, "For example: `max_rss_mb mean within 15%% of 120`.");
    }
    parser->at += strlen("of");
    return parse_limit(parser, &bound->limit);
}

static int check_end(struct parser *parser)
{
    static const char *const joints[] = {"and", "or", "&&", "||", ",", ";"};
    skip_blanks(parser);
    if (at_end(parser)) {
        return 0;
    }
    struct pw_piece word = {rest(parser), strcspn(rest(parser), " \t")};
    fault_at(parser, parser->at, "unexpected `%.*s`", pw_piece_shown(word), word.text);
    for (size_t i = 0; i < sizeof(joints) / sizeof(joints[0]); i++) {
        if (strncmp(word.text, joints[i], strlen(joints[i])) == 0) {
            return pw_err_remedy(parser->err, "One bound, one line: give the other as a bound of "
                                              "its own; all must hold.");
        }
    }
    return pw_err_remedy(parser->err, "The bound ends behind its limit.");
}

static int parse(struct parser *parser)
{
    struct pw_bound *bound = parser->bound;
    if (check_text(parser) != 0) {
        return -1;
    }
    skip_blanks(parser);
    size_t start = parser->at;
    if (parse_left(parser) != 0 || parse_operator(parser, &bound->op) != 0 ||
        (bound->op == PW_OP_WITHIN ? parse_within(parser, bound)
                                   : parse_limit(parser, &bound->limit)) != 0) {
        return -1;
    }
    size_t end = parser->at;
    if (check_end(parser) != 0) {
        return -1;
    }
    while (is_blank(parser->text[end - 1])) {
        end--;
    }
    bound->text = strndup(parser->text + start, end - start);
    return bound->text ? 0 : pw_err_memory(parser->err);
}

int pw_expression_parse(const char *text, struct pw_bound *ret_bound, size_t *ret_column,
                        struct pw_err *err)
{
    struct pw_bound bound = {.order = PW_BOUND_ORDER_OWN};
    struct parser parser = {.text = text, .bound = &bound, .err = err};
    if (parse(&parser) != 0) {
        if (ret_column) {
            *ret_column = parser.column > 0 ? parser.column : 1;
        }
        pw_bound_done(&bound);
        return -1;
    }
    *ret_bound = bound;
    return 0;
}
