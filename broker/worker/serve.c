/* SPDX-License-Identifier: MIT */
/*
 * See serve.h.  What comes over the connection is hostile; it goes to vtd_vm_request() unread.  One
 * record is taken per wake-up: the poll is level-triggered, so a second record wakes it again, and
 * the control channel has its turn in between.
 */
#include "broker/worker/serve.h"

#include <string.h>

#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/record.h"

static void on_connection(uv_poll_t *handle, int status, int events);

static void end(struct vtd_serve *serve, enum vtd_audit_event reason)
{
        if (serve->end == 0)
                serve->end = reason;
        uv_stop(&serve->loop);
}

static void end_lost(struct vtd_serve *serve)
{
        serve->lost = true;
        uv_stop(&serve->loop);
}

static void watch_connection(struct vtd_serve *serve, int events)
{
        if (uv_poll_start(&serve->connection, events, on_connection) < 0)
                end(serve, VTD_AUDIT_EVENT_CONNECTION_ENDED);
}

static void on_devices(uv_idle_t *handle)
{
        struct vtd_serve *serve = handle->data;

        if (!vtd_vm_step(serve->vm))
                (void)uv_idle_stop(handle);
}

/* A request may have given simulated devices work; the first piece is done without a wake-up. */
static void run_devices(struct vtd_serve *serve)
{
        if (!uv_is_active((uv_handle_t *)&serve->devices) && vtd_vm_step(serve->vm))
                (void)uv_idle_start(&serve->devices, on_devices);
}

/* Sends the reply that is held; reading goes on once it is gone. */
static void send_reply(struct vtd_serve *serve)
{
        int result;

        result = vtd_record_send(VTD_WORKER_FD_CONNECTION, serve->reply, serve->reply_length, -1);
        if (result == VTD_RECORD_E_AGAIN) {
                watch_connection(serve, UV_WRITABLE);
                return;
        }
        if (result != 0) {
                end(serve, VTD_AUDIT_EVENT_CONNECTION_ENDED);
                return;
        }
        serve->reply_length = 0;
        run_devices(serve);
}

static void on_delay(uv_timer_t *handle)
{
        struct vtd_serve *serve = handle->data;

        send_reply(serve);
        if (serve->reply_length == 0 && serve->end == 0)
                watch_connection(serve, UV_READABLE);
}

static void hold_reply(struct vtd_serve *serve, unsigned delay_ms)
{
        (void)uv_poll_stop(&serve->connection);
        if (uv_timer_start(&serve->delay, on_delay, delay_ms, 0) < 0)
                end(serve, VTD_AUDIT_EVENT_CONNECTION_ENDED);
}

static void serve_record(struct vtd_serve *serve, size_t length, struct vtd_fd_list *fds)
{
        unsigned delay_ms = 0;
        int result;

        result = vtd_vm_request(serve->vm, serve->record, length, fds, serve->reply,
                                &serve->reply_length, &delay_ms);
        if (result == VTD_VM_E_VIOLATION) {
                serve->reply_length = 0;
                end(serve, VTD_AUDIT_EVENT_VIOLATION);
                return;
        }
        if (result != 0) {
                end_lost(serve);
                return;
        }
        if (serve->supervisor->greeted)
                (void)uv_timer_stop(&serve->hello);
        if (serve->supervisor->drain)
                end(serve, VTD_AUDIT_EVENT_DRAINED);
        if (delay_ms > 0)
                hold_reply(serve, delay_ms);
        else
                send_reply(serve);
}

static void receive_record(struct vtd_serve *serve)
{
        VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        size_t length;
        int result;

        result = vtd_record_receive(VTD_WORKER_FD_CONNECTION, serve->record, sizeof(serve->record),
                                    &length, &fds);
        switch (result) {
        case 0:
                serve_record(serve, length, &fds);
                return;
        case VTD_RECORD_E_AGAIN:
                return;
        case VTD_RECORD_E_VIOLATION:
                end(serve, VTD_AUDIT_EVENT_VIOLATION);
                return;
        default:
                end(serve, VTD_AUDIT_EVENT_CONNECTION_ENDED);
                return;
        }
}

static void on_connection(uv_poll_t *handle, int status, int events)
{
        struct vtd_serve *serve = handle->data;

        (void)events;
        if (status < 0) {
                end(serve, VTD_AUDIT_EVENT_CONNECTION_ENDED);
                return;
        }
        if (serve->reply_length > 0) {
                /* The socket has room again. */
                send_reply(serve);
                if (serve->reply_length == 0 && serve->end == 0)
                        watch_connection(serve, UV_READABLE);
                return;
        }
        receive_record(serve);
}

static void on_control(uv_poll_t *handle, int status, int events)
{
        struct vtd_serve *serve = handle->data;

        (void)events;
        if (status < 0 || vtd_supervisor_dispatch(serve->supervisor) < 0)
                end_lost(serve);
        else if (serve->supervisor->drain)
                end(serve, VTD_AUDIT_EVENT_DRAINED);
}

/* Not a violation: the VMM said nothing at all, or was refused and did not ask again. */
static void on_hello_late(uv_timer_t *handle)
{
        end(handle->data, VTD_AUDIT_EVENT_CONNECTION_ENDED);
}

int vtd_serve_init(struct vtd_serve *serve, struct vtd_supervisor *supervisor, struct vtd_log *log)
{
        int result;

        memset(serve, 0, sizeof(*serve));
        serve->supervisor = supervisor;
        result = uv_loop_init(&serve->loop);
        if (result == 0)
                result = uv_poll_init(&serve->loop, &serve->connection, VTD_WORKER_FD_CONNECTION);
        if (result == 0)
                result = uv_poll_init(&serve->loop, &serve->control, VTD_WORKER_FD_CONTROL);
        if (result == 0)
                result = uv_timer_init(&serve->loop, &serve->hello);
        if (result == 0)
                result = uv_timer_init(&serve->loop, &serve->delay);
        if (result == 0)
                result = uv_idle_init(&serve->loop, &serve->devices);
        if (result < 0)
                return vtd_fail(log, result, "event loop: %s", uv_strerror(result));
        serve->connection.data = serve;
        serve->control.data = serve;
        serve->hello.data = serve;
        serve->delay.data = serve;
        serve->devices.data = serve;
        return 0;
}

enum vtd_worker_exit vtd_serve_run(struct vtd_serve *serve, struct vtd_vm *vm)
{
        serve->vm = vm;
        if (uv_timer_start(&serve->hello, on_hello_late, VTD_LIMIT_HELLO_MS, 0) < 0 ||
            uv_poll_start(&serve->control, UV_READABLE, on_control) < 0 ||
            uv_poll_start(&serve->connection, UV_READABLE, on_connection) < 0)
                return VTD_WORKER_EXIT_LOOP;
        (void)uv_run(&serve->loop, UV_RUN_DEFAULT);
        if (serve->lost)
                return VTD_WORKER_EXIT_SUPERVISOR;
        vtd_vm_end(serve->vm, serve->end);
        return VTD_WORKER_EXIT_DONE;
}
