#!/bin/sh
# Builds the apps anew, with the versions of their package-lock.json, and replaces what is
# committed. Run it after a change of a version; the tests only serve what is committed.
set -eu
cd "$(dirname "$0")"
build() { # folder, command, folder of the result
  (cd "$1" && npm ci --no-audit --no-fund && NEXT_TELEMETRY_DISABLED=1 NG_CLI_ANALYTICS=false npx $2 && rm -rf built && mv "$3" built &&
    rm -rf node_modules .next .svelte-kit .angular next-env.d.ts)
}
build vite-mui 'vite build' dist
build vite-pwa 'vite build' dist
build next-export 'next build' out
build sveltekit 'vite build' dist
build angular 'ng build' dist
