#ifndef GREET_H
#define GREET_H

#include <stddef.h>

/* Writes a greeting of somebody in a language ("en", "de", "fr", "la") into a buffer, as snprintf does.
   Returns -1 where the language is not known. */
int greet(char *buffer, size_t size, const char *language, const char *name);

/* How many languages there are. */
int greet_languages(void);

#endif
