package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
)

// The layout of a bbolt file, version 2, in the machine's byte order; bbolt's internal/common/{page,meta,inode,bucket}.go.
//
//	page     id uint64 | flags uint16 | count uint16 | overflow uint32 | content; overflow more pages follow as one
//	meta     magic uint32 | version uint32 | page size uint32 | flags uint32 | root bucket | free list's page uint64 |
//	         pages in use uint64 | transaction uint64 | FNV-1a of all before uint64
//	branch   count × (key's place from here uint32 | key's size uint32 | page uint64), keys
//	leaf     count × (flags uint32 | key's place from here uint32 | key's size uint32 | value's size uint32), keys and values
//	free     count × page uint64; a count of 65535 stands for the one in the first element
//	bucket   root page uint64 | sequence uint64 | if the root is 0, a leaf page
const (
	pageHeader  = 16
	metaSize    = 64
	elementSize = 16
	bucketSize  = 16

	metaMagic   = 0xED0CDAED
	metaVersion = 2

	branchFlag   = 0x01
	leafFlag     = 0x02
	metaFlag     = 0x04
	freelistFlag = 0x10

	bucketLeafFlag = 0x01

	noFreelist = math.MaxUint64

	maxDepth = 64 // of a tree of pages, and of buckets in buckets
)

var order = binary.NativeEndian

// An inspector reads a bbolt file as bbolt does, but trusts nothing in it: bbolt panics over some kinds of damage, follows
// others out of its mapping, and may overwrite good pages after yet others.
type inspector struct {
	r        io.ReaderAt
	pageSize int64
	pages    uint64 // in use
	used     []bool // pages seen, by id
	format   map[string]string
}

// inspect reads the whole file and returns what is in its format bucket, nil if it has none. It is an ErrForeign when the
// file is no bbolt file, and an ErrDamaged when it is not a sound one. Bytes in values are not checked: nothing in the file could tell.
func inspect(f *os.File) (map[string]string, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	in := inspector{r: f}
	meta, err := in.meta(info.Size())
	if err != nil {
		return nil, err
	}
	if err := in.freelist(meta.freelist); err != nil {
		return nil, err
	}
	if err := in.tree(meta.root, nil, nil, nil, 0); err != nil {
		return nil, err
	}
	return in.format, nil
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

type meta struct {
	root, freelist, pages, transaction uint64
}

// meta reads the two meta pages and returns the newer one. Both must be sound: a meta is 64 bytes inside one sector of a
// disk, so that no crash tears it, and if one is bad then something else has been at work, perhaps on the newer.
func (in *inspector) meta(size int64) (meta, error) {
	var head [pageHeader + metaSize]byte
	if size == 0 {
		return meta{}, fmt.Errorf("%w: it is empty", ErrForeign)
	}
	if _, err := in.r.ReadAt(head[:], 0); errors.Is(err, io.EOF) {
		return meta{}, fmt.Errorf("%w: %d bytes are too few", ErrForeign, size)
	} else if err != nil {
		return meta{}, err
	}
	if order.Uint32(head[pageHeader:]) != metaMagic {
		return meta{}, fmt.Errorf("%w: it does not begin as a bbolt file does", ErrForeign)
	}
	in.pageSize = int64(order.Uint32(head[pageHeader+8:]))
	if in.pageSize < 512 || in.pageSize > 1<<24 || in.pageSize&(in.pageSize-1) != 0 {
		return meta{}, damaged("its page size is %d", in.pageSize)
	}
	if size < 4*in.pageSize {
		return meta{}, damaged("it has %d bytes, less than four pages of %d", size, in.pageSize)
	}
	var metas [2]meta
	for i := range metas {
		if _, err := in.r.ReadAt(head[:], int64(i)*in.pageSize); err != nil {
			return meta{}, err
		}
		m, err := parseMeta(head[:], uint64(i), in.pageSize)
		if err != nil {
			return meta{}, err
		}
		metas[i] = m
	}
	m := metas[0]
	if metas[1].transaction > m.transaction {
		m = metas[1]
	}
	if m.pages > uint64(size/in.pageSize) {
		return meta{}, damaged("it has %d bytes, but %d pages of %d: its end is missing", size, m.pages, in.pageSize)
	}
	in.pages = m.pages
	in.used = make([]bool, m.pages)
	in.used[0], in.used[1] = true, true
	return m, nil
}

func parseMeta(b []byte, id uint64, pageSize int64) (meta, error) {
	h := fnv.New64a()
	h.Write(b[pageHeader : pageHeader+metaSize-8])
	m := b[pageHeader:]
	switch {
	case order.Uint64(b) != id || order.Uint16(b[8:]) != metaFlag || order.Uint16(b[10:]) != 0 || order.Uint32(b[12:]) != 0 ||
		order.Uint32(m) != metaMagic || int64(order.Uint32(m[8:])) != pageSize:
		return meta{}, damaged("page %d is not a meta page", id)
	case order.Uint32(m[4:]) != metaVersion:
		return meta{}, fmt.Errorf("%w: its bbolt version is %d, wanted %d", ErrForeign, order.Uint32(m[4:]), metaVersion)
	case order.Uint64(m[56:]) != h.Sum64():
		return meta{}, damaged("the checksum of meta page %d is wrong", id)
	case order.Uint64(m[40:]) < 4:
		return meta{}, damaged("meta page %d counts %d pages", id, order.Uint64(m[40:]))
	}
	return meta{root: order.Uint64(m[16:]), freelist: order.Uint64(m[32:]), pages: order.Uint64(m[40:]), transaction: order.Uint64(m[48:])}, nil
}

// page reads a page with its overflow, notes that its pages are in use, and returns its bytes.
func (in *inspector) page(id uint64) ([]byte, error) {
	var header [pageHeader]byte
	if id < 2 || id >= in.pages {
		return nil, damaged("page %d is named, of %d", id, in.pages)
	}
	if _, err := in.r.ReadAt(header[:], int64(id)*in.pageSize); err != nil {
		return nil, err
	}
	n := uint64(order.Uint32(header[12:])) + 1
	if order.Uint64(header[:]) != id || n > in.pages-id {
		return nil, damaged("page %d has a wrong header", id)
	}
	if err := in.use(id, n); err != nil {
		return nil, err
	}
	b := make([]byte, int64(n)*in.pageSize)
	if _, err := in.r.ReadAt(b, int64(id)*in.pageSize); err != nil {
		return nil, err
	}
	return b, nil
}

// use notes that n pages from id on are in use, which they may be only once.
func (in *inspector) use(id, n uint64) error {
	for i := id; i < id+n; i++ {
		if in.used[i] {
			return damaged("page %d is used twice", i)
		}
		in.used[i] = true
	}
	return nil
}

// freelist reads the list of free pages. That one of them is in use as well would make bbolt overwrite it.
func (in *inspector) freelist(id uint64) error {
	if id == noFreelist {
		return nil
	}
	b, err := in.page(id)
	if err != nil {
		return err
	}
	if order.Uint16(b[8:]) != freelistFlag {
		return damaged("page %d is not the list of free pages", id)
	}
	count, ids := uint64(order.Uint16(b[10:])), b[pageHeader:]
	if count == math.MaxUint16 {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return damaged("the list of free pages counts %d", count)
	}
	for i := range count {
		free := order.Uint64(ids[8*i:])
		if free < 2 || free >= in.pages {
			return damaged("page %d is free, of %d", free, in.pages)
		}
		if err := in.use(free, 1); err != nil {
			return err
		}
	}
	return nil
}

// tree reads the page with the given id and all below it. Their keys must be at least low and less than high, if those are not
// nil. path is the names of the buckets that it is in.
func (in *inspector) tree(id uint64, low, high []byte, path []string, depth int) error {
	if depth > maxDepth {
		return damaged("page %d is more than %d pages deep", id, maxDepth)
	}
	b, err := in.page(id)
	if err != nil {
		return err
	}
	switch flags, count := order.Uint16(b[8:]), int(order.Uint16(b[10:])); {
	case flags == leafFlag:
		return in.leaf(id, b, low, high, path)
	case flags != branchFlag:
		return damaged("page %d is neither branch nor leaf", id)
	case count == 0 || pageHeader+count*elementSize > len(b):
		return damaged("branch page %d has %d elements", id, count)
	default:
		return in.branch(id, b, count, low, high, path, depth)
	}
}

func (in *inspector) branch(id uint64, b []byte, count int, low, high []byte, path []string, depth int) error {
	keys := make([][]byte, count+1)
	for i := range count {
		e := pageHeader + i*elementSize
		key, ok := slice(b, e, order.Uint32(b[e:]), order.Uint32(b[e+4:]))
		var before []byte
		if i > 0 {
			before = keys[i-1]
		}
		if !ok || !inOrder(before, key, low, high) {
			return damaged("key %d of branch page %d is out of place", i, id)
		}
		keys[i] = key
	}
	keys[count] = high
	for i := range count {
		child := order.Uint64(b[pageHeader+i*elementSize+8:])
		if err := in.tree(child, keys[i], keys[i+1], path, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (in *inspector) leaf(id uint64, b []byte, low, high []byte, path []string) error {
	count := int(order.Uint16(b[10:]))
	if pageHeader+count*elementSize > len(b) {
		return damaged("leaf page %d has %d elements", id, count)
	}
	var before []byte
	for i := range count {
		e := pageHeader + i*elementSize
		flags, place, size := order.Uint32(b[e:]), order.Uint32(b[e+4:]), order.Uint32(b[e+8:])
		key, ok := slice(b, e, place, size)
		value, fits := slice(b, e, place+size, order.Uint32(b[e+12:]))
		if !ok || !fits || place > math.MaxUint32-size || len(key) == 0 || !inOrder(before, key, low, high) {
			return damaged("key %d of leaf page %d is out of place", i, id)
		}
		before = key
		switch {
		case flags == bucketLeafFlag:
			if err := in.bucket(id, value, append(path[:len(path):len(path)], string(key))); err != nil {
				return err
			}
		case flags != 0:
			return damaged("key %d of leaf page %d has flags %#x", i, id, flags)
		case len(path) == 1 && path[0] == formatBucket:
			in.format[string(key)] = string(value)
		}
	}
	return nil
}

// bucket reads the bucket whose value on leaf page id is b.
func (in *inspector) bucket(id uint64, b []byte, path []string) error {
	if len(path) > maxDepth {
		return damaged("page %d is more than %d buckets deep", id, maxDepth)
	}
	if len(b) < bucketSize {
		return damaged("a bucket on page %d has %d bytes", id, len(b))
	}
	if len(path) == 1 && path[0] == formatBucket {
		in.format = make(map[string]string)
	}
	if root := order.Uint64(b); root != 0 {
		return in.tree(root, nil, nil, path, 0)
	}
	inline := b[bucketSize:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != leafFlag {
		return damaged("a bucket on page %d has no sound page inside", id)
	}
	return in.leaf(id, inline, nil, nil, path)
}

// slice returns the size bytes of b that begin place bytes after offset, and whether they are there.
func slice(b []byte, offset int, place, size uint32) ([]byte, bool) {
	start := int64(offset) + int64(place)
	end := start + int64(size)
	if end > int64(len(b)) {
		return nil, false
	}
	return b[start:end:end], true
}

// inOrder reports whether key comes after the one before it, and is within low and high. Each but key may be nil, for none.
func inOrder(before, key, low, high []byte) bool {
	return (before == nil || bytes.Compare(before, key) < 0) &&
		(low == nil || bytes.Compare(low, key) <= 0) &&
		(high == nil || bytes.Compare(key, high) < 0)
}
