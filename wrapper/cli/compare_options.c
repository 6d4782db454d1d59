#include "wrapper/cli/compare_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "core/json.h"
#include "wrapper/cli/command.h"
#include "wrapper/cli/help.h"

/* "3", "3%", "3 %"; NAN if it is none. */
static double read_percent(const char *text)
{
    char *end = NULL;
    if (strspn(text, "0123456789.% ") != strlen(text) || *text == '\0') {
        return NAN;
    }
    double number = strtod(text, &end);
    end += *end == ' ';
    end += *end == '%';
    return end != text && *end == '\0' ? number : NAN;
}

int pw_compare_check_floor(const char *text, struct pw_err *err)
{
    double floor = read_percent(text);
    return floor >= 0 && floor <= 1000
               ? 0
               : pw_err_set(err, PW_ERR_USAGE, "`%s` is not a percentage from 0 to 1000", text);
}

int pw_compare_check_confidence(const char *text, struct pw_err *err)
{
    double confidence = read_percent(text);
    return confidence >= 50 && confidence <= 99.999
               ? 0
               : pw_err_set(err, PW_ERR_USAGE, "`%s` is not a percentage from 50 to 99.999", text);
}

int pw_compare_check_format(const char *text, struct pw_err *err)
{
    bool known =
        strcmp(text, "text") == 0 || strcmp(text, "markdown") == 0 || strcmp(text, "json") == 0;
    return known ? 0 : pw_err_set(err, PW_ERR_USAGE, "`%s` is none of text, markdown, json", text);
}

/* Reads the list up to its end or the first word that is no verdict, which it returns. */
static const char *read_verdicts(const char *text, bool ret_asked[PW_COMPARISON_VERDICT_COUNT])
{
    while (true) {
        size_t length = strcspn(text, ",");
        bool known = false;
        for (int v = 0; v < PW_COMPARISON_VERDICT_COUNT; v++) {
            const char *name = pw_comparison_verdict_name((enum pw_comparison_verdict)v);
            if (strlen(name) == length && strncmp(name, text, length) == 0) {
                ret_asked[v] = known = true;
            }
        }
        if (!known || text[length] == '\0') {
            return known ? NULL : text;
        }
        text += length + 1;
    }
}

int pw_compare_check_fail_on(const char *text, struct pw_err *err)
{
    bool asked[PW_COMPARISON_VERDICT_COUNT] = {false};
    const char *fault = read_verdicts(text, asked);
    if (!fault) {
        return 0;
    }
    pw_err_set(err, PW_ERR_USAGE, "`%.*s` is no verdict", (int)strcspn(fault, ","), fault);
    return pw_err_remedy(err, "verdicts are faster, slower, same, unsure and changed");
}

struct pw_compare_options pw_compare_options_of(const struct pw_compare_choices *choices)
{
    return (struct pw_compare_options){.floor_pct = read_percent(choices->floor),
                                       .confidence = read_percent(choices->confidence) / 100,
                                       .all = choices->all,
                                       .across = choices->across};
}

static int render_json(const struct pw_comparison *comparison, struct pw_str *ret_text,
                       struct pw_err *err)
{
    json_t *document = pw_comparison_to_json(comparison, err);
    if (!document) {
        return -1;
    }
    PW_FREE_AUTO char *text = pw_json_dump(document, err);
    json_decref(document);
    if (!text) {
        return -1;
    }
    pw_str_add(ret_text, text);
    return 0;
}

int pw_compare_render(const struct pw_comparison *comparison,
                      const struct pw_compare_choices *choices, struct pw_str *ret_text,
                      struct pw_err *err)
{
    PW_DOCUMENT_AUTO report = PW_DOCUMENT_INIT;
    if (strcmp(choices->format, "json") == 0) {
        return render_json(comparison, ret_text, err);
    }
    pw_comparison_report(comparison, &report);
    bool color = !choices->no_color && pw_cli_may_color(STDOUT_FILENO);
    return strcmp(choices->format, "markdown") == 0
               ? pw_document_to_markdown(&report, ret_text, err)
               : pw_document_to_text(&report, color, ret_text, err);
}

int pw_compare_gate(const struct pw_comparison *comparison,
                    const struct pw_compare_choices *choices)
{
    bool asked[PW_COMPARISON_VERDICT_COUNT] = {false};
    int status = PW_EXIT_OK;
    if (!choices->fail_on) {
        return PW_EXIT_OK;
    }
    read_verdicts(choices->fail_on, asked);
    if (pw_comparison_fails_more(comparison)) {
        fputs("perfwrap: --fail-on: a larger share of B's workers failed than of A's\n", stderr);
        status = PW_EXIT_WORKER_FAILED;
    }
    for (int v = 0; v < PW_COMPARISON_VERDICT_COUNT; v++) {
        enum pw_comparison_verdict verdict = (enum pw_comparison_verdict)v;
        if (asked[v] && pw_comparison_has(comparison, verdict, choices->all)) {
            fprintf(stderr, "perfwrap: --fail-on: a metric is %s\n",
                    pw_comparison_verdict_name(verdict));
            status = PW_EXIT_WORKER_FAILED;
        }
    }
    return status;
}
