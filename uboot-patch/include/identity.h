/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Board identity on an SD card: C interface of the Rust library.
 * Generated from uboot-patch/src by cbindgen; do not edit.
 */

#ifndef IDENTITY_H
#define IDENTITY_H

#if defined(__UBOOT__) || defined(__BAREBOX__)
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/**
 * The output has been written.
 */
#define IDENTITY_OK 1

/**
 * Read the sector at the LBA that was written and hand it to the search.
 */
#define IDENTITY_READ 2

/**
 * No slot holds an identity.
 */
#define IDENTITY_BLANK 10

/**
 * An identity, and nothing that was looked at speaks against it.
 */
#define IDENTITY_VALID 11

/**
 * An identity, but a copy is missing, damaged, older, or there is one too many.
 */
#define IDENTITY_DEGRADED 12

/**
 * There are copies, and none is valid.
 */
#define IDENTITY_CORRUPT 13

/**
 * There are two identities.
 */
#define IDENTITY_CONFLICT 14

/**
 * An intact copy that this library is too old for.
 */
#define IDENTITY_NEWER 15

/**
 * The identity is bound to another card.
 */
#define IDENTITY_CLONED 16

/**
 * The identity is bound to another board.
 */
#define IDENTITY_MOVED 17

/**
 * No valid copy, and a slot that could not be read may hold one.
 */
#define IDENTITY_UNREADABLE 18

/**
 * The identity has no such field, or no more of them.
 */
#define IDENTITY_ABSENT 30

/**
 * A buffer is too small for the text and its NUL.
 */
#define IDENTITY_TOO_SMALL 31

/**
 * A pointer is NULL or not aligned, or two objects overlap.
 */
#define IDENTITY_BAD_POINTER 32

/**
 * A size is not the one that this library was built with: header and library differ.
 */
#define IDENTITY_BAD_SIZE 33

/**
 * An argument has no meaning, or the sector is not the one that was asked for.
 */
#define IDENTITY_BAD_ARGUMENT 34

/**
 * The address was computed from the UUID.
 */
#define IDENTITY_SOURCE_DERIVED 1

/**
 * The address was assigned by a person.
 */
#define IDENTITY_SOURCE_ASSIGNED 2

/**
 * Profile, at most 63 bytes.
 */
#define IDENTITY_TEXT_PROFILE 1

/**
 * Hostname, at most 63 bytes; may be absent.
 */
#define IDENTITY_TEXT_HOSTNAME 2

/**
 * Board serial, at most 63 bytes; may be absent.
 */
#define IDENTITY_TEXT_SERIAL 3

/**
 * Binding to a board's serial or SoC id, at most 63 bytes; may be absent.
 */
#define IDENTITY_TEXT_BOARD 7

/**
 * UUID in its 36-byte form.
 */
#define IDENTITY_TEXT_UUID 256

/**
 * Machine-id, 32 hex digits.
 */
#define IDENTITY_TEXT_MACHINE_ID 257

/**
 * Binding to a card: its CID without checksum, 32 hex digits; may be absent.
 */
#define IDENTITY_TEXT_CARD 258

/**
 * Version of this interface; identity_abi_version() returns the library's.
 */
#define IDENTITY_ABI_VERSION 1

/**
 * The device ends before the sector.
 */
#define IDENTITY_SKIP_ABSENT 1

/**
 * The device failed to read the sector.
 */
#define IDENTITY_SKIP_UNREADABLE 2

/**
 * The device ends before it.
 */
#define IDENTITY_CONDITION_ABSENT 1

/**
 * Every byte is zero.
 */
#define IDENTITY_CONDITION_BLANK 2

/**
 * Not blank, and without our magic; or an intact copy that was written for another LBA.
 */
#define IDENTITY_CONDITION_FOREIGN 3

/**
 * A copy that passes every check.
 */
#define IDENTITY_CONDITION_VALID 4

/**
 * Our magic, but a check fails.
 */
#define IDENTITY_CONDITION_CORRUPT 5

/**
 * An intact copy that this library is too old for.
 */
#define IDENTITY_CONDITION_NEWER 6

/**
 * The device failed to read it.
 */
#define IDENTITY_CONDITION_UNREADABLE 7

/**
 * A search under way. Belongs to the caller; its content belongs to this library.
 */
struct identity_search {
  uint32_t size;
  uint32_t words[127];
};

/**
 * A checked identity. Belongs to the caller, who may copy it; its content belongs to this library.
 */
struct identity_record {
  uint32_t size;
  uint32_t lba;
  uint32_t peer_lba;
  uint32_t generation;
  uint8_t uuid[16];
  uint16_t fields_len;
  uint8_t fields[462];
};

/**
 * A sector that was looked at.
 */
struct identity_seen {
  /**
   * LBA of the sector.
   */
  uint32_t lba;
  /**
   * What it was found to be, one of IDENTITY_CONDITION_….
   */
  uint32_t condition;
  /**
   * How often the identity in it had been written; 0 unless valid.
   */
  uint32_t generation;
};

/**
 * The library's IDENTITY_ABI_VERSION: a caller built with another header must not go on.
 */
uint32_t identity_abi_version(void);

/**
 * Begins a search, which looks at every slot. `size` is sizeof(struct identity_search); `hint_lba` a sector to look at
 * before the slots, or 0.
 *
 * Returns IDENTITY_OK, IDENTITY_BAD_POINTER or IDENTITY_BAD_SIZE.
 *
 * # Safety
 * `search` is NULL or points to a struct identity_search.
 */
int32_t identity_search_begin(struct identity_search *search,
                              uint32_t size,
                              uint32_t hint_lba);

/**
 * What to do next: IDENTITY_READ and the LBA in `*lba`; or, when the search is over, the card's state
 * (IDENTITY_BLANK … IDENTITY_UNREADABLE) with `*lba` untouched.
 *
 * # Safety
 * `search` is NULL or points to a struct that identity_search_begin has filled; `lba` is NULL or points to a number.
 */
int32_t identity_search_next(const struct identity_search *search,
                             uint32_t *lba);

/**
 * Hands over the sector that was read at `lba`; `len` is 512. `*record` is written if this is the search's first
 * valid copy; IDENTITY_ABSENT says that it is not.
 *
 * Returns IDENTITY_OK, IDENTITY_ABSENT, or an error, with which nothing is taken.
 *
 * # Safety
 * Each pointer is NULL or points to what its type says, `sector` to `len` bytes of any alignment.
 */
int32_t identity_search_give(struct identity_search *search,
                             uint32_t lba,
                             const uint8_t *sector,
                             uint32_t len,
                             struct identity_record *record,
                             uint32_t record_size);

/**
 * Says that the sector at `lba` cannot be had; `reason` is one of IDENTITY_SKIP_….
 *
 * Returns IDENTITY_OK or an error, with which nothing is taken.
 *
 * # Safety
 * `search` is NULL or points to a struct that identity_search_begin has filled.
 */
int32_t identity_search_skip(struct identity_search *search, uint32_t lba, uint32_t reason);

/**
 * The sector that was looked at as number `number`, from 0. `size` is sizeof(struct identity_seen).
 *
 * Returns IDENTITY_OK, IDENTITY_ABSENT behind the last, or an error.
 *
 * # Safety
 * Each pointer is NULL or points to what its type says.
 */
int32_t identity_search_seen(const struct identity_search *search,
                             uint32_t number,
                             struct identity_seen *seen,
                             uint32_t size);

/**
 * Writes a text of the identity and a NUL; `what` is one of IDENTITY_TEXT_…; 64 bytes are always enough.
 *
 * Returns IDENTITY_OK, IDENTITY_ABSENT, IDENTITY_TOO_SMALL, or an error.
 *
 * # Safety
 * Each pointer is NULL or points to what its type says, `out` to `len` bytes.
 */
int32_t identity_record_text(const struct identity_record *identity,
                             uint32_t what,
                             char *out,
                             uint32_t len);

/**
 * Writes the six bytes of the MAC address of ethernet`index`, and IDENTITY_SOURCE_… to `*source`.
 *
 * Returns IDENTITY_OK or an error.
 *
 * # Safety
 * Each pointer is NULL or points to what its type says, `mac` to six bytes.
 */
int32_t identity_record_mac(const struct identity_record *identity,
                            uint32_t index,
                            uint8_t *mac,
                            uint32_t *source);

/**
 * Writes the index of the interface that has assigned address number `number`, from 0, in ascending order.
 *
 * Returns IDENTITY_OK, IDENTITY_ABSENT behind the last, or an error.
 *
 * # Safety
 * Each pointer is NULL or points to what its type says.
 */
int32_t identity_record_assigned(const struct identity_record *identity,
                                 uint32_t number,
                                 uint32_t *index);

/**
 * Writes key and value of variable number `number`, from 0, each with a NUL; 64 and 192 bytes are always enough.
 *
 * Returns IDENTITY_OK, IDENTITY_ABSENT behind the last, IDENTITY_TOO_SMALL, or an error.
 *
 * # Safety
 * Each pointer is NULL or points to what its type says, `key` and `value` to as many bytes as are said.
 */
int32_t identity_record_variable(const struct identity_record *identity,
                                 uint32_t number,
                                 char *key,
                                 uint32_t key_len,
                                 char *value,
                                 uint32_t value_len);

/**
 * The state of a card on which a search ended in `state`, with this identity, at this place: IDENTITY_CLONED or
 * IDENTITY_MOVED if the identity is bound to another card or board, else `state`. `cid` is the card's, `board` the
 * board's serial number or SoC id, `board_len` bytes without NUL; NULL where it is not known, and then nothing is said
 * of it.
 *
 * Returns the state, or IDENTITY_BAD_ARGUMENT if `state` is none, or another error.
 *
 * # Safety
 * Each pointer is NULL or points to what its type says, `cid` to 16 bytes, `board` to `board_len` bytes.
 */
int32_t identity_record_state(const struct identity_record *identity,
                              int32_t state,
                              const uint8_t *cid,
                              const char *board,
                              uint32_t board_len);

/**
 * Writes the name of the state that `state` (IDENTITY_BLANK … IDENTITY_UNREADABLE) stands for, and a NUL; 16 bytes
 * are always enough.
 *
 * Returns IDENTITY_OK, IDENTITY_BAD_ARGUMENT if it is no state, IDENTITY_TOO_SMALL, or an error.
 *
 * # Safety
 * `out` is NULL or points to `len` bytes.
 */
int32_t identity_state_name(int32_t state,
                            char *out,
                            uint32_t len);

#endif  /* IDENTITY_H */
