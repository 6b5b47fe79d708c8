/* SPDX-License-Identifier: MIT */
/* See run.h. */
#include "tests/diff/run.h"

#include <string.h>

#include "shared/checked.h"

#define CHUNK        0x4000u
#define FAULT_RECORD 0x220u
#define FAULT_FLAG   0x22fu /* the byte of F, its uppermost bit */
#define DIFF_PAGE    UINT64_C(0x1000)

/* A run under way. */
struct run {
        struct diff_pair *pair;
        const struct diff_program *program;
        struct diff_tally *tally;
        struct diff_difference *difference;
        unsigned step;
        bool parted;
        bool dma_suppressed; /* once in the program */
        bool suppressed;     /* the comparison under way, ... */
        uint64_t used;       /* ... and the rows of diff_deviations that it has used */
        bool completed;      /* some DMA */
        bool recorded;       /* a fault, on one side at least */
        uint8_t our_page[DIFF_PAGE_SIZE], their_page[DIFF_PAGE_SIZE];
};

static struct diff_view view_of(const struct run *run)
{
        return (struct diff_view){
                .program = run->program,
                .step = run->step,
                .our_page = run->our_page,
                .their_page = run->their_page,
                .faulted = unit_faults(run->pair->unit) > 0,
                .suppressed = run->dma_suppressed,
        };
}

/* Judges one pair of values of a comparison.  Returns 0 or DIFF_E_DIFFERENT. */
static int judge(struct run *run, enum diff_matter matter, uint64_t where, uint64_t ours,
                 uint64_t theirs)
{
        struct diff_view view = view_of(run);
        size_t row;

        view.matter = matter;
        view.where = where;
        view.ours = ours;
        view.theirs = theirs;
        if (ours == theirs || run->parted)
                return 0;
        row = diff_explain(&view);
        if (row == diff_deviation_count) {
                *run->difference = (struct diff_difference){.step = run->step,
                                                            .matter = matter,
                                                            .where = where,
                                                            .ours = ours,
                                                            .theirs = theirs};
                return DIFF_E_DIFFERENT;
        }
        run->used |= UINT64_C(1) << row;
        if (diff_deviations[row].verdict >= DIFF_SUPPRESSED)
                run->suppressed = true;
        if (run->suppressed && run->step < run->program->count &&
            run->program->steps[run->step].kind >= DIFF_DMA)
                run->dma_suppressed = true;
        if (diff_deviations[row].verdict == DIFF_PARTED)
                run->parted = true;
        return 0;
}

/* Ends the program if the last DMA may have left a difference that is seen much later. */
static void part_if_hidden(struct run *run, bool arrived)
{
        const struct diff_view view = view_of(run);
        size_t row = diff_hidden(&view, arrived);

        if (row == diff_deviation_count)
                return;
        run->used |= UINT64_C(1) << row;
        run->suppressed = true;
        run->parted = true;
}

/* The end of a comparison. */
static void count(struct run *run)
{
        run->tally->compared++;
        for (size_t row = 0; row < diff_deviation_count; row++)
                run->tally->uses[row] += run->used >> row & 1;
        run->used = 0;
        if (run->suppressed)
                run->tally->suppressed++;
        run->suppressed = false;
}

static int judge_dword(struct run *run, unsigned offset, uint32_t ours, uint32_t theirs)
{
        uint32_t mask = ~diff_excluded(run->program->setup, offset);

        return judge(run, DIFF_REGISTER, offset, ours & mask, theirs & mask);
}

static int read_registers(struct run *run)
{
        int r = run->pair->ours->ops->registers(run->pair->ours, run->our_page);

        if (r == 0)
                r = run->pair->theirs->ops->registers(run->pair->theirs, run->their_page);
        run->recorded = (run->our_page[FAULT_FLAG] | run->their_page[FAULT_FLAG]) & 0x80;
        return r;
}

static int compare_registers(struct run *run)
{
        int r = 0;

        for (unsigned offset = 0; r == 0 && offset < DIFF_PAGE_SIZE; offset += 4) {
                uint32_t ours, theirs;

                memcpy(&ours, run->our_page + offset, sizeof(ours));
                memcpy(&theirs, run->their_page + offset, sizeof(theirs));
                /* Without F, the rest of a record means nothing. */
                if (offset >= FAULT_RECORD && !run->recorded)
                        ours = theirs = 0;
                r = judge_dword(run, offset, ours, theirs);
        }
        count(run);
        return r;
}

static int compare_read(struct run *run, const struct diff_step *step, uint64_t ours,
                        uint64_t theirs)
{
        int r;

        if (step->address >= FAULT_RECORD && !run->recorded)
                return 0;
        r = judge_dword(run, (unsigned)step->address, (uint32_t)ours, (uint32_t)theirs);

        if (r == 0 && step->size == 8)
                r = judge_dword(run, (unsigned)step->address + 4, (uint32_t)(ours >> 32),
                                (uint32_t)(theirs >> 32));
        count(run);
        return r;
}

/*
 * What DMA has written on our side must be where it is on the other.  It is replaced by something
 * else on both, so that the next DMA to the same place can be told from this one.
 */
static int compare_piece(struct run *run, const struct diff_piece *piece)
{
        struct diff_pair *pair = run->pair;
        uint8_t ours[DIFF_PIECE_SIZE_MAX], theirs[DIFF_PIECE_SIZE_MAX];
        int r = pair->ours->ops->read(pair->ours, piece->gpa, ours, piece->size);

        if (r == 0)
                r = pair->theirs->ops->read(pair->theirs, piece->gpa, theirs, piece->size);
        for (uint32_t i = 0; r == 0 && i < piece->size; i++)
                r = judge(run, DIFF_ARRIVAL, piece->gpa + i, ours[i], theirs[i]);
        if (r != 0)
                return r;
        /* Not present, should it be taken for an entry of some table. */
        memset(ours, (int)(0x80 | (run->step & 0x1f) << 2), piece->size);
        r = pair->ours->ops->write(pair->ours, piece->gpa, ours, piece->size);
        return r != 0 ? r : pair->theirs->ops->write(pair->theirs, piece->gpa, ours, piece->size);
}

/* Where DMA has gone that may have gone to either of two places.  The value of a DIFF_ARRIVAL. */
static int find_stale(const struct diff_step *step, struct diff_side *side, uint64_t *places)
{
        static const uint8_t pattern[] = {0x78, 0x56, 0x34, 0x12};
        uint8_t found[64];
        int r = 0;

        *places = 0;
        for (unsigned place = 0; place < 2 && r == 0; place++) {
                bool all = true;

                r = side->ops->read(side, step->words[place], found, step->length);
                for (uint32_t i = 0; i < step->length; i++)
                        all &= found[i] == pattern[i % sizeof(pattern)];
                *places |= (uint64_t)all << place;
                memset(found, 0, sizeof(found));
                if (r == 0)
                        r = side->ops->write(side, step->words[place], found, step->length);
        }
        return r;
}

/* Either place is right, both or none are not. */
static int compare_stale(struct run *run, const struct diff_step *step)
{
        uint64_t ours, theirs;
        int r = find_stale(step, run->pair->ours, &ours);

        if (r == 0)
                r = find_stale(step, run->pair->theirs, &theirs);
        if (r == 0 && (ours == 0 || ours == 3))
                r = judge(run, DIFF_ARRIVAL, step->address, ours, 1);
        if (r == 0 && (theirs == 0 || theirs == 3))
                r = judge(run, DIFF_ARRIVAL, step->address, 1, theirs);
        return r;
}

static int compare_dma(struct run *run, const struct diff_step *step,
                       const struct diff_outcome *ours, const struct diff_outcome *theirs)
{
        struct diff_piece pieces[DIFF_PIECES_MAX];
        unsigned n = unit_pieces(run->pair->unit, pieces);
        int r = 0;

        run->tally->dma++;
        if (ours->completed)
                run->tally->completed++;
        if (step->kind == DIFF_DMA) {
                r = judge(run, DIFF_RESULT, step->address, ours->completed, theirs->completed);
                if (ours->completed && theirs->completed)
                        run->completed = true;
        }
        if (step->stale && r == 0)
                r = compare_stale(run, step);
        for (unsigned i = 0; i < n && r == 0 && step->kind != DIFF_COPY_IN && !step->stale; i++)
                r = compare_piece(run, &pieces[i]);
        if (r == 0)
                part_if_hidden(run, ours->completed);
        count(run);
        return r;
}

static int take_step(struct run *run)
{
        const struct diff_step *step = &run->program->steps[run->step];
        struct diff_outcome ours, theirs;
        int r = run->pair->ours->ops->step(run->pair->ours, step, &ours);

        if (r == 0)
                r = run->pair->theirs->ops->step(run->pair->theirs, step, &theirs);
        if (r != 0)
                return r;
        run->tally->steps++;
        switch (step->kind) {
        case DIFF_MEMORY:
                return 0;
        case DIFF_READ:
                return compare_read(run, step, ours.value, theirs.value);
        case DIFF_WRITE:
                if (step->unobserved)
                        return 0;
                r = read_registers(run);
                break;
        case DIFF_DMA:
        case DIFF_COPY_IN:
        case DIFF_COPY_OUT:
                r = read_registers(run);
                if (r == 0)
                        r = compare_dma(run, step, &ours, &theirs);
                break;
        }
        return r != 0 ? r : compare_registers(run);
}

static int compare_area(struct run *run, enum diff_matter matter, uint64_t start, size_t size)
{
        uint64_t ours[CHUNK / 8], theirs[CHUNK / 8];
        int r = 0;

        for (size_t done = 0; done < size && r == 0; done += sizeof(ours)) {
                size_t part = size - done < sizeof(ours) ? size - done : sizeof(ours);

                r = run->pair->ours->ops->read(run->pair->ours, start + done, ours, part);
                if (r == 0)
                        r = run->pair->theirs->ops->read(run->pair->theirs, start + done, theirs,
                                                         part);
                for (size_t i = 0; r == 0 && i < part / 8; i++)
                        r = judge(run, matter, start + done + i * 8, ours[i], theirs[i]);
        }
        count(run);
        return r;
}

/* How much of the tables' area the program uses. */
static size_t tables_size(const struct diff_program *program)
{
        uint64_t end = DIFF_TABLES;

        for (unsigned i = 0; i < program->count; i++) {
                const struct diff_step *step = &program->steps[i];

                if (step->kind == DIFF_MEMORY && step->address >= end &&
                    step->address < DIFF_TABLES + DIFF_TABLES_SIZE)
                        end = (step->address | (DIFF_PAGE - 1)) + 1;
        }
        return end - DIFF_TABLES;
}

static int compare_memory(struct run *run)
{
        int r = compare_area(run, DIFF_TABLE, DIFF_TABLES, tables_size(run->program));

        if (r == 0)
                r = compare_area(run, DIFF_RAM, DIFF_STATUS, DIFF_STATUS_SIZE);
        if (r == 0)
                r = compare_area(run, DIFF_RAM, DIFF_DATA, DIFF_DATA_SIZE);
        return r;
}

/* Zeroes what is not zero in the other's RAM. */
static int clear(struct diff_pair *pair)
{
        static const uint8_t zero[CHUNK];
        int r = 0;

        if (!pair->parted)
                return unit_clear_like(pair->unit, pair->theirs);
        for (uint64_t gpa = DIFF_TABLES; gpa < DIFF_RAM_SIZE && r == 0; gpa += sizeof(zero))
                r = pair->theirs->ops->write(pair->theirs, gpa, zero, sizeof(zero));
        pair->parted = false;
        return r;
}

static int reset(struct diff_pair *pair, const struct diff_program *program)
{
        bool copier = false;
        int r = clear(pair);

        for (unsigned i = 0; i < program->count; i++)
                copier |= program->steps[i].kind == DIFF_COPY_IN ||
                          program->steps[i].kind == DIFF_COPY_OUT;
        if (r == 0)
                r = pair->ours->ops->reset(pair->ours, copier);
        return r != 0 ? r : pair->theirs->ops->reset(pair->theirs, copier);
}

int diff_run(struct diff_pair *pair, const struct diff_program *program, struct diff_tally *tally,
             struct diff_difference *difference)
{
        struct run run = {
                .pair = pair, .program = program, .tally = tally, .difference = difference};
        int r = reset(pair, program);

        for (; r == 0 && run.step < program->count && !run.parted; run.step++)
                r = take_step(&run);
        if (r == 0 && !run.parted)
                r = compare_memory(&run);
        tally->programs++;
        tally->with_dma += run.completed;
        tally->cut_short += run.parted;
        tally->faults += unit_faults(pair->unit);
        pair->parted = run.parted || r != 0;
        return r;
}

/* Runs @candidate; true when it has the same difference as @wanted, of which the step is renewed. */
static int shows(struct diff_pair *pair, const struct diff_program *candidate,
                 struct diff_difference *wanted, bool *same)
{
        struct diff_tally tally = {0};
        struct diff_difference found;
        int r = diff_run(pair, candidate, &tally, &found);

        *same = r == DIFF_E_DIFFERENT && found.matter == wanted->matter &&
                (wanted->matter != DIFF_REGISTER ||
                 (found.where == wanted->where &&
                  (found.ours ^ found.theirs) == (wanted->ours ^ wanted->theirs)));
        if (*same)
                *wanted = found;
        return r < 0 ? r : 0;
}

/* Whether the step may be left out without those of its group. */
static bool stands_alone(const struct diff_step *step)
{
        return step->kind == DIFF_READ || step->kind >= DIFF_DMA ||
               (step->kind == DIFF_MEMORY && step->group == 0 && !step->descriptor);
}

/* How many steps from @start on are to be left out together. */
static unsigned extent(const struct diff_program *program, unsigned start, bool groups)
{
        uint8_t group = program->steps[start].group;
        unsigned end = start + 1;

        if (!groups)
                return stands_alone(&program->steps[start]) ? 1 : 0;
        if (group == 0)
                return 0;
        while (end < program->count && program->steps[end].group == group)
                end++;
        return end - start;
}

/* Descriptors stay, as ones without effect, because the queue goes over their places. */
static void remove_steps(struct diff_program *to, const struct diff_program *from, unsigned start,
                         unsigned count)
{
        static const uint64_t without_effect[4] = {0x04};

        *to = *from;
        to->count = start;
        for (unsigned i = start; i < from->count; i++) {
                if (i >= start + count) {
                        to->steps[to->count++] = from->steps[i];
                } else if (from->steps[i].descriptor) {
                        to->steps[to->count] = from->steps[i];
                        memcpy(to->steps[to->count++].words, without_effect,
                               sizeof(without_effect));
                }
        }
}

static int leave_out(struct diff_pair *pair, struct diff_program *program,
                     struct diff_difference *difference, bool groups)
{
        struct diff_program candidate;

        for (unsigned start = 0; start < program->count;) {
                unsigned count = extent(program, start, groups);
                bool same = false;
                int r;

                if (count > 0) {
                        remove_steps(&candidate, program, start, count);
                        r = shows(pair, &candidate, difference, &same);
                        if (r != 0)
                                return r;
                }
                if (same && candidate.count < program->count)
                        *program = candidate;
                else
                        start += count > 0 ? count : 1;
        }
        return 0;
}

/*
 * Groups first, because they bring with them the invalidations that their changes need; a program
 * without those would show something else.
 */
int diff_minimise(struct diff_pair *pair, struct diff_program *program,
                  struct diff_difference *difference)
{
        int r;

        if (difference->step < program->count)
                program->count = difference->step + 1;
        r = leave_out(pair, program, difference, true);
        return r != 0 ? r : leave_out(pair, program, difference, false);
}
