/*
 * fork_children COUNT MS [thread]: forks COUNT children that all live at once for MS ms, then ends
 * and reaps them. With `thread` it is not the first thread that forks and waits, but a second one.
 *
 * Truth: COUNT direct children, COUNT + 1 processes in the tree, COUNT + 1 threads (one more with
 * `thread`). The children wait for the end of a pipe that the parent holds, so none ends early and
 * none survives the parent.
 */
#include <pthread.h>
#include <sys/wait.h>
#include "tests/targets/target.h"

struct job {
    long count, ms;
};

static void *run(void *argument)
{
    const struct job *job = argument;
    int gate[2];
    if (pipe(gate) < 0) {
        target_die("pipe");
    }
    for (long i = 0; i < job->count; i++) {
        pid_t child = fork();
        if (child < 0) {
            target_die("fork");
        }
        if (child == 0) {
            char byte;
            close(gate[1]);
            _exit(read(gate[0], &byte, 1) == 0 ? 0 : TARGET_FAILED);
        }
    }
    target_pause_ms(job->ms);
    close(gate[0]);
    close(gate[1]);
    for (long i = 0; i < job->count; i++) {
        int status = 0;
        if (wait(&status) < 0 || status != 0) {
            target_die("wait");
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        target_usage("COUNT MS [thread]");
    }
    struct job job = {.count = target_number(argv[1]), .ms = target_number(argv[2])};
    if (argc == 3) {
        run(&job);
        return 0;
    }
    pthread_t thread;
    errno = pthread_create(&thread, NULL, run, &job);
    if (errno || (errno = pthread_join(thread, NULL))) {
        target_die("pthread");
    }
    return 0;
}
