/* A summary from outside, as `perfwrap show` takes it: read, list every number, render in every
 * format. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "core/file.h"
#include "exporters/exporter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const char *name, double number, void *context)
{
    const struct pw_summary *summary = context;
    struct pw_value found = pw_summary_number(summary, name);
    (void)found;
    (void)number;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct pw_err err = PW_ERR_INIT;
    PW_FD_AUTO fd = memfd_create("summary", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        abort();
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct pw_summary *summary = pw_summary_load(path, &err);
    if (!summary) {
        return 0;
    }
    pw_summary_each_number(summary, visit, summary);
    for (size_t i = 0; i < PW_EXPORTER_COUNT; i++) {
        PW_STR_AUTO text = PW_STR_INIT;
        if (pw_exporters[i].render(summary, (struct pw_export_style){.color = true}, &text, &err) !=
            0) {
            abort();
        }
    }
    pw_summary_free(summary);
    return 0;
}
