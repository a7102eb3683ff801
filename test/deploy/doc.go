// Package deploy tests what config/deploy makes, as an operator gets it: the packages
// are installed by dpkg and rpm, and their service runs in the folder that they were
// installed in, as an unprivileged user and with the files of the systemd unit. The
// tests need root, and the artifacts in .build that make builds.
package deploy
