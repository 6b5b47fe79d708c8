/* SPDX-License-Identifier: MIT */
/*
 * See tree.h.  First a list of lines with their depths is made, from the top down; then each is drawn
 * with what its depth and the lines below it ask for.
 */
#include "broker/brokerctl/tree.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "broker/brokerctl/show.h"

/* VM, address space, second stage, first stage, attachment. */
#define DEPTH_MAX 5u

struct line {
        unsigned depth;
        char *text; /* owned */
};

struct tree {
        const GPtrArray *records;
        bool *shown; /* by index of records */
        GArray *lines;
};

static uint64_t number(const struct vtd_admin_record *record, enum vtd_admin_key key)
{
        return vtd_admin_number(record, key, 0);
}

__attribute__((format(printf, 3, 4))) static void add(struct tree *tree, unsigned depth,
                                                      const char *format, ...)
{
        struct line line = {.depth = depth};
        va_list arguments;

        va_start(arguments, format);
        line.text = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        g_array_append_val(tree->lines, line);
}

/*
 * The next record of @kind from *@index on whose @key is @value and which has not been shown; it counts
 * as shown.  NULL when there is none.
 */
static const struct vtd_admin_record *next(struct tree *tree, enum vtd_admin_kind kind,
                                           enum vtd_admin_key key, uint64_t value, guint *index)
{
        for (; *index < tree->records->len; ++*index) {
                const struct vtd_admin_record *record = g_ptr_array_index(tree->records, *index);

                if (record->kind != kind || tree->shown[*index] ||
                    vtd_admin_number(record, key, ~value) != value)
                        continue;
                tree->shown[*index] = true;
                return record;
        }
        return NULL;
}

static void add_attachment(struct tree *tree, unsigned depth, const struct vtd_admin_record *record)
{
        const struct vtd_admin_field *pasid = vtd_admin_find(record, VTD_ADMIN_K_PASID, 0);
        const char *device = vtd_admin_text(record, VTD_ADMIN_K_DEVICE);
        const char *mode = vtd_admin_text(record, VTD_ADMIN_K_MODE);

        if (pasid)
                add(tree, depth, "device %s, PASID %" PRIu64 ": %s", device, pasid->number, mode);
        else
                add(tree, depth, "device %s: %s", device, mode);
}

static void add_attachments(struct tree *tree, unsigned depth, uint64_t hwpt)
{
        const struct vtd_admin_record *record;
        guint index = 0;

        while ((record = next(tree, VTD_ADMIN_ATTACHMENT, VTD_ADMIN_K_HWPT, hwpt, &index)))
                add_attachment(tree, depth, record);
}

static void add_first_stage(struct tree *tree, unsigned depth,
                            const struct vtd_admin_record *record)
{
        add(tree, depth,
            "first stage %" PRIu64 ": root 0x%" PRIx64 ", %" PRIu64 " bits, flags 0x%" PRIx64
            ", attached %" PRIu64,
            number(record, VTD_ADMIN_K_HWPT), number(record, VTD_ADMIN_K_ROOT),
            number(record, VTD_ADMIN_K_ADDRESS_WIDTH), number(record, VTD_ADMIN_K_FLAGS),
            number(record, VTD_ADMIN_K_ATTACHMENTS));
        add_attachments(tree, depth + 1, number(record, VTD_ADMIN_K_HWPT));
}

static void add_device(struct tree *tree, unsigned depth, const struct vtd_admin_record *record)
{
        bool on = number(record, VTD_ADMIN_K_BUS_MASTER) != 0;

        add(tree, depth, "device %s (%s): plugged, %" PRIu64 " PASID bits, bus mastering %s",
            vtd_admin_text(record, VTD_ADMIN_K_DEVICE), vtd_admin_text(record, VTD_ADMIN_K_ADDRESS),
            number(record, VTD_ADMIN_K_PASID_BITS), on ? "on" : "off: blocked");
}

static void add_second_stage(struct tree *tree, unsigned depth,
                             const struct vtd_admin_record *record)
{
        uint64_t hwpt = number(record, VTD_ADMIN_K_HWPT);
        const struct vtd_admin_record *below;
        guint index = 0;

        add(tree, depth, "second stage %" PRIu64 ": devices %" PRIu64, hwpt,
            number(record, VTD_ADMIN_K_DEVICES));
        while ((below = next(tree, VTD_ADMIN_DEVICE, VTD_ADMIN_K_PARENT, hwpt, &index)))
                add_device(tree, depth + 1, below);
        add_attachments(tree, depth + 1, hwpt);
        index = 0;
        while ((below = next(tree, VTD_ADMIN_FIRST_STAGE, VTD_ADMIN_K_PARENT, hwpt, &index)))
                add_first_stage(tree, depth + 1, below);
}

static void add_ioas(struct tree *tree, unsigned depth, const struct vtd_admin_record *record)
{
        g_autofree char *memory = vtd_show_size(number(record, VTD_ADMIN_K_MEMORY));
        uint64_t ioas = number(record, VTD_ADMIN_K_IOAS);
        const struct vtd_admin_record *below;
        guint index = 0;

        add(tree, depth, "IOAS %" PRIu64 ": %s, mappings %" PRIu64, ioas, memory,
            number(record, VTD_ADMIN_K_MAPPINGS));
        while ((below = next(tree, VTD_ADMIN_SECOND_STAGE, VTD_ADMIN_K_IOAS, ioas, &index)))
                add_second_stage(tree, depth + 1, below);
}

static void add_vm(struct tree *tree, const struct vtd_admin_record *record)
{
        const char *name = vtd_admin_text(record, VTD_ADMIN_K_NAME);

        add(tree, 0, "vm %" PRIu64 "%s%s of %s: %s, worker %" PRIu64 " as user %" PRIu64,
            number(record, VTD_ADMIN_K_VM), name ? " " : "", name ? name : "",
            vtd_admin_text(record, VTD_ADMIN_K_TENANT), vtd_admin_text(record, VTD_ADMIN_K_STATE),
            number(record, VTD_ADMIN_K_PID), number(record, VTD_ADMIN_K_WORKER_UID));
}

static void add_counters(struct tree *tree, const struct vtd_admin_record *record)
{
        add(tree, 1,
            "requests %" PRIu64 ", refused %" PRIu64 "; invalidations %" PRIu64 ", entries %" PRIu64
            ", delayed %" PRIu64 " us; host calls %" PRIu64,
            number(record, VTD_ADMIN_K_REQUESTS), number(record, VTD_ADMIN_K_REFUSALS),
            number(record, VTD_ADMIN_K_INVALIDATE_REQUESTS),
            number(record, VTD_ADMIN_K_INVALIDATE_ENTRIES), number(record, VTD_ADMIN_K_DELAYED_US),
            number(record, VTD_ADMIN_K_HOST_CALLS));
}

/* @record, which nothing above it has shown, and what lies on it. */
static void add_rest(struct tree *tree, const struct vtd_admin_record *record)
{
        switch ((unsigned)record->kind) {
        case VTD_ADMIN_VM:
                add_vm(tree, record);
                break;
        case VTD_ADMIN_COUNTERS:
                add_counters(tree, record);
                break;
        case VTD_ADMIN_SILENT:
                add(tree, 1, "its worker does not answer (waited %" PRIu64 " ms)",
                    number(record, VTD_ADMIN_K_MILLISECONDS));
                break;
        case VTD_ADMIN_IOAS:
                add_ioas(tree, 1, record);
                break;
        case VTD_ADMIN_SECOND_STAGE:
                add_second_stage(tree, 1, record);
                break;
        case VTD_ADMIN_FIRST_STAGE:
                add_first_stage(tree, 1, record);
                break;
        case VTD_ADMIN_DEVICE:
                add_device(tree, 1, record);
                break;
        case VTD_ADMIN_ATTACHMENT:
                add_attachment(tree, 1, record);
                break;
        default:
                break;
        }
}

/* Is there another line at @depth below @index, before one that is higher up? */
static bool goes_on(const GArray *lines, guint index, unsigned depth)
{
        for (guint i = index + 1; i < lines->len; i++) {
                unsigned other = g_array_index(lines, struct line, i).depth;

                if (other <= depth)
                        return other == depth;
        }
        return false;
}

static char *draw(const GArray *lines)
{
        GString *drawing = g_string_new(NULL);
        bool open[DEPTH_MAX] = {false};

        for (guint i = 0; i < lines->len; i++) {
                const struct line *line = &g_array_index(lines, struct line, i);

                for (unsigned depth = 1; depth < line->depth; depth++)
                        g_string_append(drawing, open[depth] ? "│  " : "   ");
                open[line->depth] = goes_on(lines, i, line->depth);
                if (line->depth > 0)
                        g_string_append(drawing, open[line->depth] ? "├─ " : "└─ ");
                g_string_append_printf(drawing, "%s\n", line->text);
        }
        return g_string_free(drawing, FALSE);
}

/* Those of one kind that nothing above them has shown. */
static void add_kind(struct tree *tree, enum vtd_admin_kind kind)
{
        for (guint i = 0; i < tree->records->len; i++) {
                const struct vtd_admin_record *record = g_ptr_array_index(tree->records, i);

                if (record->kind != kind || tree->shown[i])
                        continue;
                tree->shown[i] = true;
                add_rest(tree, record);
        }
}

char *vtd_tree_draw(const GPtrArray *records)
{
        /* What lies on something comes after it. */
        static const enum vtd_admin_kind kinds[] = {
                VTD_ADMIN_VM,     VTD_ADMIN_COUNTERS,     VTD_ADMIN_SILENT,
                VTD_ADMIN_IOAS,   VTD_ADMIN_SECOND_STAGE, VTD_ADMIN_FIRST_STAGE,
                VTD_ADMIN_DEVICE, VTD_ADMIN_ATTACHMENT,
        };
        struct tree tree = {
                .records = records,
                .shown = g_new0(bool, records->len + 1),
                .lines = g_array_new(FALSE, FALSE, sizeof(struct line)),
        };
        char *drawing;

        for (size_t kind = 0; kind < G_N_ELEMENTS(kinds); kind++)
                add_kind(&tree, kinds[kind]);
        drawing = draw(tree.lines);
        for (guint i = 0; i < tree.lines->len; i++)
                g_free(g_array_index(tree.lines, struct line, i).text);
        g_array_unref(tree.lines);
        g_free(tree.shown);
        return drawing;
}
