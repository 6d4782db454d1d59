/*
 * What the parts of ask share: ask.c, which callers call, and ask_loop.c, the asker's thread. Only
 * these include it. Functions called ..._locked want the lock held.
 */
#ifndef PW_RUN_ASK_IMPL_H
#define PW_RUN_ASK_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "wrapper/run/ask.h"
#include "wrapper/run/ask_file.h"
#include "wrapper/run/ask_place.h"

/* What epoll_wait(2) tells: one of these, or the number of a dial. */
enum { PW_ASK_KEY_WAKE, PW_ASK_KEY_TIMER, PW_ASK_KEY_INOTIFY, PW_ASK_KEY_FIRST_DIAL };

/* A mark of one worker that is asked for. */
struct pw_ask_spot {
    size_t mark;
    bool is_file;
    struct pw_place place;      /* unless it is a file */
    struct pw_file_watch watch; /* if it is */
    int64_t due_ns;             /* when to ask next */
    int64_t cost_ns;            /* of asking once, smoothed */
    int64_t came_at_ns;         /* 0: not yet */
    bool told;
};

struct pw_ask_slot {
    struct pw_ask_spot *spots;
    size_t count;
    bool begun;
    int64_t spawned_at_ns;
};

struct pw_ask {
    const struct pw_marks *marks;
    size_t slot_count;
    void (*seen)(void *context, size_t slot, size_t mark, int64_t at_ns);
    void *context;
    pthread_t thread;
    bool threaded;
    int epoll_fd, wake_fd, timer_fd, inotify_fd; /* inotify_fd -1: files are looked for */
    atomic_uint wanting;                         /* callers that want the lock */
    pthread_mutex_t lock;                        /* guards all below */
    pthread_cond_t told;                         /* a call of `seen` has ended */
    struct pw_ask_slot *slots;
    size_t telling; /* the slot of which `seen` is being called; slot_count: none */
    size_t untold;  /* spots of which it has to be called, if they have begun */
    size_t asked;   /* spots that have begun and are being asked for */
    uint64_t missed;
    bool ending;
};

/* The asker's thread; the argument is the struct pw_ask. */
void *pw_ask_main(void *argument);
/* Ends asking; what has come stays known. */
void pw_ask_close_spot_locked(const struct pw_ask *ask, struct pw_ask_spot *spot);
/* Whether the file is there; if not, it is watched for. */
bool pw_ask_look_for_file_locked(const struct pw_ask *ask, struct pw_ask_spot *spot);

#endif
