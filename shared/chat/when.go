package chat

import (
	"strconv"
	"strings"
	"time"

	"chatconf/shared/fault"
)

// A bound is the parameter Since or Until: a date, or a time relative to now.
type bound struct {
	at       time.Time // zero: no bound
	relative string    // how it was written, if it depends on the clock
}

// scope returns the bound as text for a page token. A relative one is as it was written, so that
// the next page can be asked for in the same words.
func (b bound) scope() string {
	if b.relative != "" {
		return b.relative
	}
	return b.at.UTC().Format(time.RFC3339Nano)
}

// dayLayout is the layout of a date without a time, which means its beginning in UTC.
const dayLayout = time.DateOnly

// maxAgo is the longest time ago. No record is kept for longer.
const maxAgo = 3650 * 24 * time.Hour

// parseBound returns the bound of a parameter: a date with or without a time, a time ago such as
// 90m, 24h or 7d, or today or yesterday. Days are those of UTC.
func parseBound(param, text string, now time.Time) (bound, error) {
	if text == "" {
		return bound{}, nil
	}
	word := strings.ToLower(text)
	today := now.UTC().Truncate(24 * time.Hour)
	switch word {
	case "today":
		return bound{today, word}, nil
	case "yesterday":
		return bound{today.AddDate(0, 0, -1), word}, nil
	}
	if ago, ok := parseAgo(word); ok {
		return bound{now.Add(-ago), word}, nil
	}
	for _, layout := range [...]string{time.RFC3339, dayLayout} {
		if t, err := time.Parse(layout, text); err == nil {
			return bound{at: t}, nil
		}
	}
	return bound{}, fault.Invalid(param, "%s is %s; write a date such as 2026-01-31 or 2026-01-31T08:00:00Z, "+
		"a time ago such as 90m, 24h or 7d, up to 3650d, or today or yesterday.", param, fault.Quote(text))
}

// parseAgo returns the time that a number of minutes, hours or days is, up to maxAgo.
func parseAgo(word string) (ago time.Duration, ok bool) {
	if word == "" {
		return 0, false
	}
	last := len(word) - 1
	unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[word[last]]
	n, err := strconv.ParseUint(word[:last], 10, 32)
	if err != nil || unit == 0 || n > uint64(maxAgo/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
