/* What inputs.c and inputs_glob.c share. */
#ifndef PW_SLA_INPUTS_IMPL_H
#define PW_SLA_INPUTS_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "core/err.h"
#include "core/str.h"
#include "sla/inputs.h"

/* A file that was taken: of each only its first name is kept. */
struct pw_input_file {
    dev_t device;
    ino_t inode;
    bool used; /* of a place in the table */
};

struct pw_input_walk {
    struct pw_inputs inputs;
    struct pw_input_file *files; /* open addressing; `slots` is a power of two */
    size_t slots;
    const char *word; /* being expanded */
    size_t matched;   /* files that it stands for, also those that were taken before */
    /* May be NULL. */
    int (*taken)(const char *path, const struct stat *info, void *context, struct pw_err *err);
    void *context;
};

/* The names in a folder, sorted. */
struct pw_input_names {
    struct pw_input_name {
        char *name;
        bool folder; /* itself, not behind a symbolic link */
    } * items;
    size_t count, capacity;
};
/* Those names for which `wanted` is true. A folder that is gone, or is none, has no names. */
int pw_input_names_read(const char *path, bool (*wanted)(const char *name, void *context),
                        void *context, struct pw_input_names *ret_names, struct pw_err *err);
void pw_input_names_done(struct pw_input_names *names);

/* Puts "/name" behind the path ("name" behind an empty one); returns its length before. */
size_t pw_input_path_push(struct pw_str *path, const char *name, size_t length);
void pw_input_path_pop(struct pw_str *path, size_t length);

int pw_input_add_file(struct pw_input_walk *walk, const char *path, const struct stat *info,
                      struct pw_err *err);
/* A folder's summary.json, or all below it; none is no error. */
int pw_input_add_folder(struct pw_input_walk *walk, const char *path, struct pw_err *err);
/* All that the pattern in walk->word matches; nothing is no error. */
int pw_input_add_glob(struct pw_input_walk *walk, struct pw_err *err);

#endif
