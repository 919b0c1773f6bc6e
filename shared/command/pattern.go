package command

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"sync"
	"unicode/utf8"
)

const (
	// MaxPattern is the length of a Pattern, in characters.
	MaxPattern = 256
	// MaxPatterned is the size of a value with a Pattern, in bytes.
	MaxPatterned = 1024
	// maxInstructions bounds the size of a compiled Pattern. The time of a match is linear in it
	// and in the value: some 30 ms at most.
	maxInstructions = 2000
)

// A Pattern is a regular expression of RE2 that matches a whole value. That of a Configuration is
// compiled when it is first needed, so that a cold start does not wait for all of them.
type Pattern struct {
	text    string
	size    int
	once    sync.Once
	matcher *regexp.Regexp // nil if the text is invalid
}

// CompilePattern reads the Pattern of a parameter.
func CompilePattern(text string) (*Pattern, error) {
	if n := utf8.RuneCountInString(text); n > MaxPattern {
		return nil, fmt.Errorf("command: the pattern has %d characters; the most is %d", n, MaxPattern)
	}
	// By itself first, so that it cannot close the group that is added below.
	tree, err := syntax.Parse(text, syntax.Perl)
	var wrong *syntax.Error
	if errors.As(err, &wrong) {
		return nil, fmt.Errorf("command: the pattern is not a regular expression of RE2: %s in %.80q", wrong.Code,
			wrong.Expr)
	}
	if err != nil {
		return nil, fmt.Errorf("command: the pattern %w", err)
	}
	tooLong := errors.New("command: the pattern takes too long to match; use smaller repetitions")
	if sizeOf(tree) > maxInstructions { // before it is compiled, which takes time too
		return nil, tooLong
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil || len(program.Inst) > maxInstructions {
		return nil, tooLong
	}
	matcher, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("command: the pattern %w", err)
	}
	return &Pattern{text: text, size: len(program.Inst), matcher: matcher}, nil
}

// sizeOf returns a number of instructions that the compiled tree has at least. Over
// maxInstructions it returns any larger number.
func sizeOf(tree *syntax.Regexp) int {
	size := 1
	switch tree.Op {
	case syntax.OpEmptyMatch, syntax.OpConcat, syntax.OpCapture, syntax.OpRepeat:
		size = 0
	}
	for _, sub := range tree.Sub {
		if size += sizeOf(sub); size > maxInstructions {
			return size
		}
	}
	if tree.Op == syntax.OpRepeat {
		size *= max(tree.Min, tree.Max)
	}
	return size
}

// Size returns the number of instructions, to which the time to compile the pattern is linear.
func (p *Pattern) Size() int { return p.size }

// String returns the text of the pattern.
func (p *Pattern) String() string { return p.text }

// Match reports whether the pattern matches all of a text. A text over MaxPatterned matches none,
// and an invalid pattern matches no text.
func (p *Pattern) Match(text string) bool {
	p.once.Do(func() {
		if p.matcher != nil {
			return
		}
		if compiled, err := CompilePattern(p.text); err == nil {
			p.matcher = compiled.matcher
		}
	})
	return p.matcher != nil && len(text) <= MaxPatterned && p.matcher.MatchString(text)
}
