package file_test

import (
	"path/filepath"
	"testing"

	"chatconf/shared/table"
	"chatconf/shared/table/file"
	"chatconf/shared/table/tabletest"
)

func TestTable(t *testing.T) {
	tabletest.Run(t, func(t *testing.T, o tabletest.Options) table.Table {
		db := open(t, filepath.Join(t.TempDir(), "table.db"), file.Options{Now: o.Now})
		return db.Table("items", file.TableOptions{TTL: o.TTL})
	}, tabletest.Caps{})
}

// open opens a file that is closed when the test ends.
func open(t testing.TB, path string, o file.Options) *file.DB {
	t.Helper()
	db, err := file.Open(path, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}
