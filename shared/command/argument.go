package command

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// dryRun is the option of every action that may be tried.
const dryRun = "dry-run"

// resolve reads a command as one of a declared action, if it is one. Its error is a *Error.
func (a *Actions) resolve(c *Command) error {
	if a == nil {
		return nil
	}
	if a.IsBuiltIn(c.Name) {
		if IsOperation(c.Name) && len(c.Arguments) > 1 {
			return &Error{problem: usageOperation, word: c.Name}
		}
		return nil
	}
	action := a.Find(c.Name)
	switch {
	case action == nil && a.strict:
		return &Error{problem: commandUndeclared}
	case action == nil:
		return nil
	}
	c.Name, c.Action = FoldName(action.Name), action.Name
	r := reader{action: action, given: make([]*string, len(action.Parameters))}
	problem := r.read(c.Arguments)
	if problem == nil {
		c.Parameters, problem = r.values()
	}
	if problem != nil {
		problem.action = action
		return problem
	}
	c.DryRun = r.dryRun
	return nil
}

// A reader reads the arguments of an action.
type reader struct {
	action *Action
	given  []*string // by parameter: its text; nil if none is given
	dryRun bool
	plain  []string // arguments without a name
}

// read assigns the arguments to parameters. Arguments with a name come in any order. The others are
// the values of the remaining parameters, in declared order.
func (r *reader) read(args []string) *Error {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			r.plain = append(r.plain, args[i+1:]...)
			break
		}
		name, isOption := optionOf(arg)
		name, value, hasValue := cutValue(name)
		p := r.action.index(name)
		switch {
		case isOption && foldName(name) == dryRun:
			if problem := r.tryOut(value, hasValue); problem != nil {
				return problem
			}
			continue
		case p < 0 && (isOption || hasValue && r.isLikeSecret(name)):
			return r.unknown(name)
		case p < 0 || !isOption && !hasValue:
			r.plain = append(r.plain, arg)
			continue
		case hasValue:
		case r.action.Parameters[p].Type == TypeBoolean:
			value = "true"
			if i+1 < len(args) && (args[i+1] == "true" || args[i+1] == "false") {
				i++
				value = args[i]
			}
		default:
			if i++; i == len(args) || r.isName(args[i]) {
				return &Error{problem: usageNoValue, parameter: &r.action.Parameters[p]}
			}
			value = args[i]
		}
		if problem := r.set(p, value); problem != nil {
			return problem
		}
	}
	next := 0
	for _, value := range r.plain {
		for next < len(r.given) && (r.given[next] != nil || r.action.Parameters[next].Fixed != nil) {
			next++
		}
		if next == len(r.given) {
			return &Error{problem: usageMany}
		}
		r.given[next] = &value
	}
	return nil
}

// optionOf returns an argument without the dashes of an option. -3 and -中 are no options.
func optionOf(arg string) (name string, ok bool) {
	if name, ok = strings.CutPrefix(arg, "--"); ok {
		return name, true
	}
	if name, ok = strings.CutPrefix(arg, "-"); ok && name != "" && isLetter(name[0]) {
		return name, true
	}
	return arg, false
}

func isLetter(c byte) bool { return 'a' <= c|' ' && c|' ' <= 'z' }

// cutValue splits an argument at its first =, also if it is of full width.
func cutValue(arg string) (name, value string, ok bool) {
	i := strings.IndexAny(arg, "=＝")
	if i < 0 {
		return arg, "", false
	}
	_, size := utf8.DecodeRuneInString(arg[i:])
	return arg[:i], arg[i+size:], true
}

// index returns the index of a parameter, regardless of case and width of the name; -1 if
// none.
func (a *Action) index(name string) int {
	if name == "" || len(name) > 4*maxParameterName { // not folded, as it may be long
		return -1
	}
	name = foldName(name)
	return slices.IndexFunc(a.Parameters, func(p Parameter) bool { return strings.EqualFold(p.Name, name) })
}

// isName reports whether an argument names a parameter, so that it is no value of another one.
func (r *reader) isName(arg string) bool {
	name, isOption := optionOf(arg)
	name, _, _ = cutValue(name)
	return arg == "--" || isOption && (foldName(name) == dryRun || r.action.index(name) >= 0)
}

// isLikeSecret reports whether a name is almost that of a secret parameter. Its value would become
// that of another parameter, which is recorded.
func (r *reader) isLikeSecret(name string) bool {
	var secrets []string
	for _, p := range r.action.Parameters {
		if p.Secret {
			secrets = append(secrets, p.Name)
		}
	}
	return len(secrets) > 0 && len(name) <= 4*maxParameterName && Similar(foldName(name), secrets) != ""
}

// tryOut reads --dry-run.
func (r *reader) tryOut(value string, hasValue bool) *Error {
	if !r.action.DryRun {
		return &Error{problem: usageDryRun}
	}
	if !hasValue {
		value = "true"
	}
	text, ok := booleanOf(value)
	if !ok {
		return &Error{problem: usageDryRunValue}
	}
	r.dryRun = text == "true"
	return nil
}

func (r *reader) set(p int, value string) *Error {
	parameter := &r.action.Parameters[p]
	switch {
	case parameter.Fixed != nil:
		return &Error{problem: usageFixed, parameter: parameter}
	case r.given[p] != nil:
		return &Error{problem: usageTwice, parameter: parameter}
	}
	r.given[p] = &value
	return nil
}

// unknown is the problem of an option with the name of no parameter. It does not repeat the name if
// the action has secrets: it may be one.
func (r *reader) unknown(name string) *Error {
	var known []string
	for _, p := range r.action.Parameters {
		if p.Fixed == nil {
			known = append(known, p.Name)
		}
	}
	if r.action.DryRun {
		known = append(known, dryRun)
	}
	out := &Error{problem: usageUnknown}
	switch folded := foldName(name); {
	case folded == Help || folded == "h":
		out.choice = Help + " " + r.action.Name
	case len(name) <= 4*maxParameterName: // comparing takes time
		out.choice = Similar(name, known)
	}
	if out.word, _ = redactWord(name); r.action.hasSecret() || utf8.RuneCountInString(name) > maxParameterName {
		out.problem, out.word = usageUnknownHidden, ""
	}
	return out
}

// mistyped returns the problem of a value that begins with almost a parameter's name, as evn=prod
// does; nil if it is not one.
func (r *reader) mistyped(value string) *Error {
	name, _, ok := cutValue(value)
	if !ok || !ParameterName.Fits(foldName(name)) || !slices.Contains(r.plain, value) {
		return nil
	}
	if unknown := r.unknown(name); unknown.choice != "" {
		return unknown
	}
	return nil
}

// values checks what is given, and adds what is fixed and what is missing.
func (r *reader) values() ([]Value, *Error) {
	out := make([]Value, 0, len(r.given))
	for i := range r.given {
		p := &r.action.Parameters[i]
		text, given := "", r.given[i]
		switch {
		case p.Fixed != nil:
			text = *p.Fixed
		case given != nil:
			canonical, ok := p.Canonical(*given)
			if !ok {
				if unknown := r.mistyped(*given); unknown != nil {
					return nil, unknown
				}
				wrong := &Error{problem: usageWrong, parameter: p}
				if p.Type == TypeEnum && !p.Secret && len(*given) <= 4*maxParameterName { // comparing takes time
					wrong.choice = Similar(*given, p.Values)
				}
				return nil, wrong
			}
			text = canonical
		case p.Default != nil:
			text = *p.Default
		case p.Required:
			return nil, &Error{problem: usageMissing, parameter: p}
		default:
			continue
		}
		out = append(out, Value{Name: p.Name, Type: p.Type, Text: text, Secret: p.Secret})
	}
	return out, nil
}

func (a *Action) hasSecret() bool {
	return slices.ContainsFunc(a.Parameters, func(p Parameter) bool { return p.Secret })
}

// Canonical returns the canonical text of a value as it is typed. It reports whether the value has
// the parameter's type and obeys its bounds.
//
// An Integer may have full-width digits and a typographic minus. A Boolean is true, yes, on, 是,
// false, no, off or 否. Case and width do not matter in a Boolean and an Enum. A String without Min
// has at least one character.
func (p *Parameter) Canonical(text string) (canonical string, ok bool) {
	switch p.Type {
	case TypeInteger:
		n, err := strconv.ParseInt(number(text), 10, 64)
		ok = err == nil && (p.Min == nil || n >= *p.Min) && (p.Max == nil || n <= *p.Max)
		return strconv.FormatInt(n, 10), ok
	case TypeBoolean:
		return booleanOf(text)
	case TypeEnum:
		if slices.Contains(p.Values, text) { // the usual case
			return text, true
		}
		folded := p.Type.Fold(text)
		if i := slices.IndexFunc(p.Values, func(v string) bool { return p.Type.Fold(v) == folded }); i >= 0 {
			return p.Values[i], true
		}
		return "", false
	}
	least := int64(1)
	if p.Min != nil {
		least = *p.Min
	}
	n := int64(utf8.RuneCountInString(text))
	return text, utf8.ValidString(text) && n >= least && (p.Max == nil || n <= *p.Max) &&
		(p.Pattern == nil || p.Pattern.Match(text))
}

// number returns the text of a number with ASCII digits and signs.
func number(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case '０' <= r && r <= '９':
			return r - '０' + '0'
		case strings.ContainsRune("−–－﹣‐‑", r):
			return '-'
		case r == '＋':
			return '+'
		}
		return r
	}, text)
}

func booleanOf(text string) (canonical string, ok bool) {
	switch foldName(text) {
	case "true", "yes", "on", "是":
		return "true", true
	case "false", "no", "off", "否":
		return "false", true
	}
	return "", false
}

// maxParameterName is the length of a parameter's name, in characters.
const maxParameterName = 64

// ParameterName is the Shape of the name of a parameter.
var ParameterName = Shape{
	Want:  "1 to 64 letters, digits, '-' and '_' that begin with a letter",
	Least: 1, Most: maxParameterName,
	First: func(r rune) bool { return isAlphanumeric(r) && !isDecimal(r) },
	Each:  Among(alphanumeric + "_-"),
}
