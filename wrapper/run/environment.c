#include "wrapper/run/environment.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const own_names[] = {
    "PERFWRAP_ITERATION=", "PERFWRAP_WORKER_ID=", "PERFWRAP_RUN_DIR=", "PERFWRAP_WORKER_DIR="};
enum { OWN_COUNT = sizeof own_names / sizeof own_names[0] };

static bool is_own(const char *variable)
{
    for (int i = 0; i < OWN_COUNT; i++)
        if (strncmp(variable, own_names[i], strlen(own_names[i])) == 0)
            return true;
    return false;
}

static bool add(char **environment, size_t *count, const char *name, const char *value)
{
    if (asprintf(&environment[*count], "%s%s", name, value) < 0) {
        environment[*count] = NULL;
        return false;
    }
    ++*count;
    return true;
}

static bool fill(char **environment, const char *const values[OWN_COUNT])
{
    size_t count = 0;
    for (size_t i = 0; environ[i]; i++)
        if (!is_own(environ[i]) && !add(environment, &count, "", environ[i]))
            return false;
    for (int i = 0; i < OWN_COUNT; i++)
        if (values[i] && !add(environment, &count, own_names[i], values[i]))
            return false;
    return true;
}

char **pw_environment_new(unsigned iteration, unsigned worker_id, const char *run_dir,
                          const char *worker_dir, struct pw_err *err)
{
    char number[16], worker[16];
    snprintf(number, sizeof number, "%u", iteration);
    snprintf(worker, sizeof worker, "%u", worker_id);
    size_t inherited = 0;
    while (environ[inherited])
        inherited++;
    char **environment = calloc(inherited + OWN_COUNT + 1, sizeof *environment);
    const char *const values[OWN_COUNT] = {number, worker_id ? worker : NULL, run_dir, worker_dir};
    if (environment && fill(environment, values))
        return environment;
    pw_environment_free(environment);
    pw_err_memory(err);
    return NULL;
}

void pw_environment_free(char **environment)
{
    for (size_t i = 0; environment && environment[i]; i++)
        free(environment[i]);
    free(environment);
}
