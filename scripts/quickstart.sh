#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Run tarnd on files as devices, one with a cache on it, as an ordinary user, and say what to try next. `make run` calls it.
set -u

config=json-config/quickstart.json
device_size=256M

usage() {
	cat <<END
usage: scripts/quickstart.sh [BIN_DIR [SECONDS]]
Run tarnd with $config on files of $device_size until Ctrl-C, or for SECONDS. The files
are in \$TARN_RUN_DIR, by default \$XDG_RUNTIME_DIR/tarn or /tmp/tarn-\$USER, whichever file system
has O_DIRECT; they stay there, and are used again.
Example: scripts/quickstart.sh build/plain/bin 5
END
}

case "${1:-}" in -h | --help) usage && exit 0 ;; esac
cd "$(dirname "$0")/.." || exit 1
bin=$(realpath "${1:-build/plain/bin}")
seconds=${2:-}
if [ ! -x "$bin/tarnd" ]; then
	echo "quickstart: no tarnd in $bin: run make first" >&2
	exit 1
fi

# Whether files in a folder may be opened with O_DIRECT (overlays and older tmpfs refuse it).
has_direct() {
	dd if=/dev/zero of="$1/.direct" bs=4096 count=1 oflag=direct status=none 2>/dev/null
	local status=$?
	rm -f "$1/.direct"
	return $status
}

# A folder of ours that nobody else can have put there: sets dir.
choose_dir() {
	local candidates=("/tmp/tarn-$(id -un)" "${XDG_STATE_HOME:-$HOME/.local/state}/tarn")
	[ -n "${XDG_RUNTIME_DIR:-}" ] && candidates=("$XDG_RUNTIME_DIR/tarn" "${candidates[@]}")
	[ -n "${TARN_RUN_DIR:-}" ] && candidates=("$TARN_RUN_DIR")
	local candidate usable=
	for candidate in "${candidates[@]}"; do
		(umask 077 && mkdir -p "$candidate") 2>/dev/null
		if [ ! -d "$candidate" ] || [ ! -O "$candidate" ] || [ ! -w "$candidate" ]; then
			continue
		fi
		usable=${usable:-$candidate}
		has_direct "$candidate" && dir=$candidate && return 0
	done
	dir=$usable
	[ -n "$dir" ] || return 1
	echo "quickstart: no O_DIRECT in $dir; devices there go through the page cache"
	direct=no
}

direct=yes
dir=
if ! choose_dir; then
	echo "quickstart: no directory that is ours to write to; name one in TARN_RUN_DIR" >&2
	exit 1
fi
socket=$dir/tarn.sock
if "$bin/tarnctl" -s "$socket" spdk_get_version >/dev/null 2>&1; then
	echo "quickstart: a tarnd already runs in $dir: stop it, or set TARN_RUN_DIR" >&2
	exit 1
fi
cp "$config" "$dir/tarnd.json" || exit 1
[ "$direct" = yes ] || sed -i 's/\("filename": "[^"]*"\)/\1, "direct": false/' "$dir/tarnd.json"
# The file names of the configuration are relative: to the folder in which tarnd starts.
cd "$dir" || exit 1
sed -n 's/.*"filename": "\([^"]*\)".*/\1/p' tarnd.json | sort -u | while read -r file; do
	[ -e "$file" ] || truncate -s "$device_size" "$file"
done

echo "quickstart: $bin/tarnd -c $dir/tarnd.json -r $socket"
# In a session of its own, so that Ctrl-C reaches it once, from here: a second signal cuts it short.
setsid "$bin/tarnd" -c tarnd.json -r "$socket" &
tarnd=$!
# A signal is passed on, so that tarnd finishes its I/O; it also ends a wait before its time.
interrupted=no
trap 'interrupted=yes; kill "$tarnd" 2>/dev/null' INT TERM HUP
trap 'kill "$tarnd" 2>/dev/null' EXIT

# It is up when it answers; an end before that is a failure that it has explained.
until "$bin/tarnctl" -s "$socket" framework_wait_init >/dev/null 2>&1; do
	if ! kill -0 "$tarnd" 2>/dev/null; then
		wait "$tarnd"
		status=$?
		echo "quickstart: tarnd ended with status $status before it was up" >&2
		exit $((status ? status : 1))
	fi
	sleep 0.1
done

"$bin/tarnctl" -s "$socket" --table bdev_get_bdevs
echo
"$bin/tarnctl" -s "$socket" cache
cat <<END

tarnd is up. In another terminal:

    export PATH=$bin:\$PATH TARN_SOCKET=$socket
    tarnctl bdev_get_bdevs --name NAME      # one device, in full
    tarnctl iostat -w 1                     # what they do, every second
    tarnctl cache store cache0 KEY VALUE    # or from stdin; --ttl_s N
    tarnctl cache lookup cache0 KEY
    tarnctl cache stats cache0              # hits, misses, latencies, log
    tarnctl --help                          # every method; tarnctl METHOD --help explains one
    tarnperf --help                         # measure a device, or a configuration

$([ -n "$seconds" ] && echo "It stops after $seconds s." || echo "Ctrl-C stops it.") Its files stay in $dir.
END

if [ -n "$seconds" ]; then
	sleep "$seconds" &
	wait -n "$!" "$tarnd"
	[ "$interrupted" = yes ] || kill "$tarnd" 2>/dev/null
fi
while :; do
	interrupted=no
	wait "$tarnd"
	status=$?
	if [ "$interrupted" = no ] || [ "$status" -le 128 ]; then
		break
	fi
done
trap - EXIT # it has ended
[ "$status" = 0 ] || echo "quickstart: tarnd ended with status $status" >&2
exit "$status"
