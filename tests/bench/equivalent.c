/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the library does, written by hand in C as a bootloader's author might: the search of docs/FORMAT.md, a sector with
 * all its checks, the fields' texts, the MAC address. For a comparison of sizes, and for nothing else. It has less: neither
 * machine-id, bindings and variables, nor checks of what it is handed. With -DMAIN, a program that reads a card image, to
 * see that it is right.
 */
#include <stddef.h>
#include <stdint.h>

/* Not from <string.h>: a cross compiler may have no C library. */
void *memcpy(void *to, const void *from, size_t len);
int memcmp(const void *one, const void *other, size_t len);

enum { BLANK, FOREIGN, CORRUPT, NEWER, VALID, DEGRADED, CONFLICT };

#define SECTOR_LEN 512
#define FIELDS 48
#define TRAILER 510

static const uint32_t slots[] = { 52, 6607, 2703, 1711, 5, 54, 6959, 2927, 1777, 7 };

#define SLOTS ((int)(sizeof(slots) / sizeof(*slots)))
#define SEEN 14

/* A search, which is zeros but for the hint when it begins */
struct equivalent {
	uint32_t hint;
	int len;
	struct {
		uint32_t lba, peer, generation, content;
		uint8_t uuid[16];
		int condition;
	} seen[SEEN];
};

static int is_unseen(const struct equivalent *search, uint32_t lba)
{
	int i;

	for (i = 0; i < search->len; i++) {
		if (search->seen[i].lba == lba)
			return 0;
	}
	return lba && search->len < SEEN;
}

/* The next sector to read, or 0 */
uint32_t equivalent_next(const struct equivalent *search)
{
	int i;

	if (is_unseen(search, search->hint))
		return search->hint;
	for (i = 0; i < SLOTS; i++) {
		if (is_unseen(search, slots[i]))
			return slots[i];
	}
	for (i = 0; i < search->len; i++) {
		if (is_unseen(search, search->seen[i].peer))
			return search->seen[i].peer;
	}
	return 0;
}

static int first(const struct equivalent *search)
{
	int i;

	for (i = 0; i < search->len; i++) {
		if (search->seen[i].condition >= NEWER)
			return i;
	}
	return -1;
}

int equivalent_state(const struct equivalent *search)
{
	int i, primary = first(search), state = BLANK, peer_is_good = 0;

	for (i = 0; primary < 0 && i < search->len; i++) {
		if (search->seen[i].condition == CORRUPT)
			state = CORRUPT;
	}
	if (primary < 0 || search->seen[primary].condition == NEWER)
		return primary < 0 ? state : NEWER;
	state = VALID;
	for (i = 0; i < search->len; i++) {
		int same = search->seen[i].generation == search->seen[primary].generation;

		if (i == primary || search->seen[i].condition < CORRUPT)
			continue;
		if (search->seen[i].condition == VALID &&
		    (memcmp(search->seen[i].uuid, search->seen[primary].uuid, 16) ||
		     (same && search->seen[i].content != search->seen[primary].content)))
			return CONFLICT;
		if (search->seen[i].condition == VALID && same && search->seen[i].lba == search->seen[primary].peer &&
		    search->seen[i].peer == search->seen[primary].lba)
			peer_is_good = 1;
		else
			state = DEGRADED;
	}
	return peer_is_good ? state : DEGRADED;
}

static uint32_t get(const uint8_t *bytes, int len)
{
	uint32_t number = 0;

	while (len--)
		number = number << 8 | bytes[len];
	return number;
}

static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, int len)
{
	int bit;

	while (len--) {
		crc ^= *bytes++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static int all_are(const uint8_t *bytes, int len, uint8_t value)
{
	while (len--) {
		if (*bytes++ != value)
			return 0;
	}
	return 1;
}

static int is_alnum(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int is_profile(const uint8_t *text, int len)
{
	int i;

	if (len < 1 || len > 63 || !is_alnum(text[0]))
		return 0;
	for (i = 0; i < len; i++) {
		if (!is_alnum(text[i]) && text[i] != '.' && text[i] != '_' && text[i] != '+' && text[i] != '-')
			return 0;
	}
	return 1;
}

static int is_hostname(const uint8_t *text, int len)
{
	int i;

	if (len < 1 || len > 63)
		return 0;
	for (i = 0; i < len; i++) {
		int inside = i > 0 && i < len - 1 && is_alnum(text[i - 1]) && is_alnum(text[i + 1]);

		if (text[i] == '-' && i > 0 && i < len - 1 && text[i - 1] != '.' && text[i + 1] != '.')
			continue;
		if (!is_alnum(text[i]) && !(text[i] == '.' && inside))
			return 0;
	}
	return 1;
}

static int is_serial(const uint8_t *text, int len)
{
	int i;

	if (len < 1 || len > 63)
		return 0;
	for (i = 0; i < len; i++) {
		if (text[i] < 0x21 || text[i] > 0x7e)
			return 0;
	}
	return 1;
}

static int key_len(const uint8_t *text, int len)
{
	int i;

	for (i = 0; i < len && text[i] != '='; i++) {
		if (!(text[i] >= 'a' && text[i] <= 'z') &&
		    (i == 0 || (text[i] != '_' && !(text[i] >= '0' && text[i] <= '9'))))
			return 0;
	}
	return i < len && i <= 63 && len - i - 1 <= 191 ? i : 0;
}

/* UTF-8 as RFC 3629 has it, without control characters */
static int is_value(const uint8_t *text, int len)
{
	while (len > 0) {
		uint8_t c = *text++;
		int more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 :
			   c >= 0xf0 && c < 0xf5 ? 3 : -1;
		uint32_t code = more > 0 ? c & (0x3f >> more) : c;
		int i;

		if (more < 0 || --len < more)
			return 0;
		for (i = 0; i < more; i++, len--) {
			if ((*text & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (*text++ & 0x3f);
		}
		if (code < 0x20 || (code >= 0x7f && code < 0xa0) || (more == 2 && code < 0x800) ||
		    (more == 3 && (code < 0x10000 || code > 0x10ffff)) || (code >= 0xd800 && code < 0xe000))
			return 0;
	}
	return 1;
}

/* Whether a field may stand behind the one before */
static int is_ordered(const uint8_t *before, const uint8_t *field)
{
	int a, b, order;

	if (!before || before[0] != field[0])
		return (before ? before[0] : 0) < field[0];
	if (field[0] == 4)
		return before[2] < field[2];
	if (field[0] != 5)
		return field[0] > 7;
	a = key_len(before + 2, before[1]);
	b = key_len(field + 2, field[1]);
	order = memcmp(before + 2, field + 2, a < b ? a : b);
	return order ? order < 0 : a < b;
}

static int is_right(const uint8_t *value, int kind, int len)
{
	int key;

	switch (kind) {
	case 1:
		return is_profile(value, len);
	case 2:
		return is_hostname(value, len);
	case 3:
	case 7:
		return is_serial(value, len);
	case 4:
		return len == 7 && !(value[1] & 1) && !all_are(value + 1, 6, 0);
	case 5:
		key = key_len(value, len);
		return key && is_value(value + key + 1, len - key - 1);
	case 6:
		return len == 16 && !value[15] && !all_are(value, 15, 0);
	default:
		return 1;
	}
}

static int check_fields(const uint8_t *fields, int len)
{
	const uint8_t *before = NULL, *field, *end = fields + len;
	int profile = 0;

	for (field = fields; field < end; before = field, field += 2 + field[1]) {
		if (end - field < 2 || end - field - 2 < field[1])
			return CORRUPT;
		if (field[0] & 0x80)
			return NEWER;
		if (!is_ordered(before, field) || !is_right(field + 2, field[0], field[1]))
			return CORRUPT;
		profile |= field[0] == 1;
	}
	return profile ? VALID : CORRUPT;
}

int equivalent_parse(const uint8_t *sector, uint32_t lba)
{
	uint32_t header_len = get(sector + 12, 2), own = get(sector + 16, 4), peer = get(sector + 20, 4);
	uint32_t len = get(sector + 28, 2);

	if (memcmp(sector, "\xb1IDENT\r\n", 8))
		return all_are(sector, SECTOR_LEN, 0) ? BLANK : FOREIGN;
	if (header_len < 16 || header_len > TRAILER ||
	    get(sector + 8, 4) != ~crc32c(crc32c(~0u, sector, 8), sector + 12, SECTOR_LEN - 12))
		return CORRUPT;
	if (get(sector + 14, 2) > 1)
		return NEWER;
	if (own != lba)
		return FOREIGN;
	if (get(sector + 14, 2) != 1 || header_len != FIELDS || !own || !peer || peer == own ||
	    !get(sector + 24, 4) || len > TRAILER - FIELDS || get(sector + 30, 2) || all_are(sector + 32, 16, 0) ||
	    all_are(sector + 32, 16, 0xff) || !all_are(sector + FIELDS + len, SECTOR_LEN - FIELDS - len, 0))
		return CORRUPT;
	return check_fields(sector + FIELDS, len);
}

/* Takes the sector that was read at the next place; returns whether it is the copy that counts */
int equivalent_give(struct equivalent *search, const uint8_t *sector)
{
	uint32_t lba = equivalent_next(search);
	int is_first = first(search) < 0, i = search->len++;

	search->seen[i].lba = lba;
	search->seen[i].condition = equivalent_parse(sector, lba);
	if (search->seen[i].condition != VALID)
		return 0;
	search->seen[i].peer = get(sector + 20, 4);
	search->seen[i].generation = get(sector + 24, 4);
	search->seen[i].content = crc32c(~0u, sector + FIELDS, TRAILER - FIELDS);
	memcpy(search->seen[i].uuid, sector + 32, 16);
	return is_first;
}

/* The value of the field of a kind; of MAC addresses, the one of an interface */
static const uint8_t *find(const uint8_t *sector, int kind, uint32_t index, int *len)
{
	const uint8_t *field = sector + FIELDS, *end = field + get(sector + 28, 2);

	for (; field < end; field += 2 + field[1]) {
		if (field[0] == kind && (kind != 4 || field[2] == index)) {
			*len = field[1];
			return field + 2;
		}
	}
	return NULL;
}

int equivalent_text(const uint8_t *sector, int kind, char *out, int out_len)
{
	int len;
	const uint8_t *value = find(sector, kind, 0, &len);

	if (!value || len >= out_len)
		return 0;
	memcpy(out, value, len);
	out[len] = '\0';
	return 1;
}

void equivalent_uuid(const uint8_t *sector, char *out)
{
	int i;

	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = "0123456789abcdef"[sector[32 + i] >> 4];
		*out++ = "0123456789abcdef"[sector[32 + i] & 15];
	}
	*out = '\0';
}

static uint32_t rol(uint32_t word, int bits)
{
	return word << bits | word >> (32 - bits);
}

/* SHA-1 of one block */
static void sha1(const uint8_t *block, uint32_t *digest)
{
	static const uint32_t initial[] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	uint32_t w[80], s[5], sum;
	int i;

	memcpy(s, initial, sizeof(s));
	for (i = 0; i < 80; i++) {
		w[i] = i < 16 ? (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 |
				block[4 * i + 3] :
				rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
		sum = rol(s[0], 5) + s[4] + w[i] +
		      (i < 20 ? (s[1] & s[2] | ~s[1] & s[3]) + 0x5a827999 :
		       i < 40 ? (s[1] ^ s[2] ^ s[3]) + 0x6ed9eba1 :
		       i < 60 ? (s[1] & s[2] | s[1] & s[3] | s[2] & s[3]) + 0x8f1bbcdc :
				(s[1] ^ s[2] ^ s[3]) + 0xca62c1d6);
		s[4] = s[3];
		s[3] = s[2];
		s[2] = rol(s[1], 30);
		s[1] = s[0];
		s[0] = sum;
	}
	for (i = 0; i < 5; i++)
		digest[i] = initial[i] + s[i];
}

void equivalent_mac(const uint8_t *sector, uint32_t index, uint8_t *mac)
{
	uint8_t block[64] = { 0 }, digits[10];
	int len, count = 0, i;
	const uint8_t *assigned = find(sector, 4, index, &len);
	uint32_t digest[5];

	if (assigned) {
		memcpy(mac, assigned + 1, 6);
		return;
	}
	memcpy(block, sector + 32, 16);
	memcpy(block + 16, "ethernet/", 9);
	do {
		digits[count++] = '0' + index % 10;
		index /= 10;
	} while (index);
	for (len = 25; count; len++)
		block[len] = digits[--count];
	block[len] = 0x80;
	block[62] = len >> 5;
	block[63] = len << 3;
	sha1(block, digest);
	for (i = 0; i < 6; i++)
		mac[i] = digest[i / 4] >> (24 - i % 4 * 8);
	mac[0] = (mac[0] & ~1) | 2;
}

#ifdef MAIN
#include <stdio.h>

int main(int argc, char **argv)
{
	FILE *file = fopen(argv[argc - 1], "rb");
	uint8_t sector[SECTOR_LEN], copy[SECTOR_LEN], mac[6];
	struct equivalent search = { 0 };
	char uuid[37], profile[64];
	uint32_t lba;

	while (file && (lba = equivalent_next(&search))) {
		if (fseek(file, (long)lba * SECTOR_LEN, SEEK_SET) || fread(sector, SECTOR_LEN, 1, file) != 1)
			return 1;
		if (equivalent_give(&search, sector))
			memcpy(copy, sector, SECTOR_LEN);
	}
	if (equivalent_state(&search) != VALID || !equivalent_text(copy, 1, profile, sizeof(profile)))
		return 1;
	equivalent_uuid(copy, uuid);
	equivalent_mac(copy, 0, mac);
	printf("%s %s %02x:%02x:%02x:%02x:%02x:%02x\n", profile, uuid, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return 0;
}
#endif
