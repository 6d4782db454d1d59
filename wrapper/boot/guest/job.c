/* The job: where it comes from, and what it says. */
#include "wrapper/boot/guest/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "wrapper/boot/guest_proto.h"

enum { LINE_MAX_BYTES = 65536, STRINGS_MAX = PW_JOB_BYTES / sizeof "arg=" + 8 };

static char job_text[PW_JOB_BYTES + 1], job_again[PW_JOB_BYTES + 1];
static char *strings[STRINGS_MAX]; /* the command, NULL, the environment, NULL, alt, NULL */

/* Up to `capacity` bytes of a file; -1 and errno. */
static ssize_t read_file(const char *path, char *buffer, size_t capacity)
{
    size_t size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    for (ssize_t got = 1; got > 0 && size < capacity; size += (size_t)(got > 0 ? got : 0)) {
        got = read(fd, buffer + size, capacity - size);
    }
    close(fd);
    return (ssize_t)size;
}

/* RFC 4648, section 4. Returns the size, or -1. */
static ssize_t decode_base64(const char *text, size_t length, char *bytes)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned count = 0;
    ssize_t size = 0;
    for (size_t i = 0; i < length && text[i] != '='; i++) {
        const char *at = memchr(alphabet, text[i], sizeof alphabet - 1);
        if (!at) {
            return -1;
        }
        bits = bits << 6 | (uint32_t)(at - alphabet);
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes[size++] = (char)(bits >> count & 0xff);
        }
    }
    return size;
}

static ssize_t read_parameter(void)
{
    static char line[LINE_MAX_BYTES + 1];
    ssize_t size = read_file("/proc/cmdline", line, LINE_MAX_BYTES);
    line[size < 0 ? 0 : size] = '\0';
    for (const char *word = line; *word; word += strcspn(word, " \n")) {
        word += strspn(word, " \n");
        if (strncmp(word, PW_JOB_PARAMETER, strlen(PW_JOB_PARAMETER)) == 0) {
            word += strlen(PW_JOB_PARAMETER);
            return decode_base64(word, strcspn(word, " \n"), job_text);
        }
    }
    return -1;
}

static bool is_wait(const char *text, ssize_t size)
{
    return size == sizeof PW_JOB_WAIT && memcmp(text, PW_JOB_WAIT, sizeof PW_JOB_WAIT) == 0;
}

/* Until there is a job that is read the same twice: while it was read first, the machine may have
 * been saved and come to life again with another one. */
static ssize_t wait_for_job(void)
{
    pw_guest_mark("ready", "%s", "");
    for (;;) {
        ssize_t size = pw_guest_ports_job(job_text, PW_JOB_BYTES);
        if (size < 0 || is_wait(job_text, size)) {
            pw_guest_nap();
        } else if (pw_guest_ports_job(job_again, PW_JOB_BYTES) == size &&
                   memcmp(job_text, job_again, (size_t)size) == 0) {
            pw_guest_mark("restore", "%s", "");
            return size;
        }
    }
}

static ssize_t read_job(void)
{
    ssize_t size = pw_guest_ports_job(job_text, PW_JOB_BYTES);
    if (size >= 0) {
        return is_wait(job_text, size) ? wait_for_job() : size;
    }
    size = read_file(PW_JOB_FILE, job_text, PW_JOB_BYTES);
    return size >= 0 ? size : read_parameter();
}

/* The value, if `string` has this key. */
static char *value_of(char *string, const char *key)
{
    size_t length = strlen(key);
    return strncmp(string, key, length) == 0 ? string + length : NULL;
}

/* Nobody becomes root because a name was given for a number. */
static void take_user(struct pw_guest_job *job, const char *text)
{
    char *end = NULL;
    unsigned long uid = strtoul(text, &end, 10), gid = 0;
    bool is_number = end != text;
    if (is_number && *end == ':') {
        text = end + 1;
        gid = strtoul(text, &end, 10);
        is_number = end != text;
    }
    if (!is_number || *end != '\0' || uid >= UINT32_MAX || gid >= UINT32_MAX) {
        pw_guest_say("no user's number: %.100s", text);
        pw_guest_fault("job", EINVAL);
    }
    job->uid = (uid_t)uid;
    job->gid = (gid_t)gid;
}

static void take(struct pw_guest_job *job, char *string)
{
    char *value;
    if ((value = value_of(string, "cwd="))) {
        job->folder = value;
    } else if ((value = value_of(string, "user="))) {
        take_user(job, value);
    } else if ((value = value_of(string, "root="))) {
        job->root = value;
    } else if ((value = value_of(string, "net="))) {
        job->network = value;
    } else if ((value = value_of(string, "clock="))) {
        job->clock_ns = strtoll(value, NULL, 10);
    } else if ((value = value_of(string, "hold="))) {
        job->hold = strcmp(value, "1") == 0;
    } else if (!value_of(string, "arg=") && !value_of(string, "alt=") &&
               !value_of(string, "env=")) {
        pw_guest_say("a line of the job is unknown: %.100s", string);
        pw_guest_fault("job", EINVAL);
    }
}

/* Adds the values of all strings with `key` behind strings[count]; returns the new count. */
static size_t collect(size_t size, const char *key, size_t count)
{
    for (size_t at = 0; at < size; at += strlen(job_text + at) + 1) {
        char *value = value_of(job_text + at, key);
        if (value) {
            strings[count++] = value;
        }
    }
    return count;
}

static size_t add_default(size_t first, size_t count, char *variable)
{
    size_t name = strcspn(variable, "=") + 1;
    for (size_t i = first; i < count; i++) {
        if (strncmp(strings[i], variable, name) == 0) {
            return count;
        }
    }
    strings[count] = variable;
    return count + 1;
}

void pw_guest_job_get(struct pw_guest_job *ret_job)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char root_home[] = "HOME=/root", no_home[] = "HOME=/", terminal[] = "TERM=linux";
    struct pw_guest_job job = {0};
    ssize_t size = read_job();
    if (size < 0) {
        pw_guest_fault("job", ENOENT);
        return;
    }
    job_text[size] = '\0';
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(job_text + at) + 1) {
        take(&job, job_text + at);
    }
    size_t words = collect((size_t)size, "arg=", 0) + 1; /* and a NULL */
    size_t count = collect((size_t)size, "env=", words);
    count = add_default(words, count, path);
    count = add_default(words, count, job.uid == 0 ? root_home : no_home);
    count = add_default(words, count, terminal) + 1;
    collect((size_t)size, "alt=", count);
    job.argv = strings;
    job.instead = strings + count;
    job.environment = strings + words;
    *ret_job = job;
}
