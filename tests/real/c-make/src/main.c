#include <stdio.h>
#include <string.h>

#include "count.h"

int main(int argc, char **argv) {
    if (argc > 1) {
        printf(strcmp(argv[1], "--version") ? "usage: count < FILE\n" : VERSION "\n");
        return 0;
    }
    struct counts all = count(getchar);
    printf("%lu %lu %lu\n", all.lines, all.words, all.bytes);
    return 0;
}
