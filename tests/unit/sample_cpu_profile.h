/* A small CPU profile whose figures are known, for tests; its stacks may be added in any order. */
#ifndef PW_TESTS_SAMPLE_CPU_PROFILE_H
#define PW_TESTS_SAMPLE_CPU_PROFILE_H

#include <stdbool.h>
#include "core/cpu_profile.h"
#include "tests/unit/unit.h"

static inline uint32_t add_frame(struct pw_cpu_profile *profile, const char *name,
                                 const char *object, enum pw_frame_kind kind)
{
    uint32_t frame = UINT32_MAX;
    assert_int_equal(pw_cpu_profile_frame(profile, name, object, kind, &frame, NULL), 0);
    return frame;
}

static inline uint32_t add_process(struct pw_cpu_profile *profile, const char *name)
{
    uint32_t process = UINT32_MAX;
    assert_int_equal(pw_cpu_profile_process(profile, name, &process, NULL), 0);
    return process;
}

/* A stack of user frames of "/bin/app", "leaf;caller;outermost". */
static inline void add_user_stack(struct pw_cpu_profile *profile, const char *process,
                                  const char *names, bool broken, uint64_t samples,
                                  int64_t weight_ns)
{
    uint32_t frames[16];
    uint32_t depth = 0;
    char copy[256];
    char *rest = copy;
    snprintf(copy, sizeof(copy), "%s", names);
    for (char *name; (name = strsep(&rest, ";"));) {
        bool kernel = strncmp(name, "sys_", 4) == 0;
        frames[depth++] = add_frame(profile, name, kernel ? "[kernel]" : "/bin/app",
                                    kernel ? PW_FRAME_KERNEL : PW_FRAME_USER);
    }
    assert_int_equal(pw_cpu_profile_add(profile, add_process(profile, process), frames, depth,
                                        broken, samples, weight_ns, NULL),
                     0);
}

/* 1,000 samples of 1 ms: 1 s. */
static inline void add_sample_stack(struct pw_cpu_profile *profile, unsigned which)
{
    switch (which) {
    case 0: add_user_stack(profile, "app", "parse;main", false, 700, 700000000); break;
    case 1: add_user_stack(profile, "app", "sys_read;load;main", false, 150, 150000000); break;
    case 2: add_user_stack(profile, "app", "walk;walk;main", false, 100, 100000000); break;
    default: add_user_stack(profile, "sh", "parse", true, 50, 50000000); break;
    }
}
enum { SAMPLE_STACKS = 4 };

static inline void make_sample_profile(struct pw_cpu_profile *profile)
{
    pw_cpu_profile_init(profile, 1000);
    for (unsigned i = 0; i < SAMPLE_STACKS; i++) {
        add_sample_stack(profile, i);
    }
}

#endif
