package chat

import (
	"encoding/json"
	"time"

	"chatconf/shared/fault"
	"chatconf/shared/page"
)

// checkPageSize returns an error unless n is absent or a valid MaxResults.
func checkPageSize(n *int64) error {
	if n != nil && (*n < 1 || *n > MaxResults) {
		return fault.Invalid("MaxResults", "MaxResults is %d; use 1 to %d.", *n, MaxResults)
	}
	return nil
}

// pageSize returns the maximum number of results of a page, for a checked MaxResults.
func pageSize(n *int64) int {
	if n == nil {
		return DefaultResults
	}
	return int(*n)
}

// A cursor is the place where the next page of a list begins.
type cursor struct {
	Range int `json:"l,omitempty"` // index into the selection's keyRanges
	// the last name read in that range; with Rest, the name of the configuration to continue in
	After string `json:"a,omitempty"`
	// in a list of parts of configurations: the last part returned
	Rest  string `json:"r,omitempty"`
	Total *int64 `json:"t,omitempty"` // number of configurations when the first page was read
	// in a list since a relative time: what it was when the first page was read
	Since *time.Time `json:"s,omitempty"`
}

// cursors makes page tokens of cursors.
type cursors struct{ pages *page.Codec }

// parse returns the cursor of a token that was made for the same list.
func (c cursors) parse(token string, scope []string) (cursor, error) {
	var cur cursor
	if token == "" {
		return cur, nil
	}
	text, err := c.pages.Decode(token, scope...)
	if err == nil {
		err = json.Unmarshal(text, &cur)
	}
	if err != nil || cur.Range < 0 {
		return cursor{}, &fault.Error{Code: fault.InvalidNextToken, Param: "NextToken",
			Message: "NextToken does not belong to this list. Use it with the parameters of the first page, or " +
				"start again without NextToken."}
	}
	return cur, nil
}

// token returns the page token of a cursor, valid for one list; empty for nil.
func (c cursors) token(cur *cursor, scope []string) string {
	if cur == nil {
		return ""
	}
	text, _ := json.Marshal(cur) // a struct of numbers and text
	return c.pages.Encode(text, scope...)
}
