// SPDX-License-Identifier: MIT OR Apache-2.0
// Preloaded into `identity`: a card that fails on demand, and a record of what is done to it. By environment:
//
//   FAULT_LOG=FILE    appends "write LBA", "flush", "read LBA" and "direct LBA" (past the cache) to FILE
//   FAULT_CUT=N:B     the power goes in the N-th write, after B of its bytes: the process ends with status 99
//   FAULT_READ=LBA    that sector cannot be read, nor any other of a list with commas; ANY: no sector can, the card has
//                     been pulled
//   FAULT_PAGE=LBA    that sector cannot be read until it is written, and through the cache none of its page can, nor be
//                     written in part: what a card's bad sector does to a block device
//   FAULT_WRITE=LBA   that sector cannot be written
//   FAULT_FLUSH=1     nothing can be flushed
//   FAULT_LOSE=N      the N-th flush of what was written fails, and what it was to flush is lost: from then on the cache has
//                     the new bytes and the card the old ones
//   FAULT_KEEP=N      that flush fails, too, and all of it is on the card
//   FAULT_LIE=LBA     that sector, once written, reads back with one bit flipped
//   FAULT_DENY=1      nothing may be written: the process ends with status 98
//   FAULT_THREAD=1    no thread can be started
//   FAULT_WAITING=1   says "waiting" on standard error when the process first sleeps
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512

static const char *set(const char *name) { return getenv(name); }

static int is(const char *name, const char *value) { return set(name) && !strcmp(set(name), value); }

static long number(const char *name) { return set(name) ? atol(set(name)) : -1; }

static void *next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		abort();
	return found;
}

/* What was written since the last flush, or was lost by it */
struct write {
	off64_t at;
	size_t len;
	int fd;
	char *old, *new;
	struct write *before;
};

static struct write *unflushed;
static int is_lost;

/* To be called before it is written */
static void remember(int fd, const void *bytes, size_t len, off64_t at)
{
	ssize_t (*real)(int, void *, size_t, off64_t) = next("pread64");
	struct write *write = malloc(sizeof(*write));

	*write = (struct write){ at, len, fd, aligned_alloc(4096, (len + 4095) / 4096 * 4096), malloc(len), unflushed };
	memcpy(write->new, bytes, len);
	if (real(fd, write->old, len, at) != (ssize_t)len)
		abort();
	unflushed = write;
}

/* Whether this flush fails */
static int loses(void)
{
	ssize_t (*real)(int, const void *, size_t, off64_t) = next("pwrite64");
	static int flushes;
	struct write *write;

	if (is_lost || !unflushed)
		return is_lost;
	if (++flushes == number("FAULT_KEEP"))
		return 1;
	if (flushes == number("FAULT_LOSE")) {
		is_lost = 1;
		for (write = unflushed; write; write = write->before)
			if (real(write->fd, write->old, write->len, write->at) != (ssize_t)write->len)
				abort();
	} else {
		unflushed = NULL;
	}
	return is_lost;
}

/* What was lost is in the cache yet: the older ones first */
static void read_lost(const struct write *write, char *bytes, size_t len, off64_t at)
{
	off64_t from, to;

	if (!write)
		return;
	read_lost(write->before, bytes, len, at);
	from = at > write->at ? at : write->at;
	to = at + (off64_t)len < write->at + (off64_t)write->len ? at + (off64_t)len : write->at + (off64_t)write->len;
	if (from < to)
		memcpy(bytes + (from - at), write->new + (from - write->at), to - from);
}

static void record(const char *what, long lba)
{
	FILE *log = set("FAULT_LOG") ? fopen(set("FAULT_LOG"), "a") : NULL;

	if (!log)
		return;
	if (lba < 0)
		fprintf(log, "%s\n", what);
	else
		fprintf(log, "%s %ld\n", what, lba);
	fclose(log);
}

static int covers(off64_t at, size_t len, long lba)
{
	return lba >= 0 && at <= lba * SECTOR && at + (off64_t)len > lba * SECTOR;
}

static int covers_any(off64_t at, size_t len, const char *lbas)
{
	for (; lbas; lbas = strchr(lbas, ',') ? strchr(lbas, ',') + 1 : NULL)
		if (covers(at, len, atol(lbas)))
			return 1;
	return 0;
}

#define PAGE 4096

static int lying, healed;

static int fails_by_page(int fd, off64_t at, size_t len, int writes)
{
	long bad = number("FAULT_PAGE"), page = bad * SECTOR / PAGE;

	if (bad < 0 || healed)
		return 0;
	if (fcntl(fd, F_GETFL) & O_DIRECT) {
		healed = writes && covers(at, len, bad);
		return !writes && covers(at, len, bad);
	}
	return at / PAGE <= page && (off64_t)(at + len - 1) / PAGE >= page;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	ssize_t (*real)(int, const void *, size_t, off64_t) = next("pwrite64");
	static int writes;
	int cut = 0, keep = 0;

	if (set("FAULT_DENY"))
		_exit(98);
	record("write", at / SECTOR);
	if (covers(at, len, number("FAULT_WRITE")) || fails_by_page(fd, at, len, 1)) {
		errno = EIO;
		return -1;
	}
	if (covers(at, len, number("FAULT_LIE")))
		lying = 1;
	if (set("FAULT_LOSE") || set("FAULT_KEEP"))
		remember(fd, bytes, len, at);
	writes++;
	if (set("FAULT_CUT") && sscanf(set("FAULT_CUT"), "%d:%d", &cut, &keep) == 2 && cut == writes) {
		real(fd, bytes, keep, at);
		_exit(99);
	}
	return real(fd, bytes, len, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) { return pwrite64(fd, bytes, len, at); }

ssize_t pread64(int fd, void *bytes, size_t len, off64_t at)
{
	ssize_t (*real)(int, void *, size_t, off64_t) = next("pread64");
	long lie = number("FAULT_LIE");
	ssize_t got;

	record(fcntl(fd, F_GETFL) & O_DIRECT ? "direct" : "read", at / SECTOR);
	if (is("FAULT_READ", "ANY") || covers_any(at, len, set("FAULT_READ")) || fails_by_page(fd, at, len, 0)) {
		errno = EIO;
		return -1;
	}
	got = real(fd, bytes, len, at);
	if (lying && got > 0 && covers(at, got, lie))
		((char *)bytes)[lie * SECTOR - at + 100] ^= 1;
	if (is_lost && got > 0 && !(fcntl(fd, F_GETFL) & O_DIRECT))
		read_lost(unflushed, bytes, got, at);
	return got;
}

ssize_t pread(int fd, void *bytes, size_t len, off_t at) { return pread64(fd, bytes, len, at); }

int fsync(int fd)
{
	int (*real)(int) = next("fsync");

	record("flush", -1);
	if (set("FAULT_FLUSH") || loses()) {
		errno = EIO;
		return -1;
	}
	return real(fd);
}

static void say_waiting(void)
{
	static int said;

	if (!said++ && set("FAULT_WAITING"))
		(void)!write(2, "waiting\n", 8);
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
	int (*real)(const struct timespec *, struct timespec *) = next("nanosleep");

	say_waiting();
	return real(time, left);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
	int (*real)(clockid_t, int, const struct timespec *, struct timespec *) = next("clock_nanosleep");

	say_waiting();
	return real(clock, flags, time, left);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = next("pthread_create");

	return set("FAULT_THREAD") ? EAGAIN : real(thread, attr, start, arg);
}
