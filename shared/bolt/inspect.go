package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
)

// The layout of a bbolt file, version 2, in the machine's byte order; bbolt's
// internal/common/{page,meta,inode,bucket}.go.
//
//	page     id uint64 | flags uint16 | count uint16 | overflow uint32 | content;
//	         overflow is the number of further pages that continue this one
//	meta     magic uint32 | version uint32 | page size uint32 | flags uint32 | root bucket |
//	         free list's page uint64 | pages in use uint64 | transaction uint64 |
//	         FNV-1a of all before uint64
//	branch   count × (key's offset uint32 | key's size uint32 | page uint64), keys
//	leaf     count × (flags uint32 | key's offset uint32 | key's size uint32 |
//	         value's size uint32), keys and values; an offset counts from the start of its element
//	free     count × page uint64; if count is 65535, the first element is the count
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

	maxDepth = 64 // levels of a tree
)

var order = binary.NativeEndian

// An inspector reads a bbolt file and trusts nothing in it. Damage makes bbolt panic, read past its
// mapping, or overwrite good pages.
type inspector struct {
	r        io.ReaderAt
	pageSize int64
	pages    uint64 // in use
	used     []bool // pages that are referenced or free, by id
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

type meta struct {
	root, freelist, pages, transaction uint64
}

// readMeta reads the two meta pages and returns the newer one. Both must be sound. A meta page is
// 64 bytes inside one sector, which a crash cannot tear; so a bad one has another cause, which may
// have damaged the newer one.
func (in *inspector) readMeta(size int64) (meta, error) {
	var head [pageHeader + metaSize]byte
	if size == 0 {
		return meta{}, fmt.Errorf("%w: it is empty", ErrForeign)
	}
	if _, err := in.r.ReadAt(head[:], 0); errors.Is(err, io.EOF) {
		return meta{}, fmt.Errorf("%w: it has only %d bytes", ErrForeign, size)
	} else if err != nil {
		return meta{}, err
	}
	if order.Uint32(head[pageHeader:]) != metaMagic {
		return meta{}, fmt.Errorf("%w: it is not a bbolt file", ErrForeign)
	}
	in.pageSize = int64(order.Uint32(head[pageHeader+8:]))
	if in.pageSize < 512 || in.pageSize > 1<<24 || in.pageSize&(in.pageSize-1) != 0 {
		return meta{}, damaged("its page size is %d", in.pageSize)
	}
	if size < 4*in.pageSize {
		return meta{}, damaged("it has %d bytes, fewer than four pages of %d", size, in.pageSize)
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
		return meta{}, damaged("it has %d bytes, but should have %d pages of %d: its end is missing",
			size, m.pages, in.pageSize)
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
	case order.Uint64(b) != id || order.Uint16(b[8:]) != metaFlag || order.Uint16(b[10:]) != 0 ||
		order.Uint32(b[12:]) != 0 ||
		order.Uint32(m) != metaMagic || int64(order.Uint32(m[8:])) != pageSize:
		return meta{}, damaged("page %d is not a meta page", id)
	case order.Uint32(m[4:]) != metaVersion:
		return meta{}, fmt.Errorf("%w: its bbolt version is %d; this program reads only %d",
			ErrForeign, order.Uint32(m[4:]), metaVersion)
	case order.Uint64(m[56:]) != h.Sum64():
		return meta{}, damaged("the checksum of meta page %d is wrong", id)
	case order.Uint64(m[40:]) < 4:
		return meta{}, damaged("meta page %d counts %d pages", id, order.Uint64(m[40:]))
	}
	return meta{root: order.Uint64(m[16:]), freelist: order.Uint64(m[32:]), pages: order.Uint64(m[40:]),
		transaction: order.Uint64(m[48:])}, nil
}

// A level has the pages of one level of a tree, in order. It has no pointers to its keys, which
// spares the garbage collector.
type level struct {
	pages []levelPage
	keys  []byte // the first key of each page, as the branch above has it; that of the root is empty
}

type levelPage struct {
	id  uint64
	n   uint64 // number of pages with overflow; 0: unknown, see its header
	end int    // of its first key, in keys
}

func (v *level) add(id uint64, key []byte) {
	v.keys = append(v.keys, key...)
	v.pages = append(v.pages, levelPage{id: id, end: len(v.keys)})
}

// low returns the first key of page i; empty for the root.
func (v *level) low(i int) []byte {
	if i == 0 {
		return v.keys[:v.pages[0].end]
	}
	return v.keys[v.pages[i-1].end:v.pages[i].end]
}

// high returns the key that follows page i; nil if none.
func (v *level) high(i int) []byte {
	if i+1 == len(v.pages) {
		return nil
	}
	return v.low(i + 1)
}

// inspect checks the structure of a file: its meta pages, the list of free pages, the tree of
// buckets, and the branch pages of each bucket. It reads no leaf page of a bucket, so its time
// grows by only a hundredth of the size. The returned leaves, by bucket, must be checked before
// use. It also returns the content of the format bucket; nil if none.
//
// The error is ErrForeign if the file is not a bbolt file, and ErrDamaged if it is damaged. The
// bytes of values are not checked, because the file has no checksums.
func inspect(r io.ReaderAt, size int64) (format map[string]string, buckets map[string]*leaves, err error) {
	in := &inspector{r: r}
	meta, err := in.readMeta(size)
	if err != nil {
		return nil, nil, err
	}
	if err := in.freelist(meta.freelist); err != nil {
		return nil, nil, err
	}
	values, err := in.buckets(meta.root)
	if err != nil || values[formatBucket] == nil {
		return nil, nil, err
	}
	buckets = make(map[string]*leaves)
	for name, value := range values {
		each := func(_, _ []byte) {}
		if name == formatBucket {
			format = make(map[string]string)
			each = func(key, value []byte) { format[string(key)] = string(value) }
		}
		if buckets[name], err = in.bucket(value, each); err != nil {
			return nil, nil, err
		}
	}
	return format, buckets, in.overflow(buckets)
}

func (in *inspector) buckets(root uint64) (map[string][]byte, error) {
	all, err := in.tree(root)
	if err != nil {
		return nil, err
	}
	values := make(map[string][]byte)
	for i := range all.pages {
		if err := in.leaf(all, i, bucketLeafFlag, func(key, value []byte) { values[string(key)] = value }); err != nil {
			return nil, err
		}
	}
	for name, value := range values {
		if len(value) < bucketSize {
			return nil, damaged("bucket %.40q has %d bytes", name, len(value))
		}
	}
	return values, nil
}

// bucket reads the bucket with the given value. It reads a single leaf page completely, and calls
// each for its elements. For a larger bucket it returns the leaves.
func (in *inspector) bucket(b []byte, each func(key, value []byte)) (*leaves, error) {
	root := order.Uint64(b)
	if root == 0 {
		inline := b[bucketSize:]
		if len(inline) < pageHeader || order.Uint16(inline[8:]) != leafFlag {
			return nil, damaged("a bucket has no sound page inside")
		}
		return nil, elements(0, inline, nil, nil, 0, each)
	}
	all, err := in.tree(root)
	if err != nil {
		return nil, err
	}
	if len(all.pages) > 1 {
		return newLeaves(in, all), nil
	}
	return nil, in.leaf(all, 0, 0, each)
}

// read reads a page with its overflow and checks its header. It uses b if it has room.
func (in *inspector) read(id uint64, b []byte) ([]byte, error) {
	if id < 2 || id >= in.pages {
		return nil, noPage(id, in.pages)
	}
	if b == nil {
		b = make([]byte, in.pageSize)
	}
	if _, err := in.r.ReadAt(b, int64(id)*in.pageSize); err != nil {
		return nil, unreadable(id, err)
	}
	n := uint64(order.Uint32(b[12:])) + 1
	if order.Uint64(b) != id || n > in.pages-id {
		return nil, damaged("page %d has a wrong header", id)
	}
	if n > 1 {
		b = make([]byte, int64(n)*in.pageSize)
		if _, err := in.r.ReadAt(b, int64(id)*in.pageSize); err != nil {
			return nil, unreadable(id, err)
		}
	}
	return b, nil
}

func noPage(id, pages uint64) error {
	return damaged("a reference to page %d, but the file has %d pages", id, pages)
}

func unreadable(id uint64, err error) error {
	if errors.Is(err, io.EOF) {
		return damaged("page %d is missing: the file was shortened", id)
	}
	return fmt.Errorf("page %d: %w", id, err)
}

// use marks n pages from id on as used. A second use is damage.
func (in *inspector) use(id, n uint64) error {
	if id < 2 || id >= in.pages {
		return noPage(id, in.pages)
	}
	for i := id; i < id+n; i++ {
		if in.used[i] {
			return damaged("page %d is used twice", i)
		}
		in.used[i] = true
	}
	return nil
}

// freelist reads the list of free pages. bbolt would overwrite a page that is free and used.
func (in *inspector) freelist(id uint64) error {
	if id == noFreelist {
		return nil
	}
	b, err := in.read(id, nil)
	if err != nil {
		return err
	}
	if err := in.use(id, uint64(len(b))/uint64(in.pageSize)); err != nil {
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
		return damaged("the list of free pages has an impossible count of %d", count)
	}
	for i := range count {
		if err := in.use(order.Uint64(ids[8*i:]), 1); err != nil {
			return err
		}
	}
	return nil
}

// tree returns the leaves of the tree with the given root. It reads level by level; all leaves of
// bbolt are on one level.
func (in *inspector) tree(root uint64) (*level, error) {
	v := new(level)
	v.add(root, nil)
	for range maxDepth {
		first, err := in.read(v.pages[0].id, nil)
		if err != nil {
			return nil, err
		}
		if order.Uint16(first[8:]) == leafFlag {
			for _, p := range v.pages {
				if err := in.use(p.id, 1); err != nil {
					return nil, err
				}
			}
			return v, nil
		}
		if v, err = in.below(v); err != nil {
			return nil, err
		}
	}
	return nil, damaged("page %d is more than %d levels deep", v.pages[0].id, maxDepth)
}

func (in *inspector) below(v *level) (*level, error) {
	below := new(level)
	buffer := make([]byte, in.pageSize)
	for i, p := range v.pages {
		b, err := in.read(p.id, buffer)
		if err == nil {
			err = in.use(p.id, uint64(len(b))/uint64(in.pageSize))
		}
		if err == nil {
			err = below.addBranch(p.id, b, v.low(i), v.high(i))
		}
		if err != nil {
			return nil, err
		}
		if i == 0 { // the others have about the same size
			below.pages = slices.Grow(below.pages, (len(v.pages)-1)*len(below.pages))
			below.keys = slices.Grow(below.keys, (len(v.pages)-1)*len(below.keys))
		}
	}
	return below, nil
}

func (v *level) addBranch(id uint64, b, low, high []byte) error {
	count := int(order.Uint16(b[10:]))
	data := pageHeader + count*elementSize
	if order.Uint16(b[8:]) != branchFlag || count == 0 || data > len(b) {
		return damaged("branch page %d cannot have %d elements", id, count)
	}
	var before []byte
	for i := range count {
		e := pageHeader + i*elementSize
		key, ok := take(b, e, &data, order.Uint32(b[e:]), order.Uint32(b[e+4:]))
		if !ok || len(key) == 0 || !inOrder(i, before, key, low, high) {
			return damaged("key %d of branch page %d is out of place", i, id)
		}
		before = key
		v.add(order.Uint64(b[e+8:]), key)
	}
	return nil
}

// leaf checks leaf i of a tree whose elements have the given flags, and calls each for every
// element.
func (in *inspector) leaf(v *level, i int, flags uint32, each func(key, value []byte)) error {
	p := &v.pages[i]
	b, err := in.read(p.id, nil)
	if err != nil {
		return err
	}
	n := uint64(len(b)) / uint64(in.pageSize)
	if p.n == 0 {
		p.n = n
		if err := in.use(p.id+1, n-1); n > 1 && err != nil {
			return err
		}
	}
	if order.Uint16(b[8:]) != leafFlag || p.n != n {
		return damaged("page %d is not a leaf of %d pages", p.id, p.n)
	}
	if len(v.pages) > 1 && order.Uint16(b[10:]) == 0 {
		return damaged("leaf page %d is empty", p.id)
	}
	return elements(p.id, b, v.low(i), v.high(i), flags, each)
}

func elements(id uint64, b, low, high []byte, flags uint32, each func(key, value []byte)) error {
	count := int(order.Uint16(b[10:]))
	if pageHeader+count*elementSize > len(b) {
		return damaged("leaf page %d cannot have %d elements", id, count)
	}
	var before []byte
	data := pageHeader + count*elementSize
	for i := range count {
		e := pageHeader + i*elementSize
		place, size := order.Uint32(b[e+4:]), order.Uint32(b[e+8:])
		key, ok := take(b, e, &data, place, size)
		value, fits := take(b, e, &data, place+size, order.Uint32(b[e+12:]))
		if !ok || !fits || len(key) == 0 || !inOrder(i, before, key, low, high) {
			return damaged("key %d of leaf page %d is out of place", i, id)
		}
		if order.Uint32(b[e:]) != flags {
			return damaged("key %d of leaf page %d has the wrong flags %#x", i, id, order.Uint32(b[e:]))
		}
		before = key
		each(key, value)
	}
	return nil
}

// overflow assigns to every unread leaf the following pages that have no other use: they are its
// overflow. No page may remain, or bbolt could use it twice.
func (in *inspector) overflow(buckets map[string]*leaves) error {
	for _, b := range buckets {
		if b == nil {
			continue
		}
		for i := range b.pages {
			p := &b.pages[i]
			for p.n = 1; p.id+p.n < in.pages && !in.used[p.id+p.n]; p.n++ {
				in.used[p.id+p.n] = true
			}
			if p.n == 1 {
				continue
			}
			var header [pageHeader]byte
			if _, err := in.r.ReadAt(header[:], int64(p.id)*in.pageSize); err != nil {
				return unreadable(p.id, err)
			}
			if uint64(order.Uint32(header[12:]))+1 != p.n {
				return damaged("leaf page %d is followed by %d pages that do not belong to it", p.id, p.n-1)
			}
		}
	}
	for id, used := range in.used {
		if !used {
			return damaged("page %d is neither used nor free", id)
		}
	}
	return nil
}

// take returns size bytes of b, place bytes after offset, and moves data past them. It reports
// whether they start exactly at data, the end of the bytes before.
func take(b []byte, offset int, data *int, place, size uint32) ([]byte, bool) {
	start := int64(offset) + int64(place)
	end := start + int64(size)
	if start != int64(*data) || end > int64(len(b)) {
		return nil, false
	}
	*data = int(end)
	return b[start:end:end], true
}

// inOrder reports whether key i of a page comes after the key before it, and before high, if that
// is not nil. The first key must be low, if that is not empty: bbolt finds a page by its first key.
func inOrder(i int, before, key, low, high []byte) bool {
	if i == 0 && len(low) > 0 && !bytes.Equal(key, low) {
		return false
	}
	return (i == 0 || bytes.Compare(before, key) < 0) && (high == nil || bytes.Compare(key, high) < 0)
}
