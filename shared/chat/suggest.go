package chat

import (
	"slices"
	"strings"

	"chatconf/shared/command"
)

// suggest suggests the most similar key, ours or the console's name of a setting.
func (p *platform) suggest(key string) string {
	known := make([]string, 0, len(p.Settings)+len(commonKeys))
	for _, s := range p.Settings {
		known = append(known, s.Key)
	}
	known = append(known, commonKeys[:]...)
	names := slices.Clone(known)
	for _, s := range p.Settings {
		names = append(names, p.consoleNames(s)...)
	}
	if name, ok := Nearest(key, names); ok {
		return "did you mean " + name + "?"
	}
	return Suggestion(key, known)
}

// Nearest returns the known word that word is most likely a misspelling of. It allows another case,
// other hyphens or underscores, and one letter wrong, missing, added or swapped with the next; up
// to three in a long word. Unlike Suggestion it accepts no word that may be intended.
func Nearest(word string, known []string) (nearest string, ok bool) {
	if len(word) > maxWord {
		return "", false
	}
	folded := consoleName(word)
	least := 0
	for _, k := range known {
		other := consoleName(k)
		limit := min(max(len(other)/5, 1), 3)
		d := slip(folded, other)
		if d <= limit && len(other) > 2 && (!ok || d < least) {
			nearest, least, ok = k, d, true
		}
	}
	return nearest, ok
}

// maxWord is the maximum length of a word to compare, in bytes.
const maxWord = 64

// slip returns the number of letters that are wrong, missing, added or swapped with the next,
// between a and b.
func slip(a, b string) int {
	if len(a)-len(b) > 3 || len(b)-len(a) > 3 {
		return 4
	}
	var rows [3][maxWord + 4]int // the previous row, the one before it, and the new one
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	before, last, next := &rows[1], &rows[0], &rows[2]
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j-1]+cost, last[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}

// Suggestion names the most similar known word, or all known words if none is similar.
func Suggestion(word string, known []string) string {
	best := command.Similar(word, known)
	// More than half of a short word wrong is another word: Tags is no misspelling of Name.
	if best != "" && max(len(word), len(best)) <= maxWord &&
		slip(consoleName(word), consoleName(best)) <= max(len(word)/2, 1) {
		return "did you mean " + best + "?"
	}
	if len(known) == 1 {
		return "use " + known[0]
	}
	return "use one of " + strings.Join(known, ", ")
}
