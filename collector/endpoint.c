#include "collector/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "collector/collector_impl.h"
#include "core/random.h"

enum { FIRST_SLOTS = 64 }; /* a power of two */

void pw_endpoints_init(struct pw_endpoints *table)
{
    *table = (struct pw_endpoints){0};
    TAILQ_INIT(&table->closed);
}

void pw_endpoints_done(struct pw_endpoints *table)
{
    for (size_t i = 0; i < table->slot_count; i++)
        for (struct pw_endpoint *next, *endpoint = table->slots[i]; endpoint; endpoint = next) {
            next = endpoint->next_in_slot;
            pw_endpoint_free(endpoint);
        }
    free(table->slots);
    pw_endpoint_free(table->at_root);
    pw_endpoints_init(table);
}

static int make_token(char token[PW_TOKEN_LENGTH + 1], struct pw_err *err)
{
    uint8_t random[PW_TOKEN_LENGTH / 2];
    if (pw_random_bytes(random, sizeof random, err))
        return -1;
    pw_hex(random, sizeof random, token);
    return 0;
}

int pw_endpoint_new(struct pw_collector *collector, const struct pw_endpoint_options *options,
                    struct pw_endpoint **ret_endpoint, struct pw_err *err)
{
    struct pw_endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (!endpoint)
        return pw_err_memory(err);
    endpoint->collector = collector;
    endpoint->iteration = options->iteration;
    endpoint->worker_id = options->worker_id;
    if (!options->is_public && make_token(endpoint->token, err))
        goto failed;
    if (asprintf(&endpoint->url, "%s%s%s", collector->url, options->is_public ? "" : "/",
                 endpoint->token) < 0) {
        endpoint->url = NULL;
        pw_err_memory(err);
        goto failed;
    }
    if (pw_window_new(collector->classifier, options->since_unix_ns, options->trace_id,
                      &endpoint->window, err))
        goto failed;
    if (pw_awaiting_init(&endpoint->awaiting, options, err))
        goto failed;
    if (options->is_public) /* a worker's senders were started by it; here anyone's come */
        pw_window_expect_older(endpoint->window);
    *ret_endpoint = endpoint;
    return 0;
failed:
    pw_endpoint_free(endpoint);
    return -1;
}

void pw_endpoint_free(struct pw_endpoint *endpoint)
{
    if (!endpoint)
        return;
    pw_window_free(endpoint->window);
    pw_awaiting_done(&endpoint->awaiting);
    free(endpoint->url);
    free(endpoint);
}

/* Tokens are random already: eight of their digits are as good as any hash. */
static struct pw_endpoint **slot_of(const struct pw_endpoints *table, const char *token)
{
    char digits[9] = "";
    memcpy(digits, token, 8);
    return &table->slots[strtoul(digits, NULL, 16) & (table->slot_count - 1)];
}

static int grow(struct pw_endpoints *table, struct pw_err *err)
{
    size_t count = table->slot_count ? table->slot_count * 2 : FIRST_SLOTS;
    struct pw_endpoint **slots = calloc(count, sizeof(struct pw_endpoint *));
    if (!slots)
        return pw_err_memory(err);
    struct pw_endpoints old = *table;
    table->slots = slots;
    table->slot_count = count;
    for (size_t i = 0; i < old.slot_count; i++)
        for (struct pw_endpoint *next, *endpoint = old.slots[i]; endpoint; endpoint = next) {
            struct pw_endpoint **slot = slot_of(table, endpoint->token);
            next = endpoint->next_in_slot;
            endpoint->next_in_slot = *slot;
            *slot = endpoint;
        }
    free(old.slots);
    return 0;
}

int pw_endpoints_put_locked(struct pw_endpoints *table, struct pw_endpoint *endpoint,
                            struct pw_err *err)
{
    if (!endpoint->token[0]) {
        if (table->at_root)
            return pw_err_set(err, PW_ERR_USAGE, "a collector has one public endpoint only");
        table->at_root = endpoint;
        return 0;
    }
    if (table->count == table->slot_count && grow(table, err))
        return -1;
    struct pw_endpoint **slot = slot_of(table, endpoint->token);
    endpoint->next_in_slot = *slot;
    *slot = endpoint;
    table->count++;
    return 0;
}

struct pw_endpoint *pw_endpoints_find_locked(const struct pw_endpoints *table,
                                             const struct pw_route *route)
{
    if (!route->token[0])
        return table->at_root;
    if (!table->slot_count)
        return NULL;
    struct pw_endpoint *endpoint = *slot_of(table, route->token);
    while (endpoint && memcmp(endpoint->token, route->token, PW_TOKEN_LENGTH) != 0)
        endpoint = endpoint->next_in_slot;
    return endpoint;
}

void pw_endpoints_each_late_locked(const struct pw_endpoints *table,
                                   void (*visit)(void *context, const struct pw_late *late),
                                   void *context)
{
    for (size_t i = 0; i < table->slot_count; i++)
        for (const struct pw_endpoint *endpoint = table->slots[i]; endpoint;
             endpoint = endpoint->next_in_slot)
            if (endpoint->late > 0)
                visit(context, &(struct pw_late){.iteration = endpoint->iteration,
                                                 .worker_id = endpoint->worker_id,
                                                 .payloads = endpoint->late});
}

void pw_endpoints_forget_locked(struct pw_endpoints *table, size_t limit)
{
    struct pw_endpoint *next;
    for (struct pw_endpoint *oldest = TAILQ_FIRST(&table->closed); oldest && table->count > limit;
         oldest = next) {
        next = TAILQ_NEXT(oldest, closing);
        if (oldest->connections || oldest->queued)
            continue;
        struct pw_endpoint **link = slot_of(table, oldest->token);
        while (*link != oldest)
            link = &(*link)->next_in_slot;
        *link = oldest->next_in_slot;
        TAILQ_REMOVE(&table->closed, oldest, closing);
        table->count--;
        pw_endpoint_free(oldest);
    }
}

void pw_endpoint_lose_locked(struct pw_endpoint *endpoint, enum pw_loss loss)
{
    if (!endpoint)
        return;
    if (!endpoint->closed) {
        endpoint->losses[loss]++;
        return;
    }
    endpoint->late++;
    endpoint->collector->strays.late++;
}

static bool parse_signal(const char *path, size_t length, enum pw_signal *ret_signal)
{
    static const char prefix[] = "/v1/";
    const size_t prefix_length = sizeof prefix - 1;
    if (length < prefix_length || memcmp(path, prefix, prefix_length) != 0)
        return false;
    path += prefix_length;
    length -= prefix_length;
    if (length && path[length - 1] == '/')
        length--;
    for (unsigned signal = 0; signal < PW_SIGNAL_COUNT; signal++) {
        const char *name = pw_signal_name(signal);
        if (strlen(name) == length && memcmp(name, path, length) == 0) {
            *ret_signal = signal;
            return true;
        }
    }
    return false;
}

bool pw_route_parse(const char *path, struct pw_route *ret_route)
{
    size_t length = strcspn(path, "?");
    struct pw_route route = {0};
    if (length > PW_TOKEN_LENGTH && path[0] == '/' &&
        strspn(path + 1, "0123456789abcdef") == PW_TOKEN_LENGTH) {
        memcpy(route.token, path + 1, PW_TOKEN_LENGTH);
        path += 1 + PW_TOKEN_LENGTH;
        length -= 1 + PW_TOKEN_LENGTH;
        if (length && path[0] != '/')
            return false;
    }
    route.has_signal = parse_signal(path, length, &route.signal);
    if (!route.has_signal && !route.token[0])
        return false;
    *ret_route = route;
    return true;
}
