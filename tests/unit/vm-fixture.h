/* SPDX-License-Identifier: MIT */
/* One VM over a fake host and a fake supervisor; raw records in, raw records out. */
#ifndef VTD_TESTS_VM_FIXTURE_H
#define VTD_TESTS_VM_FIXTURE_H

#include "broker/worker/vm.h"
#include "broker/worker/vm_state.h"
#include "protos/codec.h"
#include "tests/unit/fake-host.h"
#include "tests/unit/fake-supervisor.h"

#define MIB UINT64_C(0x100000)
#define GIB UINT64_C(0x40000000)

/* Lines of the rules in the fixture's policy, so that an audit line can be recognised. */
#define LINE_TENANT 3u
#define LINE_MODES  20u
#define LINE_FLAGS  21u
#define LINE_LIMIT  30u /* of limit n: LINE_LIMIT + n */
#define LINE_DEVICE 50u /* of device n: LINE_DEVICE + n */

struct fixture {
        struct vtd_policy policy;
        struct fake_supervisor supervisor;
        struct fake_host *host; /* owned by vm */
        struct vtd_vm *vm;
        enum vtd_audit_level level;
        struct vtd_codec codec;
        uint32_t sequence;
        struct vtd_reply reply; /* to the last request that was answered */
        unsigned delay_ms;
};

/* A policy with devices "dev0" to "dev3", all modes, flags and widths, and room for some of all. */
struct fixture *fixture_new(void);

/* Grants configuration space of every device, from the next start on. */
void fixture_grant_config(struct fixture *fixture);

/* (Re)starts the VM: new host, policy as it is in the fixture now; says Hello when @greet. */
void fixture_start(struct fixture *fixture, bool greet);

/* Ends the VM, checks that the host is empty and every device given back, frees all. */
void fixture_free(struct fixture *fixture);

/* Ends and checks like fixture_free() but keeps the fixture for another start. */
void fixture_stop(struct fixture *fixture);

/* Sends @request (with a duplicate of @fd unless -1).  Returns what vtd_vm_request() did. */
int fixture_call(struct fixture *fixture, struct vtd_request *request, int fd);

/* The books and the host must agree in everything; also with limbo when @fatal. */
void fixture_check_books(const struct fixture *fixture, bool fatal);

/* Requests that must succeed; they check the books. */
uint64_t fixture_plug(struct fixture *fixture, unsigned number);
uint64_t fixture_map(struct fixture *fixture, uint64_t gpa, uint64_t size);
uint64_t fixture_attach(struct fixture *fixture, uint64_t device, uint32_t pasid,
                        enum vtd_attach_mode mode, uint64_t root);

/* Fill in a request. */
struct vtd_request fixture_plug_request(unsigned number);
struct vtd_request fixture_map_request(uint64_t gpa, uint64_t size, uint64_t offset);
struct vtd_request fixture_attach_request(uint64_t device, uint32_t pasid,
                                          enum vtd_attach_mode mode, uint64_t root);

/* The request must be refused with @reason; its audit line must say @line.  Checks the books. */
void fixture_expect_refusal(struct fixture *fixture, struct vtd_request *request, int fd,
                            enum vtd_reason reason, uint32_t line);

/* A sealed memfd of @size bytes; the caller closes it. */
int fixture_memfd(uint64_t size, unsigned seals);

/* The host's id of a plugged device. */
uint32_t fixture_host_id(const struct fixture *fixture, uint64_t device);

/* Forgets the calls so far. */
void fixture_forget_calls(struct fixture *fixture);

/* The operations since then must be exactly those of the list, which 0 ends. */
void fixture_expect_calls(const struct fixture *fixture, const uint32_t *ops);
#define EXPECT_CALLS(fixture, ...)                                                                 \
        fixture_expect_calls((fixture), (const uint32_t[]){__VA_ARGS__, 0})

#endif
