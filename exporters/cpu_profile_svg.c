/*
 * A flame graph (Brendan Gregg, "The Flame Graph", ACM Queue 14(2), 2016): one box a frame, as wide
 * as the weight below it, callers under callees, the neighbours in the order of their names.
 */
#include <stdlib.h>
#include <string.h>
#include "core/limits.h"
#include "core/saturate.h"
#include "exporters/cpu_profile.h"
#include "exporters/cpu_profile_impl.h"

enum {
    WIDTH = 1200,
    MARGIN = 10,
    ROW = 17,
    HEAD = 76,          /* title, what was sampled, controls */
    FOOT = 84,          /* details, what was left out, legend */
    LEAST_SHARE = 1000, /* a frame with less than one part in so many is left out */
    LEGEND = 6,
    LEVELS = PW_LIMIT_PROFILE_DEPTH + 3, /* all, process, brokenness, frames */
};
static const double character_width = 6.7; /* of the font in pw_flame_style */

enum box_kind { BOX_ALL, BOX_PROCESS, BOX_BROKEN, BOX_FRAME };

struct box {
    enum box_kind kind;
    uint32_t number; /* of a process, a frame */
    uint32_t level;
    int64_t start_ns, weight_ns;
    uint64_t first_sample, samples;
};

struct graph {
    const struct pw_cpu_profile *profile;
    struct pw_profile_order order;
    struct box open[LEVELS]; /* the path to where the walk is */
    uint32_t open_count;
    struct box *boxes; /* that are wide enough */
    size_t box_count, box_capacity;
    size_t left_out;
    uint32_t levels; /* of `boxes` */
    int64_t at_ns;
    uint64_t at_sample;
    struct pw_str text, scratch;
};

/* --- boxes --- */

static struct box box_at(const struct pw_stack *stack, uint32_t level)
{
    if (level == 0) {
        return (struct box){.kind = BOX_ALL};
    }
    if (level == 1) {
        return (struct box){.kind = BOX_PROCESS, .number = stack->process, .level = level};
    }
    if (level == 2 && stack->broken) {
        return (struct box){.kind = BOX_BROKEN, .level = level};
    }
    uint32_t from_root = level - 2 - stack->broken;
    return (struct box){
        .kind = BOX_FRAME, .number = stack->frames[stack->depth - 1 - from_root], .level = level};
}

static bool same_box(const struct graph *graph, const struct box *a, const struct box *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    if (a->kind == BOX_PROCESS) {
        const uint32_t *ranks = graph->order.processes.ranks;
        return ranks[a->number] == ranks[b->number];
    }
    return a->kind != BOX_FRAME || graph->order.ranks[a->number] == graph->order.ranks[b->number];
}

static int keep_box(struct graph *graph, const struct box *box, struct pw_err *err)
{
    if (graph->box_count == graph->box_capacity) {
        size_t capacity = graph->box_capacity > 0 ? 2 * graph->box_capacity : 256;
        struct box *larger = reallocarray(graph->boxes, capacity, sizeof(*larger));
        if (!larger) {
            return pw_err_memory(err);
        }
        graph->boxes = larger;
        graph->box_capacity = capacity;
    }
    graph->boxes[graph->box_count++] = *box;
    graph->levels = box->level + 1 > graph->levels ? box->level + 1 : graph->levels;
    return 0;
}

/* Ends the path's boxes from `level` on. */
static int close_boxes(struct graph *graph, uint32_t level, struct pw_err *err)
{
    while (graph->open_count > level) {
        struct box *box = &graph->open[--graph->open_count];
        box->weight_ns = graph->at_ns - box->start_ns;
        box->samples = graph->at_sample - box->first_sample;
        if ((double)box->weight_ns * LEAST_SHARE < (double)graph->profile->weight_ns) {
            graph->left_out++;
        } else if (keep_box(graph, box, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Stacks that begin alike are neighbours in the order: a box is a run of them. */
static int collect_boxes(struct graph *graph, struct pw_err *err)
{
    for (size_t i = 0; i < graph->order.stack_count; i++) {
        const struct pw_stack *stack = graph->order.stacks[i];
        uint32_t levels = 2U + stack->broken + stack->depth;
        uint32_t shared = 0;
        for (; shared < levels && shared < graph->open_count; shared++) {
            struct box box = box_at(stack, shared);
            if (!same_box(graph, &box, &graph->open[shared])) {
                break;
            }
        }
        if (close_boxes(graph, shared, err) != 0) {
            return -1;
        }
        for (uint32_t level = shared; level < levels; level++) {
            struct box box = box_at(stack, level);
            box.start_ns = graph->at_ns;
            box.first_sample = graph->at_sample;
            graph->open[graph->open_count++] = box;
        }
        graph->at_ns = pw_add_ns_saturated(graph->at_ns, stack->weight_ns);
        graph->at_sample = pw_add_saturated(graph->at_sample, stack->samples);
    }
    return close_boxes(graph, 0, err);
}

/* --- colours --- */

/* Warm and green, light enough for black text; blue is the kernel's, grey is nobody's. */
static const char *const palette[] = {
    "#f4a261", "#e9c46a", "#f28482", "#f6bd60", "#e5989b", "#ffb703", "#fb8b24", "#e07a5f",
    "#d4a373", "#b5c99a", "#a7c957", "#8cb369", "#f7b267", "#ff9b85", "#dda15e", "#c9cba3",
};

static const char *frame_colour(const struct graph *graph, uint32_t frame)
{
    const char *object = pw_profile_name(&graph->order.objects, frame);
    if (graph->profile->frames[frame].kind == PW_FRAME_KERNEL) {
        return "#8ab6e8";
    }
    if (object[0] == '\0') {
        return "#d9d4c7";
    }
    uint32_t hash = 2166136261U; /* FNV-1a, 32 bits: one object has one colour in all graphs */
    for (; *object != '\0'; object++) {
        hash = (hash ^ (unsigned char)*object) * 16777619U;
    }
    return palette[(hash ^ hash >> 16) % (sizeof(palette) / sizeof(*palette))];
}

static const char *box_colour(const struct graph *graph, const struct box *box)
{
    switch (box->kind) {
    case BOX_FRAME: return frame_colour(graph, box->number);
    case BOX_PROCESS: return "#c4c4c4";
    case BOX_BROKEN: return "#e8e8e8";
    case BOX_ALL: break;
    }
    return "#b0b0b0";
}

/* --- text --- */

/* `name` is plain: see pw_profile_add_plain(). */
static void add_escaped(struct pw_str *str, const char *name)
{
    for (; *name != '\0'; name++) {
        switch (*name) {
        case '&': pw_str_add(str, "&amp;"); break;
        case '<': pw_str_add(str, "&lt;"); break;
        case '>': pw_str_add(str, "&gt;"); break;
        case '"': pw_str_add(str, "&quot;"); break;
        case '\'': pw_str_add(str, "&#39;"); break;
        default: pw_str_add_char(str, *name); break;
        }
    }
}

/* Where the first `count` characters of `name` end. */
static size_t prefix_bytes(const char *name, size_t count)
{
    size_t at = 0;
    for (; name[at] != '\0'; at++) {
        if (((unsigned char)name[at] & 0xC0) != 0x80 && count-- == 0) {
            break;
        }
    }
    return at;
}

/* As much of `name` as a box has room for; nothing if that says nothing. */
static void add_fitting(struct graph *graph, const char *name, double width)
{
    double room = (width - 6) / character_width;
    if (room < 3) {
        return;
    }
    size_t fits = prefix_bytes(name, (size_t)room);
    if (name[fits] == '\0') {
        add_escaped(&graph->text, name);
        return;
    }
    pw_str_clear(&graph->scratch);
    pw_str_add_bytes(&graph->scratch, name, prefix_bytes(name, (size_t)room - 2));
    add_escaped(&graph->text, graph->scratch.text);
    pw_str_add(&graph->text, "..");
}

static const char *box_name(const struct graph *graph, const struct box *box)
{
    switch (box->kind) {
    case BOX_FRAME: return pw_profile_name(&graph->order.names, box->number);
    case BOX_PROCESS: return pw_profile_name(&graph->order.processes, box->number);
    case BOX_BROKEN: return PW_PROFILE_BROKEN;
    case BOX_ALL: break;
    }
    return "all";
}

static const char *box_place(const struct graph *graph, const struct box *box)
{
    static const char *const places[] = {
        [BOX_ALL] = "", [BOX_PROCESS] = "process", [BOX_BROKEN] = "outer callers are missing"};
    return box->kind == BOX_FRAME ? pw_profile_name(&graph->order.objects, box->number)
                                  : places[box->kind];
}

/* The script takes name, place and numbers from the three lines of the title. */
static void add_box(struct graph *graph, const struct box *box)
{
    double whole_ns = (double)graph->profile->weight_ns;
    double x = MARGIN + (double)box->start_ns / whole_ns * (WIDTH - 2 * MARGIN);
    double width = (double)box->weight_ns / whole_ns * (WIDTH - 2 * MARGIN);
    uint32_t y = HEAD + (graph->levels - 1 - box->level) * ROW;
    struct pw_str *text = &graph->text;
    pw_str_addf(text, "<g class=\"f\" data-a=\"%lld\" data-w=\"%lld\" data-l=\"%u\"><title>",
                (long long)box->start_ns, (long long)box->weight_ns, box->level);
    add_escaped(text, box_name(graph, box));
    pw_str_add(text, "\n");
    add_escaped(text, box_place(graph, box));
    pw_str_addf(text, "\n%.3f ms, %.2f %%, %llu sample%s</title>", (double)box->weight_ns / 1e6,
                100 * (double)box->weight_ns / whole_ns, (unsigned long long)box->samples,
                box->samples == 1 ? "" : "s");
    pw_str_addf(text, "<rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%d\" fill=\"%s\"/>", x, y,
                width, ROW - 1, box_colour(graph, box));
    pw_str_addf(text, "<text x=\"%.2f\" y=\"%u\">", x + 3, y + 12);
    add_fitting(graph, box_name(graph, box), width);
    pw_str_add(text, "</text></g>\n");
}

/* --- head and foot --- */

static void add_head(struct graph *graph, const char *title, uint32_t height)
{
    const struct pw_cpu_profile *profile = graph->profile;
    struct pw_str *text = &graph->text;
    pw_str_addf(text,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"%d\" "
                "height=\"%u\" viewBox=\"0 0 %d %u\">\n<style>\n%s</style>\n",
                WIDTH, height, WIDTH, height, pw_flame_style);
    pw_str_addf(text, "<text class=\"h\" x=\"%d\" y=\"24\">", MARGIN);
    pw_str_clear(&graph->scratch);
    pw_profile_add_plain(&graph->scratch, title, '\0');
    add_escaped(text, graph->scratch.text);
    pw_str_addf(text, "</text>\n<text x=\"%d\" y=\"42\">%.3f s of CPU time in %llu samples", MARGIN,
                (double)profile->weight_ns / 1e9, (unsigned long long)profile->samples);
    if (profile->hz > 0) {
        pw_str_addf(text, " at %g Hz", profile->hz);
    }
    if (profile->samples > 0 && profile->broken > 0) {
        pw_str_addf(text, "; callers are missing in %.1f %% of them",
                    100 * (double)profile->broken / (double)profile->samples);
    }
    if (profile->lost > 0) {
        pw_str_addf(text, "; %llu more were lost", (unsigned long long)profile->lost);
    }
    if (profile->beyond_limit > 0) {
        pw_str_addf(text, "; %llu are beyond the limits",
                    (unsigned long long)profile->beyond_limit);
    }
    pw_str_addf(text,
                "</text>\n<text class=\"b\" x=\"%d\" y=\"62\" visibility=\"hidden\">Reset zoom"
                "</text>\n<text class=\"b\" x=\"%d\" y=\"62\" visibility=\"hidden\">Search</text>\n"
                "<text class=\"found\" x=\"%d\" y=\"62\"></text>\n",
                MARGIN, MARGIN + 90, MARGIN + 150);
}

struct share {
    const char *object;
    uint32_t frame; /* one that lies in it */
    int64_t self_ns;
};

static int share_order(const void *a, const void *b)
{
    const struct share *left = a;
    const struct share *right = b;
    if (left->self_ns != right->self_ns) {
        return left->self_ns < right->self_ns ? 1 : -1;
    }
    return strcmp(left->object, right->object);
}

/* The objects in which most time was spent, each in its colour. */
static int add_legend(struct graph *graph, uint32_t y, struct pw_err *err)
{
    const struct pw_profile_names *objects = &graph->order.objects;
    struct share *shares = calloc(objects->distinct + (size_t)1, sizeof(*shares));
    if (!shares) {
        return pw_err_memory(err);
    }
    for (uint32_t i = 0; i < objects->distinct; i++) {
        shares[i] = (struct share){.object = pw_profile_name(objects, objects->first[i]),
                                   .frame = objects->first[i]};
    }
    for (size_t i = 0; i < graph->order.stack_count; i++) {
        const struct pw_stack *stack = graph->order.stacks[i];
        struct share *share = &shares[objects->ranks[stack->frames[0]]];
        share->self_ns = pw_add_ns_saturated(share->self_ns, stack->weight_ns);
    }
    qsort(shares, objects->distinct, sizeof(*shares), share_order);
    const int column = (WIDTH - 2 * MARGIN) / LEGEND;
    for (int i = 0; i < LEGEND && i < (int)objects->distinct && shares[i].self_ns > 0; i++) {
        int x = MARGIN + i * column;
        const char *slash = strrchr(shares[i].object, '/');
        const char *name = slash && slash[1] != '\0' ? slash + 1 : shares[i].object;
        pw_str_addf(&graph->text,
                    "<rect x=\"%d\" y=\"%u\" width=\"11\" height=\"11\" fill=\"%s\"/>"
                    "<text x=\"%d\" y=\"%u\">%.1f %% ",
                    x, y - 10, frame_colour(graph, shares[i].frame), x + 15, y,
                    100 * (double)shares[i].self_ns / (double)graph->profile->weight_ns);
        add_fitting(graph, name[0] != '\0' ? name : "[unknown]", column - 15 - 8 * character_width);
        pw_str_add(&graph->text, "</text>\n");
    }
    free(shares);
    return 0;
}

static int add_graph(struct graph *graph, const char *title, struct pw_err *err)
{
    bool any = graph->profile->weight_ns > 0;
    uint32_t bottom = HEAD + (any ? graph->levels : 1) * ROW;
    add_head(graph, title, bottom + FOOT);
    if (!any) {
        pw_str_addf(&graph->text, "<text x=\"%d\" y=\"%d\">No CPU time was sampled.</text>\n",
                    MARGIN, HEAD + 12);
    }
    for (size_t i = graph->box_count; any && i > 0; i--) {
        add_box(graph, &graph->boxes[i - 1]);
    }
    pw_str_addf(&graph->text, "<text class=\"details\" x=\"%d\" y=\"%u\"></text>\n", MARGIN,
                bottom + 20);
    if (any && graph->left_out > 0) {
        pw_str_addf(&graph->text,
                    "<text x=\"%d\" y=\"%u\">%zu frames under 0.1 %% of the time are left out."
                    "</text>\n",
                    MARGIN, bottom + 42, graph->left_out);
    }
    if (any && add_legend(graph, bottom + 64, err) != 0) {
        return -1;
    }
    pw_str_addf(&graph->text, "<script><![CDATA[\n%s]]></script>\n</svg>\n", pw_flame_script);
    return graph->text.failed || graph->scratch.failed ? pw_err_memory(err) : 0;
}

int pw_cpu_profile_to_svg(const struct pw_cpu_profile *profile, const char *title,
                          struct pw_str *ret_text, struct pw_err *err)
{
    struct graph *graph = calloc(1, sizeof(*graph));
    if (!graph) {
        return pw_err_memory(err);
    }
    graph->profile = profile;
    graph->text = PW_STR_INIT;
    graph->scratch = PW_STR_INIT;
    int status = pw_profile_order_make(profile, '\0', true, &graph->order, err);
    if (status == 0) {
        status = collect_boxes(graph, err) == 0 && add_graph(graph, title, err) == 0 ? 0 : -1;
        pw_profile_order_done(&graph->order);
    }
    if (status == 0) {
        pw_str_done(ret_text);
        *ret_text = graph->text;
    } else {
        pw_str_done(&graph->text);
    }
    pw_str_done(&graph->scratch);
    free(graph->boxes);
    free(graph);
    return status;
}
