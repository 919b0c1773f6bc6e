package chat

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/fault"
)

// Keys of an action and of a parameter.
const (
	keySummary        = "Summary"
	keyAliases        = "Aliases"
	keyParameters     = "Parameters" // also of a Target and of a statement
	keyTimeoutSeconds = "TimeoutSeconds"
	keyDryRun         = "DryRun"
	keyName           = "Name"
	keyType           = "Type"
	keyValues         = "Values"
	keyPattern        = "Pattern"
	keyMin            = "Min"
	keyMax            = "Max"
	keyRequired       = "Required"
	keyDefault        = "Default"
	keyFixed          = "Fixed"
	keySecret         = "Secret"
	keyHelp           = "Help"
)

var (
	actionKeys = []string{keySummary, keyAliases, keyParameters, keyTarget, roleParam, keyTimeoutSeconds, keyDryRun}

	parameterKeys = []string{keyName, keyType, keyValues, keyPattern, keyMin, keyMax, keyRequired, keyDefault,
		keyFixed, keySecret, keyHelp}
)

// Limits of Actions.
const (
	maxActions    = 100
	maxAliases    = 100 // of one action
	maxParameters = 30  // of one action
	maxValues     = 100 // of one parameter
	// maxPatterns is the size of all patterns together, which are compiled in some 20 ms.
	maxPatterns = 20_000
)

// lineText is the shape of a line for people.
var lineText = command.Text(200)

// actions checks the actions of a Configuration.
func (out *settled) actions(path string, n, root *document.Node, keep func(string) bool) {
	if n.Kind != document.Object {
		out.wrong(path, "is %v; write an object such as {\"restart\":{\"Summary\":\"restart an instance\"}}", n.Kind)
		return
	}
	if len(n.Members) > maxActions {
		out.wrong(path, "has %d actions; the most is %d", len(n.Members), maxActions)
		return
	}
	words := words{settled: out, taken: make(map[string]string), followed: followed(root)}
	for _, m := range n.Members { // names first, so that a mistake is reported at the alias
		words.take(document.Under(path, m.Key), m.Key)
	}
	for _, m := range n.Members {
		if out.full() {
			return
		}
		out.action(document.Under(path, m.Key), m.Key, m.Value, root, &words, keep)
	}
}

// words are the words that stand for actions.
type words struct {
	*settled
	taken    map[string]string // by folded word: the path of the action or alias
	followed bool              // status and cancel are built in
}

// take checks a name or an alias.
func (w *words) take(path, word string) {
	folded := command.FoldName(word)
	switch other, taken := w.taken[folded]; {
	case !isWord(word):
		w.wrong(path, "%s is not a word that a sender can type as a command; write %s, '*', '?' and quotes",
			fault.Quote(word), command.NamePattern.Want)
	case command.IsBuiltIn(folded) || w.followed && command.IsOperation(folded):
		w.wrong(path, "%s is a built-in command; choose another word", fault.Quote(word))
	case taken:
		w.wrong(path, "%s is the same word as %s; choose another one", fault.Quote(word), other)
	default:
		w.taken[folded] = path
	}
}

// isWord reports whether a message of this word alone is the command of that name.
func isWord(word string) bool {
	if !command.NamePattern.Fits(word) || strings.ContainsAny(word, command.Wildcards) {
		return false
	}
	name, args, err := command.Parse(word)
	return err == nil && len(args) == 0 && name == command.FoldName(word)
}

// action checks one action.
func (out *settled) action(path, name string, n, root *document.Node, words *words, keep func(string) bool) {
	if n.Kind != document.Object {
		out.wrong(path, "is %v; write an object such as {\"Summary\":\"restart an instance\"}", n.Kind)
		return
	}
	out.checkKnown(path, n, actionKeys, nil)
	for _, m := range n.Members {
		at := document.Under(path, m.Key)
		switch m.Key {
		case keySummary:
			out.checkText(at, m.Value, lineText)
		case keyAliases:
			out.aliases(at, m.Value, words)
		case keyParameters:
			out.parameters(at, m.Value)
		case keyTarget:
			out.target(at, actionSecretField(name), m.Value, n, keep)
		case roleParam:
			out.checkRoleName(at, m.Value)
		case keyDryRun:
			out.checkTruth(at, m.Value)
		}
	}
	kind, ok := targetKindOf(targetType(n.Get(keyTarget), root.Get(keyTarget)))
	if !ok { // reported at the Target
		return
	}
	if timeout := n.Get(keyTimeoutSeconds); timeout != nil {
		out.checkTimeout(document.Under(path, keyTimeoutSeconds), timeout, kind)
	}
	if isTrue(n.Get(keyDryRun)) && kind.noDryRun {
		out.wrong(document.Under(path, keyDryRun), "an execution of %s has no dry run; remove it", kind.name)
	}
}

// checkTimeout checks the TimeoutSeconds of an action with a target of the kind.
func (m *mistakes) checkTimeout(path string, n *document.Node, kind targetKind) {
	if kind.timeout == 0 {
		m.wrong(path, "does not apply to a Target of type %s; remove it", kind.name)
		return
	}
	shape := command.UpTo(kind.timeout)
	shape.Want = fmt.Sprintf("a number of seconds from 1 to %d", kind.timeout)
	m.checkText(path, n, shape)
}

func (out *settled) aliases(path string, n *document.Node, words *words) {
	if n.Kind == document.Array && len(n.Items) > maxAliases {
		out.wrong(path, "has %d aliases; the most is %d", len(n.Items), maxAliases)
		return
	}
	texts := out.checkStrings(path, n, aliasText)
	for i := range n.Items {
		if out.full() {
			return
		}
		if text, ok := texts[i]; ok {
			words.take(document.At(path, i), text)
		}
	}
}

// aliasText is the shape of any alias; words.take checks the details.
var aliasText = command.Shape{Want: "a word", Least: 1, Most: math.MaxInt}

// parameters checks the parameters of an action.
func (m *mistakes) parameters(path string, n *document.Node) {
	if n.Kind != document.Array {
		m.wrong(path, "is %v; write an array such as [{\"Name\":\"instance\",\"Required\":true}]", n.Kind)
		return
	}
	if len(n.Items) > maxParameters {
		m.wrong(path, "has %d parameters; the most is %d", len(n.Items), maxParameters)
		return
	}
	names := make(map[string]string, len(n.Items)) // by folded name: the path of the parameter
	for i, item := range n.Items {
		if m.full() {
			return
		}
		m.parameter(document.At(path, i), item, names)
	}
}

var parameterType = command.OneOf(string(command.TypeString), string(command.TypeInteger),
	string(command.TypeBoolean), string(command.TypeEnum))

// foldParameter returns the form of a parameter's name that must be unique in an action.
func foldParameter(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }

func (m *mistakes) parameter(path string, n *document.Node, names map[string]string) {
	if n.Kind != document.Object {
		m.wrong(path, "is %v; write an object such as {\"Name\":\"instance\"}", n.Kind)
		return
	}
	before := len(m.list)
	m.checkKnown(path, n, parameterKeys, []string{keyName})
	kind := command.TypeString
	for _, member := range n.Members {
		at := document.Under(path, member.Key)
		switch value := member.Value; member.Key {
		case keyName:
			m.takeParameter(at, value, names)
		case keyType:
			if m.checkText(at, value, parameterType) {
				kind = command.ParameterType(value.Text)
			}
		case keyValues:
			m.checkValues(at, value)
		case keyPattern:
			m.checkPattern(at, value)
		case keyMin, keyMax:
			m.checkText(at, value, wholeNumber)
		case keyRequired, keySecret:
			m.checkTruth(at, value)
		case keyDefault, keyFixed:
			m.checkValueText(at, value)
		case keyHelp:
			m.checkText(at, value, lineText)
		}
	}
	if len(m.list) == before && !m.more {
		m.checkTogether(path, n, kind)
	}
}

// takeParameter checks the name of a parameter.
func (m *mistakes) takeParameter(path string, n *document.Node, names map[string]string) {
	if !m.checkText(path, n, command.ParameterName) {
		return
	}
	folded := foldParameter(n.Text)
	switch other, taken := names[folded]; {
	case folded == "dry_run":
		m.wrong(path, "%s is what a sender writes for a dry run; choose another name", fault.Quote(n.Text))
	case taken:
		m.wrong(path, "%s is the same name as that of %s; choose another one", fault.Quote(n.Text), other)
	default:
		names[folded] = strings.TrimSuffix(path, "."+keyName)
	}
}

// checkValues checks the values of an Enum.
func (m *mistakes) checkValues(path string, n *document.Node) {
	if n.Kind == document.Array && len(n.Items) > maxValues {
		m.wrong(path, "has %d values; the most is %d", len(n.Items), maxValues)
		return
	}
	texts := m.checkStrings(path, n, valueText)
	seen := make(map[string]string, len(texts))
	for i := range n.Items {
		text, ok := texts[i]
		folded := command.TypeEnum.Fold(text)
		if other, twice := seen[folded]; ok && twice {
			m.wrong(document.At(path, i), "%s differs from %s only in case or width", fault.Quote(text),
				fault.Quote(other))
		}
		seen[folded] = text
	}
}

// valueText is the shape of a value of an Enum.
var valueText = command.Shape{
	Want:  "1 to 200 characters that can be typed in a message",
	Least: 1, Most: 200,
	Each: command.Text(200).Each,
	Also: isArgument,
}

// isArgument reports whether a message can have the text as an argument.
func isArgument(text string) bool {
	_, args, err := command.Parse(command.Format("x", []string{text}))
	return err == nil && len(args) == 1 && args[0] == text
}

// checkPattern checks the pattern of a String.
func (m *mistakes) checkPattern(path string, n *document.Node) {
	if n.Kind != document.String || n.Text == "" {
		m.wrong(path, "write a regular expression such as \"i-[a-z0-9]+\"")
		return
	}
	pattern, err := command.CompilePattern(n.Text)
	if err != nil {
		m.wrong(path, "%s", strings.TrimPrefix(err.Error(), "command: the pattern "))
		return
	}
	if m.patterns += pattern.Size(); m.patterns > maxPatterns {
		m.wrong(path, "the patterns up to here are too large together; use smaller repetitions")
	}
}

// checkValueText checks for a value of a parameter: a text, a number, true or false.
func (m *mistakes) checkValueText(path string, n *document.Node) bool {
	if n.Kind == document.Array || n.Kind == document.Object || n.Kind == document.Literal && n.Text == "null" {
		m.wrong(path, "is %v; write a string", n.Kind)
		return false
	}
	return true
}

// wholeNumber is the shape of an integer of 64 bits.
var wholeNumber = command.Shape{
	Want:  "a whole number",
	Least: 1, Most: len("-9223372036854775808"),
	Each: command.Among("-0123456789"),
	Also: func(s string) bool {
		n, err := strconv.ParseInt(s, 10, 64)
		return err == nil && strconv.FormatInt(n, 10) == s
	},
	Number: true,
}

// checkTruth checks for true or false, and stores a literal as a string.
func (m *mistakes) checkTruth(path string, n *document.Node) {
	if n.Kind == document.Literal && n.Text != "null" {
		n.Kind = document.String
	}
	m.checkText(path, n, command.TrueOrFalse())
}

// isTrue reports whether a checked value is true. It is false for nil.
func isTrue(n *document.Node) bool { return n != nil && n.Text == "true" }

// applies reports whether a parameter of a Type may have a key.
func applies(key string, kind command.ParameterType) bool {
	switch key {
	case keyValues:
		return kind == command.TypeEnum
	case keyPattern:
		return kind == command.TypeString
	case keyMin, keyMax:
		return kind == command.TypeString || kind == command.TypeInteger
	}
	return true
}

// checkTogether checks that the members of a parameter, which are valid by themselves, go together.
func (m *mistakes) checkTogether(path string, n *document.Node, kind command.ParameterType) {
	for _, key := range [...]string{keyValues, keyPattern, keyMin, keyMax} {
		if n.Get(key) != nil && !applies(key, kind) {
			m.wrong(document.Under(path, key), "does not apply to Type %s; remove it", kind)
		}
	}
	if kind == command.TypeEnum && n.Get(keyValues) == nil {
		m.wrong(document.Under(path, keyValues), "is missing; write the values of the Enum")
	}
	for _, key := range []string{keyDefault, keyFixed} {
		if n.Get(key) != nil && isTrue(n.Get(keySecret)) {
			m.wrong(document.Under(path, key), "a Secret cannot have a %s: readers of the configuration would see it",
				key)
		}
	}
	switch fixed := document.Under(path, keyFixed); {
	case n.Get(keyFixed) != nil && isTrue(n.Get(keyRequired)):
		m.wrong(fixed, "cannot be given for a Required parameter; remove one of them")
	case n.Get(keyFixed) != nil && n.Get(keyDefault) != nil:
		m.wrong(fixed, "cannot be given together with Default; remove one of them")
	case n.Get(keyDefault) != nil && isTrue(n.Get(keyRequired)):
		m.wrong(document.Under(path, keyDefault), "is never used for a Required parameter; remove one of them")
	}
	p := command.NewParameter(n)
	if !m.checkMinMax(path, &p) {
		return
	}
	for _, key := range []string{keyDefault, keyFixed} {
		value := n.Get(key)
		if value == nil || p.Secret { // an error must not show the value of a Secret
			continue
		}
		if canonical, ok := p.Canonical(value.Text); !ok || canonical != value.Text {
			m.wrong(document.Under(path, key), "%s is not %s", fault.Quote(value.Text), p.Want(command.English))
		} else if !isArgument(value.Text) {
			m.wrong(document.Under(path, key), "has characters that cannot be typed in a message")
		}
	}
}

// checkMinMax checks the bounds of a String or an Integer.
func (m *mistakes) checkMinMax(path string, p *command.Parameter) bool {
	outside := func(bound *int64, least int64) bool {
		return p.Type == command.TypeString && bound != nil && (*bound < least || *bound > command.MaxText)
	}
	const characters = "is a number of characters; use %d to %d"
	switch {
	case outside(p.Min, 0):
		m.wrong(document.Under(path, keyMin), characters, 0, command.MaxText)
	case outside(p.Max, 1):
		m.wrong(document.Under(path, keyMax), characters, 1, command.MaxText)
	case p.Min != nil && p.Max != nil && *p.Min > *p.Max:
		m.wrong(document.Under(path, keyMax), "is less than Min")
	default:
		return true
	}
	return false
}

// followed reports whether an action has a Target that is followed.
func followed(root *document.Node) bool {
	actions := root.Get(command.KeyActions)
	return actions != nil && slices.ContainsFunc(actions.Members, func(m document.Member) bool {
		return command.Target{Type: targetType(m.Value.Get(keyTarget), root.Get(keyTarget))}.Followed()
	})
}

// targetType returns the type of an action's Target, or else of the Configuration's.
func targetType(own, common *document.Node) string {
	for _, n := range []*document.Node{own, common} {
		if n != nil {
			return n.TextOf(keyType, "")
		}
	}
	return command.TargetJournal
}
