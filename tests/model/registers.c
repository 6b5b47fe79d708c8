/* SPDX-License-Identifier: MIT */
/* The guest's use of the register page, and what the caches of a unit owe to it. */
#include "frontend/include/vtd/state.h"
#include "tests/model/model.h"

#define GCMD   0x18u
#define GSTS   0x1cu
#define RTADDR 0x20u
#define FECTL  0x38u
#define FEDATA 0x3cu
#define FEADDR 0x40u
#define IQH    0x80u
#define IQT    0x88u
#define IQA    0x90u

#define TE   (1u << 31)
#define SRTP (1u << 30)
#define QIE  (1u << 26)

#define TURNS        100000u
#define ENOUGH_TURNS 40u /* for all that can be done while an access is under way */

uint32_t model_read32(struct model *model, unsigned offset)
{
        return (uint32_t)vtd_frontend_read(model->unit, offset, 4);
}

void model_write32(struct model *model, unsigned offset, uint32_t value)
{
        vtd_frontend_write(model->unit, offset, 4, value);
}

void model_write64(struct model *model, unsigned offset, uint64_t value)
{
        vtd_frontend_write(model->unit, offset, 8, value);
}

/* Calls run() until it is idle, @turns at most; true when it has come to that. */
static bool run(struct model *model, unsigned turns)
{
        unsigned budget = 1 + random_below(&model->random, 40);

        for (unsigned turn = 0; turn < turns; turn++) {
                int r = vtd_frontend_run(model->unit, budget);

                if (r == VTD_FRONTEND_IDLE)
                        return true;
                if (r != VTD_FRONTEND_PENDING)
                        return model_fail(model, "run() returns %d", r);
        }
        return false;
}

bool model_run(struct model *model)
{
        if (run(model, ENOUGH_TURNS))
                return model_fail(model, "run() is idle while an access is under way");
        return !model->failed;
}

bool model_settle(struct model *model)
{
        return run(model, TURNS) || model_fail(model, "run() does not come to an end");
}

void model_command(struct model *model, uint32_t bit, bool set)
{
        uint32_t command = (model->enabled ? TE : 0) | (model->queue_enabled ? QIE : 0);

        model_write32(model, GCMD, set ? command | bit : command & ~bit);
}

/* GSTS as it has to be, with every command settled. */
static bool check_status(struct model *model)
{
        uint32_t wanted = (model->enabled ? TE : 0) | (model->queue_enabled ? QIE : 0) |
                          (model->root != 0 ? SRTP : 0);
        uint32_t found = model_read32(model, GSTS);

        if (found != wanted)
                return model_fail(model, "GSTS is %#x, not %#x", found, wanted);
        return faults_are_right(model) && watch_check(model);
}

/* Setting the root and switching translation invalidate all caches (CAP.ESRTPS; TE with SMTS). */
bool model_set_root(struct model *model)
{
        uint64_t root = world_root(model);

        model_write64(model, RTADDR, root);
        model_command(model, SRTP, true);
        if (!model_settle(model))
                return false;
        model->root = root;
        caches_forget_all(&model->caches);
        model->stats.root_changes++;
        return check_status(model);
}

bool model_switch_translation(struct model *model)
{
        model_command(model, TE, !model->enabled);
        if (!model_settle(model))
                return false;
        model->enabled = !model->enabled;
        caches_forget_all(&model->caches);
        model->stats.switches++;
        return check_status(model);
}

bool model_switch_queue(struct model *model)
{
        model_command(model, QIE, !model->queue_enabled);
        if (!model->queue_enabled) {
                model_write64(model, IQT, 0);
                model->head = model->tail = 0;
        }
        if (!model_settle(model))
                return false;
        model->queue_enabled = !model->queue_enabled;
        model->stats.queue_switches++;
        if (model_read32(model, IQH) != (model->queue_enabled ? model->head : 0))
                return model_fail(model, "IQH is %#x after QIE", model_read32(model, IQH));
        return check_status(model);
}

/* Ends with the queue and translation on, since little happens without. */
bool model_start(struct model *model)
{
        model_write32(model, FEDATA, 0x41);
        model_write32(model, FEADDR, 0xfee00000);
        model_write32(model, FECTL, 0);
        model_write64(model, IQA, QUEUE | 0x801);
        return model_set_root(model) && model_switch_queue(model) &&
               model_switch_translation(model);
}

bool model_reset(struct model *model)
{
        vtd_frontend_reset(model->unit);
        if (!model_settle(model))
                return false;
        model->enabled = model->queue_enabled = false;
        model->root = 0;
        model->head = model->tail = 0;
        model->faults = (struct fault_log){.messages = model->faults.messages};
        caches_forget_all(&model->caches);
        model->stats.resets++;
        return check_status(model) && model_start(model);
}

/*
 * A command that invalidates everything, while an access is under way that may have been translated
 * before: GSTS must not show it before that has ended.
 */
bool model_hold_command(struct model *model)
{
        bool root = random_percent(&model->random, 50);
        uint32_t before = model_read32(model, GSTS);
        uint64_t rtaddr = world_root(model);
        struct vtd_frontend_access access;

        vtd_frontend_access_begin(model->unit, &access);
        if (root)
                model_write64(model, RTADDR, rtaddr);
        model_command(model, root ? SRTP : TE, root || !model->enabled);
        if (root)
                before &= ~SRTP; /* falls at once */
        if (!model_run(model))
                return false;
        if (model_read32(model, GSTS) != before)
                return model_fail(model, "GSTS shows %#x while an access is under way, not %#x",
                                  model_read32(model, GSTS), before);
        vtd_frontend_access_end(model->unit, &access);
        if (!model_settle(model))
                return false;
        if (root)
                model->root = rtaddr;
        else
                model->enabled = !model->enabled;
        caches_forget_all(&model->caches);
        model->stats.held_commands++;
        return check_status(model);
}

/* All that a guest sees goes with a saved state, and nothing that was cached. */
bool model_restore(struct model *model)
{
        bool move = random_percent(&model->random, 50);
        struct vtd_frontend *old = model->unit;
        uint8_t state[4096];
        size_t size;
        int r = vtd_frontend_save(model->unit, state, sizeof(state), &size);

        if (r != 0)
                return model_fail(model, "save returns %d", r);
        if (move) {
                watch_end(model);
                model->unit = model_new_unit(model);
                (void)vtd_frontend_free(old);
                if (!model->unit)
                        return false;
        }
        r = vtd_frontend_restore(model->unit, state, size);
        if (r != 0)
                return model_fail(model, "restore returns %d", r);
        if (!model_settle(model))
                return false;
        caches_forget_all(&model->caches);
        model->stats.restores += !move;
        model->stats.moves += move;
        return check_status(model);
}
