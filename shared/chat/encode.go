package chat

import (
	"bytes"
	"context"
	"encoding/json"
)

// journalVersion is the version of what this code writes; it reads no other.
const journalVersion = 1

// encodeItem returns v as JSON that keeps < > & as they are.
func encodeItem(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// journalError turns an error of the table into one for the caller.
func journalError(ctx context.Context, what string, err error) error {
	return Wrap(ctx, "journal: "+what, err)
}
