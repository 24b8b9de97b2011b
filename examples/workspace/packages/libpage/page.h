#ifndef PAGE_H
#define PAGE_H

#include <stddef.h>

/* Writes the header of an answer and the begin of a page to standard output. */
void page_begin(const char *title);

/* Writes text of anybody so that it is nothing but text. */
void page_text(const char *text);

void page_end(void);

/* Takes a parameter out of QUERY_STRING. Returns its length, or -1 where it is not there or too long. */
int page_parameter(const char *name, char *value, size_t size);

#endif
