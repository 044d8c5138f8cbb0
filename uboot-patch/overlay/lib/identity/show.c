// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: what the command "identity" prints
 */

#include <identity_compat.h>
#include <identity_board.h>
#include <malloc.h>
#include <mmc.h>
#include <linux/kernel.h>
#include <linux/string.h>

static int print_value(void *to, const struct identity_value *value)
{
	char name[IDENTITY_TEXT_LEN + 1];
	const char *format = "%s";

	if (value->what == IDENTITY_VALUE_VARIABLE)
		format = "%s=";
	snprintf(name, sizeof(name), format, value->name);
	if (value->what == IDENTITY_VALUE_MAC)
		snprintf(name, sizeof(name), "mac %u", value->index);
	printf("%-12s%s%s\n", name, value->text,
	       value->assigned ? " (assigned)" : "");

	return 0;
}

/* Whether there is one identity to show, even if the board may not use it */
static bool has_record(int state)
{
	return identity_usable(state) || identity_mismatch(state);
}

/* By condition, from IDENTITY_CONDITION_ABSENT */
static const char conditions[] =
	"behind the card's end\0"
	"blank\0"
	"something else's data\0"
	"valid\0"
	"corrupt\0"
	"newer\0"
	"unreadable\0"
	"?";

static const char *condition_name(u32 condition)
{
	return identity_string(conditions,
			       min_t(u32, condition - IDENTITY_CONDITION_ABSENT,
				     IDENTITY_CONDITION_UNREADABLE));
}

static void print_state(const struct identity_card *card)
{
	printf("card        mmc %d\n"
	       "state       %s\n", card->devnum, identity_state(card->state));
	if (card->state != IDENTITY_VALID) {
		printf("            ");
		identity_print_advice(card);
	}
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

static struct identity_card *read_card(int devnum)
{
	struct identity_card *card = identity_card_read(devnum);

	if (!card)
		printf("identity: no memory\n");

	return card;
}

int identity_show(int devnum)
{
	struct identity_card *card = read_card(devnum);
	int ret = CMD_RET_FAILURE;

	if (!card)
		return ret;
	print_state(card);
	if (has_record(card->state)) {
		identity_each(&card->record, print_value, NULL);
		printf("generation  %u\n"
		       "lba         %u\n", card->record.generation,
		       card->record.lba);
		if (identity_usable(card->state))
			ret = CMD_RET_SUCCESS;
	}
	free(card);

	return ret;
}

static void print_copies(const struct identity_card *card)
{
	struct identity_seen seen;
	u32 number;

	for (number = 0; identity_search_seen(&card->search, number, &seen,
					      sizeof(seen)) == IDENTITY_OK;
	     number++) {
		printf("LBA %-8u%s", seen.lba, condition_name(seen.condition));
		if (seen.condition == IDENTITY_CONDITION_VALID)
			printf(", generation %u", seen.generation);
		printf("\n");
	}
}

int identity_show_copies(int devnum)
{
	struct identity_card *card = read_card(devnum);
	int ret = CMD_RET_FAILURE;

	if (!card)
		return ret;
	print_state(card);
	if (has_record(card->state))
		print_bindings(&card->record);
	print_copies(card);
	if (card->state == IDENTITY_VALID)
		ret = CMD_RET_SUCCESS;
	free(card);

	return ret;
}

static void print_line(const struct identity_card *card)
{
	char uuid[IDENTITY_TEXT_LEN], profile[IDENTITY_TEXT_LEN];

	printf("mmc %d: %s", card->devnum, identity_state(card->state));
	if (identity_usable(card->state)) {
		identity_text(&card->record, IDENTITY_TEXT_PROFILE, profile);
		identity_text(&card->record, IDENTITY_TEXT_UUID, uuid);
		printf(", %s %s, LBA %u", profile, uuid, card->record.lba);
	}
	printf("\n");
}

int identity_show_all(void)
{
	struct identity_card *card;
	int devnum, ret = CMD_RET_FAILURE;

	for (devnum = 0; devnum < get_mmc_num(); devnum++) {
		card = read_card(devnum);
		if (!card)
			return CMD_RET_FAILURE;
		print_line(card);
		if (identity_usable(card->state))
			ret = CMD_RET_SUCCESS;
		free(card);
	}

	return ret;
}
