package chat

import (
	"context"
	"strings"

	"chatconf/shared/table"
)

// ListTagKeys returns the keys of all tags in use, without duplicates, in byte order: ListTagKeys.
//
// Errors: InvalidParameter, InvalidNextToken, NoPermission, InvalidRegion.
func (s *Service) ListTagKeys(ctx context.Context, in *ListTagKeysRequest) (*ListTagKeysResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	keys, n, next, err := s.listDistinct(ctx, actionListKeys, in.RegionID,
		in.MaxResults, in.NextToken, distinctKeys, "")
	if err != nil {
		return nil, err
	}
	return &ListTagKeysResponse{Keys: keys, MaxResults: n, NextToken: next}, nil
}

// ListTagValues returns the values of a tag in all configurations, without duplicates, in byte
// order: ListTagValues.
//
// Errors: MissingParameter, InvalidParameter, InvalidNextToken, NoPermission, InvalidRegion.
func (s *Service) ListTagValues(ctx context.Context, in *ListTagValuesRequest) (*ListTagValuesResponse, error) {
	if err := in.Check(s); err != nil {
		return nil, err
	}
	values, n, next, err := s.listDistinct(ctx, actionListValues, in.RegionID, in.MaxResults,
		in.NextToken, distinctValues, in.Key)
	if err != nil {
		return nil, err
	}
	return &ListTagValuesResponse{Values: values, MaxResults: n, NextToken: next}, nil
}

// A distinct describes the part of the index that a list of distinct keys or values reads.
type distinct struct {
	prefix func(of string) string               // of the entries
	thing  func(attribute, value string) string // the listed part of an entry
	beyond func(of, thing string) string        // a sort key after the last entry of a thing
}

var (
	distinctKeys = distinct{
		prefix: func(string) string { return indexPrefix + table.Escape(tagAttribute) },
		thing:  func(attribute, _ string) string { return strings.TrimPrefix(attribute, tagAttribute) },
		beyond: func(_, key string) string { return indexPrefix + table.Escape(tagAttribute+key) + "$" },
	}
	distinctValues = distinct{
		prefix: func(key string) string { return indexPrefix + table.Escape(tagAttribute+key) + "#" },
		thing:  func(_, value string) string { return value },
		beyond: func(key, value string) string {
			return indexPrefix + table.Escape(tagAttribute+key) + "#" + table.Escape(value) + "$"
		},
	}
)

// listDistinct is the common part of ListTagKeys and ListTagValues. It skips from each key or value
// to the next one, so its cost depends on how many there are, not on the number of index entries.
func (s *Service) listDistinct(ctx context.Context, action, regionID string, maxResults *int64, token string,
	d distinct, of string) (things []string, n int64, next string, err error) {
	c, err := s.scope(ctx, regionID)
	if err != nil {
		return nil, 0, "", err
	}
	if err := c.authorize(ctx, action, "*", nil); err != nil {
		return nil, 0, "", err
	}
	size, err := pageSize(maxResults)
	if err != nil {
		return nil, 0, "", err
	}
	scope := []string{action, c.account, c.region, of}
	cur, err := s.cursors.parse(token, scope)
	if err != nil {
		return nil, 0, "", err
	}
	things, more, err := s.store.distinctPage(ctx, c, d, of, &cur, size)
	if err == nil && more {
		next, err = s.cursors.token(&cur, scope)
	}
	if err != nil {
		return nil, 0, "", storeError(ctx, action, err)
	}
	return things, int64(size), next, nil
}

// distinctPage returns the next n keys or values after the cursor, which it advances, and whether
// there are more.
func (s store) distinctPage(ctx context.Context, c scope, d distinct, of string, cur *cursor,
	n int) (things []string, more bool, err error) {
	const (
		rounds = 20  // queries of one call
		window = 100 // entries of one query
	)
	things = []string{}
	for range rounds {
		r := table.Range{Partition: c.partition(), Prefix: d.prefix(of), Limit: window}
		if cur.Range > 0 { // After is set; it may be the empty value
			r.After = d.beyond(of, cur.After)
		}
		items, err := s.table.Query(ctx, r)
		if err != nil {
			return nil, false, err
		}
		for _, item := range items {
			attribute, value, _, err := parseIndexKey(item.Sort)
			if err != nil {
				return nil, false, err
			}
			thing := d.thing(attribute, value)
			if cur.Range > 0 && thing == cur.After {
				continue
			}
			if len(things) == n {
				return things, true, nil
			}
			things = append(things, thing)
			cur.Range, cur.After = 1, thing
		}
		if len(items) < window {
			return things, false, nil
		}
	}
	return things, true, nil
}
