#include "count.h"

#include <ctype.h>

#define WORDS_A_MINUTE 200

int count_file(FILE *file, struct count *count) {
    int inside = 0;
    int c;
    count->lines = 0;
    count->words = 0;
    while ((c = getc(file)) != EOF) {
        if (c == '\n') {
            count->lines++;
        }
        if (isspace(c)) {
            inside = 0;
        } else if (!inside) {
            inside = 1;
            count->words++;
        }
    }
    return ferror(file) ? -1 : 0;
}

long count_minutes(long words) {
    return (words + WORDS_A_MINUTE - 1) / WORDS_A_MINUTE;
}
