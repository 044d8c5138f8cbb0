// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: the command "identity"
 */

#include <identity_compat.h>
#include <identity_board.h>
#include <vsprintf.h>
#include <linux/string.h>

static int do_identity(identity_cmd_tbl cmdtp, int flag, int argc,
		       char *const argv[])
{
	const char *verb;
	ulong devnum;

	if (argc < 2)
		return CMD_RET_USAGE;
	verb = argv[1];
	argc -= 2;
	argv += 2;

	if (!strcmp(verb, "list"))
		return argc ? CMD_RET_USAGE : identity_show_all();
	if (IS_ENABLED(CONFIG_IDENTITY_NETBOOT) && !strcmp(verb, "netboot"))
		return argc ? CMD_RET_USAGE : identity_netboot();

	if (argc && !strcmp(argv[0], "mmc")) {
		argc--;
		argv++;
	}
	if (!argc)
		devnum = identity_mmc_device();
	else if (argc > 1 || strict_strtoul(argv[0], 10, &devnum))
		return CMD_RET_USAGE;

	if (!strcmp(verb, "read"))
		return identity_show(devnum);
	if (!strcmp(verb, "verify"))
		return identity_show_copies(devnum);
	if (!strcmp(verb, "env"))
		return !identity_usable(identity_apply(devnum));

	return CMD_RET_USAGE;
}

U_BOOT_CMD(identity, 4, 0, do_identity,
	   "board identity on the SD card",
	   "read [mmc] [dev] - show it\n"
	   "identity verify [mmc] [dev] - show its copies and bindings\n"
	   "identity env [mmc] [dev] - set ethaddr, identity_profile ... from it\n"
	   "identity list - show each MMC device's\n"
	   IDENTITY_NETBOOT_HELP
	   "    dev: a number, default the device that the board starts from\n"
	   "    True if it is valid, or, but for verify, a copy is damaged.");
