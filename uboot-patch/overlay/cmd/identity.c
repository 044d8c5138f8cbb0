// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: the command "identity"
 */

#include <identity_compat.h>
#include <identity_board.h>
#include <malloc.h>
#include <mmc.h>
#include <vsprintf.h>
#include <linux/string.h>

static struct identity_card *read_card(int devnum)
{
	struct identity_card *card = identity_card_read(devnum);

	if (!card)
		printf("identity: no memory\n");

	return card;
}

static int result(int state)
{
	return identity_usable(state) ? CMD_RET_SUCCESS : CMD_RET_FAILURE;
}

static int do_read(int devnum)
{
	struct identity_card *card = read_card(devnum);
	int ret = CMD_RET_FAILURE;

	if (!card)
		return ret;
	if (identity_show(card))
		ret = result(card->state);
	free(card);

	return ret;
}

static int do_verify(int devnum)
{
	struct identity_card *card = read_card(devnum);
	int ret = CMD_RET_FAILURE;

	if (!card)
		return ret;
	identity_show_copies(card);
	if (card->state == IDENTITY_VALID)
		ret = CMD_RET_SUCCESS;
	free(card);

	return ret;
}

static int do_list(void)
{
	struct identity_card *card;
	int devnum, ret = CMD_RET_FAILURE;

	for (devnum = 0; devnum < get_mmc_num(); devnum++) {
		card = read_card(devnum);
		if (!card)
			return CMD_RET_FAILURE;
		identity_show_line(card);
		if (identity_usable(card->state))
			ret = CMD_RET_SUCCESS;
		free(card);
	}

	return ret;
}

static int do_env(int devnum)
{
	return result(identity_apply(devnum));
}

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
		return argc ? CMD_RET_USAGE : do_list();
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
		return do_read(devnum);
	if (!strcmp(verb, "verify"))
		return do_verify(devnum);
	if (!strcmp(verb, "env"))
		return do_env(devnum);

	return CMD_RET_USAGE;
}

U_BOOT_CMD(identity, 4, 0, do_identity,
	   "board identity on the SD card",
	   "read [mmc] [dev]   - show the identity\n"
	   "identity verify [mmc] [dev] - show each place for a copy, and the bindings\n"
	   "identity env [mmc] [dev]    - set ethaddr, identity_profile ... from it\n"
	   "identity list               - show what each MMC device holds\n"
	   IDENTITY_NETBOOT_HELP
	   "    dev: number of the MMC device, default the one that the board\n"
	   "    starts from\n"
	   "    The result is true if there is a valid identity; for read, env and\n"
	   "    list also if a copy of it is damaged.");
