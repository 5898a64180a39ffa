#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "table.h"
#include "words.h"

static int usage(void)
{
    fprintf(stderr, "usage: wordfreq [-n COUNT] [FILE ...]\n");
    return 2;
}

static int count_file(struct table *table, const char *name)
{
    int is_input = strcmp(name, "-") == 0;
    struct words words = {.stream = is_input ? stdin : fopen(name, "r")};
    const char *word;
    int failed;

    if (words.stream == NULL)
        return -1;
    while ((word = words_next(&words)) != NULL) {
        if (table_count(table, word) != 0)
            break;
    }
    failed = word != NULL || words.failed;
    free(words.buffer);
    if (!is_input)
        fclose(words.stream);
    return failed ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct table table = {0};
    size_t limit = SIZE_MAX;
    int result = 0;
    int option;

    while ((option = getopt(argc, argv, "n:")) != -1) {
        char *end;
        if (option != 'n')
            return usage();
        errno = 0;
        limit = strtoul(optarg, &end, 10);
        if (errno != 0 || *end != '\0' || end == optarg || *optarg == '-')
            return usage();
    }
    if (optind == argc) {
        static char *input[] = {"-", NULL};
        argv = input;
        argc = 1;
        optind = 0;
    }
    for (int i = optind; i < argc; i++) {
        if (count_file(&table, argv[i]) != 0) {
            fprintf(stderr, "wordfreq: %s: %s\n", argv[i], strerror(errno));
            result = 1;
        }
    }
    if (report(stdout, &table, limit) != 0) {
        perror("wordfreq: output");
        result = 1;
    }
    table_free(&table);
    return result;
}
