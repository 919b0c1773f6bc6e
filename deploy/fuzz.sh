#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other, for the given time each. Fails when it finds none.
set -euo pipefail
time=${1:-10s}
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# fuzz runs one target. When its time ends while a worker is busy, the go command may call that a failure, "context deadline exceeded",
# with no failing input; such a run is repeated.
fuzz() {
  for _ in 1 2 3; do
    if go test "$1" -run '^$' -fuzz "^$2\$" -fuzztime "$time" >"$out" 2>&1; then
      tail -n 1 "$out"
      return 0
    fi
    if grep -q 'Failing input' "$out" || ! grep -q 'context deadline exceeded' "$out"; then
      break
    fi
    echo "its time ended while a worker was busy; again"
  done
  cat "$out"
  return 1
}

count=0
while IFS=: read -r file _ declaration; do
  target=${declaration#func }
  target=${target%%(*}
  echo "fuzz $target in ./$(dirname "$file") for $time"
  fuzz "./$(dirname "$file")" "$target"
  count=$((count + 1))
done < <(grep -rn --include='*_test.go' '^func Fuzz[A-Z]' shared deploy/chatconf | sort)
if [ "$count" -eq 0 ]; then
  echo "no fuzz target found" >&2
  exit 1
fi
echo "$count fuzz targets ran"
