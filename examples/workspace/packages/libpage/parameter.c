#include "page.h"

#include <stdlib.h>
#include <string.h>

static int digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c | 0x20) : NULL;
    return found ? found - digits : -1;
}

/* Takes `%41` and `+` back. */
static int decode(const char *from, const char *end, char *to, size_t size) {
    size_t length = 0;
    while (from < end) {
        char c = *from++;
        if (c == '+') {
            c = ' ';
        } else if (c == '%' && end - from >= 2 && digit(from[0]) >= 0 && digit(from[1]) >= 0) {
            c = digit(from[0]) * 16 + digit(from[1]);
            from += 2;
        }
        if (length + 1 >= size) {
            return -1;
        }
        to[length++] = c;
    }
    to[length] = '\0';
    return length;
}

int page_parameter(const char *name, char *value, size_t size) {
    const char *query = getenv("QUERY_STRING");
    size_t length = strlen(name);
    while (query && *query) {
        const char *end = query + strcspn(query, "&");
        if (strncmp(query, name, length) == 0 && query[length] == '=') {
            return decode(query + length + 1, end, value, size);
        }
        query = *end ? end + 1 : end;
    }
    return -1;
}
