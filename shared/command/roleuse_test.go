package command_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/command"
	"chatconf/shared/document"
)

// permissionsOf returns the permissions of a Configuration with a RamRole.
func permissionsOf(t *testing.T, role, configuration string) *command.Permissions {
	t.Helper()
	return endpointOf(t, role, configuration).Permissions
}

// endpointOf returns the endpoint of a Configuration with a RamRole.
func endpointOf(t *testing.T, role, configuration string) *command.Endpoint {
	t.Helper()
	root, err := document.Parse("Configuration", configuration)
	if err != nil {
		t.Fatal(err)
	}
	options := command.PermissionOptions{Name: "ops", Active: true, RamRole: role, FoldUsers: true}
	return &command.Endpoint{Actions: command.NewActions(root,
		nil), Permissions: command.NewPermissions(options, root)}
}

// TestNewUses checks for changes of Permissions which uses of roles they add or make wider.
func TestNewUses(t *testing.T) {
	const (
		groups = `"UserGroups":{"sre":["a","b"],"dev":["c"]}`
		sre    = `{"Effect":"Allow","Principals":["group:sre"],"Commands":["restart","scale-*"],"RamRole":"Ops"}`
		dev    = `{"Effect":"Allow","Principals":["group:dev"],"Commands":["restart"]}`
		all    = `{"Effect":"Allow","Principals":["*"],"Commands":["*"],"RamRole":"Admin"}`
		denial = `{"Effect":"Deny","Principals":["user:b"],"Commands":["scale-*"]}`
	)
	with := func(statements ...string) string {
		return `{` + groups + `,"Permissions":[` + strings.Join(statements, ",") + `]}`
	}
	edit := func(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }
	own := func(role string, i int) command.RoleUse {
		return command.RoleUse{Role: role, Statement: i, Named: true}
	}
	shared := func(role string, i int) command.RoleUse { return command.RoleUse{Role: role, Statement: i} }
	uses := func(list ...command.RoleUse) []command.RoleUse { return list }
	ops := uses(own("Ops", 0))
	for about, c := range map[string]struct {
		roleBefore, before, roleAfter, after string
		want                                 []command.RoleUse
	}{
		"nothing is changed":     {"", with(sre, dev, denial), "", with(sre, dev, denial), nil},
		"a role is set":          {"", with(sre), "Ops", with(sre), uses(own("Ops", -1))},
		"a role is set, for one": {"", with(dev), "Ops", with(dev), uses(own("Ops", -1))},
		"a role is set, with another": {"", with(), "Ops", with(all, dev),
			uses(own("Ops", -1), own("Admin", 0))},
		"a role is changed":        {"Ops", with(dev), "Dev", with(dev), uses(own("Dev", -1))},
		"a role is removed":        {"Ops", with(sre, dev), "", with(sre, dev), nil},
		"a role that nothing uses": {"Ops", with(sre), "Ops", with(sre), nil},
		"a statement is new":       {"", with(dev), "", with(dev, sre), uses(own("Ops", 1))},
		"two are new": {"", with(), "", with(all, sre),
			uses(own("Admin", 0), own("Ops", 1))},
		"a statement without a role is new": {"", with(sre), "", with(dev, sre), nil},
		"a statement is new under the configuration's role": {"Dev", with(sre), "Dev", with(sre, dev),
			uses(shared("Dev", 1))},
		"a statement is given another role": {"", with(sre), "", edit(with(sre), "Ops", "Dev"),
			uses(own("Dev", 0))},
		"a statement gives up its role for the configuration's": {"Dev", with(sre), "Dev",
			edit(with(sre), `,"RamRole":"Ops"`, ""), uses(shared("Dev", 0))},
		"a statement gives up its role for the same": {"Ops", with(sre), "Ops",
			edit(with(sre), `,"RamRole":"Ops"`, ""), nil},
		"a statement gives up its role for none": {"", with(sre), "", edit(with(sre), `,"RamRole":"Ops"`, ""), nil},
		"a command more": {"", with(sre), "", edit(with(sre), `"restart"`, `"restart","stop"`),
			ops},
		"a command less": {"", with(sre), "", edit(with(sre), `"restart",`, ""),
			ops},
		"a principal more": {"", with(sre), "", edit(with(sre), `["group:sre"]`, `["group:sre","user:c"]`),
			ops},
		"everybody": {"", with(sre), "", edit(with(sre), `["group:sre"]`, `["group:sre","*"]`),
			ops},
		"another group": {"", with(sre), "", edit(with(sre), `group:sre`, `group:dev`),
			ops},
		"in some conversations": {"", with(sre), "", edit(with(sre), `,"RamRole"`,
			`,"Conversations":["c"],"RamRole"`),
			ops},
		"the group grows": {"", with(sre, dev), "", edit(with(sre, dev), `"a","b"`, `"a","b","c"`),
			ops},
		"the group is others'": {"", with(sre), "", edit(with(sre), `"a","b"`, `"ab"`),
			ops},
		"another group grows": {"", with(sre, dev), "", edit(with(sre, dev), `"c"`, `"c","d"`), nil},
		"another group grows, under the configuration's role": {"Dev", with(sre, dev), "Dev",
			edit(with(sre, dev), `"c"`, `"c","d"`), uses(shared("Dev", 1))},
		"the order of lists, members and letters' case": {"", with(sre), "",
			`{"Permissions":[{"RamRole":"Ops","Commands":["SCALE-*","Restart"],"Principals":["group:sre"],` +
				`"Effect":"Allow"}],"UserGroups":{"dev":["c"],"sre":["B","a"]}}`, nil},
		"a user id that looks like two": {"", edit(with(sre), `group:sre"`, `user:a","user:b"`), "",
			edit(with(sre), `group:sre`, `user:a\"\"b`), ops},
		"a user named as a group": {"", with(sre), "", edit(with(sre), `group:sre`, `user:sre`), ops},

		"a denial is new":  {"", with(sre), "", with(sre, denial), nil},
		"a denial moves":   {"", with(sre, denial), "", with(denial, sre), nil},
		"a denial is gone": {"", with(sre, denial), "", with(sre), ops},
		"a denial is narrower": {"", with(sre, denial), "", edit(with(sre, denial), "user:b", "user:x"),
			ops},
		"a denied group is others'": {"", edit(with(sre, edit(denial, "user:b", "group:dev")), `["c"]`, `["a"]`), "",
			edit(with(sre, edit(denial, "user:b", "group:dev")), `["c"]`, `["d"]`), ops},
		"a denial becomes an Allow": {"", with(sre, denial), "", edit(with(sre, denial), "Deny", "Allow"), ops},

		"a statement in front is gone": {"", with(dev, all), "", with(all), uses(own("Admin", 0))},
		"a statement in front is narrower": {"", with(dev, all), "", edit(with(dev, all), "group:dev", "user:x"),
			uses(own("Admin", 1))},
		"a statement in front moves behind":        {"", with(dev, all), "", with(all, dev), uses(own("Admin", 0))},
		"one in front, of a role, moves behind":    {"", with(sre, all), "", with(all, sre), uses(own("Admin", 0))},
		"a statement behind is gone":               {"", with(all, sre), "", with(all), nil},
		"a statement behind moves in front":        {"", with(all, sre), "", with(sre, all), ops},
		"one in front of the same role is gone":    {"", with(edit(sre, "Ops", "Admin"), all), "", with(all), nil},
		"one in front of others' commands is gone": {"", with(edit(dev, "restart", "stop"), sre), "", with(sre), nil},
		"one in front of other users is gone":      {"", with(dev, sre), "", with(sre), nil},
		"one in front of other conversations is gone": {"", with(edit(dev, `}`, `,"Conversations":["x*"]}`),
			edit(all, `}`, `,"Conversations":["y"]}`)), "", with(edit(all, `}`, `,"Conversations":["y"]}`)), nil},
		"one in front, in all conversations, is limited": {"", with(dev, all), "",
			with(edit(dev, `}`, `,"Conversations":["x*"]}`), all), uses(own("Admin", 1))},
		"one in front is wider":          {"", with(dev, all), "", with(edit(dev, "restart", "re*"), all), nil},
		"one in front, of all, is wider": {"", with(dev, all), "", with(edit(dev, "group:dev", "*"), all), nil},
		"one in front is of another form": {"", with(edit(dev, "restart", "re?"), all), "",
			with(edit(dev, "restart", "r??"), all), uses(own("Admin", 1))},
		"a denial is wider":          {"", with(sre, denial), "", with(sre, edit(denial, "scale-*", "*")), nil},
		"a denial of others is gone": {"", with(sre, edit(denial, "user:b", "user:z")), "", with(sre), nil},
		"one in front gets another role": {"", with(sre, all), "", edit(with(sre, all), "Ops", "Dev"),
			uses(own("Dev", 0))},
		"the same again": {"", with(sre), "", with(sre, sre), nil},

		"Permissions are gone": {"Ops", with(sre, dev), "Ops", `{` + groups + `}`, nil},
		"Permissions are new":  {"Ops", `{` + groups + `}`, "Ops", with(dev), uses(shared("Ops", 0))},
		"conversations are limited": {"", with(sre), "", edit(with(sre), `{"User`,
			`{"ConversationIds":["x"],"User`), nil},
		"conversations are unlimited": {"", edit(with(sre), `{"User`, `{"ConversationIds":["x"],"User`), "",
			with(sre),
			ops},
		"a conversation more": {"", edit(with(sre), `{"User`, `{"ConversationIds":["x"],"User`), "",
			edit(with(sre), `{"User`, `{"ConversationIds":["x","y"],"User`), ops},
		"a conversation less": {"", edit(with(sre), `{"User`, `{"ConversationIds":["x","y"],"User`), "",
			edit(with(sre), `{"User`, `{"ConversationIds":["y"],"User`), nil},
		"the language": {"Ops", with(sre, dev), "Ops", edit(with(sre, dev), `{"User`, `{"Language":"zh","User`), nil},
	} {
		before, after := permissionsOf(t, c.roleBefore, c.before), permissionsOf(t, c.roleAfter, c.after)
		if diff := cmp.Diff(c.want, after.NewUses(before, false)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", about, diff)
		}
		// What is new altogether, or may be reached otherwise, is every use.
		made := after.NewUses(nil, false)
		other := after.NewUses(before, true)
		for _, use := range c.want {
			if !slices.Contains(made, use) && use.Named || !slices.Contains(other, use) {
				t.Errorf("%s: %+v is not among %+v and %+v", about, use, made, other)
			}
		}
	}
}

// TestNewUsesMissesNothing compares NewUses with Decide on many pairs of permissions that differ
// little.
func TestNewUsesMissesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	wider := 0
	for range 3000 {
		a := make([]byte, 45)
		for i := range a {
			a[i] = byte(random.IntN(256))
		}
		b := slices.Clone(a)
		for range 1 + random.IntN(3) {
			b[random.IntN(len(b))] = byte(random.IntN(256))
		}
		if checkNewUses(t, endpointFrom(t, a), endpointFrom(t, b)) {
			wider++
		}
	}
	if wider < 300 {
		t.Errorf("%d of the pairs let somebody run something under another role: too few to tell", wider)
	}
}

// TestNewUsesIsBounded compares large Permissions whose patterns are slow to compare: without a
// bound it takes a minute. Unchanged ones need nothing; of changed ones every use counts as new.
func TestNewUsesIsBounded(t *testing.T) {
	large := func(last string) string {
		var list []string
		for i := range 100 {
			commands := []string{`"x*"`, `"` + last + strconv.Itoa(i) + `"`}
			for k := range 29 {
				commands = append(commands, fmt.Sprintf(`"x*aaaa%02d%02d"`, i, k))
			}
			list = append(list, fmt.Sprintf(`{"Effect":"Allow","Principals":["*"],"Commands":[%s],"RamRole":"R%d"}`,
				strings.Join(commands, ","), i))
		}
		return `{"Permissions":[` + strings.Join(list, ",") + `]}`
	}
	var actions []string
	for i := range 100 {
		actions = append(actions, fmt.Sprintf(`"y%d":{"RamRole":"A%d","Aliases":["alias%d"]}`, i, i, i))
	}
	// As many actions as there may be, with as many statements.
	withActions := func(last string, edit ...string) *command.Permissions {
		text := strings.Replace(large(last), `{"Perm`, `{"Actions":{`+strings.Join(actions, ",")+`},"Perm`, 1)
		return permissionsOf(t, "Dev", strings.NewReplacer(edit...).Replace(text))
	}
	start := time.Now()
	if uses := withActions("y").NewUses(withActions("y"), false); len(uses) != 0 {
		t.Errorf("%d uses of unchanged actions are new", len(uses))
	}
	if uses := withActions("z").NewUses(withActions("y"), false); len(uses) != 100 {
		t.Errorf("%d of 100 changed uses are new, with actions", len(uses))
	}
	if uses := withActions("y", "alias", "other").NewUses(withActions("y"), false); len(uses) != 200 {
		t.Errorf("%d of 200 uses of changed actions are new", len(uses))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	before := permissionsOf(t, "Dev", large("y"))
	if uses := permissionsOf(t, "Dev", large("y")).NewUses(before, false); len(uses) != 0 {
		t.Errorf("%d uses of unchanged Permissions are new", len(uses))
	}
	if uses := permissionsOf(t, "Dev", large("z")).NewUses(before, false); len(uses) != 100 {
		t.Errorf("%d of 100 changed uses are new", len(uses))
	}
}

// FuzzNewUses is TestNewUsesMissesNothing for any pair.
func FuzzNewUses(f *testing.F) {
	for _, seed := range []string{"", "0123456789", "abcdefghijklmnop", "zyxwvutsrqponmlkjihgfedcba"} {
		f.Add([]byte(seed), []byte("The quick brown fox"))
		f.Add([]byte(seed), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) { checkNewUses(t, endpointFrom(t, a), endpointFrom(t, b)) })
}

// checkNewUses checks that a change lets nobody run anything under a role who did not run it under
// that role before, unless a use of the role is new. It reports whether the change lets somebody.
func checkNewUses(t *testing.T, before, after *command.Endpoint) (wider bool) {
	t.Helper()
	widened := make(map[string]bool)
	for _, use := range after.Permissions.NewUses(before.Permissions, false) {
		widened[use.Role] = true
	}
	// what runs, and as which role
	run := func(e *command.Endpoint, user, conversation, text string) (role, what string) {
		c, _ := e.Command(&command.Message{User: user, Conversation: conversation, Text: text})
		d := e.Decide(c)
		if !d.Allowed {
			return "", ""
		}
		_, args := c.Recorded()
		return d.RamRole, fmt.Sprint(c.Name, c.Action, args, e.TargetOf(c))
	}
	for _, user := range []string{"a", "b"} {
		for _, conversation := range []string{"x", "y"} {
			for _, text := range []string{"restart", "stop", "again", "restart env=test", "restart prod",
				"again prod",
				"restart --dry-run"} {
				role, what := run(after, user, conversation, text)
				roleBefore, whatBefore := run(before, user, conversation, text)
				if role == "" || role == roleBefore && what == whatBefore {
					continue
				}
				wider = true
				if !widened[role] {
					t.Errorf("%s runs %s in %s as %s under %s, before as %q under %q, and no use is new",
						user, text, conversation, what, role, whatBefore, roleBefore)
				}
			}
		}
	}
	return wider
}

// endpointFrom makes actions and permissions of few words, so that those of two texts are often
// alike.
func endpointFrom(t *testing.T, data []byte) *command.Endpoint {
	t.Helper()
	next := func(n int) int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b) % n
	}
	pick := func(lists ...[]string) []string { return lists[next(len(lists))] }
	root := map[string]any{"UserGroups": map[string]any{"g": pick([]string{"a"}, []string{"b"}, []string{"a", "b"})}}
	if next(3) == 0 {
		root["ConversationIds"] = pick([]string{"x"}, []string{"x", "y"})
	}
	role := pick([]string{"", "R", "S"})[next(3)]
	var statements []any
	for range next(4) {
		s := map[string]any{"Effect": []string{"Allow", "Allow", "Deny"}[next(3)],
			"Principals": pick([]string{"*"}, []string{"user:a"}, []string{"group:g"}),
			"Commands": pick([]string{"*"}, []string{"restart"}, []string{"stop", "restart"},
				[]string{"re*"}, []string{"st?p"}, []string{"again"})}
		if next(4) == 0 {
			s["Parameters"] = map[string]any{"env": pick([]string{"test"}, []string{"*"}, []string{"t*", "prod"})}
		}
		if next(3) == 0 {
			s["Conversations"] = pick([]string{"x"}, []string{"*"})
		}
		if r := []string{"", "R", "S"}[next(3)]; r != "" && s["Effect"] == "Allow" {
			s["RamRole"] = r
		}
		statements = append(statements, s)
	}
	if statements != nil {
		root["Permissions"] = statements
	}
	if next(3) > 0 {
		root["Actions"] = actionsFrom(next)
		if next(4) == 0 {
			root["StrictActions"] = "true"
		}
	}
	text, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return endpointOf(t, role, string(text))
}

// actionsFrom makes Actions of numbers below a limit.
func actionsFrom(next func(int) int) map[string]any {
	env := map[string]any{"Name": "env", "Type": "Enum", "Values": []string{"test", "prod"}}
	switch next(4) {
	case 0:
		env["Default"] = "test"
	case 1:
		env = map[string]any{"Name": "env", "Fixed": "test"}
	case 2:
		env["Values"] = []string{"test"}
	}
	restart := map[string]any{"Parameters": []any{env}, "Summary": strconv.Itoa(next(10))}
	if next(2) == 0 {
		restart["Aliases"] = []string{"again"}
	}
	if role := []string{"", "R", "S"}[next(3)]; role != "" {
		restart["RamRole"] = role
	}
	if next(3) == 0 {
		restart["Target"] = map[string]any{"Type": "Function", "Name": strconv.Itoa(next(2))}
	}
	if next(3) == 0 {
		restart["DryRun"] = "true"
	}
	out := map[string]any{"restart": restart}
	if next(4) == 0 {
		out["stop"] = map[string]any{"RamRole": "R"}
	}
	return out
}

// TestNewUsesOfActions checks for changes of Actions which uses of roles they add or make wider.
func TestNewUsesOfActions(t *testing.T) {
	const (
		restart = `"restart":{"Summary":"Restarts.","Aliases":["again"],"RamRole":"Act","Parameters":[` +
			`{"Name":"env","Type":"Enum","Values":["test","prod"],"Help":"Where."}]}`
		stop   = `"stop":{}`
		sre    = `{"Effect":"Allow","Principals":["user:a"],"Commands":["restart"]}`
		all    = `{"Effect":"Allow","Principals":["*"],"Commands":["*"],"RamRole":"Admin"}`
		dev    = `{"Effect":"Allow","Principals":["*"],"Commands":["restart"],"RamRole":"Dev"}`
		status = `{"Effect":"Allow","Principals":["*"],"Commands":["Status"],"RamRole":"Admin"}`
		every  = `{"Effect":"Allow","Principals":["*"],"Commands":["*"]}`
		prod   = `{"Effect":"Deny","Principals":["*"],"Commands":["*"],"Parameters":{"env":["prod"]}}`
		test   = `{"Effect":"Allow","Principals":["*"],"Commands":["restart"],"Parameters":{"ENV":["test","t*"]}}`
	)
	with := func(actions string, statements ...string) string {
		return `{"Actions":{` + actions + `},"Permissions":[` + strings.Join(statements, ",") + `]}`
	}
	edit := func(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }
	act := command.RoleUse{Role: "Act", Statement: -1, Action: "restart", Named: true}
	own := func(role string, i int) command.RoleUse {
		return command.RoleUse{Role: role, Statement: i, Named: true}
	}
	shared := func(role string, i int) command.RoleUse { return command.RoleUse{Role: role, Statement: i} }
	uses := func(list ...command.RoleUse) []command.RoleUse { return list }
	for about, c := range map[string]struct {
		role, before, after string
		want                []command.RoleUse
	}{
		"nothing is changed": {"", with(restart+","+stop, sre, all), with(restart+","+stop, sre, all), nil},
		"texts for people": {"", with(restart, sre), edit(with(restart, sre), "Restarts", "R", "Where", "W"),
			nil},
		"the order of actions": {"", with(restart+","+stop, sre), with(stop+","+restart, sre), nil},
		"an action is new":     {"", with(stop), with(stop + "," + restart), uses(act)},
		"an alias is new": {"", with(restart, sre), edit(with(restart, sre), `"again"`, `"again","redo"`),
			uses(act)},
		"a value is new": {"", with(restart, sre), edit(with(restart, sre), `"prod"`, `"prod","q"`),
			uses(act)},
		"a parameter is new": {"", with(restart), edit(with(restart), `"Parameters":[`,
			`"Parameters":[{"Name":"x"},`), uses(act)},
		"a bound is gone": {"", edit(with(restart), `"Help"`, `"Min":3,"Help"`), with(restart), uses(act)},
		"another bound": {"", edit(with(restart), `"Help"`, `"Min":3,"Help"`), edit(with(restart), `"Help"`,
			`"Max":3,"Help"`), uses(act)},
		"a pattern is changed": {"", edit(with(restart), `"Help"`, `"Pattern":"a","Help"`), edit(with(restart),
			`"Help"`, `"Pattern":"b","Help"`), uses(act)},
		"a fixed value is given": {"", with(restart), edit(with(restart), `"Help"`, `"Fixed":"test","Help"`),
			uses(act)},
		"a target is new": {"", with(restart), edit(with(restart), `"Aliases"`,
			`"Target":{"Type":"Journal"},"Aliases"`), uses(act)},
		"a target is changed": {"", edit(with(restart), `"Aliases"`,
			`"Target":{"Type":"Oos","TemplateName":"a"},"Aliases"`),
			edit(with(restart), `"Aliases"`, `"Target":{"Type":"Oos","TemplateName":"b"},"Aliases"`), uses(act)},
		"a template is changed": {"", edit(with(restart), `"Aliases"`,
			`"Target":{"Type":"Oos","Parameters":{"a":"{env}"}},"Aliases"`),
			edit(with(restart), `"Aliases"`, `"Target":{"Type":"Oos","Parameters":{"a":"b"}},"Aliases"`), uses(act)},
		"a role is changed": {"", edit(with(restart), "Act", "Other"), with(restart), uses(act)},
		"a role is gone": {"Dev", with(restart, sre), edit(with(restart, sre), `"RamRole":"Act",`, ""),
			uses(shared("Dev", 0))},
		"a changed action that others have roles for": {"", with(restart, sre, all),
			edit(with(restart, sre, all), `"again"`, `"redo"`), uses(act, own("Admin", 1))},
		"an action is gone": {"Dev", with(restart+","+stop, sre, all), with(stop, sre, all),
			uses(shared("Dev", 0), own("Admin", 1))},
		"an action is gone, strictly": {"Dev", edit(with(restart+","+stop, all),
			`{"Act`, `{"StrictActions":"true","Act`),
			edit(with(stop, all), `{"Act`, `{"StrictActions":"true","Act`), nil},
		"actions are no longer all": {"", edit(with(restart, all), `{"Act`, `{"StrictActions":"true","Act`),
			with(restart, all),
			uses(own("Admin", 0), act)},
		"actions become all": {"", with(restart, all), edit(with(restart, all),
			`{"Act`, `{"StrictActions":"true","Act`), nil},

		"status is no longer built in": {"", edit(with(stop, status), `{}`, `{"Target":{"Type":"Oos"}}`),
			with(stop, status), uses(own("Admin", 0))},
		"status becomes built in": {"", with(stop, status), edit(with(stop, status), `{}`,
			`{"Target":{"Type":"Oos"}}`), nil},

		"a statement is new": {"", with(restart), with(restart, sre), uses(shared("Act", 0))},
		"a statement of others is new": {"", with(restart, sre), with(restart, sre, edit(sre, "restart", "stop")),
			nil},
		"a statement names the alias": {"", with(restart, sre), edit(with(restart, sre), `["restart"]`,
			`["again"]`), nil},
		"a statement is for more users": {"", with(restart, sre), edit(with(restart, sre), "user:a", "*"),
			uses(shared("Act", 0))},
		"a role in front is gone": {"Dev", with(restart, dev, every), with(restart, every),
			uses(shared("Act", 0))},
		"one without a role in front is gone": {"Dev", with(restart, every, dev), with(restart, dev),
			uses(own("Dev", 0))},
		"a denial by value is new":  {"", with(restart, sre), with(restart, sre, prod), nil},
		"a denial by value is gone": {"", with(restart, sre, prod), with(restart, sre), uses(shared("Act", 0))},
		"a denial by value is general": {"", with(restart, sre, prod), edit(with(restart, sre, prod),
			`,"Parameters":{"env":["prod"]}`, ""), nil},
		"a denial is by value now": {"", edit(with(restart, sre, prod), `,"Parameters":{"env":["prod"]}`, ""),
			with(restart, sre, prod), uses(shared("Act", 0))},
		"a denial is by another value": {"", with(restart, sre, prod), edit(with(restart, sre, prod), `["prod"]`,
			`["test"]`), uses(shared("Act", 0))},
		"an Allow by value is general": {"", with(restart, test), edit(with(restart, test),
			`,"Parameters":{"ENV":["test","t*"]}`, ""), uses(shared("Act", 0))},
		"the order and case of values": {"", with(restart, test), edit(with(restart, test), `ENV`, `env`,
			`"test","t*"`, `"t*","test"`), nil},
	} {
		before, after := permissionsOf(t, c.role, c.before), permissionsOf(t, c.role, c.after)
		if diff := cmp.Diff(c.want, after.NewUses(before, false)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", about, diff)
		}
		if strings.Contains(c.after, `"Act"`) && !slices.Contains(after.NewUses(nil, false), act) {
			t.Errorf("%s: %+v", about, after.NewUses(nil, false))
		}
	}
}
