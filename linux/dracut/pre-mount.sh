#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# dracut: the identity, before the root is mounted. The boot goes on whatever comes of it.
/usr/lib/identity/apply || :
