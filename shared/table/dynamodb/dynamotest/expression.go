package dynamotest

import (
	"cmp"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// An expression is an expression while it is evaluated.
type expression struct {
	in     request
	source []string
	tokens []string
	item   Row
}

var token = regexp.MustCompile(`[(),]|<=|>=|[<>=]|[#:]?\w+`)

// parse returns condition. Unused names and values of the request, and reserved words, are an
// error.
func parse(in request, condition string, others ...string) (*expression, error) {
	all := strings.Join(append(others, condition), " ")
	tokens := token.FindAllString(all, -1)
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
	return &expression{in: in, source: token.FindAllString(condition, -1)}, nil
}

// holds reports whether the expression holds for r. It panics if the expression is invalid.
func (e *expression) holds(r Row) bool {
	e.tokens, e.item = e.source, r
	ok := e.or()
	if len(e.tokens) > 0 {
		panic("expression " + strings.Join(e.source, " "))
	}
	return ok
}

func (e *expression) next() (t string) {
	t, e.tokens = e.tokens[0], e.tokens[1:]
	return t
}

func (e *expression) take(t string) bool {
	if len(e.tokens) == 0 || e.tokens[0] != t {
		return false
	}
	e.tokens = e.tokens[1:]
	return true
}

func (e *expression) or() bool {
	ok := e.and()
	for e.take("OR") {
		right := e.and()
		ok = ok || right
	}
	return ok
}

func (e *expression) and() bool {
	ok := e.term()
	for e.take("AND") {
		right := e.term()
		ok = ok && right
	}
	return ok
}

func (e *expression) term() (ok bool) {
	switch {
	case e.take("("):
		ok = e.or()
		e.next()
	case e.take("attribute_not_exists"):
		e.next()
		ok = e.operand() == nil
		e.next()
	case e.take("begins_with"):
		e.next()
		a := e.operand()
		e.next()
		ok = strings.HasPrefix(a["S"], e.operand()["S"])
		e.next()
	default:
		a, op, b := e.operand(), e.next(), e.operand()
		if a == nil || b == nil {
			return false
		}
		c := strings.Compare(a["S"], b["S"])
		if a["N"] != "" {
			c = number(a).Cmp(number(b))
		}
		ok = op == "=" && c == 0 || op == "<" && c < 0 || op == "<=" && c <= 0 ||
			op == ">" && c > 0 || op == ">=" && c >= 0
	}
	return ok
}

func (e *expression) operand() Value {
	t := e.next()
	if t[0] == ':' {
		v, ok := e.in.ExpressionAttributeValues[t]
		if !ok {
			panic("no value " + t)
		}
		return v
	}
	return e.item[e.name(t)]
}

func (e *expression) name(t string) string { return cmp.Or(e.in.ExpressionAttributeNames[t], t) }

func number(v Value) *big.Int {
	n, ok := new(big.Int).SetString(cmp.Or(v["N"], "0"), 10)
	if !ok {
		panic("number " + v["N"])
	}
	return n
}

// update applies the ADD and the SET of an update expression to r.
func (e *expression) update(source string, r Row) error {
	e.tokens, e.item = token.FindAllString(source, -1), r
	for len(e.tokens) > 0 {
		switch verb := e.next(); verb {
		case "ADD":
			name := e.name(e.next())
			sum := new(big.Int).Add(number(r[name]), number(e.operand()))
			r[name] = Value{"N": sum.String()}
		case "SET", ",":
			name := e.name(e.next())
			e.next()
			var v Value
			if e.take("if_not_exists") {
				e.next()
				old := e.operand()
				e.next()
				if v = e.operand(); old != nil {
					v = old
				}
				e.next()
			} else {
				v = e.operand()
			}
			r[name] = v
		default:
			return invalid("update expression %s", source)
		}
	}
	return nil
}
