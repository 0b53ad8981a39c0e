#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# In the guest: run each command that comes through /dev/lab.agent, beside those that still run. A
# line is "NUMBER COMMAND", the command in base64; its output goes to /lab/NUMBER.out and, when it
# has ended, "NUMBER STATUS" is the answer. "0" ends the guest.
export HOME=/root TERM=dumb DM_DISABLE_UDEV=1
exec 3<>/dev/lab.agent
echo "0 0" >&3
while read -r number command <&3; do
	[ "$number" = 0 ] && break
	{
		setsid bash -c "$(base64 -d <<<"$command")" >"/lab/$number.out" 2>&1 </dev/null 3>&-
		echo "$number $?" >&3
	} &
done
sync
