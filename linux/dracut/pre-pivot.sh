#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# dracut: the machine-id and /etc/hostname, when the system is mounted and its init has not started.
/usr/lib/identity/apply root "${NEWROOT-/sysroot}" || :
