/* SPDX-License-Identifier: MIT */
/*
 * The tree of one VM: address space, second-stage tables, first-stage tables, and what goes through
 * them.  What a record says is shown as it is; one that fits nowhere (something changed while it was
 * read, or a worker lies) is shown below the VM.
 */
#ifndef VTD_BROKER_BROKERCTL_TREE_H
#define VTD_BROKER_BROKERCTL_TREE_H

#include <glib.h>

#include "broker/admin/admin.h"

/* Records of one VM, the first of which is VM.  Returns the drawing; the caller frees it. */
char *vtd_tree_draw(const GPtrArray *records);

#endif
