#include "words.h"

#include <ctype.h>
#include <stdlib.h>

static int is_word_byte(int c)
{
    return c < 128 && (isalnum(c) || c == '\'');
}

const char *words_next(struct words *words)
{
    size_t length = 0;
    int c;

    while ((c = getc(words->stream)) != EOF) {
        if (is_word_byte(c)) {
            if (length + 1 >= words->capacity) {
                size_t capacity = words->capacity ? words->capacity * 2 : 16;
                char *buffer = realloc(words->buffer, capacity);
                if (buffer == NULL) {
                    words->failed = 1;
                    return NULL;
                }
                words->buffer = buffer;
                words->capacity = capacity;
            }
            words->buffer[length++] = (char)tolower(c);
        } else if (length > 0) {
            words->buffer[length] = '\0';
            return words->buffer;
        }
    }
    words->failed = ferror(words->stream);
    return NULL;
}
