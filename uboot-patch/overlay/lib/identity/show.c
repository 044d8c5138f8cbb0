// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: what the command "identity" prints
 */

#include <identity_compat.h>
#include <identity_board.h>
#include <linux/kernel.h>
#include <linux/string.h>

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
	char state[IDENTITY_STATE_LEN];

	printf("card        mmc %d\n", card->devnum);
	printf("state       %s\n", identity_state(card->state, state));
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

/* The same order and names as "identity read" on a workstation */
static void print_record(const struct identity_record *record)
{
	char text[IDENTITY_TEXT_LEN];
	int i;

	for (i = 0; i < IDENTITY_TEXTS; i++) {
		/* The last text is behind the addresses */
		if (i == IDENTITY_TEXTS - 1)
			print_macs(record);
		if (identity_text(record, identity_texts[i].what, text))
			printf("%-12s%s\n", identity_texts[i].name, text);
	}
	print_variables(record);
	printf("generation  %u\n", record->generation);
	printf("lba         %u\n", record->lba);
}

bool identity_show(const struct identity_card *card)
{
	print_state(card);
	if (!has_record(card->state))
		return false;
	print_record(&card->record);

	return true;
}

void identity_show_copies(const struct identity_card *card)
{
	struct identity_seen seen;
	u32 number;

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
}

void identity_show_line(const struct identity_card *card)
{
	char uuid[IDENTITY_TEXT_LEN], profile[IDENTITY_TEXT_LEN];
	char state[IDENTITY_STATE_LEN];

	printf("mmc %d: %s", card->devnum, identity_state(card->state, state));
	if (identity_usable(card->state)) {
		identity_text(&card->record, IDENTITY_TEXT_PROFILE, profile);
		identity_text(&card->record, IDENTITY_TEXT_UUID, uuid);
		printf(", %s %s, LBA %u", profile, uuid, card->record.lba);
	}
	printf("\n");
}
