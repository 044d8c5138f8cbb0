# SPDX-License-Identifier: GPL-2.0+
#
# Board identity on the SD card: the proof that the board takes it on start.
#
# Included by U-Boot's own Makefile. Which code calls us depends on the tree, on
# the board and on its configuration. The linker has followed all calls and
# left out what nobody calls, so the image is what can be asked.

ifeq ($(CONFIG_IDENTITY_BOOT),y)
PHONY += identity-called
all u-boot-nodtb.bin: | identity-called
identity-called: u-boot
	$(Q)$(CONFIG_SHELL) $(srctree)/lib/identity/check-called "$(NM)" $<
endif
