package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"chatconf/shared/app"
	"chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/cloud/aws"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/tablestore"
)

// Names of stores, and of the targets that use them.
const (
	storeFile       = "file"
	storeTablestore = "tablestore"
	storeDynamoDB   = "dynamodb"

	targetLocal  = "local" // this process, on any store
	targetFC     = "fc"
	targetLambda = "lambda"
)

// openStore returns the cloud of the named store, with the settings that functions read from the
// environment. It sends nothing.
func openStore(store string, getenv func(string) string) (cloud.Cloud, error) {
	var c cloud.Cloud
	var err error
	switch store {
	case storeTablestore:
		c, err = alibaba.Read(getenv)
		if err == nil && c.SignedBy == "" {
			err = errors.New("TABLESTORE_ACCESS_KEY_ID, TABLESTORE_ACCESS_KEY_SECRET: set them to an access key, " +
				"or use the names ALIBABA_CLOUD_…")
		}
	case storeDynamoDB:
		c, err = readAWS(getenv)
	default:
		err = fmt.Errorf("unknown store %q; use %s, %s or %s", store, storeFile, storeTablestore, storeDynamoDB)
	}
	if err != nil {
		return c, &usageError{err}
	}
	if c.SignedBy != "" {
		c.Where += " (access key " + c.SignedBy + ")"
	}
	return c, nil
}

// storeOf returns the name of the store of a target.
func storeOf(target string) (string, error) {
	switch target {
	case targetFC:
		return storeTablestore, nil
	case targetLambda:
		return storeDynamoDB, nil
	}
	return "", usagef("unknown --target %q; use %s or %s", target, targetFC, targetLambda)
}

// An awsEnvironment is the environment of AWS, and the credentials in it or for it.
type awsEnvironment struct {
	getenv      func(string) string
	credentials awssdk.CredentialsProvider
}

// findAWS returns the access key in the environment, as functions use it. Without a key it returns
// the region and credentials that AWS's own tools find: a profile, an SSO session, a web identity,
// or the role of a container or an instance.
func findAWS(getenv func(string) string) (awsEnvironment, error) {
	region := cmp.Or(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"))
	if region != "" && getenv("AWS_ACCESS_KEY_ID") != "" {
		credentials, err := dynamodb.Environment(getenv)
		return awsEnvironment{getenv, credentials}, err
	}
	found, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return awsEnvironment{}, fmt.Errorf("AWS: %w", err)
	}
	region = cmp.Or(region, found.Region)
	if region == "" {
		return awsEnvironment{}, errors.New("AWS_REGION: set it to a region, such as eu-central-1, " +
			"or set the region of the profile")
	}
	return awsEnvironment{func(name string) string {
		if name == "AWS_REGION" {
			return region
		}
		return getenv(name)
	}, found.Credentials}, nil
}

// readAWS returns AWS with the access key in the environment, or what findAWS finds.
func readAWS(getenv func(string) string) (cloud.Cloud, error) {
	found, err := findAWS(getenv)
	if err != nil {
		return cloud.Cloud{}, err
	}
	return aws.ReadWith(found.getenv, found.credentials)
}

// openTables returns the tables of the settings in the named store.
func openTables(store string, settings app.Settings, getenv func(string) string) (app.Tables, error) {
	c, err := openStore(store, getenv)
	if err != nil {
		return app.Tables{}, err
	}
	return settings.CloudTables(c)
}

// planTable returns what ensureTable would do to a table, one sentence for each step.
func planTable(ctx context.Context, t table.Table) ([]string, error) {
	switch t := t.(type) {
	case *tablestore.Table:
		plan, err := tablestore.Inspect(ctx, t)
		if err != nil {
			return nil, err
		}
		return []string{plan.String()}, nil
	case *dynamodb.Table:
		return dynamodb.Plan(ctx, t, dynamodb.Setup{}) // the deployment templates set more
	}
	return nil, fmt.Errorf("a table of type %T cannot be created", t)
}

// ensureTable creates a table, or checks its structure, and reports what it did.
func ensureTable(ctx context.Context, t table.Table, tell func(string)) error {
	switch t := t.(type) {
	case *tablestore.Table:
		plan, err := tablestore.Ensure(ctx, t)
		if err == nil {
			tell(plan.String())
		}
		return err
	case *dynamodb.Table:
		return dynamodb.Ensure(ctx, t, dynamodb.Setup{}, tell)
	}
	return fmt.Errorf("a table of type %T cannot be created", t)
}

// seeTables adds advice to an error of tables that do not answer: they may be missing.
func seeTables(err error) error {
	if errors.Is(err, table.ErrUnavailable) {
		return fmt.Errorf("%w; if tables are missing, create them with 'chatconf tables'; "+
			"its flag --dry-run only checks", err)
	}
	return err
}
