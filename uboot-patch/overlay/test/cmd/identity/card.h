/* SPDX-License-Identifier: GPL-2.0+ */
/*
 * Board identity on the SD card: unit tests, a card and what is around it
 */

#ifndef __TEST_CMD_IDENTITY_CARD_H
#define __TEST_CMD_IDENTITY_CARD_H

#include <linux/types.h>
#include <test/cmd.h>
#include <test/ut.h>

#define DEVNUM		0
#define SECTOR_LEN	512
#define CARD_SECTORS	2048
/* The places of the two copies; LBA 6607 and others are behind the card's end */
#define FIRST		52
#define SECOND		1711
/* CONFIG_IDENTITY_LBA, in a build that has one */
#define HINT		300

#define UUID_TEXT	"9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5"
#define MACHINE_ID	"6e1d70a56f8e5583897607b199c862c6"
/* uuidgen --sha1 --namespace $UUID_TEXT --name ethernet/<index> */
#define MAC0		"ea:41:68:40:f4:c0"
#define MAC2		"a6:99:5a:75:61:2b"
#define ASSIGNED	"02:00:00:00:00:09"

enum kind {
	PROFILE = 1,
	HOSTNAME,
	SERIAL,
	MAC,
	VARIABLE,
	CARD,
	BOARD,
	CRITICAL = 0x80,
};

/* A sector as it is being made */
struct sector {
	u8 bytes[SECTOR_LEN];
	u16 fields_len;
};

/* The CID that a card can be bound to */
extern const u32 card_cid[4];

/* A sector in the making: empty, or what most tests use, or with a profile only */
void card_begin(struct sector *sector);
void card_add(struct sector *sector, enum kind kind, const void *value, int len);
void card_add_text(struct sector *sector, enum kind kind, const char *text);
void card_make_panda(struct sector *sector);
void card_make_minimal(struct sector *sector);

/* Onto the card, at one place or at both */
int card_put(struct unit_test_state *uts, const struct sector *made, u32 lba,
	     u32 peer);
int card_put_pair(struct unit_test_state *uts, const struct sector *made);
/* "panda", bound to card_cid with the last byte masked, and to a board or NULL */
int card_put_bound(struct unit_test_state *uts, const char *board);
int card_damage(struct unit_test_state *uts, u32 lba);
int card_clear(struct unit_test_state *uts, u32 lba);
int card_set_cid(struct unit_test_state *uts, const u32 *words);

/* The environment: also of a variable that may be set only once */
int card_set_env(struct unit_test_state *uts, const char *name,
		 const char *value);
int card_check_env(struct unit_test_state *uts, const char *name,
		   const char *value);
/* It is as it was, but for the state */
int card_check_untouched(struct unit_test_state *uts, const char *state);

/*
 * Runs a test. It begins with a blank card, a CID of zeros, and the environment
 * without addresses and serial number, and leaves what it found.
 */
int card_around(struct unit_test_state *uts,
		int (*test)(struct unit_test_state *uts));

#define IDENTITY_TEST(_name)						\
	static int cmd_test_identity_ ## _name(struct unit_test_state *uts) \
	{								\
		return card_around(uts, test_ ## _name);				\
	}								\
	CMD_TEST(cmd_test_identity_ ## _name, UTF_CONSOLE)

#endif
