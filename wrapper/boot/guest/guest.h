/*
 * The parts of the guest's init among themselves. What it does, and what it says: guest_proto.h.
 *
 * PID 1 of a machine that lives for one command: one thread, no allocation, no file of its own. It
 * must not end but by pw_guest_end(): the kernel panics when PID 1 exits.
 */
#ifndef PW_BOOT_GUEST_GUEST_H
#define PW_BOOT_GUEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pw_guest_job {
    char **argv, **environment; /* NULL-terminated */
    char **instead;             /* the command if the first word of argv is not there */
    const char *folder, *root;  /* NULL: none given */
    char *network;              /* ADDRESS/BITS,GATEWAY[,NAMESERVER]; NULL: none */
    uid_t uid;
    gid_t gid;
    int64_t clock_ns; /* 0: none given */
    bool hold;
};

/* ports.c: I/O ports. Without permission, or on other hardware, there are none. */
void pw_guest_ports_open(void);
/* Writes to QEMU's debug console; false if there is none. */
bool pw_guest_ports_tell(const char *text, size_t length);
/* Reads QEMU's file PW_JOB_FW_CFG: its size, at most `capacity`; -1 if there is none, or it is
 * larger. Different bytes from call to call are normal: a machine may be restored, with another
 * file, between any two instructions. */
ssize_t pw_guest_ports_job(char *buffer, size_t capacity);
void pw_guest_ports_exit(void);

/* report.c */
__attribute__((format(printf, 2, 3))) void pw_guest_mark(const char *name, const char *format, ...);
/* For people, on the console. */
__attribute__((format(printf, 1, 2))) void pw_guest_say(const char *format, ...);
/* The mark `fault`, and the end of the machine. */
_Noreturn void pw_guest_fault(const char *step, int sys);
_Noreturn void pw_guest_end(void);
void pw_guest_nap(void); /* 1 ms */

/* job.c: reads the job, also after WAIT; tells `ready` and `restore`. */
void pw_guest_job_get(struct pw_guest_job *ret_job);

/* system.c: what a program expects to find. */
void pw_guest_mount_system(void);
void pw_guest_load_modules(void);
void pw_guest_set_clock(int64_t clock_ns);
/* `name_server`: NULL if none is known. */
void pw_guest_switch_root(const char *device, const char *name_server);

/* net.c */
void pw_guest_net_loopback(void);
/* Returns the address of the name server, within `network`; NULL: none was given. */
const char *pw_guest_net_up(char *network);

/* command.c: runs it to its end, reaping all. Returns as waitpid(2) has it. */
int pw_guest_run(const struct pw_guest_job *job);

#endif
