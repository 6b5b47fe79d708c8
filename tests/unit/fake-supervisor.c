/* SPDX-License-Identifier: MIT */
/* See fake-supervisor.h. */
#include "tests/unit/fake-supervisor.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fake_supervisor *fake(struct vtd_supervisor *supervisor)
{
        return (struct fake_supervisor *)supervisor;
}

int vtd_supervisor_open_device(struct vtd_supervisor *supervisor, uint32_t index, int *fd)
{
        struct fake_supervisor *s = fake(supervisor);
        int file;

        if (s->open_result != 0)
                return s->open_result;
        if (s->opened[index])
                return VTD_SUPERVISOR_E_HELD;
        file = memfd_create("device", MFD_CLOEXEC);
        if (file < 0 || write(file, &index, sizeof(index)) != sizeof(index))
                abort();
        s->opened[index] = true;
        *fd = file;
        return 0;
}

int vtd_supervisor_close_device(struct vtd_supervisor *supervisor, uint32_t index)
{
        struct fake_supervisor *s = fake(supervisor);

        if (s->close_result != 0)
                return s->close_result;
        if (!s->opened[index])
                abort();
        s->opened[index] = false;
        fake_host_last_close(s->host, index);
        return 0;
}

void vtd_supervisor_audit(struct vtd_supervisor *supervisor, union vtd_control_record *record)
{
        struct fake_supervisor *s = fake(supervisor);

        if (record->header.type != VTD_CONTROL_AUDIT)
                abort();
        s->audits[s->n_audits++ % FAKE_AUDITS] = record->audit;
}

int vtd_supervisor_greeted(struct vtd_supervisor *supervisor)
{
        fake(supervisor)->greeted++;
        return fake(supervisor)->greeted_result;
}

int vtd_supervisor_dispatch(struct vtd_supervisor *supervisor)
{
        fake(supervisor)->dispatched++;
        return fake(supervisor)->dispatch_result;
}

size_t fake_supervisor_opened(const struct fake_supervisor *supervisor)
{
        size_t n = 0;

        for (size_t i = 0; i < FAKE_DEVICES; i++)
                n += supervisor->opened[i];
        return n;
}

const struct vtd_control_audit *fake_supervisor_find(const struct fake_supervisor *supervisor,
                                                     enum vtd_audit_kind kind, uint32_t code)
{
        for (size_t i = 0; i < supervisor->n_audits && i < FAKE_AUDITS; i++) {
                const struct vtd_control_audit *audit =
                        &supervisor->audits[(supervisor->n_audits - 1 - i) % FAKE_AUDITS];

                if (audit->kind == kind && audit->code == code)
                        return audit;
        }
        return NULL;
}
