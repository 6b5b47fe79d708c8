/* SPDX-License-Identifier: MIT */
/* The fault recording registers, FSTS and the fault event as they have to be. */
#include "tests/model/model.h"

#define FSTS 0x34u
#define PFO  (1u << 0)
#define PPF  (1u << 1)
#define IQE  (1u << 4)
#define F    (1u << 31)

static bool is_pending(const struct model *model)
{
        for (unsigned i = 0; i < model->config.fault_records; i++)
                if (model->faults.full[i])
                        return true;
        return false;
}

static unsigned record_offset(const struct model *model, unsigned record)
{
        return model->frcd + 16 * record;
}

bool faults_check(struct model *model, const struct vtd_frontend_dma_request *request,
                  uint8_t *reason)
{
        struct fault_log *log = &model->faults;
        unsigned at = record_offset(model, log->next);
        uint32_t source = request->rid, code, wanted;

        *reason = 0;
        if (log->overflow || log->full[log->next]) {
                log->overflow = true;
                model->stats.dropped++;
                return true;
        }
        code = model_read32(model, at + 12);
        *reason = code & 0xff;
        wanted = F | *reason | (request->access & READ ? 1u << 30 : 0);
        if (request->access == (READ | WRITE))
                source |= 1u << 28;
        if (request->with_pasid) {
                source |= F | (request->privileged ? 1u << 29 : 0);
                wanted |= request->pasid << 8;
        }
        if (code != wanted || model_read32(model, at + 8) != source ||
            vtd_frontend_read(model->unit, at, 8) != (request->address & ~UINT64_C(0xfff)))
                return model_fail(model, "fault record %u is %#x %#x, not of the request",
                                  log->next, code, model_read32(model, at + 8));
        if (!is_pending(model)) {
                log->first = log->next;
                log->messages += !log->queue_error;
        }
        log->full[log->next] = true;
        log->next = (log->next + 1) % model->config.fault_records;
        return true;
}

void faults_queue_error(struct model *model, bool set)
{
        if (set && !is_pending(model))
                model->faults.messages++;
        model->faults.queue_error = set;
}

bool faults_clear(struct model *model)
{
        bool all = random_percent(&model->random, 50);
        unsigned one = random_below(&model->random, model->config.fault_records);

        for (unsigned i = 0; i < model->config.fault_records; i++)
                if (all || i == one) {
                        model_write32(model, record_offset(model, i) + 12, F);
                        model->faults.full[i] = false;
                }
        if (all) {
                model_write32(model, FSTS, PFO);
                model->faults.overflow = false;
        }
        return faults_are_right(model);
}

bool faults_are_right(struct model *model)
{
        const struct fault_log *log = &model->faults;
        uint32_t status = model_read32(model, FSTS);
        uint32_t wanted = (log->overflow ? PFO : 0) | (is_pending(model) ? PPF : 0) |
                          (log->queue_error ? IQE : 0);

        if ((status & 0xff) != wanted || ((wanted & PPF) && (status >> 8) != log->first))
                return model_fail(model, "FSTS is %#x, not %#x", status, wanted | log->first << 8);
        if (model->memory.messages != log->messages)
                return model_fail(model, "%u fault events, not %u", model->memory.messages,
                                  log->messages);
        return true;
}
