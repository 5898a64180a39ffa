#include "report.h"

#include <stdlib.h>
#include <string.h>

static int by_count(const void *left, const void *right)
{
    const struct entry *a = left;
    const struct entry *b = right;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return strcmp(b->word, a->word);
}

int report(FILE *stream, const struct table *table, size_t limit)
{
    struct entry *sorted = calloc(table->used + 1, sizeof *sorted);
    size_t length = 0;

    if (sorted == NULL)
        return -1;
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].word != NULL)
            sorted[length++] = table->slots[i];
    }
    qsort(sorted, length, sizeof *sorted, by_count);
    for (size_t i = 0; i < length && i <= limit; i++)
        fprintf(stream, "%lu %s\n", sorted[i].count, sorted[i].word);
    free(sorted);
    return fflush(stream) == 0 ? 0 : -1;
}
