#include "wrapper/boot/qmp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/limits.h"
#include "wrapper/boot/base/interrupt.h"

enum { READ_BYTES = 16384, ASK_AGAIN_NS = 2000000 };

void pw_qmp_close(struct pw_qmp *qmp)
{
    pw_fd_done(&qmp->fd);
    pw_str_done(&qmp->input);
}

/* Whether there is a reason not to wait longer. */
static int check_time(const struct pw_qmp *qmp, struct pw_err *err)
{
    if (pw_clock_now_ns() >= qmp->deadline_ns) {
        pw_err_set(err, PW_ERR_SYSTEM, "the machine monitor did not answer in time");
        return pw_err_errno(err, ETIMEDOUT);
    }
    return pw_interrupt_is_pending() ? pw_err_system(err, EINTR, "wait for the machine monitor")
                                     : 0;
}

static int fail_strange(struct pw_err *err, const char *what, const char *line)
{
    return pw_err_set(err, PW_ERR_SYSTEM, "the machine monitor's control socket: %s: `%.100s`",
                      what, line);
}

/* Until there is something to read. */
static int wait_for_input(const struct pw_qmp *qmp, struct pw_err *err)
{
    for (;;) {
        struct pollfd polled = {.fd = qmp->fd, .events = POLLIN};
        int ready = poll(&polled, 1, PW_INTERRUPT_LOOK_MS);
        if (ready > 0) {
            return 0;
        }
        if (ready < 0 && errno != EINTR) {
            return pw_err_system(err, errno, "wait for the machine monitor");
        }
        if (check_time(qmp, err) != 0) {
            return -1;
        }
    }
}

static int read_more(struct pw_qmp *qmp, struct pw_err *err)
{
    char buffer[READ_BYTES];
    if (wait_for_input(qmp, err) != 0) {
        return -1;
    }
    ssize_t count = recv(qmp->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    if (count < 0 && errno != ECONNRESET) {
        return pw_err_system(err, errno, "read from the machine monitor");
    }
    if (count <= 0) {
        return pw_err_set(err, PW_ERR_SYSTEM, "the machine monitor has ended");
    }
    pw_str_add_bytes(&qmp->input, buffer, (size_t)count);
    if (qmp->input.length > PW_LIMIT_QMP_LINE_BYTES) {
        return fail_strange(err, "too long an answer", qmp->input.text);
    }
    return qmp->input.failed ? pw_err_memory(err) : 0;
}

/* The next line, as an object. */
static int read_object(struct pw_qmp *qmp, json_t **ret_object, struct pw_err *err)
{
    const char *end;
    while (!(end = memchr(qmp->input.text, '\n', qmp->input.length))) {
        if (check_time(qmp, err) != 0 || read_more(qmp, err) != 0) {
            return -1;
        }
    }
    size_t length = (size_t)(end - qmp->input.text);
    json_t *object = json_loadb(qmp->input.text, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return fail_strange(err, "not an answer", qmp->input.text);
    }
    qmp->input.length -= length + 1;
    memmove(qmp->input.text, end + 1, qmp->input.length + 1);
    *ret_object = object;
    return 0;
}

/* The descriptor goes with the first byte: unix(7), SCM_RIGHTS. */
static int send_text(const struct pw_qmp *qmp, const char *text, int passed_fd, struct pw_err *err)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec bytes = {.iov_base = (char *)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (passed_fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &passed_fd, sizeof(int));
    }
    while (bytes.iov_len > 0) {
        ssize_t count = sendmsg(qmp->fd, &message, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return pw_err_system(err, errno, "write to the machine monitor");
        }
        bytes.iov_base = (char *)bytes.iov_base + count;
        bytes.iov_len -= (size_t)count;
        message.msg_control = NULL;
        message.msg_controllen = 0;
    }
    return 0;
}

static int send_command(struct pw_qmp *qmp, const char *command, json_t *arguments, int passed_fd,
                        struct pw_err *err)
{
    bool failed = false;
    json_t *object = json_object();
    pw_json_put(object, "execute", json_string(command), &failed);
    pw_json_put(object, "id", json_integer(++qmp->last_id), &failed);
    if (arguments) {
        pw_json_put(object, "arguments", arguments, &failed);
    }
    PW_FREE_AUTO char *text = failed ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (!text) {
        return pw_err_memory(err);
    }
    return send_text(qmp, text, passed_fd, err) != 0 || send_text(qmp, "\n", -1, err) != 0 ? -1 : 0;
}

/* Whether `object` answers the last command: 1, 0 if it is an event, -1 and err. */
static int take_answer(const struct pw_qmp *qmp, const char *command, json_t *object,
                       json_t **ret_value, struct pw_err *err)
{
    json_t *value = json_object_get(object, "return");
    const json_t *refused = json_object_get(object, "error");
    if (json_object_get(object, "event")) {
        return 0;
    }
    if (refused) {
        const char *reason = json_string_value(json_object_get(refused, "desc"));
        return pw_err_set(err, PW_ERR_SYSTEM, "the machine monitor refuses `%s`: %s", command,
                          reason ? reason : "no reason given");
    }
    if (!value || json_integer_value(json_object_get(object, "id")) != qmp->last_id) {
        return fail_strange(err, "no answer to the command", command);
    }
    if (ret_value) {
        *ret_value = json_incref(value);
    }
    return 1;
}

int pw_qmp_call(struct pw_qmp *qmp, const char *command, json_t *arguments, int passed_fd,
                json_t **ret_value, struct pw_err *err)
{
    int answered = 0;
    if (send_command(qmp, command, arguments, passed_fd, err) != 0) {
        return -1;
    }
    while (answered == 0) {
        json_t *object = NULL;
        if (read_object(qmp, &object, err) != 0) {
            return -1;
        }
        answered = take_answer(qmp, command, object, ret_value, err);
        json_decref(object);
    }
    return answered > 0 ? 0 : -1;
}

int pw_qmp_start(int fd, int64_t deadline_ns, struct pw_qmp *ret_qmp, struct pw_err *err)
{
    PW_QMP_AUTO qmp = {.fd = fd, .deadline_ns = deadline_ns, .input = PW_STR_INIT};
    json_t *greeting = NULL;
    if (read_object(&qmp, &greeting, err) != 0) {
        return -1;
    }
    bool is_greeting = json_is_object(json_object_get(greeting, "QMP"));
    json_decref(greeting);
    if (!is_greeting) {
        return pw_err_set(err, PW_ERR_SYSTEM, "the machine monitor's control socket: no greeting");
    }
    if (pw_qmp_call(&qmp, "qmp_capabilities", NULL, -1, NULL, err) != 0) {
        return -1;
    }
    *ret_qmp = qmp;
    qmp = PW_QMP_INIT;
    return 0;
}

int pw_qmp_open(const char *socket_path, int64_t deadline_ns, struct pw_qmp *ret_qmp,
                struct pw_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(socket_path);
    if (length >= sizeof(address.sun_path)) {
        return pw_err_set(err, PW_ERR_SYSTEM, "`%s` is too long for a socket", socket_path);
    }
    memcpy(address.sun_path, socket_path, length);
    PW_FD_AUTO fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return pw_err_system(err, errno, "create a socket");
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return pw_err_system(err, errno, "connect to the machine monitor at `%s`", socket_path);
    }
    return pw_qmp_start(pw_fd_take(&fd), deadline_ns, ret_qmp, err);
}

static json_t *one_argument(const char *key, json_t *value)
{
    bool failed = false;
    json_t *arguments = json_object();
    pw_json_put(arguments, key, value, &failed);
    if (failed) {
        json_decref(arguments);
        return NULL;
    }
    return arguments;
}

/* 1: it is done; 0: it is on its way; -1 and err. */
static int check_saved(const json_t *answer, struct pw_err *err)
{
    static const char *const busy[] = {"setup", "active", "device", "pre-switchover", "none"};
    const char *status = json_string_value(json_object_get(answer, "status"));
    const char *reason = json_string_value(json_object_get(answer, "error-desc"));
    if (status && strcmp(status, "completed") == 0) {
        return 1;
    }
    for (size_t i = 0; status && i < sizeof(busy) / sizeof(busy[0]); i++) {
        if (strcmp(status, busy[i]) == 0) {
            return 0;
        }
    }
    return pw_err_set(err, PW_ERR_SYSTEM, "the machine's state cannot be saved: %s%s%s",
                      status ? status : "no status", reason ? ": " : "", reason ? reason : "");
}

int pw_qmp_save(struct pw_qmp *qmp, int state_fd, struct pw_err *err)
{
    const struct timespec pause = {.tv_nsec = ASK_AGAIN_NS};
    const json_int_t unlimited = INT64_C(1) << 40;
    int saved = 0;
    if (pw_qmp_call(qmp, "migrate-set-parameters",
                    one_argument("max-bandwidth", json_integer(unlimited)), -1, NULL, err) != 0 ||
        pw_qmp_call(qmp, "getfd", one_argument("fdname", json_string("state")), state_fd, NULL,
                    err) != 0 ||
        pw_qmp_call(qmp, "migrate", one_argument("uri", json_string("fd:state")), -1, NULL, err) !=
            0) {
        return -1;
    }
    while (saved == 0) {
        json_t *answer = NULL;
        if (pw_qmp_call(qmp, "query-migrate", NULL, -1, &answer, err) != 0) {
            return -1;
        }
        saved = check_saved(answer, err);
        json_decref(answer);
        if (saved == 0) {
            if (check_time(qmp, err) != 0) {
                return -1;
            }
            nanosleep(&pause, NULL);
        }
    }
    return saved > 0 ? 0 : -1;
}
