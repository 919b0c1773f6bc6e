package main

import (
	"errors"

	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	targetalibaba "chatconf/shared/target/alibaba"
	targetaws "chatconf/shared/target/aws"
)

// The values of --cloud.
const (
	cloudAlibaba = "alibaba"
	cloudAWS     = "aws"
)

// openCloud returns what commands of a local service run in: the named cloud, with the credentials
// of the environment, or else the emulators. ok is false if there is neither.
func openCloud(name string, getenv func(string) string, region string,
	emulated *emulators) (c dispatch.Cloud, ok bool, err error) {
	switch name {
	case "":
		return emulated.cloud(region)
	case cloudAlibaba:
		if getenv("ALIBABA_CLOUD_ACCESS_KEY_ID") == "" && getenv("TABLESTORE_ACCESS_KEY_ID") == "" {
			err = errors.New("--cloud alibaba: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET " +
				"to an access key that may assume the roles of commands")
			break
		}
		c, err = targetalibaba.Read(getenv)
	case cloudAWS:
		var found awsEnvironment
		if found, err = findAWS(getenv); err == nil {
			c, err = targetaws.ReadWith(found.getenv, found.credentials)
		}
	default:
		err = errors.New(`unknown --cloud "` + name + `"; use ` + cloudAlibaba + " or " + cloudAWS)
	}
	if err != nil {
		return dispatch.Cloud{}, false, &usageError{err}
	}
	return c, true, nil
}

// unemulated are the types of targets that no emulator has.
var unemulated = []string{command.TargetFunction}
