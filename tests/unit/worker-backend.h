/* SPDX-License-Identifier: MIT */
/*
 * A worker's core over the simulated host, in the test's own process, in the place of a broker: the
 * real codec, books, tables and caches, with neither a socket nor a sandbox between.  Answers come
 * when the test lets them, and the test reaches into the devices, so that DMA can happen between
 * any two things that happen.
 *
 * Defines the functions of broker/worker/supervisor.h: not for programs that have fake-supervisor.c.
 */
#ifndef VTD_TESTS_WORKER_BACKEND_H
#define VTD_TESTS_WORKER_BACKEND_H

#include "broker/host_sim/device_file.h"
#include "broker/worker/supervisor.h"
#include "broker/worker/vm.h"
#include "frontend/backend.h"
#include "policy/policy.h"
#include "protos/codec.h"

#define WORKER_DEVICES 3u /* "dev0" and so on, all of the model "edu" */

struct worker_supervisor {
        struct vtd_supervisor base;
        struct vtd_sim_device_file *files[WORKER_DEVICES]; /* NULL unless opened */
};

struct worker_backend {
        struct vtd_backend base;
        /* Set by the test. */
        bool hold; /* answers stay away, except from calls that wait for them */
        bool late; /* the worker takes up a request only when its answer is asked for */

        bool violated; /* the worker has ended the connection */
        size_t requests;
        struct vtd_policy policy;
        struct worker_supervisor supervisor;
        struct vtd_vm *vm;
        struct vtd_codec codec;
        enum vtd_request_type type; /* of the unanswered request; 0: none */
        bool served;                /* its reply is in reply */
        uint32_t sequence;
        struct vtd_fd_list fds;
        uint8_t record[VTD_FRAME_SIZE_MAX], reply[VTD_FRAME_SIZE_MAX];
        size_t record_length, reply_length;
};

/* The frontend that it is given to frees it. */
struct worker_backend *worker_backend_new(void);

/* The state of a device that is plugged, or NULL. */
struct vtd_sim_device_file *worker_backend_device(struct worker_backend *worker, unsigned number);

/* Lets the devices do all that they were told to do. */
void worker_backend_step(struct worker_backend *worker);

#endif
