package command

import (
	"strings"
	"unicode/utf8"
)

// Similar returns the known word that is most similar to word, regardless of case; empty if none is
// similar.
func Similar(word string, known []string) string {
	best, least := "", utf8.RuneCountInString(word)/2+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k), least); d < least || d == least && best == "" {
			best, least = k, d
		}
	}
	return best
}

// distance returns the number of single-character edits between a and b, or a number over limit if
// there are more.
func distance(one, other string, limit int) int {
	a, b := []rune(one), []rune(other)
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
