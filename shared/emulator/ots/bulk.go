package ots

import (
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/emulator/ots/plainbuffer"
)

// The Go SDK has no messages for BulkImport. These follow ots_internal_api.proto of the Java SDK:
// https://github.com/aliyun/aliyun-tablestore-java-sdk. The response has the same encoding as one
// table of a BatchWriteRow's response.
type (
	bulkImportRequest struct {
		TableName        *string          `protobuf:"bytes,1,req,name=table_name"`
		Rows             []*bulkImportRow `protobuf:"bytes,2,rep,name=rows"`
		XXX_unrecognized []byte
	}
	bulkImportRow struct {
		Type             *otsprotocol.OperationType `protobuf:"varint,1,req,name=type,enum=otsprotocol.OperationType"`
		RowChange        []byte                     `protobuf:"bytes,2,req,name=row_change"`
		XXX_unrecognized []byte
	}
)

func (m *bulkImportRequest) Reset()         { *m = bulkImportRequest{} }
func (m *bulkImportRequest) String() string { return proto.CompactTextString(m) }
func (*bulkImportRequest) ProtoMessage()    {}

func (m *bulkImportRow) Reset()         { *m = bulkImportRow{} }
func (m *bulkImportRow) String() string { return proto.CompactTextString(m) }
func (*bulkImportRow) ProtoMessage()    {}

// bulkImport writes rows of one table, each on its own and without conditions, within the limits of
// BatchWriteRow. Defined columns must have their declared type, and a row costs bytes instead of
// units; the Java suite expects both.
func (s *Server) bulkImport(c *call, req *bulkImportRequest) (proto.Message, error) {
	in := &otsprotocol.TableInBatchWriteRowRequest{TableName: req.TableName}
	for _, row := range req.Rows {
		in.Rows = append(in.Rows, &otsprotocol.RowInBatchWriteRowRequest{Type: row.Type, RowChange: row.RowChange})
	}
	batches, err := s.writeBatches(c, &otsprotocol.BatchWriteRowRequest{
		Tables: []*otsprotocol.TableInBatchWriteRowRequest{in},
	}, (*change).checkTypes)
	if err != nil {
		return nil, err
	}
	out := batches[0].response()
	for i, row := range out.Rows {
		if row.GetIsOk() {
			row.Consumed = imported(batches[0].changes[i])
		}
	}
	return out, nil
}

// checkTypes returns an error if a column does not have the type that the table defines for it.
func (c *change) checkTypes() *Error {
	for i := range c.row.Cells {
		cell := &c.row.Cells[i]
		d := c.table.defined(string(cell.Name))
		if d == nil || !cell.HasValue {
			continue
		}
		if want := definedTypes[d.Type]; cell.Value.Type != want {
			return invalid("Invalid column type for column %s expect %s actual %s", cell.Name, want, cell.Value.Type)
		}
	}
	return nil
}

var definedTypes = map[otsprotocol.DefinedColumnType]plainbuffer.Type{
	otsprotocol.DefinedColumnType_DCT_INTEGER: plainbuffer.Integer,
	otsprotocol.DefinedColumnType_DCT_DOUBLE:  plainbuffer.Double,
	otsprotocol.DefinedColumnType_DCT_BOOLEAN: plainbuffer.Boolean,
	otsprotocol.DefinedColumnType_DCT_STRING:  plainbuffer.String,
	otsprotocol.DefinedColumnType_DCT_BLOB:    plainbuffer.Blob,
}

// The fields of capacity_data_size, which the Go SDK's messages lack.
const (
	capacityDataSize = 2 // of ConsumedCapacity
	readSize         = 1
	writeSize        = 2
)

// imported returns what a row of a bulk import costs: its bytes, without timestamps.
func imported(ch *change) *otsprotocol.ConsumedCapacity {
	size := ch.size
	for i := range ch.row.Cells {
		if ch.row.Cells[i].HasTimestamp {
			size -= 8
		}
	}
	inner := append([]byte{readSize << 3, 0, writeSize << 3}, proto.EncodeVarint(uint64(size))...)
	out := consumed(0, 0)
	out.XXX_unrecognized = append([]byte{capacityDataSize<<3 | 2, byte(len(inner))}, inner...)
	return out
}
