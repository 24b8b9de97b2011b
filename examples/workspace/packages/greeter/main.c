#include <greet.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const char *language = "en";
    char text[200];
    int option;
    while ((option = getopt(argc, argv, "l:")) != -1) {
        if (option != 'l') {
            return 2;
        }
        language = optarg;
    }
    if (optind != argc - 1) {
        fputs("usage: greeter [-l LANGUAGE] NAME\n", stderr);
        return 2;
    }
    if (greet(text, sizeof text, language, argv[optind]) < 0) {
        fprintf(stderr, "greeter: no language `%s`\n", language);
        return 1;
    }
    puts(text);
    return 0;
}
