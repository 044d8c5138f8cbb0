/* SPDX-License-Identifier: GPL-2.0+ */
/*
 * Board identity on the SD card: reading it with U-Boot's block layer, and
 * what U-Boot does with it. What the bytes mean is in identity.h.
 */

#ifndef __IDENTITY_BOARD_H
#define __IDENTITY_BOARD_H

#include <identity.h>
#include <linux/types.h>

/** A text of an identity and its NUL, see identity.h */
#define IDENTITY_TEXT_LEN	64
/** The longest value of a variable and its NUL, see identity.h */
#define IDENTITY_VALUE_LEN	192
/** An Ethernet address as text and its NUL */
#define IDENTITY_MAC_LEN	18

/**
 * struct identity_card - what was found on one card
 *
 * @devnum: Number of the MMC device
 * @state: IDENTITY_BLANK … IDENTITY_UNREADABLE, see identity.h
 * @search: Which sectors were looked at, for identity_search_seen()
 * @record: The identity; only valid if identity_usable() or
 *	identity_mismatch()
 */
struct identity_card {
	int devnum;
	int state;
	struct identity_search search;
	struct identity_record record;
};

/** What a value is that is no text of identity.h: an address, a variable */
#define IDENTITY_VALUE_MAC	0x200
#define IDENTITY_VALUE_VARIABLE	0x201

/**
 * struct identity_value - something that an identity says
 *
 * @what: One of IDENTITY_TEXT_…, or of the two above
 * @index: Of an address, the number of its interface
 * @assigned: Whether a person chose it, an address
 * @name: Its name: "profile", "hostname" …; of an address, the name of U-Boot's
 *	variable for it; of a variable, its key
 * @text: What it is
 */
struct identity_value {
	u32 what;
	u32 index;
	bool assigned;
	char name[IDENTITY_TEXT_LEN];
	char text[IDENTITY_VALUE_LEN];
};

/** Takes a value; returns 0 to be given the next one */
typedef int identity_take(void *to, const struct identity_value *value);

/* card.c: reading */

/**
 * identity_string() - a string of a list
 *
 * @list: Strings, each with its NUL, one behind the other
 * @number: Which one, from 0
 * Return: the string
 */
const char *identity_string(const char *list, u32 number);

/**
 * identity_mmc_device() - which MMC device holds this board's identity
 *
 * CONFIG_IDENTITY_MMC_DEV if that is set, else the device from which the
 * board's code says that it has started. A board may have a better answer: the
 * function is weak.
 *
 * Return: number of the MMC device
 */
int identity_mmc_device(void);

/**
 * identity_card_read() - look for an identity on a card
 *
 * Each place for a copy is looked at, in the user area only, never in an eMMC's
 * boot partitions. Nothing is ever written. If the card cannot be had at all, a
 * line says why, and the state is IDENTITY_UNREADABLE.
 *
 * @devnum: Number of the MMC device
 * Return: what was found, to be freed with free(), or NULL without memory
 */
struct identity_card *identity_card_read(int devnum);

/**
 * identity_usable() - whether the board may take this identity for its own
 *
 * @state: IDENTITY_BLANK … IDENTITY_UNREADABLE
 * Return: true if the state is valid or degraded; with
 *	CONFIG_IDENTITY_ALLOW_MISMATCH also if it is cloned or moved
 */
bool identity_usable(int state);

/**
 * identity_mismatch() - whether an identity is bound to something else
 *
 * @state: IDENTITY_BLANK … IDENTITY_UNREADABLE
 * Return: true if the state is cloned or moved
 */
bool identity_mismatch(int state);

/**
 * identity_state() - the name of a state, as in $identity_state
 *
 * @state: IDENTITY_BLANK … IDENTITY_UNREADABLE
 * Return: its name
 */
const char *identity_state(int state);

/**
 * identity_print_advice() - print what a card's state means and what to do
 *
 * @card: What was found
 *
 * Half a sentence, often with a command, and the end of the line.
 */
void identity_print_advice(const struct identity_card *card);

/**
 * identity_text() - a text of an identity
 *
 * @record: The identity
 * @what: Which one, one of IDENTITY_TEXT_…
 * @text: Where to write it
 * Return: @text, or NULL if the identity does not have it
 */
const char *identity_text(const struct identity_record *record, u32 what,
			  char text[IDENTITY_TEXT_LEN]);

/**
 * identity_each() - all that an identity says
 *
 * The order is that of "identity read" on a workstation.
 *
 * @record: The identity
 * @take: Is called for each value that it has
 * @to: Passed on
 * Return: 0, or what @take returned, if that was not 0
 */
int identity_each(const struct identity_record *record, identity_take *take,
		  void *to);

/* env.c: the environment */

/**
 * identity_board_serial() - the board's own serial number or SoC id
 *
 * An identity that is bound to a board is compared with it. The function is
 * weak, and the default is $serial#, unless that came from a card: a card does
 * not vouch for the board that it is in. A board whose code sets $serial# only
 * after the environment was loaded, or that has a better answer, should define
 * it.
 *
 * Return: a text that stays as long as the environment is not changed, or NULL
 *	if it is not known
 */
const char *identity_board_serial(void);

/**
 * identity_interfaces() - how many Ethernet interfaces this board may have
 *
 * Return: one more than the highest index
 */
int identity_interfaces(void);

/**
 * identity_env_apply() - bring what a card says into the environment
 *
 * Values of a card that was applied before and that this one does not have are
 * taken back. None of the values will be saved with the environment.
 *
 * @card: What was found; unless identity_usable(), only $identity_state
 *	is set
 * Return: 0, or -ENOMEM
 */
int identity_env_apply(const struct identity_card *card);

/**
 * identity_env_set() - set a variable that will not be saved
 *
 * @name: Name of the variable
 * @value: Its value; saving the environment saves what it replaces
 * Return: 0, or -ENOMEM
 */
int identity_env_set(const char *name, const char *value);

/* bootargs.c: kernel arguments */

/**
 * identity_bootargs_words() - what the identity adds to kernel arguments
 *
 * CONFIG_IDENTITY_BOOTARGS with its values. A word is left out, and a line says
 * so, if there is another value for it, or if Linux would not read as far.
 *
 * @line: The arguments, which may be empty
 * Return: the words, valid until the next call, "" if there are none
 */
const char *identity_bootargs_words(const char *line);

/**
 * identity_bootargs() - kernel arguments with those of the identity
 *
 * identity_bootargs_words() are added at the end, or in front of a word "--".
 *
 * @line: The arguments; nothing is added if it is NULL or empty
 * @words: Set to what was added, "" if nothing
 * Return: the arguments, valid until the next call, or @line if nothing is added
 */
const char *identity_bootargs(const char *line, const char **words);

/**
 * identity_bootargs_cut() - take out what was added before
 *
 * @line: The arguments
 * @words: What was added
 */
void identity_bootargs_cut(char *line, const char *words);

/* show.c: what the command prints; each returns the command's result */

/**
 * identity_show() - show an identity
 *
 * @devnum: Number of the MMC device
 * Return: 0 if the board may use it, else 1
 */
int identity_show(int devnum);

/**
 * identity_show_copies() - show where the identity is, and what it is bound to
 *
 * @devnum: Number of the MMC device
 * Return: 0 if nothing is wrong with it, else 1
 */
int identity_show_copies(int devnum);

/**
 * identity_show_all() - show one line about each MMC device
 *
 * Return: 0 if one of them has an identity that the board may use, else 1
 */
int identity_show_all(void);

/* boot.c: what happens on start and with the command "identity env" */

/**
 * identity_apply() - make a card's identity this board's, and say so
 *
 * @devnum: Number of the MMC device
 * Return: the card's state, or -ENOMEM
 */
int identity_apply(int devnum);

/**
 * identity_applied() - the card that identity_apply() was last called for
 *
 * Return: what was found on it, or NULL
 */
const struct identity_card *identity_applied(void);

void identity_is_called_by_nobody(void);

/* netboot.c: starting by the identity */

#ifdef CONFIG_IDENTITY_NETBOOT
#define IDENTITY_NETBOOT_HELP \
	"identity netboot - start what the network has for this board\n"
#else
#define IDENTITY_NETBOOT_HELP
#endif

/**
 * identity_netboot_prepare() - make "identity netboot" what the board starts with
 *
 * It replaces $bootcmd, unless somebody has set and saved another one.
 */
void identity_netboot_prepare(void);

/**
 * identity_netboot() - start what the network has for this board
 *
 * Tries again and again, until the script from the server or a key ends it.
 *
 * Return: 0, or 1 if a key has ended it
 */
int identity_netboot(void);

#endif
