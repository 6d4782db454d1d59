#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const unsigned char exit_statuses[PW_ERR_CLASS_COUNT] = {
    [PW_ERR_NONE] = 0,          [PW_ERR_USAGE] = 2,          [PW_ERR_INPUT] = 2,
    [PW_ERR_SYSTEM] = 125,      [PW_ERR_MEMORY] = 125,       [PW_ERR_INTERNAL] = 125,
    [PW_ERR_EXEC_DENIED] = 126, [PW_ERR_EXEC_MISSING] = 127,
};

/* Appends what fits; `buffer` holds a string of less than `size` bytes. */
static void append(char *buffer, size_t size, const char *text)
{
    size_t used = strlen(buffer);
    size_t count = strnlen(text, size - 1 - used);
    memcpy(buffer + used, text, count);
    buffer[used + count] = '\0';
}

static void start(struct pw_err *err, enum pw_err_class cls, int sys)
{
    err->cls = cls;
    err->sys = sys;
    err->remedy[0] = '\0';
}

int pw_err_set(struct pw_err *err, enum pw_err_class cls, const char *format, ...)
{
    if (!err) {
        return -1;
    }
    va_list args;
    va_start(args, format);
    start(err, cls, 0);
    vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    return -1;
}

__attribute__((format(printf, 4, 0))) static void fail(struct pw_err *err, enum pw_err_class cls,
                                                       int sys, const char *format, va_list args)
{
    start(err, cls, sys);
    vsnprintf(err->message, sizeof(err->message), format, args);
    /* Not strerror(): its text may lie in a buffer that all threads share. */
    const char *text = strerrordesc_np(sys);
    append(err->message, sizeof(err->message), ": ");
    append(err->message, sizeof(err->message), text ? text : "unknown error");
}

int pw_err_system(struct pw_err *err, int sys, const char *format, ...)
{
    if (!err) {
        return -1;
    }
    va_list args;
    va_start(args, format);
    fail(err, PW_ERR_SYSTEM, sys, format, args);
    va_end(args);
    return -1;
}

int pw_err_input(struct pw_err *err, int sys, const char *format, ...)
{
    if (!err) {
        return -1;
    }
    va_list args;
    va_start(args, format);
    fail(err, PW_ERR_INPUT, sys, format, args);
    va_end(args);
    return -1;
}

int pw_err_memory(struct pw_err *err)
{
    return pw_err_set(err, PW_ERR_MEMORY, "out of memory");
}

int pw_err_prefix(struct pw_err *err, const char *format, ...)
{
    if (!pw_err_is_set(err)) {
        return -1;
    }
    /* Both in copies, for the arguments may point into the message. */
    char old[PW_ERR_MESSAGE_MAX];
    char text[PW_ERR_MESSAGE_MAX];
    memcpy(old, err->message, sizeof(old));
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    err->message[0] = '\0';
    append(err->message, sizeof(err->message), text);
    append(err->message, sizeof(err->message), ": ");
    append(err->message, sizeof(err->message), old);
    return -1;
}

int pw_err_remedy(struct pw_err *err, const char *format, ...)
{
    if (!err) {
        return -1;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(err->remedy, sizeof(err->remedy), format, args);
    va_end(args);
    return -1;
}

int pw_err_errno(struct pw_err *err, int sys)
{
    if (err) {
        err->sys = sys;
    }
    return -1;
}

bool pw_err_is_set(const struct pw_err *err)
{
    return err && err->cls != PW_ERR_NONE;
}

int pw_err_exit_status(const struct pw_err *err)
{
    return err ? exit_statuses[err->cls] : 0;
}
