#!/bin/sh
# A new installation is not started: its configuration and secrets are still missing.
# After an upgrade the service is restarted, if it runs.
set -e
if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart tokenhandler.service || echo "tokenhandler did not start again: journalctl -u tokenhandler" >&2
fi
