package ots

import (
	"maps"
	"slices"
	"strings"

	"chatconf/shared/bolt"
)

// OpenFile opens the file of a Server that is closed.
func OpenFile(path string) (*bolt.DB, error) { return bolt.Open(path, fileOptions) }

// Operations returns the sorted names of all operations.
func Operations() []string {
	var names []string
	for path := range maps.Keys(operations) {
		names = append(names, strings.TrimPrefix(path, "/"))
	}
	slices.Sort(names)
	return names
}

// The messages of BulkImport, which the Go SDK lacks.
type (
	BulkImportRequest = bulkImportRequest
	BulkImportRow     = bulkImportRow
)
