#include "wrapper/probe/cpu_names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/file.h"
#include "core/limits.h"

#define BEYOND "[beyond the limit]"

enum { NAME_BYTES = PW_LIMIT_PROFILE_NAME_BYTES };

/* A frame of the stacks, named when a stack first has it. */
struct named {
    bool is_named;
    bool can_be_outermost; /* threads begin there */
    bool is_certain;       /* that was said by its name, not by its file */
    uint32_t frame;        /* of the profile */
};

struct naming {
    const struct pw_perf_stacks *stacks;
    const struct pw_perf_maps *maps;
    const struct pw_symbolizer *symbolizer;
    struct pw_cpu_profile *profile;
    struct named *named;
};

/* The outermost functions of threads: of crt1.o, glibc, musl, the loader, Go. */
static bool is_start(const char *name)
{
    static const char *const starts[] = {
        "_start",
        "_start_c",
        "__libc_start_main",
        "__libc_start_call_main",
        "start_thread",
        "start",
        "thread_start",
        "clone",
        "__clone",
        "clone3",
        "__clone3",
        "__clone_internal",
        "_dl_start",
        "_dl_start_user",
        "_dlstart",
        "_dlstart_c",
        "_rt0_go",
        "runtime.rt0_go",
        "runtime.rt0_go.abi0",
        "runtime.goexit",
        "runtime.mcall",
        "runtime.mstart",
        "runtime.goexit.abi0",
        "runtime.mstart.abi0",
        "runtime.systemstack",
        "runtime.systemstack.abi0",
        "__libc_start_main_impl",
    };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        if (strcmp(name, starts[i]) == 0) {
            return true;
        }
    }
    return false;
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* glibc, older glibc, musl, and their loaders. */
static bool is_c_library(const char *path)
{
    const char *base = base_of(path);
    return begins(base, "libc.so") || begins(base, "libc-2.") || begins(base, "libc.musl-") ||
           begins(base, "libpthread") || begins(base, "ld-linux") || begins(base, "ld-musl") ||
           begins(base, "ld-2.") || begins(base, "ld64.so");
}

static void unnamed(const struct pw_perf_object *object, uint64_t offset, char *ret_name)
{
    if (object->is_file && object->path[0] == '/') {
        snprintf(ret_name, NAME_BYTES, "[%s+0x%" PRIx64 "]", base_of(object->path), offset);
    } else if (object->path[0] == '\0') {
        snprintf(ret_name, NAME_BYTES, "[anonymous memory]");
    } else if (object->path[0] == '[') {
        snprintf(ret_name, NAME_BYTES, "%s", object->path);
    } else {
        snprintf(ret_name, NAME_BYTES, "[%s]", object->path);
    }
}

static int name_user(const struct naming *naming, const struct pw_perf_frame *frame,
                     struct named *named, struct pw_err *err)
{
    const struct pw_perf_object *object = pw_perf_maps_object(naming->maps, frame->object);
    struct pw_symbol_place place = {
        .object = object->path,
        .file_offset = object->is_file ? frame->offset : 0,
        .address = frame->address,
        .pid = object->is_file ? object->pid : frame->pid,
        .file = object->file,
        .mapped_at_ns = object->mapped_at_ns,
    };
    enum pw_frame_kind kind = PW_FRAME_USER;
    const char *name = naming->symbolizer->user(naming->symbolizer->context, &place, &kind);
    char buffer[NAME_BYTES];
    named->is_certain = name != NULL;
    named->can_be_outermost = name ? is_start(name) : is_c_library(object->path);
    const char *object_name = object->path;
    if (!name) {
        unnamed(object, frame->offset, buffer);
        name = buffer;
        kind = object->is_file ? PW_FRAME_USER : PW_FRAME_UNKNOWN;
    } else if (kind == PW_FRAME_JIT) {
        object_name = "[perf map]";
    }
    return pw_cpu_profile_frame(naming->profile, name, object_name, kind, &named->frame, err);
}

static int name_frame(const struct naming *naming, const struct pw_perf_frame *frame,
                      struct named *named, struct pw_err *err)
{
    if (frame->object == PW_PERF_OBJECT_KERNEL) {
        const char *name = naming->symbolizer->kernel(naming->symbolizer->context, frame->address);
        return pw_cpu_profile_frame(naming->profile, name ? name : "[kernel]", "[kernel]",
                                    PW_FRAME_KERNEL, &named->frame, err);
    }
    if (frame->object == PW_PERF_OBJECT_NOWHERE) {
        return pw_cpu_profile_frame(naming->profile, "[unknown]", "", PW_FRAME_UNKNOWN,
                                    &named->frame, err);
    }
    return name_user(naming, frame, named, err);
}

static bool is_broken(const struct pw_perf_stack *stack, const struct named *outermost)
{
    if (stack->user_depth == 0) {
        return false;
    }
    /* Behind a known start there is nothing: whatever a register seems to say there. */
    bool is_whole = outermost->can_be_outermost &&
                    (outermost->is_certain || (stack->user_depth > 1 && !stack->cut));
    return !is_whole;
}

static int add_stack(const struct naming *naming, const struct pw_perf_stack *stack,
                     struct pw_err *err)
{
    uint32_t frames[PW_LIMIT_SAMPLED_DEPTH], process = 0;
    const struct named *last = NULL;
    for (uint32_t i = 0; i < stack->depth; i++) {
        uint32_t number = naming->stacks->words[stack->first + i];
        struct named *named = &naming->named[number];
        if (!named->is_named &&
            name_frame(naming, &naming->stacks->frames[number], named, err) != 0) {
            return -1;
        }
        named->is_named = true;
        frames[i] = named->frame;
        last = named;
    }
    if (pw_cpu_profile_process(naming->profile, naming->stacks->comms[stack->comm], &process,
                               err) != 0) {
        return -1;
    }
    return pw_cpu_profile_add(naming->profile, process, frames, stack->depth,
                              last && is_broken(stack, last), stack->samples, stack->weight_ns,
                              err);
}

static int add_beyond(const struct naming *naming, struct pw_err *err)
{
    uint32_t frame = 0, process = 0;
    if (naming->stacks->beyond == 0) {
        return 0;
    }
    if (pw_cpu_profile_frame(naming->profile, BEYOND, "", PW_FRAME_UNKNOWN, &frame, err) != 0 ||
        pw_cpu_profile_process(naming->profile, BEYOND, &process, err) != 0) {
        return -1;
    }
    return pw_cpu_profile_add(naming->profile, process, &frame, 1, true, naming->stacks->beyond,
                              naming->stacks->beyond_ns, err);
}

int pw_cpu_names_add(const struct pw_perf_stacks *stacks, const struct pw_perf_maps *maps,
                     const struct pw_symbolizer *symbolizer, struct pw_cpu_profile *profile,
                     struct pw_err *err)
{
    PW_FREE_AUTO struct named *named = calloc(stacks->frame_count + 1, sizeof *named);
    if (!named) {
        return pw_err_memory(err);
    }
    struct naming naming = {.stacks = stacks,
                            .maps = maps,
                            .symbolizer = symbolizer,
                            .profile = profile,
                            .named = named};
    for (size_t i = 0; i < stacks->stack_count; i++) {
        if (add_stack(&naming, &stacks->stacks[i], err) != 0) {
            return -1;
        }
    }
    return add_beyond(&naming, err);
}
