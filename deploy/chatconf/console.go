package main

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/console"
	"chatconf/shared/dial"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/stream"
	"chatconf/shared/webhook"
)

// openConsole returns the web console of a service in this process. It shows nothing that is
// secret, not even to a key that may reveal it.
func openConsole(p app.SiteParts, about console.About) (*console.Console, error) {
	masked, err := policy.Parse([]byte(`{"Version":"1","Statement":[{"Effect":"Deny",` +
		`"Action":"oos:RevealChatConfigurationOutputs","Resource":"*"}]}`))
	if err != nil {
		return nil, err
	}
	return console.New(console.Options{
		Ring:      p.Ring,
		Platforms: platform.All().Descriptions(),
		Key:       p.API.Key,
		API:       func(id string) console.API { return p.API.As(id, masked) },
		Admit:     p.API.Admit,
		NoteUse:   p.API.NoteUse,
		About:     about,
	})
}

// aboutTool returns what the console tells of this program.
func aboutTool() console.About {
	info, _ := debug.ReadBuildInfo()
	v := versionOf(info)
	return console.About{Version: v.Version, Revision: v.Revision}
}

// aboutService returns what the console tells of a service in this process: nothing of its secrets,
// nor where they are.
func aboutService(s app.Settings, store string) console.About {
	about := aboutTool()
	about.Store, about.Account, about.Region = store, s.AccountID, s.Region
	for _, network := range s.TargetNetworks {
		about.Networks = append(about.Networks, network.String())
	}
	about.Limits = &console.Limits{
		Bots:        cmp.Or(s.MaxConfigurations, chat.DefaultQuota),
		History:     cmp.Or(s.History, chat.DefaultHistory),
		RequestBody: rpc.MaxBody,
		MessageBody: webhook.MaxBody,
		Rate:        s.RequestsPerSecond,
		Streams:     cmp.Or(s.MaxStreams, stream.DefaultMax),
		Retention:   cmp.Or(s.JournalAge, journal.DefaultRetention),
	}
	return about
}

// knownHosts returns the host names that the settings give to the service.
func knownHosts(s app.Settings) (names []string) {
	hosts := slices.Clone(s.Hosts)
	if base, err := url.Parse(s.WebhookBaseURL); err == nil {
		hosts = append(hosts, base.Host)
	}
	for _, host := range hosts {
		names = append(names, nameOf(host))
	}
	return names
}

// nameOf returns the name or the address of a host, without its port.
func nameOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// onlyFor serves the console. On a loopback address without TLS it refuses a name that is not one
// of the service: another site can lead its own name to this machine, and its pages would then be
// of the same origin as the console. It cannot do so with an address, nor with a certificate.
func onlyFor(names []string, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if ok && at.IP.IsLoopback() && r.TLS == nil {
			name := nameOf(r.Host)
			_, err := netip.ParseAddr(name)
			if err != nil && !dial.Loopback(name) && (name == "" || !slices.Contains(names, name)) {
				http.Error(w, "The console does not know the host name of this address. Use 127.0.0.1, or start "+
					"the service with the name in CHATCONF_HOSTS.", http.StatusMisdirectedRequest)
				return
			}
		}
		pages.ServeHTTP(w, r)
	})
}
