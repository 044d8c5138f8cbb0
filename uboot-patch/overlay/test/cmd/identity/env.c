// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: unit tests, the environment
 */

#include <command.h>
#include <env.h>
#include <env_internal.h>
#include <errno.h>
#include <identity_board.h>
#include <identity_compat.h>
#include <malloc.h>
#include <search.h>
#include <asm/global_data.h>
#include <linux/string.h>
#include "card.h"

static int test_env(struct unit_test_state *uts)
{
	struct sector sector;

	card_make_panda(&sector);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(run_command("identity env mmc 0", 0));
	ut_assertok(card_check_env(uts, "identity_state", "valid"));
	ut_assertok(card_check_env(uts, "identity_uuid", UUID_TEXT));
	ut_assertok(card_check_env(uts, "identity_profile", "panda"));
	ut_assertok(card_check_env(uts, "identity_hostname", "panda-3"));
	ut_assertok(card_check_env(uts, "identity_serial", "SN42"));
	ut_assertok(card_check_env(uts, "identity_var_rack", "b4"));
	ut_assertok(card_check_env(uts, "pxeuuid", UUID_TEXT));
	ut_assertok(card_check_env(uts, "serial#", "SN42"));
	ut_assertok(card_check_env(uts, "ethaddr", MAC0));
	ut_assertok(card_check_env(uts, "eth1addr", ASSIGNED));
	ut_assertok(card_check_env(uts, "eth2addr", MAC2));

	/* Another card's do not stay behind */
	card_make_minimal(&sector);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(run_command("identity env", 0));
	ut_assertok(card_check_env(uts, "identity_profile", "panda"));
	ut_assertok(card_check_env(uts, "identity_hostname", NULL));
	ut_assertok(card_check_env(uts, "identity_var_rack", NULL));
	ut_assertok(card_check_env(uts, "serial#", NULL));

	/* Nor does a damaged one take them away */
	ut_assertok(card_damage(uts, FIRST));
	ut_assertok(card_damage(uts, SECOND));
	ut_asserteq(1, run_command("identity env", 0));
	ut_assertok(card_check_env(uts, "identity_state", "corrupt"));
	ut_assertok(card_check_env(uts, "ethaddr", MAC0));

	return 0;
}

static int test_precedence(struct unit_test_state *uts)
{
	bool card_wins = IS_ENABLED(CONFIG_IDENTITY_OVERRIDE_ENV);
	struct sector sector;

	card_make_panda(&sector);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(card_set_env(uts, "ethaddr", ASSIGNED));
	ut_assertok(card_set_env(uts, "pxeuuid", "mine"));
	ut_assertok(card_set_env(uts, "serial#", "mine"));
	ut_assertok(card_set_env(uts, "identity_profile", "mine"));
	ut_assertok(card_set_env(uts, "identity_var_old", "mine"));
	ut_assertok(run_command("identity env", 0));
	ut_assert_skip_to_linen("identity: identity_var_old=mine from the environment is not");
	if (card_wins) {
		ut_assert_skip_to_line("identity: ethaddr " ASSIGNED
				       " from the environment replaced by "
				       MAC0);
		ut_assertok(card_check_env(uts, "ethaddr", MAC0));
		ut_assertok(card_check_env(uts, "pxeuuid", UUID_TEXT));
	} else {
		ut_assert_skip_to_line("identity: ethaddr stays " ASSIGNED
				       " as in the environment, the card says "
				       MAC0);
		ut_assertok(card_check_env(uts, "ethaddr", ASSIGNED));
		ut_assertok(card_check_env(uts, "pxeuuid", "mine"));
	}
	ut_assertok(card_check_env(uts, "serial#", "mine"));
	ut_assertok(card_check_env(uts, "identity_profile", "panda"));
	ut_assertok(card_check_env(uts, "identity_var_old", NULL));

	return 0;
}

/* The value of a variable in an exported environment */
static const char *exported(const env_t *export, const char *name)
{
	const char *pair;
	size_t len = strlen(name);

	for (pair = (const char *)export->data; *pair; pair += strlen(pair) + 1) {
		if (!strncmp(pair, name, len) && pair[len] == '=')
			return pair + len + 1;
	}

	return NULL;
}

static int check_saved(struct unit_test_state *uts, const env_t *export)
{
	ut_asserteq_str("mine", exported(export, "mine") ?: "");
	ut_assertnull(exported(export, "serial#"));
	ut_assertnull(exported(export, "pxeuuid"));
	ut_assertnull(exported(export, "identity_uuid"));
	ut_assertnull(exported(export, "identity_state"));
	ut_assertnull(exported(export, "identity_var_rack"));
	ut_assertnull(exported(export, "eth1addr"));
	ut_asserteq_str("02:00:00:00:00:01", exported(export, "ethaddr") ?: "");
	/* What a person has set since is a person's */
	ut_asserteq_str("02:00:00:00:00:02", exported(export, "eth2addr") ?: "");

	return 0;
}

static int test_saveenv(struct unit_test_state *uts)
{
	struct sector sector;
	env_t *export;
	int ret;

	card_make_panda(&sector);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(card_set_env(uts, "mine", "mine"));
	ut_assertok(card_set_env(uts, "ethaddr", "02:00:00:00:00:01"));
	ut_assertok(run_command("identity env", 0));
	ut_assertok(card_check_env(uts, "ethaddr", MAC0));
	ut_assertok(card_set_env(uts, "eth2addr", "02:00:00:00:00:02"));

	export = calloc(1, sizeof(*export));
	ut_assertnonnull(export);
	ret = env_export(export);
	if (!ret)
		ret = check_saved(uts, export);
	free(export);
	ut_assertok(ret);

	/* And it is as it was */
	ut_assertok(card_check_env(uts, "ethaddr", MAC0));
	ut_assertok(card_check_env(uts, "identity_uuid", UUID_TEXT));

	return 0;
}

/* The environment as it would be saved; to be freed */
static char *export_all(void)
{
	char *all = NULL;

	hexport_r(&env_htab, '\0', 0, &all, ENV_SIZE, 0, NULL);

	return all;
}

/* Fills the environment up to a size, counted as the one that is saved */
static int fill(struct unit_test_state *uts, size_t size)
{
	char *all = NULL, *filler;
	ssize_t len;

	ut_assertok(card_set_env(uts, "filler", "x"));
	len = hexport_r(&env_htab, '\0', 0, &all, 0, 0, NULL);
	free(all);
	ut_assert(len > 0 && len < size);
	filler = calloc(1, size);
	ut_assertnonnull(filler);
	memset(filler, 'x', 1 + size - len);
	ut_assertok(card_set_env(uts, "filler", filler));
	free(filler);

	return 0;
}

/* One byte more */
static int fill_more(struct unit_test_state *uts)
{
	const char *filler = env_get("filler");
	size_t len = strlen(filler);
	char *longer = malloc(len + 2);
	int ret;

	ut_assertnonnull(longer);
	memcpy(longer, filler, len);
	strcpy(longer + len, "x");
	ret = card_set_env(uts, "filler", longer);
	free(longer);

	return ret;
}

/* What the card says takes no room where the environment is saved */
static int test_saveenv_full(struct unit_test_state *uts)
{
	char *before, line[80];
	struct sector sector;
	env_t *export;
	int ret, same;

	card_make_panda(&sector);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(card_set_env(uts, "ethaddr", "02:00:00:00:00:01"));
	/* It may hold another one than is saved */
	ut_assertok(card_set_env(uts, "bootcmd", "mine"));
	ut_assertok(fill(uts, ENV_SIZE));
	before = export_all();
	ut_assertnonnull(before);
	ut_assertok(run_command("identity env", 0));
	ut_assertok(card_check_env(uts, "ethaddr", MAC0));
	export = calloc(1, sizeof(*export));
	ut_assertnonnull(export);
	console_record_reset();
	ret = env_export(export);
	same = !memcmp(before, export->data, ENV_SIZE);
	free(before);
	free(export);
	ut_assertok(ret);
	ut_assert(same);
	ut_assertok(ut_check_console_end(uts));

	/* What is too much without a card is too much with it, and said */
	ut_assertok(fill_more(uts));
	export = calloc(1, sizeof(*export));
	ut_assertnonnull(export);
	console_record_reset();
	ret = env_export(export);
	free(export);
	ut_asserteq(1, ret);
	snprintf(line, sizeof(line), "Env export buffer too small: %lu, but need",
		 (ulong)ENV_SIZE);
	ut_assert_nextlinen(line);

	return 0;
}

/* "name=" would delete the variable when the environment is loaded */
static int test_empty(struct unit_test_state *uts)
{
	struct sector sector;
	env_t *export;
	int ret = 0;

	card_make_minimal(&sector);
	card_add_text(&sector, VARIABLE, "note=");
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(card_set_env(uts, "pxeuuid", ""));
	ut_assertok(card_set_env(uts, "mine", ""));
	ut_assertok(run_command("identity env", 0));
	ut_assertok(card_check_env(uts, "identity_var_note", ""));
	ut_assertok(run_command("identity env", 0));
	ut_assertok(card_check_env(uts, "identity_var_note", ""));

	export = calloc(1, sizeof(*export));
	ut_assertnonnull(export);
	ret = env_export(export);
	if (!ret && (exported(export, "identity_var_note") ||
		     exported(export, "pxeuuid")))
		ret = -EEXIST;
	/* A person's is U-Boot's affair */
	if (!ret && !exported(export, "mine"))
		ret = -ENOENT;
	free(export);
	ut_assertok(ret);

	return 0;
}

DECLARE_GLOBAL_DATA_PTR;

/* The value of $bootcmd in an exported environment */
static int check_saved_bootcmd(struct unit_test_state *uts, const char *value)
{
	env_t *export = calloc(1, sizeof(*export));
	int ret;

	ut_assertnonnull(export);
	ret = env_export(export);
	if (!ret && strcmp(value, exported(export, "bootcmd") ?: ""))
		ret = -EINVAL;
	free(export);
	ut_assertok(ret);

	return 0;
}

/* The network takes the place of the default, not of what a person has saved */
static int check_bootcmd(struct unit_test_state *uts)
{
	struct sector sector;

	ut_assertok(card_set_env(uts, "bootcmd", "mine"));
	console_record_reset();
	identity_netboot_prepare();
	ut_assert_nextlinen("identity: bootcmd stays as in the environment;");
	ut_assertok(card_check_env(uts, "bootcmd", "mine"));

	ut_assertok(card_set_env(uts, "bootcmd", IDENTITY_DEFAULT_BOOTCMD));
	identity_netboot_prepare();
	ut_assertok(card_check_env(uts, "bootcmd", "identity netboot"));
	ut_assertok(check_saved_bootcmd(uts, IDENTITY_DEFAULT_BOOTCMD));

	/* It is of no card */
	card_make_minimal(&sector);
	ut_assertok(card_put_pair(uts, &sector));
	ut_assertok(run_command("identity env", 0));
	ut_assertok(card_check_env(uts, "bootcmd", "identity netboot"));
	ut_assertok(card_set_env(uts, "bootcmd", "mine"));
	ut_assertok(check_saved_bootcmd(uts, "mine"));

	return 0;
}

static int test_bootcmd(struct unit_test_state *uts)
{
	ulong flags = gd->flags;
	int ret;

	if (!IS_ENABLED(CONFIG_IDENTITY_NETBOOT))
		return 0;
	/* As if it had been saved */
	gd->flags &= ~GD_FLG_ENV_DEFAULT;
	ret = check_bootcmd(uts);
	gd->flags = flags;

	return ret;
}

IDENTITY_TEST(bootcmd);
IDENTITY_TEST(env);
IDENTITY_TEST(precedence);
IDENTITY_TEST(saveenv);
IDENTITY_TEST(saveenv_full);
IDENTITY_TEST(empty);
