/*
 * The cache of an index: what was read of each file, by path, device, inode, size and times.
 *
 * One file, written whole, for its owner only. Not for exchange: numbers stand in it as this
 * machine has them in memory. Head: magic, version, size of a record's fixed part, version of
 * perfwrap, number of records, checksum of all that follows. A record: its fixed part, then path
 * and texts, each with a NUL behind, and zeros up to the next multiple of 8.
 *
 * Nothing in it is believed: a checksum that does not fit, a length that leads outside, a text that
 * is no UTF-8 and a number that no summary can hold each make the whole cache as if it were not
 * there.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/json_reader.h"
#include "core/limits.h"
#include "core/str.h"
#include "sla/index_impl.h"

#define MAGIC "PWINDEX\n"

enum { FORMAT_VERSION = 3, ALIGNMENT = 8, NO_TEXT = UINT16_MAX, BUILD_MAX = 24 };
_Static_assert((int)PW_LIMIT_INDEX_TEXT_BYTES < (int)NO_TEXT &&
                   (int)PW_LIMIT_INDEX_MOMENT_BYTES < (int)NO_TEXT,
               "lengths of texts have 16 bits");

struct head {
    char magic[8];
    uint32_t version, record_bytes;
    char build[BUILD_MAX]; /* of perfwrap; zeros behind it */
    uint64_t count, checksum;
};

struct record {
    struct pw_index_identity identity;
    double values[PW_INDEX_METRIC_COUNT], cpu_count;
    uint32_t path_length;
    uint16_t text_lengths[PW_INDEX_TEXT_COUNT];
};
_Static_assert(sizeof(struct head) % ALIGNMENT == 0 && sizeof(struct record) % ALIGNMENT == 0,
               "records are read in place");

struct entry {
    const struct record *record;
    const char *path;
    bool used; /* by a run of this call; each is touched by one thread at most */
};

struct pw_index_cache {
    char *bytes; /* of the file */
    struct entry *entries;
    size_t count;
    uint32_t *slots; /* index of an entry and 1; 0: free. By path. */
    size_t slot_count;
    bool stale; /* the file holds something else than this */
};

/* ---------------------------------------------------------------- sums */

/* Finds damage; it is no protection from intent. Eight bytes at a time, multiplied and folded. */
static uint64_t sum_of(const char *bytes, size_t size)
{
    uint64_t sum = 0x9E3779B97F4A7C15U ^ size;
    while (size > 0) {
        uint64_t word = 0;
        size_t count = size < sizeof word ? size : sizeof word;
        memcpy(&word, bytes, count);
        sum = (sum ^ word) * 0xFF51AFD7ED558CCDU;
        sum ^= sum >> 32;
        bytes += count;
        size -= count;
    }
    return sum;
}

static void fill_head(uint64_t count, const char *records, size_t size, struct head *ret_head)
{
    *ret_head = (struct head){.version = FORMAT_VERSION,
                              .record_bytes = sizeof(struct record),
                              .count = count,
                              .checksum = sum_of(records, size)};
    memcpy(ret_head->magic, MAGIC, sizeof ret_head->magic);
    snprintf(ret_head->build, sizeof ret_head->build, "%s", PERFWRAP_VERSION);
}

void pw_index_cache_seal(char *bytes, size_t size, uint64_t count)
{
    struct head head;
    fill_head(count, bytes + sizeof head, size - sizeof head, &head);
    memcpy(bytes, &head, sizeof head);
}

/* ---------------------------------------------------------------- finding */

/* The slot of a path, or the free one where it belongs. */
static size_t slot_of(const struct pw_index_cache *cache, const char *path)
{
    size_t slot = (size_t)sum_of(path, strlen(path)) & (cache->slot_count - 1);
    while (cache->slots[slot] && strcmp(cache->entries[cache->slots[slot] - 1].path, path) != 0) {
        slot = (slot + 1) & (cache->slot_count - 1);
    }
    return slot;
}

static int make_slots(struct pw_index_cache *cache, struct pw_err *err)
{
    cache->slot_count = 16;
    while (cache->slot_count < cache->count * 2) {
        cache->slot_count *= 2;
    }
    cache->slots = calloc(cache->slot_count, sizeof(*cache->slots));
    if (!cache->slots) {
        return pw_err_memory(err);
    }
    for (size_t i = 0; i < cache->count; i++) {
        cache->slots[slot_of(cache, cache->entries[i].path)] = (uint32_t)i + 1;
    }
    return 0;
}

/* ---------------------------------------------------------------- reading */

/* The text of `length` at *at, which must end with a NUL and hold none; NULL: it does not. */
static const char *check_text(const char **at, const char *end, size_t length)
{
    const char *text = *at;
    if ((size_t)(end - text) <= length || memchr(text, '\0', length + 1) != text + length) {
        return NULL;
    }
    *at += length + 1;
    return text;
}

static bool is_number(double value)
{
    return isfinite(value) || isnan(value);
}

/* Paths need not be UTF-8; what goes into the index is mended there. */
static bool check_record(const char **at, const char *end, struct entry *ret_entry)
{
    const char *first = *at;
    if ((size_t)(end - first) < sizeof(struct record)) {
        return false;
    }
    const struct record *record = (const void *)first;
    *at += sizeof *record;
    ret_entry->record = record;
    ret_entry->path = check_text(at, end, record->path_length);
    bool good = ret_entry->path && record->path_length > 0 && is_number(record->cpu_count);
    for (size_t i = 0; good && i < PW_INDEX_METRIC_COUNT; i++) {
        good = is_number(record->values[i]);
    }
    for (size_t i = 0; good && i < PW_INDEX_TEXT_COUNT; i++) {
        if (record->text_lengths[i] == NO_TEXT) {
            continue;
        }
        const char *text = check_text(at, end, record->text_lengths[i]);
        good = text && pw_utf8_is_valid(text, record->text_lengths[i]);
    }
    size_t odd = (size_t)(*at - first) % ALIGNMENT;
    size_t rest = odd ? ALIGNMENT - odd : 0;
    if (!good || (size_t)(end - *at) < rest) {
        return false;
    }
    *at += rest;
    return true;
}

/* NULL, or what is wrong. */
static const char *check_head(const char *bytes, size_t size)
{
    struct head head, expected;
    if (size < sizeof head) {
        return "it was cut off";
    }
    memcpy(&head, bytes, sizeof head);
    fill_head(head.count, bytes + sizeof head, size - sizeof head, &expected);
    if (head.version != expected.version || head.record_bytes != expected.record_bytes ||
        memcmp(head.build, expected.build, sizeof head.build) != 0) {
        return "it is of another version of perfwrap";
    }
    if (head.checksum != expected.checksum) {
        return "it was damaged";
    }
    return head.count > (size - sizeof head) / sizeof(struct record) ? "it was cut off" : NULL;
}

static int decode_records(struct pw_index_cache *cache, size_t size, const char **ret_fault,
                          struct pw_err *err)
{
    struct head head;
    memcpy(&head, cache->bytes, sizeof head);
    const char *at = cache->bytes + sizeof head, *end = cache->bytes + size;
    cache->entries = calloc((size_t)head.count + 1, sizeof(*cache->entries));
    if (!cache->entries) {
        return pw_err_memory(err);
    }
    for (uint64_t i = 0; i < head.count; i++) {
        if (!check_record(&at, end, &cache->entries[i])) {
            *ret_fault = "a record is wrong";
            return 0;
        }
    }
    if (at != end) {
        *ret_fault = "there is more in it than records";
        return 0;
    }
    cache->count = (size_t)head.count;
    return 0;
}

int pw_index_cache_decode(char *bytes, size_t size, struct pw_index_cache **ret_cache,
                          const char **ret_fault, struct pw_err *err)
{
    const char *fault = bytes ? check_head(bytes, size) : NULL;
    struct pw_index_cache *cache = calloc(1, sizeof(*cache));
    if (!cache) {
        free(bytes);
        return pw_err_memory(err);
    }
    cache->bytes = bytes;
    if ((bytes && !fault && decode_records(cache, size, &fault, err) != 0) ||
        make_slots(cache, err) != 0) {
        pw_index_cache_free(cache);
        return -1;
    }
    cache->stale = !bytes || fault;
    *ret_cache = cache;
    *ret_fault = fault;
    return 0;
}

int pw_index_cache_open(const char *path, struct pw_index_cache **ret_cache, const char **ret_fault,
                        struct pw_err *err)
{
    struct stat info;
    char *bytes = NULL;
    size_t size = 0;
    if (stat(path, &info) != 0 && errno == ENOENT) {
        return pw_index_cache_decode(NULL, 0, ret_cache, ret_fault, err);
    }
    if (pw_file_read(path, PW_LIMIT_INDEX_CACHE_BYTES, &bytes, &size, err) != 0) {
        return -1;
    }
    /* Only what is a cache may be overwritten; an empty file may become one. */
    if (size > 0 && (size < sizeof MAGIC - 1 || memcmp(bytes, MAGIC, sizeof MAGIC - 1) != 0)) {
        free(bytes);
        pw_err_set(err, PW_ERR_INPUT, "`%s` is no cache of an index", path);
        return pw_err_remedy(err, "Name another file, or remove this one.");
    }
    return pw_index_cache_decode(bytes, size, ret_cache, ret_fault, err);
}

void pw_index_cache_free(struct pw_index_cache *cache)
{
    if (cache) {
        free(cache->bytes);
        free(cache->entries);
        free(cache->slots);
        free(cache);
    }
}

size_t pw_index_cache_count(const struct pw_index_cache *cache)
{
    return cache->count;
}

static void take_record(const struct entry *entry, struct pw_index_run *run)
{
    const struct record *record = entry->record;
    const char *at = entry->path + record->path_length + 1;
    memcpy(run->values, record->values, sizeof run->values);
    run->cpu_count = record->cpu_count;
    run->identity = record->identity;
    for (size_t i = 0; i < PW_INDEX_TEXT_COUNT; i++) {
        run->texts[i] = NULL;
        if (record->text_lengths[i] != NO_TEXT) {
            run->texts[i] = at;
            at += record->text_lengths[i] + 1;
        }
    }
}

bool pw_index_cache_take(struct pw_index_cache *cache, struct pw_index_run *run)
{
    uint32_t found = cache->slots[slot_of(cache, run->path)];
    if (!found) {
        return false;
    }
    struct entry *entry = &cache->entries[found - 1];
    if (!pw_index_identity_equal(&run->identity, &entry->record->identity)) {
        return false;
    }
    take_record(entry, run);
    run->cacheable = true; /* it was when it was read */
    entry->used = true;
    return true;
}

/* ---------------------------------------------------------------- writing */

static void add_record(struct pw_str *bytes, const struct pw_index_run *run, const char *path)
{
    static const char zeros[ALIGNMENT];
    size_t length = strlen(path);
    struct record record;
    memset(&record, 0, sizeof record); /* padding too: it is part of the checksum */
    record.identity = run->identity;
    memcpy(record.values, run->values, sizeof record.values);
    record.cpu_count = run->cpu_count;
    record.path_length = (uint32_t)length;
    for (size_t i = 0; i < PW_INDEX_TEXT_COUNT; i++) {
        record.text_lengths[i] =
            run->texts[i] ? (uint16_t)strlen(run->texts[i]) : (uint16_t)NO_TEXT;
    }
    pw_str_add_bytes(bytes, &record, sizeof record);
    pw_str_add_bytes(bytes, path, length + 1);
    for (size_t i = 0; i < PW_INDEX_TEXT_COUNT; i++) {
        if (run->texts[i]) {
            pw_str_add_bytes(bytes, run->texts[i], record.text_lengths[i] + 1U);
        }
    }
    pw_str_add_bytes(bytes, zeros, (ALIGNMENT - bytes->length % ALIGNMENT) % ALIGNMENT);
}

/* An entry of a file that this call does not ask for is kept while the file is there, unchanged. */
static bool is_still_true(const struct entry *entry)
{
    struct stat info;
    struct pw_index_identity identity;
    if (stat(entry->path, &info) != 0) {
        return false;
    }
    pw_index_identify(&info, &identity);
    return pw_index_identity_equal(&identity, &entry->record->identity);
}

static int write_cache(const char *path, uint64_t count, struct pw_str *bytes, struct pw_err *err)
{
    if (bytes->failed) {
        return pw_err_memory(err);
    }
    pw_index_cache_seal(bytes->text, bytes->length, count);
    if (bytes->length > PW_LIMIT_INDEX_CACHE_BYTES) {
        return pw_err_set(err, PW_ERR_INPUT, "cache `%s`: larger than %d bytes", path,
                          PW_LIMIT_INDEX_CACHE_BYTES);
    }
    if (pw_file_write(path, bytes->text, bytes->length, 0600, err) != 0) {
        return pw_err_prefix(err, "write the cache");
    }
    return 0;
}

int pw_index_cache_update(struct pw_index_cache *cache, const char *path,
                          const struct pw_index_runs *runs, struct pw_err *err)
{
    PW_STR_AUTO bytes = PW_STR_INIT;
    struct head head = {0};
    uint64_t written = 0;
    pw_str_add_bytes(&bytes, &head, sizeof head);
    for (size_t i = 0; i < runs->count; i++) {
        const struct pw_index_run *run = pw_index_runs_at(runs, i);
        if (run->state == PW_INDEX_READ && run->cacheable) {
            cache->stale = true;
        }
    }
    for (size_t i = 0; i < cache->count; i++) {
        struct entry *entry = &cache->entries[i];
        if (!entry->used && !is_still_true(entry)) {
            cache->stale = true;
        } else if (!entry->used) {
            struct pw_index_run run = {0};
            take_record(entry, &run);
            add_record(&bytes, &run, entry->path);
            written++;
        }
    }
    if (!cache->stale) {
        return 0;
    }
    for (size_t i = 0; i < runs->count; i++) {
        const struct pw_index_run *run = pw_index_runs_at(runs, i);
        if (run->cacheable && (run->state == PW_INDEX_READ || run->state == PW_INDEX_FROM_CACHE)) {
            add_record(&bytes, run, run->path);
            written++;
        }
    }
    return write_cache(path, written, &bytes, err);
}
