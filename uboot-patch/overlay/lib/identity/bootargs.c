// SPDX-License-Identifier: GPL-2.0+
/*
 * Board identity on the SD card: kernel arguments
 *
 * An operating system in which nothing of ours is installed takes its hostname
 * and machine-id from them. Words are split as Linux does it in next_arg(), in
 * lib/cmdline.c.
 */

#include <identity_compat.h>
#include <cli.h>
#include <identity_board.h>
#include <identity_hooks.h>
#include <linux/ctype.h>
#include <linux/string.h>

/* COMMAND_LINE_SIZE of Linux, which cuts off what is longer; with the NUL */
#define LINE_LEN \
	(IS_ENABLED(CONFIG_ARM64) || IS_ENABLED(CONFIG_SANDBOX) ? 2048 : \
	 IS_ENABLED(CONFIG_RISCV) ? 512 : 1024)

#define QUOTES		2

static const char *next_word(const char *text)
{
	while (isspace(*text))
		text++;

	return text;
}

/* A space ends a word, unless it is in quotes */
static const char *word_end(const char *word)
{
	bool quoted = false;

	for (; *word && (quoted || !isspace(*word)); word++)
		quoted ^= *word == '"';

	return word;
}

static int count_quotes(const char *text)
{
	int count = 0;

	for (; *text; text++)
		count += *text == '"';

	return count;
}

/* Quotes hold it together for Linux; systemd takes single ones for quotes, too */
static bool needs_quotes(const char *word)
{
	return *word_end(word) || strchr(word, '\'');
}

/*
 * Puts quotes around a word's value, if it has one, else around the word.
 * Returns false if it cannot be one word: there is no way to write a quote.
 */
static bool quote(char *word, int allowed)
{
	char *value;

	if (count_quotes(word) != allowed)
		return false;
	if (!needs_quotes(word))
		return true;
	if (allowed)
		return !*word_end(word);
	value = strchr(word, '=');
	value = value ? value + 1 : word;
	memmove(value + 1, value, strlen(value) + 1);
	*value = '"';
	strcat(value, "\"");

	return true;
}

/* The same as Linux and systemd do: "-" and "_" are one, and quotes are none */
static bool same_key(const char *a, const char *b)
{
	a += *a == '"';
	b += *b == '"';
	for (; *a && *a != '='; a++, b++) {
		if (*a != *b && !((*a == '-' || *a == '_') &&
				  (*b == '-' || *b == '_')))
			return false;
	}

	return *b == *a || !*b || isspace(*b);
}

/* The word of a line that has the same key, or NULL */
static const char *find_key(const char *line, const char *word)
{
	for (line = next_word(line); *line;
	     line = next_word(word_end(line))) {
		if (same_key(word, line))
			return line;
	}

	return NULL;
}

/* Where the arguments of init begin, which Linux leaves alone, or the end */
static const char *find_init_args(const char *line)
{
	const char *end;

	for (line = next_word(line); *line; line = next_word(end)) {
		end = word_end(line);
		if (end - line == 2 && !strncmp(line, "--", 2))
			break;
	}

	return line;
}

/* Whether a word belongs into the line; says so if somebody has to know */
static bool is_wanted(const char *line, const char *word)
{
	const char *there = find_key(line, word);
	int len;

	if (!there)
		return true;
	len = word_end(there) - there;
	if (strncmp(there, word, len) || word[len])
		printf("identity: the kernel argument %.*s stays, the identity's is %s\n",
		       len, there, word);

	return false;
}

/* A word of CONFIG_IDENTITY_BOOTARGS with its values, or NULL if it has none */
static const char *expand(const char *word, int len)
{
	static char text[CONFIG_SYS_CBSIZE + QUOTES];
	char macros[sizeof(CONFIG_IDENTITY_BOOTARGS)];
	const char *value;

	memcpy(macros, word, len);
	macros[len] = '\0';
	identity_expand(macros, text, CONFIG_SYS_CBSIZE);
	value = strchr(text, '=');
	if (!*(value ? value + 1 : text))
		return NULL;
	if (!quote(text, count_quotes(macros))) {
		printf("identity: the kernel argument %s is left out, for a quote in it cannot be written\n",
		       text);
		return NULL;
	}

	return text;
}

const char *identity_bootargs_words(const char *line)
{
	const struct identity_card *card = identity_applied();
	static char words[LINE_LEN];
	const char *macros, *end, *word;
	/* One more byte for the space in front */
	size_t used = strlen(line) + 1, len = 0;

	if (!card || !identity_usable(card->state))
		return "";

	for (macros = next_word(CONFIG_IDENTITY_BOOTARGS); *macros;
	     macros = next_word(end)) {
		end = word_end(macros);
		word = expand(macros, end - macros);
		if (!word || !is_wanted(line, word))
			continue;
		if (used + len + 1 + strlen(word) > LINE_LEN - 1) {
			printf("identity: the kernel argument %s is left out, it would be behind the %d bytes that Linux reads\n",
			       word, LINE_LEN - 1);
			continue;
		}
		if (len)
			words[len++] = ' ';
		strcpy(words + len, word);
		len += strlen(word);
	}
	words[len] = '\0';

	return words;
}

const char *identity_bootargs(const char *line, const char **words)
{
	static char all[LINE_LEN];
	const char *init_args;

	/* A default of the kernel's own counts only where there is no line */
	*words = line && *line ? identity_bootargs_words(line) : "";
	if (!**words)
		return line;
	init_args = find_init_args(line);
	sprintf(all, *init_args ? "%.*s%s %s" : "%.*s %s%s",
		(int)(init_args - line), line, *words, init_args);

	return all;
}

void identity_bootargs_cut(char *line, const char *words)
{
	size_t len = strlen(words);
	char *found = strstr(line, words);

	if (!len || !found || (found > line && !isspace(found[-1])))
		return;
	if (isspace(found[len]))
		len++;
	else if (found[len])
		return;
	else if (found > line)
		found--, len++;
	memmove(found, found + len, strlen(found + len) + 1);
}

const char *identity_load_options(const char *name, const char *value)
{
	const char *words;

	return strcmp(name, "bootargs") ? value :
		identity_bootargs(value, &words);
}
