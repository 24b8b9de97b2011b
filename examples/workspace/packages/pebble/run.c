#include "pebble.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(x) #x
#define QUOTED(x) TEXT(x)

/* A value is a number, or a text where `text` is set. */
struct value {
    long number;
    const char *text;
};

/* A word that a program defined: the tokens from `begin` to `;`. */
struct word {
    const char *name;
    struct program *program;
    int begin;
};

static struct value stack[256];
static int height;
static struct word words[256];
static int defined;
static int calls;

static void execute(struct program *program, int at);

void fail(const struct program *program, int line, const char *what, const char *name) {
    fprintf(stderr, "%s:%d: %s `%s`\n", program->file, line, what, name);
    exit(1);
}

static void push(const struct program *program, const struct token *token, long number, const char *text) {
    if (height == 256) {
        fail(program, token->line, "the stack is full at", token->text);
    }
    stack[height++] = (struct value){number, text};
}

static int is_number(const char *text, long *number) {
    char *end;
    *number = strtol(text, &end, 10);
    return *text && !*end;
}

/* Words that take two values and leave one. */
static int binary(const struct program *program, const struct token *token) {
    static const char names[] = "+ - * / % < > = ";
    const char *name = token->text;
    struct value a, b;
    long result;
    if (strlen(name) != 1 || !strchr(names, *name)) {
        return 0;
    }
    if (height < 2) {
        fail(program, token->line, "too few values for", name);
    }
    b = stack[--height];
    a = stack[--height];
    if ((*name == '/' || *name == '%') && b.number == 0) {
        fail(program, token->line, "zero on the right of", name);
    }
    switch (*name) {
    case '+': result = a.number + b.number; break;
    case '-': result = a.number - b.number; break;
    case '*': result = a.number * b.number; break;
    case '/': result = a.number / b.number; break;
    case '%': result = a.number % b.number; break;
    case '<': result = a.number < b.number; break;
    case '>': result = a.number > b.number; break;
    default:
        result = a.text && b.text ? strcmp(a.text, b.text) == 0 : !a.text && !b.text && a.number == b.number;
    }
    push(program, token, result, NULL);
    return 1;
}

/* Words that look at the top of the stack and move it about. */
static int move(const struct program *program, const struct token *token) {
    const char *name = token->text;
    int two = strcmp(name, "swap") == 0 || strcmp(name, "over") == 0;
    struct value top;
    if (!two && strcmp(name, "dup") != 0 && strcmp(name, "drop") != 0 && strcmp(name, "print") != 0) {
        return 0;
    }
    if (height < 1 + two) {
        fail(program, token->line, "too few values for", name);
    }
    top = stack[--height];
    if (strcmp(name, "dup") == 0) {
        push(program, token, top.number, top.text);
        push(program, token, top.number, top.text);
    } else if (strcmp(name, "swap") == 0) {
        struct value below = stack[--height];
        push(program, token, top.number, top.text);
        push(program, token, below.number, below.text);
    } else if (strcmp(name, "over") == 0) {
        struct value below = stack[height - 1];
        push(program, token, top.number, top.text);
        push(program, token, below.number, below.text);
    } else if (strcmp(name, "print") == 0 && top.text) {
        puts(top.text);
    } else if (strcmp(name, "print") == 0) {
        printf("%ld\n", top.number);
    }
    return 1;
}

static int call(const struct token *token) {
    for (int i = defined - 1; i >= 0; i--) {
        if (strcmp(words[i].name, token->text) == 0) {
            execute(words[i].program, words[i].begin);
            return 1;
        }
    }
    return 0;
}

/* Loads a module from $PEBBLE_PATH or where modules are installed. */
static void use(const char *name) {
    const char *directory = getenv("PEBBLE_PATH");
    char *path = malloc(strlen(name) + strlen(directory ? directory : QUOTED(MODULES)) + 6);
    sprintf(path, "%s/%s.peb", directory ? directory : QUOTED(MODULES), name);
    execute(program_read(path), 0);
}

/* Remembers a word, and gives the place behind its `;`. */
static int define(struct program *program, int at) {
    int name = at + 1;
    if (name >= program->count || defined == 256) {
        fail(program, program->tokens[at].line, "no room or no name for", ":");
    }
    words[defined++] = (struct word){program->tokens[name].text, program, name + 1};
    while (++at < program->count && (program->tokens[at].is_text || strcmp(program->tokens[at].text, ";") != 0)) {
    }
    if (at == program->count) {
        fail(program, program->tokens[name].line, "no `;` ends", program->tokens[name].text);
    }
    return at + 1;
}

static void execute(struct program *program, int at) {
    if (++calls > 1000) {
        fail(program, program->tokens[at].line, "too many calls at", program->tokens[at].text);
    }
    while (at < program->count) {
        struct token *token = &program->tokens[at];
        long number;
        if (token->is_text) {
            push(program, token, 0, token->text);
        } else if (strcmp(token->text, ";") == 0) {
            break;
        } else if (strcmp(token->text, ":") == 0) {
            at = define(program, at);
            continue;
        } else if (strcmp(token->text, "use") == 0 && at + 1 < program->count) {
            use(program->tokens[++at].text);
        } else if (strcmp(token->text, "if") == 0 || strcmp(token->text, "while") == 0) {
            if (height < 1) {
                fail(program, token->line, "too few values for", token->text);
            }
            if (!stack[--height].number) {
                at = token->jump;
                continue;
            }
        } else if (token->jump >= 0 && strcmp(token->text, "begin") != 0) {
            at = token->jump;
            continue;
        } else if (strcmp(token->text, "begin") == 0 || strcmp(token->text, "then") == 0) {
        } else if (is_number(token->text, &number)) {
            push(program, token, number, NULL);
        } else if (!call(token) && !binary(program, token) && !move(program, token)) {
            fail(program, token->line, "no word", token->text);
        }
        at++;
    }
    calls--;
}

void program_run(struct program *program) {
    execute(program, 0);
}
