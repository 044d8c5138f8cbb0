// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: unit tests, a card and what is around it
 *
 * It is written by code of its own after the format's description, not by the
 * library that reads it.
 */

#include <blk.h>
#include <env.h>
#include <env_internal.h>
#include <malloc.h>
#include <mmc.h>
#include <search.h>
#include <asm/unaligned.h>
#include <linux/string.h>
#include "card.h"

static const u8 uuid[] = {
	0x9e, 0x3c, 0x1d, 0x40, 0x5a, 0x37, 0x4c, 0x8e,
	0x9f, 0x0b, 0x6d, 0x2a, 0x81, 0xe4, 0xc7, 0xf5,
};

const u32 card_cid[4] = { 0xaa585951, 0x454d5521, 0x01deadbe, 0xef006219 };

void card_begin(struct sector *sector)
{
	memset(sector, 0, sizeof(*sector));
	memcpy(sector->bytes, "\xb1IDENT\r\n", 8);
	put_unaligned_le16(48, sector->bytes + 12);
	put_unaligned_le16(1, sector->bytes + 14);
	put_unaligned_le32(1, sector->bytes + 24);
	memcpy(sector->bytes + 32, uuid, sizeof(uuid));
}

void card_add(struct sector *sector, enum kind kind, const void *value,
	      int len)
{
	u8 *field = sector->bytes + 48 + sector->fields_len;

	field[0] = kind;
	field[1] = len;
	memcpy(field + 2, value, len);
	sector->fields_len += 2 + len;
}

void card_add_text(struct sector *sector, enum kind kind, const char *text)
{
	card_add(sector, kind, text, strlen(text));
}

static u32 crc32c(u32 crc, const u8 *data, int len)
{
	int bit;

	while (len--) {
		crc ^= *data++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}

	return crc;
}

int card_put(struct unit_test_state *uts, const struct sector *made, u32 lba,
	     u32 peer)
{
	struct blk_desc *desc;
	u8 bytes[SECTOR_LEN];
	u32 crc;

	memcpy(bytes, made->bytes, SECTOR_LEN);
	put_unaligned_le32(lba, bytes + 16);
	put_unaligned_le32(peer, bytes + 20);
	put_unaligned_le16(made->fields_len, bytes + 28);
	crc = crc32c(crc32c(~0, bytes, 8), bytes + 12, SECTOR_LEN - 12);
	put_unaligned_le32(~crc, bytes + 8);

	ut_assert(blk_get_device_by_str("mmc", "0", &desc) >= 0);
	ut_asserteq(1, blk_dwrite(desc, lba, 1, bytes));

	return 0;
}

int card_put_pair(struct unit_test_state *uts, const struct sector *made)
{
	ut_assertok(card_put(uts, made, FIRST, SECOND));
	ut_assertok(card_put(uts, made, SECOND, FIRST));

	return 0;
}

int card_damage(struct unit_test_state *uts, u32 lba)
{
	struct blk_desc *desc;
	u8 bytes[SECTOR_LEN];

	ut_assert(blk_get_device_by_str("mmc", "0", &desc) >= 0);
	ut_asserteq(1, blk_dread(desc, lba, 1, bytes));
	bytes[60] ^= 0x10;
	ut_asserteq(1, blk_dwrite(desc, lba, 1, bytes));

	return 0;
}

int card_clear(struct unit_test_state *uts, u32 lba)
{
	static const u8 zeros[SECTOR_LEN];
	struct blk_desc *desc;

	ut_assert(blk_get_device_by_str("mmc", "0", &desc) >= 0);
	ut_asserteq(1, blk_dwrite(desc, lba, 1, zeros));

	return 0;
}

static int blank(struct unit_test_state *uts)
{
	void *zeros = calloc(CARD_SECTORS, SECTOR_LEN);
	struct blk_desc *desc;

	ut_assertnonnull(zeros);
	ut_assert(blk_get_device_by_str("mmc", "0", &desc) >= 0);
	ut_asserteq(CARD_SECTORS, desc->lba);
	ut_asserteq(CARD_SECTORS, blk_dwrite(desc, 0, CARD_SECTORS, zeros));
	free(zeros);

	return 0;
}

/* What most tests use */
void card_make_panda(struct sector *sector)
{
	static const u8 mac[] = { 1, 2, 0, 0, 0, 0, 9 };

	card_begin(sector);
	card_add_text(sector, PROFILE, "panda");
	card_add_text(sector, HOSTNAME, "panda-3");
	card_add_text(sector, SERIAL, "SN42");
	card_add(sector, MAC, mac, sizeof(mac));
	card_add_text(sector, VARIABLE, "rack=b4");
}

void card_make_minimal(struct sector *sector)
{
	card_begin(sector);
	card_add_text(sector, PROFILE, "panda");
}

int card_set_cid(struct unit_test_state *uts, const u32 *words)
{
	struct mmc *mmc = find_mmc_device(DEVNUM);

	ut_assertnonnull(mmc);
	memcpy(mmc->cid, words, sizeof(mmc->cid));

	return 0;
}

/* A card with two copies of "panda", bound to the CID with the last byte masked */
int card_put_bound(struct unit_test_state *uts, const char *board)
{
	struct sector sector;
	u8 masked[16];
	int i;

	for (i = 0; i < 4; i++)
		put_unaligned_be32(card_cid[i], masked + 4 * i);
	masked[15] = 0;
	card_make_panda(&sector);
	card_add(&sector, CARD, masked, sizeof(masked));
	if (board)
		card_add_text(&sector, BOARD, board);

	return card_put_pair(uts, &sector);
}

/* Also a variable that may be set only once */
int card_set_env(struct unit_test_state *uts, const char *name, const char *value)
{
	struct env_entry new = { .key = name, .data = (char *)value }, *entry;

	ut_assert(hsearch_r(new, ENV_ENTER, &entry, &env_htab, H_FORCE));

	return 0;
}

int card_check_env(struct unit_test_state *uts, const char *name,
		   const char *value)
{
	if (value)
		ut_asserteq_str(value, env_get(name) ?: "(not set)");
	else
		ut_assertnull(env_get(name));

	return 0;
}

/* The environment is as it was, but for the state */
int card_check_untouched(struct unit_test_state *uts, const char *state)
{
	ut_assertok(card_check_env(uts, "identity_state", state));
	ut_assertok(card_check_env(uts, "identity_uuid", NULL));
	ut_assertok(card_check_env(uts, "identity_profile", NULL));
	ut_assertok(card_check_env(uts, "identity_var_rack", NULL));
	ut_assertok(card_check_env(uts, "pxeuuid", NULL));
	ut_assertok(card_check_env(uts, "ethaddr", NULL));
	ut_assertok(card_check_env(uts, "eth1addr", NULL));

	return 0;
}

/*
 * Each test begins with a blank card, a CID of zeros, and the environment
 * without addresses, serial number and what a card has said, and leaves what it
 * found.
 */
static int prepare(struct unit_test_state *uts)
{
	static const u32 zeros[4];
	static char *const names[] = { "serial#", "pxeuuid", "ethaddr" };
	struct env_entry *entry;
	char name[16];
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		hdelete_r(names[i], &env_htab, H_FORCE);
	/* What an earlier test has left */
	for (i = 0; (i = hmatch_r("identity_", i, &entry, &env_htab));)
		hdelete_r(entry->key, &env_htab, H_FORCE);
	for (i = 1; i < 32; i++) {
		snprintf(name, sizeof(name), "eth%daddr", i);
		hdelete_r(name, &env_htab, H_FORCE);
	}
	ut_assertok(blank(uts));
	ut_assertok(card_set_cid(uts, zeros));

	return 0;
}

int card_around(struct unit_test_state *uts,
		int (*test)(struct unit_test_state *uts))
{
	char *saved = NULL;
	ssize_t len;
	int ret;

	len = hexport_r(&env_htab, '\0', 0, &saved, 0, 0, NULL);
	ut_assert(len > 0);
	ret = prepare(uts);
	if (!ret)
		ret = test(uts);
	himport_r(&env_htab, saved, len, '\0', H_FORCE, 0, 0, NULL);
	free(saved);

	return ret;
}
