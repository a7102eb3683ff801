#!/bin/sh
set -e
if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
# The secrets are not in the package, so dpkg does not remove them.
if [ "$1" = purge ]; then
	rm -rf "${DPKG_ROOT:-}/etc/tokenhandler" "${DPKG_ROOT:-}/var/log/private/tokenhandler" "${DPKG_ROOT:-}/var/log/tokenhandler"
fi
