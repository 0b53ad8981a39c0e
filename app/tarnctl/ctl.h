/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/jsonrpc.h"

/*
 * What the files of tarnctl share. Functions that carry out a command print what went wrong
 * themselves and return the exit status; those that return bool printed it when they return false.
 */
struct cJSON;

enum ctl_exit {
	CTL_OK,
	CTL_REFUSED, /* by the server, or there is none, or the output could not be written */
	CTL_USAGE,
};

enum ctl_format { CTL_FORMAT_AUTO, CTL_FORMAT_JSON, CTL_FORMAT_TABLE };

struct ctl {
	const char *path; /* of the socket */
	uint32_t timeout_ms;
	enum ctl_format format;
	struct tarn_rpc_client *client; /* NULL until needed */
	struct cJSON *schema;		/* the same */
};

/* A command of tarnctl's own: argv[0] is its name. */
struct ctl_command {
	const char *name, *usage, *help;
	enum ctl_exit (*run)(struct ctl *ctl, int argc, char **argv);
};
/** Ends with a NULL name. */
extern const struct ctl_command ctl_commands[];
/** Carry out a command or a method: argv[0] is its name. */
enum ctl_exit ctl_run(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_iostat(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_histogram(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_cache(struct ctl *ctl, int argc, char **argv);
/** cache_stats.c: argv[0] is "stats". */
enum ctl_exit ctl_cache_stats(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_save_config(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_load_config(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_batch(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_completion(struct ctl *ctl, int argc, char **argv);
enum ctl_exit ctl_complete(struct ctl *ctl, int argc, char **argv);
/** method.c: a method of the server: argv[0] is its name, then its flags. */
enum ctl_exit ctl_method(struct ctl *ctl, int argc, char **argv);

/* --- session.c --- */

/** Print "tarnctl: …" to stderr. */
void ctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** The same as ctl_error(). \return CTL_USAGE. */
enum ctl_exit ctl_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/**
 * Call a method. params may be NULL. \return CTL_OK with *ret_result (the caller's), or
 * CTL_REFUSED.
 */
enum ctl_exit ctl_call(struct ctl *ctl, const char *method, const struct cJSON *params,
		       struct cJSON **ret_result);
/** Whether a server answers; prints nothing. */
bool ctl_server_is_there(struct ctl *ctl);
void ctl_close(struct ctl *ctl);
/**
 * Read a whole file, "-" being stdin. \return text for free() and its length, or NULL, having said
 * why.
 */
char *ctl_read_file(const char *path, size_t *ret_bytes);

/* --- schema.c: what the server declares. Pointers are into ctl->schema --- */

/** Get the schema, once. */
enum ctl_exit ctl_load_schema(struct ctl *ctl);
const struct cJSON *ctl_methods(const struct ctl *ctl);
/** By name or alias; NULL: there is none. */
const struct cJSON *ctl_find_method(const struct ctl *ctl, const char *name);
/** A field of a method by name or alias, with '-' for '_' allowed. */
const struct cJSON *ctl_find_field(const struct cJSON *method, const char *name, size_t name_bytes);
/** A member's text, or NULL. */
const char *ctl_text(const struct cJSON *object, const char *name);
bool ctl_flag(const struct cJSON *object, const char *name);

/* --- flags.c, words.c --- */

/**
 * Make params of arguments "--field value". Takes -j and -t too. \return NULL when they are wrong.
 */
struct cJSON *ctl_params_of_args(struct ctl *ctl, const struct cJSON *method, int argc,
				 char **argv);
/**
 * Split a line as a shell does, quotes and backslashes included. \return the words, for
 * ctl_words_free(), or NULL.
 */
char **ctl_words_split(const char *line, int *ret_count);
void ctl_words_free(char **words);

/* --- help.c, output.c, table.c, cache_stats.c --- */

void ctl_print_help(struct ctl *ctl);
void ctl_print_method_help(const struct cJSON *method);
void ctl_print_result(const struct ctl *ctl, struct cJSON *result);
/** An array of objects as a table with aligned columns. */
void ctl_print_table(const struct cJSON *array);
/** A member's number, 0 where there is none. */
double ctl_number(const struct cJSON *object, const char *name);
/** "1.5 MiB". \return text for free(). */
char *ctl_bytes_text(double bytes);
/** A value in one line, as it stands in a table. \return text for free(). */
char *ctl_cell(const struct cJSON *value);
