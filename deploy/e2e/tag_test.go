package e2e_test

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// resourceType is what tag operations call chat configurations.
const resourceType = "chatconfiguration"

// ids returns names as the SDK's odd type for a list: it sends the JSON object {"0":"name"}.
func ids(names ...string) map[string]any {
	m := make(map[string]any, len(names))
	for i, name := range names {
		m[fmt.Sprint(i)] = name
	}
	return m
}

func TestTagsThroughTheSDK(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, dialect := range dialects {
		t.Run(dialect.name, func(t *testing.T) {
			client := s.client(t, func(c *openapi.Config) { c.SignatureAlgorithm = dialect.algorithm })
			// so that they do not meet
			region := dara.String(map[string]string{"ACS3": "cn-hangzhou", "V1": "cn-beijing"}[dialect.name])
			for _, name := range []string{"one", "two"} {
				must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{
					RegionId: region, Name: dara.String(name), Type: dara.String("DingTalk"),
					Configuration: dara.String(dingTalk(name)),
				}))(t)
			}
			must(client.TagResources(&oos.TagResourcesRequest{
				RegionId:     region,
				ResourceType: dara.String(resourceType),
				ResourceIds:  ids("one", "two"),
				Tags:         object{"env": "prod", "团队 +*~": "运维/=&%"},
			}))(t)
			must(client.TagResources(&oos.TagResourcesRequest{
				RegionId: region, ResourceType: dara.String("ChatConfiguration"),
				ResourceIds: ids("two"), Tags: object{"env": "test"},
			}))(t)
			list := func(in *oos.ListTagResourcesRequest) string {
				t.Helper()
				in.RegionId, in.ResourceType = region, dara.String(resourceType)
				return listTags(t, client, in)
			}
			for _, c := range []struct {
				in   *oos.ListTagResourcesRequest
				want string
			}{
				{&oos.ListTagResourcesRequest{}, "one env=prod|one 团队 +*~=运维/=&%|two env=test|two 团队 +*~=运维/=&%"},
				{&oos.ListTagResourcesRequest{ResourceIds: ids("two")}, "two env=test|two 团队 +*~=运维/=&%"},
				{&oos.ListTagResourcesRequest{Tags: object{"env": "prod"}}, "one env=prod|one 团队 +*~=运维/=&%"},
			} {
				if got := list(c.in); got != c.want {
					t.Errorf("tags of %v = %q, want %q", c.in, got, c.want)
				}
			}

			keys := must(client.ListTagKeys(&oos.ListTagKeysRequest{RegionId: region,
				ResourceType: dara.String(resourceType), MaxResults: dara.Int32(10)}))(t)
			if got, want := strings.Join(dara.StringSliceValue(keys.Body.Keys), "|"), "env|团队 +*~"; got != want {
				t.Errorf("keys = %q, want %q", got, want)
			}
			values := must(client.ListTagValues(&oos.ListTagValuesRequest{RegionId: region,
				ResourceType: dara.String(resourceType), Key: dara.String("env")}))(t)
			if got, want := strings.Join(dara.StringSliceValue(values.Body.Values), "|"), "prod|test"; got != want {
				t.Errorf("values = %q, want %q", got, want)
			}

			must(client.UntagResources(&oos.UntagResourcesRequest{
				RegionId: region, ResourceType: dara.String(resourceType), ResourceIds: ids("one", "two"),
				TagKeys: ids("env", "never there"),
			}))(t)
			if got, want := list(&oos.ListTagResourcesRequest{}), "one 团队 +*~=运维/=&%|two 团队 +*~=运维/=&%"; got != want {
				t.Errorf("tags = %q, want %q", got, want)
			}
			must(client.UntagResources(&oos.UntagResourcesRequest{
				RegionId: region, ResourceType: dara.String(resourceType),
				ResourceIds: ids("one"), All: dara.Bool(true),
			}))(t)
			if got, want := list(&oos.ListTagResourcesRequest{}), "two 团队 +*~=运维/=&%"; got != want {
				t.Errorf("tags = %q, want %q", got, want)
			}

			must(client.ChangeResourceGroup(&oos.ChangeResourceGroupRequest{
				RegionId: region, ResourceType: dara.String(resourceType), ResourceId: dara.String("one"),
				NewResourceGroupId: dara.String("rg-new"),
			}))(t)
			got := must(client.GetChatConfiguration(&oos.GetChatConfigurationRequest{RegionId: region,
				Name: dara.String("one")}))(t)
			wantEqual(t, "ResourceGroupId", got.Body.ChatConfiguration.ResourceGroupId, "rg-new")
			grouped := must(client.ListChatConfigurations(&oos.ListChatConfigurationsRequest{RegionId: region,
				Filters: filters("ResourceGroupId", "rg-new")}))(t)
			if n := len(grouped.Body.ChatConfigurations); n != 1 {
				t.Errorf("the new group has %d configurations, want 1", n)
			}

			_, err := client.TagResources(&oos.TagResourcesRequest{
				RegionId: region, ResourceType: dara.String(resourceType),
				ResourceIds: ids("one", "nobody"), Tags: object{"a": "b"},
			})
			wantSDKError(t, err, http.StatusNotFound, "InvalidResourceId.NotFound")
			if got, want := list(&oos.ListTagResourcesRequest{}), "two 团队 +*~=运维/=&%"; got != want {
				t.Errorf("tags after a refused request = %q, want %q", got, want)
			}
		})
	}
	s.check("1000000000000000/cn-hangzhou: 2 configurations, ", "1000000000000000/cn-beijing: 2 configurations, ")
}

// listTags lists tags through all pages, as "name key=value", separated by |.
func listTags(t *testing.T, client *oos.Client, in *oos.ListTagResourcesRequest) string {
	t.Helper()
	var all []string
	for range 100 {
		page := must(client.ListTagResources(in))(t).Body
		for _, r := range page.TagResources.TagResource {
			wantEqual(t, "ResourceType", r.ResourceType, resourceType)
			all = append(all, fmt.Sprintf("%s %s=%s", dara.StringValue(r.ResourceId),
				dara.StringValue(r.TagKey), dara.StringValue(r.TagValue)))
		}
		if dara.StringValue(page.NextToken) == "" {
			return strings.Join(all, "|")
		}
		in.NextToken = page.NextToken
	}
	t.Fatal("the list does not end")
	return ""
}

// Official clients spell lists in many ways: the CLI and Terraform as JSON arrays, the SDK as an
// object, Terraform also flattened.
func TestEverySpellingOfAListIsRead(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client := s.client(t)
	create(t, client, "one")
	create(t, client, "two")
	common := []string{"RegionId", "cn-hangzhou", "ResourceType", resourceType}
	tags := func(t *testing.T) string {
		t.Helper()
		return listTags(t, client, &oos.ListTagResourcesRequest{RegionId: dara.String("cn-hangzhou"),
			ResourceType: dara.String(resourceType)})
	}
	for _, spelling := range [][]string{
		{"ResourceIds", `["one","two"]`, "Tags", `{"k":"v","n":""}`},
		{"ResourceIds", `{"0":"one","1":"two"}`, "Tags", `[{"Key":"k","Value":"v"},{"Key":"n","Value":""}]`},
		{"ResourceIds", `{"one":true,"two":true}`, "Tags.1.Key", "k", "Tags.1.Value", "v", "Tags.2.Key", "n"},
		{"ResourceIds.1", "one", "ResourceIds.2", "two", "Tag.1.Key", "k", "Tag.1.Value", "v",
			"Tag.2.Key", "n", "Tag.2.Value", ""},
		{"ResourceId.1", "one", "ResourceId.2", "two", "Tags", `{"k":"v","n":""}`},
	} {
		s.send(t, newV1(s.key, "TagResources", append(spelling, common...)...)).ok(t, nil)
		if got, want := tags(t), "one k=v|one n=|two k=v|two n="; got != want {
			t.Errorf("after %q the tags are %q, want %q", spelling, got, want)
		}
		s.send(t, newV1(s.key, "UntagResources", append([]string{"ResourceIds", `["one","two"]`, "All", "true"},
			common...)...)).ok(t, nil)
	}
	for _, spelling := range [][]string{
		{"TagKeys", `["k","n"]`},
		{"TagKeys", `{"0":"k","1":"n"}`},
		{"TagKeys.1", "k", "TagKeys.2", "n"},
		{"TagKeys", `["k","n"]`, "TagKey.1", "k", "TagKey.2", "n"},
	} {
		s.send(t, newV1(s.key, "TagResources", append([]string{"ResourceIds", `["one"]`, "Tags", `{"k":"v","n":""}`},
			common...)...)).ok(t, nil)
		s.send(t, newACS3(s.key, "UntagResources", append(append([]string{"ResourceIds", `["one"]`}, spelling...),
			common...)...)).ok(t, nil)
		if got := tags(t); got != "" {
			t.Errorf("after %q the tags are %q, want none", spelling, got)
		}
	}
}

func TestPagesOfTagsShowEverythingOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	client := s.client(t)
	var want []string
	keys := make(map[string]bool)
	for i := range 4 {
		name := fmt.Sprint("bot-", i)
		create(t, client, name)
		tags := object{}
		for j := range 3 {
			key := fmt.Sprintf("k%d", i+j)
			tags[key], keys[key] = name, true
			want = append(want, fmt.Sprintf("%s %s=%s", name, key, name))
		}
		must(client.TagResources(&oos.TagResourcesRequest{
			RegionId: dara.String("cn-hangzhou"), ResourceType: dara.String(resourceType),
			ResourceIds: ids(name), Tags: tags,
		}))(t)
	}
	for _, size := range []string{"1", "2", "5", "11", "12", "13", "100"} {
		var got []string
		pages(t, s, "ListTagResources", size, func(body tagPage) {
			for _, r := range body.TagResources.TagResource {
				got = append(got, fmt.Sprintf("%s %s=%s", r.ResourceId, r.TagKey, r.TagValue))
			}
		})
		if !slices.Equal(got, want) {
			t.Errorf("tags by pages of %s = %q, want %q", size, got, want)
		}
		got = nil
		pages(t, s, "ListTagKeys", size, func(body tagPage) { got = append(got, body.Keys...) })
		if len(got) != len(keys) || !slices.IsSortedFunc(got, cmp.Compare) {
			t.Errorf("keys by pages of %s = %q, want %d in order", size, got, len(keys))
		}
		got = nil
		pages(t, s, "ListTagValues", size, func(body tagPage) { got = append(got, body.Values...) }, "Key", "k2")
		if want := "bot-0 bot-1 bot-2"; strings.Join(got, " ") != want {
			t.Errorf("values by pages of %s = %q, want %s", size, got, want)
		}
	}
}

// A tagPage is a page of any list of tags.
type tagPage struct {
	TagResources struct {
		TagResource []struct{ ResourceId, TagKey, TagValue string }
	}
	Keys, Values []string
	NextToken    string
}

// pages reads all pages of a list of tags.
func pages(t *testing.T, s *service, action, size string, look func(tagPage), more ...string) {
	t.Helper()
	token := ""
	for range 100 {
		r := newACS3(s.key, action, append(more, "RegionId", "cn-hangzhou", "ResourceType",
			resourceType, "MaxResults", size)...)
		if token != "" {
			r.query["NextToken"] = token
		}
		var body tagPage
		a := s.send(t, r)
		a.ok(t, &body)
		if got := a.header.Get("x-acs-next-token"); got != body.NextToken {
			t.Errorf("x-acs-next-token = %q, and the body says %q", got, body.NextToken)
		}
		look(body)
		if token = body.NextToken; token == "" {
			return
		}
	}
	t.Fatalf("%s does not end", action)
}
