package tabletest

import "chatconf/shared/table"

// NewMemory returns the model as a table.
func NewMemory(o Options) table.Table { return newMemory(o) }
