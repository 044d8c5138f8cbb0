/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The C interface as C calls it: with valid, NULL, unaligned, short and hostile arguments. argv[1] is a file of one sector
 * with an identity, argv[2] its LBA, argv[3] where in it the CRC is. Memory that is handed over ends in front of a page that cannot be touched, so that the
 * library, which no sanitizer watches, cannot read or write behind it either.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "identity.h"

#define SECTOR_LEN 512
#define PAGE 4096
#define ROUNDS 20000
#define TEXT_LEN 64
#define VALUE_LEN 192
/* What outputs hold before a call. */
#define OLD 0xa5

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

static const uint32_t texts[] = {
	IDENTITY_TEXT_PROFILE, IDENTITY_TEXT_HOSTNAME, IDENTITY_TEXT_SERIAL, IDENTITY_TEXT_BOARD, IDENTITY_TEXT_UUID,
	IDENTITY_TEXT_MACHINE_ID, IDENTITY_TEXT_CARD, 0, 4, 255, 259, UINT32_MAX,
};

/* The last `len` bytes of a page, filled; one place for each `slot`. */
static void *at_end(int slot, size_t len)
{
	static unsigned char *pages;
	unsigned char *start;

	if (!pages) {
		pages = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(pages != MAP_FAILED);
		for (int odd = 1; odd < 16; odd += 2)
			CHECK(!mprotect(pages + odd * PAGE, PAGE, PROT_NONE));
	}
	start = pages + (2 * slot + 1) * PAGE - len;
	memset(start, OLD, len);
	return start;
}

static int is_old(const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (((const unsigned char *)bytes)[i] != OLD)
			return 0;
	}
	return 1;
}

/* xorshift32: the same numbers in each run. */
static uint32_t number(void)
{
	static uint32_t state = 0x9e3c1d40;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static void noise(void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((unsigned char *)bytes)[i] = number() >> 24;
}

/* CRC-32/ISCSI over a sector without the sum itself, as docs/FORMAT.md has it. */
static void seal(unsigned char *sector, size_t crc_offset)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < SECTOR_LEN; i++) {
		if (i >= crc_offset && i < crc_offset + 4)
			continue;
		crc ^= sector[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	crc = ~crc;
	for (int i = 0; i < 4; i++)
		sector[crc_offset + i] = crc >> 8 * i;
}

/* A text is written whole and with its NUL, or nothing is. In a text that was `checked` there is no other NUL. */
static void check_text(int32_t status, const char *out, uint32_t len, int checked)
{
	if (status != IDENTITY_OK) {
		CHECK(is_old(out, len));
		return;
	}
	size_t end = strnlen(out, len);
	CHECK(end < len);
	CHECK(!checked || is_old(out + end + 1, len - end - 1));
}

/* Everything that can be asked of a record, which the library has `checked` or not, into buffers of any length. */
static void ask(const struct identity_record *record, int checked)
{
	uint32_t *word, *source = at_end(3, sizeof(*source));
	unsigned char *mac;
	int32_t status;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		for (uint32_t len = 0; len <= TEXT_LEN; len += 1 + number() % 16) {
			char *out = at_end(5, len);

			check_text(identity_record_text(record, texts[i], out, len), out, len, checked);
		}
	}
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t key_len = number() % (TEXT_LEN + 1), value_len = number() % (VALUE_LEN + 1);
		char *key = at_end(5, key_len), *value = at_end(6, value_len);

		status = identity_record_variable(record, i, key, key_len, value, value_len);
		check_text(status, key, key_len, checked);
		check_text(status, value, value_len, checked);
		mac = at_end(4, 6);
		status = identity_record_mac(record, i ? number() : 0, mac, source);
		CHECK(status == IDENTITY_OK ? !(mac[0] & 1) : is_old(mac, 6));
		word = at_end(2, sizeof(*word));
		status = identity_record_assigned(record, i, word);
		CHECK(status == IDENTITY_OK || is_old(word, sizeof(*word)));
	}
	identity_record_variable(record, UINT32_MAX, at_end(5, 1), 1, at_end(6, 1), 1);
	identity_record_assigned(record, UINT32_MAX, word);
	uint32_t board_len = number() % 70;
	char *board = at_end(5, board_len);
	unsigned char *cid = at_end(4, 16);

	identity_record_state(record, IDENTITY_VALID, cid, board, board_len);
	identity_record_state(record, number() % 64, cid, NULL, 0);
	identity_record_state(record, IDENTITY_VALID, NULL, board, board_len);
	CHECK(is_old(cid, 16) && is_old(board, board_len));
}

/* A search that is given this sector wherever it wants to read; returns the state. */
static int32_t find(const unsigned char *sector, struct identity_record *record, uint32_t hint)
{
	struct identity_search *search = at_end(0, sizeof(*search));
	uint32_t *lba = at_end(3, sizeof(*lba));
	struct identity_seen *seen = at_end(4, sizeof(*seen));
	int32_t status;
	int reads = 0;

	CHECK(identity_search_begin(search, sizeof(*search), hint) == IDENTITY_OK);
	while ((status = identity_search_next(search, lba)) == IDENTITY_READ) {
		CHECK(++reads <= 16);
		if (number() % 8 == 0)
			identity_search_skip(search, *lba, 1 + number() % 2);
		else
			identity_search_give(search, *lba, sector, SECTOR_LEN, record, sizeof(*record));
	}
	CHECK(status >= IDENTITY_BLANK && status <= IDENTITY_UNREADABLE);
	for (uint32_t i = 0; i <= 16; i++)
		identity_search_seen(search, i, seen, sizeof(*seen));
	return status;
}

static void valid(const unsigned char *whole, uint32_t at, struct identity_record *record)
{
	struct identity_search *search = at_end(0, sizeof(*search));
	uint32_t *lba = at_end(3, sizeof(*lba));
	/* Of any alignment. */
	unsigned char *sector = (unsigned char *)at_end(1, SECTOR_LEN + 1);
	char *text = at_end(5, TEXT_LEN);

	memcpy(sector, whole, SECTOR_LEN);
	CHECK(identity_abi_version() == IDENTITY_ABI_VERSION);
	CHECK(identity_search_begin(search, sizeof(*search), at) == IDENTITY_OK);
	CHECK(identity_search_next(search, lba) == IDENTITY_READ && *lba == at);
	CHECK(identity_search_give(search, at, sector, SECTOR_LEN, record, sizeof(*record)) == IDENTITY_OK);
	/* Nothing is anywhere else, so that the other copy is missing. */
	while (identity_search_next(search, lba) == IDENTITY_READ)
		CHECK(identity_search_skip(search, *lba, IDENTITY_SKIP_ABSENT) == IDENTITY_OK);
	CHECK(identity_search_next(search, lba) == IDENTITY_DEGRADED);
	CHECK(identity_record_text(record, IDENTITY_TEXT_PROFILE, text, TEXT_LEN) == IDENTITY_OK);
	CHECK(!strcmp(text, "panda"));
	ask(record, 1);
}

/* Each pointer NULL in turn, and each that must be aligned at each odd address. */
static void pointers(const unsigned char *sector, uint32_t at, struct identity_record *record)
{
	struct identity_search *search = at_end(0, sizeof(*search));
	unsigned char *mac = at_end(4, 6);
	uint32_t word = 0, source = 0;
	struct identity_seen seen;
	char text[TEXT_LEN];

	CHECK(identity_search_begin(NULL, sizeof(*search), 0) == IDENTITY_BAD_POINTER);
	for (uint32_t size = 0; size < sizeof(*search); size++)
		CHECK(identity_search_begin(search, size, 0) == IDENTITY_BAD_SIZE);
	CHECK(is_old(search, sizeof(*search)));
	CHECK(identity_search_begin(search, sizeof(*search), at) == IDENTITY_OK);

	CHECK(identity_search_next(NULL, &word) == IDENTITY_BAD_POINTER);
	CHECK(identity_search_next(search, NULL) == IDENTITY_BAD_POINTER);
	CHECK(identity_search_give(NULL, at, sector, SECTOR_LEN, record, sizeof(*record)) == IDENTITY_BAD_POINTER);
	CHECK(identity_search_give(search, at, NULL, SECTOR_LEN, record, sizeof(*record)) == IDENTITY_BAD_POINTER);
	CHECK(identity_search_give(search, at, sector, SECTOR_LEN, NULL, sizeof(*record)) == IDENTITY_BAD_POINTER);
	for (uint32_t len = 0; len < SECTOR_LEN; len++)
		CHECK(identity_search_give(search, at, sector, len, record, sizeof(*record)) == IDENTITY_BAD_SIZE);
	CHECK(identity_search_give(search, at + 1, sector, SECTOR_LEN, record, sizeof(*record)) == IDENTITY_BAD_ARGUMENT);
	CHECK(identity_search_skip(NULL, at, IDENTITY_SKIP_ABSENT) == IDENTITY_BAD_POINTER);
	CHECK(identity_search_skip(search, at, 0) == IDENTITY_BAD_ARGUMENT);
	CHECK(identity_search_seen(NULL, 0, &seen, sizeof(seen)) == IDENTITY_BAD_POINTER);
	CHECK(identity_search_seen(search, 0, NULL, sizeof(seen)) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_text(NULL, 1, text, TEXT_LEN) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_text(record, 1, NULL, TEXT_LEN) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_mac(NULL, 0, mac, &source) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_mac(record, 0, NULL, &source) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_mac(record, 0, mac, NULL) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_assigned(NULL, 0, &word) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_assigned(record, 0, NULL) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_variable(NULL, 0, text, 8, text + 8, 8) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_variable(record, 0, NULL, 8, text, 8) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_variable(record, 0, text, 8, NULL, 8) == IDENTITY_BAD_POINTER);
	CHECK(identity_record_state(NULL, IDENTITY_VALID, NULL, NULL, 0) == IDENTITY_BAD_POINTER);
	CHECK(identity_state_name(IDENTITY_VALID, NULL, TEXT_LEN) == IDENTITY_BAD_POINTER);

	for (int off = 1; off < 4; off++) {
		/* As an integer: to make such a pointer is an error in C already. */
		struct identity_search *odd_search = (void *)((uintptr_t)at_end(6, sizeof(*search) + 4) + off);
		struct identity_record *odd_record = (void *)((uintptr_t)at_end(7, sizeof(*record) + 4) + off);
		uint32_t *odd_word = (void *)((uintptr_t)at_end(5, 8) + off);

		CHECK(identity_search_begin(odd_search, sizeof(*search), 0) == IDENTITY_BAD_POINTER);
		CHECK(identity_search_next(odd_search, &word) == IDENTITY_BAD_POINTER);
		CHECK(identity_search_next(search, odd_word) == IDENTITY_BAD_POINTER);
		CHECK(identity_search_give(search, at, sector, SECTOR_LEN, odd_record, sizeof(*record)) ==
		      IDENTITY_BAD_POINTER);
		CHECK(identity_record_text(odd_record, 1, text, TEXT_LEN) == IDENTITY_BAD_POINTER);
		CHECK(identity_record_mac(record, 0, mac, odd_word) == IDENTITY_BAD_POINTER);
		CHECK(identity_record_assigned(record, 0, odd_word) == IDENTITY_BAD_POINTER);
	}
	CHECK(is_old(mac, 6) && !word && !source);
}

/* Sectors with a few bytes changed and a sum that is right, so that what is behind the sum's check has to cope. */
static void hostile_sectors(const unsigned char *whole, size_t crc_offset)
{
	for (int round = 0; round < ROUNDS; round++) {
		unsigned char *sector = at_end(1, SECTOR_LEN);
		struct identity_record *record = at_end(7, sizeof(*record));

		memcpy(sector, whole, SECTOR_LEN);
		for (uint32_t changes = number() % 4; changes; changes--)
			sector[number() % SECTOR_LEN] = number() >> 24;
		if (number() % 4)
			seal(sector, crc_offset);
		find(sector, record, number() % 3 ? number() % 64 : number());
		if (!is_old(record, sizeof(*record)))
			ask(record, 1);
	}
}

/* Structs that the library has not filled, with the right size or without. */
static void hostile_structs(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct identity_record *record = at_end(7, sizeof(*record));
		struct identity_search *search = at_end(0, sizeof(*search));
		unsigned char *sector = at_end(1, SECTOR_LEN);
		struct identity_seen seen;
		uint32_t lba = number();

		noise(record, sizeof(*record));
		noise(search, sizeof(*search));
		noise(sector, SECTOR_LEN);
		if (round % 8) {
			record->size = sizeof(*record);
			search->size = sizeof(*search);
			record->fields_len = number() % (sizeof(record->fields) + 2);
			/* Small numbers look like lengths and kinds. */
			for (int i = 0; i < 32; i++) {
				record->fields[number() % sizeof(record->fields)] = number() % 12;
				search->words[number() % (sizeof(search->words) / sizeof(*search->words))] = number() % 16;
			}
		}
		ask(record, 0);
		identity_search_next(search, &lba);
		identity_search_give(search, lba, sector, SECTOR_LEN, record, sizeof(*record));
		identity_search_next(search, &lba);
		identity_search_skip(search, lba, 1 + number() % 2);
		identity_search_seen(search, number() % 32, &seen, sizeof(seen));
	}
}

int main(int argc, char **argv)
{
	static unsigned char sector[SECTOR_LEN], sealed[SECTOR_LEN];
	static struct identity_record record;
	size_t crc_offset;
	FILE *file = argc == 4 ? fopen(argv[1], "rb") : NULL;
	uint32_t at;

	CHECK(file && fread(sector, sizeof(sector), 1, file) == 1);
	fclose(file);
	at = strtoul(argv[2], NULL, 10);
	crc_offset = strtoul(argv[3], NULL, 10);
	memcpy(sealed, sector, SECTOR_LEN);
	seal(sealed, crc_offset);
	CHECK(!memcmp(sealed, sector, SECTOR_LEN));
	valid(sector, at, &record);
	pointers(sector, at, &record);
	for (int32_t state = -2; state < 64; state++) {
		for (uint32_t len = 0; len <= 16; len++) {
			char *name = at_end(5, len);

			check_text(identity_state_name(state, name, len), name, len, 1);
		}
	}
	hostile_sectors(sector, crc_offset);
	hostile_structs();
	return 0;
}
