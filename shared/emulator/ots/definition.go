package ots

import (
	"cmp"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"
)

// defaultDeviation is the largest difference in seconds between a cell's timestamp and now, unless
// the table sets another.
const defaultDeviation = 86400

// newTable checks the definition of a table and of its indexes.
func (s *Server) newTable(c *call, req *otsprotocol.CreateTableRequest) (*table, error) {
	meta := req.GetTableMeta()
	t := &table{
		Instance: c.instance, Name: meta.GetTableName(),
		TTL: -1, MaxVersions: 1, Deviation: defaultDeviation,
		Created: s.now().UnixMicro(), Increased: s.now().Unix(),
		// The SDKs for Python and Node cannot set it, and the Java suite does not.
		LocalTxn: req.EnableLocalTxn == nil || *req.EnableLocalTxn,
	}
	if err := checkTableName(t.Name); err != nil {
		return nil, err
	}
	if err := t.setKey(meta.GetPrimaryKey()); err != nil {
		return nil, err
	}
	if err := t.addDefined(meta.GetDefinedColumn()); err != nil {
		return nil, err
	}
	if err := t.setThroughput(req.GetReservedThroughput().GetCapacityUnit(), true); err != nil {
		return nil, err
	}
	if req.TableOptions != nil {
		t.UpdateFullRow = req.TableOptions.UpdateFullRow
		if err := t.setOptions(req.TableOptions); err != nil {
			return nil, err
		}
	}
	if err := s.setStream(t, req.GetStreamSpec()); err != nil {
		return nil, err
	}
	t.setEncryption(req.GetSseSpec())
	for _, m := range slices.Concat(meta.GetIndexMeta(), req.GetIndexMetas()) {
		ix, err := t.newIndex(m)
		if err != nil {
			return nil, err
		}
		t.indexes = append(t.indexes, ix)
	}
	return t, nil
}

func (t *table) setKey(columns []*otsprotocol.PrimaryKeySchema) error {
	if len(columns) == 0 || len(columns) > maxKeyColumns {
		return errKeySize
	}
	for i, m := range columns {
		k := keyColumn{Name: m.GetName(), Type: m.GetType(), Auto: m.Option != nil}
		switch {
		case !validName(k.Name):
			return invalid("Invalid column name: '%s'.", k.Name)
		case t.isKey(k.Name):
			return invalid("Duplicated primary key name: '%s'.", k.Name)
		case k.Type < otsprotocol.PrimaryKeyType_INTEGER || k.Type > otsprotocol.PrimaryKeyType_BINARY:
			return invalid("Invalid column type, only STRING,INTEGER,BINARY is allowed.")
		case k.Auto && i == 0:
			return invalid("First primary key can't be auto increment, table: %s.", t.Name)
		case k.Auto && k.Type != otsprotocol.PrimaryKeyType_INTEGER:
			return invalid("AUTO_INCREMENT primary key must be integer.")
		case k.Auto && t.autoColumn() >= 0:
			return invalid("AUTO_INCREMENT primary key count must <= 1.")
		}
		t.Key = append(t.Key, k)
	}
	return nil
}

func (t *table) addDefined(columns []*otsprotocol.DefinedColumnSchema) error {
	if len(t.Defined)+len(columns) > maxDefined {
		return invalid("The number of defined columns must be in range: [0, %d].", maxDefined)
	}
	for _, m := range columns {
		name := m.GetName()
		if err := checkColumnName(name); err != nil {
			return err
		}
		switch {
		case t.isKey(name):
			return invalid("Duplicated attribute column name with primary key column: '%s'.", name)
		case t.defined(name) != nil:
			return invalid("Duplicated attribute column name: '%s'.", name)
		case otsprotocol.DefinedColumnType_name[int32(m.GetType())] == "":
			return invalid("Invalid column type: %d.", m.GetType())
		}
		t.Defined = append(t.Defined, definedColumn{name, m.GetType()})
	}
	return nil
}

func (t *table) setThroughput(m *otsprotocol.CapacityUnit, creating bool) error {
	if creating && (m.GetRead() < 0 || m.GetWrite() < 0) {
		return invalid("Invalid Capacity Unit:%d . Capacity Unit must be nonnegative.", min(m.GetRead(), m.GetWrite()))
	}
	if creating && (m == nil || m.Read == nil || m.Write == nil) {
		return invalid("Both read and write capacity unit are required to create table.")
	}
	if m.Read != nil {
		t.Read = *m.Read
	}
	if m.Write != nil {
		t.Write = *m.Write
	}
	if t.Read < 0 || t.Write < 0 {
		return invalid("Invalid Capacity Unit for UpdateTable: Either read(%d) or write(%d) should be non-negative.",
			t.Read, t.Write)
	}
	return nil
}

// setOptions applies the given options. All but update_full_row can change later.
func (t *table) setOptions(m *otsprotocol.TableOptions) error {
	switch {
	case m.TimeToLive != nil && (*m.TimeToLive == 0 || *m.TimeToLive < -1):
		return invalid("TimeToLive cannot be 0 or less than -1.")
	case m.MaxVersions != nil && *m.MaxVersions <= 0:
		return invalid("The maximum versions cannot be less than or equal to 0.")
	case m.DeviationCellVersionInSec != nil && (*m.DeviationCellVersionInSec < 0 ||
		*m.DeviationCellVersionInSec > maxDeviation):
		return invalid("The maximum deviation must be in range [0, INT64_MAX/1000000].")
	}
	t.TTL = *cmp.Or(m.TimeToLive, &t.TTL)
	t.MaxVersions = *cmp.Or(m.MaxVersions, &t.MaxVersions)
	t.Deviation = *cmp.Or(m.DeviationCellVersionInSec, &t.Deviation)
	t.BloomFilter = cmp.Or(m.BloomFilterType, t.BloomFilter)
	t.BlockSize = cmp.Or(m.BlockSize, t.BlockSize)
	t.AllowUpdate = cmp.Or(m.AllowUpdate, t.AllowUpdate)
	return nil
}

func (t *table) options() *otsprotocol.TableOptions {
	return &otsprotocol.TableOptions{
		TimeToLive: &t.TTL, MaxVersions: &t.MaxVersions, DeviationCellVersionInSec: &t.Deviation,
		BloomFilterType: t.BloomFilter,
		BlockSize:       t.BlockSize, AllowUpdate: t.AllowUpdate, UpdateFullRow: t.UpdateFullRow,
	}
}

func (t *table) throughput() *otsprotocol.ReservedThroughputDetails {
	d := &otsprotocol.ReservedThroughputDetails{
		CapacityUnit:     &otsprotocol.CapacityUnit{Read: &t.Read, Write: &t.Write},
		LastIncreaseTime: &t.Increased,
	}
	if t.Decreased != 0 {
		d.LastDecreaseTime = &t.Decreased
	}
	return d
}

// setStream enables or disables the table's stream. An enabled stream keeps its id and records.
func (s *Server) setStream(t *table, m *otsprotocol.StreamSpecification) error {
	if m == nil {
		return nil
	}
	if !m.GetEnableStream() {
		t.Stream = nil
		return nil
	}
	hours := m.GetExpirationTime()
	if hours < 0 || hours > maxExpiry {
		return invalid("Invalid stream expiration time: %d.", hours) // the service's wording is not known
	}
	d := &otsprotocol.StreamDetails{
		EnableStream: proto.Bool(true), StreamId: proto.String(s.newStreamID(t)),
		ExpirationTime: proto.Int32(cmp.Or(hours, t.Stream.GetExpirationTime(), defaultExpiry)),
		LastEnableTime: proto.Int64(s.now().UnixMicro()), ColumnsToGet: m.ColumnsToGet,
	}
	if t.Stream != nil {
		d.StreamId, d.LastEnableTime = t.Stream.StreamId, t.Stream.LastEnableTime
	}
	t.Stream = d
	return nil
}

func (t *table) stream() *otsprotocol.StreamDetails {
	if t.Stream != nil {
		return t.Stream
	}
	return &otsprotocol.StreamDetails{EnableStream: proto.Bool(false)}
}

// setEncryption stores the settings of encryption at rest. The emulator does not encrypt.
func (t *table) setEncryption(m *otsprotocol.SSESpecification) {
	if m.GetEnable() {
		t.Encryption = &otsprotocol.SSEDetails{Enable: m.Enable, KeyType: m.KeyType, KeyId: m.KeyId, RoleArn: m.RoleArn}
	}
}

func (t *table) meta() *otsprotocol.TableMeta {
	m := &otsprotocol.TableMeta{TableName: &t.Name, PrimaryKey: t.schema()}
	for i := range t.Defined {
		d := &t.Defined[i]
		m.DefinedColumn = append(m.DefinedColumn, &otsprotocol.DefinedColumnSchema{Name: &d.Name, Type: &d.Type})
	}
	return m
}

func (t *table) schema() []*otsprotocol.PrimaryKeySchema {
	var out []*otsprotocol.PrimaryKeySchema
	for i := range t.Key {
		k := &t.Key[i]
		column := &otsprotocol.PrimaryKeySchema{Name: &k.Name, Type: &k.Type}
		if k.Auto {
			column.Option = otsprotocol.PrimaryKeyOption_AUTO_INCREMENT.Enum()
		}
		out = append(out, column)
	}
	return out
}

// removeDefined removes defined columns. It returns an error if an index uses one of them.
func (t *table) removeDefined(names []string) error {
	for _, name := range names {
		if t.defined(name) == nil {
			return invalid("Column does not exist:%s.", name)
		}
		for _, ix := range t.indexes {
			if ix.isKey(name) || ix.defined(name) != nil {
				return invalid("Column %s is used by index %s.", name, ix.Name) // the service's wording is not known
			}
		}
		t.Defined = slices.DeleteFunc(t.Defined, func(d definedColumn) bool { return d.Name == name })
	}
	return nil
}
