#!/bin/sh
# dpkg passes "remove", "upgrade" and so on; rpm passes how many versions stay installed.
set -e
case "$1" in
remove | deconfigure | 0)
	if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
		systemctl disable --now tokenhandler.service || true
	fi
	;;
esac
