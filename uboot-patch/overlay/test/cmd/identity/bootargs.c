// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: unit tests, kernel arguments
 */

#include <command.h>
#include <env.h>
#include <identity_board.h>
#include <identity_hooks.h>
#include <malloc.h>
#include <linux/libfdt.h>
#include <linux/string.h>
#include "card.h"

#define ID_WORD		"systemd.machine_id=" MACHINE_ID
#define NAME_WORD	"systemd.hostname=panda-3"
#define WORDS		ID_WORD " " NAME_WORD
/* What Linux reads in this U-Boot, with the NUL */
#define LINE_LEN	2048

/* What is said of a word */
#define SAID		"identity: the kernel argument "
#define STAYS		" stays, the identity's is "
#define LEFT_OUT	" is left out, "

static int apply_panda(struct unit_test_state *uts)
{
	struct sector sector;

	card_make_panda(&sector);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(run_command("identity env", 0));
	console_record_reset();

	return 0;
}

static int check_line(struct unit_test_state *uts, const char *line,
		      const char *expected)
{
	char *all, *cut;
	const char *words;

	all = strdup(identity_bootargs(line, &words));
	ut_assertnonnull(all);
	ut_asserteq_str(expected, all);

	/* And the other way */
	cut = strdup(all);
	ut_assertnonnull(cut);
	identity_bootargs_cut(cut, words);
	ut_asserteq_str(line, cut);
	free(cut);
	free(all);

	return 0;
}

static int test_bootargs(struct unit_test_state *uts)
{
	const char *words;

	ut_assertok(apply_panda(uts));
	ut_assertok(card_check_env(uts, "identity_machine_id", MACHINE_ID));
	ut_assertok(check_line(uts, "quiet", "quiet " WORDS));
	ut_assertok(check_line(uts, "quiet -- a=b", "quiet " WORDS " -- a=b"));
	ut_assertok(check_line(uts, "-- a", WORDS " -- a"));
	ut_assertok(check_line(uts, "x=\"a -- b\"", "x=\"a -- b\" " WORDS));
	ut_assertok(check_line(uts, "--x a--", "--x a-- " WORDS));
	ut_assert_console_end();

	/* A kernel's own default counts where there are none */
	ut_assertnull(identity_bootargs(NULL, &words));
	ut_asserteq_str("", identity_bootargs("", &words));
	ut_asserteq_str("", words);

	return 0;
}

IDENTITY_TEST(bootargs);

/* What somebody has written there wins, and is said if it is something else */
static int test_bootargs_there(struct unit_test_state *uts)
{
	ut_assertok(apply_panda(uts));
	ut_assertok(check_line(uts, WORDS, WORDS));
	ut_assertok(check_line(uts, NAME_WORD " a", NAME_WORD " a " ID_WORD));
	ut_assert_console_end();
	ut_assertok(check_line(uts, "systemd.hostname=mine",
			       "systemd.hostname=mine " ID_WORD));
	ut_assert_nextline(SAID "systemd.hostname=mine" STAYS NAME_WORD);
	/* In front of "--" or behind it, "-" or "_" */
	ut_assertok(check_line(uts, "a -- systemd.machine-id=mine",
			       "a " NAME_WORD " -- systemd.machine-id=mine"));
	ut_assert_nextline(SAID "systemd.machine-id=mine" STAYS ID_WORD);
	ut_assertok(check_line(uts, "\"systemd.hostname=a b\"",
			       "\"systemd.hostname=a b\" " ID_WORD));
	ut_assert_nextline(SAID "\"systemd.hostname=a b\"" STAYS NAME_WORD);
	/* Others that look like them */
	ut_assertok(check_line(uts, "systemd.hostnames=a xsystemd.hostname=b",
			       "systemd.hostnames=a xsystemd.hostname=b " WORDS));
	ut_assert_console_end();

	return 0;
}

IDENTITY_TEST(bootargs_there);

static int check_value(struct unit_test_state *uts, const char *value,
		       const char *word)
{
	char expected[256];

	ut_assertok(env_set("identity_hostname", value));
	snprintf(expected, sizeof(expected), "a " ID_WORD "%s%s",
		 word ? " " : "", word ?: "");

	return check_line(uts, "a", expected);
}

/* No value ends its word, or begins another */
static int test_bootargs_values(struct unit_test_state *uts)
{
	ut_assertok(apply_panda(uts));
	ut_assertok(check_value(uts, "b c", "systemd.hostname=\"b c\""));
	ut_assertok(check_value(uts, "it's", "systemd.hostname=\"it's\""));
	ut_assertok(check_value(uts, "b\tc\n", "systemd.hostname=\"b\tc\n\""));
	ut_assertok(check_value(uts, "\xc3\xa0", "systemd.hostname=\"\xc3\xa0\""));
	ut_assertok(check_value(uts, "a\\b$c=${d}--",
				"systemd.hostname=a\\b$c=${d}--"));
	ut_assertok(check_value(uts, NULL, NULL));
	ut_assert_console_end();
	ut_assertok(check_value(uts, "b\" init=/x", NULL));
	ut_assert_nextline(SAID "systemd.hostname=b\" init=/x" LEFT_OUT
			   "for a quote in it cannot be written");
	ut_assert_console_end();

	return 0;
}

IDENTITY_TEST(bootargs_values);

/* A word is there as a whole or not at all */
static int test_bootargs_limit(struct unit_test_state *uts)
{
	char line[LINE_LEN + 1], expected[LINE_LEN];
	size_t len = LINE_LEN - 1 - strlen(" " WORDS);

	ut_assertok(apply_panda(uts));
	memset(line, 'x', sizeof(line));
	line[len] = '\0';
	snprintf(expected, sizeof(expected), "%s " WORDS, line);
	ut_assertok(check_line(uts, line, expected));
	ut_assert_console_end();

	line[len] = 'x';
	line[len + 1] = '\0';
	snprintf(expected, sizeof(expected), "%s " ID_WORD, line);
	ut_assertok(check_line(uts, line, expected));
	ut_assert_nextline(SAID NAME_WORD LEFT_OUT
			   "it would be behind the 2047 bytes that Linux reads");

	line[len + 1] = 'x';
	line[LINE_LEN] = '\0';
	ut_assertok(check_line(uts, line, line));
	ut_assert_nextlinen(SAID ID_WORD LEFT_OUT);
	ut_assert_nextlinen(SAID NAME_WORD LEFT_OUT);
	ut_assert_console_end();

	return 0;
}

IDENTITY_TEST(bootargs_limit);

/* Nobody but the board that may take the identity */
static int test_bootargs_state(struct unit_test_state *uts)
{
	static const u32 other[4] = { 1, 2, 3, 0x400 };
	const char *words;

	ut_assertok(card_put_bound(uts, NULL));
	ut_assertok(card_set_cid(uts, other));
	run_command("identity env", 0);
	if (IS_ENABLED(CONFIG_IDENTITY_ALLOW_MISMATCH))
		return 0;
	/* An earlier card of these tests may still be applied */
	if (!identity_usable(identity_applied()->state))
		ut_asserteq_str("a", identity_bootargs("a", &words));
	ut_assertnull(env_get("identity_machine_id"));

	return 0;
}

IDENTITY_TEST(bootargs_state);

static int test_load_options(struct unit_test_state *uts)
{
	ut_assertok(apply_panda(uts));
	ut_asserteq_str("a " WORDS, identity_load_options("bootargs", "a"));
	ut_asserteq_str("a", identity_load_options("efi_selftest", "a"));
	ut_assertnull(identity_load_options("bootargs", NULL));

	return 0;
}

IDENTITY_TEST(load_options);

static int set_bootargs(struct unit_test_state *uts, void *tree,
			const char *text, int len)
{
	int chosen = fdt_path_offset(tree, "/chosen");

	ut_assert(chosen > 0);
	ut_assertok(fdt_setprop(tree, chosen, "bootargs", text, len));

	return 0;
}

static int check_bootargs(struct unit_test_state *uts, void *tree,
			  const char *expected)
{
	int chosen = fdt_path_offset(tree, "/chosen");

	ut_asserteq_str(expected, fdt_getprop(tree, chosen, "bootargs", NULL)
				  ?: "(not there)");

	return 0;
}

static int check_tree(struct unit_test_state *uts, void *tree)
{
	ut_assertok(fdt_create_empty_tree(tree, 4096));
	identity_fdt_fixup(tree);
	ut_assertok(check_bootargs(uts, tree, "(not there)"));

	/* What comes without its NUL, and again, as it was left */
	ut_assertok(set_bootargs(uts, tree, "quiet", strlen("quiet")));
	identity_fdt_fixup(tree);
	ut_assertok(check_bootargs(uts, tree, "quiet " WORDS));
	identity_fdt_fixup(tree);
	ut_assertok(check_bootargs(uts, tree, "quiet " WORDS));

	/* What changes in between is not there twice */
	ut_assertok(env_set("identity_hostname", "other"));
	identity_fdt_fixup(tree);
	ut_assertok(check_bootargs(uts, tree, "quiet " ID_WORD
					      " systemd.hostname=other"));
	ut_assert_console_end();

	ut_assertok(set_bootargs(uts, tree, "", 1));
	identity_fdt_fixup(tree);
	ut_assertok(check_bootargs(uts, tree, ""));

	/* Without room, everything stays as it is */
	ut_assertok(set_bootargs(uts, tree, "quiet", sizeof("quiet")));
	ut_assertok(fdt_pack(tree));
	identity_fdt_fixup(tree);
	ut_assertok(check_bootargs(uts, tree, "quiet"));
	ut_assert_nextlinen("identity: not all in the device tree: FDT_ERR_NOSPACE");

	return 0;
}

static int test_bootargs_tree(struct unit_test_state *uts)
{
	void *tree = calloc(1, 4096);
	int ret;

	ut_assertnonnull(tree);
	ret = apply_panda(uts);
	if (!ret)
		ret = check_tree(uts, tree);
	free(tree);

	return ret;
}

IDENTITY_TEST(bootargs_tree);
