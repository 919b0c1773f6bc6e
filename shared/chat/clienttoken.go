package chat

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"chatconf/shared/fault"
	"chatconf/shared/table"
)

// clientTokens keeps the answer to each request with a ClientToken, so that a repeated request gets
// the same answer and changes nothing.
type clientTokens struct {
	table table.Table
	keys  [][]byte // MAC keys for the parameters, current first
	now   func() time.Time
}

// A tokenEntry is the answer to a ClientToken, stored under clientTokenPrefix and a hash of the
// token. The write that made the change also writes the entry.
type tokenEntry struct {
	Action string          `json:"action"`
	Sum    []byte          `json:"sum"` // MAC of the parameters
	Answer json.RawMessage `json:"answer"`
	At     time.Time       `json:"at"`
}

// An intent is an action with its parameters, for a ClientToken.
type intent struct {
	action string
	token  string   // empty without a ClientToken
	sums   [][]byte // MAC of the parameters under each key, current first
}

// intent returns the intent of an action; in is a pointer to the request.
func (t *clientTokens) intent(action, token string, in any) intent {
	if token == "" {
		return intent{action: action}
	}
	parameters := canonical(in)
	sums := make([][]byte, len(t.keys))
	for i, key := range t.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write(parameters)
		sums[i] = mac.Sum(nil)
	}
	return intent{action: action, token: token, sums: sums}
}

// canonical returns all fields of a request unambiguously, including secrets. Only a MAC may use
// the result.
func canonical(in any) []byte {
	var b bytes.Buffer
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		field := v.Field(i)
		name := v.Type().Field(i).Name
		// The token is stored by region already. Zero fields are left out, so that parameters added
		// later do not change the result for requests without them.
		if name == "ClientToken" || name == "RegionID" || field.IsZero() {
			continue
		}
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		var text string
		if field.Kind() == reflect.String {
			text = field.String() // not by its methods, which mask secrets
		} else {
			text = fmt.Sprintf("%#v", field.Interface()) // maps print in the order of their keys
		}
		fmt.Fprintf(&b, "%s=%d:%s;", name, len(text), text)
	}
	return b.Bytes()
}

// A repeat is the stored answer to an intent.
type repeat struct {
	answer []byte // the first answer; nil if none yet
	put    table.Condition
	sweep  []table.Delete // expired entries, which the next write deletes
}

// recall looks up the answer to the intent's token. It also finds expired entries next to it.
// Hashes spread evenly, so deleting a few expired entries with every write bounds their number.
func (t *clientTokens) recall(ctx context.Context, c scope, i intent) (repeat, error) {
	if i.token == "" {
		return repeat{}, nil
	}
	const neighbours = 4
	key := i.key()
	items, err := t.table.Query(ctx, table.Range{
		Partition: c.partition(),
		Prefix:    clientTokenPrefix,
		After:     key[:len(key)-1], // just before the key itself
		Limit:     1 + neighbours,
	})
	if err != nil {
		return repeat{}, err
	}
	found := repeat{put: table.Absent()}
	for _, item := range items {
		var entry tokenEntry
		if err := json.Unmarshal(item.Value, &entry); err != nil {
			return repeat{}, fmt.Errorf("chat: item %q: %w", item.Sort, err)
		}
		old := t.now().Sub(entry.At) >= clientTokenAge
		switch {
		case item.Sort == key && old:
			found.put = table.AtRevision(item.Revision)
		case item.Sort == key && !i.matches(entry):
			return repeat{}, &fault.Error{Code: fault.IdempotencyMismatch, Param: "ClientToken",
				Message: "ClientToken was used for another action or with other parameters."}
		case item.Sort == key:
			found.answer = entry.Answer
		case old:
			found.sweep = append(found.sweep, table.Delete{Sort: item.Sort, If: table.AtRevision(item.Revision)})
		}
	}
	return found, nil
}

func (i intent) key() string {
	sum := sha256.Sum256([]byte(i.token))
	return clientTokenPrefix + hex.EncodeToString(sum[:16])
}

func (i intent) matches(entry tokenEntry) bool {
	return entry.Action == i.action &&
		slices.ContainsFunc(i.sums, func(sum []byte) bool { return hmac.Equal(sum, entry.Sum) })
}

// remember adds the answer to its change. The entry comes first: of two requests with one token,
// the second then gets the answer, not an error about the change of the first.
func (t *clientTokens) remember(i intent, known repeat, answer any, to *table.Change) error {
	if i.token == "" {
		return nil
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("chat: encode answer: %w", err)
	}
	now := t.now().UTC()
	value, err := json.Marshal(tokenEntry{Action: i.action, Sum: i.sums[0], Answer: text, At: now})
	if err != nil {
		return fmt.Errorf("chat: encode answer: %w", err)
	}
	put := table.Put{Sort: i.key(), Value: value, Revision: now.UnixNano(), If: known.put}
	to.Puts = append([]table.Put{put}, to.Puts...)
	to.Deletes = append(to.Deletes, known.sweep...)
	return nil
}

// repeat decodes the first answer into answer.
func (r repeat) repeat(answer any) error {
	if err := json.Unmarshal(r.answer, answer); err != nil {
		return fmt.Errorf("chat: stored answer: %w", err)
	}
	return nil
}
