package plainbuffer

import "encoding/binary"

// crc8Table is that of CRC-8 with the polynomial x⁸+x²+x+1, the header checksum of ATM (ITU-T
// I.432.1), without its final XOR.
var crc8Table = makeTable(0x07)

func makeTable(polynomial byte) (table [256]byte) {
	for i := range table {
		crc := byte(i)
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ polynomial
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}

func crc8Byte(crc, b byte) byte { return crc8Table[crc^b] }

func crc8(crc byte, b []byte) byte {
	for _, c := range b {
		crc = crc8Table[crc^c]
	}
	return crc
}

func crc8Uint64(crc byte, n uint64) byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return crc8(crc, b[:])
}

// checksum returns the cell's checksum: over name, value, timestamp and operation. In the encoding,
// the operation comes before the timestamp.
func (c *Cell) checksum() byte {
	crc := crc8(0, c.Name)
	if c.HasValue {
		crc = c.Value.checksum(crc)
	}
	if c.HasTimestamp {
		crc = crc8Uint64(crc, uint64(c.Timestamp))
	}
	if c.Op != 0 {
		crc = crc8Byte(crc, byte(c.Op))
	}
	return crc
}

func (v Value) checksum(crc byte) byte {
	crc = crc8Byte(crc, byte(v.Type))
	switch v.Type {
	case Integer, Double:
		return crc8Uint64(crc, v.Bits)
	case Boolean:
		return crc8Byte(crc, byte(v.Bits))
	case String, Blob:
		var n [4]byte
		binary.LittleEndian.PutUint32(n[:], uint32(len(v.Data)))
		return crc8(crc8(crc, n[:]), v.Data)
	}
	return crc
}
