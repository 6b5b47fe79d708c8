/* SPDX-License-Identifier: MIT */
/* A table of wrapped text cells, for people. */
#ifndef VTD_TESTS_TABLE_H
#define VTD_TESTS_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table_column {
        const char *title;
        size_t width;
};

/* Prints the heading row between rules. */
void table_heading(FILE *out, const struct table_column *columns, size_t count);

/* Prints one row and a rule below it; cells are wrapped at blanks, and at "\n". */
void table_row(FILE *out, const struct table_column *columns, const char *const *cells,
               size_t count);

#endif
