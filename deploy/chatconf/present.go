package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/document"
	"chatconf/shared/secret"
)

// maxNames is how many names one list asks for.
const maxNames = 50

// each calls do for each of 0 to n-1, several at a time, and shows a person how far it is.
func (v *verb) each(n int, doing string, do func(i int)) {
	var mu sync.Mutex
	done, show := 0, isTerminal(v.messages) && n > 1
	inParallel(context.Background(), n, func(_ context.Context, i int) error {
		do(i)
		mu.Lock()
		defer mu.Unlock()
		if done++; show {
			fmt.Fprintf(v.messages, "\r%s %d of %d", doing, done, n)
		}
		return nil
	})
	if show {
		fmt.Fprint(v.messages, "\r\x1b[K")
	}
}

// send calls an action like ask, with empty parameters too. It tries again what the service was too
// busy for; a ClientToken lets it be done only once.
func (v *verb) send(ctx context.Context, action string, params map[string]string, answer any) error {
	const most = 3
	if v.region != "" {
		params = maps.Clone(params)
		params["RegionId"] = v.region
	}
	for try := 1; ; try++ {
		err := v.client.send(ctx, action, params, "", answer)
		if err == nil || try == most || ctx.Err() != nil || !isPassing(err) {
			return err
		}
		if err := v.pause(ctx, time.Duration(try)*time.Second); err != nil {
			return err
		}
	}
}

// isPassing reports whether a request that failed may succeed later.
func isPassing(err error) bool {
	var refused *refusedError
	return errors.As(err, &refused) &&
		(refused.status == http.StatusTooManyRequests || refused.status >= http.StatusInternalServerError)
}

// pauseFor waits, or returns the error of the context if that ends first.
func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hasStatus reports whether the service refused a request with a status.
func hasStatus(err error, status int) bool {
	var refused *refusedError
	return errors.As(err, &refused) && refused.status == status
}

// present returns the bots that the service has: those with the given names, or all for nil. The
// error of one that cannot be read is in the second map. A service that is not chatconf may have
// other filters, so it is asked for each bot.
func (v *verb) present(ctx context.Context, names []string, isOurs bool) (map[string]*botState, map[string]error,
	error) {
	bots, failed := make(map[string]*botState), make(map[string]error)
	var rest []string // to be read one by one
	groups := [][]string{nil}
	switch {
	case names != nil && !isOurs:
		groups, rest = nil, names
	case names != nil:
		groups = slices.Collect(slices.Chunk(names, maxNames))
	}
	for _, some := range groups {
		unread, err := v.listed(ctx, some, bots, failed)
		switch {
		case err == nil:
			rest = append(rest, unread...)
		case names != nil && hasStatus(err, http.StatusForbidden): // it may get some of them
			rest = append(rest, some...)
		default:
			return nil, nil, err
		}
	}
	got, errs := make([]*botState, len(rest)), make([]error, len(rest))
	v.each(len(rest), "Read", func(i int) { got[i], errs[i] = v.got(ctx, rest[i]) })
	for i, name := range rest {
		switch {
		case errs[i] != nil:
			failed[name] = errs[i]
		case got[i] != nil:
			bots[name] = got[i]
		}
	}
	return bots, failed, ctx.Err()
}

// listed lists bots with their Configurations. It returns the names of those without.
func (v *verb) listed(ctx context.Context, names []string, bots map[string]*botState,
	failed map[string]error) (unread []string, err error) {
	params := map[string]string{"MaxResults": strconv.Itoa(chat.MaxResults), "WithConfiguration": "true"}
	for i, name := range names {
		filter := fmt.Sprintf("Filters.%d.", i+1)
		params[filter+"Name"], params[filter+"Value"] = "Name", name
	}
	for list := new(pages); ; {
		var page chat.ListResponse
		if err := v.send(ctx, "ListChatConfigurations", params, &page); err != nil {
			return nil, err
		}
		for _, s := range page.ChatConfigurations {
			switch {
			case s.Configuration == "":
				unread = append(unread, s.Name)
			default:
				b, err := botOf(&chat.Configuration{Name: s.Name, Type: s.Type, Status: s.Status,
					RamRole: s.RamRole, ResourceGroupId: s.ResourceGroupId, Tags: s.Tags, Revision: s.Revision,
					Configuration: s.Configuration})
				if err != nil {
					failed[s.Name] = err
				} else {
					bots[s.Name] = b
				}
			}
		}
		if more, err := list.next(params, page.NextToken, len(page.ChatConfigurations)); !more {
			return unread, err
		}
	}
}

// got returns a bot; nil without an error if it does not exist.
func (v *verb) got(ctx context.Context, name string) (*botState, error) {
	var answer chat.GetResponse
	err := v.send(ctx, "GetChatConfiguration", map[string]string{"Name": name}, &answer)
	if hasStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return botOf(&answer.ChatConfiguration)
}

// botOf returns a bot as a service shows it.
func botOf(c *chat.Configuration) (*botState, error) {
	configuration, err := document.Parse(fileConfiguration, c.Configuration)
	if err == nil && configuration.Kind != document.Object {
		err = fmt.Errorf("%s is %v", fileConfiguration, configuration.Kind)
	}
	if err == nil && !isName(c.Name) {
		err = errors.New("the name is invalid")
	}
	if err != nil {
		return nil, fmt.Errorf("the service shows it in an unknown form: %w", err)
	}
	tags := objectOf()
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		tags.Members = append(tags.Members, document.Member{Key: key, Value: textNode(c.Tags[key])})
	}
	kind, err := typeOf(c.Type)
	if err != nil {
		return nil, err
	}
	b := &botState{name: c.Name, kind: kind, status: cmp.Or(c.Status, chat.StatusActive), role: c.RamRole,
		group: c.ResourceGroupId, tags: tags, configuration: configuration, revision: c.Revision}
	w := secretWalk{secret: func(_ string, n *document.Node) {
		*n = *textNode(secret.Mask) // it is, unless the service is another one
	}}
	return b, w.of(b)
}

// knowsCheckOnly reports whether the service only checks a request with CheckOnly. Another service
// may ignore the parameter, and do what is asked. So the question is a request that no service can
// fulfil, since it names no bot. Only a service that knows the parameter finds this value wrong.
func (v *verb) knowsCheckOnly(ctx context.Context, action string) (bool, error) {
	const wrong = "unsure"
	err := v.send(ctx, action, map[string]string{"CheckOnly": wrong}, nil)
	var refused *refusedError
	switch {
	case err == nil:
		return false, fmt.Errorf("the service accepts %s without a name; check that it is a chatconf service", action)
	case !errors.As(err, &refused), isPassing(err): // it may know the parameter, and has not said so
		return false, err
	}
	return strings.Contains(refused.text, `CheckOnly: "`+wrong+`" is not a boolean`), nil
}
