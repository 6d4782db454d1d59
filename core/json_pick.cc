#include "core/json_pick.h"

/*
 * simdjson's first stage finds where in the text something begins: brackets, commas, colons, and
 * the first character of each string, number and word; it checks UTF-8 and that strings end. Its
 * second stage, on demand or not, looks at each of these places; that is most of the time. Here
 * only the way to the places that are wanted is looked at, and of all else the brackets are
 * counted.
 */
/* Without its throwing half, as in json_reader.cc. */
#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <system_error>

static_assert(PW_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads further");
static_assert(int{PW_JSON_PICK_KEY_MAX} < int{PW_JSON_PADDING},
              "keys are compared past a document's end");

namespace
{

constexpr int none = -1;
constexpr size_t least_capacity = 256 << 10; /* so that it seldom grows */
constexpr size_t nodes_max = size_t{PW_JSON_PICKS_MAX} * PW_JSON_PICK_DEPTH_MAX + 1;

/* A key on the way to a place. */
struct node {
    const char *key = nullptr; /* not NUL-terminated */
    size_t length = 0;
    int pick = none;            /* index of the place that ends here */
    int child = none;           /* first, */
    int sibling = none;         /* next of the same parent */
    uint64_t first_letters = 0; /* of the children, a bit each, folded to 64 */
    /* The first bytes of the key with the quote behind it, and which bits of them count: most keys
     * are told apart by one comparison. */
    uint64_t head = 0, mask = 0;
};

uint64_t head_of(const char *bytes) noexcept
{
    uint64_t head = 0;
    memcpy(&head, bytes, sizeof head);
    return head;
}

uint64_t letter_bit(char letter) noexcept
{
    return uint64_t{1} << (static_cast<unsigned char>(letter) % 64);
}

} // namespace

struct pw_json_picker {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage; /* NULL at first */
    simdjson::dom::parser string_parser; /* of a string with escapes */
    std::array<node, nodes_max> nodes;   /* the first is the document itself */
    size_t node_count = 1;
    size_t pick_count = 0;
    std::array<std::unique_ptr<char[]>, PW_JSON_PICKS_MAX> unescaped;
};

namespace
{

/* A walk over one document. */
struct walk {
    pw_json_picker *picker;
    pw_json_picked *picked;
    const char *text;
    const uint32_t *at, *end; /* places in the text */
    const node *twice;        /* what stood twice */
};

/* The child of `parent` with this key, made if it is missing; none: the key is no good. */
int make_child(pw_json_picker *picker, int parent, const char *key, size_t length) noexcept
{
    node *above = &picker->nodes[parent];
    for (int i = above->child; i != none; i = picker->nodes[i].sibling) {
        const node &candidate = picker->nodes[i];
        if (candidate.length == length && memcmp(candidate.key, key, length) == 0) {
            return i;
        }
    }
    if (length == 0 || length > PW_JSON_PICK_KEY_MAX || picker->node_count == nodes_max) {
        return none;
    }
    const int made = static_cast<int>(picker->node_count++);
    node *below = &picker->nodes[made];
    std::array<char, sizeof(uint64_t)> head{}, mask{};
    for (size_t i = 0; i < head.size() && i <= length; i++) {
        head[i] = i < length ? key[i] : '"';
        mask[i] = '\xff';
    }
    below->key = key;
    below->length = length;
    below->head = head_of(head.data());
    below->mask = head_of(mask.data());
    below->sibling = above->child;
    above->child = made;
    above->first_letters |= letter_bit(key[0]);
    return made;
}

bool add_path(pw_json_picker *picker, const char *path) noexcept
{
    int at = 0;
    size_t depth = 0;
    for (;;) {
        const size_t length = strcspn(path, ".");
        at = make_child(picker, at, path, length);
        if (at == none || ++depth > PW_JSON_PICK_DEPTH_MAX) {
            return false;
        }
        path += length;
        if (*path == '\0') {
            break;
        }
        path++;
    }
    if (picker->nodes[at].pick != none) {
        return false;
    }
    picker->nodes[at].pick = static_cast<int>(picker->pick_count++);
    return true;
}

/* `raw` points behind the opening quote; PW_JSON_PADDING bytes from anywhere in the document on can
 * be read. */
int find_child(const pw_json_picker *picker, const node &parent, const char *raw) noexcept
{
    if (!(parent.first_letters & letter_bit(raw[0]))) {
        return none;
    }
    const uint64_t head = head_of(raw);
    for (int i = parent.child; i != none; i = picker->nodes[i].sibling) {
        const node &candidate = picker->nodes[i];
        if ((head & candidate.mask) == candidate.head &&
            (candidate.length < sizeof head ||
             (memcmp(raw, candidate.key, candidate.length) == 0 && raw[candidate.length] == '"'))) {
            return i;
        }
    }
    return none;
}

/* ---------------------------------------------------------------- values */

/* The length of the number that `text` begins with by JSON's grammar; 0: there is none. */
size_t number_length(const char *text) noexcept
{
    const char *at = text + (*text == '-');
    const auto digits = [&at]() noexcept {
        const char *first = at;
        while (*at >= '0' && *at <= '9') {
            at++;
        }
        return at > first;
    };
    if (*at == '0') {
        at++;
    } else if (!digits()) {
        return 0;
    }
    if (*at == '.') {
        at++;
        if (!digits()) {
            return 0;
        }
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        if (!digits()) {
            return 0;
        }
    }
    return static_cast<size_t>(at - text);
}

/* Whether a number or a word may end before this. */
bool is_end(char c) noexcept
{
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

simdjson::error_code pick_number(const char *text, pw_json_picked *ret_picked) noexcept
{
    const size_t length = number_length(text);
    if (length == 0 || !is_end(text[length])) {
        return simdjson::NUMBER_ERROR;
    }
    const auto result = std::from_chars(text, text + length, ret_picked->number);
    /* Too small for a double is zero; too large is refused, as simdjson does. */
    if (result.ec != std::errc{} && strtod(text, nullptr) != 0) {
        return simdjson::NUMBER_ERROR;
    }
    if (result.ec != std::errc{}) {
        ret_picked->number = 0;
    }
    ret_picked->kind = PW_JSON_DOUBLE;
    return simdjson::SUCCESS;
}

/* `quoted`: with its quotes. The text is kept until the next document. */
simdjson::error_code unescape(walk *state, std::string_view quoted,
                              pw_json_picked *ret_picked) noexcept
{
    simdjson::dom::element element;
    std::string_view text;
    auto code = state->picker->string_parser.parse(quoted.data(), quoted.size(), true).get(element);
    if (code == simdjson::SUCCESS) {
        code = element.get_string().get(text);
    }
    if (code != simdjson::SUCCESS) {
        return code;
    }
    char *own = new (std::nothrow) char[text.size() + 1];
    if (!own) {
        return simdjson::MEMALLOC;
    }
    memcpy(own, text.data(), text.size());
    state->picker->unescaped[static_cast<size_t>(ret_picked - state->picked)].reset(own);
    ret_picked->text = own;
    ret_picked->length = text.size();
    return simdjson::SUCCESS;
}

/* `text` begins with a quote; that the string ends is known. */
simdjson::error_code pick_string(walk *state, const char *text, pw_json_picked *ret_picked) noexcept
{
    const char *at = text + 1;
    bool plain = true;
    for (; *at != '"'; at++) {
        if (static_cast<unsigned char>(*at) < 0x20) {
            return simdjson::UNESCAPED_CHARS;
        }
        if (*at == '\\') {
            plain = false;
            at++;
        }
    }
    ret_picked->kind = PW_JSON_STRING;
    ret_picked->text = text + 1;
    ret_picked->length = static_cast<size_t>(at - text) - 1;
    return plain ? simdjson::SUCCESS
                 : unescape(state, {text, static_cast<size_t>(at - text) + 1}, ret_picked);
}

simdjson::error_code pick_word(const char *text, const char *word, pw_json_kind kind,
                               pw_json_picked *ret_picked) noexcept
{
    const size_t length = strlen(word);
    ret_picked->kind = kind;
    return strncmp(text, word, length) == 0 && is_end(text[length]) ? simdjson::SUCCESS
                                                                    : simdjson::TAPE_ERROR;
}

simdjson::error_code pick(walk *state, const char *text, pw_json_picked *ret_picked) noexcept
{
    ret_picked->present = true;
    switch (*text) {
    case '{': ret_picked->kind = PW_JSON_OBJECT; return simdjson::SUCCESS;
    case '[': ret_picked->kind = PW_JSON_ARRAY; return simdjson::SUCCESS;
    case '"': return pick_string(state, text, ret_picked);
    case 't': return pick_word(text, "true", PW_JSON_BOOL, ret_picked);
    case 'f': return pick_word(text, "false", PW_JSON_BOOL, ret_picked);
    case 'n': return pick_word(text, "null", PW_JSON_NULL, ret_picked);
    default: return pick_number(text, ret_picked);
    }
}

/* ---------------------------------------------------------------- the way to them */

/* The next place, which must have this character. */
bool expect(walk *state, char c) noexcept
{
    return state->at < state->end && state->text[*state->at++] == c;
}

/* +1 for what opens, -1 for what closes. */
constexpr std::array<int8_t, 256> make_steps() noexcept
{
    std::array<int8_t, 256> steps{};
    steps['{'] = steps['['] = 1;
    steps['}'] = steps[']'] = -1;
    return steps;
}
constexpr std::array<int8_t, 256> steps = make_steps();

/* Steps over a value, of which only the brackets are looked at. */
simdjson::error_code skip(walk *state) noexcept
{
    const uint32_t *at = state->at;
    int64_t depth = 0;
    if (at < state->end && (state->text[*at] == ',' || state->text[*at] == ':')) {
        return simdjson::TAPE_ERROR; /* there is no value */
    }
    do {
        if (at == state->end) {
            return simdjson::INCOMPLETE_ARRAY_OR_OBJECT;
        }
        depth += steps[static_cast<unsigned char>(state->text[*at++])];
    } while (depth > 0);
    state->at = at;
    return depth == 0 ? simdjson::SUCCESS : simdjson::TAPE_ERROR;
}

simdjson::error_code walk_object(walk *state, const node &parent) noexcept;

/* A value that a place leads to or through. */
simdjson::error_code walk_value(walk *state, const node &place) noexcept
{
    if (state->at == state->end) {
        return simdjson::INCOMPLETE_ARRAY_OR_OBJECT;
    }
    const char *text = state->text + *state->at;
    if (place.pick != none) {
        pw_json_picked *picked = &state->picked[place.pick];
        if (picked->present) {
            state->twice = &place;
            return simdjson::UNEXPECTED_ERROR;
        }
        if (const auto code = pick(state, text, picked)) {
            return code;
        }
    }
    return place.child != none && *text == '{' ? walk_object(state, place) : skip(state);
}

/* As deep as places are. */
simdjson::error_code walk_object(walk *state, const node &parent) noexcept
{
    if (!expect(state, '{')) {
        return simdjson::INCORRECT_TYPE;
    }
    if (state->at < state->end && state->text[*state->at] == '}') {
        state->at++;
        return simdjson::SUCCESS;
    }
    for (;;) {
        const char *key = state->text + (state->at < state->end ? *state->at : 0);
        if (!expect(state, '"') || !expect(state, ':')) {
            return simdjson::TAPE_ERROR;
        }
        const int child = find_child(state->picker, parent, key + 1);
        if (const auto code =
                child == none ? skip(state) : walk_value(state, state->picker->nodes[child])) {
            return code;
        }
        if (state->at == state->end) {
            return simdjson::INCOMPLETE_ARRAY_OR_OBJECT;
        }
        const char next = state->text[*state->at++];
        if (next == '}') {
            return simdjson::SUCCESS;
        }
        if (next != ',') {
            return simdjson::TAPE_ERROR;
        }
    }
}

simdjson::error_code find_places(pw_json_picker *picker, const char *text, size_t size) noexcept
{
    if (!picker->stage || picker->stage->capacity() < size) {
        const size_t capacity = size < least_capacity ? least_capacity : size;
        if (const auto code =
                simdjson::get_active_implementation()->create_dom_parser_implementation(
                    capacity, simdjson::DEFAULT_MAX_DEPTH, picker->stage)) {
            return code;
        }
    }
    return picker->stage->stage1(reinterpret_cast<const uint8_t *>(text), size,
                                 simdjson::stage1_mode::regular);
}

simdjson::error_code walk_document(pw_json_picker *picker, walk *state, size_t size) noexcept
{
    if (const auto code = find_places(picker, state->text, size)) {
        return code;
    }
    state->at = picker->stage->structural_indexes.get();
    state->end = state->at + picker->stage->n_structural_indexes;
    /* The last place is a bracket: so no number, and no word, reaches the end of the text. */
    if (state->at == state->end || state->text[state->end[-1]] != '}') {
        return simdjson::INCOMPLETE_ARRAY_OR_OBJECT;
    }
    if (const auto code = walk_object(state, picker->nodes[0])) {
        return code;
    }
    return state->at == state->end ? simdjson::SUCCESS : simdjson::TAPE_ERROR;
}

} // namespace

int pw_json_picker_new(const char *const *paths, size_t count, struct pw_json_picker **ret_picker,
                       struct pw_err *err)
{
    std::unique_ptr<pw_json_picker> picker(new (std::nothrow) pw_json_picker);
    if (!picker) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        if (count > PW_JSON_PICKS_MAX || !add_path(picker.get(), paths[i])) {
            return pw_err_set(err, PW_ERR_INTERNAL, "JSON picker: cannot take the place `%s`",
                              paths[i]);
        }
    }
    *ret_picker = picker.release();
    return 0;
}

void pw_json_picker_free(struct pw_json_picker *picker)
{
    delete picker;
}

void pw_json_picker_trim(struct pw_json_picker *picker)
{
    picker->stage.reset();
}

int pw_json_picker_run(struct pw_json_picker *picker, const char *text, size_t size,
                       struct pw_json_picked *ret_picked, struct pw_err *err)
{
    for (size_t i = 0; i < picker->pick_count; i++) {
        ret_picked[i] = pw_json_picked{};
    }
    walk state = {picker, ret_picked, text, nullptr, nullptr, nullptr};
    const simdjson::error_code code = walk_document(picker, &state, size);
    if (code == simdjson::SUCCESS) {
        return 0;
    }
    if (code == simdjson::MEMALLOC) {
        return pw_err_memory(err);
    }
    if (state.twice) {
        return pw_err_set(err, PW_ERR_INPUT, "JSON: `%.*s` stands twice",
                          static_cast<int>(state.twice->length), state.twice->key);
    }
    return pw_err_set(err, PW_ERR_INPUT, "JSON: %s", simdjson::error_message(code));
}
