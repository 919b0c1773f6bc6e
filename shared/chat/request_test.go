package chat_test

import (
	"errors"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/secret"
)

// Every action names all mistakes of its parameters in one answer, whose code and parameter are the first's, and changes nothing.
func TestAllMistakesOfARequest(t *testing.T) {
	h := newHouse(t)
	h.create("one")
	before := h.dump()
	const bad = "a b"
	role, group, big := "acs:ram::1:role/x", "r g", int64(1000)
	config := secret.Text(`{"SigningSecret":"x","Other":1}`)
	for _, c := range []struct {
		about string
		do    func() error
		code  chat.Code
		param string
		texts []string
	}{
		{"Create", func() error {
			_, err := h.Create(h.ctx, &chat.CreateRequest{RegionID: "X", Type: "Slack", RamRole: role, ResourceGroupID: group, Status: "x",
				Configuration: config, Tags: map[string]string{"": "", "acs:x": ""}, ClientToken: bad})
			return err
		}, chat.InvalidRegion, "RegionId", []string{"RegionId ", "Name is mandatory", "ClientToken ", "RamRole ", "ResourceGroupId ",
			`The tag key ""`, `The tag key "acs:x"`, "Status ", "Configuration.SigningSecret: ", "Configuration.Other: "}},
		{"Create of no known type", func() error {
			_, err := h.Create(h.ctx, &chat.CreateRequest{Name: "two", Type: "ICQ", Configuration: "{", Status: "x"})
			return err
		}, chat.InvalidParameter, "Type", []string{`"ICQ"`, "Status ", "Configuration is not JSON: it ends too early, at line 1, column 2"}},
		{"Create of nothing", func() error { _, err := h.Create(h.ctx, &chat.CreateRequest{}); return err },
			chat.MissingParameter, "Name", []string{"Name is mandatory", "Type is mandatory", "Configuration is mandatory"}},
		{"Update", func() error {
			_, err := h.Update(h.ctx, &chat.UpdateRequest{Name: "one", Type: "Feishu", RamRole: &role, ResourceGroupID: &group, Status: "x", Configuration: &config})
			return err
		}, chat.InvalidParameter, "Type", []string{`"Feishu" is not what "one" is`, "RamRole ", "ResourceGroupId ", "Status ", "Configuration.SigningSecret: ", "Configuration.Other: "}},
		{"Update of no name", func() error {
			_, err := h.Update(h.ctx, &chat.UpdateRequest{RegionID: "X", Name: bad, Type: "Slack", Status: "x", Configuration: &config, ClientToken: bad})
			return err
		}, chat.InvalidRegion, "RegionId", []string{"Name ", "ClientToken ", "Status ", "Configuration.Other: "}},
		{"Update of no name and type", func() error {
			text := secret.Text("[")
			_, err := h.Update(h.ctx, &chat.UpdateRequest{Type: "x", Configuration: &text, RamRole: &role})
			return err
		}, chat.MissingParameter, "Name", []string{"Type ", "RamRole ", "Configuration is not JSON: it ends too early"}},
		{"Get", func() error { _, err := h.Get(h.ctx, &chat.GetRequest{RegionID: "X", Name: bad}); return err },
			chat.InvalidRegion, "RegionId", []string{"Name "}},
		{"Delete", func() error {
			_, err := h.Delete(h.ctx, &chat.DeleteRequest{RegionID: "X", Name: bad, ClientToken: bad})
			return err
		}, chat.InvalidRegion, "RegionId", []string{"Name ", "ClientToken "}},
		{"List", func() error {
			_, err := h.List(h.ctx, &chat.ListRequest{MaxResults: &big, Filters: []chat.Filter{{Name: "x", Value: "y"}, {Name: "CreatedAfter", Value: "z"}}})
			return err
		}, chat.InvalidParameter, "MaxResults", []string{"MaxResults is 1000", `no filter "x"`, "CreatedAfter"}},
		{"Rotate", func() error {
			_, err := h.Rotate(h.ctx, &chat.RotateRequest{Name: bad, GraceSeconds: new(int64(-1)), ClientToken: bad})
			return err
		}, chat.InvalidParameter, "Name", []string{"GraceSeconds is -1", "ClientToken "}},
		{"Simulate", func() error { _, err := h.Simulate(h.ctx, &chat.SimulateRequest{Name: bad}); return err },
			chat.InvalidParameter, "Name", []string{"UserId is", "ConversationId is", "Command is"}},
		{"ListCommands", func() error {
			_, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{MaxResults: &big, Decision: "x", Since: "y", Until: "z", Command: bad})
			return err
		}, chat.MissingParameter, "Name", []string{"MaxResults is", "Decision ", "Since is", "Until is", "Command "}},
		{"Health", func() error { _, err := h.Health(h.ctx, &chat.HealthRequest{RegionID: "X", Name: bad}); return err },
			chat.InvalidRegion, "RegionId", []string{"Name "}},
		{"Tag", func() error {
			_, err := h.Tag(h.ctx, &chat.TagRequest{ResourceType: "x", Tags: map[string]string{"": "", "aliyun": ""}})
			return err
		}, chat.InvalidParameter, "ResourceType", []string{"ResourceIds is mandatory", `The tag key ""`, `The tag key "aliyun"`}},
		{"Tag nothing", func() error { _, err := h.Tag(h.ctx, &chat.TagRequest{}); return err },
			chat.MissingParameter, "ResourceType", []string{"ResourceIds is", "Tags is"}},
		{"Untag", func() error {
			_, err := h.Untag(h.ctx, &chat.UntagRequest{RegionID: "X", TagKeys: []string{"", "http://x"}})
			return err
		}, chat.InvalidRegion, "RegionId", []string{"ResourceType is", "ResourceIds is", `key ""`, `key "http://x"`}},
		{"ListTagResources", func() error {
			_, err := h.ListTagResources(h.ctx, &chat.ListTagResourcesRequest{ResourceIDs: make([]string, 51), MaxResults: &big, Tags: map[string]string{"": ""}})
			return err
		}, chat.MissingParameter, "ResourceType", []string{"51 ResourceIds", "MaxResults is", "The tag key"}},
		{"ListTagKeys", func() error {
			_, err := h.ListTagKeys(h.ctx, &chat.ListTagKeysRequest{RegionID: "X", ResourceType: "x", MaxResults: &big})
			return err
		}, chat.InvalidRegion, "RegionId", []string{"ResourceType ", "MaxResults is"}},
		{"ListTagValues", func() error {
			_, err := h.ListTagValues(h.ctx, &chat.ListTagValuesRequest{ResourceType: "x", MaxResults: &big})
			return err
		}, chat.InvalidParameter, "ResourceType", []string{"Key is", "MaxResults is"}},
		{"ChangeResourceGroup", func() error {
			_, err := h.ChangeResourceGroup(h.ctx, &chat.ChangeResourceGroupRequest{NewResourceGroupID: group})
			return err
		}, chat.MissingParameter, "ResourceType", []string{"ResourceId is", "NewResourceGroupId "}},
	} {
		wantError(t, c.about, c.do(), c.code, c.param, c.texts...)
	}
	equal(t, "the table after what was refused", h.dump(), before)
}

func TestJoin(t *testing.T) {
	name := &chat.Error{Code: chat.MissingParameter, Param: "Name", Message: "No name."}
	wrong := &chat.Error{Code: chat.InvalidParameter, Param: "Name", Message: "Wrong name."}
	size := &chat.Error{Code: chat.InvalidParameter, Param: "Size", Message: "Wrong size."}
	if err := chat.Join(); err != nil {
		t.Errorf("Join of nothing = %v", err)
	}
	if err := chat.Join(nil, nil); err != nil {
		t.Errorf("Join of nil = %v", err)
	}
	if err := chat.Join(nil, name, nil); err != error(name) {
		t.Errorf("Join of one = %v", err)
	}
	wantError(t, "two", chat.Join(name, size), chat.MissingParameter, "Name", "No name. Wrong size.")
	wantError(t, "joined again", chat.Join(size, chat.Join(name, wrong)), chat.InvalidParameter, "Size", "Wrong size. Wrong name.")
	if err := chat.Join(name, wrong); err == nil || err.Error() != "Wrong name." {
		t.Errorf("what is wrong is called missing, too: %v", err)
	}
	for _, other := range []error{
		errors.New("planted"), &chat.Error{Code: chat.NotFound}, &chat.Error{Code: chat.NoPermission}, &chat.Error{Code: chat.Unavailable}, &chat.Error{Code: chat.Internal},
	} {
		if err := chat.Join(name, other, size); err != other {
			t.Errorf("Join with %v = %v, want it alone", other, err)
		}
	}
	var many error
	for range 25 {
		many = chat.Join(many, size)
	}
	if got := many.Error(); strings.Count(got, "Wrong size.") != 20 || !strings.HasSuffix(got, "There are 5 more mistakes.") {
		t.Errorf("Join of 25 = %q", got)
	}
}
