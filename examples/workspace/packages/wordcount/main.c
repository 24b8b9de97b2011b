#include <count.h>

int main(int argc, char **argv) {
    int status = 0;
    for (int i = 1; i < argc; i++) {
        struct count count;
        FILE *file = fopen(argv[i], "r");
        if (!file || count_file(file, &count) != 0) {
            perror(argv[i]);
            status = 1;
        } else {
            long minutes = count_minutes(count.words);
            printf("%ld lines, %ld words, %ld minutes: %s\n", count.lines, count.words, minutes, argv[i]);
        }
        if (file) {
            fclose(file);
        }
    }
    return status;
}
