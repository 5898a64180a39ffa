#include "table.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a */
static size_t hash(const char *word)
{
    size_t value = 14695981039346656037UL;
    for (; *word != '\0'; word++) {
        value ^= (unsigned char)*word;
        value *= 1099511628211UL;
    }
    return value;
}

/* The slot that holds `word`, or the free one where it belongs. */
static struct entry *find(struct entry *slots, size_t capacity, const char *word)
{
    size_t index = hash(word) & (capacity - 1);
    while (slots[index].word != NULL && strcmp(slots[index].word, word) != 0)
        index = (index + 1) & (capacity - 1);
    return &slots[index];
}

static int grow(struct table *table)
{
    size_t capacity = table->capacity ? table->capacity * 2 : 64;
    struct entry *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return -1;
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].word != NULL)
            *find(slots, table->capacity, table->slots[i].word) = table->slots[i];
    }
    free(table->slots);
    table->slots = slots;
    table->capacity = capacity;
    return 0;
}

int table_count(struct table *table, const char *word)
{
    /* At most three quarters full: find() needs a free slot to stop at. */
    if (table->used >= table->capacity / 4 * 3 && grow(table) != 0)
        return -1;
    struct entry *entry = find(table->slots, table->capacity, word);
    if (entry->word == NULL) {
        char *copy = strdup(word);
        if (copy == NULL)
            return -1;
        entry->word = copy;
        table->used++;
    }
    entry->count++;
    return 0;
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->capacity; i++)
        free(table->slots[i].word);
    free(table->slots);
    *table = (struct table){0};
}
