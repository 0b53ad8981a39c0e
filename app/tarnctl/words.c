/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "app/tarnctl/ctl.h"

/*
 * A line split into words by the shell's rules for quotes, without its expansions. One allocation
 * each for the list and for the text of all words.
 */
struct splitter {
	const char *in;
	char *out;
};

/* Up to the closing quote. \return false when there is none. */
static bool
take_quoted(struct splitter *s, char quote)
{
	for (; *s->in != quote; s->in++) {
		if (*s->in == '\\' && quote == '"' && (s->in[1] == '"' || s->in[1] == '\\')) {
			s->in++;
		}
		if (*s->in == '\0') {
			return false;
		}
		*s->out++ = *s->in;
	}
	s->in++;
	return true;
}

static bool
take_word(struct splitter *s)
{
	while (*s->in != '\0' && strchr(" \t\r\n", *s->in) == NULL) {
		char c = *s->in++;

		if (c == '"' || c == '\'') {
			if (!take_quoted(s, c)) {
				return false;
			}
			continue;
		}
		if (c == '\\' && *s->in != '\0') {
			c = *s->in++;
		}
		*s->out++ = c;
	}
	*s->out++ = '\0';
	return true;
}

char **
ctl_words_split(const char *line, int *ret_count)
{
	size_t length = strlen(line);
	/* A word takes at least two bytes of the line, its separator included. */
	char **words = calloc(length / 2 + 2, sizeof(*words));
	struct splitter s = { .in = line, .out = malloc(length + 2) };
	int count = 0;

	if (words == NULL || s.out == NULL) {
		free(words);
		free(s.out);
		return NULL;
	}
	words[0] = s.out;
	for (;;) {
		s.in += strspn(s.in, " \t\r\n");
		if (*s.in == '\0') {
			break;
		}
		words[count] = s.out;
		if (!take_word(&s)) {
			ctl_words_free(words);
			return NULL;
		}
		count++;
	}
	*ret_count = count;
	return words;
}

void
ctl_words_free(char **words)
{
	free(words[0]);
	free(words);
}
