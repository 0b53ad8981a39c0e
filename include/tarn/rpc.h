/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tarn/json.h"

/*
 * RPC methods, for those who write them. A method is declared once, at link time: its table of
 * fields drives decoding, error messages, save_config, tarn_get_schema, and through that tarnctl
 * and doc/rpc.md. Everything here is on the control reactor.
 */
struct tarn_rpc_request; /* One call that is owed exactly one reply, fail or refuse. Opaque. */

/* --- Fields --- */

/* What JSON a field takes, and the C type of the member of the params structure that it goes to. */
enum tarn_rpc_type {
	TARN_RPC_BOOL,	   /* bool */
	TARN_RPC_U32,	   /* uint32_t */
	TARN_RPC_I32,	   /* int32_t */
	TARN_RPC_U64,	   /* uint64_t */
	TARN_RPC_I64,	   /* int64_t */
	TARN_RPC_SIZE,	   /* uint64_t bytes: an integer, or a string as "64MiB", "64M", "512" */
	TARN_RPC_DOUBLE,   /* double */
	TARN_RPC_STRING,   /* char * or const char *; NULL when absent */
	TARN_RPC_ENUM,	   /* an enum or int, by .names */
	TARN_RPC_TRISTATE, /* an enum or int: 0 "off" or false, 1 "on" or true, 2 "auto" */
	TARN_RPC_BYTES,	   /* struct tarn_rpc_bytes, from base64 */
	TARN_RPC_STRINGS,  /* struct tarn_rpc_strings, from an array of strings */
	TARN_RPC_OBJECTS,  /* struct tarn_rpc_objects, from an array of objects as .fields says */
	TARN_RPC_JSON,	   /* struct cJSON *, any value; NULL when absent */
	TARN_RPC_GROUP,	   /* a structure: its .fields stand here as if written out. No name */
	/*
	 * No member: a field of SPDK's that means nothing here. Accepted when it equals .def (JSON
	 * text), refused by name otherwise; .def NULL: always refused.
	 */
	TARN_RPC_INERT,
};

struct tarn_rpc_bytes {
	void *data; /* NULL when absent, not when empty */
	size_t data_bytes;
};
struct tarn_rpc_strings {
	char **items;
	uint32_t count;
};
struct tarn_rpc_objects {
	void *items; /* an array of the .fields table's params structure */
	uint32_t count;
};

/*
 * A name and the value it stands for. Lists end with a NULL name; the first name of a value is
 * printed.
 */
struct tarn_rpc_name {
	const char *name;
	int value;
};

struct tarn_rpc_field {
	const char *name;
	enum tarn_rpc_type type;
	size_t offset, size; /* of the member: write TARN_RPC_AT(struct x_params, member) */
	bool required;
	/*
	 * Default as JSON text ("4096", "true", "\"auto\""): decoded when the field is absent, and
	 * shown. NULL: the member keeps what the caller put there (strings, bytes, arrays and raw
	 * JSON: NULL or empty).
	 */
	const char *def;
	const char *def_help; /* a default that is no value: "what the device asks for" */
	/*
	 * Bounds of numbers; of the bytes of strings and bytes; of the count of arrays. max 0: the
	 * type's own (numbers), 4,096 bytes (strings), 1,024 (arrays).
	 */
	int64_t min;
	uint64_t max;
	bool pow2;   /* an integer that is 0 or a power of two */
	bool zero;   /* 0 is allowed too, beside min to max */
	bool invert; /* BOOL: the member holds the opposite (direct: false is .buffered = true) */
	bool secret; /* never part of tarn_rpc_encode(): "force" and the like */
	const char *alias;		      /* a second spelling; both at once are refused */
	const char *unit;		      /* "bytes", "us", "MB/s" */
	const char *help;		      /* one sentence, without a full stop */
	const struct tarn_rpc_name *names;    /* ENUM */
	const struct tarn_rpc_fields *fields; /* OBJECTS, GROUP */
	/*
	 * Optional members of type bool, by TARN_RPC_FLAG(struct x_params, member). given: whether
	 * the field was there. word_flag: the field also takes the string .word instead of a number
	 * (queue_depth: "auto"), which sets this flag and leaves the number as it was.
	 */
	const char *word;
	size_t word_flag, given;
};
#define TARN_RPC_AT(type, member) offsetof(type, member), sizeof(((type *)0)->member)
#define TARN_RPC_FLAG(type, member) (offsetof(type, member) + 1)

struct tarn_rpc_fields {
	const struct tarn_rpc_field *list;
	uint32_t count;
	size_t params_bytes;
};
/*
 *	static const struct tarn_rpc_field cache_create_list[] = {
 *		{ "name", TARN_RPC_STRING, TARN_RPC_AT(struct cache_create_params, name),
 *		  .required = true, .min = 1, .max = 255, .help = "Name of the new cache" },
 *		{ "line_bytes", TARN_RPC_U32, TARN_RPC_AT(struct cache_create_params, line_bytes),
 *		  .def = "4096", .min = 4096, .max = 65536, .pow2 = true, .unit = "bytes",
 *		  .help = "…" },
 *		{ "nowait", TARN_RPC_INERT, .def = "false" },
 *	};
 *	TARN_RPC_FIELDS(cache_create_fields, struct cache_create_params, cache_create_list);
 */
#define TARN_RPC_FIELDS(table, params_type, field_list)                                            \
	static const struct tarn_rpc_fields table = {                                              \
		(field_list), sizeof(field_list) / sizeof((field_list)[0]), sizeof(params_type)    \
	}
/* For methods without parameters. */
extern const struct tarn_rpc_fields tarn_rpc_no_fields;

/**
 * Decode the parameters of a request (json: an object, or NULL for none) into params. Pointers in
 * it are first set to NULL; on failure it has replied with -32602 and the field's name, and they
 * are NULL again.
 * \return 0 or -EINVAL or -ENOMEM: return from the handler.
 */
int tarn_rpc_decode(struct tarn_rpc_request *req, const struct cJSON *json,
		    const struct tarn_rpc_fields *fields, void *params);
/** The same without a request: the message goes to error_text. \return 0, -EINVAL or -ENOMEM. */
int tarn_rpc_decode_text(const struct cJSON *json, const struct tarn_rpc_fields *fields,
			 void *params, char *error_text, size_t error_bytes);
/** Free what decoding allocated and set it to NULL; also after a failed decode, also twice. */
void tarn_rpc_params_free(const struct tarn_rpc_fields *fields, void *params);
/**
 * The reverse of decoding, for save_config: an object that decodes to these params. Fields that are
 * .secret, inert, or NULL are left out, and with omit_defaults those that equal their .def.
 * \return the object, or NULL for want of memory.
 */
struct cJSON *tarn_rpc_encode(const struct tarn_rpc_fields *fields, const void *params,
			      bool omit_defaults);

/* --- Methods --- */

/**
 * json: the call's "params", NULL when absent; owned by the caller, gone when the handler returns.
 */
typedef void (*tarn_rpc_handler)(struct tarn_rpc_request *req, const struct cJSON *json);

/* When a method may be called. */
#define TARN_RPC_RUNTIME 0x1 /* the default */
#define TARN_RPC_STARTUP 0x2 /* between start and framework_start_init, under --wait-for-rpc */
#define TARN_RPC_ALWAYS (TARN_RPC_RUNTIME | TARN_RPC_STARTUP)

struct tarn_rpc_method {
	const char *name;
	tarn_rpc_handler handler;
	const struct tarn_rpc_fields *fields;
	const char *help; /* one sentence, without a full stop */
	/* The rest is optional, by designated initializers at the end of TARN_RPC_METHOD(). */
	const char *details; /* further sentences for doc/rpc.md and --help */
	const char *result;  /* what it answers: "name of the bdev", "true", "array of …" */
	const char *example; /* params of a call that runs, as JSON text */
	const char *alias;   /* an older name */
	const char *noun;    /* heading in the reference; NULL: the name up to its first '_' */
	uint32_t states;     /* 0: TARN_RPC_RUNTIME */
	const void *arg;     /* the handler's own: tarn_rpc_arg() */
	struct tarn_rpc_method *next;
};
void tarn_rpc_method_register(struct tarn_rpc_method *method);

/*
 * TARN_RPC_METHOD("x_create", rpc_x_create, x_create_fields, "Create an x", .result = "its name")
 */
#define TARN_RPC_METHOD(...) TARN_RPC_METHOD_AT(__COUNTER__, __VA_ARGS__)
#define TARN_RPC_METHOD_AT(...) TARN_RPC_METHOD_ID(__VA_ARGS__)
#define TARN_RPC_METHOD_ID(id, name_, handler_, fields_, help_, ...)                               \
	static struct tarn_rpc_method rpc_method_##id = { .name = (name_),                         \
							  .handler = (handler_),                   \
							  .fields = &(fields_),                    \
							  .help = (help_),                         \
							  ##__VA_ARGS__ };                         \
	__attribute__((constructor)) static void rpc_method_register_##id(void)                    \
	{                                                                                          \
		tarn_rpc_method_register(&rpc_method_##id);                                        \
	}

/*
 * --- Answering: exactly one of these per request, in the handler or later, on the control reactor
 * ---
 */

/** Answer with a result, which is taken over. NULL stands for want of memory and becomes -32603. */
void tarn_rpc_reply(struct tarn_rpc_request *req, struct cJSON *result);
void tarn_rpc_reply_true(struct tarn_rpc_request *req);
void tarn_rpc_reply_string(struct tarn_rpc_request *req, const char *text);
/**
 * Answer with an error, whose code is status (-errno). Say what failed, on which object, what to
 * do.
 */
void tarn_rpc_fail(struct tarn_rpc_request *req, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Answer that the parameters are wrong (-32602): "line_bytes: 5000 is not a power of two". */
void tarn_rpc_refuse(struct tarn_rpc_request *req, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** \return the name by which it was called; valid until answered. */
const char *tarn_rpc_method_name(const struct tarn_rpc_request *req);
/** \return the method's .arg, for handlers that serve several methods. */
const void *tarn_rpc_arg(const struct tarn_rpc_request *req);

/* --- For the daemon: calls from within, states, listings --- */

#define TARN_RPC_PARSE_ERROR -32700
#define TARN_RPC_INVALID_REQUEST -32600
#define TARN_RPC_METHOD_NOT_FOUND -32601
#define TARN_RPC_INVALID_PARAMS -32602
#define TARN_RPC_INTERNAL_ERROR -32603
#define TARN_RPC_INVALID_STATE -1 /* SPDK's, for a method that may not be called in this state */

/**
 * The outcome of a call. code 0: result is set (the callee's may be kept by cJSON_Duplicate());
 * otherwise message. Both are gone when it returns.
 */
typedef void (*tarn_rpc_done)(void *arg, const struct cJSON *result, int code, const char *message);
/**
 * Call a method from within the process (config file, load_config). done runs exactly once, on the
 * control reactor, possibly before this returns. params is the caller's and may be NULL.
 */
void tarn_rpc_invoke(const char *method, const struct cJSON *params, tarn_rpc_done done, void *arg);

/** TARN_RPC_STARTUP or TARN_RPC_RUNTIME (the state at start of the process). */
void tarn_rpc_set_state(uint32_t state);
uint32_t tarn_rpc_get_state(void);

/** \return the method of that name or alias, or NULL. */
const struct tarn_rpc_method *tarn_rpc_method_find(const char *name);
/** Iterate in order of name: NULL gives the first, NULL comes after the last. */
const struct tarn_rpc_method *tarn_rpc_method_next(const struct tarn_rpc_method *method);
/** For rpc_get_methods. \return an array of names, or NULL for want of memory. */
struct cJSON *tarn_rpc_list_methods(bool current, bool include_aliases);
/** For tarn_get_schema; lib/jsonrpc/README.md describes it. \return NULL for want of memory. */
struct cJSON *tarn_rpc_schema(void);
/**
 * Assert that every declaration is sound (sizes of members, defaults that decode, examples). Once,
 * at start.
 */
void tarn_rpc_check_methods(void);
