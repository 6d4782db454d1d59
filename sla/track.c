/* The tracking table as text: found, read, changed in one row, and put together again. */
#include "sla/track.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "sla/track_impl.h"

const char pw_track_begin[] = "<!-- perfwrap log: table begins. Its rows are perfwrap's, what is "
                              "around these two lines is yours. -->";
const char pw_track_end[] = "<!-- perfwrap log: table ends. -->";
/* What makes a line one of the two, whatever the words behind it are. */
static const char begin_mark[] = "<!-- perfwrap log: table begins";
static const char end_mark[] = "<!-- perfwrap log: table ends";

static const char heading[] =
    "# Baseline comparison\n\nKept by `perfwrap log`: one row a run. Δ p50 is against the row above "
    "it of the same profile.\n\n";

const char *pw_track_change_name(enum pw_track_change change)
{
    static const char *const names[] = {[PW_TRACK_INSERTED] = "inserted",
                                        [PW_TRACK_REPLACED] = "replaced",
                                        [PW_TRACK_UNCHANGED] = "unchanged"};
    return names[change];
}

/* A row as it stands, with its line's end; its cells point into it, or into the new row. */
struct row {
    struct pw_track_cell line;
    struct pw_track_cell cells[PW_TRACK_COLUMNS];
    bool is_new;
};

/* The file: text before the first row, rows, text from the end mark on. */
struct table {
    const char *line_end; /* "\n" or "\r\n" */
    bool exists, has_header;
    struct pw_track_cell head, tail;
    struct row *rows;
    size_t count, capacity;
};

static void table_done(struct table *table)
{
    free(table->rows);
}

/* The line at `text`, its end included. */
static struct pw_track_cell line_at(const char *text)
{
    const char *end = strchr(text, '\n');
    return (struct pw_track_cell){text, end ? (size_t)(end - text) + 1 : strlen(text)};
}

static struct pw_track_cell trimmed(struct pw_track_cell cell)
{
    while (cell.length > 0 && strchr(" \t\r\n", cell.text[cell.length - 1])) {
        cell.length--;
    }
    while (cell.length > 0 && strchr(" \t", *cell.text)) {
        cell.text++;
        cell.length--;
    }
    return cell;
}

static bool starts_with(struct pw_track_cell cell, const char *prefix)
{
    size_t length = strlen(prefix);
    return cell.length >= length && memcmp(cell.text, prefix, length) == 0;
}

static bool equals(struct pw_track_cell cell, const char *text)
{
    return cell.length == strlen(text) && memcmp(cell.text, text, cell.length) == 0;
}

static bool same(struct pw_track_cell a, struct pw_track_cell b)
{
    return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

/* Splits `| a | b |`; returns how many cells there are, of which the first PW_TRACK_COLUMNS are
 * kept, or 0 if the line neither begins nor ends as a row. A backslash escapes what follows. */
static size_t split_row(struct pw_track_cell line, struct pw_track_cell cells[PW_TRACK_COLUMNS])
{
    struct pw_track_cell row = trimmed(line);
    size_t count = 0, start = 1;
    if (row.length < 2 || row.text[0] != '|') {
        return 0;
    }
    for (size_t i = 1; i < row.length; i++) {
        if (row.text[i] == '\\') {
            i++;
        } else if (row.text[i] == '|') {
            if (count < PW_TRACK_COLUMNS) {
                cells[count] = trimmed((struct pw_track_cell){row.text + start, i - start});
            }
            count++;
            start = i + 1;
        }
    }
    return start == row.length ? count : 0;
}

static bool is_separator(const struct pw_track_cell cells[PW_TRACK_COLUMNS])
{
    for (size_t i = 0; i < PW_TRACK_COLUMNS; i++) {
        if (cells[i].length == 0 || strspn(cells[i].text, ":-") < cells[i].length) {
            return false;
        }
    }
    return true;
}

static int refuse(size_t line, struct pw_err *err, const char *what)
{
    pw_err_set(err, PW_ERR_INPUT, "line %zu: %s", line, what);
    return pw_err_remedy(err, "Mend the line or take the whole table out: it is made anew from the "
                              "runs. Columns of your own belong into another table.");
}

static int read_header(size_t number, struct pw_track_cell line, struct pw_err *err)
{
    struct pw_track_cell cells[PW_TRACK_COLUMNS];
    if (split_row(line, cells) != PW_TRACK_COLUMNS) {
        return refuse(number, err, "the table has other columns than `perfwrap log` writes");
    }
    for (size_t i = 0; i < PW_TRACK_COLUMNS; i++) {
        if (!equals(cells[i], pw_track_headers[i])) {
            return refuse(number, err, "the table has other columns than `perfwrap log` writes");
        }
    }
    return 0;
}

static int append_row(struct table *table, size_t at, const struct row *row, struct pw_err *err)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity > 0 ? 2 * table->capacity : 64;
        struct row *rows = reallocarray(table->rows, capacity, sizeof(*rows));
        if (!rows) {
            return pw_err_memory(err);
        }
        table->rows = rows;
        table->capacity = capacity;
    }
    memmove(&table->rows[at + 1], &table->rows[at], (table->count - at) * sizeof(*table->rows));
    table->rows[at] = *row;
    table->count++;
    return 0;
}

/* A line between the marks; `index` counts from 0: header, separator, rows. */
static int read_line(struct table *table, size_t index, size_t number, struct pw_track_cell line,
                     struct pw_err *err)
{
    struct row row = {.line = line};
    if (index == 0) {
        table->has_header = true;
        return read_header(number, line, err);
    }
    if (split_row(line, row.cells) != PW_TRACK_COLUMNS) {
        return refuse(number, err, "the row is cut off, or has other columns than its table");
    }
    if (index == 1) {
        return is_separator(row.cells)
                   ? 0
                   : refuse(number, err, "the line of dashes below the header is missing");
    }
    return append_row(table, table->count, &row, err);
}

static int read_table(const char *text, struct table *table, struct pw_err *err)
{
    size_t number = 1, begun_at = 0, index = 0;
    bool ended = false;
    table->line_end = "\n";
    table->tail = (struct pw_track_cell){text + strlen(text), 0};
    table->head = (struct pw_track_cell){text, strlen(text)};
    for (const char *at = text; *at; number++) {
        struct pw_track_cell line = line_at(at), words = trimmed(line);
        bool begins = starts_with(words, begin_mark), ends = starts_with(words, end_mark);
        if (begins && begun_at > 0) {
            return refuse(number, err, "a second table begins");
        }
        if (ends && (begun_at == 0 || ended)) {
            return refuse(number, err, "a table ends that has not begun");
        }
        if (begins) {
            begun_at = number;
            table->exists = true;
            table->line_end = line.length > 1 && at[line.length - 2] == '\r' ? "\r\n" : "\n";
        } else if (ends) {
            ended = true;
            table->tail = (struct pw_track_cell){at, strlen(at)};
        } else if (begun_at > 0 && !ended) {
            if (read_line(table, index, number, line, err) != 0) {
                return -1;
            }
            index++;
        }
        at += line.length;
        if (begun_at > 0 && !ended && index <= 2 && table->count == 0) {
            table->head.length = (size_t)(at - text); /* up to the first row */
        }
    }
    if (begun_at > 0 && !ended) {
        return refuse(begun_at, err, "the table that begins here has no end: the file is cut off");
    }
    return index == 1 ? refuse(begun_at, err, "the line of dashes below the header is missing") : 0;
}

static void add_row(struct pw_str *out, const struct pw_track_cell cells[PW_TRACK_COLUMNS],
                    const char *line_end)
{
    for (size_t i = 0; i < PW_TRACK_COLUMNS; i++) {
        pw_str_add(out, "| ");
        pw_str_add_bytes(out, cells[i].text, cells[i].length);
        pw_str_add(out, cells[i].length > 0 ? " " : "");
    }
    pw_str_addf(out, "|%s", line_end);
}

static void add_header(struct pw_str *out, const char *line_end)
{
    for (size_t i = 0; i < PW_TRACK_COLUMNS; i++) {
        pw_str_addf(out, "| %s ", pw_track_headers[i]);
    }
    pw_str_addf(out, "|%s", line_end);
    for (size_t i = 0; i < PW_TRACK_COLUMNS; i++) {
        bool right = i >= PW_TRACK_FIRST_NUMBER && i <= PW_TRACK_DELTA;
        pw_str_add(out, right ? "|---:" : "|---");
    }
    pw_str_addf(out, "|%s", line_end);
}

static bool number_of(struct pw_track_cell cell, double *ret_number)
{
    char buffer[64], *end = NULL;
    if (cell.length == 0 || cell.length >= sizeof(buffer)) {
        return false;
    }
    memcpy(buffer, cell.text, cell.length);
    buffer[cell.length] = '\0';
    *ret_number = strtod(buffer, &end);
    return *end == '\0' && isfinite(*ret_number);
}

enum { DELTA_MAX = 48 };

/* The change of a row's p50 against the nearest row above it of the same profile, or "". */
static void delta_of(const struct table *table, size_t index, char buffer[DELTA_MAX])
{
    double before, own;
    const struct row *row = &table->rows[index];
    buffer[0] = '\0';
    for (size_t i = index; i-- > 0;) {
        const struct row *above = &table->rows[i];
        if (!same(above->cells[PW_TRACK_PROFILE], row->cells[PW_TRACK_PROFILE])) {
            continue;
        }
        if (number_of(above->cells[PW_TRACK_P50], &before) &&
            number_of(row->cells[PW_TRACK_P50], &own) && before > 0) {
            snprintf(buffer, DELTA_MAX, "%+.1f %%", 100 * (own - before) / before);
        }
        return;
    }
}

static void add_table(struct pw_str *out, const struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        struct row row = table->rows[i];
        char delta[DELTA_MAX];
        delta_of(table, i, delta);
        if (!row.is_new && equals(row.cells[PW_TRACK_DELTA], delta)) {
            pw_str_add_bytes(out, row.line.text, row.line.length);
            continue;
        }
        row.cells[PW_TRACK_DELTA] = (struct pw_track_cell){delta, strlen(delta)};
        add_row(out, row.cells, table->line_end);
    }
}

static int compare_cells(struct pw_track_cell a, struct pw_track_cell b)
{
    int order = memcmp(a.text, b.text, a.length < b.length ? a.length : b.length);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static bool is_date(struct pw_track_cell cell)
{
    return cell.length == strlen("2026-11-21 15:02:16") && cell.text[0] >= '0' &&
           cell.text[0] <= '9';
}

/* Behind the last row that is not later: rows that somebody moved stay where they are. */
static size_t place_of(const struct table *table, const struct row *row)
{
    size_t place = table->count;
    while (place > 0) {
        const struct row *above = &table->rows[place - 1];
        int order = compare_cells(above->cells[PW_TRACK_DATE], row->cells[PW_TRACK_DATE]);
        if (order == 0) {
            order = compare_cells(above->cells[PW_TRACK_RUN], row->cells[PW_TRACK_RUN]);
        }
        if (is_date(above->cells[PW_TRACK_DATE]) && order <= 0) {
            return place;
        }
        place--;
    }
    return place;
}

/* Whether the row stands as it would be written, but for the change, which is made anew anyway. */
static bool is_same_row(const struct row *a, const struct row *b)
{
    for (size_t i = 0; i < PW_TRACK_COLUMNS; i++) {
        if (i != PW_TRACK_DELTA && !same(a->cells[i], b->cells[i])) {
            return false;
        }
    }
    return true;
}

/* Takes the rows of the same run out, and puts the new one in. */
static int put_row(struct table *table, struct row *row, bool keep_note, bool *ret_known,
                   struct pw_err *err)
{
    size_t kept = 0;
    *ret_known = false;
    for (size_t i = 0; i < table->count; i++) {
        const struct row *old = &table->rows[i];
        if (!same(old->cells[PW_TRACK_RUN], row->cells[PW_TRACK_RUN])) {
            table->rows[kept++] = *old;
            continue;
        }
        if (keep_note && !*ret_known) {
            row->cells[PW_TRACK_NOTE] = old->cells[PW_TRACK_NOTE];
        }
        if (is_same_row(old, row)) { /* as its owner laid it out */
            row->line = old->line;
            row->is_new = false;
        }
        *ret_known = true;
    }
    table->count = kept;
    return append_row(table, place_of(table, row), row, err);
}

static void add_all(struct pw_str *out, const struct table *table, const char *before)
{
    pw_str_add_bytes(out, table->head.text, table->head.length);
    if (!table->exists) {
        if (!*before) {
            pw_str_add(out, heading);
        } else {
            pw_str_add(out, before[strlen(before) - 1] == '\n' ? "\n" : "\n\n");
        }
        pw_str_addf(out, "%s\n", pw_track_begin);
    }
    if (!table->has_header) {
        add_header(out, table->line_end);
    }
    add_table(out, table);
    pw_str_add_bytes(out, table->tail.text, table->tail.length);
    if (!table->exists) {
        pw_str_addf(out, "%s\n", pw_track_end);
    }
}

static int update(const char *before, const struct pw_str cells[PW_TRACK_COLUMNS], bool keep_note,
                  struct pw_str *ret_text, enum pw_track_change *ret_change, struct pw_err *err)
{
    __attribute__((cleanup(table_done))) struct table table = {0};
    struct row row = {.is_new = true};
    bool known;
    for (size_t i = 0; i < PW_TRACK_COLUMNS; i++) {
        /* Trimmed as those are that are read. */
        row.cells[i] = trimmed((struct pw_track_cell){cells[i].text, cells[i].length});
    }
    if (read_table(before, &table, err) != 0 ||
        put_row(&table, &row, keep_note, &known, err) != 0) {
        return -1;
    }
    PW_STR_AUTO text = PW_STR_INIT;
    add_all(&text, &table, before);
    pw_str_add_bytes(ret_text, text.text, text.length);
    if (text.failed || ret_text->failed) {
        return pw_err_memory(err);
    }
    *ret_change = !known                           ? PW_TRACK_INSERTED
                  : strcmp(before, text.text) == 0 ? PW_TRACK_UNCHANGED
                                                   : PW_TRACK_REPLACED;
    return 0;
}

int pw_track_update(const char *before, const struct pw_summary *summary, const char *path,
                    const char *note, struct pw_str *ret_text, enum pw_track_change *ret_change,
                    struct pw_err *err)
{
    struct pw_str cells[PW_TRACK_COLUMNS];
    for (size_t i = 0; i < PW_TRACK_COLUMNS; i++) {
        cells[i] = PW_STR_INIT;
    }
    int result = pw_track_cells_of(summary, path, note, cells, err);
    if (result == 0) {
        result = update(before, cells, !note, ret_text, ret_change, err);
    }
    for (size_t i = 0; i < PW_TRACK_COLUMNS; i++) {
        pw_str_done(&cells[i]);
    }
    return result;
}
