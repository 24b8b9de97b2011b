#include "greet.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *language;
    const char *format;
} greetings[] = {
    {"en", "Hello, %s!"},
    {"de", "Guten Tag, %s!"},
    {"fr", "Bonjour, %s !"},
    {"la", "Salve, %s!"},
};

int greet_languages(void) {
    return sizeof greetings / sizeof greetings[0];
}

int greet(char *buffer, size_t size, const char *language, const char *name) {
    /* Few languages: a search from first to last is quick enough. */
    for (int i = 0; i < greet_languages(); i++) {
        if (strcmp(greetings[i].language, language) == 0) {
            return snprintf(buffer, size, greetings[i].format, name);
        }
    }
    return -1;
}
