package ots

import (
	"maps"
	"slices"
	"strings"
)

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
