/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON-RPC 2.0 as clients see it: requests however they arrive, answers, bounds, clients that
 * misbehave.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tarn/env.h"
#include "tarn/util.h"
#include "test/unit/jsonrpc/ut_rpc.h"

#define CALL(id, method) "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"" method "\"}"
#define TRUE(id) "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"result\":true}\n"

static uint32_t
count_of(const char *text, const char *part)
{
	uint32_t count = 0;

	for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
		count++;
	}
	return count;
}

static void
test_a_request_is_answered(void)
{
	int fd = ut_connect();

	CU_ASSERT_STRING_EQUAL(ut_exchange(fd, CALL(1, "nothing")), TRUE(1));
	CU_ASSERT(ut_nothing_count == 1);
	close(fd);
}

static void
test_requests_may_come_byte_by_byte(void)
{
	static const char text[] = CALL(7, "nothing");
	int fd = ut_connect();

	for (size_t i = 0; i < strlen(text) - 1; i++) {
		CU_ASSERT(ut_send(fd, text + i, 1));
		ut_turn();
	}
	CU_ASSERT(ut_nothing_count == 0);
	CU_ASSERT_STRING_EQUAL(ut_exchange(fd, "}"), TRUE(7));
	close(fd);
}

static void
test_requests_may_come_without_framing(void)
{
	int fd = ut_connect();
	const char *got =
	    ut_exchange(fd, CALL(1, "nothing") CALL(2, "nothing") "\n \t" CALL(3, "nothing"));

	CU_ASSERT_STRING_EQUAL(got, TRUE(1) TRUE(2) TRUE(3));
	close(fd);
}

static void
test_ids_come_back_as_they_were(void)
{
	static const char *const ids[] = { "0",	   "-5",   "9007199254740991", "\"a\\u00e9\\n\"",
					   "null", "\"\"", "1024000000000000", "2.5" };
	static const char *const echoed[] = {
		"0",	"-5",	"9007199254740991", "\"a\xc3\xa9\\n\"",
		"null", "\"\"", "1024000000000000", "2.5"
	};
	int fd = ut_connect();

	for (size_t i = 0; i < tarn_array_count(ids); i++) {
		char text[128], want[128];

		snprintf(text, sizeof(text),
			 "{\"id\":%s,\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}", ids[i]);
		snprintf(want, sizeof(want), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":true}\n",
			 echoed[i]);
		CU_ASSERT_STRING_EQUAL(ut_exchange(fd, text), want);
	}
	close(fd);
}

static void
test_errors_have_the_codes_of_json_rpc(void)
{
	static const struct {
		const char *text, *id;
		int code;
	} wrong[] = {
		{ CALL(1, "absent"), "1", -32601 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\",\"params\":{\"valu\":1}}", "2",
		  -32602 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\",\"params\":[1]}", "2",
		  -32602 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\",\"params\":7}", "2", -32600 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\",\"params\":null}", "2",
		  -32600 },
		{ "{\"jsonrpc\":\"1.0\",\"id\":3,\"method\":\"nothing\"}", "3", -32600 },
		{ "{\"id\":3,\"method\":\"nothing\"}", "3", -32600 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":4}", "4", -32600 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":5}", "4", -32600 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"nothing\"}", "null", -32600 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"nothing\"}", "null", -32600 },
		{ "{\"jsonrpc\":\"2.0\",\"id\":9007199254740993,\"method\":\"nothing\"}", "null",
		  -32600 },
		{ "{}", "null", -32600 },
		{ "[]", "null", -32600 },
		{ CALL(5, "fail"), "5", -17 },
		{ CALL(6, "early"), "6", -1 },
	};
	int fd = ut_connect();

	for (size_t i = 0; i < tarn_array_count(wrong); i++) {
		const char *got = ut_exchange(fd, wrong[i].text);
		char starts[128];

		snprintf(starts, sizeof(starts),
			 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":%d,\"message\":\"",
			 wrong[i].id, wrong[i].code);
		CU_ASSERT_NSTRING_EQUAL(got, starts, strlen(starts));
		CU_ASSERT(tarn_utf8_valid(got, strlen(got)));
	}
	CU_ASSERT(!ut_is_closed(fd)); /* these were requests, if wrong ones */
	CU_ASSERT(ut_nothing_count == 0);
	close(fd);
}

static void
test_a_notification_is_carried_out_and_not_answered(void)
{
	int fd = ut_connect();

	CU_ASSERT_STRING_EQUAL(ut_exchange(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}"), "");
	CU_ASSERT(ut_nothing_count == 1);
	CU_ASSERT_STRING_EQUAL(ut_exchange(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"fail\"}"), "");
	CU_ASSERT_STRING_EQUAL(ut_exchange(fd, "{\"jsonrpc\":\"2.0\",\"method\":\"absent\"}"), "");
	CU_ASSERT_STRING_EQUAL(ut_exchange(fd, CALL(1, "nothing")), TRUE(1));
	close(fd);
}

static void
test_a_batch_is_answered_by_one_array(void)
{
	int fd = ut_connect();
	const char *got = ut_exchange(
	    fd, "[" CALL(1, "nothing") ",{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"},7," CALL(
		    2, "absent") "," CALL(3, "later") "]");

	CU_ASSERT_STRING_EQUAL(got, ""); /* one of them is still on its way */
	ut_answer_later();
	got = ut_receive(fd);
	CU_ASSERT_NSTRING_EQUAL(got, "[{", 2);
	CU_ASSERT(count_of(got, "\"jsonrpc\"") == 4);
	CU_ASSERT(count_of(got, "-32600") == 1 && count_of(got, "-32601") == 1);
	CU_ASSERT(ut_nothing_count == 2);
	got = ut_exchange(fd, "[{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}]");
	CU_ASSERT_STRING_EQUAL(got, "");
	close(fd);
}

static void
test_answers_come_as_calls_finish(void)
{
	int fd = ut_connect();

	CU_ASSERT_STRING_EQUAL(
	    ut_exchange(fd, CALL(1, "later") CALL(2, "later") CALL(3, "nothing")), TRUE(3));
	ut_answer_later();
	CU_ASSERT_STRING_EQUAL(ut_receive(fd), "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":1}\n");
	ut_answer_later();
	CU_ASSERT_STRING_EQUAL(ut_receive(fd), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":0}\n");
	close(fd);
}

static void
test_bytes_that_are_no_json_end_that_connection_only(void)
{
	static const char *const bad[] = {
		"x",
		"nonsense\n",
		"1",
		"\"a\"",
		"]",
		"{\"a\":1,}",
		"{\"a\":1,\"a\":2}",
		"{\"a\":\"\xff\"}",
		"{\"a\":\"\\u0000\"}",
		"GET / HTTP/1.1\r\n\r\n",
		"[1,2",
		"{\"a\":tru}",
		"[}",
		"\xef\xbb\xbf{}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	};
	int other = ut_connect();

	for (size_t i = 0; i < tarn_array_count(bad); i++) {
		int fd = ut_connect();
		const char *got;

		CU_ASSERT(ut_send_text(fd, CALL(1, "nothing")));
		CU_ASSERT(ut_send_text(fd, bad[i]));
		shutdown(fd, SHUT_WR);
		got = ut_receive(fd);
		CU_ASSERT_NSTRING_EQUAL(got, TRUE(1), strlen(TRUE(1)));
		CU_ASSERT(strstr(got, "\"id\":null,\"error\":{\"code\":-32") != NULL);
		CU_ASSERT(ut_is_closed(fd));
		close(fd);
	}
	CU_ASSERT_STRING_EQUAL(ut_exchange(other, CALL(1, "nothing")), TRUE(1));
	close(other);
}

static void
test_a_parse_error_names_line_and_column(void)
{
	int fd = ut_connect();

	CU_ASSERT_STRING_EQUAL(
	    ut_exchange(fd, "{\"a\":1,\n \"a\":2}"),
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"not JSON: "
	    "line 2, column 2: duplicate name \\\"a\\\"\"}}\n");
	close(fd);
}

static void
test_a_client_that_shuts_its_side_still_gets_its_answers(void)
{
	int fd = ut_connect();

	CU_ASSERT(ut_send_text(fd, CALL(1, "nothing") CALL(2, "later")));
	shutdown(fd, SHUT_WR);
	CU_ASSERT_STRING_EQUAL(ut_receive(fd), TRUE(1));
	CU_ASSERT(!ut_is_closed(fd));
	ut_answer_later();
	CU_ASSERT_STRING_EQUAL(ut_receive(fd), "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":0}\n");
	CU_ASSERT(ut_is_closed(fd));
	close(fd);
}

static void
test_a_client_that_leaves_in_mid_request_is_forgotten(void)
{
	for (size_t bytes = 0; bytes < strlen(CALL(1, "nothing")); bytes++) {
		int fd = ut_connect();

		CU_ASSERT(ut_send(fd, CALL(1, "nothing"), bytes));
		close(fd);
		ut_turns(3);
		CU_ASSERT(ut_connection_count() == 0);
	}
	CU_ASSERT(ut_nothing_count == 0);
}

static void
test_a_call_outlives_its_client(void)
{
	int fd = ut_connect();

	CU_ASSERT(ut_send_text(fd, CALL(1, "later") "[" CALL(2, "later") "]"));
	close(fd);
	ut_turns(3);
	CU_ASSERT(ut_connection_count() == 0);
	CU_ASSERT_FATAL(ut_later_count == 2);
	ut_answer_later();
	ut_turns(2);
	ut_answer_later(); /* AddressSanitizer watches */
	ut_turns(2);
}

static void
test_a_call_outlives_its_server(void)
{
	int fd = ut_connect();

	CU_ASSERT(ut_send_text(fd, CALL(1, "later")));
	CU_ASSERT_FATAL(ut_later_count == 1);
	ut_server_restart(NULL);
	CU_ASSERT(ut_is_closed(fd));
	ut_answer_later();
	ut_turns(2);
	close(fd);
	fd = ut_connect();
	CU_ASSERT_STRING_EQUAL(ut_exchange(fd, CALL(1, "nothing")), TRUE(1));
	close(fd);
}

static void
test_what_a_client_sent_before_it_left_is_carried_out(void)
{
	int fd = ut_connect();

	/* No turn in between: the server finds data and hang-up at once. */
	CU_ASSERT(send(fd, CALL(1, "nothing"), strlen(CALL(1, "nothing")), MSG_NOSIGNAL) > 0);
	close(fd);
	ut_turns(3);
	CU_ASSERT(ut_nothing_count == 1);
	CU_ASSERT(ut_connection_count() == 0);
}

static void
test_a_request_that_is_too_long_ends_the_connection(void)
{
	struct tarn_rpc_server_opts opts = { .request_max_bytes = 1000 };
	char text[3000];
	const char *got;
	int fd;

	ut_server_restart(&opts);
	fd = ut_connect();
	snprintf(text, sizeof(text),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"value\":\"");
	memset(text + strlen(text), 'x', 2000);
	text[2060] = '\0';
	got = ut_exchange(fd, text);
	CU_ASSERT(strstr(got, "request of more than 1000 bytes") != NULL);
	CU_ASSERT(ut_is_closed(fd));
	close(fd);
}

static void
test_a_large_request_is_served(void)
{
	size_t room = 3u << 20;
	char *text = malloc(room);
	const char *got;
	int fd = ut_connect(), used;

	CU_ASSERT_FATAL(text != NULL);
	used =
	    snprintf(text, room,
		     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"value\":\"");
	memset(text + used, 'y', 2u << 20);
	strcpy(text + used + (2u << 20), "\"}}");
	CU_ASSERT(ut_send_text(fd, text));
	got = ut_receive(fd);
	CU_ASSERT(count_of(got, "\"result\":\"yyyy") == 1);
	CU_ASSERT(strlen(got) > 2u << 20);
	free(text);
	close(fd);
}

static void
test_calls_in_flight_are_bounded_by_reading_no_more(void)
{
	struct tarn_rpc_server_opts opts = { .request_max = 4 };
	int fd;

	ut_server_restart(&opts);
	fd = ut_connect();
	for (int i = 0; i < 10; i++) {
		CU_ASSERT(ut_send_text(fd, CALL(1, "later")));
	}
	ut_turns(5);
	CU_ASSERT(ut_later_count == 4);
	ut_answer_later();
	ut_turns(5);
	CU_ASSERT(ut_later_count == 4); /* the next one took its place */
	while (ut_later_count > 0) {
		ut_answer_later();
		ut_turns(5);
	}
	CU_ASSERT(count_of(ut_receive(fd), "\"result\"") == 10);
	close(fd);
}

static uint64_t
served_count(void)
{
	struct tarn_rpc_server_stats stats;

	tarn_rpc_server_get_stats(ut_server, &stats);
	return stats.served_count;
}

static void
test_a_client_that_never_reads_is_held_back_and_then_cut_off(void)
{
	struct tarn_rpc_server_opts opts = { .output_max_bytes = 2u << 20, .output_stalled_s = 30 };
	int fd, other;

	ut_server_restart(&opts);
	fd = ut_connect();
	other = ut_connect();
	for (int i = 0; i < 50; i++) {
		CU_ASSERT(ut_send_text(fd, CALL(1, "big")));
	}
	ut_turns(10);
	CU_ASSERT(served_count() >= 2 && served_count() <= 4); /* a MiB each */
	CU_ASSERT_STRING_EQUAL(ut_exchange(other, CALL(1, "nothing")), TRUE(1));
	tarn_fake_clock_advance(UINT64_C(29000000000));
	CU_ASSERT(!ut_is_closed(fd));
	tarn_fake_clock_advance(UINT64_C(2000000000));
	CU_ASSERT(ut_is_closed(fd));
	CU_ASSERT(ut_connection_count() == 1);
	close(fd);
	close(other);
}

static void
test_a_client_that_reads_late_gets_everything(void)
{
	struct tarn_rpc_server_opts opts = { .output_max_bytes = 1u << 20 };
	uint32_t got = 0;
	int fd;

	ut_server_restart(&opts);
	fd = ut_connect();
	for (int i = 0; i < 6; i++) {
		CU_ASSERT(ut_send_text(fd, CALL(1, "big")));
	}
	ut_turns(10);
	for (int i = 0; i < 3; i++) {
		got += count_of(ut_receive(fd), "\"result\"");
	}
	CU_ASSERT(got == 6);
	close(fd);
}

static void
test_hundreds_of_clients_are_served_and_the_next_is_told(void)
{
	struct tarn_rpc_server_opts opts = { .connection_max = 300 };
	int fds[300], extra;

	ut_server_restart(&opts);
	for (int i = 0; i < 300; i++) {
		fds[i] = ut_connect();
	}
	CU_ASSERT(ut_connection_count() == 300);
	extra = ut_connect();
	CU_ASSERT(strstr(ut_receive(extra), "too many connections") != NULL);
	CU_ASSERT(ut_is_closed(extra));
	close(extra);
	for (int i = 0; i < 300; i++) {
		CU_ASSERT(
		    send(fds[i], CALL(1, "nothing"), strlen(CALL(1, "nothing")), MSG_NOSIGNAL) > 0);
	}
	ut_turns(10);
	CU_ASSERT(ut_nothing_count == 300);
	close(fds[0]);
	ut_turns(3);
	fds[0] = ut_connect(); /* there is room again */
	CU_ASSERT_STRING_EQUAL(ut_exchange(fds[0], CALL(1, "nothing")), TRUE(1));
	for (int i = 0; i < 300; i++) {
		close(fds[i]);
	}
}

static void
test_many_requests_at_once_are_all_answered(void)
{
	static char text[1000 * sizeof(CALL(1, "nothing"))];
	int fd = ut_connect();

	text[0] = '\0';
	for (int i = 0; i < 1000; i++) {
		strcpy(text + i * strlen(CALL(1, "nothing")), CALL(1, "nothing"));
	}
	CU_ASSERT(ut_send_text(fd, text));
	CU_ASSERT(count_of(ut_receive(fd), TRUE(1)) == 1000);
	close(fd);
}

UT_SUITE(jsonrpc_server, ut_server_setup, ut_server_teardown, UT_CASE(test_a_request_is_answered),
	 UT_CASE(test_requests_may_come_byte_by_byte),
	 UT_CASE(test_requests_may_come_without_framing), UT_CASE(test_ids_come_back_as_they_were),
	 UT_CASE(test_errors_have_the_codes_of_json_rpc),
	 UT_CASE(test_a_notification_is_carried_out_and_not_answered),
	 UT_CASE(test_a_batch_is_answered_by_one_array), UT_CASE(test_answers_come_as_calls_finish),
	 UT_CASE(test_bytes_that_are_no_json_end_that_connection_only),
	 UT_CASE(test_a_parse_error_names_line_and_column),
	 UT_CASE(test_a_client_that_shuts_its_side_still_gets_its_answers),
	 UT_CASE(test_a_client_that_leaves_in_mid_request_is_forgotten),
	 UT_CASE(test_a_call_outlives_its_client), UT_CASE(test_a_call_outlives_its_server),
	 UT_CASE(test_what_a_client_sent_before_it_left_is_carried_out),
	 UT_CASE(test_a_request_that_is_too_long_ends_the_connection),
	 UT_CASE(test_a_large_request_is_served),
	 UT_CASE(test_calls_in_flight_are_bounded_by_reading_no_more),
	 UT_CASE(test_a_client_that_never_reads_is_held_back_and_then_cut_off),
	 UT_CASE(test_a_client_that_reads_late_gets_everything),
	 UT_CASE(test_hundreds_of_clients_are_served_and_the_next_is_told),
	 UT_CASE(test_many_requests_at_once_are_all_answered));
