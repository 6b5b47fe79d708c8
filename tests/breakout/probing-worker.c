/* SPDX-License-Identifier: MIT */
/*
 * A worker that was taken over right after it reported ready: in the place of serving its VM it does
 * what the other end of its connection orders.  Everything up to there is the release worker's own
 * code (broker/worker/main.c, serve.c, sandbox/), spawned by vtd-brokerd in the same way.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/worker/serve.h"
#include "broker/control/control.h"
#include "tests/breakout/probe.h"

/* Waits for an order with the calls that a worker has. */
static ssize_t receive_order(struct probe_order *order)
{
        struct pollfd ready = {.fd = VTD_WORKER_FD_CONNECTION, .events = POLLIN};
        struct iovec data = {.iov_base = order, .iov_len = sizeof(*order)};
        struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

        while (ppoll(&ready, 1, NULL, NULL) < 0 && errno == EINTR)
                ;
        return recvmsg(VTD_WORKER_FD_CONNECTION, &message, MSG_DONTWAIT);
}

enum vtd_worker_exit vtd_serve_run(struct vtd_serve *serve, struct vtd_vm *vm)
{
        struct probe_order order;

        (void)serve;
        while (receive_order(&order) == sizeof(order)) {
                const struct probe *probe = probe_at(order.number);
                struct probe_answer answer = {.result = -1, .error = EINVAL};

                if (probe) {
                        errno = 0;
                        answer.result = probe->attempt();
                        answer.error = errno;
                }
                (void)send(VTD_WORKER_FD_CONNECTION, &answer, sizeof(answer),
                           MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        vtd_vm_end(vm, VTD_AUDIT_EVENT_CONNECTION_ENDED);
        return VTD_WORKER_EXIT_DONE;
}
