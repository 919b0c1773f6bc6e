package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/document"
	"chatconf/shared/platform"
	"chatconf/shared/secret"
)

// What a plan does to a bot.
const (
	planCreate    = "Create"
	planUpdate    = "Update"
	planDelete    = "Delete"
	planUnchanged = "Unchanged"
)

// A botPlan says what will be done to a bot.
type botPlan struct {
	Name    string
	File    string `json:",omitempty"`
	Action  string
	Changes []chat.Change `json:",omitempty"`
	Error   string        `json:",omitempty"` // why it was not done

	requests []request
}

// A request is part of the work of a plan.
type request struct {
	secret.Hidden
	action string
	params map[string]string
}

// Format writes the plan without its requests, for every verb.
func (p botPlan) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "%s %s", p.Action, p.Name) }

// A planner makes plans.
type planner struct {
	*verb
	checks        bool // the service is chatconf: it knows CheckOnly, and Tags of an update
	checksDeletes bool // it also knows CheckOnly of a deletion; each action may be another function
	reads         bool // a plan without permission to write; what the service may not check is compared here
	prune         bool
}

// plan returns the changes that make the service match the files of a folder, in the order of the
// bots. Its error has all mistakes; nothing is changed.
func (p *planner) plan(ctx context.Context, dir string) ([]botPlan, error) {
	files, err := readBots(dir)
	switch {
	case err != nil:
		return nil, err
	case len(files) == 0:
		return nil, fmt.Errorf("%s has no bot files; 'chatconf export %s' writes them", dir, dir)
	}
	contents, err := p.fill(ctx, files)
	if err != nil {
		return nil, err
	}
	if p.checks, err = p.knowsCheckOnly(ctx, "CreateChatConfiguration"); err != nil {
		return nil, err
	}
	var names []string
	if !p.prune {
		for _, f := range files {
			names = append(names, f.name)
		}
	}
	present, failed, err := p.present(ctx, names, p.checks)
	if err != nil {
		return nil, err
	}
	if n := len(present) + len(failed); p.prune && n > 0 && !slices.ContainsFunc(files, func(f *botFile) bool {
		return present[f.name] != nil || failed[f.name] != nil
	}) { // as in a wrong region
		return nil, fmt.Errorf("--prune would delete every bot of the region, %s, because none has a file in %s; "+
			"check the folder and --region; if they are right, apply without --prune first", countOf(n), dir)
	}
	plans, errs := make([]botPlan, len(files)), make([]error, len(files))
	p.each(len(files), "Plan", func(i int) {
		f := files[i]
		if errs[i] = failed[f.name]; errs[i] == nil {
			plans[i], errs[i] = p.of(ctx, f, contents[i], present[f.name])
		}
		if errs[i] != nil {
			errs[i] = fmt.Errorf("%s: %w", f.path, errs[i])
		}
	})
	if p.prune {
		for _, f := range files {
			delete(present, f.name)
			delete(failed, f.name)
		}
		deletions, err := p.deletions(ctx, present, failed)
		plans, errs = append(plans, deletions...), append(errs, err)
		slices.SortFunc(plans, func(a, b botPlan) int { return strings.Compare(a.Name, b.Name) })
	}
	return plans, errors.Join(append(errs, ctx.Err())...)
}

// fill returns the Configurations of files with their secrets.
func (p *planner) fill(ctx context.Context, files []*botFile) ([]filled, error) {
	secrets := newReferences(p.messages)
	contents, errs := make([]filled, len(files)), make([]error, len(files))
	for i, f := range files { // one after the other: a command may ask something
		contents[i], errs[i] = secrets.fill(ctx, f)
	}
	return contents, errors.Join(errs...)
}

// deletions returns the plans that delete bots. failed are those that cannot be read.
func (p *planner) deletions(ctx context.Context, bots map[string]*botState, failed map[string]error) ([]botPlan,
	error) {
	names := slices.Sorted(maps.Keys(bots))
	if p.checks && len(names) > 0 {
		var err error
		if p.checksDeletes, err = p.knowsCheckOnly(ctx, "DeleteChatConfiguration"); err != nil {
			return nil, err
		}
	}
	plans, errs := make([]botPlan, len(names)), make([]error, len(names))
	p.each(len(names), "Plan", func(i int) {
		plans[i] = botPlan{Name: names[i], Action: planDelete, requests: []request{{action: "DeleteChatConfiguration",
			params: atRevision(map[string]string{"Name": names[i]}, bots[names[i]])}}}
		if err := p.check(ctx, &plans[i]); err != nil {
			errs[i] = fmt.Errorf("%s: %w", names[i], err)
		}
	})
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		errs = append(errs, fmt.Errorf("%s: %w", name, failed[name]))
	}
	return plans, errors.Join(errs...)
}

// atRevision adds the revision that the plan is made for, so that no change of another caller is
// lost.
func atRevision(params map[string]string, b *botState) map[string]string {
	if b.revision > 0 {
		params["Revision"] = strconv.FormatInt(b.revision, 10)
	}
	return params
}

// of returns the plan for a file. The service says what would change, if it can.
func (p *planner) of(ctx context.Context, f *botFile, content filled, before *botState) (botPlan, error) {
	out := botPlan{Name: f.name, File: f.path, Action: planCreate}
	if before == nil {
		params := map[string]string{"Name": f.name, "Type": f.kind, "Status": f.status, "RamRole": f.role,
			"ResourceGroupId": f.group, "Configuration": content.text.Reveal()}
		if len(f.tags.Members) > 0 {
			params["Tags"] = p.textOfTags(f.tags)
		}
		maps.DeleteFunc(params, func(_, value string) bool { return value == "" })
		out.requests = []request{{action: "CreateChatConfiguration", params: params}}
		out.Changes = differences(nil, &f.botState)
		return out, p.check(ctx, &out)
	}
	if f.kind != before.kind {
		return out, fmt.Errorf("Type cannot be changed from %s to %s; choose another Name, or delete the bot first",
			before.kind, f.kind)
	}
	out.Action = planUpdate
	after := f.botState
	after.configuration = keptOf(f.kind, before.configuration, f.configuration)
	out.Changes = differences(before, &after)
	params := make(map[string]string)
	if !document.Same(before.configuration, after.configuration) || content.sent {
		params["Configuration"] = content.text.Reveal()
	}
	for _, value := range [...][3]string{{"Status", before.status, f.status}, {"RamRole", before.role, f.role},
		{"ResourceGroupId", before.group, f.group}} {
		if value[1] != value[2] {
			params[value[0]] = value[2]
		}
	}
	tags := retag(f.name, before.tags, f.tags)
	if p.checks && len(tags) > 0 {
		params["Tags"], tags = p.textOfTags(f.tags), nil
	}
	if len(params) > 0 {
		params["Name"] = f.name
		out.requests = append(out.requests, request{action: "UpdateChatConfiguration",
			params: atRevision(params, before)})
	}
	out.requests = append(out.requests, tags...)
	if err := p.check(ctx, &out); err != nil {
		return out, err
	}
	if len(out.Changes) == 0 {
		out.Action, out.requests = planUnchanged, nil
	}
	return out, nil
}

// textOfTags returns tags as a parameter. chatconf gets a list: it would take an object with the
// keys Key and Value for one tag.
func (p *planner) textOfTags(tags *document.Node) string {
	if !p.checks {
		return tags.String()
	}
	list := &document.Node{Kind: document.Array}
	for _, tag := range tags.Members {
		list.Items = append(list.Items, objectOf("Key", tag.Key, "Value", tag.Value.Text))
	}
	return list.String()
}

// check lets the service say what the request of a plan would change, and whether it is allowed.
func (p *planner) check(ctx context.Context, plan *botPlan) error {
	checks := p.checks
	if plan.Action == planDelete {
		checks = p.checksDeletes
	}
	if !checks || len(plan.requests) == 0 {
		return nil
	}
	params := maps.Clone(plan.requests[0].params)
	params["CheckOnly"] = "true"
	var answer struct{ Changes *[]chat.Change }
	err := p.send(ctx, plan.requests[0].action, params, &answer)
	if p.reads && hasStatus(err, http.StatusForbidden) {
		return nil
	}
	if err != nil {
		return err
	}
	if answer.Changes == nil {
		return errors.New("the service did not say what would change, so it may have changed the bot; " +
			"do not continue before all of its processes have the same version")
	}
	plan.Changes = *answer.Changes
	if _, tags := params["Tags"]; tags && !slices.ContainsFunc(plan.Changes, isOfTag) {
		return errors.New("the service would not change the tags; update all of its processes to the same version")
	}
	return nil
}

// isOfTag reports whether a change is of a tag.
func isOfTag(ch chat.Change) bool {
	return strings.HasPrefix(ch.Path, fileTags+".") || strings.HasPrefix(ch.Path, fileTags+"[")
}

// differences returns what differs between two bots, in the order of the history; nil is no bot.
func differences(before, after *botState) (list []chat.Change) {
	if before == nil {
		before = &botState{tags: objectOf(), configuration: objectOf()}
	}
	under := func(key string, n *document.Node) *document.Node {
		return &document.Node{Kind: document.Object, Members: []document.Member{{Key: key, Value: n}}}
	}
	list = chat.Differences(before.plain(), after.plain())
	list = append(list, chat.Differences(under(fileTags, before.tags), under(fileTags, after.tags))...)
	return append(list, chat.Differences(under(fileConfiguration, before.configuration),
		under(fileConfiguration, after.configuration))...)
}

// plain returns the values of a bot except its name, its tags and its Configuration.
func (b *botState) plain() *document.Node {
	return objectOf(fileType, b.kind, fileStatus, b.status, fileRole, b.role, fileGroup, b.group)
}

// keptOf returns the Configuration of a file with the settings that the service has made and keeps.
func keptOf(kind string, before, after *document.Node) *document.Node {
	out := *after
	out.Members = slices.Clone(after.Members)
	receive := command.ReceiveOf(after)
	for _, p := range platform.All().Descriptions() {
		for _, s := range p.Settings {
			makes := p.Type == kind && s.Generate && s.Applies(receive)
			if value := before.Get(s.Key); makes && value != nil && after.Get(s.Key) == nil {
				out.Members = append(out.Members, document.Member{Key: s.Key, Value: value})
			}
		}
	}
	return &out
}

// retag returns the requests that make tags match a file.
func retag(name string, before, after *document.Node) (list []request) {
	ids, _ := json.Marshal([]string{name})
	set, removed := objectOf(), []string{}
	for _, tag := range after.Members {
		if !document.Same(before.Get(tag.Key), tag.Value) {
			set.Members = append(set.Members, tag)
		}
	}
	for _, tag := range before.Members {
		if after.Get(tag.Key) == nil {
			removed = append(removed, tag.Key)
		}
	}
	add := func(action, key, value string) {
		list = append(list, request{action: action, params: map[string]string{"ResourceType": "chatconfiguration",
			"ResourceIds": string(ids), key: value}})
	}
	if len(removed) > 0 { // first, since the number of tags is limited
		keys, _ := json.Marshal(removed)
		add("UntagResources", "TagKeys", string(keys))
	}
	if len(set.Members) > 0 {
		add("TagResources", "Tags", set.String())
	}
	return list
}

// A summary counts what a plan does.
type summary struct{ Create, Update, Delete, Unchanged int }

func summaryOf(plans []botPlan) (s summary) {
	for _, p := range plans {
		switch p.Action {
		case planCreate:
			s.Create++
		case planUpdate:
			s.Update++
		case planDelete:
			s.Delete++
		default:
			s.Unchanged++
		}
	}
	return s
}

func (s summary) changes() bool { return s.Create+s.Update+s.Delete > 0 }

// printPlans prints what will change.
func (v *verb) printPlans(plans []botPlan) error {
	for _, p := range plans {
		if p.Action == planUnchanged {
			continue
		}
		if err := v.printf("%s will be %s\n", p.Name, pastOf(p.Action)); err != nil {
			return err
		}
		if p.Action != planDelete {
			if err := v.printf("\n"); err != nil {
				return err
			}
			if err := v.printChanges(p.Changes); err != nil {
				return err
			}
		}
		if err := v.printf("\n"); err != nil {
			return err
		}
	}
	s := summaryOf(plans)
	return v.printf("Plan: %d to create, %d to change, %d to delete, %d unchanged\n", s.Create, s.Update, s.Delete,
		s.Unchanged)
}

// pastOf returns what was done by an action of a plan.
func pastOf(action string) string {
	return map[string]string{planCreate: "created", planUpdate: "changed", planDelete: "deleted"}[action]
}
