#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdio.h>

/* Reads a stream word by word. Zero it, set `stream`, and free `buffer` at the end. */
struct words {
    FILE *stream;
    char *buffer;
    size_t capacity;
    int failed; /* a read failed or memory is short; errno says which */
};

/* The next word in lower case, valid until the next call; NULL at the end of the stream or of what could be read. */
const char *words_next(struct words *words);

#endif
