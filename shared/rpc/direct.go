package rpc

import (
	"context"
	"encoding/json"
	"fmt"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/fault"
	"chatconf/shared/policy"
)

// A Direct calls actions in this process, in the name of an access key. The code that has it has
// authenticated its user by other means than a signature, and has checked that the request is not
// another site's.
type Direct struct {
	handler *Handler
	id      string
	deny    []*policy.Policy
}

// As returns what calls the actions of the handler in the name of an access key. The policies of
// deny apply in addition to those of the key.
func (h *Handler) As(id string, deny ...*policy.Policy) *Direct { return &Direct{h, id, deny} }

// Call executes an action and fills answer, a pointer, with what the API would answer. It finds the
// key anew, so a revoked key and changed policies count at once. Parameters are as in a JSON body.
//
// Errors: KeyNotFound, also of a key that is not active or has expired, and those of the action.
func (d *Direct) Call(ctx context.Context, action string, given map[string]string, answer any) (err error) {
	h := d.handler
	a, ok := h.actions[action]
	if h.closed != nil || !ok {
		return &fault.Error{Code: fault.Internal, Err: fmt.Errorf("rpc: action %q is not served here", action)}
	}
	key, err := h.keys.Find(ctx, d.id)
	if err != nil {
		return err
	}
	if !key.Active || key.Expired(h.now()) {
		return &fault.Error{Code: fault.KeyNotFound, Param: "AccessKeyId", Message: "The access key is not active."}
	}
	caller := &chat.Caller{Account: key.Account, AccessKeyID: key.ID, Name: key.Name,
		Policies: append(append([]*policy.Policy(nil), key.Policies...), d.deny...)}
	p := make(params, len(given))
	for name, value := range given {
		p[name] = []string{value}
	}
	out, err := guarded(func() (any, error) { return a.do(chat.WithCaller(ctx, caller), h.service, p) })
	if err != nil {
		return err
	}
	if _, ok := out.(streamed); ok {
		return &fault.Error{Code: fault.Internal, Err: fmt.Errorf("rpc: the answer of %s is a stream", action)}
	}
	text, err := json.Marshal(out)
	if err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return &fault.Error{Code: fault.Internal, Err: fmt.Errorf("rpc: answer of %s: %w", action, err)}
	}
	return nil
}

// Admit counts a request of an access key, as one of the API. If the key has sent too many, it
// returns after how many seconds the next may come.
func (h *Handler) Admit(id string) (seconds int, ok bool) { return h.throttle.take(h.now(), id) }

// Key returns the access key with an id, as Find of the handler's access keys does.
func (h *Handler) Key(ctx context.Context, id string) (*accesskey.Key, error) {
	return h.keys.Find(ctx, id)
}

// NoteUse notes that an access key was used today.
func (h *Handler) NoteUse(ctx context.Context, id string) { h.keys.NoteUse(ctx, id) }
