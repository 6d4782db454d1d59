/* The metric table for people and for programs. */
#include <string.h>
#include "core/json.h"
#include "core/str.h"
#include "core/summary.h"

static json_t *stat_names(const struct pw_metric *row, bool *failed)
{
    json_t *list = json_array();
    for (enum pw_stat stat = 0; stat < PW_STAT_SCALAR; stat++) {
        if ((row->stats & PW_STAT_BIT(stat)) != 0) {
            pw_json_append(list, json_string(pw_stat_name(stat)), failed);
        }
    }
    return list;
}

static json_t *otel_block(const struct pw_metric *row, bool *failed)
{
    json_t *block = json_object();
    pw_json_put(block, "name", json_string(row->otel_name), failed);
    pw_json_put(block, "unit", json_string(row->otel_unit), failed);
    pw_json_put(block, "factor", json_real(row->otel_factor), failed);
    return block;
}

static json_t *row_to_json(const struct pw_metric *row, bool *failed)
{
    json_t *object = json_object();
    pw_json_put(object, "path", json_string(row->path), failed);
    pw_json_put(object, "key", row->key ? json_string(row->key) : json_null(), failed);
    pw_json_put(object, "in_runs", json_boolean(row->key && !row->worker_only), failed);
    pw_json_put(object, "in_worker_results", json_boolean(row->key && !row->iteration_only),
                failed);
    pw_json_put(object, "frozen", json_boolean(row->frozen), failed);
    pw_json_put(object, "optional", json_boolean(row->optional), failed);
    pw_json_put(object, "unit", json_string(row->unit), failed);
    pw_json_put(object, "integer", json_boolean(row->integer), failed);
    pw_json_put(object, "fold", json_string(pw_fold_name(row->fold)), failed);
    pw_json_put(object, "scalar", json_boolean(row->stats == PW_STATS_SCALAR), failed);
    pw_json_put(object, "stats", stat_names(row, failed), failed);
    pw_json_put(object, "better", json_string(pw_better_name(row->better)), failed);
    pw_json_put(object, "noise_floor", json_real(row->noise_floor), failed);
    pw_json_put(object, "source", json_string(row->source), failed);
    pw_json_put(object, "fallback", json_string(row->fallback), failed);
    pw_json_put(object, "otel", otel_block(row, failed), failed);
    pw_json_put(object, "help", json_string(row->help), failed);
    return object;
}

json_t *pw_metrics_to_json(struct pw_err *err)
{
    bool failed = false;
    json_t *list = json_array();
    for (size_t i = 0; i < PW_METRIC_COUNT; i++) {
        pw_json_append(list, row_to_json(&pw_metrics[i], &failed), &failed);
    }
    json_t *root = json_object();
    pw_json_put(root, "schema_version", json_string(PW_SUMMARY_SCHEMA_VERSION), &failed);
    pw_json_put(root, "metrics", list, &failed);
    if (failed) {
        json_decref(root);
        pw_err_memory(err);
        return NULL;
    }
    return root;
}

/* A cell of a Markdown table: bars would end it. */
static void add_cell(struct pw_str *page, const char *text)
{
    pw_str_add(page, " ");
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            pw_str_add_char(page, '\\');
        }
        pw_str_add_char(page, *text);
    }
    pw_str_add(page, " |");
}

static void add_stats_cell(struct pw_str *page, const struct pw_metric *row)
{
    PW_STR_AUTO names = PW_STR_INIT;
    for (enum pw_stat stat = 0; stat < PW_STAT_SCALAR; stat++) {
        if ((row->stats & PW_STAT_BIT(stat)) != 0) {
            pw_str_addf(&names, "%s%s", names.length > 0 ? ", " : "", pw_stat_name(stat));
        }
    }
    add_cell(page, names.length > 0 ? names.text : "the number itself: a sum");
}

static void add_meaning(struct pw_str *page, const struct pw_metric *row)
{
    pw_str_addf(page, "| `%s`%s |", row->path, row->frozen ? " *" : row->optional ? " ?" : "");
    add_cell(page, row->unit);
    add_stats_cell(page, row);
    add_cell(page, pw_better_name(row->better));
    pw_str_addf(page, " %g |", row->noise_floor);
    add_cell(page, row->help);
    pw_str_add(page, "\n");
}

static void add_origin(struct pw_str *page, const struct pw_metric *row)
{
    static const char *const folds[] = {
        [PW_FOLD_WINDOW] = "known of the iteration",
        [PW_FOLD_MAX] = "largest",
        [PW_FOLD_MEAN] = "mean",
        [PW_FOLD_SUM] = "sum",
        [PW_FOLD_POOL] = "none: all workers of the run together",
    };
    const char *where = row->worker_only      ? " (workers only)"
                        : row->iteration_only ? " (iterations only)"
                                              : "";
    pw_str_addf(page, "| `%s` |", row->path);
    if (row->key) {
        pw_str_addf(page, " `%s`%s |", row->key, where);
    } else {
        pw_str_add(page, " – |");
    }
    add_cell(page, folds[row->fold]);
    add_cell(page, row->source);
    add_cell(page, row->fallback);
    pw_str_add(page, "\n");
}

static void add_otel(struct pw_str *page, const struct pw_metric *row)
{
    pw_str_addf(page, "| `%s` | `%s` | `%s` | %.10g |\n", row->path, row->otel_name, row->otel_unit,
                row->otel_factor);
}

char *pw_metrics_to_markdown(struct pw_err *err)
{
    static const struct {
        const char *heading;
        void (*add)(struct pw_str *page, const struct pw_metric *row);
    } tables[] = {
        {"## What they mean\n\n"
         "Names are paths under `summary` in summary.json. A star marks what is frozen: it is never\n"
         "renamed or dropped, nor does its unit change. Differences below the noise floor mean\n"
         "nothing. A number that was not measured is `null`; `unavailable` there says why. What has a\n"
         "question mark is only in summaries of runs that have it.\n\n"
         "| number | unit | statistics | better | noise floor | meaning |\n"
         "|---|---|---|---|---|---|\n",
         add_meaning},
        {"\n## Where they come from\n\n"
         "The key is that in `runs[]`, in the iteration files and in `worker_results[]`.\n\n"
         "| number | key | iteration from its workers | source | fallback |\n"
         "|---|---|---|---|---|\n",
         add_origin},
        {"\n## In OpenTelemetry\n\n"
         "| number | name | unit | times |\n"
         "|---|---|---|---|\n",
         add_otel},
    };
    PW_STR_AUTO page = PW_STR_INIT;
    pw_str_add(&page, "# Metrics\n\n"
                      "<!-- Made by `perfwrap metrics --format=md` from core/metrics.def. Do not "
                      "edit. -->\n\n");
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        pw_str_add(&page, tables[i].heading);
        for (size_t row = 0; row < PW_METRIC_COUNT; row++) {
            tables[i].add(&page, &pw_metrics[row]);
        }
    }
    return pw_str_take(&page, err);
}
