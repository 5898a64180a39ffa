#ifndef TABLE_H
#define TABLE_H

#include <stddef.h>

struct entry {
    char *word;
    unsigned long count;
};

/* A hash table with open addressing. Zero it before the first use. */
struct table {
    struct entry *slots;
    size_t capacity; /* zero or a power of two */
    size_t used;
};

/* Counts `word` once more. Returns 0, or -1 with `errno` set if memory is short; the table is then unchanged. */
int table_count(struct table *table, const char *word);

void table_free(struct table *table);

#endif
