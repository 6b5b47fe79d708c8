/* SPDX-License-Identifier: MIT */
/*
 * Saving and restoring a unit (vtd/state.h) in the midst of all that the register page can be made to
 * do.  What was saved is changed as the input says, also in length, and offered to the unit: it is
 * refused and nothing has changed, or what is saved then is the same bytes, and all goes on.  What
 * the guest had invalidated must still come before anything completes.
 */
#include <errno.h>
#include <string.h>

#include "shared/checked.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/steps.h"
#include "vtd/state.h"

/* Of a saved state, before the fault records. */
#define FIXED_PART 176u

static void save(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint8_t bytes[sizeof(fuzz->state)];
        size_t size, capacity = step->a & 1 ? step->b % sizeof(bytes) : sizeof(bytes);
        int r = vtd_frontend_save(fuzz->unit, bytes, capacity, &size);

        FUZZ_REQUIRE(size == FIXED_PART + VTD_FRCD_SIZE * fuzz->config.fault_records);
        FUZZ_REQUIRE((r == -ENOSPC) == (capacity < size));
        if (r == -ENOSPC)
                return;
        FUZZ_REQUIRE((r == VTD_FRONTEND_LOST) == fuzz->told_lost);
        FUZZ_REQUIRE(r == 0 || r == VTD_FRONTEND_LOST ||
                     (r == VTD_FRONTEND_BUSY && fuzz->broker->unanswered));
        if (r != 0)
                return;
        memcpy(fuzz->state, bytes, size);
        fuzz->state_size = size;
}

/*
 * Bytes of d replace what is saved, or one bit is flipped.  Of fault records that is F, and only where
 * there was a fault: what they hold is nobody's but the guest's, and check.h knows them as they are
 * without emulated devices.
 */
static void tamper(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        size_t n = 1 + step->a % 8u, at = step->b % FIXED_PART;
        uint8_t *record;

        if (fuzz->state_size == 0)
                return;
        record = fuzz->state + FIXED_PART +
                 step->b % fuzz->config.fault_records * (size_t)VTD_FRCD_SIZE;
        if ((step->c & 3) == 3 && record[12] != 0)
                record[15] ^= 0x80;
        else if (step->c & 1)
                fuzz->state[at] ^= (uint8_t)(1u << (step->a & 7));
        else if (n <= FIXED_PART - at)
                memcpy(fuzz->state + at, &step->d, n);
}

/* What a restore changes, some of it. */
struct look {
        struct vtd_registers registers;
        struct vtd_queue queue;
        uint64_t root;
        size_t pending, waiting;
        bool enabled, held, flush_due;
};

static void look(const struct vtd_engine *engine, struct look *look)
{
        memset(look, 0, sizeof(*look)); /* so that they can be compared with what lies between */
        memcpy(&look->registers, &engine->registers, sizeof(look->registers));
        memcpy(&look->queue, &engine->queue, sizeof(look->queue));
        look->root = engine->root;
        look->pending = engine->pending.count;
        look->waiting = engine->bindings.waiting;
        look->enabled = engine->enabled;
        look->held = engine->held;
        look->flush_due = engine->flush_due;
}

static void require_restored(struct fuzz_unit *fuzz)
{
        uint8_t again[sizeof(fuzz->state)];
        size_t size;
        int r = vtd_frontend_save(fuzz->unit, again, sizeof(again), &size);

        FUZZ_REQUIRE(r == 0 || (r == VTD_FRONTEND_BUSY && fuzz->broker->unanswered));
        FUZZ_REQUIRE(size == fuzz->state_size);
        if (r == 0)
                FUZZ_REQUIRE(memcmp(again, fuzz->state, size) == 0);
}

static void restore(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        size_t size = step->a & 1 ? step->b % sizeof(fuzz->state) : fuzz->state_size;
        struct look before, after;
        uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees what is read beyond */
        int r;

        FUZZ_REQUIRE(exact != NULL);
        look(&fuzz->unit->engine, &before);
        memcpy(exact, fuzz->state, size);
        r = vtd_frontend_restore(fuzz->unit, exact, size);
        FUZZ_REQUIRE(r == 0 || r == -EINVAL || r == VTD_FRONTEND_LOST);
        FUZZ_REQUIRE((r == VTD_FRONTEND_LOST) == fuzz->told_lost);
        if (r == 0) {
                FUZZ_REQUIRE(size == fuzz->state_size);
                require_restored(fuzz);
                fuzz->fetched = false; /* the descriptor is fetched again */
        } else {
                look(&fuzz->unit->engine, &after);
                FUZZ_REQUIRE(memcmp(&before, &after, sizeof(before)) == 0);
        }
        free(exact);
}

static const fuzz_operation operations[] = {
        fuzz_step_write, save,
        tamper,          tamper,
        restore,         restore,
        fuzz_step_run,   fuzz_step_run,
        fuzz_step_store, fuzz_step_broker,
        fuzz_step_vmm,   fuzz_step_command,
        fuzz_step_entry, fuzz_step_descriptor,
};

static void begin(struct fuzz_unit *fuzz, const struct fuzz_step *scene)
{
        if (scene->operation & 1)
                fuzz_begin_enabled(fuzz, scene);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_unit_play(data, size, begin, operations, VTD_ARRAY_SIZE(operations));
        return 0;
}
