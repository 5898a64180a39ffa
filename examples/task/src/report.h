#ifndef REPORT_H
#define REPORT_H

#include <stddef.h>
#include <stdio.h>

#include "table.h"

/* Writes at most `limit` lines of `table`, the most frequent word first, equal counts in alphabetical order. Returns 0,
   or -1 with `errno` set. */
int report(FILE *stream, const struct table *table, size_t limit);

#endif
