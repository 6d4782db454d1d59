#include "collector/attributes.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/json.h"

enum { FIRST_CAPACITY = 512, INSERTION_SORTED_MOST = 64, REAL_DIGITS = 15 };

enum type {
    TYPE_EMPTY,
    TYPE_STRING, /* with its NUL: decoded strings hold no other */
    TYPE_FALSE,
    TYPE_TRUE,
    TYPE_INT,    /* 8 bytes */
    TYPE_DOUBLE, /* 8 bytes */
    TYPE_ARRAY,  /* a count, values */
    TYPE_KVLIST, /* a count, keys with NUL and values, in the order they were sent */
    TYPE_BYTES,  /* a count, bytes */
};

void pw_bytes_done(struct pw_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct pw_bytes){0};
}

/* Where `size` more bytes go, or NULL. */
static uint8_t *extend(struct pw_bytes *bytes, size_t size)
{
    size_t capacity = bytes->capacity > 0 ? bytes->capacity : FIRST_CAPACITY;
    if (size > bytes->capacity - bytes->size) {
        while (capacity - bytes->size < size && capacity <= SIZE_MAX / 4)
            capacity *= 2;
        uint8_t *data = realloc(bytes->data, capacity);
        if (!data || capacity - bytes->size < size) {
            bytes->data = data ? data : bytes->data;
            bytes->failed = true;
            return NULL;
        }
        bytes->data = data;
        bytes->capacity = capacity;
    }
    uint8_t *at = bytes->data + bytes->size;
    bytes->size += size;
    return at;
}

void pw_bytes_add(struct pw_bytes *bytes, const void *data, size_t size)
{
    uint8_t *at = extend(bytes, size);
    if (at && size > 0)
        memcpy(at, data, size);
}

void pw_attribute_sorter_done(struct pw_attribute_sorter *sorter)
{
    free(sorter->order);
    *sorter = (struct pw_attribute_sorter){0};
}

/* --- encoding --- */

static void add_typed(struct pw_bytes *bytes, enum type type, const void *data, size_t size)
{
    uint8_t *at = extend(bytes, 1 + size);
    if (!at)
        return;
    at[0] = (uint8_t)type;
    if (size > 0)
        memcpy(at + 1, data, size);
}

static void add_value(struct pw_bytes *bytes, const Otlp__AnyValue *value);

static void add_array(struct pw_bytes *bytes, const Otlp__ArrayValue *array)
{
    size_t count = array ? array->n_values : 0;
    add_typed(bytes, TYPE_ARRAY, &count, sizeof count);
    for (size_t i = 0; i < count; i++)
        add_value(bytes, array->values[i]);
}

static void add_kvlist(struct pw_bytes *bytes, const Otlp__KeyValueList *list)
{
    size_t count = list ? list->n_values : 0;
    add_typed(bytes, TYPE_KVLIST, &count, sizeof count);
    for (size_t i = 0; i < count; i++) {
        pw_bytes_add(bytes, list->values[i]->key, strlen(list->values[i]->key) + 1);
        add_value(bytes, list->values[i]->value);
    }
}

static void add_value(struct pw_bytes *bytes, const Otlp__AnyValue *value)
{
    if (!value) {
        add_typed(bytes, TYPE_EMPTY, NULL, 0);
        return;
    }
    switch (value->value_case) {
    case OTLP__ANY_VALUE__VALUE_STRING_VALUE:
        add_typed(bytes, TYPE_STRING, value->string_value, strlen(value->string_value) + 1);
        break;
    case OTLP__ANY_VALUE__VALUE_BOOL_VALUE:
        add_typed(bytes, value->bool_value ? TYPE_TRUE : TYPE_FALSE, NULL, 0);
        break;
    case OTLP__ANY_VALUE__VALUE_INT_VALUE:
        add_typed(bytes, TYPE_INT, &value->int_value, sizeof value->int_value);
        break;
    case OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE:
        add_typed(bytes, TYPE_DOUBLE, &value->double_value, sizeof value->double_value);
        break;
    case OTLP__ANY_VALUE__VALUE_ARRAY_VALUE: add_array(bytes, value->array_value); break;
    case OTLP__ANY_VALUE__VALUE_KVLIST_VALUE: add_kvlist(bytes, value->kvlist_value); break;
    case OTLP__ANY_VALUE__VALUE_BYTES_VALUE:
        add_typed(bytes, TYPE_BYTES, &value->bytes_value.len, sizeof value->bytes_value.len);
        pw_bytes_add(bytes, value->bytes_value.data, value->bytes_value.len);
        break;
    case OTLP__ANY_VALUE__VALUE__NOT_SET:
    default: add_typed(bytes, TYPE_EMPTY, NULL, 0); break;
    }
}

/* By key; of the same key, in the order they were sent. */
static int compare(const void *left, const void *right)
{
    Otlp__KeyValue *const *a = *(Otlp__KeyValue *const *const *)left;
    Otlp__KeyValue *const *b = *(Otlp__KeyValue *const *const *)right;
    int order = strcmp((*a)->key, (*b)->key);
    return order != 0 ? order : (a > b) - (a < b);
}

/* Most senders sort, or keep an order: then one pass does it. */
static void sort(Otlp__KeyValue *const **order, size_t count)
{
    if (count > INSERTION_SORTED_MOST) {
        qsort(order, count, sizeof *order, compare);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        Otlp__KeyValue *const *moved = order[i];
        size_t at = i;
        for (; at > 0 && strcmp((*order[at - 1])->key, (*moved)->key) > 0; at--)
            order[at] = order[at - 1];
        order[at] = moved;
    }
}

void pw_attributes_encode(struct pw_attribute_sorter *sorter, Otlp__KeyValue *const *attributes,
                          size_t count, struct pw_bytes *bytes)
{
    if (count > sorter->capacity) {
        Otlp__KeyValue *const **order = reallocarray(sorter->order, count, sizeof *order);
        if (!order) {
            bytes->failed = true;
            return;
        }
        sorter->order = order;
        sorter->capacity = count;
    }
    for (size_t i = 0; i < count; i++)
        sorter->order[i] = &attributes[i];
    sort(sorter->order, count);
    for (size_t i = 0; i < count; i++) {
        const Otlp__KeyValue *attribute = *sorter->order[i];
        size_t key_size = strlen(attribute->key) + 1;
        if (i + 1 < count && strcmp(attribute->key, (*sorter->order[i + 1])->key) == 0)
            continue;
        pw_bytes_add(bytes, attribute->key, key_size);
        add_value(bytes, attribute->value);
    }
}

/* --- decoding --- */

static size_t take_count(const uint8_t **at)
{
    size_t count;
    memcpy(&count, *at, sizeof count);
    *at += sizeof count;
    return count;
}

static const char *take_string(const uint8_t **at)
{
    const char *string = (const char *)*at;
    *at += strlen(string) + 1;
    return string;
}

static void skip_value(const uint8_t **at)
{
    enum type type = *(*at)++;
    size_t count = type >= TYPE_ARRAY ? take_count(at) : 0;
    switch (type) {
    case TYPE_EMPTY:
    case TYPE_FALSE:
    case TYPE_TRUE: break;
    case TYPE_STRING: take_string(at); break;
    case TYPE_INT: *at += sizeof(int64_t); break;
    case TYPE_DOUBLE: *at += sizeof(double); break;
    case TYPE_BYTES: *at += count; break;
    case TYPE_ARRAY:
    case TYPE_KVLIST:
        for (size_t i = 0; i < count; i++) {
            if (type == TYPE_KVLIST)
                take_string(at);
            skip_value(at);
        }
        break;
    }
}

bool pw_attribute_next(struct pw_attribute_walk *walk, struct pw_attribute *ret_attribute)
{
    if (walk->at >= walk->end)
        return false;
    const char *key = take_string(&walk->at);
    *ret_attribute = (struct pw_attribute){
        .key = key,
        .string = *walk->at == TYPE_STRING ? (const char *)walk->at + 1 : NULL,
        .is_false = *walk->at == TYPE_FALSE,
    };
    skip_value(&walk->at);
    return true;
}

/* RFC 4648, section 4. */
static json_t *base64_json(const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc(size / 3 * 4 + 5);
    size_t length = 0;
    if (!text)
        return NULL;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t group = (uint32_t)data[i] << 16;
        group |= i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0;
        group |= i + 2 < size ? data[i + 2] : 0;
        text[length++] = digits[group >> 18];
        text[length++] = digits[group >> 12 & 63];
        text[length++] = i + 1 < size ? digits[group >> 6 & 63] : '=';
        text[length++] = i + 2 < size ? digits[group & 63] : '=';
    }
    json_t *json = json_stringn_nocheck(text, length);
    free(text);
    return json;
}

static json_t *double_json(double number)
{
    if (isnan(number))
        return json_string("NaN");
    if (isinf(number))
        return json_string(number > 0 ? "Infinity" : "-Infinity");
    return json_real(number);
}

/* As pw_json_put(), for keys that may not be UTF-8. */
static void put_mended(json_t *object, const char *key, json_t *value, bool *failed)
{
    json_t *mended = pw_json_string_or_null(key);
    if (mended) {
        pw_json_put(object, json_string_value(mended), value, failed);
    } else {
        json_decref(value);
        *failed = true;
    }
    json_decref(mended);
}

/* A new reference; NULL, or *failed set, without memory. */
static json_t *take_json(const uint8_t **at, bool *failed)
{
    int64_t integer;
    double number;
    enum type type = *(*at)++;
    size_t count = type >= TYPE_ARRAY ? take_count(at) : 0;
    json_t *json = NULL;
    switch (type) {
    case TYPE_EMPTY: return json_null();
    case TYPE_FALSE: return json_false();
    case TYPE_TRUE: return json_true();
    case TYPE_STRING: return pw_json_string_or_null(take_string(at));
    case TYPE_INT:
        memcpy(&integer, *at, sizeof integer);
        *at += sizeof integer;
        return json_integer(integer);
    case TYPE_DOUBLE:
        memcpy(&number, *at, sizeof number);
        *at += sizeof number;
        return double_json(number);
    case TYPE_BYTES: *at += count; return base64_json(*at - count, count);
    case TYPE_ARRAY:
        json = json_array();
        for (size_t i = 0; i < count; i++)
            pw_json_append(json, take_json(at, failed), failed);
        return json;
    case TYPE_KVLIST:
        json = json_object();
        for (size_t i = 0; i < count; i++) {
            const char *key = take_string(at);
            put_mended(json, key, take_json(at, failed), failed);
        }
        return json;
    }
    return json;
}

char *pw_attributes_to_json(const void *encoded, size_t size, struct pw_err *err)
{
    const uint8_t *at = encoded;
    const uint8_t *end = at + size;
    bool failed = false;
    json_t *object = json_object();
    while (at < end && !failed) {
        const char *key = take_string(&at);
        put_mended(object, key, take_json(&at, &failed), &failed);
    }
    char *text =
        failed ? NULL : json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
    json_decref(object);
    if (!text)
        pw_err_memory(err);
    return text;
}
