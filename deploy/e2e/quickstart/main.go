// Command quickstart takes a chat configuration through its life, with the official SDK and nothing
// else. It reads CHATCONF_ENDPOINT, ALIBABA_CLOUD_ACCESS_KEY_ID and
// ALIBABA_CLOUD_ACCESS_KEY_SECRET, as "chatconf env" prints them.
package main

import (
	"fmt"
	"log"
	"net/url"
	"os"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

func main() {
	log.SetFlags(0)
	endpoint, err := url.Parse(os.Getenv("CHATCONF_ENDPOINT"))
	check(err)
	client, err := oos.NewClient(new(openapi.Config).
		SetEndpoint(endpoint.Host).
		SetProtocol(endpoint.Scheme).
		SetAccessKeyId(os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_ID")).
		SetAccessKeySecret(os.Getenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET")))
	check(err)

	_, err = client.CreateChatConfiguration(new(oos.CreateChatConfigurationRequest).SetName(
		"quickstart").SetType("DingTalk").
		SetConfiguration(`{"DingTalkClientId":"dingexample","DingTalkClientSecret":"not-a-real-secret",` +
			`"BotName":"运维机器人"}`))
	check(err)
	fmt.Println("created quickstart")

	got, err := client.GetChatConfiguration(new(oos.GetChatConfigurationRequest).SetName("quickstart"))
	check(err)
	etag, configuration := *got.Headers["etag"], *got.Body.ChatConfiguration.Configuration
	fmt.Println("read", etag, configuration)

	byType := new(oos.ListChatConfigurationsRequestFilters).SetName("Type").SetValue("DingTalk")
	list, err := client.ListChatConfigurations(new(oos.ListChatConfigurationsRequest).
		SetFilters([]*oos.ListChatConfigurationsRequestFilters{byType}))
	check(err)
	for _, c := range list.Body.ChatConfigurations {
		fmt.Println("listed", *c.Name, *c.Type)
	}

	// The masked secret is sent back, and is kept. If-Match makes sure that nobody else changed the
	// configuration since it was read.
	update := new(oos.UpdateChatConfigurationRequest).SetName("quickstart").SetConfiguration(
		configuration).SetRamRole("OpsRole")
	ifMatch := &dara.RuntimeOptions{ExtendsParameters: &dara.ExtendsParameters{
		Headers: map[string]*string{"If-Match": &etag}}}
	updated, err := client.UpdateChatConfigurationWithOptions(update, ifMatch)
	check(err)
	fmt.Println("updated, now", *updated.Headers["etag"])
	_, err = client.UpdateChatConfigurationWithOptions(update, ifMatch)
	fmt.Println("refused:", err)

	deleted, err := client.DeleteChatConfiguration(new(oos.DeleteChatConfigurationRequest).SetName("quickstart"))
	check(err)
	fmt.Println(*deleted.Body.Content)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
