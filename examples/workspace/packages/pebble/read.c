#include "pebble.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grow(void *old, size_t size) {
    void *new = realloc(old, size);
    if (!new) {
        fputs("pebble: no memory\n", stderr);
        exit(1);
    }
    return new;
}

static char *contents(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t length = 0, got;
    if (!file) {
        perror(path);
        exit(1);
    }
    do {
        text = grow(text, length + 4097);
        got = fread(text + length, 1, 4096, file);
        length += got;
    } while (got > 0);
    text[length] = '\0';
    fclose(file);
    return text;
}

static void add(struct program *program, char *text, int is_text, int line) {
    program->tokens = grow(program->tokens, (program->count + 1) * sizeof *program->tokens);
    program->tokens[program->count++] = (struct token){text, is_text, line, -1};
}

/* Finds where each word of a condition or loop goes on. */
static void connect(struct program *program) {
    int open[64], depth = 0;
    for (int i = 0; i < program->count; i++) {
        struct token *token = &program->tokens[i];
        const char *text = token->is_text ? "" : token->text;
        if (strcmp(text, "if") == 0 || strcmp(text, "begin") == 0 || strcmp(text, "while") == 0) {
            if (depth == 64) {
                fail(program, token->line, "too deep", text);
            }
            open[depth++] = i;
        } else if (strcmp(text, "else") == 0 && depth > 0) {
            program->tokens[open[depth - 1]].jump = i + 1;
            open[depth - 1] = i;
        } else if (strcmp(text, "then") == 0 && depth > 0) {
            program->tokens[open[--depth]].jump = i + 1;
        } else if (strcmp(text, "repeat") == 0 && depth > 1) {
            program->tokens[open[--depth]].jump = i + 1;
            token->jump = open[--depth] + 1;
        }
    }
    if (depth > 0) {
        struct token *token = &program->tokens[open[depth - 1]];
        fail(program, token->line, "nothing ends", token->text);
    }
}

struct program *program_read(const char *file) {
    struct program *program = grow(NULL, sizeof *program);
    char *at = contents(file);
    int line = 1;
    *program = (struct program){file, NULL, 0};
    while (*at) {
        if (*at == '\n') {
            line++;
            at++;
        } else if (*at == ' ' || *at == '\t') {
            at++;
        } else if (*at == '#') {
            at += strcspn(at, "\n");
        } else {
            int is_text = *at == '"';
            char *begin = at + is_text;
            char *end = begin + strcspn(begin, is_text ? "\"" : " \t\n");
            int newline = *end == '\n';
            if (is_text && !*end) {
                fail(program, line, "nothing ends", "\"");
            }
            at = *end ? end + 1 : end;
            *end = '\0';
            add(program, begin, is_text, line);
            line += newline;
        }
    }
    connect(program);
    return program;
}
