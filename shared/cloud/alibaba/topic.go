package alibaba

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"chatconf/shared/cloud"
)

// topicVersion is the API version of Simple Message Queue, formerly MNS.
// https://help.aliyun.com/en/mns/developer-reference/message-management-publishmessage
const topicVersion = "2015-06-06"

// Topics publishes to the topics of Simple Message Queue, formerly MNS.
type Topics struct {
	client func(account, region string) (*Client, error) // a function, so that printing does not show credentials
}

// NewTopics returns the topics of any account and region. With o.Endpoint, all of them are called
// there. Inside a VPC the endpoint is https://<account>.mns.<region>-internal.aliyuncs.com. It does
// no I/O.
func NewTopics(o Options) (*Topics, error) {
	t := &Topics{client: func(account, region string) (*Client, error) {
		o := o
		if o.Endpoint == "" {
			if !cloud.IsLabel(account) || !cloud.IsLabel(region) {
				return nil, errors.New("topic: set the account and the region")
			}
			o.Endpoint = "https://" + account + ".mns." + region + ".aliyuncs.com"
		}
		api, err := NewClient(topicVersion, o)
		if err != nil {
			return nil, fmt.Errorf("topic: %w", err)
		}
		return api, nil
	}}
	if _, err := t.client("account", "region"); err != nil {
		return nil, err
	}
	return t, nil
}

// Publish publishes a message. A topic keeps no order and drops nothing: group and id are not used.
func (t *Topics) Publish(ctx context.Context, arn, _, _ string, message []byte) error {
	if err := t.Check(arn); err != nil {
		return err
	}
	fields := strings.Split(arn, ":")
	api, err := t.client(fields[3], fields[2])
	if err != nil {
		return err
	}
	var body bytes.Buffer
	body.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` +
		`<Message xmlns="http://mns.aliyuncs.com/doc/v1/"><MessageBody>`)
	markup.WriteString(&body, string(message))
	body.WriteString(`</MessageBody></Message>`)
	path := fields[4] + "/messages"
	_, err = cloud.Ask(ctx, cloud.Question{
		Transport: api.transport,
		Sign: func(ctx context.Context) (cloud.Request, error) {
			r, err := http.NewRequest(http.MethodPost, api.endpoint+path, bytes.NewReader(body.Bytes()))
			if err != nil {
				return cloud.Request{}, err
			}
			return api.signTopic(ctx, r, path)
		},
		Read: readTopic,
	})
	if err != nil {
		return fmt.Errorf("topic: publish: %w", err)
	}
	return nil
}

// Check returns an error unless the ARN is that of a topic.
func (t *Topics) Check(arn string) error {
	fields := strings.Split(arn, ":")
	if len(fields) != 5 || fields[1] != "mns" || !strings.HasPrefix(fields[4], "/topics/") {
		return fmt.Errorf("%.80q is not the ARN of a topic of Simple Message Queue; "+
			"use acs:mns:<region>:<account>:/topics/<topic>", arn)
	}
	return nil
}

// markup escapes a text in XML. A quotation mark need not be escaped there, and JSON has many.
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// signTopic signs a request as the service wants it.
// https://help.aliyun.com/en/mns/developer-reference/signature-method
func (c *Client) signTopic(ctx context.Context, r *http.Request, resource string) (cloud.Request, error) {
	credentials, err := c.credentialsOf(ctx)
	if err != nil {
		return cloud.Request{}, err
	}
	kind, at := "text/xml;charset=utf-8", c.now().UTC().Format(http.TimeFormat)
	mac := hmac.New(sha1.New, []byte(credentials.AccessKeySecret))
	io.WriteString(mac, strings.Join([]string{r.Method, "", kind, at, "x-mns-version:" + c.version, resource}, "\n"))
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Date", at)
	r.Header.Set("X-Mns-Version", c.version)
	if credentials.SecurityToken != "" {
		r.Header.Set("Security-Token", credentials.SecurityToken)
	}
	r.Header.Set("Authorization", "MNS "+credentials.AccessKeyID+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return cloud.Request{Request: r, Secrets: []string{credentials.AccessKeySecret, credentials.SecurityToken}}, nil
}

// readTopic returns the XML of an answer.
func readTopic(status int, _ http.Header, body []byte) ([]byte, error) {
	if status == http.StatusCreated {
		return body, nil
	}
	var answer struct{ Code, Message, RequestId string }
	if xml.Unmarshal(body, &answer) != nil {
		answer.Code, answer.Message, answer.RequestId = "", "", ""
	}
	return nil, &cloud.Refusal{Status: status, Code: answer.Code, Message: answer.Message, RequestID: answer.RequestId,
		Retryable: cloud.Retryable(status) || answer.Code == "QpsLimitExceeded"}
}

// Right returns the action and the resource that a policy must allow to publish.
func (t *Topics) Right(arn string) (action, resource string) {
	return "mns:PublishMessage", arn + "/messages"
}
