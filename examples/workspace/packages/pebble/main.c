#include "pebble.h"

#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: pebble FILE\n", stderr);
        return 2;
    }
    program_run(program_read(argv[1]));
    return 0;
}
