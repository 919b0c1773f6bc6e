package ots

import (
	"bytes"
	"time"

	"chatconf/shared/bolt"
)

// sweepPerWrite is how many rows each write to a table with a time to live checks for expiry. A
// larger number leaves fewer expired rows in the store.
const sweepPerWrite = 8

// sweep continues where the table's last sweep ended, and starts again at the end of the table. It
// runs only in updates, which run one at a time.
func (s *Server) sweep(tx *bolt.Tx, t *table, now time.Time) error {
	if t.TTL < 0 {
		return nil
	}
	var dead [][]byte
	rows, expiry := newDirect(tx, t, now), t.expiry(now)
	c := rows.bucket.Cursor()
	k, v := c.Seek(s.swept[t.id()])
	for n := 0; n < sweepPerWrite && k != nil; n++ {
		if r, err := readRow(k, v, expiry); err == nil && !r.exists() {
			dead = append(dead, bytes.Clone(k))
		}
		k, v = c.Next()
	}
	s.swept[t.id()] = bytes.Clone(k)
	for _, key := range dead {
		if err := rows.put(key, nil); err != nil {
			return err
		}
	}
	return nil
}
