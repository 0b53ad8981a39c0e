#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Install the Debian packages that tarn needs. Does nothing, and fast, when all are there.
set -eu

# What each group is for, and its packages.
groups="build check bench install"
build="gcc libc6-dev make pkg-config liburing-dev libaio-dev libdpdk-dev libcjson-dev libisal-dev libxxhash-dev"
check="libcunit1-dev libseccomp-dev python3 python3-pytest python3-pytest-timeout
	clang-14 libclang-rt-14-dev clang-format-14 clang-tidy-14 shellcheck pyflakes3 help2man patch spin"
bench="python3 fio valgrind"
install="help2man"

usage() {
	cat <<END
usage: scripts/deps.sh [--check] [GROUP...]
Install the Debian packages that tarn needs; without GROUP those of all groups.
  build    compile and run tarn
  check    its tests and lint
  bench    comparison with fio
  install  man pages for make install
  --check  install nothing; name what is missing and exit with 1 if anything is
Installing takes root, or sudo, and says what it does first.
Example: scripts/deps.sh build check
END
}

check_only=no
wanted=
for arg in "$@"; do
	case "$arg" in
	-h | --help) usage && exit 0 ;;
	--check) check_only=yes ;;
	build) wanted="$wanted $build" ;;
	check) wanted="$wanted $check" ;;
	bench) wanted="$wanted $bench" ;;
	install) wanted="$wanted $install" ;;
	*)
		echo "deps.sh: no group '$arg'; there are: $groups" >&2
		exit 2
		;;
	esac
done
[ -n "$wanted" ] || wanted="$build $check $bench $install"

if ! command -v dpkg-query >/dev/null; then
	# shellcheck disable=SC2086 # a list of words
	echo "deps.sh: not a Debian system; see that what these packages hold is there:" $wanted >&2
	exit 0
fi
# shellcheck disable=SC2086
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
	sed -n 's/^installed //p') || true
missing=
for package in $wanted; do
	case " $missing " in *" $package "*) continue ;; esac
	echo "$installed" | grep -qxF "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$check_only" = yes ]; then
	echo "deps.sh: missing:$missing (scripts/deps.sh installs them)" >&2
	exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
	as_root=sudo
	if ! command -v sudo >/dev/null; then
		echo "deps.sh: packages are missing, and there is neither root nor sudo. As root:" >&2
		echo "    apt-get update && apt-get install --no-install-recommends$missing" >&2
		exit 1
	fi
fi
echo "deps.sh: installing with ${as_root:+$as_root }apt-get:$missing"
$as_root apt-get -q update
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing
