/* SPDX-License-Identifier: MIT */
/*
 * libvtd-frontend: a virtual Intel IOMMU (VT-d, scalable mode) for an unprivileged VMM, whose
 * passthrough devices are reached through vtd-broker only.
 *
 * The library has no threads, no signal handlers and no event loop.  The VMM
 *   1. creates the unit, gives it guest-memory access and interrupt callbacks,
 *   2. connects it to a broker socket, plugs devices, announces guest memory,
 *   3. forwards guest accesses to the 4 KiB register page,
 *   4. calls vtd_frontend_run() after each register write and whenever the descriptor of
 *      vtd_frontend_get_fd() is readable, until it says VTD_FRONTEND_IDLE.
 * What a plugged device has besides DMA (BARs, configuration space, interrupts) is in vtd/device.h.
 * For snapshots and migration, vtd/state.h saves and restores what the unit holds of the guest.
 *
 * Threads: calls on one unit must not overlap, except those whose headers say so (vtd/dma.h,
 * vtd/interrupt.h, vtd/acpi.h); the VMM's lock around its device model is enough.  Callbacks are made
 * from inside calls on the unit: they must not call back into it, nor, but for send_message and
 * broker_lost, wait for a thread that is inside a call on it.
 *
 * Errors: 0; a positive VTD_FRONTEND_* outcome named at the function; a negative errno for the
 * unexpected.  Whatever a guest writes never makes a call fail: a guest's mistakes become VT-d
 * faults or an invalidation-queue error that the guest reads.
 *
 * "section N" below refers to the VT-d architecture (register names as in revision 4 and later).
 */
#ifndef VTD_FRONTEND_H
#define VTD_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define VTD_FRONTEND_REGISTER_PAGE_SIZE 4096u

struct vtd_frontend;

enum vtd_frontend_log_level {
        VTD_FRONTEND_LOG_ERROR = 3,
        VTD_FRONTEND_LOG_WARNING = 4,
        VTD_FRONTEND_LOG_INFO = 6,
        VTD_FRONTEND_LOG_DEBUG = 7,
};

struct vtd_frontend_callbacks {
        /*
         * Copy @size bytes (at most 4096) from or to guest-physical memory.  Return 0, or a
         * negative errno when any byte is not guest RAM, in which case nothing was transferred.
         * read_memory must read each byte once, and an aligned 8-byte value in a single load (a
         * paging entry, which others change meanwhile); several of them in ascending order, each
         * load with acquire semantics (of context and PASID-table entries guests write the first
         * word, which says that the entry is present, last); write_memory of an aligned 4-byte value
         * must be a single store (a wait descriptor's status, section "queued invalidation").
         */
        int (*read_memory)(void *opaque, uint64_t gpa, void *data, size_t size);
        int (*write_memory)(void *opaque, uint64_t gpa, const void *data, size_t size);
        /*
         * Compare the 8 bytes at @gpa (a multiple of 8) with @expected and, if equal, replace them
         * with @desired, as one atomic access; *@found is what was there.  Returns as read_memory.
         * Accessed and dirty bits are set with it, in the tables of emulated devices: may be NULL
         * when there are none.
         */
        int (*compare_exchange)(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                                uint64_t *found);
        /* Deliver a message-signalled interrupt: the 32-bit @data written to @address. */
        void (*send_message)(void *opaque, uint64_t address, uint32_t data);
        /* One line without newline; may be NULL. */
        void (*log)(void *opaque, enum vtd_frontend_log_level level, const char *line);
        /*
         * The broker connection is lost; may be NULL.  The invalidation queue is held: no wait
         * descriptor completes any more and no queue error is raised, because a guest would take
         * either for completion and reuse pages that a device can still reach.  The VMM should stop
         * the guest.
         */
        void (*broker_lost)(void *opaque);
};

/* Widths of second-stage tables that a unit can offer: the bits of CAP.SAGAW. */
#define VTD_FRONTEND_WIDTH_39 0x2u /* 39 bits, three levels */
#define VTD_FRONTEND_WIDTH_48 0x4u
#define VTD_FRONTEND_WIDTH_57 0x8u

/*
 * What the guest is offered.  For devices of the broker it is checked against the host at every
 * plug; they need first_stage and caching_mode, so that the guest announces every change of its
 * tables.  Second-stage and nested translation serve emulated devices only (vtd/dma.h).
 */
struct vtd_frontend_config {
        bool first_stage;         /* ECAP.FSTS */
        bool first_stage_1gib;    /* CAP.FS1GP; needs first_stage */
        bool first_stage_5level;  /* CAP.FS5LP; needs first_stage */
        bool supervisor_requests; /* ECAP.SRS: SRE and WPE of PASID-table entries; the same */
        bool extended_accessed;   /* ECAP.EAFS: EAFE of PASID-table entries; the same */

        /*
         * CAP.SAGAW; 0: no second stage (ECAP.SSTS).  Legacy mode is not emulated, and goes by the
         * same bits: a guest that leaves scalable mode off (Linux: intel_iommu=sm_off) does not use a
         * unit with 0, but would use any other, which blocks all DMA then (fault 30h).
         */
        unsigned second_stage_widths;
        bool second_stage_dirty; /* ECAP.SSADS: accessed and dirty bits; needs a width */
        bool nested;             /* ECAP.NEST; needs first_stage and a width */

        bool caching_mode;            /* CAP.CM */
        bool snoop_control;           /* ECAP.SC */
        bool interrupt_remapping;     /* ECAP.IR */
        bool extended_interrupt_mode; /* ECAP.EIM; needs interrupt_remapping */

        unsigned pasid_bits;        /* 0: no ECAP.PASID; 1 to 20: ECAP.PSS + 1 */
        unsigned fault_records;     /* CAP.NFR + 1: 1 to 222, which is what fits into the page */
        unsigned address_bits;      /* CAP.MGAW + 1, the guest's DMA address width: 39 to 48, ... */
                                    /* ... to 57 with five-level tables of either stage */
        unsigned host_address_bits; /* guest-physical addresses have as many: 32 to 52 */
        uint64_t register_base;     /* guest-physical address of the register page */
};

#define VTD_FRONTEND_REGISTER_BASE UINT64_C(0xfed90000) /* where chipsets have their first unit */

/* A configuration that every nested-capable host supports. */
#define VTD_FRONTEND_CONFIG_DEFAULT                                                                \
        {                                                                                          \
                .first_stage = true, .caching_mode = true, .fault_records = 1, .address_bits = 48, \
                .host_address_bits = 52, .register_base = VTD_FRONTEND_REGISTER_BASE,              \
        }

/* First-stage translation with everything that Linux makes use of, for devices of the broker. */
#define VTD_FRONTEND_CONFIG_FIRST_STAGE                                                            \
        {                                                                                          \
                .first_stage = true, .first_stage_1gib = true, .caching_mode = true,               \
                .snoop_control = true, .pasid_bits = 20, .fault_records = 1, .address_bits = 48,   \
                .host_address_bits = 52, .register_base = VTD_FRONTEND_REGISTER_BASE,              \
        }

/* The same with 48-bit second-stage and nested translation, which emulated devices can use. */
#define VTD_FRONTEND_CONFIG_NESTED                                                                 \
        {                                                                                          \
                .first_stage = true, .first_stage_1gib = true,                                     \
                .second_stage_widths = VTD_FRONTEND_WIDTH_48, .nested = true,                      \
                .caching_mode = true, .snoop_control = true, .pasid_bits = 20, .fault_records = 1, \
                .address_bits = 48, .host_address_bits = 52,                                       \
                .register_base = VTD_FRONTEND_REGISTER_BASE,                                       \
        }

/*
 * Creates a unit in reset state.  @callbacks is copied; @opaque is passed to each callback.
 * Returns 0 with *@out owned by the caller; -EINVAL when the configuration is impossible or a
 * required callback is missing; -ENOMEM.
 */
int vtd_frontend_new(struct vtd_frontend **out, const struct vtd_frontend_config *config,
                     const struct vtd_frontend_callbacks *callbacks, void *opaque);

/* Frees the unit and closes its broker connection, whereupon the broker blocks its devices. */
struct vtd_frontend *vtd_frontend_free(struct vtd_frontend *frontend);

enum {
        VTD_FRONTEND_IDLE = 0,
        VTD_FRONTEND_PENDING = 1, /* run: call again: budget is spent or accesses are under way */
        VTD_FRONTEND_WAITING = 2, /* run: call again when the descriptor is readable */
        VTD_FRONTEND_REFUSED = 3, /* the broker refused: see vtd_frontend_refusal() */
        VTD_FRONTEND_LOST = 4,    /* there is no broker connection (any more) */
        VTD_FRONTEND_BUSY = 5,    /* a guest operation is under way: run() first, then try again */
};

/* Why the last call returned VTD_FRONTEND_REFUSED. */
struct vtd_frontend_refusal {
        uint32_t status;         /* of protos/PROTOCOL.md, table "status" */
        uint32_t reason;         /* table "reason" */
        const char *status_name; /* static: "limit" */
        const char *reason_name; /* static: "memory-limit" */
        uint64_t asked;
        uint64_t allowed;
};

/* The last refusal; all zero when there was none.  Never fails. */
void vtd_frontend_refusal(const struct vtd_frontend *frontend,
                          struct vtd_frontend_refusal *refusal);

struct vtd_frontend_broker {
        bool simulated;  /* the host is simulated */
        uint64_t memory; /* limits of the tenant's policy */
        unsigned mappings;
        unsigned devices;
        unsigned first_stage_tables;
        unsigned pasids;
};

/*
 * Connects to the broker socket at @path, or takes over a connected SOCK_SEQPACKET descriptor, and
 * says Hello.  Waits for the broker's answer (at most 10 seconds).  @broker may be NULL.
 * A lost connection stays lost: its devices are gone, and the guest with them.
 * Returns 0; VTD_FRONTEND_REFUSED, _LOST; -EISCONN when there is or was a connection; a negative
 * errno of socket(2) or connect(2).  connect_fd takes @fd over only when it returns 0; _REFUSED and
 * _LOST close it.
 */
int vtd_frontend_connect(struct vtd_frontend *frontend, const char *path,
                         struct vtd_frontend_broker *broker);
int vtd_frontend_connect_fd(struct vtd_frontend *frontend, int fd,
                            struct vtd_frontend_broker *broker);

/*
 * Plugs the device that the tenant's policy calls @name, as the guest's PCI function with requester
 * id @rid (bus << 8 | devfn).  It ends blocked; run() then attaches it as the guest's tables and
 * GSTS.TES ask.  Waits for the broker.  Use @rid to name the device in later calls.
 * Returns 0; VTD_FRONTEND_REFUSED, _LOST, _BUSY; -EEXIST when @rid is taken; -EINVAL for a name that
 * no device can have, or a unit without first-stage translation or caching mode; -ENOTSUP when the
 * guest was promised what this device's host IOMMU lacks (first-stage 1 GiB pages or five levels,
 * SRS, EAFS, snoop control, address width, PASID bits: the log says which); -ENOSPC.
 *
 * A device without PASIDs, of itself or because the tenant's policy grants none, can be plugged
 * whatever PASID bits the guest was promised: no request with PASID passes the host's IOMMU, and
 * PASID-table entries other than that of requests without PASID mean nothing.  The VMM must not show
 * the guest a PASID capability of such a device: see vtd_frontend_get_pasid_bits().
 */
int vtd_frontend_plug(struct vtd_frontend *frontend, const char *name, uint16_t rid);

/*
 * Blocks and releases it.  @rid is free again also after _REFUSED: the device is blocked then, but
 * the host could not close it; plugging it tries again.
 * Returns 0; VTD_FRONTEND_REFUSED, _LOST, _BUSY; -ENODEV.
 */
int vtd_frontend_unplug(struct vtd_frontend *frontend, uint16_t rid);

/*
 * The guest has numbered its buses anew: the function plugged as @rid has requester id @new_rid from
 * here on.  Needs run(), which binds it as the guest's tables say for that one; until then it stays
 * bound as it was.
 * Returns 0; VTD_FRONTEND_BUSY; -ENODEV; -EEXIST when @new_rid is another function's.
 */
int vtd_frontend_renumber(struct vtd_frontend *frontend, uint16_t rid, uint16_t new_rid);

/*
 * Lets devices reach guest RAM: @size bytes of the memfd @fd from @offset, at guest-physical @gpa
 * (all multiples of 4096).  The memfd must be sealed with F_SEAL_SHRINK and open for reading and
 * writing.  Possible only after the first plug.  @fd stays the caller's and may be closed.
 * Returns 0 with *@mapping (never 0); VTD_FRONTEND_REFUSED, _LOST, _BUSY; -EBADF.
 */
int vtd_frontend_map(struct vtd_frontend *frontend, uint64_t gpa, uint64_t size, int fd,
                     uint64_t offset, uint64_t *mapping);
/* Returns 0; VTD_FRONTEND_REFUSED, _LOST, _BUSY. */
int vtd_frontend_unmap(struct vtd_frontend *frontend, uint64_t mapping);

/*
 * Guest access to the register page: @size 4 or 8, @offset a multiple of @size below 4096.  Other
 * accesses read as 0 and are ignored when writing.  Writes only take note of commands, and have an
 * event sent that was pending until it is unmasked: call vtd_frontend_run() afterwards.
 */
uint64_t vtd_frontend_read(struct vtd_frontend *frontend, uint64_t offset, unsigned size);
void vtd_frontend_write(struct vtd_frontend *frontend, uint64_t offset, unsigned size,
                        uint64_t value);

/*
 * Works on what the guest asked for: register commands, invalidation descriptors, changed bindings.
 * @budget bounds the work of this call: at most that many descriptors or table entries are read and
 * requests for invalidation sent.
 * Never waits.
 * Returns VTD_FRONTEND_IDLE, _PENDING, _WAITING, or _LOST (the queue is held, see broker_lost).  A
 * unit that was never connected has no devices of a broker, and works without one.
 *
 * _PENDING says that the budget is spent, or that a wait descriptor, a command or a reset cannot
 * complete, or somebody be told of an invalidation, before accesses of emulated devices have ended
 * (vtd/dma.h): then the call returns at once and gives up the processor, and is to be made again,
 * whatever the budget.  An access is short, but must be able to end: do not loop over this call while
 * holding a lock, or being the thread, that one needs.
 */
int vtd_frontend_run(struct vtd_frontend *frontend, unsigned budget);

/* The broker connection, to be polled for reading; -1 when there is none.  Not to be closed. */
int vtd_frontend_get_fd(const struct vtd_frontend *frontend);

/*
 * System reset: registers and caches return to their initial state, every binding is dropped, and
 * the devices are attached as with translation off.  Devices and memory stay plugged and mapped.
 * Needs run() afterwards, until it is idle: only then have accesses of emulated devices ended that
 * were translated by what was before, and have those been told who keep translations (vtd/dma.h) or
 * interrupts (vtd/interrupt.h).
 */
void vtd_frontend_reset(struct vtd_frontend *frontend);

enum vtd_frontend_binding {
        VTD_FRONTEND_BINDING_BLOCKED = 1,
        VTD_FRONTEND_BINDING_PASSTHROUGH = 2,
        VTD_FRONTEND_BINDING_FIRST_STAGE = 3,
};

/* How requests without PASID of @rid are bound now.  Returns 0 or -ENODEV. */
int vtd_frontend_get_binding(const struct vtd_frontend *frontend, uint16_t rid,
                             enum vtd_frontend_binding *binding);

/*
 * How requests with @pasid (not 0) of @rid are bound now; what the guest's tables do not name, or
 * ask for in vain, is blocked.  Returns 0 or -ENODEV.
 */
int vtd_frontend_get_pasid_binding(const struct vtd_frontend *frontend, uint16_t rid,
                                   uint32_t pasid, enum vtd_frontend_binding *binding);

/*
 * The width of the PASIDs that @rid can use, for the PASID capability that the VMM shows its guest:
 * the configured one, or 0 when there must be no such capability.  Returns 0 or -ENODEV.
 */
int vtd_frontend_get_pasid_bits(const struct vtd_frontend *frontend, uint16_t rid, unsigned *bits);

struct vtd_frontend_stats {
        uint64_t descriptors;   /* invalidation descriptors completed */
        uint64_t requests;      /* records sent to the broker */
        uint64_t attaches;      /* of them Attach */
        uint64_t invalidates;   /* of them Invalidate */
        uint64_t faults;        /* fault records written or dropped for lack of room */
        uint32_t last_sequence; /* of the last record sent */
};

void vtd_frontend_get_stats(struct vtd_frontend *frontend, struct vtd_frontend_stats *stats);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
