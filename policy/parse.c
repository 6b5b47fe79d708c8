/* SPDX-License-Identifier: MIT */
/*
 * See parse.h.  The text is any bytes of any number.  Every line is checked as a whole first, so
 * that what is taken apart afterwards is printable ASCII of bounded length.
 */
#include "policy/parse.h"

#include <string.h>

#include "policy/schema.h"

static const char first_line[] = "format = 1";

void vtd_policy_reader_init(struct vtd_policy_reader *reader, const char *text, size_t size,
                            struct vtd_policy_report *report)
{
        *reader =
                (struct vtd_policy_reader){.text = text, .size = size, .line = 1, .report = report};
}

static bool is_lower(char c)
{
        return c >= 'a' && c <= 'z';
}

static bool is_key_character(char c)
{
        return is_lower(c) || (c >= '0' && c <= '9') || c == '-';
}

/* Reports the byte that is not printable ASCII. */
static void report_byte(struct vtd_policy_reader *reader, size_t column, unsigned char byte)
{
        const char *what = "bytes that are not ASCII";

        if (byte == 0)
                what = "NUL bytes";
        else if (byte == '\t')
                what = "tabs";
        else if (byte == '\r')
                what = "carriage returns (lines end with a line feed alone)";
        else if (byte <= 0x7f)
                what = "control characters";
        vtd_policy_error(reader->report, reader->line, column,
                         "byte 0x%02x: %s are not allowed anywhere, comments included", byte, what);
}

/* True when the line may be taken apart; reports the first thing that is wrong otherwise. */
static bool check_line(struct vtd_policy_reader *reader, const char *line, size_t length)
{
        size_t end = length;

        for (size_t i = 0; i < length && i < VTD_POLICY_LINE_SIZE; i++) {
                unsigned char byte = (unsigned char)line[i];

                if (byte < 0x20 || byte > 0x7e) {
                        report_byte(reader, i + 1, byte);
                        return false;
                }
        }
        if (length > VTD_POLICY_LINE_SIZE) {
                vtd_policy_error(reader->report, reader->line, VTD_POLICY_LINE_SIZE + 1,
                                 "the line has %zu bytes; allowed: %u", length,
                                 VTD_POLICY_LINE_SIZE);
                return false;
        }
        while (end > 0 && line[end - 1] == ' ')
                end--;
        if (end < length) {
                vtd_policy_error(reader->report, reader->line, end + 1,
                                 "blanks at the end of a line are not allowed");
                return false;
        }
        if (length > 0 && line[0] == ' ') {
                vtd_policy_error(reader->report, reader->line, 1,
                                 "blanks at the beginning of a line are not allowed; no line "
                                 "continues another");
                return false;
        }
        return true;
}

static bool read_section(struct vtd_policy_reader *reader, const char *line, size_t length,
                         struct vtd_policy_event *event)
{
        const char *close = memchr(line, ']', length);
        size_t end, name = 1;

        if (!close) {
                vtd_policy_error(reader->report, reader->line, length + 1,
                                 "\"]\" is missing at the end of the section header");
                return false;
        }
        end = (size_t)(close - line);
        if (end + 1 < length) {
                vtd_policy_error(reader->report, reader->line, end + 2,
                                 "nothing may follow \"]\"; comments stand on lines of their own");
                return false;
        }
        while (name < end && is_lower(line[name]))
                name++;
        if (name == 1 || (name < end && line[name] != ' ')) {
                vtd_policy_error(reader->report, reader->line, name + 1,
                                 "a section header is \"[section]\" or \"[device NAME]\", section "
                                 "in lower-case letters");
                return false;
        }
        event->name = (struct vtd_policy_span){line + 1, name - 1, 2};
        if (name == end)
                return true;
        if (name + 1 == end || line[name + 1] == ' ') {
                vtd_policy_error(reader->report, reader->line, name + 2,
                                 "exactly one blank and a name must follow the word before");
                return false;
        }
        event->value = (struct vtd_policy_span){line + name + 1, end - name - 1, name + 2};
        return true;
}

static bool read_key(struct vtd_policy_reader *reader, const char *line, size_t length,
                     struct vtd_policy_event *event)
{
        static const char separator[] = " = ";
        const size_t width = sizeof(separator) - 1;
        const char *comment;
        size_t name = 0, value;

        while (name < length && is_key_character(line[name]))
                name++;
        if (name == 0 || !is_lower(line[0])) {
                vtd_policy_error(reader->report, reader->line, 1,
                                 "expected \"[section]\", \"key = value\" or \"# comment\"; keys "
                                 "begin with a lower-case letter");
                return false;
        }
        value = name + width;
        if (length - name < width || memcmp(line + name, separator, width) != 0) {
                bool empty = length - name == 2 && memcmp(line + name, separator, 2) == 0;

                vtd_policy_error(reader->report, reader->line, (empty ? length : name) + 1,
                                 empty ? "a value is missing behind \"=\""
                                       : "expected \" = \", one blank on each side, and a value");
                return false;
        }
        if (line[value] == ' ') {
                vtd_policy_error(reader->report, reader->line, value + 1,
                                 "exactly one blank stands between \"=\" and the value");
                return false;
        }
        comment = memchr(line + value, '#', length - value);
        if (comment) {
                vtd_policy_error(reader->report, reader->line, (size_t)(comment - line) + 1,
                                 "\"#\" in a value; comments stand on lines of their own");
                return false;
        }
        event->name = (struct vtd_policy_span){line, name, 1};
        event->value = (struct vtd_policy_span){line + value, length - value, value + 1};
        return true;
}

/* True when line 1 has been dealt with; false when the format line seems to be left out. */
static bool read_first_line(struct vtd_policy_reader *reader, const char *line, size_t length)
{
        struct vtd_policy_shown shown;

        if (length == sizeof(first_line) - 1 && memcmp(line, first_line, length) == 0)
                return true;
        vtd_policy_error(reader->report, 1, 1, "the first line is \"%s\"; it must be \"%s\"",
                         vtd_policy_show_text(&shown, line, length), first_line);
        return length > 0 && line[0] != '#' && line[0] != '[';
}

/* Cuts the next line off; false at the end of the text. */
static bool next_line(struct vtd_policy_reader *reader, const char **line, size_t *length)
{
        const char *start = reader->text + reader->offset;
        size_t left = reader->size - reader->offset;
        const char *end;

        if (left == 0)
                return false;
        if (reader->line > VTD_SCHEMA_LINE_MAX) {
                vtd_policy_error(reader->report, reader->line, 1, "the file has more than %u lines",
                                 VTD_SCHEMA_LINE_MAX);
                reader->offset = reader->size;
                return false;
        }
        end = memchr(start, '\n', left);
        if (!end)
                vtd_policy_error(reader->report, reader->line, left + 1,
                                 "the last line does not end with a line feed; the file may have "
                                 "been cut");
        *line = start;
        *length = end ? (size_t)(end - start) : left;
        reader->offset += *length + (end ? 1 : 0);
        return true;
}

/* Takes one line apart; false when it holds nothing to hand out. */
static bool read_line(struct vtd_policy_reader *reader, const char *line, size_t length,
                      struct vtd_policy_event *event)
{
        bool good, section;

        if (reader->line == 1 && read_first_line(reader, line, length))
                return false;
        good = check_line(reader, line, length);
        if (length == 0 || line[0] == '#')
                return false;

        section = line[0] == '[';
        if (good)
                good = section ? read_section(reader, line, length, event)
                               : read_key(reader, line, length, event);
        if (section)
                event->kind = good ? VTD_POLICY_SECTION : VTD_POLICY_BROKEN_SECTION;
        else
                event->kind = good ? VTD_POLICY_KEY : VTD_POLICY_BROKEN_KEY;
        return true;
}

void vtd_policy_reader_next(struct vtd_policy_reader *reader, struct vtd_policy_event *event)
{
        const char *line;
        size_t length;

        if (reader->size == 0 && reader->line == 1) {
                (void)read_first_line(reader, "", 0);
                reader->line++;
        }
        *event = (struct vtd_policy_event){.kind = VTD_POLICY_END};
        while (next_line(reader, &line, &length)) {
                bool found = read_line(reader, line, length, event);

                event->line = reader->line++;
                if (found)
                        return;
        }
        event->line = reader->line;
}
