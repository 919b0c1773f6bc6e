package platform_test

import (
	"fmt"
	"net/url"
	"time"

	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
)

func ExampleList_Descriptions() {
	for _, p := range platform.All().Descriptions() {
		fmt.Println(p.Type, p.Aliases)
	}
	// Output:
	// DingTalk []
	// WeChat [WeCom]
	// Feishu [Lark]
	// Slack []
	// Teams []
}

// A request without a genuine signature is refused. The error is for the owner of the
// configuration, not for the sender of the request.
func ExampleList_Receivers() {
	receiver, err := platform.All().Receivers()["Slack"](callback.Settings{"SlackSigningSecret": "not-a-real-secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = receiver.Receive(&callback.Request{Method: "POST", Query: url.Values{},
		Body: []byte("{}"), Now: time.Now()})
	fmt.Println(err)
	// Output: callback: request: the header X-Slack-Signature is missing
}
