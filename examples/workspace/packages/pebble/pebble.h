#ifndef PEBBLE_H
#define PEBBLE_H

/* A word of a program. `jump` is where `if`, `else`, `while` and `repeat` go on. */
struct token {
    char *text;
    int is_text;
    int line;
    int jump;
};

/* A program as it was read. */
struct program {
    const char *file;
    struct token *tokens;
    int count;
};

struct program *program_read(const char *file);
void program_run(struct program *program);

/* Says what is wrong at a line and ends. */
void fail(const struct program *program, int line, const char *what, const char *name);

#endif
