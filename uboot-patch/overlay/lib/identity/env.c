// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: the environment
 *
 * What comes from the card is remembered together with what it replaced, so
 * that it can be taken back, and so that saving the environment saves what had
 * been there.
 */

#include <identity_compat.h>
#include <dm.h>
#include <errno.h>
#include <identity_board.h>
#include <identity_hooks.h>
#include <malloc.h>
#include <search.h>
#include <asm/global_data.h>
#include <dm/uclass.h>
#include <linux/kernel.h>
#include <linux/string.h>

DECLARE_GLOBAL_DATA_PTR;

/* Names that begin so are the identity's alone */
#define PREFIX		"identity_"
#define STATE		PREFIX "state"
#define SERIAL		"serial#"

/**
 * struct identity_var - a variable that holds what a card says
 *
 * @next: The next one
 * @value: What the card says
 * @original: What the variable held before, or NULL if it did not exist
 * @round: For which card it was set, see rounds; 0 if it is of no card
 * @exchanged: Whether @original is what the card says, and the variable holds
 *	what it held before
 * @name: Name of the variable; behind it are @value and @original
 */
struct identity_var {
	struct identity_var *next;
	char *value;
	char *original;
	u32 round;
	bool exchanged;
	char name[];
};

/* Who wins where the environment and the card disagree */
enum precedence {
	CARD_WINS,
	ENVIRONMENT_WINS_SAYING_SO,
	ENVIRONMENT_WINS,
};

static struct identity_var *vars;
/* How many cards have been applied */
static u32 rounds;

/* Where the variable is in the list, or where the list ends */
static struct identity_var **find(const char *name)
{
	struct identity_var **link = &vars;

	while (*link && strcmp((*link)->name, name))
		link = &(*link)->next;

	return link;
}

/* The variable, if it still holds what the card says, and not what was set since */
static struct identity_var *find_ours(const char *name)
{
	struct identity_var *var = *find(name);
	const char *value = env_get(name);

	return var && value && !strcmp(value, var->value) ? var : NULL;
}

static void forget(struct identity_var **link)
{
	struct identity_var *var = *link;

	if (var)
		*link = var->next;
	free(var);
}

__weak const char *identity_board_serial(void)
{
	struct identity_var *var = find_ours(SERIAL);

	return var ? var->original : env_get(SERIAL);
}

static struct env_entry *lookup(const char *name)
{
	struct env_entry key = { .key = name }, *entry;

	hsearch_r(key, ENV_FIND, &entry, &env_htab, 0);

	return entry;
}

/*
 * Like env_set(), but also for write-once variables, which $ethaddr may be.
 * H_FORCE would not do: it may be disabled, and old releases complain of it.
 */
static bool force(const char *name, const char *value)
{
	struct env_entry new = { .key = name, .data = (char *)value };
	struct env_entry *old = lookup(name), *entry;
	int flags = 0;

	if (old) {
		flags = old->flags;
		old->flags = 0;
	}
	hsearch_r(new, ENV_ENTER, &entry, &env_htab, H_PROGRAMMATIC);
	if (old)
		old->flags = flags;

	return entry;
}

static void force_delete(const char *name)
{
	struct env_entry *old = lookup(name);

	if (old) {
		old->flags = 0;
		/* USB gadgets' callback would read the value that is NULL then */
		if (!strcmp(name, SERIAL)) {
			force(name, "");
			old->callback = NULL;
		}
		hdelete_r(name, &env_htab, H_PROGRAMMATIC);
	}
}

static void take_back(struct identity_var **link)
{
	struct identity_var *var = find_ours((*link)->name);

	if (var && var->original)
		force(var->name, var->original);
	else if (var)
		force_delete(var->name);
	forget(link);
}

static int remember(const char *name, const char *value, const char *old,
		    u32 round)
{
	size_t name_len = strlen(name) + 1, value_len = strlen(value) + 1;
	struct identity_var *var = find_ours(name);

	if (var)
		old = var->original;
	var = malloc(sizeof(*var) + name_len + value_len +
		     (old ? strlen(old) + 1 : 0));
	if (!var)
		return -ENOMEM;
	strcpy(var->name, name);
	var->value = strcpy(var->name + name_len, value);
	var->original = old ? strcpy(var->value + value_len, old) : NULL;
	var->round = round;
	var->exchanged = false;
	forget(find(name));
	var->next = vars;
	vars = var;

	return 0;
}

/* Sets a variable to what the card says; returns 0 or a negative error */
static int set(const char *name, const char *value, enum precedence precedence)
{
	const char *old = env_get(name);
	int ret;

	/* A person's value; how letters are written does not matter */
	if (old && !find_ours(name) && strcasecmp(old, value)) {
		if (precedence == ENVIRONMENT_WINS)
			return 0;
		if (precedence == ENVIRONMENT_WINS_SAYING_SO) {
			printf("identity: %s stays %s as in the environment, the card says %s\n",
			       name, old, value);
			return 0;
		}
		printf("identity: %s %s from the environment replaced by %s\n",
		       name, old, value);
	}

	ret = remember(name, value, old, rounds);
	if (!ret && !force(name, value))
		printf("identity: %s cannot be changed, the card says %s\n",
		       name, value);

	return ret;
}

#ifndef IDENTITY_HAVE_ALIAS_HIGHEST_ID
/* The most that CONFIG_IDENTITY_INTERFACES may be */
#define MAX_INTERFACES	32

static int dev_read_alias_highest_id(const char *stem)
{
	char name[sizeof("ethernet31")];
	int id;

	for (id = MAX_INTERFACES - 1; id >= 0; id--) {
		snprintf(name, sizeof(name), "%s%d", stem, id);
		if (fdt_get_alias(gd->fdt_blob, name))
			break;
	}

	return id;
}
#endif

int identity_interfaces(void)
{
	int count = CONFIG_IDENTITY_INTERFACES;
	struct udevice *dev;
	struct uclass *uc;

	if (IS_ENABLED(CONFIG_OF_CONTROL))
		count = max(count, dev_read_alias_highest_id("ethernet") + 1);
	if (IS_ENABLED(CONFIG_DM)) {
		uclass_id_foreach_dev(UCLASS_ETH, dev, uc)
			count = max(count, identity_dev_seq(dev) + 1);
	}

	return count;
}

/* Removes what looks like an identity and is none: from a saved environment, say */
static void remove_strangers(void)
{
	struct env_entry *entry;
	int i = 0;

	while ((i = hmatch_r(PREFIX, i, &entry, &env_htab))) {
		if (*find(entry->key))
			continue;
		printf("identity: %s=%s from the environment is not from the card, removed\n",
		       entry->key, entry->data);
		force_delete(entry->key);
	}
}

static int set_value(void *to, const struct identity_value *value)
{
	enum precedence precedence = IS_ENABLED(CONFIG_IDENTITY_OVERRIDE_ENV) ?
		CARD_WINS : ENVIRONMENT_WINS_SAYING_SO;
	char name[sizeof(PREFIX "var_") + IDENTITY_TEXT_LEN];
	char *dash;
	int ret = 0;

	switch (value->what) {
	case IDENTITY_VALUE_MAC:
		return set(value->name, value->text, precedence);
	case IDENTITY_TEXT_SERIAL:
		ret = set(SERIAL, value->text, ENVIRONMENT_WINS);
		break;
	case IDENTITY_TEXT_UUID:
		ret = set("pxeuuid", value->text, precedence);
		break;
	}
	snprintf(name, sizeof(name), PREFIX "%s%s",
		 value->what == IDENTITY_VALUE_VARIABLE ? "var_" : "",
		 value->name);
	/* A shell's variable has none, and neither has a key */
	dash = strchr(name, '-');
	if (dash)
		*dash = '_';

	return ret ?: set(name, value->text, CARD_WINS);
}

static int set_state(int state)
{
	const char *name = identity_state(state);

	/* Also counts as a change for code that asks env_get_id() */
	env_set(STATE, name);

	return remember(STATE, name, NULL, 0);
}

int identity_env_apply(const struct identity_card *card)
{
	struct identity_var **link = &vars;
	int ret = 0;

	remove_strangers();

	if (identity_usable(card->state)) {
		rounds++;
		ret = identity_each(&card->record, set_value, NULL);
		while (*link) {
			if ((*link)->round && (*link)->round != rounds)
				take_back(link);
			else
				link = &(*link)->next;
		}
	}

	return set_state(card->state) ?: ret;
}

int identity_env_set(const char *name, const char *value)
{
	int ret = remember(name, value, env_get(name), 0);

	if (!ret)
		force(name, value);

	return ret;
}

/*
 * Exchanges the values that came from the card and those that they replaced.
 * The second call undoes the first. The hash table's own functions would call
 * back whoever watches a variable, a network driver for instance.
 */
static void exchange(void)
{
	struct identity_var *var;
	struct env_entry *entry;
	char *data;

	for (var = vars; var; var = var->next) {
		if (!var->original ||
		    !(var->exchanged || find_ours(var->name)))
			continue;
		entry = lookup(var->name);
		if (!entry)
			continue;
		data = entry->data;
		entry->data = var->original;
		var->original = data;
		var->exchanged = !var->exchanged;
	}
}

/*
 * Whether "name=value" is not to be saved: it exists only because of the card,
 * or what the card replaced was empty. "name=" is not saved as that; it deletes
 * the variable when it is loaded.
 */
static bool is_left_out(const char *pair)
{
	struct identity_var *var;
	size_t len;

	for (var = vars; var; var = var->next) {
		len = strlen(var->name);
		if (!strncmp(pair, var->name, len) && pair[len] == '=')
			return !pair[len + 1] ||
			       (!var->original && find_ours(var->name));
	}

	return false;
}

ssize_t identity_env_export(char **res, size_t size)
{
	char *all = NULL, *from, *to = *res;
	size_t len, needed = 1;
	ssize_t ret;

	/* With the card's values, which may be more than there is room for */
	exchange();
	ret = hexport_r(&env_htab, '\0', 0, &all, 0, 0, NULL);
	exchange();
	if (ret < 0)
		return ret;

	memset(to, '\0', size);
	for (from = all; *from; from += len) {
		len = strlen(from) + 1;
		if (is_left_out(from))
			continue;
		needed += len;
		if (needed > size)
			continue;
		memcpy(to, from, len);
		to += len;
	}
	free(all);
	if (needed <= size)
		return size;

	/* As hexport_r() does */
	printf("Env export buffer too small: %lu, but need %lu\n",
	       (ulong)size, (ulong)needed);
	__set_errno(ENOMEM);

	return -1;
}
