/*
 * escape [WORD …]: leaves a process behind that tries to get away from whoever started it. Words:
 *
 *   double        the process is forked by a middle one that ends at once: it is re-parented
 *   setsid        it is the leader of a session of its own
 *   ignore-term   it, and the root, ignore TERM, HUP and INT
 *   memory=MIB    it touches MIB MiB
 *   child-ms=MS   it lives for MS ms (default 60000)
 *   root-ms=MS    the root lives for MS ms (default 0: the root ends first)
 *   ready=PATH    the root makes this file when all is set up
 *   exit=CODE     the root returns CODE
 *
 * Truth: two processes while both live (`double`: the middle one is reaped before the root goes
 * on); memory: MIB MiB in the one left behind; standard output and error stay open in it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include "tests/targets/target.h"

struct words {
    bool twice, session, ignore_term;
    long memory_mib, child_ms, root_ms, code;
    const char *ready;
};

static const char *value_of(const char *word, const char *key)
{
    size_t length = strlen(key);
    return strncmp(word, key, length) == 0 ? word + length : NULL;
}

static void read_word(struct words *words, const char *word)
{
    const char *value;
    if (strcmp(word, "double") == 0) {
        words->twice = true;
    } else if (strcmp(word, "setsid") == 0) {
        words->session = true;
    } else if (strcmp(word, "ignore-term") == 0) {
        words->ignore_term = true;
    } else if ((value = value_of(word, "memory="))) {
        words->memory_mib = target_number(value);
    } else if ((value = value_of(word, "child-ms="))) {
        words->child_ms = target_number(value);
    } else if ((value = value_of(word, "root-ms="))) {
        words->root_ms = target_number(value);
    } else if ((value = value_of(word, "exit="))) {
        words->code = target_number(value);
    } else if ((value = value_of(word, "ready="))) {
        words->ready = value;
    } else {
        target_usage(
            "[double] [setsid] [ignore-term] [memory=] [child-ms=] [root-ms=] [ready=] [exit=]");
    }
}

/* The one that gets away. Tells that it is set up by closing `told`. */
__attribute__((noreturn)) static void live(const struct words *words, int told)
{
    if (words->session && setsid() < 0) {
        target_die("setsid");
    }
    target_touch_mib(words->memory_mib);
    close(told);
    target_pause_ms(words->child_ms);
    _exit(0);
}

static void leave_behind(const struct words *words)
{
    int told[2];
    if (pipe(told) < 0) {
        target_die("pipe");
    }
    pid_t child = fork();
    if (child < 0) {
        target_die("fork");
    }
    if (child == 0) {
        close(told[0]);
        if (!words->twice || fork() == 0) {
            live(words, told[1]);
        }
        _exit(0);
    }
    close(told[1]);
    if (words->twice && waitpid(child, NULL, 0) < 0) {
        target_die("wait");
    }
    char byte;
    if (read(told[0], &byte, 1) != 0) {
        target_die("read");
    }
    close(told[0]);
}

int main(int argc, char **argv)
{
    struct words words = {.child_ms = 60000};
    for (int i = 1; i < argc; i++) {
        read_word(&words, argv[i]);
    }
    if (words.ignore_term) {
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signal(SIGINT, SIG_IGN);
    }
    leave_behind(&words);
    if (words.ready && close(open(words.ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) < 0) {
        target_die(words.ready);
    }
    target_pause_ms(words.root_ms);
    return (int)words.code;
}
