/*
 * What the files of a CPU profile share: names that may be written, and stacks in an order that
 * does not depend on the order in which they came.
 *
 * Life: pw_profile_order_make(), read, pw_profile_order_done(); the profile must stay. Threads: one
 * at a time.
 */
#ifndef PW_EXPORTERS_CPU_PROFILE_IMPL_H
#define PW_EXPORTERS_CPU_PROFILE_IMPL_H

#include "core/cpu_profile.h"
#include "core/str.h"

/* Stands between the process and the outermost frame known, where callers are missing. */
#define PW_PROFILE_BROKEN "[broken stack]"

/* Texts with equal ones under one number, the numbers in the order of the texts. */
struct pw_profile_names {
    struct pw_str bytes; /* all texts, each with a NUL */
    size_t *offsets;     /* of each text in `bytes` */
    uint32_t *ranks;     /* of each text */
    uint32_t *first;     /* of each rank: one text that has it */
    size_t count;
    uint32_t distinct;
};

struct pw_profile_order {
    struct pw_profile_names names;     /* of frames */
    struct pw_profile_names objects;   /* of frames */
    struct pw_profile_names processes; /* of processes */
    uint32_t *ranks; /* of frames, by name, and by object and kind if these were asked for */
    uint32_t *first; /* of each rank: one frame that has it */
    uint32_t distinct;
    const struct pw_stack **stacks; /* by process, brokenness, then frames, the outermost first */
    size_t stack_count;
};

/* `replaced` is a character that the format cannot hold in a name: it becomes ':'; '\0' for none.
 * With `by_object` false, frames of one name in several objects are one. */
int pw_profile_order_make(const struct pw_cpu_profile *profile, char replaced, bool by_object,
                          struct pw_profile_order *ret_order, struct pw_err *err);
void pw_profile_order_done(struct pw_profile_order *order);
/* By the number of a frame, of a process; only an object can be "". */
const char *pw_profile_name(const struct pw_profile_names *names, size_t number);
/* As pw_profile_order_make() orders: -1, 0, 1 by process and brokenness, then frames. */
int pw_profile_compare(const struct pw_profile_order *order, const struct pw_stack *left,
                       const struct pw_stack *right);
/* Adds `name` as it may stand in a file: see `replaced` above; each control character and each byte
 * that is not UTF-8 becomes '?'. */
void pw_profile_add_plain(struct pw_str *str, const char *name, char replaced);

/* Style and script of the flame graph. Neither holds "]]>", and the script only ever writes text
 * and numbers into the document. */
extern const char pw_flame_style[];
extern const char pw_flame_script[];

#endif
