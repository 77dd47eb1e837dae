#include "count.h"

struct counts count(int (*next)(void)) {
    struct counts all = {0, 0, 0};
    int byte, inside = 0;
    while ((byte = next()) >= 0) {
        int space = byte == ' ' || byte == '\n' || byte == '\t';
        all.bytes++;
        all.lines += byte == '\n';
        all.words += !space && !inside;
        inside = !space;
    }
    return all;
}
