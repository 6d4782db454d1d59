#include "wrapper/probe/powers_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/file.h"
#include "wrapper/probe/cgroup_layout.h"
#include "wrapper/probe/proc_file.h"

static bool has_name(const json_t *list, const char *name)
{
    size_t i;
    const json_t *item;

    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (text != NULL && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

static bool is_version_2(const struct pw_power_machine *machine)
{
    return json_integer_value(json_object_get(machine->cgroup, "version")) == 2;
}

void pw_power_probe_cgroup_v2(const struct pw_power_machine *machine, struct pw_power *power)
{
    const char *path = json_string_value(json_object_get(machine->cgroup, "path"));

    if (!is_version_2(machine))
        pw_power_say(power, PW_POWER_ABSENT,
                     "this kernel or this machine has no version 2 hierarchy");
    else if (!json_is_boolean(json_object_get(machine->cgroup, "delegated")))
        pw_power_say(power, PW_POWER_ABSENT,
                     "it is not mounted where this process can see its group");
    else
        pw_power_say(power, PW_POWER_OK, "mounted; this process is in `%.100s`",
                     path != NULL ? path : "");
}

/* No group is made for the trial: others would see it. Whether one can be made is a matter of
 * permissions on the own group's folder, and of a mount that is not read-only; both are asked. */
void pw_power_probe_cgroup_leaves(const struct pw_power_machine *machine, struct pw_power *power)
{
    const json_t *delegated = json_object_get(machine->cgroup, "delegated");

    if (!is_version_2(machine) || !json_is_boolean(delegated))
        pw_power_say(power, PW_POWER_ABSENT, "there is no version 2 group to divide");
    else if (!json_is_true(delegated))
        pw_power_say(power, PW_POWER_DENIED, "this group is not delegated to this user");
    else
        pw_power_say(power, PW_POWER_OK, "this group may be divided");
}

void pw_power_probe_cgroup_controllers(const struct pw_power_machine *machine,
                                       struct pw_power *power)
{
    static const char *const wanted[] = {"cpu", "io", "memory", "pids"};
    const json_t *list = json_object_get(machine->cgroup, "controllers");
    char missing[64] = "";
    unsigned found = 0;

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        size_t length = strlen(missing);
        if (is_version_2(machine) && has_name(list, wanted[i]))
            found++;
        else
            (void)snprintf(missing + length, sizeof missing - length, " %s", wanted[i]);
    }
    if (found == sizeof wanted / sizeof *wanted)
        pw_power_say(power, PW_POWER_OK, "cpu, io, memory, pids");
    else
        pw_power_say(power, found > 0 ? PW_POWER_LIMITED : PW_POWER_ABSENT, "missing:%s", missing);
}

void pw_power_probe_memory_v1(const struct pw_power_machine *machine, struct pw_power *power)
{
    PW_FREE_AUTO struct pw_cgroup_layout *layout = NULL;
    const struct pw_cgroup_place *place = NULL;

    if (pw_cgroup_layout_read(machine->proc_root, &layout, NULL) == 0)
        place = pw_cgroup_layout_find(layout, "memory");
    if (is_version_2(machine) &&
        has_name(json_object_get(machine->cgroup, "controllers"), "memory"))
        pw_power_say(power, PW_POWER_OK, "not needed: version 2 has the controller");
    else if (place == NULL)
        pw_power_say(power, PW_POWER_ABSENT, "no version 1 hierarchy has it");
    else if (faccessat(AT_FDCWD, place->folder, W_OK | X_OK, AT_EACCESS) != 0)
        pw_power_say(power, errno == EACCES || errno == EROFS ? PW_POWER_DENIED : PW_POWER_LIMITED,
                     "this group's folder: %s", strerror(errno));
    else
        pw_power_say(power, PW_POWER_OK, "this group may be divided");
}

void pw_power_probe_smaps_rollup(const struct pw_power_machine *machine, struct pw_power *power)
{
    struct pw_proc_rollup rollup;
    PW_FD_AUTO fd = openat(machine->proc_fd, "self/smaps_rollup", O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        pw_power_say_refusal(power, errno);
        return;
    }
    enum pw_proc_outcome outcome = pw_proc_rollup_read(fd, &rollup);
    if (outcome == PW_PROC_DENIED)
        pw_power_say(power, PW_POWER_DENIED, "it opens, but cannot be read");
    else if (outcome != PW_PROC_OK)
        pw_power_say(power, PW_POWER_ABSENT, "it cannot be read or understood");
    else if (!rollup.has_footprint)
        pw_power_say(power, PW_POWER_LIMITED,
                     "without the parts of Pss (Linux 5.3 and later have them)");
    else
        pw_power_say(power, PW_POWER_OK, "this process: Pss %llu KiB",
                     (unsigned long long)rollup.pss_bytes / 1024);
}

void pw_power_probe_ptrace(const struct pw_power_machine *machine, struct pw_power *power)
{
    char line[PW_POWER_LINE_BYTES];
    const char *text = pw_power_read_line(machine->proc_fd, "sys/kernel/yama/ptrace_scope", line);

    if (text == NULL) {
        pw_power_say(power, PW_POWER_OK, "not restricted");
        return;
    }
    long scope = strtol(text, NULL, 10);
    if (scope <= 0 || (scope < 3 && pw_power_has_capability(machine, CAP_SYS_PTRACE)))
        pw_power_say(power, PW_POWER_OK, "scope %ld%s", scope,
                     scope > 0 ? ", which does not bind this user" : "");
    else
        pw_power_say(power, scope == 1 ? PW_POWER_LIMITED : PW_POWER_DENIED, "scope %ld", scope);
}
