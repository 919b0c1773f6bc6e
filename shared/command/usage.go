package command

import (
	"strconv"
	"strings"
)

// mostShown is how many values of an Enum a usage line shows.
const mostShown = 10

// Usage returns how the action is written in chat, in one line, such as
//
//	restart instance=… [env=test|dev] [count=1..10] [--force] [--dry-run]
func (a *Action) Usage() string {
	var b strings.Builder
	b.WriteString(a.Name)
	for i := range a.Parameters {
		p := &a.Parameters[i]
		switch text := p.usage(); {
		case p.Fixed != nil:
		case p.Required:
			b.WriteString(" " + text)
		default:
			b.WriteString(" [" + text + "]")
		}
	}
	if a.DryRun {
		b.WriteString(" [--" + dryRun + "]")
	}
	return b.String()
}

func (p *Parameter) usage() string {
	const any = "…"
	switch {
	case p.Type == TypeBoolean && (p.Default == nil || *p.Default == "false"):
		return "--" + p.Name
	case p.Type == TypeBoolean:
		return p.Name + "=true|false"
	case p.Type == TypeEnum && len(p.Values) > mostShown:
		return p.Name + "=" + strings.Join(p.Values[:mostShown], "|") + "|" + any
	case p.Type == TypeEnum:
		return p.Name + "=" + strings.Join(p.Values, "|")
	case p.Type == TypeInteger && (p.Min != nil || p.Max != nil):
		from, to := "", ""
		if p.Min != nil {
			from = strconv.FormatInt(*p.Min, 10)
		}
		if p.Max != nil {
			to = strconv.FormatInt(*p.Max, 10)
		}
		return p.Name + "=" + from + ".." + to
	}
	return p.Name + "=" + any
}

// Want returns what a value must be, to follow "write " or "must be ".
func (p *Parameter) Want(language string) string {
	bound := func(n *int64) string {
		if n == nil {
			return ""
		}
		return strconv.FormatInt(*n, 10)
	}
	// by the bounds that are set: none, the lower, the upper, both
	set := 0
	if p.Min != nil {
		set++
	}
	if p.Max != nil {
		set += 2
	}
	least, most := bound(p.Min), bound(p.Max)
	say := func(q phrase) string {
		return sentenceIn(language, q, "least", least, "most", most)
	}
	switch p.Type {
	case TypeInteger:
		return say([...]phrase{wantNumber, wantNumberLeast, wantNumberMost, wantNumberBoth}[set])
	case TypeBoolean:
		return say(wantBoolean)
	case TypeEnum:
		values := p.Values
		if len(values) > maxRunnable {
			values = append(values[:maxRunnable:maxRunnable], "…")
		}
		return sentenceIn(language, wantEnum, "values", strings.Join(values, comma(language)))
	}
	if set == 2 {
		least, set = "1", 3
	}
	text := say([...]phrase{wantText, wantTextLeast, wantText, wantTextBoth}[set])
	if p.Pattern != nil {
		return sentenceIn(language, wantPattern, "text", text, "pattern", p.Pattern.String())
	}
	return text
}

// example returns the value of an example; "…" if the bounds do not suggest one.
func (p *Parameter) example() string {
	switch {
	case p.Default != nil:
		return *p.Default
	case p.Type == TypeEnum && len(p.Values) > 0:
		return p.Values[0]
	case p.Type == TypeBoolean:
		return "true"
	case p.Type == TypeInteger && p.Min != nil:
		return strconv.FormatInt(*p.Min, 10)
	case p.Type == TypeInteger && p.Max != nil:
		return strconv.FormatInt(min(*p.Max, 1), 10)
	case p.Type == TypeInteger:
		return "1"
	}
	if text, ok := p.Canonical(strings.ToUpper(p.Name)); ok {
		return text
	}
	return "…"
}

// Example returns the action as it may be typed: with the required parameters, or with the first
// one.
func (a *Action) Example() string {
	var args []string
	var first *Parameter
	for i := range a.Parameters {
		p := &a.Parameters[i]
		if p.Fixed != nil {
			continue
		}
		if first == nil {
			first = p
		}
		if p.Required {
			args = append(args, p.Name+"="+p.example())
		}
	}
	if len(args) == 0 && first != nil {
		args = append(args, first.Name+"="+first.example())
	}
	return Format(a.Name, args)
}

// Describe returns the action for people: summary, usage, every parameter, and an example.
func (a *Action) Describe(language string) []string {
	say := func(p phrase, fill ...string) string { return sentenceIn(language, p, fill...) }
	lines := []string{say(saidUsage, "usage", a.Usage())}
	if a.Summary != "" {
		lines = append([]string{a.Summary}, lines...)
	}
	if len(a.Aliases) > 0 {
		lines = append(lines, say(saidAliases, "aliases", strings.Join(a.Aliases, comma(language))))
	}
	for i := range a.Parameters {
		lines = append(lines, a.Parameters[i].Describe(language))
	}
	if a.DryRun {
		lines = append(lines, say(saidDryRun))
	}
	return append(lines, say(saidExample, "example", a.Example()))
}

// Describe returns a parameter for people: its name, its type with its bounds, and the rest.
func (p *Parameter) Describe(language string) string {
	say := func(q phrase, fill ...string) string {
		return sentenceIn(language, q, append(fill, "name", p.Name, "want", strings.TrimSpace(p.Want(language)))...)
	}
	line := say(saidParameter)
	switch {
	case p.Fixed != nil && p.Secret:
		line = say(saidParameterFixedSecret)
	case p.Fixed != nil:
		line = say(saidParameterFixed, "value", *p.Fixed)
	case p.Required:
		line = say(saidParameterRequired)
	case p.Default != nil && !p.Secret:
		line = say(saidParameterDefault, "value", *p.Default)
	}
	if p.Secret {
		line += say(saidSecret)
	}
	if p.Help != "" {
		line += space(language) + p.Help
	}
	return line
}

// space returns the text between two sentences.
func space(language string) string {
	if language == Chinese {
		return ""
	}
	return " "
}
