#include <stdlib.h>
#include <string.h>
#include "exporters/cpu_profile_impl.h"

/* --- names --- */

/* The bytes of the UTF-8 character at `text` if XML 1.0 (section 2.2) and a terminal can take it:
 * no control character, no surrogate, no U+FFFE or U+FFFF. Else 0. */
static size_t plain_length(const unsigned char *text)
{
    if (text[0] < 0x80) {
        return text[0] >= 0x20 && text[0] != 0x7F;
    }
    size_t length = text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;
    if (text[0] < 0xC2 || text[0] > 0xF4) {
        return 0;
    }
    uint32_t point = text[0] & (0x7FU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0; /* also at the end of the text */
        }
        point = point << 6 | (text[i] & 0x3FU);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    bool plain = point >= least[length] && point >= 0xA0 && point <= 0x10FFFF &&
                 (point < 0xD800 || point > 0xDFFF) && (point & 0xFFFE) != 0xFFFE;
    return plain ? length : 0;
}

/* The bytes of a character that is replaced: a control character of two bytes becomes one '?'. */
static size_t bad_length(const unsigned char *text)
{
    return text[0] == 0xC2 && (text[1] & 0xC0) == 0x80 ? 2 : 1;
}

void pw_profile_add_plain(struct pw_str *str, const char *name, char replaced)
{
    for (const unsigned char *at = (const unsigned char *)name; *at != '\0';) {
        size_t length = plain_length(at);
        if (length == 0) {
            pw_str_add_char(str, '?');
            at += bad_length(at);
            continue;
        }
        if (*at == (unsigned char)replaced) {
            pw_str_add_char(str, ':');
        } else {
            pw_str_add_bytes(str, at, length);
        }
        at += length;
    }
}

struct numbered {
    const char *text;
    uint32_t number;
};

static int numbered_order(const void *a, const void *b)
{
    const struct numbered *left = a;
    const struct numbered *right = b;
    int order = strcmp(left->text, right->text);
    return order != 0 ? order : (left->number > right->number) - (left->number < right->number);
}

static int rank_names(struct pw_profile_names *names, struct pw_err *err)
{
    struct numbered *sorted = calloc(names->count + 1, sizeof(*sorted));
    if (!sorted) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < names->count; i++) {
        sorted[i] = (struct numbered){names->bytes.text + names->offsets[i], (uint32_t)i};
    }
    qsort(sorted, names->count, sizeof(*sorted), numbered_order);
    for (size_t i = 0; i < names->count; i++) {
        if (i == 0 || strcmp(sorted[i].text, sorted[i - 1].text) != 0) {
            names->first[names->distinct++] = sorted[i].number;
        }
        names->ranks[sorted[i].number] = names->distinct - 1;
    }
    free(sorted);
    return 0;
}

/* Room for `count` names. */
static int names_begin(struct pw_profile_names *names, size_t count, struct pw_err *err)
{
    names->bytes = PW_STR_INIT;
    names->offsets = calloc(count + 1, sizeof(*names->offsets));
    names->ranks = calloc(count + 1, sizeof(*names->ranks));
    names->first = calloc(count + 1, sizeof(*names->first));
    if (!names->offsets || !names->ranks || !names->first) {
        return pw_err_memory(err);
    }
    return 0;
}

static void names_add(struct pw_profile_names *names, const char *name, char replaced,
                      const char *if_empty)
{
    names->offsets[names->count++] = names->bytes.length;
    pw_profile_add_plain(&names->bytes, name[0] != '\0' ? name : if_empty, replaced);
    pw_str_add_char(&names->bytes, '\0');
}

static int names_end(struct pw_profile_names *names, struct pw_err *err)
{
    return names->bytes.failed ? pw_err_memory(err) : rank_names(names, err);
}

static void names_done(struct pw_profile_names *names)
{
    if (names->bytes.text) {
        pw_str_done(&names->bytes);
    }
    free(names->offsets);
    free(names->ranks);
    free(names->first);
}

const char *pw_profile_name(const struct pw_profile_names *names, size_t number)
{
    return names->bytes.text + names->offsets[number];
}

/* --- frames --- */

/* What decides over two frames. */
struct frame_key {
    uint32_t name, object, kind, number;
};

static int frame_key_differ(const struct frame_key *left, const struct frame_key *right)
{
    if (left->name != right->name) {
        return left->name < right->name ? -1 : 1;
    }
    if (left->object != right->object) {
        return left->object < right->object ? -1 : 1;
    }
    return (left->kind > right->kind) - (left->kind < right->kind);
}

static int frame_key_order(const void *a, const void *b)
{
    const struct frame_key *left = a;
    const struct frame_key *right = b;
    int order = frame_key_differ(left, right);
    return order != 0 ? order : (left->number > right->number) - (left->number < right->number);
}

static int rank_frames(const struct pw_cpu_profile *profile, bool by_object,
                       struct pw_profile_order *order, struct pw_err *err)
{
    size_t count = profile->frame_count;
    struct frame_key *keys = calloc(count + 1, sizeof(*keys));
    order->ranks = calloc(count + 1, sizeof(*order->ranks));
    order->first = calloc(count + 1, sizeof(*order->first));
    if (!keys || !order->ranks || !order->first) {
        free(keys);
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = (struct frame_key){.name = order->names.ranks[i], .number = (uint32_t)i};
        if (by_object) {
            keys[i].object = order->objects.ranks[i];
            keys[i].kind = (uint32_t)profile->frames[i].kind;
        }
    }
    qsort(keys, count, sizeof(*keys), frame_key_order);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || frame_key_differ(&keys[i - 1], &keys[i]) != 0) {
            order->first[order->distinct++] = keys[i].number;
        }
        order->ranks[keys[i].number] = order->distinct - 1;
    }
    free(keys);
    return 0;
}

/* --- stacks --- */

int pw_profile_compare(const struct pw_profile_order *order, const struct pw_stack *left,
                       const struct pw_stack *right)
{
    uint32_t a = order->processes.ranks[left->process];
    uint32_t b = order->processes.ranks[right->process];
    if (a != b) {
        return a < b ? -1 : 1;
    }
    if (left->broken != right->broken) {
        return left->broken ? -1 : 1;
    }
    for (uint32_t i = 1; i <= left->depth && i <= right->depth; i++) {
        a = order->ranks[left->frames[left->depth - i]];
        b = order->ranks[right->frames[right->depth - i]];
        if (a != b) {
            return a < b ? -1 : 1;
        }
    }
    return (left->depth > right->depth) - (left->depth < right->depth);
}

static int stack_order(const void *a, const void *b, void *order)
{
    const struct pw_stack *const *left = a;
    const struct pw_stack *const *right = b;
    return pw_profile_compare(order, *left, *right);
}

static int sort_stacks(const struct pw_cpu_profile *profile, struct pw_profile_order *order,
                       struct pw_err *err)
{
    order->stacks = calloc(profile->stack_count + 1, sizeof(void *));
    if (!order->stacks) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < profile->stack_count; i++) {
        order->stacks[i] = &profile->stacks[i];
    }
    order->stack_count = profile->stack_count;
    qsort_r(order->stacks, order->stack_count, sizeof(void *), stack_order, order);
    return 0;
}

/* --- all of it --- */

static int make(const struct pw_cpu_profile *profile, char replaced, bool by_object,
                struct pw_profile_order *order, struct pw_err *err)
{
    size_t count = profile->frame_count;
    if (names_begin(&order->names, count, err) != 0 ||
        names_begin(&order->objects, count, err) != 0 ||
        names_begin(&order->processes, profile->process_count, err) != 0) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        names_add(&order->names, profile->frames[i].name, replaced, "[unknown]");
        names_add(&order->objects, profile->frames[i].object, replaced, "");
    }
    for (size_t i = 0; i < profile->process_count; i++) {
        names_add(&order->processes, profile->processes[i], replaced, "[unknown]");
    }
    if (names_end(&order->names, err) != 0 || names_end(&order->objects, err) != 0 ||
        names_end(&order->processes, err) != 0 ||
        rank_frames(profile, by_object, order, err) != 0) {
        return -1;
    }
    return sort_stacks(profile, order, err);
}

int pw_profile_order_make(const struct pw_cpu_profile *profile, char replaced, bool by_object,
                          struct pw_profile_order *ret_order, struct pw_err *err)
{
    struct pw_profile_order order = {.stacks = NULL};
    if (make(profile, replaced, by_object, &order, err) != 0) {
        pw_profile_order_done(&order);
        return -1;
    }
    *ret_order = order;
    return 0;
}

void pw_profile_order_done(struct pw_profile_order *order)
{
    names_done(&order->names);
    names_done(&order->objects);
    names_done(&order->processes);
    free(order->ranks);
    free(order->first);
    free(order->stacks);
    *order = (struct pw_profile_order){.stacks = NULL};
}
