package dynamotest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Tables is DynamoDB with any number of tables, in memory, which requests create. It is an
// http.Handler. The zero value has no tables. Unlike other replacements it isolates transactions
// from concurrent writes.
type Tables struct {
	mu     sync.Mutex
	tables map[string]*description
}

// A description is DynamoDB's description of a table, and the table.
type description struct {
	TableName            string
	TableStatus          string
	AttributeDefinitions json.RawMessage
	KeySchema            json.RawMessage

	server *Server
	ttl    string // the attribute; empty: no time to live
}

// A tableRequest has the table names of any request, and all members of one that creates or changes
// a table.
type tableRequest struct {
	description
	BillingMode             string
	TimeToLiveSpecification struct {
		AttributeName string
		Enabled       bool
	}
	RequestItems  map[string]json.RawMessage
	TransactItems []map[string]struct{ TableName string }
}

// table returns the name of the table of a request; empty if it has none or several.
func (r *tableRequest) table() string {
	names := slices.Collect(maps.Keys(r.RequestItems))
	for _, part := range r.TransactItems {
		for _, what := range part {
			names = append(names, what.TableName)
		}
	}
	name := cmp.Or(r.TableName, append(names, "")[0])
	if slices.ContainsFunc(names, func(other string) bool { return other != name }) {
		return ""
	}
	return name
}

// ServeHTTP implements http.Handler.
func (t *Tables) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in tableRequest
	if err := json.Unmarshal(body, &in); err != nil || in.table() == "" {
		send(w, Answer(r, http.StatusBadRequest, invalid("%s is not about one table: %v", op, err)))
		return
	}
	result, err := t.admin(op, &in)
	if err != nil {
		send(w, Answer(r, http.StatusBadRequest, err))
		return
	}
	if server, ok := result.(*Server); ok {
		r.Body = io.NopCloser(bytes.NewReader(body))
		server.ServeHTTP(w, r)
		return
	}
	send(w, Answer(r, http.StatusOK, result))
}

// admin answers a request about a table; for one about items, it returns the Server.
func (t *Tables) admin(op string, in *tableRequest) (any, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := in.table()
	d := t.tables[name]
	switch {
	case op == "CreateTable" && d != nil:
		return nil, &Failure{Type: "com.amazonaws.dynamodb.v20120810#ResourceInUseException",
			Message: "Table already exists: " + name}
	case op == "CreateTable" && (in.KeySchema == nil || in.AttributeDefinitions == nil ||
		in.BillingMode != "PAY_PER_REQUEST"):
		return nil, invalid("%s is not described", name)
	case op == "CreateTable":
		d = &in.description
		d.TableStatus, d.server = "ACTIVE", New()
		if t.tables == nil {
			t.tables = make(map[string]*description)
		}
		t.tables[name] = d
		return map[string]any{"TableDescription": d}, nil
	case d == nil:
		return nil, &Failure{Type: "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
			Message: "Requested resource not found: Table: " + name + " not found"}
	case op == "DescribeTable":
		return map[string]any{"Table": d}, nil
	case op == "DescribeTimeToLive" && d.ttl == "":
		return map[string]any{"TimeToLiveDescription": map[string]string{"TimeToLiveStatus": "DISABLED"}}, nil
	case op == "DescribeTimeToLive":
		return map[string]any{"TimeToLiveDescription": map[string]string{"TimeToLiveStatus": "ENABLED",
			"AttributeName": d.ttl}}, nil
	case op == "UpdateTimeToLive" && (d.ttl != "" || !in.TimeToLiveSpecification.Enabled):
		return nil, invalid("TimeToLive is already %v", d.ttl != "")
	case op == "UpdateTimeToLive":
		d.ttl = in.TimeToLiveSpecification.AttributeName
		return map[string]any{"TimeToLiveSpecification": in.TimeToLiveSpecification}, nil
	}
	return d.server, nil
}
