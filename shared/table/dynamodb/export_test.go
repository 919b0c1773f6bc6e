package dynamodb

import (
	"context"
	"time"
)

// SetSleep puts f in the place of the table's pauses.
func SetSleep(t *Table, f func(ctx context.Context, d time.Duration) error) { t.sleep = f }
