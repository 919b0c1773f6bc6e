package dynamotest

import (
	"cmp"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// The forms of the adapter's expressions: alternatives in brackets, combined by AND; an ADD and
// assignments. Other expressions panic.
var (
	token      = regexp.MustCompile(`[#:]?\w+`)
	function   = regexp.MustCompile(`^(attribute_not_exists|begins_with)\((\S+?)(?:, (\S+))?\)$`)
	comparison = regexp.MustCompile(`^(\S+) ([<>]?=?) (\S+)$`)
	addition   = regexp.MustCompile(`^ADD (\S+) (\S+) SET `)
	assignment = regexp.MustCompile(`(\S+) = (?:if_not_exists\((\S+), )?([#:]\w+)`)
)

// An expression is the condition of a request.
type expression struct {
	in        request
	condition string
}

// parse returns condition. Unused names and values of the request, and reserved words, are an
// error.
func parse(in request, condition, update string) (*expression, error) {
	tokens := token.FindAllString(condition+" "+update, -1)
	for name := range in.ExpressionAttributeNames {
		if !slices.Contains(tokens, name) {
			return nil, invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {%s}", name)
		}
	}
	for name := range in.ExpressionAttributeValues {
		if !slices.Contains(tokens, name) {
			return nil, invalid("Value provided in ExpressionAttributeValues unused in expressions: keys: {%s}", name)
		}
	}
	for _, word := range []string{"count", "ttl", "value"} {
		if slices.Contains(tokens, word) {
			return nil, invalid("Attribute name is a reserved keyword; reserved keyword: %s", word)
		}
	}
	return &expression{in, condition}, nil
}

func (e *expression) holds(r Row) bool {
	all := strings.Split(e.condition, " AND ")
	for _, any := range all {
		if inside, ok := strings.CutPrefix(any, "("); ok {
			any = strings.TrimSuffix(inside, ")")
		} else if len(all) > 1 && strings.Contains(any, " OR ") {
			panic("expression " + e.condition)
		}
		if !slices.ContainsFunc(strings.Split(any, " OR "), func(term string) bool { return e.term(term, r) }) {
			return false
		}
	}
	return true
}

func (e *expression) term(text string, r Row) bool {
	if f := function.FindStringSubmatch(text); f != nil {
		a := e.operand(f[2], r)
		return f[3] == "" && a == nil || f[3] != "" && strings.HasPrefix(a["S"], e.operand(f[3], r)["S"])
	}
	m := comparison.FindStringSubmatch(text)
	if m == nil {
		panic("expression " + e.condition)
	}
	a, b := e.operand(m[1], r), e.operand(m[3], r)
	if a == nil || b == nil {
		return false
	}
	c := strings.Compare(a["S"], b["S"])
	if a["N"] != "" {
		c = number(a).Cmp(number(b))
	}
	return strings.Contains(m[2], string("<=>"[c+1]))
}

func (e *expression) operand(name string, r Row) Value {
	if name[0] != ':' {
		return r[e.name(name)]
	}
	v, ok := e.in.ExpressionAttributeValues[name]
	if !ok {
		panic("no value " + name)
	}
	return v
}

func (e *expression) name(t string) string { return cmp.Or(e.in.ExpressionAttributeNames[t], t) }

func number(v Value) *big.Int {
	n, ok := new(big.Int).SetString(cmp.Or(v["N"], "0"), 10)
	if !ok {
		panic("number " + v["N"])
	}
	return n
}

func (e *expression) update(source string, r Row) {
	add := addition.FindStringSubmatch(source)
	if add == nil {
		panic("expression " + source)
	}
	name := e.name(add[1])
	r[name] = Value{"N": new(big.Int).Add(number(r[name]), number(e.operand(add[2], r))).String()}
	for _, set := range assignment.FindAllStringSubmatch(source[len(add[0]):], -1) {
		if set[2] == "" || e.operand(set[2], r) == nil {
			r[e.name(set[1])] = e.operand(set[3], r)
		}
	}
}
