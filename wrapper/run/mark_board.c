#include "wrapper/run/mark_board.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/str.h"
#include "wrapper/run/outfit.h"

static bool is_asked(enum pw_mark_source source)
{
    return source == PW_MARK_FILE || source == PW_MARK_TCP || source == PW_MARK_UNIX ||
           source == PW_MARK_HTTP;
}

/* On ask's thread. */
static void on_seen(void *context, size_t slot, size_t mark, int64_t at_ns)
{
    struct pw_mark_board *board = context;
    pw_mark_watch_see(&board->watches[slot], mark, at_ns);
}

static int open_ask(struct pw_mark_board *board, struct pw_err *err)
{
    bool wanted = false;
    for (size_t i = 0; i < board->marks->names.count; i++)
        wanted = wanted || is_asked(board->marks->items[i].source);
    if (!wanted)
        return 0;
    return pw_ask_new(board->marks, board->count, on_seen, board, &board->ask, err);
}

static int open_watches(struct pw_mark_board *board, size_t slots, struct pw_err *err)
{
    board->watches = calloc(slots, sizeof *board->watches);
    if (!board->watches)
        return pw_err_memory(err);
    for (; board->count < slots; board->count++) {
        struct pw_mark_watch *watch = &board->watches[board->count];
        if (pw_mark_watch_init(watch, board->marks, err))
            return -1;
        watch->board = board;
        watch->slot = board->count;
    }
    return 0;
}

int pw_mark_board_new(const struct pw_marks *marks, size_t slots, struct pw_mark_board **ret_board,
                      struct pw_err *err)
{
    struct pw_mark_board *board = calloc(1, sizeof *board);
    if (!board)
        return pw_err_memory(err);
    board->marks = marks;
    board->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (board->wake_fd < 0)
        pw_err_system(err, errno, "create event descriptor");
    if (board->wake_fd < 0 || open_watches(board, slots, err) || open_ask(board, err)) {
        pw_mark_board_free(board);
        return -1;
    }
    *ret_board = board;
    return 0;
}

void pw_mark_board_free(struct pw_mark_board *board)
{
    if (!board)
        return;
    pw_ask_free(board->ask);
    for (size_t i = 0; i < board->count; i++)
        pw_mark_watch_done(&board->watches[i]);
    free(board->watches);
    pw_fd_done(&board->wake_fd);
    free(board);
}

static void sum(struct pw_mark_board *board, size_t slot)
{
    board->unknown += board->watches[slot].unknown;
    board->gave_up += board->watches[slot].gave_up;
    board->watches[slot].unknown = 0;
    board->watches[slot].gave_up = false;
}

void pw_mark_board_sum(struct pw_mark_board *board)
{
    for (size_t i = 0; i < board->count; i++)
        sum(board, i);
}

/* Where this worker's places are. */
static int ask_for(struct pw_mark_board *board, size_t slot, const struct pw_worker_facts *facts,
                   struct pw_err *err)
{
    struct pw_mark_watch *watch = &board->watches[slot];
    for (size_t i = 0; i < board->marks->names.count; i++) {
        const struct pw_mark *mark = &board->marks->items[i];
        PW_STR_AUTO expanded = PW_STR_INIT;
        if (!is_asked(mark->source))
            continue;
        pw_outfit_expand(mark->text, strlen(mark->text), facts, &expanded);
        watch->places[i] = pw_str_take(&expanded, err);
        if (!watch->places[i])
            return -1;
    }
    return pw_ask_add(board->ask, slot, (const char *const *)watch->places, err);
}

int pw_mark_board_prepare(struct pw_mark_board *board, size_t slot,
                          const struct pw_worker_facts *facts, struct pw_err *err)
{
    sum(board, slot);
    pw_mark_watch_reset(&board->watches[slot]);
    return board->ask ? ask_for(board, slot, facts, err) : 0;
}

void pw_mark_board_begin(struct pw_mark_watch *watch, int64_t spawned_at_ns)
{
    if (watch->board->ask)
        pw_ask_begin(watch->board->ask, watch->slot, spawned_at_ns);
}

/* A file that was made just before the worker's end may not have been seen yet. Before the start it
 * was not there. */
static void look_for_files(struct pw_mark_watch *watch)
{
    for (size_t i = 0; i < watch->marks->names.count; i++)
        if (watch->marks->items[i].source == PW_MARK_FILE && watch->places[i] &&
            access(watch->places[i], F_OK) == 0)
            pw_mark_watch_see(watch, i, pw_clock_now_ns());
}

void pw_mark_board_end(struct pw_mark_watch *watch)
{
    if (watch->closed)
        return;
    look_for_files(watch);
    if (watch->board->ask)
        pw_ask_take(watch->board->ask, watch->slot);
    pw_mark_watch_close(watch, pw_clock_now_ns());
}

void pw_mark_board_wake(struct pw_mark_board *board)
{
    const uint64_t one = 1;
    while (write(board->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void pw_mark_board_woken(struct pw_mark_board *board)
{
    uint64_t count;
    while (read(board->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}
