/* SPDX-License-Identifier: MIT */
/*
 * What an administrator can do when the system has no more descriptors, processes or memory for
 * vtd-brokerd: the end of the message that reports it.
 */
#ifndef VTD_BROKER_BROKERD_SCARCITY_H
#define VTD_BROKER_BROKERD_SCARCITY_H

/*
 * The setting that decides, in parentheses and with a blank before them; empty if the negative errno
 * @error is about nothing scarce.  Never NULL.
 */
const char *vtd_scarcity_text(int error);

/* The same for an @error of clone(), which means more by some. */
const char *vtd_scarcity_clone_text(int error);

#endif
