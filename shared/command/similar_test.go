package command_test

import (
	"testing"

	"chatconf/shared/command"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"kitten", "sitting", 3},
		{"flaw", "lawn", 2}, {"ab", "ba", 2},
	} {
		if got := command.Distance(c.a, c.b, 10); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := command.Distance(c.b, c.a, 10); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
	if got := command.Distance("a", "abcdef", 2); got <= 2 {
		t.Errorf("Distance beyond its limit = %d", got)
	}
}
