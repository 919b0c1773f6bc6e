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
	"time"

	"chatconf/shared/fault"
	"chatconf/shared/table"
)

// A tokenEntry is the answer that a ClientToken was given, under clientTokenPrefix and a hash of
// the token. It is written in the same write as what it answers for.
type tokenEntry struct {
	Action string          `json:"action"`
	Sum    []byte          `json:"sum"` // MAC of the parameters
	Answer json.RawMessage `json:"answer"`
	At     time.Time       `json:"at"`
}

// An intent is one action with one set of parameters, which a ClientToken stands for.
type intent struct {
	action string
	token  string   // empty: the caller gave none
	sums   [][]byte // MAC of the parameters under each key, current first
}

// newIntent describes the action with the parameters of in, a pointer to a request.
func (s *Service) newIntent(action, token string, in any) intent {
	if token == "" {
		return intent{action: action}
	}
	parameters := canonical(in)
	sums := make([][]byte, len(s.tokenKeys))
	for i, key := range s.tokenKeys {
		mac := hmac.New(sha256.New, key)
		mac.Write(parameters)
		sums[i] = mac.Sum(nil)
	}
	return intent{action: action, token: token, sums: sums}
}

// canonical returns all fields of a request, including secrets, without ambiguity. Only a MAC may
// use the result.
func canonical(in any) []byte {
	var b bytes.Buffer
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		field := v.Field(i)
		name := v.Type().Field(i).Name
		// RegionId is where the token is kept, and may be spelled or not.
		// zero: so that a parameter to come changes nothing for those who do not use it
		if name == "ClientToken" || name == "RegionID" || field.IsZero() {
			continue
		}
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		var text string
		if field.Kind() == reflect.String {
			text = field.String() // not by its methods: a Secret would be masked
		} else {
			text = fmt.Sprintf("%#v", field.Interface()) // maps print in the order of their keys
		}
		fmt.Fprintf(&b, "%s=%d:%s;", name, len(text), text)
	}
	return b.Bytes()
}

// A repeat is what is known of an intent before it is done.
type repeat struct {
	answer []byte // what it was answered the first time; nil: it was not done yet
	put    table.Condition
	sweep  []table.Delete // entries over age that the next write takes along
}

// recall looks up what the intent's token was answered. It also finds neighbours over age: tokens
// are spread evenly by their hash, so if every write removes a few of those next to its own, what
// is left behind stays bounded.
func (s *Service) recall(ctx context.Context, c scope, i intent) (repeat, error) {
	if i.token == "" {
		return repeat{}, nil
	}
	const neighbours = 4
	key := i.key()
	items, err := s.table.Query(ctx, table.Range{
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
		old := s.now().Sub(entry.At) >= clientTokenAge
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
	if entry.Action != i.action {
		return false
	}
	for _, sum := range i.sums {
		if hmac.Equal(sum, entry.Sum) {
			return true
		}
	}
	return false
}

// remember adds the answer to the change that makes it true. The entry comes first, so that of two
// requests with one token the second learns of the first rather than of what the first changed.
func (s *Service) remember(i intent, known repeat, answer any, to *table.Change) error {
	if i.token == "" {
		return nil
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("chat: encode answer: %w", err)
	}
	now := s.now().UTC()
	value, err := json.Marshal(tokenEntry{Action: i.action, Sum: i.sums[0], Answer: text, At: now})
	if err != nil {
		return fmt.Errorf("chat: encode answer: %w", err)
	}
	put := table.Put{Sort: i.key(), Value: value, Revision: now.UnixNano(), If: known.put}
	to.Puts = append([]table.Put{put}, to.Puts...)
	to.Deletes = append(to.Deletes, known.sweep...)
	return nil
}

// repeat reads the first answer into answer once more.
func (r repeat) repeat(answer any) error {
	if err := json.Unmarshal(r.answer, answer); err != nil {
		return fmt.Errorf("chat: stored answer: %w", err)
	}
	return nil
}
