package deploy

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"time"
)

// modified is the time of every file in a zip: the earliest time of the zip format. So the bytes of
// a zip depend only on its content.
var modified = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Zip returns a zip that contains one program under a name, executable by everyone. The same
// program always gives the same zip.
func Zip(name string, program []byte) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out, flate.BestCompression)
	})
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: modified}
	header.SetMode(0o755)
	f, err := w.CreateHeader(header)
	if err == nil {
		_, err = f.Write(program)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("deploy: zip %s: %w", name, err)
	}
	return b.Bytes(), nil
}
