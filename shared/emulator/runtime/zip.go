package runtime

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"chatconf/shared/scratch"
)

// maxUnpacked limits the size of an unpacked archive: Lambda's limit,
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
const maxUnpacked = 250 << 20

var errUnpacked = errors.New("the archive holds more than 250 MiB")

// tempPrefix is the prefix of folders with unpacked archives. No other program uses it.
const tempPrefix = "chatconf-function-"

// unpack writes the files of an archive to a new folder and keeps their modes. It refuses paths
// outside the folder, links and devices.
func unpack(path string) (*scratch.Folder, error) {
	r, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	defer r.Close()
	folder, err := scratch.New("", tempPrefix)
	if err != nil {
		return nil, err
	}
	if err := unpackTo(folder.Path(), &r.Reader); err != nil {
		folder.Remove()
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	return folder, nil
}

func unpackTo(dir string, r *zip.Reader) error {
	left := int64(maxUnpacked)
	for _, f := range r.File {
		if !filepath.IsLocal(f.Name) {
			return fmt.Errorf("the path %q is outside the archive", f.Name)
		}
		to := filepath.Join(dir, filepath.FromSlash(f.Name))
		if f.Mode().IsDir() {
			if err := os.MkdirAll(to, 0o755); err != nil {
				return err
			}
			continue
		}
		if !f.Mode().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a folder", f.Name)
		}
		if f.UncompressedSize64 > uint64(left) {
			return errUnpacked
		}
		left -= int64(f.UncompressedSize64) // archive/zip does not read more than that
		if err := unpackFile(to, f); err != nil {
			return err
		}
	}
	return nil
}

func unpackFile(to string, f *zip.File) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	from, err := f.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode().Perm()|0o400)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	return errors.Join(err, out.Close())
}
