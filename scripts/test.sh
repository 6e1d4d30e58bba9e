#!/usr/bin/env bash
# Installs what the tests need, runs every check, and prints `N passed, N failed, N skipped` as its last line.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v rabbitmq-server >/dev/null || [ -x /usr/sbin/rabbitmq-server ] || missing+=(rabbitmq-server)
command -v redis-server >/dev/null || missing+=(redis-server)
/usr/bin/python3 -c 'import celery' 2>/dev/null || missing+=(python3-celery)
/usr/bin/python3 -c 'import redis' 2>/dev/null || missing+=(python3-redis)
/usr/bin/python3 -c 'import sqlalchemy' 2>/dev/null || missing+=(python3-sqlalchemy)
# Celery's own optional parts: serializers, compression, signing.
/usr/bin/python3 -c 'import msgpack' 2>/dev/null || missing+=(python3-msgpack)
/usr/bin/python3 -c 'import yaml' 2>/dev/null || missing+=(python3-yaml)
/usr/bin/python3 -c 'import brotli' 2>/dev/null || missing+=(python3-brotli)
/usr/bin/python3 -c 'import zstandard' 2>/dev/null || missing+=(python3-zstandard)
/usr/bin/python3 -c 'import cryptography' 2>/dev/null || missing+=(python3-cryptography)
command -v openssl >/dev/null || missing+=(openssl)
# The shells that completion is tried in.
command -v zsh >/dev/null || missing+=(zsh)
command -v fish >/dev/null || missing+=(fish)
if [ ${#missing[@]} -gt 0 ]; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  # The tests start servers of their own; the packages must not start theirs.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod +x "$policy"
    trap '$sudo rm -f "$policy"' EXIT
  fi
  $sudo apt-get update -q
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

[ -n "${CELERY_TS_SKIP_INSTALL:-}" ] || npm ci
npm run build
npm run lint
npm run format:check
npm run typecheck

status=0
report=$(mktemp)
npx vitest run --reporter=default --reporter=json --outputFile.json="$report" "$@" || status=$?
node scripts/count-tests.js "$report" || status=1
rm -f "$report"
exit "$status"
