#include "exporters/exporter.h"

#include <stdlib.h>
#include <string.h>
#include "core/document.h"
#include "core/json.h"
#include "exporters/report.h"

static int render_json(const struct pw_summary *summary, struct pw_export_style style,
                       struct pw_str *ret_text, struct pw_err *err)
{
    (void)style;
    char *text = pw_json_dump(pw_summary_root(summary), err);
    if (!text) {
        return -1;
    }
    pw_str_add(ret_text, text);
    free(text);
    return ret_text->failed ? pw_err_memory(err) : 0;
}

static int render_markdown(const struct pw_summary *summary, struct pw_export_style style,
                           struct pw_str *ret_text, struct pw_err *err)
{
    (void)style;
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    pw_report_full(summary, &document);
    return pw_document_to_markdown(&document, ret_text, err);
}

static int render_text(const struct pw_summary *summary, struct pw_export_style style,
                       struct pw_str *ret_text, struct pw_err *err)
{
    PW_DOCUMENT_AUTO document = PW_DOCUMENT_INIT;
    pw_report_short(summary, &document);
    return pw_document_to_text(&document, style.color, ret_text, err);
}

const struct pw_exporter pw_exporters[PW_EXPORTER_COUNT] = {
    {.name = "json",
     .file_name = "summary.json",
     .result_key = "summary_json",
     .help = "the whole summary, for programs",
     .render = render_json},
    {.name = "md",
     .file_name = "summary.md",
     .result_key = "summary_md",
     .help = "the whole summary as Markdown, for people",
     .render = render_markdown},
    {.name = "text", .help = "the short table for a terminal", .render = render_text},
};

const struct pw_exporter *pw_exporter_find(const char *name)
{
    for (size_t i = 0; i < PW_EXPORTER_COUNT; i++) {
        if (strcmp(pw_exporters[i].name, name) == 0) {
            return &pw_exporters[i];
        }
    }
    return NULL;
}
