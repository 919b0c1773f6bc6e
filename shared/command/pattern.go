package command

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"unicode/utf8"
)

const (
	// MaxPattern is the length of a Pattern, in characters.
	MaxPattern = 256
	// MaxPatterned is the size of a value that a Pattern is matched with, in bytes.
	MaxPatterned = 1024
	// maxInstructions bounds the time of a match, which grows with instructions times bytes, to
	// some 20 ms.
	maxInstructions = 1000
)

// CompilePattern compiles the Pattern of a parameter, so that it matches a whole value. RE2 takes
// linear time; the limits bound it.
func CompilePattern(text string) (*regexp.Regexp, error) {
	if n := utf8.RuneCountInString(text); n > MaxPattern {
		return nil, fmt.Errorf("command: the pattern has %d characters; the most is %d", n, MaxPattern)
	}
	parsed, err := syntax.Parse(text, syntax.Perl) // alone, as ) and ( around it would hide a mistake
	var wrong *syntax.Error
	switch {
	case errors.As(err, &wrong):
		return nil, fmt.Errorf("command: the pattern is not a regular expression of RE2: %s", wrong.Code)
	case err != nil:
		return nil, fmt.Errorf("command: the pattern is not a regular expression of RE2: %w", err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("command: compile the pattern: %w", err)
	}
	if len(program.Inst) > maxInstructions {
		return nil, errors.New("command: the pattern takes too long to match; use smaller repetitions")
	}
	return regexp.Compile(`\A(?:` + text + `)\z`)
}
