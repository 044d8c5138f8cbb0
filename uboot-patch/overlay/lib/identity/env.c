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
#include <linux/list.h>
#include <linux/string.h>

DECLARE_GLOBAL_DATA_PTR;

/* Names that begin so are the identity's alone */
#define PREFIX		"identity_"
#define VAR_PREFIX	PREFIX "var_"
#define STATE		PREFIX "state"
#define SERIAL		"serial#"
#define BOOTCMD		"bootcmd"

/**
 * struct identity_var - a variable that holds what a card says
 *
 * @list: Node in identity_vars
 * @value: What the card says
 * @original: What the variable held before, or NULL if it did not exist
 * @current: Whether the card that was applied last says so
 * @exchanged: Whether @original is what the card says, and the variable holds
 *	what it held before
 * @name: Name of the variable
 */
struct identity_var {
	struct list_head list;
	char *value;
	char *original;
	bool current;
	bool exchanged;
	char name[];
};

/* Who wins where the environment and the card disagree */
enum precedence {
	CARD_WINS,
	ENVIRONMENT_WINS_SAYING_SO,
	ENVIRONMENT_WINS,
};

static LIST_HEAD(identity_vars);

static struct identity_var *find(const char *name)
{
	struct identity_var *var;

	list_for_each_entry(var, &identity_vars, list) {
		if (!strcmp(var->name, name))
			return var;
	}

	return NULL;
}

static void forget(struct identity_var *var)
{
	list_del(&var->list);
	free(var->value);
	free(var->original);
	free(var);
}

/* Whether the variable still holds what the card says, and not what was set since */
static bool is_ours(const struct identity_var *var)
{
	const char *value = env_get(var->name);

	return value && !strcmp(value, var->value);
}

__weak const char *identity_board_serial(void)
{
	struct identity_var *var = find(SERIAL);

	return var && is_ours(var) ? var->original : env_get(SERIAL);
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

static void take_back(struct identity_var *var)
{
	if (is_ours(var)) {
		if (var->original)
			force(var->name, var->original);
		else
			force_delete(var->name);
	}
	forget(var);
}

static int remember(const char *name, const char *value, const char *old)
{
	struct identity_var *var = find(name);
	char *copy, *original = NULL;

	if (var && is_ours(var))
		old = var->original;
	copy = strdup(value);
	if (old)
		original = strdup(old);
	if (var)
		forget(var);
	var = malloc(sizeof(*var) + strlen(name) + 1);
	if (!copy || (old && !original) || !var) {
		free(copy);
		free(original);
		free(var);
		return -ENOMEM;
	}
	strcpy(var->name, name);
	var->value = copy;
	var->original = original;
	var->current = true;
	list_add_tail(&var->list, &identity_vars);

	return 0;
}

/* Sets a variable to what the card says; returns 0 or a negative error */
static int set(const char *name, const char *value, enum precedence precedence)
{
	const char *old = env_get(name);
	struct identity_var *var = find(name);
	int ret;

	/* A person's value; how letters are written does not matter */
	if (old && !(var && is_ours(var)) && strcasecmp(old, value)) {
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

	ret = remember(name, value, old);
	if (ret)
		return ret;
	if (!force(name, value))
		printf("identity: %s cannot be changed, the card says %s\n",
		       name, value);

	return 0;
}

static int set_text(const struct identity_record *record, u32 what,
		    const char *name, enum precedence precedence)
{
	char text[IDENTITY_TEXT_LEN];

	if (!identity_text(record, what, text))
		return 0;

	return set(name, text, precedence);
}

static int set_mac(const struct identity_record *record, u32 index,
		   enum precedence precedence)
{
	char name[sizeof("eth4294967295addr")];
	char mac[IDENTITY_MAC_LEN];

	if (index)
		snprintf(name, sizeof(name), "eth%uaddr", index);
	else
		strcpy(name, "ethaddr");

	return set(name, identity_mac(record, index, mac, NULL), precedence);
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

static int set_macs(const struct identity_record *record,
		    enum precedence precedence)
{
	int count = identity_interfaces();
	u32 index, number;
	int ret = 0;

	for (index = 0; !ret && index < count; index++)
		ret = set_mac(record, index, precedence);
	for (number = 0; !ret; number++) {
		if (identity_record_assigned(record, number, &index) != IDENTITY_OK)
			break;
		if (index >= count)
			ret = set_mac(record, index, precedence);
	}

	return ret;
}

static int set_variables(const struct identity_record *record)
{
	char name[sizeof(VAR_PREFIX) + IDENTITY_TEXT_LEN] = VAR_PREFIX;
	char value[IDENTITY_VALUE_LEN];
	u32 number;
	int ret = 0;

	for (number = 0; !ret; number++) {
		if (identity_record_variable(record, number,
					     name + strlen(VAR_PREFIX),
					     IDENTITY_TEXT_LEN, value,
					     sizeof(value)) != IDENTITY_OK)
			break;
		ret = set(name, value, CARD_WINS);
	}

	return ret;
}

/* Removes what looks like an identity and is none: from a saved environment, say */
static void remove_strangers(void)
{
	struct env_entry *entry;
	int i = 0;

	while ((i = hmatch_r(PREFIX, i, &entry, &env_htab))) {
		if (find(entry->key))
			continue;
		printf("identity: %s=%s from the environment is not from the card, removed\n",
		       entry->key, entry->data);
		force_delete(entry->key);
	}
}

static int set_texts(const struct identity_record *record)
{
	char name[sizeof(PREFIX) + sizeof(identity_texts[0].name)];
	char *dash;
	int ret = 0, i;

	for (i = 0; !ret && i < IDENTITY_TEXTS; i++) {
		snprintf(name, sizeof(name), PREFIX "%s",
			 identity_texts[i].name);
		/* A shell's variable has none */
		dash = strchr(name, '-');
		if (dash)
			*dash = '_';
		ret = set_text(record, identity_texts[i].what, name, CARD_WINS);
	}

	return ret;
}

static int set_all(const struct identity_card *card)
{
	const struct identity_record *record = &card->record;
	enum precedence precedence;
	int ret;

	precedence = IS_ENABLED(CONFIG_IDENTITY_OVERRIDE_ENV) ?
		CARD_WINS : ENVIRONMENT_WINS_SAYING_SO;

	ret = set_texts(record);
	if (!ret)
		ret = set_text(record, IDENTITY_TEXT_SERIAL, SERIAL,
			       ENVIRONMENT_WINS);
	if (!ret)
		ret = set_text(record, IDENTITY_TEXT_UUID, "pxeuuid",
			       precedence);
	if (!ret)
		ret = set_macs(record, precedence);
	if (!ret)
		ret = set_variables(record);

	return ret;
}

static int set_state(int state)
{
	char name[IDENTITY_STATE_LEN];

	/* Also counts as a change for code that asks env_get_id() */
	env_set(STATE, identity_state(state, name));

	return remember(STATE, name, NULL);
}

int identity_env_apply(const struct identity_card *card)
{
	struct identity_var *var, *next;
	int ret = 0;

	remove_strangers();

	if (identity_usable(card->state)) {
		list_for_each_entry(var, &identity_vars, list)
			var->current = false;
		ret = set_all(card);
		list_for_each_entry_safe(var, next, &identity_vars, list) {
			if (!var->current && strcmp(var->name, STATE) &&
			    strcmp(var->name, BOOTCMD))
				take_back(var);
		}
	}

	return set_state(card->state) ?: ret;
}

int identity_env_set(const char *name, const char *value)
{
	int ret = remember(name, value, env_get(name));

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

	list_for_each_entry(var, &identity_vars, list) {
		if (!var->original || !(var->exchanged || is_ours(var)))
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

	list_for_each_entry(var, &identity_vars, list) {
		len = strlen(var->name);
		if (!strncmp(pair, var->name, len) && pair[len] == '=')
			return !pair[len + 1] ||
			       (!var->original && is_ours(var));
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
