#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void page_text(const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", stdout);
            break;
        case '>':
            fputs("&gt;", stdout);
            break;
        case '&':
            fputs("&amp;", stdout);
            break;
        default:
            putchar(*text);
        }
    }
}

void page_begin(const char *title) {
    fputs("Content-Type: text/html; charset=utf-8\r\n\r\n<!doctype html>\n<title>", stdout);
    page_text(title);
    fputs("</title>\n<p>", stdout);
}

void page_end(void) {
    fputs("</p>\n", stdout);
}
