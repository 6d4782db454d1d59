#include "collector/connection.h"

#include <poll.h>
#include <stdlib.h>
#include "collector/collector_impl.h"

void pw_connections_init(struct pw_connections *table)
{
    *table = (struct pw_connections){0};
    TAILQ_INIT(&table->timed);
    TAILQ_INIT(&table->idle);
    TAILQ_INIT(&table->ended);
    TAILQ_INIT(&table->parked);
    TAILQ_INIT(&table->leaving);
}

static struct pw_connection_list *list_of(struct pw_connections *table,
                                          enum pw_connection_state state)
{
    return state == PW_CONNECTION_IDLE    ? &table->idle
           : state == PW_CONNECTION_ENDED ? &table->ended
                                          : &table->timed;
}

static void enter(struct pw_connections *table, struct pw_connection *connection,
                  enum pw_connection_state state, int64_t now_ns)
{
    connection->state = state;
    connection->since_ns = now_ns;
    connection->recent_bytes = 0;
    TAILQ_INSERT_TAIL(list_of(table, state), connection, link);
    table->fresh_count += state == PW_CONNECTION_FRESH;
    table->ended_count += state == PW_CONNECTION_ENDED;
}

static void leave(struct pw_connections *table, struct pw_connection *connection)
{
    TAILQ_REMOVE(list_of(table, connection->state), connection, link);
    table->fresh_count -= connection->state == PW_CONNECTION_FRESH;
    table->ended_count -= connection->state == PW_CONNECTION_ENDED;
}

struct pw_connection *pw_connection_open_locked(struct pw_collector *collector, int fd,
                                                int64_t now_ns)
{
    struct pw_connections *table = &collector->connections;
    struct pw_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->fd = fd;
    enter(table, connection, PW_CONNECTION_FRESH, now_ns);
    table->count++;
    table->unowned_count++;
    return connection;
}

void pw_connection_close_locked(struct pw_collector *collector, struct pw_connection *connection)
{
    struct pw_connections *table = &collector->connections;
    pw_connection_give_locked(collector, connection, NULL);
    leave(table, connection);
    if (connection->parked)
        TAILQ_REMOVE(&table->parked, connection, parked_link);
    if (connection->leaving)
        TAILQ_REMOVE(&table->leaving, connection, leaving_link);
    table->count--;
    table->unowned_count--;
    free(connection);
}

void pw_connection_move_locked(struct pw_collector *collector, struct pw_connection *connection,
                               enum pw_connection_state state, int64_t now_ns)
{
    if (connection->state == PW_CONNECTION_ENDED)
        return;
    leave(&collector->connections, connection);
    enter(&collector->connections, connection, state, now_ns);
}

void pw_connection_give_locked(struct pw_collector *collector, struct pw_connection *connection,
                               struct pw_endpoint *endpoint)
{
    struct pw_connections *table = &collector->connections;
    if (connection->endpoint)
        connection->endpoint->connections--;
    else
        table->unowned_count--;
    connection->endpoint = endpoint;
    if (endpoint)
        endpoint->connections++;
    else
        table->unowned_count++;
}

bool pw_connection_has_input_locked(const struct pw_connection *connection)
{
    struct pollfd input = {.fd = connection->fd, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

static void weigh(const struct pw_connections *table, const struct pw_connection_list *list,
                  struct pw_connection **victim, unsigned *most)
{
    struct pw_connection *connection;
    for (connection = TAILQ_FIRST(list); connection; connection = TAILQ_NEXT(connection, link)) {
        unsigned weight =
            connection->endpoint ? connection->endpoint->connections : table->unowned_count;
        if (connection->state == PW_CONNECTION_BUSY || weight <= *most)
            continue;
        *victim = connection;
        *most = weight;
    }
}

struct pw_connection *pw_connections_victim_locked(const struct pw_connections *table)
{
    struct pw_connection *victim = NULL;
    unsigned most = 0;
    weigh(table, &table->idle, &victim, &most);
    weigh(table, &table->timed, &victim, &most);
    return victim;
}

int64_t pw_connections_deadline_locked(const struct pw_collector *collector)
{
    const struct pw_connections *table = &collector->connections;
    const struct pw_connection *timed = TAILQ_FIRST(&table->timed);
    const struct pw_connection *idle = TAILQ_FIRST(&table->idle);
    int64_t deadline = timed ? timed->since_ns + collector->limits.request_ns : INT64_MAX;
    if (idle && idle->since_ns + collector->limits.idle_ns < deadline)
        deadline = idle->since_ns + collector->limits.idle_ns;
    const struct pw_connection *parked;
    for (parked = TAILQ_FIRST(&table->parked); parked; parked = TAILQ_NEXT(parked, parked_link))
        if (parked->busy_until_ns < deadline)
            deadline = parked->busy_until_ns;
    return deadline;
}
