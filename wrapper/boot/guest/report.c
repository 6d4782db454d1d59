/* What init tells, and how it ends. */
#include "wrapper/boot/guest/guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 512 };

/* The kernel opened the console for init. */
static void write_console(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t done = write(STDERR_FILENO, text, length);
        if (done <= 0) {
            return;
        }
        text += done;
        length -= (size_t)done;
    }
}

static size_t end_of_line(char *line, int length)
{
    size_t end = length < 0 ? 0 : (size_t)length;
    end = end > LINE_BYTES - 2 ? LINE_BYTES - 2 : end;
    line[end] = '\n';
    line[end + 1] = '\0';
    return end + 1;
}

void pw_guest_mark(const char *name, const char *format, ...)
{
    char keys[LINE_BYTES / 2], line[LINE_BYTES];
    struct timespec now = {0};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(keys, sizeof keys, format, arguments);
    va_end(arguments);
    clock_gettime(CLOCK_BOOTTIME, &now);
    /* On the console it must stand at the beginning of a line: a command may have left one open. */
    line[0] = '\n';
    int length =
        snprintf(line + 1, sizeof line - 1, "PW %s uptime=%lld.%03ld%s%s", name,
                 (long long)now.tv_sec, now.tv_nsec / 1000000, keys[0] != '\0' ? " " : "", keys);
    size_t size = end_of_line(line, length + 1);
    if (!pw_guest_ports_tell(line + 1, size - 1)) {
        write_console(line, size);
    }
}

void pw_guest_say(const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    int length = snprintf(line, sizeof line, "perfwrap init: ");
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    va_end(arguments);
    write_console(line, end_of_line(line, length));
}

void pw_guest_fault(const char *step, int sys)
{
    pw_guest_mark("fault", "step=%s errno=%d text=%s", step, sys, strerror(sys));
    pw_guest_end();
}

void pw_guest_end(void)
{
    tcdrain(STDERR_FILENO);
    pw_guest_ports_exit();
    for (;;) {
        reboot(RB_AUTOBOOT);
        pw_guest_nap();
    }
}

void pw_guest_nap(void)
{
    const struct timespec duration = {.tv_nsec = 1000000};
    nanosleep(&duration, NULL);
}
