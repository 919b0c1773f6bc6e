#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other, for the given time each. Fails when it finds none.
set -euo pipefail
time=${1:-10s}
cd "$(dirname "$0")/.."
count=0
while IFS=: read -r file _ declaration; do
  target=${declaration#func }
  target=${target%%(*}
  echo "fuzz $target in ./$(dirname "$file") for $time"
  go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time"
  count=$((count + 1))
done < <(grep -rn --include='*_test.go' '^func Fuzz[A-Z]' shared deploy/chatconf | sort)
if [ "$count" -eq 0 ]; then
  echo "no fuzz target found" >&2
  exit 1
fi
echo "$count fuzz targets ran"
