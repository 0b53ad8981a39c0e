/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log lines. Each is made on the caller's stack and leaves by one write(2), so that lines of
 * different threads do not mix and a thread that is killed loses none.
 */
#include "tarn/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "tarn/util.h"

#define LINE_BYTES_MAX 1024

/*
 * Debug lines are gated by flags already, so the level for the log as a whole holds nothing back.
 */
static _Atomic int log_level = TARN_LOG_DEBUG;
static _Atomic int print_level = TARN_LOG_NOTICE;
static _Atomic(tarn_log_sink) log_sink;
static struct tarn_log_flag *flag_list;

/* Index 0 is TARN_LOG_DISABLED. */
static const char *const level_names[] = {
	"DISABLED", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"
};

static void
write_stderr(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t written = write(STDERR_FILENO, text, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return; /* nobody reads stderr: there is no better place to say so */
		text += written;
		length -= (size_t)written;
	}
}

static size_t
format_prefix(char *line, enum tarn_log_level level, const char *file, int line_number)
{
	struct timespec now;
	struct tm tm;
	size_t length;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	length = strftime(line, LINE_BYTES_MAX, "[%Y-%m-%d %H:%M:%S", &tm);
	length += (size_t)snprintf(line + length, LINE_BYTES_MAX - length,
				   ".%06ld] %s:%d: *%s*: ", now.tv_nsec / 1000, file, line_number,
				   tarn_log_level_name(level));
	return tarn_min_u64(length, LINE_BYTES_MAX / 2);
}

void
tarn_log(enum tarn_log_level level, const char *file, int line_number, const char *format, ...)
{
	/* Room for the cut-off mark and the newline. */
	char line[LINE_BYTES_MAX + 8];
	tarn_log_sink sink;
	size_t length;
	va_list args;
	int wanted;

	if ((int)level > tarn_log_get_level() || (int)level > tarn_log_get_print_level())
		return;
	length = format_prefix(line, level, file, line_number);
	va_start(args, format);
	wanted = vsnprintf(line + length, LINE_BYTES_MAX - length, format, args);
	va_end(args);
	if (wanted < 0)
		return;
	if (length + (size_t)wanted >= LINE_BYTES_MAX) {
		length = LINE_BYTES_MAX - 1;
		memcpy(line + length, "...", 4);
		length += 3;
	} else {
		length += (size_t)wanted;
	}
	sink = atomic_load(&log_sink);
	if (sink != NULL) {
		sink(level, line);
		return;
	}
	line[length] = '\n';
	write_stderr(line, length + 1);
}

void
tarn_log_set_level(enum tarn_log_level level)
{
	atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

enum tarn_log_level
tarn_log_get_level(void)
{
	return (enum tarn_log_level)atomic_load_explicit(&log_level, memory_order_relaxed);
}

void
tarn_log_set_print_level(enum tarn_log_level level)
{
	atomic_store_explicit(&print_level, (int)level, memory_order_relaxed);
}

enum tarn_log_level
tarn_log_get_print_level(void)
{
	return (enum tarn_log_level)atomic_load_explicit(&print_level, memory_order_relaxed);
}

int
tarn_log_level_parse(const char *name, enum tarn_log_level *ret_level)
{
	for (size_t i = 0; i < tarn_array_count(level_names); i++) {
		if (strcasecmp(name, level_names[i]) == 0) {
			*ret_level = (enum tarn_log_level)((int)i + TARN_LOG_DISABLED);
			return 0;
		}
	}
	return -EINVAL;
}

const char *
tarn_log_level_name(enum tarn_log_level level)
{
	size_t index = (size_t)((int)level - TARN_LOG_DISABLED);

	tarn_assert(index < tarn_array_count(level_names));
	return level_names[index];
}

/* By name, so that log_get_flags does not depend on link order. */
void
tarn_log_flag_register(struct tarn_log_flag *flag)
{
	struct tarn_log_flag **place = &flag_list;

	while (*place != NULL && strcmp((*place)->name, flag->name) < 0)
		place = &(*place)->next;
	flag->next = *place;
	*place = flag;
}

int
tarn_log_set_flag(const char *name, bool enabled)
{
	bool all = strcasecmp(name, "all") == 0, found = all;

	for (struct tarn_log_flag *flag = flag_list; flag != NULL; flag = flag->next) {
		if (all || strcasecmp(name, flag->name) == 0) {
			__atomic_store_n(&flag->enabled, enabled, __ATOMIC_RELAXED);
			found = true;
		}
	}
	return found ? 0 : -ENOENT;
}

const struct tarn_log_flag *
tarn_log_flag_next(const struct tarn_log_flag *flag)
{
	return flag == NULL ? flag_list : flag->next;
}

void
tarn_log_set_sink(tarn_log_sink sink)
{
	atomic_store(&log_sink, sink);
}
