#include "core/json_reader.h"

/* Without its throwing half: nothing here throws, every allocation is checked. */
#define SIMDJSON_EXCEPTIONS 0
#include <simdjson.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include "core/limits.h"

namespace dom = simdjson::dom;

static_assert(PW_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads further");

namespace
{

constexpr size_t depth_max = size_t{4} * PW_LIMIT_OTLP_DEPTH;
/* simdjson counts one more, and no innermost container that is empty. */
constexpr size_t parser_depth_max = depth_max + 1;
/* The memory for a document of this size is kept: some 14 times as much. */
constexpr size_t kept_document_bytes = 8 << 20;
constexpr size_t number_max = 128;

struct free_memory {
    void operator()(char *memory) const noexcept
    {
        free(memory);
    }
};
using buffer = std::unique_ptr<char[], free_memory>;

/* A container that was entered. */
struct level {
    bool is_object = false;
    dom::array::iterator element, element_end;
    dom::object::iterator member, member_end;
};

} // namespace

struct pw_json_reader {
    dom::parser parser;
    dom::parser number_parser;
    size_t document_bytes = 0;
    dom::element last; /* what was given last */
    size_t depth = 0;  /* of `levels` in use */
    std::array<level, parser_depth_max> levels;
};

namespace
{

bool is_digit(char c) noexcept
{
    return c >= '0' && c <= '9';
}

/* Whether this is an integer that fits neither int64_t nor uint64_t. */
bool is_too_big(std::string_view number) noexcept
{
    const bool negative = !number.empty() && number.front() == '-';
    const std::string_view digits = number.substr(negative ? 1 : 0);
    const std::string_view largest = negative ? "9223372036854775808" : "18446744073709551615";
    return digits.find_first_not_of("0123456789") == digits.npos &&
           (digits.size() > largest.size() ||
            (digits.size() == largest.size() && digits > largest));
}

/* The length of the string, number or single other character that `text` begins with. */
size_t token_length(std::string_view text) noexcept
{
    if (text.front() == '"') {
        size_t i = 1;
        while (i < text.size() && text[i] != '"')
            i += text[i] == '\\' ? 2 : 1;
        return i < text.size() ? i + 1 : text.size();
    }
    if (text.front() != '-' && !is_digit(text.front()))
        return 1;
    const size_t end = text.find_first_not_of("0123456789+-.eE");
    return end == text.npos ? text.size() : end;
}

/*
 * A copy of the document in which integers that fit no integer type have an exponent of 0, so that
 * simdjson takes them for doubles. JavaScript writes doubles below 1e21 as such integers. Nothing
 * else is changed; what is not JSON stays so.
 */
buffer widen_integers(std::string_view text, size_t *ret_size) noexcept
{
    /* An integer that is too big has 19 digits or more, and grows by two bytes. */
    const size_t capacity = text.size() + text.size() / 19 * 2 + PW_JSON_PADDING;
    buffer copy(static_cast<char *>(malloc(capacity)));
    if (!copy)
        return copy;
    size_t used = 0;
    while (!text.empty()) {
        const std::string_view token = text.substr(0, token_length(text));
        memcpy(copy.get() + used, token.data(), token.size());
        used += token.size();
        if (is_too_big(token)) {
            copy[used++] = 'e';
            copy[used++] = '0';
        }
        text.remove_prefix(token.size());
    }
    memset(copy.get() + used, ' ', PW_JSON_PADDING);
    *ret_size = used;
    return copy;
}

void fill(const dom::element &element, pw_json_value *ret_value) noexcept
{
    std::string_view text;
    switch (element.type()) {
    case dom::element_type::NULL_VALUE: ret_value->kind = PW_JSON_NULL; break;
    case dom::element_type::BOOL:
        ret_value->kind = PW_JSON_BOOL;
        ret_value->boolean = element.get_bool().value_unsafe();
        break;
    case dom::element_type::INT64:
        ret_value->kind = PW_JSON_INT;
        ret_value->integer = element.get_int64().value_unsafe();
        break;
    case dom::element_type::UINT64:
        ret_value->kind = PW_JSON_UINT;
        ret_value->unsigned_integer = element.get_uint64().value_unsafe();
        break;
    case dom::element_type::DOUBLE:
        ret_value->kind = PW_JSON_DOUBLE;
        ret_value->number = element.get_double().value_unsafe();
        break;
    case dom::element_type::STRING:
        text = element.get_string().value_unsafe();
        ret_value->kind = PW_JSON_STRING;
        ret_value->text = text.data();
        ret_value->length = text.size();
        break;
    case dom::element_type::ARRAY: ret_value->kind = PW_JSON_ARRAY; break;
    case dom::element_type::OBJECT: ret_value->kind = PW_JSON_OBJECT; break;
    }
}

simdjson::error_code parse(pw_json_reader *reader, const char *text, size_t size) noexcept
{
    const simdjson::error_code code = reader->parser.parse(text, size, false).get(reader->last);
    if (code != simdjson::NUMBER_ERROR)
        return code;
    size_t widened_size = 0;
    const buffer widened = widen_integers({text, size}, &widened_size);
    if (!widened)
        return simdjson::MEMALLOC;
    return reader->parser.parse(widened.get(), widened_size, false).get(reader->last);
}

} // namespace

int pw_json_reader_new(struct pw_json_reader **ret_reader, struct pw_err *err)
{
    pw_json_reader *reader = new (std::nothrow) pw_json_reader;
    if (!reader || reader->parser.allocate(0, parser_depth_max) != simdjson::SUCCESS) {
        delete reader;
        return pw_err_memory(err);
    }
    *ret_reader = reader;
    return 0;
}

void pw_json_reader_free(struct pw_json_reader *reader)
{
    delete reader;
}

int pw_json_reader_open(struct pw_json_reader *reader, const char *text, size_t size,
                        struct pw_json_value *ret_root, struct pw_err *err)
{
    pw_json_reader_close(reader);
    reader->document_bytes = size;
    const simdjson::error_code code = parse(reader, text, size);
    if (code != simdjson::SUCCESS) {
        pw_json_reader_close(reader);
        if (code == simdjson::MEMALLOC)
            return pw_err_memory(err);
        return pw_err_set(err, PW_ERR_INPUT, "JSON: %s", simdjson::error_message(code));
    }
    ret_root->key = nullptr;
    ret_root->key_length = 0;
    fill(reader->last, ret_root);
    return 0;
}

void pw_json_reader_enter(struct pw_json_reader *reader)
{
    level *entered = &reader->levels[reader->depth++];
    entered->is_object = reader->last.is_object();
    if (entered->is_object) {
        const dom::object object = reader->last.get_object().value_unsafe();
        entered->member = object.begin();
        entered->member_end = object.end();
    } else {
        const dom::array array = reader->last.get_array().value_unsafe();
        entered->element = array.begin();
        entered->element_end = array.end();
    }
}

bool pw_json_reader_next(struct pw_json_reader *reader, struct pw_json_value *ret_value)
{
    level *inner = &reader->levels[reader->depth - 1];
    if (inner->is_object) {
        if (inner->member == inner->member_end) {
            reader->depth--;
            return false;
        }
        const std::string_view key = inner->member.key();
        ret_value->key = key.data();
        ret_value->key_length = key.size();
        reader->last = inner->member.value();
        ++inner->member;
    } else {
        if (inner->element == inner->element_end) {
            reader->depth--;
            return false;
        }
        ret_value->key = nullptr;
        ret_value->key_length = 0;
        reader->last = *inner->element;
        ++inner->element;
    }
    fill(reader->last, ret_value);
    return true;
}

void pw_json_reader_close(struct pw_json_reader *reader)
{
    reader->depth = 0;
    if (reader->document_bytes > kept_document_bytes) {
        dom::parser fresh;
        if (fresh.allocate(0, parser_depth_max) == simdjson::SUCCESS)
            reader->parser = std::move(fresh);
    }
    reader->document_bytes = 0;
}

bool pw_json_reader_number(struct pw_json_reader *reader, const char *text, size_t length,
                           struct pw_json_value *ret_value)
{
    char padded[number_max + 2 + PW_JSON_PADDING];
    /* The parser would take blanks around it. */
    if (length == 0 || length > number_max || !is_digit(text[length - 1]) ||
        (text[0] != '-' && !is_digit(text[0])))
        return false;
    memcpy(padded, text, length);
    memset(padded + length, ' ', sizeof(padded) - length);
    dom::element element;
    if (reader->number_parser.parse(padded, length, false).get(element) != simdjson::SUCCESS) {
        padded[length] = 'e';
        padded[length + 1] = '0';
        if (reader->number_parser.parse(padded, length + 2, false).get(element) !=
            simdjson::SUCCESS)
            return false;
    }
    fill(element, ret_value);
    return true;
}

bool pw_utf8_is_valid(const char *text, size_t length)
{
    return simdjson::validate_utf8(text, length);
}
