/* What a guest and its monitor say, judged: any bytes, and any end. The first bytes choose the end,
 * the rest are the three texts, divided by 0xff. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "wrapper/boot/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds) {
        abort();
    }
}

/* Up to the divider; exactly as large, so that a step beyond it is seen. */
static char *take_text(const uint8_t **data, const uint8_t *end)
{
    const uint8_t *divider = memchr(*data, 0xff, (size_t)(end - *data));
    const uint8_t *last = divider ? divider : end;
    char *text = strndup((const char *)*data, (size_t)(last - *data));
    *data = divider ? divider + 1 : end;
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pw_moment_names names = {.count = 3, .names = {"kernel", "rootfs", "exec"}};
    struct pw_moments moments;
    struct pw_boot_judgement judgement;
    if (size < 4) {
        return 0;
    }
    const uint8_t *at = data + 4;
    const uint8_t *end = data + size;
    pw_moments_init(&moments);
    for (int i = 0; i < 3; i++) {
        moments.at_ns[i] = data[3] >> (2 * i) & 3 ? data[3] >> (2 * i) & 3 : -1;
    }
    char *told = take_text(&at, end);
    char *console = take_text(&at, end);
    char *errors = take_text(&at, end);
    const struct pw_boot_end boot = {
        .told = told,
        .console = console,
        .errors = errors,
        .end = data[0] % PW_END_COUNT,
        .return_code = data[1],
        .signal = data[2] % 65,
        .names = data[0] & 0x80 ? NULL : &names,
        .moments = &moments,
    };
    pw_boot_judge(&boot, &judgement);
    check(judgement.verdict >= 0 && judgement.verdict < PW_BOOT_COUNT);
    check(judgement.signal >= 0 && judgement.signal <= 64);
    check(judgement.return_code >= 0 && judgement.return_code <= 255);
    check(memchr(judgement.detail, '\0', sizeof(judgement.detail)) != NULL);
    for (const char *c = judgement.detail; *c; c++) {
        check(*c == '\n' || (*c >= ' ' && *c < 0x7f)); /* fit for a terminal */
    }
    if (judgement.verdict == PW_BOOT_OK) {
        check(judgement.return_code == 0 && judgement.signal == 0);
        check(boot.end != PW_END_TIMEOUT && boot.end != PW_END_INTERRUPTED);
        /* A command cannot be said to have succeeded where nothing of the kind was said. */
        check(!boot.names || strstr(told, "PW exec ") || strstr(console, "PW exec "));
    } else if (judgement.verdict != PW_BOOT_INTERRUPTED) {
        check(judgement.return_code > 0 && *judgement.detail);
    }
    free(told);
    free(console);
    free(errors);
    return 0;
}
