/*
 * The warden, and what it and perfwrap say to each other.
 *
 * A warden is a tiny, statically linked program that perfwrap carries in itself (warden_image.h)
 * and starts once for each worker. Its argv, from the second on, and its environment, are the
 * target's; its descriptors 0 to 2 are the target's too, and 3 if the order says so; argv[1] names
 * the control socket. It
 *
 *   - is the parent of the target: what exec carries over into the target's ru_maxrss is the
 * warden's peak of some hundred KiB, whatever perfwrap itself has grown to;
 *   - takes both times of the target: before clone, and when poll() on its pidfd returns. In
 * between it does nothing but wait, so nothing else can delay the second;
 *   - is the child subreaper of the target's tree (prctl(2)): every descendant, orphaned,
 * double-forked or in a session of its own, stays below it, so it can end all of them and none of
 * another worker;
 *   - keeps the deadline, and ends the tree when told, or when the control socket closes because
 * perfwrap died; then it also removes the worker's private folder (scratch.h).
 *
 * A target can be left to its warden for good (RELEASE): then the warden closes the control socket
 * and whatever else it has of perfwrap's, and stays until the target ends. It is all that holds the
 * target: should it be killed, the kernel kills the target (PR_SET_PDEATHSIG; unless that has
 * executed a set-user-ID program), but not what the target has started.
 *
 * The control socket is a SOCK_SEQPACKET pair: each message is one packet of a fixed size. perfwrap
 * sends orders, the warden reports: READY, then after the GO order STARTED or FAILED, EXITED, any
 * number of ORPHAN, and DONE when nothing of the tree is left. Both ends are of one build: there is
 * no version.
 *
 * What the target leaves behind is not ended before perfwrap, told EXITED, has read what the target
 * wrote, and orders END: an orphan that answers TERM with a line in the target's pipe would be
 * taken for the target. Nobody reads that of a target that is held: its warden does not wait.
 */
#ifndef PW_RUN_WARDEN_PROTO_H
#define PW_RUN_WARDEN_PROTO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define PW_WARDEN_NAME "perfwrap-warden"

enum pw_order_kind {
    PW_ORDER_GO = 1,  /* start the target */
    PW_ORDER_END,     /* end the tree: TERM, grace, KILL. Follows EXITED, see above */
    PW_ORDER_KILL,    /* end the tree now */
    PW_ORDER_EXPECT,  /* it ends by itself: END only after GO's `patience_ns` */
    PW_ORDER_HOLD,    /* the deadline is off */
    PW_ORDER_RELEASE, /* stay without perfwrap; ignored if the tree is being ended. The control
                         socket then closes without a further report */
};

struct pw_warden_order {
    enum pw_order_kind kind;
    /* for GO: */
    bool keep_orphans;
    bool inherit_fds;         /* the target also gets descriptors over 2 that perfwrap inherited */
    bool has_mark_fd;         /* descriptor 3 is the target's: it tells marks there */
    bool sigpipe_ignored;     /* as perfwrap found it: restored for the target. Always for one that
                                 may be held */
    uint64_t blocked_signals; /* likewise; bit S-1 for signal S */
    struct rlimit nofile;     /* likewise */
    int64_t timeout_ns;       /* from the spawn; 0: none */
    int64_t grace_ns;         /* between TERM and KILL */
    int64_t patience_ns;      /* for EXPECT */
};

enum pw_report_kind {
    PW_REPORT_READY = 1,
    PW_REPORT_STARTED,
    PW_REPORT_FAILED,
    PW_REPORT_EXITED,
    PW_REPORT_ORPHAN,
    PW_REPORT_DONE,
};

enum pw_spawn_step { PW_STEP_CLONE, PW_STEP_RLIMIT, PW_STEP_EXEC };

enum pw_warden_cause { PW_CAUSE_NONE, PW_CAUSE_TIMEOUT, PW_CAUSE_ORDER };

enum { PW_WARDEN_IO_COUNT = 4 }; /* rchar, wchar, read_bytes, write_bytes */

struct pw_warden_report {
    enum pw_report_kind kind;
    union {
        bool fifo; /* READY: it waits with real-time priority */
        struct {
            pid_t pid;
            int64_t spawned_at_ns, execed_at_ns; /* before clone; after exec succeeded */
        } started;
        struct {
            enum pw_spawn_step step;
            int sys; /* errno */
        } failed;
        struct {
            int64_t ended_at_ns;
            int status;                 /* as of wait(2) */
            enum pw_warden_cause cause; /* why the warden had begun to end it, if it had */
            struct rusage usage;        /* the target and all descendants that were waited for */
            int io_sys;                 /* errno of reading /proc/PID/io, 0 if `io` is valid */
            uint64_t io[PW_WARDEN_IO_COUNT];
        } exited;
        struct {
            pid_t pid;
            char comm[16];
        } orphan;
        struct {
            uint32_t orphans; /* alive when the target ended by itself */
            bool survivors;   /* something could not be killed */
        } done;
    };
};

#endif
