#!/bin/sh
# Logs a user of cognito-local in without a browser and leaves the session in a file for
# curl -b. Usage: login.sh http://localhost:8080 ada@example.com 'Passw0rd!' cookies.txt
set -eu
app=$1 email=$2 password=$3 jar=$4

# The app redirects to cognito-local's page with the form. The jar gets the login cookie.
page=$(curl -sSL -c "$jar" -w '\n%{url_effective}' "$app/auth/login")
form=$(printf '%s\n' "$page" | tail -n 1)
fields=$(printf '%s\n' "$page" | sed -n 's/.*type="hidden" name="\([^"]*\)" value="\([^"]*\)".*/\1=\2/p')

set -- --data-urlencode "username=$email" --data-urlencode "password=$password"
while read -r field; do
  set -- "$@" --data-urlencode "$field"
done <<EOF
$fields
EOF

# cognito-local redirects to /auth/callback, which puts the session into the jar.
curl -sSL -o /dev/null -b "$jar" -c "$jar" "$@" "${form%%\?*}"

if ! curl -sS -b "$jar" -c "$jar" -H 'X-CSRF: 1' "$app/auth/session" | grep -q '"authenticated":true'; then
  echo "login.sh: $email is not logged in at $app" >&2
  exit 1
fi
