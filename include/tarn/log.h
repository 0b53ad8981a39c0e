/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Log lines to stderr (or a sink), by level and, for debugging, by flag. Levels and flag handling
 * are SPDK's, since its RPCs log_set_level, log_set_print_level and log_set_flag act on them. Any
 * thread. Nothing on the path of one I/O logs.
 */
enum tarn_log_level {
	TARN_LOG_DISABLED = -1,
	TARN_LOG_ERROR,
	TARN_LOG_WARNING,
	TARN_LOG_NOTICE,
	TARN_LOG_INFO,
	TARN_LOG_DEBUG,
};

/** A named switch for debug lines of one component, registered at link time. */
struct tarn_log_flag {
	const char *name;
	bool enabled;
	struct tarn_log_flag *next;
};
void tarn_log_flag_register(struct tarn_log_flag *flag);

#define TARN_LOG_FLAG(flag)                                                                        \
	static struct tarn_log_flag flag##_log_flag = { .name = #flag };                           \
	__attribute__((constructor)) static void flag##_log_flag_register(void)                    \
	{                                                                                          \
		tarn_log_flag_register(&flag##_log_flag);                                          \
	}                                                                                          \
	struct tarn_log_flag

void tarn_log(enum tarn_log_level level, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define tarn_error(...) tarn_log(TARN_LOG_ERROR, __FILE__, __LINE__, __VA_ARGS__)
#define tarn_warning(...) tarn_log(TARN_LOG_WARNING, __FILE__, __LINE__, __VA_ARGS__)
#define tarn_notice(...) tarn_log(TARN_LOG_NOTICE, __FILE__, __LINE__, __VA_ARGS__)
#define tarn_info(flag, ...)                                                                       \
	(__atomic_load_n(&(flag##_log_flag).enabled, __ATOMIC_RELAXED)                             \
	     ? tarn_log(TARN_LOG_INFO, __FILE__, __LINE__, __VA_ARGS__)                            \
	     : (void)0)
#define tarn_debug(flag, ...)                                                                      \
	(__atomic_load_n(&(flag##_log_flag).enabled, __ATOMIC_RELAXED)                             \
	     ? tarn_log(TARN_LOG_DEBUG, __FILE__, __LINE__, __VA_ARGS__)                           \
	     : (void)0)

/** Lines above this level are not made at all (log_set_level; it governs the log as a whole). */
void tarn_log_set_level(enum tarn_log_level level);
enum tarn_log_level tarn_log_get_level(void);
/** Lines above this level are not printed to stderr (log_set_print_level). Default NOTICE. */
void tarn_log_set_print_level(enum tarn_log_level level);
enum tarn_log_level tarn_log_get_print_level(void);

/**
 * \return the level of that name (ERROR, WARNING, NOTICE, INFO, DEBUG, DISABLED; any case) in
 * *ret_level: 0 or -EINVAL.
 */
int tarn_log_level_parse(const char *name, enum tarn_log_level *ret_level);
const char *tarn_log_level_name(enum tarn_log_level level);

/** Switch a flag, or every flag by the name "all". \return 0, or -ENOENT: no such flag. */
int tarn_log_set_flag(const char *name, bool enabled);
/** Iterate over the flags: NULL gives the first, NULL comes after the last. */
const struct tarn_log_flag *tarn_log_flag_next(const struct tarn_log_flag *flag);

/**
 * Where lines go instead of stderr (tests); NULL restores stderr. Set it before other threads run.
 */
typedef void (*tarn_log_sink)(enum tarn_log_level level, const char *line);
void tarn_log_set_sink(tarn_log_sink sink);
