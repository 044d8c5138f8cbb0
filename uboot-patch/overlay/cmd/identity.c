// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: the command "identity"
 */

#include <command.h>
#include <identity_board.h>
#include <malloc.h>
#include <mmc.h>
#include <stdio.h>
#include <vsprintf.h>
#include <linux/kernel.h>
#include <linux/string.h>

static struct identity_card *read_card(int devnum, u32 depth)
{
	struct identity_card *card = identity_card_read(devnum, depth);

	if (!card)
		printf("identity: no memory\n");

	return card;
}

static void print_text(const struct identity_record *record, u32 what,
		       const char *label)
{
	char text[IDENTITY_TEXT_LEN];

	if (identity_text(record, what, text))
		printf("%-12s%s\n", label, text);
}

static void print_mac(const struct identity_record *record, u32 index)
{
	char mac[IDENTITY_MAC_LEN];
	bool assigned;

	identity_mac(record, index, mac, &assigned);
	printf("mac %-8u%s%s\n", index, mac, assigned ? " (assigned)" : "");
}

static void print_macs(const struct identity_record *record)
{
	u32 index, number, count = identity_interfaces();

	for (index = 0; index < count; index++)
		print_mac(record, index);
	for (number = 0; identity_record_assigned(record, number, &index) ==
			 IDENTITY_OK; number++) {
		if (index >= count)
			print_mac(record, index);
	}
}

static void print_variables(const struct identity_record *record)
{
	char key[IDENTITY_TEXT_LEN], value[IDENTITY_VALUE_LEN];
	u32 number;

	for (number = 0; identity_record_variable(record, number, key,
						  sizeof(key), value,
						  sizeof(value)) == IDENTITY_OK;
	     number++)
		printf("%s=%-*s%s\n", key, max(11 - (int)strlen(key), 0), "",
		       value);
}

/* Whether there is one identity to show, even if the board may not use it */
static bool has_record(int state)
{
	return identity_usable(state) || identity_mismatch(state);
}

static int result(int state)
{
	return identity_usable(state) ? CMD_RET_SUCCESS : CMD_RET_FAILURE;
}

static const char *condition_name(u32 condition)
{
	static const char *const names[] = {
		[IDENTITY_CONDITION_ABSENT] = "behind the card's end",
		[IDENTITY_CONDITION_BLANK] = "blank",
		[IDENTITY_CONDITION_FOREIGN] = "something else's data",
		[IDENTITY_CONDITION_VALID] = "valid",
		[IDENTITY_CONDITION_CORRUPT] = "corrupt",
		[IDENTITY_CONDITION_NEWER] = "newer",
		[IDENTITY_CONDITION_UNREADABLE] = "unreadable",
	};

	return condition < ARRAY_SIZE(names) && names[condition] ?
		names[condition] : "?";
}

static void print_state(const struct identity_card *card)
{
	char state[IDENTITY_STATE_LEN];

	printf("card        mmc %d\n", card->devnum);
	printf("state       %s\n", identity_state(card->state, state));
	if (card->state != IDENTITY_VALID)
		printf("            %s\n", identity_advice(card->state));
}

static bool print_binding(const struct identity_record *record, u32 what,
			  const char *to)
{
	char text[IDENTITY_TEXT_LEN];

	if (!identity_text(record, what, text))
		return false;
	printf("bound to    %s %s\n", to, text);

	return true;
}

static void print_bindings(const struct identity_record *record)
{
	bool is_bound;

	is_bound = print_binding(record, IDENTITY_TEXT_CARD, "card");
	is_bound |= print_binding(record, IDENTITY_TEXT_BOARD, "board");
	if (!is_bound)
		printf("bound to    nothing; a copy on another card looks the same\n");
}

/* The same order and names as "identity read" on a workstation */
static void print_record(const struct identity_record *record)
{
	print_text(record, IDENTITY_TEXT_PROFILE, "profile");
	print_text(record, IDENTITY_TEXT_UUID, "uuid");
	print_text(record, IDENTITY_TEXT_HOSTNAME, "hostname");
	print_text(record, IDENTITY_TEXT_SERIAL, "serial");
	print_macs(record);
	print_text(record, IDENTITY_TEXT_MACHINE_ID, "machine-id");
	print_variables(record);
	printf("generation  %u\n", record->generation);
	printf("lba         %u\n", record->lba);
}

static int do_read(int devnum)
{
	struct identity_card *card = read_card(devnum, IDENTITY_DEPTH_PAIR);
	int ret = CMD_RET_FAILURE;

	if (!card)
		return ret;
	print_state(card);
	if (has_record(card->state)) {
		print_record(&card->record);
		ret = result(card->state);
	}
	free(card);

	return ret;
}

static int do_verify(int devnum)
{
	struct identity_card *card = read_card(devnum, IDENTITY_DEPTH_ALL);
	struct identity_seen seen;
	int ret = CMD_RET_FAILURE;
	u32 number;

	if (!card)
		return ret;
	print_state(card);
	if (has_record(card->state))
		print_bindings(&card->record);
	for (number = 0; identity_search_seen(&card->search, number, &seen,
					      sizeof(seen)) == IDENTITY_OK;
	     number++) {
		printf("LBA %-8u%s", seen.lba, condition_name(seen.condition));
		if (seen.condition == IDENTITY_CONDITION_VALID)
			printf(", generation %u", seen.generation);
		printf("\n");
	}
	if (card->state == IDENTITY_VALID)
		ret = CMD_RET_SUCCESS;
	free(card);

	return ret;
}

static int do_list(void)
{
	char uuid[IDENTITY_TEXT_LEN], profile[IDENTITY_TEXT_LEN];
	char state[IDENTITY_STATE_LEN];
	struct identity_card *card;
	int devnum, ret = CMD_RET_FAILURE;

	for (devnum = 0; devnum < get_mmc_num(); devnum++) {
		card = read_card(devnum, IDENTITY_DEPTH_PAIR);
		if (!card)
			return CMD_RET_FAILURE;
		printf("mmc %d: %s", devnum,
		       identity_state(card->state, state));
		if (identity_usable(card->state)) {
			identity_text(&card->record, IDENTITY_TEXT_PROFILE,
				      profile);
			identity_text(&card->record, IDENTITY_TEXT_UUID, uuid);
			printf(", %s %s, LBA %u", profile, uuid,
			       card->record.lba);
			ret = CMD_RET_SUCCESS;
		}
		printf("\n");
		free(card);
	}

	return ret;
}

static int do_env(int devnum)
{
	return result(identity_apply(devnum));
}

static int do_identity(struct cmd_tbl *cmdtp, int flag, int argc,
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
	   "identity verify [mmc] [dev] - look at every place for a copy\n"
	   "identity env [mmc] [dev]    - set ethaddr, identity_profile ... from it\n"
	   "identity list               - show what each MMC device holds\n"
	   "    dev: number of the MMC device, default the one that the board\n"
	   "    starts from\n"
	   "    The result is true if there is a valid identity; for read, env and\n"
	   "    list also if a copy of it is damaged.");
