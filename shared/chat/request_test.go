package chat_test

import (
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/chat/chattest"
	"chatconf/shared/fault"
	"chatconf/shared/secret"
)

// Every action names all mistakes of its parameters in one answer, whose code and parameter are the
// first's, and changes nothing.
func TestAllMistakesOfARequest(t *testing.T) {
	h := newHouse(t)
	h.MustCreate("one")
	before := h.Dump()
	const bad = "a b"
	role, group, big := "acs:ram::1:role/x", "r g", int64(1000)
	config := secret.Text(`{"SigningSecret":"x","Other":1}`)
	for _, c := range []struct {
		about string
		do    func() error
		code  fault.Code
		param string
		texts []string
	}{
		{"Create", func() error {
			_, err := h.Create(h.Ctx, &chat.CreateRequest{RegionID: "X", Type: "Slack", RamRole: role,
				ResourceGroupID: group, Status: "x",
				Configuration: config, Tags: map[string]string{"": "", "acs:x": ""}, ClientToken: bad})
			return err
		}, fault.InvalidRegion, "RegionId", []string{"RegionId ", "Name is mandatory",
			"ClientToken ", "RamRole ", "ResourceGroupId ",
			`The tag key ""`, `The tag key "acs:x"`, "Status ", "Configuration.SigningSecret: ",
			"Configuration.Other: "}},
		{"Create of no known type", func() error {
			_, err := h.Create(h.Ctx, &chat.CreateRequest{Name: "two", Type: "ICQ", Configuration: "{", Status: "x"})
			return err
		}, fault.InvalidParameter, "Type", []string{`"ICQ"`, "Status ",
			"Configuration is not JSON: it ends too early, at line 1, column 2"}},
		{"Create of nothing", func() error { _, err := h.Create(h.Ctx, &chat.CreateRequest{}); return err },
			fault.MissingParameter, "Name", []string{"Name is mandatory",
				"Type is mandatory", "Configuration is mandatory"}},
		{"Update", func() error {
			_, err := h.Update(h.Ctx, &chat.UpdateRequest{Name: "one", Type: "Feishu", RamRole: &role,
				ResourceGroupID: &group, Status: "x", Configuration: &config})
			return err
		}, fault.InvalidParameter, "Type", []string{`Type "Feishu" cannot be set`, "RamRole ", "ResourceGroupId ",
			"Status ", "Configuration.SigningSecret: ", "Configuration.Other: "}},
		{"Update of no name", func() error {
			_, err := h.Update(h.Ctx, &chat.UpdateRequest{RegionID: "X", Name: bad, Type: "Slack", Status: "x",
				Configuration: &config, ClientToken: bad})
			return err
		}, fault.InvalidRegion, "RegionId", []string{"Name ", "ClientToken ", "Status ", "Configuration.Other: "}},
		{"Update of no name and type", func() error {
			text := secret.Text("[")
			_, err := h.Update(h.Ctx, &chat.UpdateRequest{Type: "x", Configuration: &text, RamRole: &role})
			return err
		}, fault.MissingParameter, "Name", []string{"Type ", "RamRole ",
			"Configuration is not JSON: it ends too early"}},
		{"Get", func() error { _, err := h.Get(h.Ctx, &chat.GetRequest{RegionID: "X", Name: bad}); return err },
			fault.InvalidRegion, "RegionId", []string{"Name "}},
		{"Delete", func() error {
			_, err := h.Delete(h.Ctx, &chat.DeleteRequest{RegionID: "X", Name: bad, ClientToken: bad})
			return err
		}, fault.InvalidRegion, "RegionId", []string{"Name ", "ClientToken "}},
		{"List", func() error {
			_, err := h.List(h.Ctx, &chat.ListRequest{MaxResults: &big,
				Filters: []chat.Filter{{Name: "x", Value: "y"}, {Name: "CreatedAfter", Value: "z"}}})
			return err
		}, fault.InvalidParameter, "MaxResults", []string{"MaxResults is 1000", `Unknown filter "x"`, "CreatedAfter"}},
		{"Rotate", func() error {
			_, err := h.Rotate(h.Ctx, &chat.RotateRequest{Name: bad, GraceSeconds: new(int64(-1)), ClientToken: bad})
			return err
		}, fault.InvalidParameter, "Name", []string{"GraceSeconds is -1", "ClientToken "}},
		{"Simulate", func() error { _, err := h.Simulate(h.Ctx, &chat.SimulateRequest{Name: bad}); return err },
			fault.InvalidParameter, "Name", []string{"UserId is", "ConversationId is", "Command is"}},
		{"ListCommands", func() error {
			_, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: bad, MaxResults: &big, Decision: "x",
				Since: "y", Until: "z", Command: bad})
			return err
		}, fault.InvalidParameter, "Name", []string{"MaxResults is", "Decision ", "Since is", "Until is", "Command "}},
		{"Health", func() error {
			_, err := h.Health(h.Ctx,
				&chat.HealthRequest{RegionID: "X", Name: bad})
			return err
		},
			fault.InvalidRegion, "RegionId", []string{"Name "}},
		{"Tag", func() error {
			_, err := h.Tag(h.Ctx, &chat.TagRequest{ResourceType: "x", Tags: map[string]string{"": "", "aliyun": ""}})
			return err
		}, fault.InvalidParameter, "ResourceType", []string{"ResourceIds is mandatory",
			`The tag key ""`, `The tag key "aliyun"`}},
		{"Tag nothing", func() error { _, err := h.Tag(h.Ctx, &chat.TagRequest{}); return err },
			fault.MissingParameter, "ResourceType", []string{"ResourceIds is", "Tags is"}},
		{"Untag", func() error {
			_, err := h.Untag(h.Ctx, &chat.UntagRequest{RegionID: "X", TagKeys: []string{"", "http://x"}})
			return err
		}, fault.InvalidRegion, "RegionId", []string{"ResourceType is", "ResourceIds is", `key ""`, `key "http://x"`}},
		{"ListTagResources", func() error {
			_, err := h.ListTagResources(h.Ctx, &chat.ListTagResourcesRequest{ResourceIDs: make([]string, 51),
				MaxResults: &big, Tags: map[string]string{"": ""}})
			return err
		}, fault.MissingParameter, "ResourceType", []string{"51 ResourceIds", "MaxResults is", "The tag key"}},
		{"ListTagKeys", func() error {
			_, err := h.ListTagKeys(h.Ctx, &chat.ListTagKeysRequest{RegionID: "X", ResourceType: "x", MaxResults: &big})
			return err
		}, fault.InvalidRegion, "RegionId", []string{"ResourceType ", "MaxResults is"}},
		{"ListTagValues", func() error {
			_, err := h.ListTagValues(h.Ctx, &chat.ListTagValuesRequest{ResourceType: "x", MaxResults: &big})
			return err
		}, fault.InvalidParameter, "ResourceType", []string{"Key is", "MaxResults is"}},
		{"ChangeResourceGroup", func() error {
			_, err := h.ChangeResourceGroup(h.Ctx, &chat.ChangeResourceGroupRequest{NewResourceGroupID: group})
			return err
		}, fault.MissingParameter, "ResourceType", []string{"ResourceId is", "NewResourceGroupId "}},
	} {
		chattest.WantError(t, c.about, c.do(), c.code, c.param, c.texts...)
	}
	chattest.Equal(t, "the table after what was refused", h.Dump(), before)
}
