#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: BSD-3-Clause
# The guest's first process: the host's file system as / (read-only, a tmpfs over it), then agent.sh,
# which runs the commands that the host sends.
b=/bin/busybox
$b mkdir -p /proc /sys /dev /host /top /new
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
	[ -e "$module" ] && $b insmod "$module"
done
for argument in $($b cat /proc/cmdline); do
	case $argument in
	lab.agent=*) agent=${argument#*=} ;;
	lab.modules=*) modules=${argument#*=} ;;
	esac
done
$b mount -t virtiofs -o ro host /host || echo "LAB: cannot mount the host's file system"
$b mount -t tmpfs top /top
$b mkdir /top/upper /top/work
$b mount -t overlay -o lowerdir=/host,upperdir=/top/upper,workdir=/top/work root /new
for folder in proc sys dev; do
	$b mount --bind /$folder /new/$folder
done
$b mkdir -p /new/dev/pts /new/dev/shm /new/lab /new/usr/lib/modules
$b mount -t devpts pts /new/dev/pts
for folder in dev/shm run; do
	$b mount -t tmpfs tmpfs /new/$folder
done
$b mount -t virtiofs out /new/lab || echo "LAB: cannot mount the shared folder"
# The kernel's own modules, not those of the host's.
$b mount -t tmpfs modules /new/usr/lib/modules
$b ln -s "$modules" "/new/usr/lib/modules/$($b uname -r)"
for fd in "fd /proc/self/fd" "stdin fd/0" "stdout fd/1" "stderr fd/2"; do
	$b ln -s "${fd#* }" "/dev/${fd% *}"
done
$b ip link set lo up
$b hostname guest
for port in /sys/class/virtio-ports/*; do
	$b ln -s "${port##*/}" "/dev/$($b cat "$port/name")"
done
echo "LAB: up after $($b cut -d ' ' -f 1 /proc/uptime) s"
$b chroot /new /bin/bash "$agent"
echo "LAB: the agent ended"
$b reboot -f
