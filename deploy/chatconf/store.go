package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/tablestore"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// A store is an engine in the cloud, or one that speaks like it, which keeps tables.
type store struct {
	name  string                                                   // of the engine
	where string                                                   // the instance or region, for people
	open  func(name string, ttl time.Duration) (cloudTable, error) // sends nothing; closing the table closes its connections
}

// A cloudTable is a table, and how it is made.
type cloudTable struct {
	table.Table
	plan   func(context.Context) ([]string, error)            // what ensure would do, a sentence each
	ensure func(ctx context.Context, tell func(string)) error // does it, and tells
	again  func() (cloudTable, error)                         // opens the same table as another client
	probe  func(context.Context) error                        // whether its engine can do what the service relies on; nil: it can
}

// Names of stores, and of the targets that use them.
const (
	storeFile       = "file"
	storeTablestore = "tablestore"
	storeDynamoDB   = "dynamodb"

	targetLocal  = "local" // this process, on any store
	targetFC     = "fc"
	targetLambda = "lambda"
)

// openStore returns the store of the given name, as the environment says. It sends nothing.
func openStore(name string, getenv func(string) string) (*store, error) {
	switch name {
	case storeTablestore:
		return openTablestore(getenv)
	case storeDynamoDB:
		return openDynamoDB(getenv)
	}
	return nil, usagef("the store %q is none; wanted %s, %s or %s", name, storeFile, storeTablestore, storeDynamoDB)
}

// storeOf returns the store of a target.
func storeOf(target string, getenv func(string) string) (*store, error) {
	switch target {
	case targetFC:
		return openTablestore(getenv)
	case targetLambda:
		return openDynamoDB(getenv)
	}
	return nil, usagef("--target %q is none; wanted %s or %s", target, targetFC, targetLambda)
}

// openTablestore reads where Tablestore is and who calls: the TABLESTORE_ names first, since the others may belong to chatconf's own callers.
// The key is all of one kind of names.
func openTablestore(getenv func(string) string) (*store, error) {
	endpoint, instance := getenv("TABLESTORE_ENDPOINT"), getenv("TABLESTORE_INSTANCE")
	var mistakes []error
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" {
		mistakes = append(mistakes, errors.New("TABLESTORE_ENDPOINT: set it to the URL of an instance, such as https://my-instance.cn-hangzhou.ots.aliyuncs.com or http://127.0.0.1:9001"))
	}
	if instance == "" {
		mistakes = append(mistakes, errors.New("TABLESTORE_INSTANCE: set it to the instance's name"))
	}
	key, err := wholeKey("TABLESTORE_ACCESS_KEY_ID", getenv("TABLESTORE_ACCESS_KEY_ID"), "TABLESTORE_ACCESS_KEY_SECRET", getenv("TABLESTORE_ACCESS_KEY_SECRET"))
	if err == nil && key.ID == "" {
		key, err = wholeKey(official+"ID", getenv(official+"ID"), official+"SECRET", getenv(official+"SECRET"))
		key.SecurityToken = getenv(securityToken)
	}
	if err == nil && key.ID == "" {
		err = errors.New("TABLESTORE_ACCESS_KEY_ID, TABLESTORE_ACCESS_KEY_SECRET: set them to an access key, or the same under ALIBABA_CLOUD_…")
	}
	if err := errors.Join(append(mistakes, err)...); err != nil {
		return nil, &usageError{err}
	}
	return &store{
		name:  "Tablestore",
		where: fmt.Sprintf("instance %s (access key %s of %s)", instance, key.ID, key.from),
		open: func(name string, ttl time.Duration) (cloudTable, error) {
			t, err := tablestore.New(name, tablestore.Options{
				Endpoint:    endpoint,
				Instance:    instance,
				Credentials: invoke.Credentials{AccessKeyID: key.ID, AccessKeySecret: key.Secret, SecurityToken: key.SecurityToken},
				TTL:         ttl,
			})
			if err != nil {
				return cloudTable{}, err
			}
			return cloudTable{
				Table: t,
				plan: func(ctx context.Context) ([]string, error) {
					plan, err := tablestore.Inspect(ctx, t)
					if err != nil {
						return nil, err
					}
					return []string{plan.String()}, nil
				},
				ensure: func(ctx context.Context, tell func(string)) error {
					plan, err := tablestore.Ensure(ctx, t)
					if err == nil {
						tell(plan.String())
					}
					return err
				},
			}, nil
		},
	}, nil
}

// openDynamoDB reads where DynamoDB is and who calls, under the names that AWS gives them: an access key of the environment, else
// what AWS's own tools would find: a profile, a session of SSO, a web identity, the role of a container or of an instance.
func openDynamoDB(getenv func(string) string) (*store, error) {
	region := firstOf(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"))
	var credentials aws.CredentialsProvider
	var err error
	if region != "" && getenv("AWS_ACCESS_KEY_ID") != "" {
		if credentials, err = dynamodb.Environment(getenv); err != nil {
			return nil, &usageError{err}
		}
	} else {
		found, err := config.LoadDefaultConfig(context.Background())
		if err != nil {
			return nil, usagef("AWS: %w", err)
		}
		region, credentials = firstOf(region, found.Region), found.Credentials
	}
	if region == "" {
		return nil, usagef("AWS_REGION: wanted a region, such as eu-central-1, there or in the profile")
	}
	endpoint := firstOf(getenv("AWS_ENDPOINT_URL_DYNAMODB"), getenv("AWS_ENDPOINT_URL"))
	return &store{
		name:  "DynamoDB",
		where: "region " + region,
		open: func(name string, ttl time.Duration) (cloudTable, error) {
			t, err := dynamodb.New(name, dynamodb.Options{Region: region, Endpoint: endpoint, Credentials: credentials, TTL: ttl})
			if err != nil {
				return cloudTable{}, err
			}
			var setup dynamodb.Setup // the templates ask for more
			return cloudTable{
				Table:  t,
				plan:   func(ctx context.Context) ([]string, error) { return dynamodb.Plan(ctx, t, setup) },
				ensure: func(ctx context.Context, tell func(string)) error { return dynamodb.Ensure(ctx, t, setup, tell) },
				probe:  t.Probe,
			}, nil
		},
	}, nil
}

// A namedTable is one of the tables of a service, by the name that the settings give it.
type namedTable struct {
	name string
	cloudTable
}

// namedTables are those of configurations, of access keys, of their use, of tickets and of the journal, in this order.
type namedTables [5]namedTable

// Close closes the tables that are open.
func (n *namedTables) Close() error {
	var errs []error
	for _, t := range n {
		if t.Table != nil {
			errs = append(errs, t.Close())
		}
	}
	return errors.Join(errs...)
}

// all opens the tables of the settings, for the caller to close, or none. It sends nothing.
func (s *store) all(settings app.Settings) (*namedTables, error) {
	journal, age := settings.Journal()
	keys, uses := settings.KeyTables()
	opened := new(namedTables)
	for i, t := range [len(opened)]struct {
		setting, name string
		ttl           time.Duration
	}{
		{"CHATCONF_TABLE", settings.Table, 0},
		{"CHATCONF_KEY_TABLE", keys, 0},
		{"CHATCONF_KEY_USE_TABLE", uses, chat.UseAge},
		{"CHATCONF_TICKET_TABLE", settings.TicketTable, app.TicketAge},
		{"CHATCONF_JOURNAL_TABLE", journal, age},
	} {
		table, err := s.table(t.name, t.ttl)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", t.setting, err), opened.Close())
		}
		opened[i] = namedTable{t.name, table}
	}
	return opened, nil
}

// table opens one table, which can be opened again.
func (s *store) table(name string, ttl time.Duration) (cloudTable, error) {
	t, err := s.open(name, ttl)
	t.again = func() (cloudTable, error) { return s.table(name, ttl) }
	return t, err
}

// tables returns the tables of the settings, which must be there, for a service, which closes them.
func (s *store) tables(settings app.Settings) (app.Tables, error) {
	opened, err := s.all(settings)
	if err != nil {
		return app.Tables{}, err
	}
	return app.Tables{
		Configurations: opened[0],
		Keys:           opened[1],
		KeyUses:        opened[2],
		Tickets:        opened[3],
		Journal:        opened[4],
		Where:          fmt.Sprintf("%s table %s in %s", s.name, settings.Table, s.where),
		Probe:          opened[0].probe,
	}, nil
}

// openTables returns the tables of the settings in the store of the given name, as the environment says.
func openTables(store string, settings app.Settings, getenv func(string) string) (app.Tables, error) {
	s, err := openStore(store, getenv)
	if err != nil {
		return app.Tables{}, err
	}
	return s.tables(settings)
}

// seeTables adds to an error of tables that do not answer what to look at: they may not be there.
func seeTables(err error) error {
	if errors.Is(err, table.ErrUnavailable) {
		return fmt.Errorf("%w; 'chatconf tables --target … --dry-run' says what is there, and without --dry-run makes what is not", err)
	}
	return err
}
