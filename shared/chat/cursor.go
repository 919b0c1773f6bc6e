package chat

import (
	"encoding/json"

	"chatconf/shared/fault"
	"chatconf/shared/page"
)

// pageSize returns the maximum number of results of a page.
func pageSize(given *int64) (int, error) {
	if given == nil {
		return DefaultResults, nil
	}
	if *given < 1 || *given > MaxResults {
		return 0, fault.Invalid("MaxResults", "MaxResults is %d; use 1 to %d.", *given, MaxResults)
	}
	return int(*given), nil
}

// A cursor is the place where the next page of a list begins.
type cursor struct {
	Range int `json:"l,omitempty"` // index into the selection's keyRanges
	// the last name read in that range; with Rest, the name of the configuration to continue in
	After string `json:"a,omitempty"`
	// in a list of parts of configurations: the last part returned
	Rest  string `json:"r,omitempty"`
	Total *int64 `json:"t,omitempty"` // number of configurations when the first page was read
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

// token returns the page token of a cursor, valid for one list.
func (c cursors) token(cur *cursor, scope []string) (string, error) {
	text, err := json.Marshal(cur)
	if err != nil {
		return "", err
	}
	return c.pages.Encode(text, scope...), nil
}
