package chat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"chatconf/deploy/schema"
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/platform"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestMain runs the tests. Every Configuration that one of them has checked is also held against
// the schema of its platform: what is accepted must be valid, and what is refused must not be,
// unless a schema cannot say why.
func TestMain(m *testing.M) {
	agreement := agreement{schemas: make(map[string]*jsonschema.Schema)}
	for _, p := range platform.All().Descriptions() {
		agreement.schemas[p.Type] = schemaOf(p)
	}
	chat.Settled = agreement.settled
	code := m.Run()
	for _, text := range agreement.found {
		fmt.Println(text)
		code = 1
	}
	os.Exit(code)
}

func schemaOf(p command.Platform) *jsonschema.Schema {
	name := "configuration-" + strings.ToLower(p.Type) + ".json"
	text, err := schema.Made(name)
	if err != nil {
		panic(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		panic(err)
	}
	return c.MustCompile(name)
}

// An agreement of the checks and the schemas.
type agreement struct {
	schemas map[string]*jsonschema.Schema // by Type
	mu      sync.Mutex
	found   []string // disagreements
}

// unsayable are parts of the errors for what a schema cannot say: it depends on other values, or on
// the meaning of a text.
var unsayable = regexp.MustCompile(strings.Join([]string{
	// the document
	`is given twice`, `is the same setting as`, `nested more than`, `\d+ bytes( as it is stored)?; the most`,
	// one value and another
	`is the same (word|name|parameter)`, `is an alias`, `differs from .* only in case`,
	`is less than Min`,
	`matches (no|none)`, `is not among UserGroups`, `is not a parameter of the action`,
	`declares this parameter`,
	`cannot be given`, `is never used for`, `does not apply to a (Deny|Target)`, `has no dry run`, `is a Secret`,
	`a Secret cannot have`, `a Deny does not match`, `is masked`, `seconds from 1 to`, `must not be in a policy`,
	`too much to compare`, `too large together`,
	// the meaning of a text
	`built-in command`, `always allowed`, `not a word`, `regular expression`, `is not a role`, `takes too long`,
	`typed in a message`, `is not text`, `is a number of characters`, `is what a sender writes`,
	`is not a whole number`,
	`in base64`, `https URL`, `use a host`, `host "`, `invalid port`, `has a (zone|part)`, `characters; the limit`,
	`write other letters`, `ARN of a state machine`, `"\$\{"`, `256 bytes`, `names a user whose id`,
	`"[^"]*" is not (one of|a whole)`, `is not xapp-`, `\de\d+" is not`,
}, "|"))

// settled compares the result of a check with the schema.
func (a *agreement) settled(p command.Platform, text string, err error) {
	var doc map[string]any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if !json.Valid([]byte(text)) || decoder.Decode(&doc) != nil || doc == nil {
		return // it is no object
	}
	renamed := make(map[string]any) // a schema knows only our keys
	for key, value := range doc {
		if ours, ok := chat.KeyOf(p, key); ok && ours != key {
			if _, isList := value.([]any); ours == command.KeyConversationIDs && !isList {
				value = []any{value}
			}
			key = ours
		}
		renamed[key] = value
	}
	invalid := a.schemas[p.Type].Validate(renamed)
	var problem string
	switch {
	case err == nil && invalid != nil:
		problem = fmt.Sprintf("it is accepted, and the schema says: %v", invalid)
	case err != nil && invalid == nil && !unsayable.MatchString(err.Error()):
		problem = fmt.Sprintf("it is valid, and refused: %v", err)
	default:
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.found) < 20 {
		a.found = append(a.found, fmt.Sprintf("the schema of %s and the checks differ about %.1000s: %s", p.Type, text,
			problem))
	}
}

// The form of a Configuration has every key that the checks know.
func TestFormHasEveryKey(t *testing.T) {
	for _, p := range platform.All().Descriptions() {
		form := chat.FormOf(p)
		var got []string
		for _, field := range form.Fields {
			got = append(got, field.Key)
			if field.Help == "" {
				t.Errorf("%s: %s has no help", p.Type, field.Key)
			}
		}
		want := make([]string, len(p.Settings))
		for i, s := range p.Settings {
			want[i] = s.Key
		}
		if want = append(want, chat.CommonKeys()...); !slices.Equal(got, want) {
			t.Errorf("%s: the form has %q, want %q", p.Type, got, want)
		}
	}
}
