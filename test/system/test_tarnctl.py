# SPDX-License-Identifier: BSD-3-Clause
"""tarnctl as its users see it: against a running tarnd, and against a server whose answers are known."""

import base64
import json
import os
import pty
import socket
import struct
import subprocess
import threading

import pytest
from cache import make
from tarn import LIMIT_S, TARNCTL


class Ctl:
    """Runs tarnctl against one socket."""

    def __init__(self, path):
        self.path = str(path)

    def __call__(self, *args, stdin=None, **options):
        command = [TARNCTL, "-s", self.path, *args]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=LIMIT_S,
                              check=False, **options)

    def ok(self, *args, stdin=None):
        done = self(*args, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *args, stdin=None):
        return json.loads(self.ok(*args, stdin=stdin))


@pytest.fixture
def ctl(daemon):
    return Ctl(daemon.socket_path)


class FakeServer(threading.Thread):
    """Answers each method with what a table says, or with what a function of the call's number does."""

    def __init__(self, path, answers):
        super().__init__(daemon=True)
        self.answers = answers
        self.counts = {}
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                self.serve(client)

    def serve(self, client):
        text = ""
        while data := client.recv(65536):
            text += data.decode()
            try:
                request = json.loads(text)
            except ValueError:
                continue
            text = ""
            method = request["method"]
            self.counts[method] = self.counts.get(method, 0) + 1
            answer = self.answers.get(method)
            if answer is None:
                continue  # never
            if callable(answer):
                answer = answer(self.counts[method])
            if isinstance(answer, bytes):
                client.sendall(answer)
                return
            reply = {"jsonrpc": "2.0", "id": request["id"], "result": answer}
            client.sendall(json.dumps(reply).encode())


@pytest.fixture
def fake(folder):
    servers = []

    def make(answers):
        path = os.path.join(folder, "fake.sock")
        servers.append(FakeServer(path, answers))
        servers[-1].start()
        return Ctl(path)

    yield make
    for server in servers:
        server.listener.close()


# --- Without a server ---


def test_no_server_is_told_with_how_to_start_one(folder):
    for args in (["bdev_get_bdevs"], ["bdev_get_bdevs", "--help"], ["iostat"], ["save_config"]):
        done = Ctl(os.path.join(folder, "none.sock"))(*args)
        assert done.returncode == 1
        assert "no server at" in done.stderr and "tarnd -c" in done.stderr
        assert done.stdout == ""


def test_help_version_and_completion_need_no_server(folder):
    ctl = Ctl(os.path.join(folder, "none.sock"))
    assert "Usage: tarnctl" in ctl.ok("--help")
    assert ctl.ok("--version").startswith("tarnctl ")
    assert "iostat" in ctl.ok("__complete", "io")
    script = ctl.ok("completion", "bash")
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_wrong_usage_is_status_2(folder):
    ctl = Ctl(os.path.join(folder, "none.sock"))
    for args in ([], ["--nope"], ["-T", "x", "iostat"], ["iostat", "-w", "0"], ["iostat", "-c", "x"],
                 ["histogram"], ["completion", "csh"], ["batch", "x"], ["save_config", "a", "b"]):
        done = ctl(*args)
        assert done.returncode == 2, args
        assert done.stderr != ""


# --- With tarnd ---


def test_a_method_is_a_subcommand(ctl):
    created = ctl.json("bdev_null_create", "--name", "n0", "--num-blocks", "1000", "--block_size=4K")
    assert created == "n0"
    bdevs = ctl.json("bdev_get_bdevs", "--name", "n0")
    assert [bdev["block_size"] for bdev in bdevs] == [4096]
    assert ctl.json("bdev_null_delete", "--params", '{"name": "n0"}') is True


def test_every_method_has_help_from_its_declaration(ctl):
    methods = ctl.json("rpc_get_methods")
    overview = ctl.ok("--help")
    schema = {m["name"]: m for m in ctl.json("tarn_get_schema")["methods"]}
    for name in methods:
        assert name in overview
        text = ctl.ok(name, "--help")
        for field in schema[name]["params"]:
            assert field["name"] in text


def test_refusals_are_status_1_and_usage_is_status_2(ctl):
    done = ctl("bdev_get_bdevs", "--name", "absent")
    assert done.returncode == 1
    assert "bdev_get_bdevs" in done.stderr and "absent" in done.stderr and "code -19" in done.stderr
    for args in (["no_such_method"], ["bdev_get_bdevs", "--nope", "1"], ["bdev_null_create"],
                 ["bdev_get_bdevs", "stray"], ["bdev_null_create", "--num_blocks", "x"]):
        assert ctl(*args).returncode == 2, args


def test_a_table_is_for_terminals_and_json_for_pipes(ctl):
    ctl.ok("bdev_null_create", "--name", "n0", "--num_blocks", "10")
    lines = ctl.ok("-t", "bdev_get_bdevs").splitlines()
    assert lines[0].startswith("name ") and lines[1].startswith("n0 ")
    ours, theirs = pty.openpty()
    with subprocess.Popen([TARNCTL, "-s", ctl.path, "bdev_get_bdevs"], stdout=theirs) as process:
        assert process.wait(LIMIT_S) == 0
    os.close(theirs)
    assert os.read(ours, 65536).startswith(b"name ")
    os.close(ours)
    assert ctl.json("-j", "bdev_get_bdevs")[0]["name"] == "n0"


def test_a_configuration_saved_is_loaded_again(folder, ctl):
    ctl.ok("bdev_null_create", "--name", "n0", "--num_blocks", "10")
    ctl.ok("bdev_malloc_create", "--name", "m0", "--num_blocks", "512", "--block_size", "512")
    saved = os.path.join(folder, "saved.json")
    ctl.ok("save_config", saved)
    with open(saved, encoding="utf-8") as file:
        before = json.load(file)
    assert json.loads(ctl.ok("save_config")) == before
    for name in ("null", "malloc"):
        ctl.ok(f"bdev_{name}_delete", "--name", f"{name[0]}0")
    assert ctl.json("bdev_get_bdevs") == []
    ctl.ok("load_config", stdin=json.dumps(before))
    assert json.loads(ctl.ok("save_config")) == before
    assert {bdev["name"] for bdev in ctl.json("bdev_get_bdevs")} == {"n0", "m0"}


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def test_a_configuration_that_is_wrong_names_the_place(folder, ctl):
    path = os.path.join(folder, "wrong.json")
    write(path, '{"subsystems": [\n  {"subsystem": "bdev",, "config": []}]}')
    done = ctl("load_config", path)
    assert done.returncode == 1 and f"{path}:2:24:" in done.stderr
    call = {"method": "bdev_null_create", "params": {"name": "n0", "num_block": 1}}
    write(path, json.dumps({"subsystems": [{"subsystem": "bdev", "config": [call]}]}))
    done = ctl("load_config", path)
    assert done.returncode == 1
    assert "num_block: unknown field" in done.stderr and 'subsystem "bdev", config[0]' in done.stderr


def test_load_config_starts_a_server_that_waits(start):
    waiting = start("--wait-for-rpc")
    ctl = Ctl(waiting.socket_path)
    waiting.client()
    call = {"method": "bdev_null_create", "params": {"name": "n0", "num_blocks": 10}}
    ctl.ok("load_config", stdin=json.dumps({"subsystems": [{"subsystem": "bdev", "config": [call]}]}))
    assert [bdev["name"] for bdev in ctl.json("bdev_get_bdevs")] == ["n0"]


def test_batch_carries_out_many_calls(ctl):
    lines = ["# two ways to say it", "", "bdev_null_create --name 'n 0' --num_blocks 10",
             '{"method": "bdev_null_delete", "params": {"name": "n 0"}}']
    results = ctl.ok("batch", stdin="\n".join(lines)).splitlines()
    assert [json.loads(line) for line in results] == ["n 0", True]
    calls = "bdev_get_bdevs --name absent\nspdk_get_version\n"
    done = ctl("batch", stdin=calls)
    assert done.returncode == 1 and done.stdout == ""
    done = ctl("batch", "-k", stdin=calls)
    assert done.returncode == 1 and "version" in done.stdout


def test_completion_knows_methods_fields_and_devices(ctl):
    ctl.ok("bdev_null_create", "--name", "n0", "--num_blocks", "10")
    assert "bdev_null_create" in ctl.ok("__complete", "bdev_null_").split()
    assert "--num_blocks" in ctl.ok("__complete", "bdev_null_create", "--name", "x", "--n").split()
    assert "--name" not in ctl.ok("__complete", "bdev_null_create", "--name", "x", "--n").split()
    assert ctl.ok("__complete", "bdev_null_delete", "--name", "").split() == ["n0"]
    assert ctl.ok("__complete", "-s", ctl.path, "iostat", "").split() == ["n0"]


def test_a_reader_that_leaves_is_no_error(ctl):
    command = f"{TARNCTL} -s {ctl.path} tarn_get_schema | head -c 1"
    done = subprocess.run(["bash", "-c", command + "; exit ${PIPESTATUS[0]}"], capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")


def test_output_that_cannot_be_written_is_an_error(ctl):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([TARNCTL, "-s", ctl.path, "rpc_get_methods"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 1 and "cannot write" in done.stderr


def test_control_characters_of_a_name_do_not_reach_the_terminal(ctl):
    done = ctl("bdev_null_create", "--name", "a\nb\x1b[31m", "--num_blocks", "10")
    assert done.returncode == 1 and "control characters" in done.stderr and "\x1b" not in done.stderr
    done = ctl("bdev_get_bdevs", "--name", "a\x1b[31m")
    assert done.returncode == 1 and "\x1b" not in done.stderr


def test_iostat_says_when_its_output_cannot_be_written(ctl):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([TARNCTL, "-s", ctl.path, "iostat", "-w", "0.01"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 1 and "cannot write" in done.stderr


def test_iostat_shows_devices_and_refuses_absent_ones(ctl):
    ctl.ok("bdev_null_create", "--name", "n0", "--num_blocks", "10")
    lines = ctl.ok("iostat", "-w", "0.05", "-c", "2", "n0").splitlines()
    assert [line.split()[0] for line in lines if line] == ["Device", "n0"] * 2
    done = ctl("iostat", "absent")
    assert done.returncode == 1 and 'no bdev "absent"' in done.stderr


# --- With answers that are known ---


def iostat_answer(count):
    """10 ms of 1 GHz later each time: 1,000 reads of 4 KiB at 50 us, 500 writes of 8 KiB at 100 us."""
    return {"tick_rate": 1000000000, "ticks": count * 10000000,
            "bdevs": [{"name": "d0", "bytes_read": count * 4096000, "num_read_ops": count * 1000,
                       "bytes_written": count * 4096000, "num_write_ops": count * 500,
                       "num_unmap_ops": 0, "read_latency_ticks": count * 50000000,
                       "write_latency_ticks": count * 50000000, "io_time": count * 5000}]}


def test_iostat_computes_rates_between_samples(fake):
    ctl = fake({"bdev_get_iostat": iostat_answer})
    rates = ctl.json("iostat", "-j", "-w", "0.01", "-c", "1")[0]
    assert rates["reads_per_s"] == pytest.approx(100000)
    assert rates["writes_per_s"] == pytest.approx(50000)
    assert rates["read_mb_per_s"] == pytest.approx(409.6)
    assert rates["read_await_ms"] == pytest.approx(0.05)
    assert rates["write_await_ms"] == pytest.approx(0.1)
    assert rates["average_queue"] == pytest.approx(10)
    assert rates["util_percent"] == pytest.approx(50)


def spdk_histogram(ticks, granularity=7):
    """Buckets as SPDK's histogram_data has them."""
    counts = [0] * ((64 - granularity + 1) << granularity)
    for value in ticks:
        group = max(0, value.bit_length() - granularity)
        index = value if group == 0 else (value >> (group - 1)) - (1 << granularity)
        counts[(group << granularity) + index] += 1
    data = struct.pack(f"<{len(counts)}Q", *counts)
    return {"histogram": base64.b64encode(data).decode(), "granularity": granularity, "tsc_rate": 1000000000}


def test_histogram_draws_percentiles_of_spdks_buckets(fake):
    ticks = [10000] * 900 + [100000] * 90 + [5000000] * 10
    ctl = fake({"bdev_get_histogram": spdk_histogram(ticks)})
    found = ctl.json("histogram", "-j", "d0")
    assert found["count"] == 1000
    percentiles = found["percentiles_us"]
    for name, us in {"p50": 10, "p90": 10, "p95": 100, "p99": 100, "p99.9": 5000, "max": 5000}.items():
        assert percentiles[name] == pytest.approx(us, rel=0.016)
    assert found["mean_us"] == pytest.approx(9 + 9 + 50, rel=0.016)
    rows = [line.split() for line in ctl.ok("histogram", "d0").splitlines() if "#" in line]
    assert [(row[0], row[1]) for row in rows] == [("8", "900"), ("64", "90"), ("4096", "10")]
    assert len(rows[0][3]) == 50 and len(rows[2][3]) == 1


def test_an_empty_histogram_says_so(fake):
    ctl = fake({"bdev_get_histogram": spdk_histogram([])})
    assert "0 I/Os" in ctl.ok("histogram", "d0")


def test_an_answer_that_never_comes_ends_at_the_timeout(fake):
    done = fake({})("-T", "0.1", "bdev_get_bdevs")
    assert done.returncode == 1 and "no answer" in done.stderr


@pytest.mark.parametrize("answer", [b"nonsense", b'{"jsonrpc": "2.0", "id": 1}', b"[]", b'{"a": 1, "a": 2}',
                                    b'{"jsonrpc": "2.0", "id": 7, "result": 1}', b"{", b""])
def test_answers_that_are_none_are_refused(fake, answer):
    done = fake({"tarn_get_schema": answer})("bdev_get_bdevs")
    assert done.returncode == 1 and done.stderr != ""


# --- Caches ---


@pytest.fixture
def cache_ctl(daemon, ctl):
    make(daemon)
    return ctl


def test_caches_are_a_table(ctl, daemon):
    assert "no caches" in ctl.ok("cache")
    make(daemon)
    for command in (["cache"], ["cache", "list"]):
        header, row = ctl.ok(*command).splitlines()
        assert header.split() == ["name", "bdev", "state", "size", "objects", "hits", "ram"]
        assert row.split()[:3] == ["c0", "dev_c0", "running"]
    assert ctl.json("cache", "-j")[0]["name"] == "c0"
    header, row = ctl.ok("-t", "cache_get_caches").splitlines()
    assert header.startswith("name") and row.startswith("c0")


def test_values_go_in_and_out_as_plain_words(cache_ctl):
    assert json.loads(cache_ctl.ok("cache", "store", "c0", "k", "some words", "--ttl_s", "60")) == {"stored": True}
    assert cache_ctl.ok("cache", "lookup", "c0", "k") == "some words"
    assert cache_ctl.json("cache", "lookup", "c0", "k", "-j")["value_bytes"] == 10
    assert cache_ctl.ok("cache", "lookup", "--name", "c0", "--key", "k", "--offset_bytes", "5") == "words"
    cache_ctl.ok("cache", "store", "c0", "in", stdin="line\nline\n")
    assert cache_ctl.ok("cache", "lookup", "c0", "in") == "line\nline\n"
    data = bytes(range(256)) * 100
    command = [TARNCTL, "-s", cache_ctl.path, "cache"]
    subprocess.run([*command, "store", "c0", "b"], input=data, check=True, timeout=LIMIT_S, stdout=subprocess.DEVNULL)
    done = subprocess.run([*command, "lookup", "c0", "b"], capture_output=True, check=True, timeout=LIMIT_S)
    assert done.stdout == data
    assert cache_ctl.json("cache", "remove", "c0", "k") == {"removed": True}
    missed = cache_ctl("cache", "lookup", "c0", "k")
    assert (missed.returncode, missed.stdout) == (1, "") and "a miss" in missed.stderr
    assert cache_ctl.json("cache", "flush", "c0") is True


def test_statistics_are_readable(cache_ctl):
    cache_ctl.ok("cache", "store", "c0", "k", "v" * 2048)
    cache_ctl.ok("cache", "lookup", "c0", "k")
    cache_ctl("cache", "lookup", "c0", "absent")
    text = cache_ctl.ok("cache", "stats", "c0")
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert lines["lookups"].split()[1:] == ["2", "hit", "ratio", "50.00%"]
    assert lines["misses"].split()[1:] == ["1", "absent", "1"]
    assert "2.0 KiB" in lines["hits"] and "write amplification" in lines["log"] and "open" in lines["segments"]
    assert lines["hit"].split()[1] == lines["miss"].split()[1] == lines["store"].split()[1] == "1"
    assert all(line == line.rstrip() for line in text.splitlines())
    assert cache_ctl.json("cache", "stats", "-j", "c0")["hits"]["total"] == 1


def test_wrong_use_of_caches_is_status_2_and_refusals_are_status_1(cache_ctl):
    for args in (["nope"], ["stats"], ["stats", "a", "b"], ["store", "c0"], ["lookup", "c0", "k", "v"],
                 ["flush", "c0", "k"], ["store", "c0", "k", "v", "w"], ["lookup", "c0", "k", "--key", "k"]):
        done = cache_ctl("cache", *args, stdin="")
        assert done.returncode == (1 if args == ["store", "c0"] else 2), args
    for args in (["lookup", "none", "k"], ["stats", "none"], ["store", "c0", "", "v"]):
        assert cache_ctl("cache", *args).returncode == 1
    assert "Usage: tarnctl cache_store" in cache_ctl.ok("cache", "store", "--help")


def test_caches_are_completed(cache_ctl):
    assert {"list", "stats", "store", "lookup", "list_keys"} <= set(cache_ctl.ok("__complete", "cache", "").split())
    assert cache_ctl.ok("__complete", "cache", "stats", "").split() == ["c0"]
    assert "c0" in cache_ctl.ok("__complete", "cache", "store", "").split()
    assert "--ttl_s" in cache_ctl.ok("__complete", "cache", "store", "c0", "k", "v", "--").split()
    assert cache_ctl.ok("__complete", "cache_flush", "--name", "").split()[0] == "c0"
    assert "dev_c0" in cache_ctl.ok("__complete", "cache_create", "--bdev_name", "").split()
