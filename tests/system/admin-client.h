/* SPDX-License-Identifier: MIT */
/* An administrator who is not vtd-brokerctl: sends any bytes, and keeps every record of the answer. */
#ifndef VTD_TESTS_ADMIN_CLIENT_H
#define VTD_TESTS_ADMIN_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "broker/admin/admin.h"
#include "tests/system/broker-run.h"

#define ADMIN_RECORDS_MAX 4096u

struct admin_client {
        int socket;
        int fd; /* that came with the last answer, owned; -1: none */
        size_t n_records;
        struct vtd_admin_record *records; /* of the last answer, owned */
};

/* Connects to the control socket of @run.  0 or a negative errno. */
int admin_connect(struct admin_client *client, const struct broker_run *run);
void admin_close(struct admin_client *client);

/* Sends @text, without waiting.  0 or a negative errno. */
int admin_send(struct admin_client *client, const char *text);

/*
 * Receives the records of one answer.  Returns the last one, or NULL when the connection ended or
 * nothing came for 25 seconds.
 */
const struct vtd_admin_record *admin_receive(struct admin_client *client);

/* Both, with "vtd-control 1 " before @text; @format is as that of printf(). */
const struct vtd_admin_record *admin_ask(struct admin_client *client, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* The record @number, from 0 on, of those of @kind in the last answer; NULL when there is none. */
const struct vtd_admin_record *admin_find(const struct admin_client *client,
                                          enum vtd_admin_kind kind, size_t number);

#endif
