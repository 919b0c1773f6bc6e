package chat

import (
	"fmt"
	"slices"
	"strings"

	"chatconf/shared/command"
	"chatconf/shared/fault"
)

// A platform is the description of a chat platform, with methods that interpret a Configuration.
type platform struct{ command.Platform }

// check returns an error if the platform's description is invalid.
func (p *platform) check() error {
	if p.Type == "" {
		return fmt.Errorf("chat: platform %q has no type", p.Title)
	}
	for i, s := range p.Settings {
		switch {
		case s.Key == "" || s.Shape.IsZero() || s.Help == "":
			return fmt.Errorf("chat: platform %s: setting %d lacks a key, a shape or a help", p.Type, i)
		case s.Generate && s.Shape.Make == nil:
			return fmt.Errorf("chat: platform %s: setting %s is generated, and its shape cannot make one",
				p.Type, s.Key)
		case s.For != "" && (!receives.Fits(s.For) || p.StreamSetup == nil):
			return fmt.Errorf("chat: platform %s: setting %s is for %q, which is not a Receive of the platform",
				p.Type, s.Key, s.For)
		case (s.Generate || s.Output != "") && !s.Secret:
			return fmt.Errorf("chat: platform %s: setting %s is generated or put out, and not secret", p.Type, s.Key)
		}
		for _, key := range needs(s) {
			if _, ok := p.setting(key); !ok {
				return fmt.Errorf("chat: platform %s: setting %s needs the unknown setting %s", p.Type, s.Key, key)
			}
		}
		for _, name := range p.consoleNames(s) {
			if key, ok := p.keyOf(name); !ok || key != s.Key {
				return fmt.Errorf("chat: platform %s: the name %s of setting %s means %s, too",
					p.Type, name, s.Key, key)
			}
		}
	}
	return nil
}

// consoleNames returns what the platform's console calls a setting.
func (p *platform) consoleNames(s command.Setting) []string {
	names := make([]string, 0, 1+len(s.Names))
	if name, ok := strings.CutPrefix(s.Key, p.Type); ok && name != "" {
		names = append(names, name)
	}
	names = append(names, s.Names...)
	if key, ok := strings.CutSuffix(s.Key, command.Previous); ok {
		current, _ := p.setting(key)
		for _, name := range current.Names {
			names = append(names, name+command.Previous)
		}
	}
	return names
}

// keyOf returns our key for a key in a Configuration. Besides our keys it knows the console's names
// of settings, alone or after another name of the platform (CorpId and WeComCorpId mean
// WeChatCorpId), and ConversationId for one of ConversationIds.
func (p *platform) keyOf(written string) (key string, ok bool) {
	if _, ok := p.setting(written); ok || slices.Contains(commonKeys[:], written) {
		return written, true
	}
	name := written
	for _, alias := range append([]string{p.Type}, p.Aliases...) {
		if rest, ok := strings.CutPrefix(written, alias); ok {
			name = rest
			break
		}
	}
	alone := name == written
	folded := consoleName(written)
	for _, s := range p.Settings {
		for _, known := range p.consoleNames(s) {
			// After the platform's name, a key must match exactly.
			if name == known || alone && folded == consoleName(known) {
				return s.Key, true
			}
		}
	}
	if folded == consoleName(keyConversationID) {
		return command.KeyConversationIDs, true
	}
	return "", false
}

// consoleName normalizes a name: consoles write "Client ID", programs client_id.
func consoleName(name string) string { return strings.ToLower(consoleBlanks.Replace(name)) }

var consoleBlanks = strings.NewReplacer(" ", "", "_", "", "-", "")

// needs returns the keys of the settings that a setting depends on.
func needs(s command.Setting) []string {
	var keys []string
	if s.Needs != "" {
		keys = append(keys, s.Needs)
	}
	if current, ok := strings.CutSuffix(s.Key, command.Previous); ok {
		keys = append(keys, current)
	}
	return keys
}

// setting returns the platform's setting of the given key.
func (p *platform) setting(key string) (command.Setting, bool) {
	for _, s := range p.Settings {
		if s.Key == key {
			return s, true
		}
	}
	return command.Setting{}, false
}

// platforms are the platforms that a service knows.
type platforms []platform

// newPlatforms checks the descriptions of platforms.
func newPlatforms(descriptions []command.Platform) (platforms, error) {
	ps := make(platforms, len(descriptions))
	for i, description := range descriptions {
		ps[i] = platform{description}
		if err := ps[i].check(); err != nil {
			return nil, err
		}
	}
	return ps, nil
}

// find returns the platform of a Type, in any case and by any alias.
func (ps platforms) find(param, name string) (*platform, error) {
	if name == "" {
		return nil, fault.Missing(param)
	}
	same := func(alias string) bool { return strings.EqualFold(name, alias) }
	for i := range ps {
		if p := &ps[i]; same(p.Type) || slices.ContainsFunc(p.Aliases, same) {
			return p, nil
		}
	}
	types := make([]string, len(ps))
	for i, p := range ps {
		types[i] = p.Type
	}
	return nil, fault.Invalid(param, "Unknown Type %s; the types are %s.", fault.Quote(name), strings.Join(types, ", "))
}

// of returns the platform of a stored configuration. An unknown one is an internal error,
// not the caller's mistake.
func (ps platforms) of(r *record) (*platform, error) {
	p, err := ps.find("Type", r.Type)
	if err != nil {
		return nil, fmt.Errorf("chat: %q is of type %q, which this service does not know", r.Name, r.Type)
	}
	return p, nil
}
