package ots

import (
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"
)

// The Go SDK has no messages for BulkImport. These are as ots_internal_api.proto of the Java SDK has them:
// https://github.com/aliyun/aliyun-tablestore-java-sdk. The response is the same on the wire as the part of
// BatchWriteRow's that is about one table.
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

// bulkImport writes rows of one table, each by itself and without conditions, with the limits and errors of
// BatchWriteRow. It is not known whether the service has others.
func (s *Server) bulkImport(c *call, req *bulkImportRequest) (proto.Message, error) {
	in := &otsprotocol.TableInBatchWriteRowRequest{TableName: req.TableName}
	for _, row := range req.Rows {
		in.Rows = append(in.Rows, &otsprotocol.RowInBatchWriteRowRequest{Type: row.Type, RowChange: row.RowChange})
	}
	batch := &otsprotocol.BatchWriteRowRequest{Tables: []*otsprotocol.TableInBatchWriteRowRequest{in}}
	out, err := s.batchWriteRow(c, batch)
	if err != nil {
		return nil, err
	}
	return out.(*otsprotocol.BatchWriteRowResponse).Tables[0], nil
}
