package ots

import (
	"math"
	"strings"
	"unicode/utf8"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// Limits of the service, from its error messages and
// https://www.alibabacloud.com/help/en/tablestore/product-overview/general-limits.
const (
	maxName         = 255
	maxKeyColumns   = 4
	maxDefined      = 32
	maxIndexes      = 5
	maxTables       = 64
	maxCellValue    = 2 << 20
	maxCells        = 1024 // per write
	maxColumnsToGet = 1024
	maxWrite        = 4 << 20 // bytes per put, update or batch
	maxBody         = 5 << 20
	maxRowsGet      = 100
	maxRowsWrite    = 200
	maxTimestamp    = math.MaxInt64 / 1000 // exclusive
	maxDeviation    = math.MaxInt64 / 1000000
)

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// validName reports whether s is a valid name of a table or of a primary key column.
func validName(s string) bool {
	return validID(s) && !(s[0] >= '0' && s[0] <= '9') && !strings.Contains(s, "-")
}

// validID reports whether s is a valid name of an instance or id of a transaction.
func validID(s string) bool {
	return s != "" && len(s) <= maxName && strings.Trim(s, alphanumeric+"_-") == ""
}

func checkTableName(name string) error {
	if !validName(name) {
		return invalid("Invalid table name: '%s'.", name)
	}
	return nil
}

// checkColumnName returns an error if name is invalid for an attribute column. The service accepts
// more than it documents: the vendor's suites use other scripts, hyphens, dots and blanks.
func checkColumnName(name string) error {
	if name == "" || len(name) > maxName || name[0] == '#' || !utf8.ValidString(name) {
		return invalid("Invalid column name: '%s'.", name)
	}
	return nil
}

func isAttribute(t plainbuffer.Type) bool {
	switch t {
	case plainbuffer.Integer, plainbuffer.Double, plainbuffer.Boolean, plainbuffer.String, plainbuffer.Blob:
		return true
	}
	return false
}

func tooLong(name []byte, v plainbuffer.Value) error {
	return invalid("The length of attribute column: '%s' exceeds the MaxLength:%d with CurrentLength:%d.",
		name, maxCellValue, len(v.Data))
}

// checkValue returns an error if v cannot be stored in an attribute. The name is for the message.
func checkValue(name []byte, v plainbuffer.Value) error {
	switch {
	case !isAttribute(v.Type):
		return invalid("%s is an invalid type for the attribute column.", v.Type)
	case len(v.Data) > maxCellValue:
		return tooLong(name, v)
	case v.Type == plainbuffer.String && !utf8.Valid(v.Data):
		return invalid("Value of column '%s' must be UTF8 encoding.", name)
	case v.Type == plainbuffer.Double && math.IsNaN(v.Float()):
		return invalid("NaN can't be set to double value.")
	case v.Type == plainbuffer.Double && math.IsInf(v.Float(), 0):
		return invalid("Infinity can't be set to double value.")
	}
	return nil
}
