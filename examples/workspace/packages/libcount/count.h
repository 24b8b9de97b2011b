#ifndef COUNT_H
#define COUNT_H

#include <stdio.h>

struct count {
    long lines;
    long words;
};

/* Counts what is left of a file. Returns 0, or -1 where it cannot be read. */
int count_file(FILE *file, struct count *count);

/* How many minutes a person reads so many words. */
long count_minutes(long words);

#endif
