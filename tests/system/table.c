/* SPDX-License-Identifier: MIT */
/* See table.h. */
#include "tests/system/table.h"

#include <stdbool.h>
#include <string.h>

#define COLUMNS_MAX 8u

static void rule(FILE *out, const struct table_column *columns, size_t count)
{
        for (size_t c = 0; c < count; c++) {
                (void)fputs(c == 0 ? "+-" : "-+-", out);
                for (size_t i = 0; i < columns[c].width; i++)
                        (void)fputc('-', out);
        }
        (void)fputs("-+\n", out);
}

/* How many bytes of @text go on a line of @width; *@next is where the following line starts. */
static size_t line_length(const char *text, size_t width, const char **next)
{
        size_t length = strcspn(text, "\n");
        size_t cut;

        if (length <= width) {
                *next = text + length + (text[length] == '\n');
                return length;
        }
        cut = width;
        while (cut > 0 && text[cut] != ' ')
                cut--;
        if (cut == 0) {
                *next = text + width;
                return width;
        }
        *next = text + cut + 1;
        return cut;
}

void table_row(FILE *out, const struct table_column *columns, const char *const *cells,
               size_t count)
{
        const char *rest[COLUMNS_MAX];
        bool more = true;

        for (size_t c = 0; c < count; c++)
                rest[c] = cells[c];
        while (more) {
                more = false;
                for (size_t c = 0; c < count; c++) {
                        const char *next;
                        size_t length = line_length(rest[c], columns[c].width, &next);

                        (void)fprintf(out, "%s%-*.*s", c == 0 ? "| " : " | ", (int)columns[c].width,
                                      (int)length, rest[c]);
                        rest[c] = next;
                        more = more || *next != '\0';
                }
                (void)fputs(" |\n", out);
        }
        rule(out, columns, count);
}

void table_heading(FILE *out, const struct table_column *columns, size_t count)
{
        const char *cells[COLUMNS_MAX];

        for (size_t c = 0; c < count; c++)
                cells[c] = columns[c].title;
        rule(out, columns, count);
        table_row(out, columns, cells, count);
}
