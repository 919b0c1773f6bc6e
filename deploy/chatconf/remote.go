package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/console"
	"chatconf/shared/dial"
	"chatconf/shared/fault"
	"chatconf/shared/platform"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/serve"
)

func newConsole() *cobra.Command {
	var flags clientFlags
	var addr, region string
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Show the web console of a service in a cloud, on this machine",
		Long: `Serve the web console on this machine, over the API of a service elsewhere, until Ctrl-C. It signs
with your access key, and shows and does what the key may. Secrets are not shown.

It prints a link that lets one browser in. The link works once, for 5 minutes; run the command
again for another one. Only this machine can reach the address. Use it on a machine whose other
users you trust: a browser may send its cookies to each port of the machine.

A service of 'chatconf serve' has a console of its own; see 'chatconf open'.`,
		Example: `  chatconf console
  chatconf console --context prod --addr 127.0.0.1:9400`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLoopback(addr); err != nil {
				return err
			}
			c, err := flags.resolve(os.Getenv)
			if err != nil {
				return err
			}
			settings, err := localSettings(flags.data)
			if err != nil {
				return err
			}
			logger, flush := app.NewServerLogger(os.Stderr)
			defer flush()
			api := &remoteAPI{client: c, region: cmp.Or(region, flags.contextRegion)}
			started := func(link string) {
				fmt.Fprintf(cmd.OutOrStdout(), "The console of %s is at\n  %s\nThe link works once, for 5 minutes. "+
					"Ctrl-C ends the console.\n", c.endpoint, link)
			}
			return seeAddr(serveConsole(cmd.Context(), api, addr, logger, settings.Limits(maxAnswer), started))
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:0", "loopback address to listen on; port 0 is a free one")
	cmd.Flags().StringVar(&region, "region", "", "region of the bots (default the region of the service)")
	return cmd
}

// checkLoopback returns a usage error unless only this machine can reach the address.
func checkLoopback(addr string) error {
	if err := checkAddr(addr); err != nil {
		return err
	}
	if host, _, _ := net.SplitHostPort(addr); !dial.Loopback(host) {
		return usagef("--addr %q can be reached from other machines; write a loopback address, such as 127.0.0.1:0",
			addr)
	}
	return nil
}

// serveConsole serves the console until ctx ends. It calls started with the link that lets one
// browser in.
func serveConsole(ctx context.Context, api *remoteAPI, addr string, logger *slog.Logger, limits serve.Limits,
	started func(link string)) error {
	pages, err := api.pages()
	if err != nil {
		return err
	}
	listener, endpoint, _, err := app.Listen(addr, "", "", logger)
	if err != nil {
		return err
	}
	if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() { // a name may lead elsewhere
		return errors.Join(usagef("--addr %q leads to %v, which is no loopback address", addr, listener.Addr()),
			listener.Close())
	}
	link, err := pages.NewLink(ctx, api.client.key.ID)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	started(endpoint + link.Path.Reveal())
	return serve.HTTP(ctx, listener, onlyAt(strings.TrimPrefix(endpoint, "http://"), pages), logger, limits)
}

// onlyAt serves the console to requests whose header Host is its address. So a name of another site
// that leads to this machine shows nothing.
func onlyAt(host string, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != host:
			http.Error(w, "the console is at http://"+host+consolePrefix+"/", http.StatusMisdirectedRequest)
		case r.URL.Path == "/":
			http.Redirect(w, r, consolePrefix+"/", http.StatusSeeOther)
		case r.URL.Path == consolePrefix || strings.HasPrefix(r.URL.Path, consolePrefix+"/"):
			pages.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

// A remoteAPI calls the actions of a service elsewhere, with the key of the tool's client.
type remoteAPI struct {
	client *client
	region string // empty: that of the service
}

// pages returns the console of the API. Its sessions end with this process, and only a link starts
// one: the secret of the key is not one that a person could type.
func (a *remoteAPI) pages() (*console.Console, error) {
	text, err := seal.GenerateRing("console")
	if err != nil {
		return nil, err
	}
	ring, err := seal.ParseRing(text)
	if err != nil {
		return nil, err
	}
	key := accesskey.Key{ID: a.client.key.ID, Name: a.client.key.ID, Secret: secret.Text(rand.Text()), Active: true}
	about := aboutTool()
	about.Endpoint, about.Region = a.client.endpoint, a.region
	return console.New(console.Options{Ring: ring, Platforms: platform.All().Descriptions(), LinkOnly: true,
		About: about,
		Key: func(_ context.Context, id string) (*accesskey.Key, error) {
			if id != key.ID {
				return nil, &fault.Error{Code: fault.KeyNotFound, Param: "AccessKeyId"}
			}
			found := key
			return &found, nil
		},
		API: func(string) console.API { return a }})
}

// Call implements console.API. Answers have no secrets of Outputs, which the key may see.
func (a *remoteAPI) Call(ctx context.Context, action string, params map[string]string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	given := make(map[string]string, len(params)+1)
	for name, value := range params {
		given[name] = value
	}
	if given["RegionId"] == "" && a.region != "" {
		given["RegionId"] = a.region
	}
	text, err := a.client.do(ctx, action, given, "")
	var refused *refusedError
	switch {
	case isUnknownAction(err): // SendChatMessage is only in 'chatconf serve'
		return &fault.Error{Code: fault.Internal, Err: fmt.Errorf("%w: %s", console.ErrNoAction, action)}
	case errors.As(err, &refused):
		return refused.fault()
	case err != nil:
		return &fault.Error{Code: fault.Unavailable, Err: err}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var all any
	if err := decoder.Decode(&all); err != nil {
		return &fault.Error{Code: fault.Internal, Err: a.client.notJSON(action)}
	}
	if err := maskAll(all); err != nil {
		return &fault.Error{Code: fault.Internal, Err: err}
	}
	if text, err = json.Marshal(all); err == nil {
		err = json.Unmarshal(text, answer)
	}
	if err != nil {
		return &fault.Error{Code: fault.Internal, Err: fmt.Errorf("answer of %s: %w", action, err)}
	}
	return nil
}

// maskAll masks the secrets in each Outputs of an answer.
func maskAll(value any) error {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			if err := maskAll(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, item := range v {
			text, isText := item.(string)
			if name != "Outputs" || !isText || text == "" {
				if err := maskAll(item); err != nil {
					return err
				}
				continue
			}
			masked, err := maskOutputs(text)
			if err != nil {
				return err
			}
			v[name] = masked
		}
	}
	return nil
}

// fault returns the error of the service as one of the domain.
func (e *refusedError) fault() *fault.Error {
	out := rpc.FaultOf(e.code, e.message)
	if out.Code == fault.NoPermission && len(e.denied) > 0 {
		out.Denied = new(fault.AccessDenied)
		if json.Unmarshal(e.denied, out.Denied) != nil {
			out.Denied = nil
		}
	}
	return out
}
