package journal

import (
	"bytes"
	"chatconf/shared/fault"
	"context"
	"encoding/json"
)

// RecordVersion is the only version of stored records that this code writes and reads.
const RecordVersion = 1

// encode returns v as JSON that keeps < > & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// storeError turns an error of the table into one for the caller.
func storeError(ctx context.Context, what string, err error) error {
	return fault.Wrap(ctx, "journal: "+what, err)
}
