/* What boots of machines are never compared across. */
#include "sla/guest.h"
#include "tests/unit/unit.h"

static json_t *summary(const char *environment)
{
    json_t *parsed = json_loads(environment, 0, NULL);
    assert_non_null(parsed);
    return json_pack("{s:o}", "environment", parsed);
}

static void check(const char *a, const char *b, const char *expected)
{
    json_t *one = summary(a), *other = summary(b);
    const char *key = pw_guest_difference(one, other);
    const char *back = pw_guest_difference(other, one);
    if (expected) {
        assert_non_null(key);
        assert_string_equal(key, expected);
        assert_string_equal(back, expected);
    } else {
        assert_null(key);
        assert_null(back);
    }
    json_decref(one);
    json_decref(other);
}

#define BOOT "\"guest_kernel\": \"6.1\", \"monitor\": \"QEMU 7.2\", "

static void differences(void **state)
{
    (void)state;
    check("{" BOOT "\"accelerator\": \"qemu-tcg\"}", "{" BOOT "\"accelerator\": \"qemu-tcg\"}",
          NULL);
    check("{" BOOT "\"accelerator\": \"qemu-tcg\"}", "{" BOOT "\"accelerator\": \"qemu-kvm\"}",
          "accelerator");
    check("{" BOOT "\"ksm\": 0}", "{\"guest_kernel\": \"6.2\", \"ksm\": 1}", "guest_kernel");
    check("{" BOOT "\"ksm\": 0}", "{\"monitor\": \"QEMU 8\"}", "monitor");
    check("{" BOOT "\"boot_start\": \"cold\"}", "{" BOOT "\"boot_start\": \"snapshot\"}",
          "boot_start");
    check("{" BOOT "\"cache_state\": \"a\"}", "{" BOOT "\"cache_state\": \"b\"}", "cache_state");
    check("{" BOOT "\"transparent_hugepage\": \"always\"}",
          "{" BOOT "\"transparent_hugepage\": \"never\"}", "transparent_hugepage");
    check("{" BOOT "\"ksm\": 0}", "{" BOOT "\"ksm\": 1}", "ksm");
    check("{" BOOT "\"ksm\": 0}", "{" BOOT "\"ksm\": 0.0}", NULL);
}

static void what_is_not_known_differs_from_nothing(void **state)
{
    (void)state;
    check("{" BOOT "\"ksm\": 0}", "{" BOOT "\"ksm\": null}", NULL);
    check("{" BOOT "\"ksm\": 0}", "{" BOOT "\"x\": 1}", NULL);
    /* Of plain commands nothing is said. */
    check("{\"ksm\": 0, \"transparent_hugepage\": \"always\"}",
          "{\"ksm\": 1, \"transparent_hugepage\": \"never\"}", NULL);
    check("{" BOOT "\"ksm\": 0}", "{\"ksm\": 1}", NULL);
    json_t *none = json_object();
    assert_false(pw_guest_is_one(none));
    assert_null(pw_guest_value(none, "ksm"));
    json_decref(none);
}

static void values(void **state)
{
    (void)state;
    PW_STR_AUTO text = PW_STR_INIT;
    json_t *root = summary("{\"monitor\": \"QEMU\", \"ksm\": 2, \"kvm\": [1]}");
    pw_guest_add_value(&text, pw_guest_value(root, "monitor"));
    pw_str_add_char(&text, ' ');
    pw_guest_add_value(&text, pw_guest_value(root, "ksm"));
    assert_string_equal(text.text, "QEMU 2");
    assert_null(pw_guest_value(root, "kvm"));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences),
        cmocka_unit_test(what_is_not_known_differs_from_nothing),
        cmocka_unit_test(values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
