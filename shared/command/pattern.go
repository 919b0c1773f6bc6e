package command

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxPattern is the length of a Pattern, in characters.
	MaxPattern = 256
	// MaxPatterned is the size of a value with a Pattern, in bytes.
	MaxPatterned = 1024
	// maxStates bounds the time of a match, which grows with states times characters, to some
	// 10 ms.
	maxStates = 1000
	// maxNested bounds the depth of groups.
	maxNested = 20
)

// A Pattern is a regular expression that matches a whole value, in time linear in its length.
//
// It is a part of the syntax of RE2, with the same meaning: characters, '.', classes such as
// [a-z0-9_-] and [^/], \d \w \s and their opposites, \ before a sign, groups, '|', and the
// repetitions * + ? {n} {n,} {n,m}. A ^ at the beginning and a $ at the end change nothing. Package
// regexp would make every function 0.2 MB larger.
type Pattern struct {
	text   string
	states []state
	start  int
}

// A state of a Pattern consumes one character of its class, or splits.
type state struct {
	class *class // nil: splits
	next  int    // the state behind it
	other int    // the other one of a split
}

// final is the state at the end.
const final = -1

// A class is a set of characters.
type class struct {
	ranges [][2]rune
	except bool // all characters but these
}

func (c *class) has(r rune) bool {
	in := slices.ContainsFunc(c.ranges, func(of [2]rune) bool { return of[0] <= r && r <= of[1] })
	return in != c.except
}

// String returns the text of the pattern.
func (p *Pattern) String() string { return p.text }

// CompilePattern reads the Pattern of a parameter.
func CompilePattern(text string) (*Pattern, error) {
	if n := utf8.RuneCountInString(text); n > MaxPattern {
		return nil, fmt.Errorf("command: the pattern has %d characters; the most is %d", n, MaxPattern)
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("command: the pattern is not UTF-8")
	}
	r := patternReader{rest: strings.TrimPrefix(text, "^")}
	e, err := r.alternatives(0)
	if err == nil && r.rest != "" {
		err = errors.New(") closes no group")
	}
	if err != nil {
		return nil, fmt.Errorf("command: the pattern is wrong at character %d: %w",
			utf8.RuneCountInString(text[:len(text)-len(r.rest)])+1, err)
	}
	b := patternBuilder{Pattern: &Pattern{text: text}, left: 10 * maxStates}
	if b.start = b.add(e, final); b.full() {
		return nil, errors.New("command: the pattern takes too long to match; use smaller repetitions")
	}
	return b.Pattern, nil
}

// An expression is a part of a pattern.
type expression struct {
	class *class         // a character of it
	parts [][]expression // alternatives of sequences; else
	least int            // how often it is repeated
	most  int            // -1: without end
}

// A patternReader reads a pattern from its beginning.
type patternReader struct{ rest string }

// take removes a prefix, and reports whether it was there.
func (r *patternReader) take(prefix string) (ok bool) {
	r.rest, ok = strings.CutPrefix(r.rest, prefix)
	return ok
}

// next removes one character.
func (r *patternReader) next() rune {
	c, size := utf8.DecodeRuneInString(r.rest)
	r.rest = r.rest[size:]
	return c
}

// alternatives reads up to the end of a group, or of the pattern.
func (r *patternReader) alternatives(depth int) (expression, error) {
	if depth > maxNested {
		return expression{}, errors.New("groups are nested too deep")
	}
	out := expression{parts: make([][]expression, 1), least: 1, most: 1}
	for r.rest != "" && r.rest[0] != ')' && r.rest != "$" {
		if r.take("|") {
			out.parts = append(out.parts, nil)
			continue
		}
		e, err := r.repeated(depth)
		if err != nil {
			return out, err
		}
		last := &out.parts[len(out.parts)-1]
		*last = append(*last, e)
	}
	if depth == 0 {
		r.take("$")
	}
	return out, nil
}

// repeated reads one character, class or group with its repetition.
func (r *patternReader) repeated(depth int) (expression, error) {
	out, err := r.one(depth)
	if err != nil {
		return out, err
	}
	switch {
	case r.take("*"):
		out.least, out.most = 0, -1
	case r.take("+"):
		out.most = -1
	case r.take("?"):
		out.least = 0
	case strings.HasPrefix(r.rest, "{"):
		if out.least, out.most, err = r.count(); err != nil {
			return out, err
		}
	}
	if r.rest != "" && strings.ContainsRune("*+?{", rune(r.rest[0])) {
		return out, errors.New("it repeats a repetition; put the first one into a group")
	}
	return out, nil
}

// count reads {n}, {n,} or {n,m}.
func (r *patternReader) count() (least, most int, err error) {
	inside, rest, ok := strings.Cut(r.rest[1:], "}")
	from, to, two := strings.Cut(inside, ",")
	least, err = strconv.Atoi(from)
	switch {
	case !two:
		most = least
	case to == "":
		most = -1
	case err == nil:
		most, err = strconv.Atoi(to)
	}
	if !ok || err != nil || least < 0 || strings.Trim(inside, digits+",") != "" || least > maxStates ||
		most > maxStates || most >= 0 && most < least {
		return 0, 0, fmt.Errorf("write a repetition as {2}, {2,} or {2,5}, of at most %d; "+
			`write \{ for a brace`, maxStates)
	}
	r.rest = rest
	return least, most, nil
}

// one reads one character, class or group.
func (r *patternReader) one(depth int) (expression, error) {
	out := expression{least: 1, most: 1}
	switch c := r.next(); c {
	case '(':
		if !r.take("?:") && strings.HasPrefix(r.rest, "?") {
			return out, errors.New("groups with ? are not known, except (?:")
		}
		group, err := r.alternatives(depth + 1)
		if err != nil {
			return out, err
		}
		if !r.take(")") {
			return out, errors.New("a group is not closed")
		}
		return group, nil
	case '[':
		set, err := r.set()
		out.class = set
		return out, err
	case '.':
		out.class = &class{ranges: [][2]rune{{'\n', '\n'}}, except: true}
	case '\\':
		set, err := r.escape()
		out.class = set
		return out, err
	case '*', '+', '?', '{':
		return out, errors.New("there is nothing to repeat")
	case '^', '$':
		return out, errors.New(`the pattern always matches the whole value; write \^ or \$ for the sign`)
	default:
		out.class = &class{ranges: [][2]rune{{c, c}}}
	}
	return out, nil
}

// escape reads the character behind a backslash.
func (r *patternReader) escape() (*class, error) {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	if r.rest == "" {
		return nil, errors.New("it ends in a backslash")
	}
	c := r.next()
	out := &class{except: 'A' <= c && c <= 'Z'}
	switch c {
	case 'd', 'D':
		out.ranges = [][2]rune{{'0', '9'}}
	case 'w', 'W':
		out.ranges = [][2]rune{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}
	case 's', 'S':
		out.ranges = [][2]rune{{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}
	case 't':
		out.ranges = [][2]rune{{'\t', '\t'}}
	case 'n':
		out.ranges = [][2]rune{{'\n', '\n'}}
	default:
		if c >= utf8.RuneSelf || c <= ' ' || strings.ContainsRune(letters+digits, c|' ') {
			return nil, fmt.Errorf(`\%c is not known; use \d \w \s \D \W \S, or \ before a sign`, c)
		}
		out.ranges = [][2]rune{{c, c}}
	}
	return out, nil
}

// set reads a class in brackets.
func (r *patternReader) set() (*class, error) {
	out := &class{except: r.take("^")}
	for first := true; ; first = false {
		switch {
		case r.rest == "":
			return nil, errors.New("a [ is not closed")
		case !first && r.take("]"):
			return out, nil
		case strings.HasPrefix(r.rest, "[:"):
			return nil, errors.New(`classes such as [:alpha:] are not known; write \[ for the bracket`)
		}
		low, wide, err := r.member(out)
		if err != nil {
			return nil, err
		}
		high := low
		if strings.HasPrefix(r.rest, "-") && !strings.HasPrefix(r.rest, "-]") {
			r.next()
			if wide {
				return nil, errors.New(`write \- for a hyphen behind a class`)
			}
			if r.rest == "" {
				return nil, errors.New("a [ is not closed")
			}
			if high, wide, err = r.member(out); err != nil {
				return nil, err
			}
			if wide || high < low {
				return nil, errors.New(`the end of a range is before its beginning; write \- for a hyphen`)
			}
		}
		if !wide {
			out.ranges = append(out.ranges, [2]rune{low, high})
		}
	}
}

// member reads one character of a set. wide reports that it was a class, which is added to the set.
func (r *patternReader) member(set *class) (c rune, wide bool, err error) {
	if c = r.next(); c != '\\' {
		return c, false, nil
	}
	e, err := r.escape()
	switch {
	case err != nil:
		return 0, false, err
	case e.except:
		return 0, false, errors.New(`\D, \W and \S are not known in brackets`)
	case len(e.ranges) == 1 && e.ranges[0][0] == e.ranges[0][1]:
		return e.ranges[0][0], false, nil
	}
	set.ranges = append(set.ranges, e.ranges...)
	return 0, true, nil
}

// A patternBuilder adds states to a pattern until it is full.
type patternBuilder struct {
	*Pattern
	left int // how many expressions may still be added: an empty one adds no state
}

func (b *patternBuilder) full() bool { return b.left < 0 || len(b.states) > maxStates }

// add adds the states of an expression with its repetition, before the state next. It returns the
// first one.
func (b *patternBuilder) add(e expression, next int) int {
	if e.most < 0 {
		loop := b.split(final, next)
		b.states[loop].next = b.addOnce(e, loop)
		next = loop
	}
	behind := next
	for i := 0; i < e.most-e.least && !b.full(); i++ {
		next = b.split(b.addOnce(e, next), behind)
	}
	for i := 0; i < e.least && !b.full(); i++ {
		next = b.addOnce(e, next)
	}
	return next
}

func (b *patternBuilder) addOnce(e expression, next int) int {
	b.left--
	if e.class != nil {
		b.states = append(b.states, state{class: e.class, next: next})
		return len(b.states) - 1
	}
	start := final
	for i, sequence := range slices.Backward(e.parts) {
		at := next
		for _, part := range slices.Backward(sequence) {
			if b.full() {
				return at
			}
			at = b.add(part, at)
		}
		if i == len(e.parts)-1 {
			start = at
		} else {
			start = b.split(at, start)
		}
	}
	return start
}

func (b *patternBuilder) split(next, other int) int {
	b.states = append(b.states, state{next: next, other: other})
	return len(b.states) - 1
}

// Match reports whether the pattern matches all of a text. A text over MaxPatterned matches none.
func (p *Pattern) Match(text string) bool {
	if len(text) > MaxPatterned {
		return false
	}
	now, then := newStates(p), newStates(p)
	now.enter(p.start)
	for _, r := range text {
		for _, i := range now.list {
			if s := &p.states[i]; s.class.has(r) {
				then.enter(s.next)
			}
		}
		now.clear()
		now, then = then, now
	}
	return now.ended
}

// activeStates are the states that a pattern may be in.
type activeStates struct {
	of    *Pattern
	list  []int // those that consume a character
	seen  []bool
	ended bool // the final one, too
}

func newStates(p *Pattern) *activeStates {
	return &activeStates{of: p, seen: make([]bool, len(p.states)), list: make([]int, 0, len(p.states))}
}

// enter adds a state, and those that are reached without a character.
func (a *activeStates) enter(i int) {
	for {
		if i == final {
			a.ended = true
			return
		}
		if a.seen[i] {
			return
		}
		a.seen[i] = true
		s := &a.of.states[i]
		if s.class != nil {
			a.list = append(a.list, i)
			return
		}
		a.enter(s.other)
		i = s.next
	}
}

func (a *activeStates) clear() {
	a.list, a.ended = a.list[:0], false
	clear(a.seen)
}
