package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"chatconf/shared/cloud"
)

// topicVersion is the API version of SNS.
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
const topicVersion = "2010-03-31"

// Topics publishes to the topics of SNS.
type Topics struct {
	client func(region string) (*Client, error) // a function, so that printing does not show credentials
}

// NewTopics returns the topics of any region. With o.Endpoint, all of them are called there. It
// does no I/O.
func NewTopics(o Options) (*Topics, error) {
	t := &Topics{client: func(region string) (*Client, error) {
		o := o
		o.Region = region
		api, err := NewClient("sns", o)
		if err != nil {
			return nil, fmt.Errorf("topic: %w", err)
		}
		return api, nil
	}}
	if _, err := t.client(o.Region); err != nil {
		return nil, err
	}
	return t, nil
}

// Publish publishes a message. A FIFO topic keeps the order of a group, and drops a message whose
// id it had within five minutes.
func (t *Topics) Publish(ctx context.Context, arn, group, id string, message []byte) error {
	if err := t.Check(arn); err != nil {
		return err
	}
	api, err := t.client(strings.Split(arn, ":")[3])
	if err != nil {
		return err
	}
	params := url.Values{"Action": {"Publish"}, "Version": {topicVersion}, "TopicArn": {arn},
		"Message": {string(message)}}
	if strings.HasSuffix(arn, ".fifo") { // both have at most 128 characters
		params.Set("MessageGroupId", hashed(group))
		params.Set("MessageDeduplicationId", hashed(id))
	}
	_, err = api.Ask(ctx, "/", http.Header{
		"Accept":       {"text/xml"},
		"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"},
	}, []byte(params.Encode()), cloud.Question{Read: readQuery})
	if err != nil {
		return fmt.Errorf("topic: publish: %w", err)
	}
	return nil
}

// Check returns an error unless the ARN is that of a topic.
func (t *Topics) Check(arn string) error {
	if fields := strings.Split(arn, ":"); len(fields) != 6 || fields[2] != "sns" || !cloud.IsLabel(fields[3]) {
		return fmt.Errorf("%.80q is not the ARN of a topic of SNS; use arn:aws:sns:<region>:<account>:<topic>", arn)
	}
	return nil
}

func hashed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Right returns the action and the resource that a policy must allow to publish.
func (t *Topics) Right(arn string) (action, resource string) { return "sns:Publish", arn }
