/* RFC 3339, section 5.6. */
#include <string.h>
#include <time.h>
#include "sla/index_impl.h"

/* `count` digits at *text, which moves behind them; false if there are fewer. */
static bool take_digits(const char **text, unsigned count, int *ret_number)
{
    int number = 0;
    for (; count > 0; count--, (*text)++) {
        if (**text < '0' || **text > '9') {
            return false;
        }
        number = number * 10 + (**text - '0');
    }
    *ret_number = number;
    return true;
}

static bool take_char(const char **text, const char *any_of)
{
    if (!**text || !strchr(any_of, **text)) {
        return false;
    }
    (*text)++;
    return true;
}

/* Digits behind the point; those after the ninth say nothing to a clock. */
static bool take_fraction(const char **text, int32_t *ret_nsec)
{
    int32_t nsec = 0, weight = 100000000;
    const char *first = *text;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        nsec += (**text - '0') * weight;
        weight /= 10;
    }
    *ret_nsec = nsec;
    return *text > first;
}

static bool take_offset(const char **text, int *ret_minutes)
{
    int hours = 0, minutes = 0;
    if (take_char(text, "Zz")) {
        *ret_minutes = 0;
        return true;
    }
    bool west = **text == '-';
    if (!take_char(text, "+-") || !take_digits(text, 2, &hours) || !take_char(text, ":") ||
        !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59) {
        return false;
    }
    *ret_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool pw_index_parse_time(const char *text, int64_t *ret_sec, int32_t *ret_nsec)
{
    struct tm date = {0};
    int offset = 0;
    int32_t nsec = 0;
    if (!take_digits(&text, 4, &date.tm_year) || !take_char(&text, "-") ||
        !take_digits(&text, 2, &date.tm_mon) || !take_char(&text, "-") ||
        !take_digits(&text, 2, &date.tm_mday) || !take_char(&text, "Tt ") ||
        !take_digits(&text, 2, &date.tm_hour) || !take_char(&text, ":") ||
        !take_digits(&text, 2, &date.tm_min) || !take_char(&text, ":") ||
        !take_digits(&text, 2, &date.tm_sec)) {
        return false;
    }
    /* A leap second is 60. */
    if (date.tm_mon < 1 || date.tm_mon > 12 || date.tm_mday < 1 || date.tm_mday > 31 ||
        date.tm_hour > 23 || date.tm_min > 59 || date.tm_sec > 60) {
        return false;
    }
    if ((take_char(&text, ".") && !take_fraction(&text, &nsec)) ||
        (*text && !take_offset(&text, &offset)) || *text) {
        return false;
    }
    date.tm_year -= 1900;
    date.tm_mon -= 1;
    *ret_sec = timegm(&date) - (int64_t)offset * 60;
    *ret_nsec = nsec;
    return true;
}
