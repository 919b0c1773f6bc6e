package journal

import (
	"context"

	"chatconf/shared/fault"
)

// RecordVersion is the only version of stored records that this code writes and reads.
const RecordVersion = 1

// storeError turns an error of the table into one for the caller.
func storeError(ctx context.Context, what string, err error) error {
	return fault.Wrap(ctx, "journal: "+what, err)
}
