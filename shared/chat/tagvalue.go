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
		in.MaxResults, in.NextToken, indexPrefix+table.Escape(tagAttribute),
		func(attribute, _ string) string { return strings.TrimPrefix(attribute, tagAttribute) })
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
		in.NextToken, indexPrefix+table.Escape(tagAttribute+in.Key)+"#",
		func(_, value string) string { return value })
	if err != nil {
		return nil, err
	}
	return &ListTagValuesResponse{Values: values, MaxResults: n, NextToken: next}, nil
}

// listDistinct is the common part of ListTagKeys and ListTagValues. In the index entries with
// prefix, it lists the key or value that follows the prefix, which of returns. It skips from each
// one to the next, so its cost depends on how many there are, not on the number of index entries.
func (s *Service) listDistinct(ctx context.Context, action, regionID string, maxResults *int64, token string,
	prefix string, of func(attribute, value string) string) (things []string, n int64, next string, err error) {
	c, err := s.scope(ctx, regionID)
	if err != nil {
		return nil, 0, "", err
	}
	if err := c.authorize(ctx, action, "*", nil); err != nil {
		return nil, 0, "", err
	}
	scope := []string{action, c.account, c.region, prefix}
	cur, err := s.cursors.parse(token, scope)
	if err != nil {
		return nil, 0, "", err
	}
	size := pageSize(maxResults)
	things, more, err := s.store.distinctPage(ctx, c, prefix, of, &cur, size)
	if err != nil {
		return nil, 0, "", storeError(ctx, action, err)
	}
	if more {
		next = s.cursors.token(&cur, scope)
	}
	return things, int64(size), next, nil
}

// distinctPage returns the next n keys or values after the cursor, which it advances, and whether
// there are more.
func (s store) distinctPage(ctx context.Context, c scope, prefix string,
	of func(attribute, value string) string, cur *cursor, n int) (things []string, more bool, err error) {
	const (
		rounds = 20  // queries of one call
		window = 100 // entries of one query
	)
	things = []string{}
	for range rounds {
		r := table.Range{Partition: c.partition(), Prefix: prefix, Limit: window}
		if cur.Range > 0 { // After is set; it may be the empty value
			r.After = prefix + table.Escape(cur.After) + "$"
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
			thing := of(attribute, value)
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
