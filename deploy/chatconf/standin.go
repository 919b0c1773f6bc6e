package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/dial"
	"chatconf/shared/platform/platformsim"
)

// standIns has the types of the platforms that have a stand-in, by the value of --emulate.
var standIns = map[string]string{
	"dingtalk": "DingTalk", "feishu": "Feishu", "slack": "Slack", "wecom": "WeChat",
}

// exampleApps are the settings of a bot to try with a stand-in, by type.
var exampleApps = map[string]string{
	"DingTalk": `"DingTalkClientId":"dingexample","DingTalkClientSecret":"not-a-real-secret"`,
	"Feishu":   `"FeishuAppId":"cli_example","FeishuAppSecret":"not-a-real-secret"`,
	"Slack":    `"SlackAppToken":"xapp-1-A0EXAMPLE-1-not-a-real-token"`,
	"WeChat":   `"WeChatBotId":"aibexample","WeChatBotSecret":"not-a-real-secret"`,
}

// standInOf returns the value of --emulate for a type; empty if no program can stand in for it.
func standInOf(platformType string) string {
	for value, of := range standIns {
		if of == platformType {
			return value
		}
	}
	return ""
}

// standInGateways are the gateways of the platforms that this process stands in for, by type. A nil
// *standInGateways is empty.
type standInGateways struct {
	of   map[string]platformsim.Gateway
	stop func() // ends them, and waits until they have ended
}

// openStandIns starts the gateways of the named platforms, all at one free port of this machine. It
// changes the settings so that calls and connections go to them, and not to the platforms. The
// gateways accept every app with any secret.
func openStandIns(names []string, settings *app.Settings, log *slog.Logger) (*standInGateways, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if len(settings.PlatformAddresses) > 0 {
		return nil, usagef("--emulate %s and CHATCONF_PLATFORM_ADDRESSES exclude each other: both replace "+
			"the addresses of a platform", names[0])
	}
	g := &standInGateways{of: make(map[string]platformsim.Gateway)}
	handlers := make(map[string]http.Handler) // by host
	for _, name := range names {
		gateway, err := platformsim.NewGateway(standIns[name], platformsim.GatewayOptions{})
		if err != nil {
			return nil, err
		}
		g.of[standIns[name]] = gateway
		for _, host := range gateway.Hosts() {
			handlers[host] = gateway
		}
	}
	hosts := slices.Sorted(maps.Keys(handlers))
	certificate, roots, err := certificateOf(hosts)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	settings.PlatformAddresses, settings.PlatformRoots = make(map[string]string, len(hosts)), roots
	for _, host := range hosts {
		settings.PlatformAddresses[net.JoinHostPort(host, "443")] = listener.Addr().String()
	}
	server := &http.Server{
		Handler:           byHost(handlers),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the stand-ins for platforms have ended", "error", err)
		}
	}()
	g.stop = func() {
		server.Close()
		for _, gateway := range g.of {
			gateway.Close()
		}
		<-ended
	}
	return g, nil
}

// byHost serves each host by its own handler.
func byHost(handlers map[string]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		handler, ok := handlers[host]
		if !ok {
			http.NotFound(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// certificateOf makes a certificate for hosts that is valid for ten years, and the roots that trust
// it. Its key is only in memory.
func certificateOf(hosts []string) (tls.Certificate, *dial.Roots, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "chatconf stand-ins"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0), DNSNames: hosts}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	roots, err := dial.ParseRoots(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), hosts...)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots, err
}

// close ends the gateways.
func (g *standInGateways) close() {
	if g != nil {
		g.stop()
	}
}

// gateway returns the gateway of a platform; nil if nothing stands in for it.
func (g *standInGateways) gateway(platform string) platformsim.Gateway {
	if g == nil {
		return nil
	}
	return g.of[platform]
}

// introduce prints for which platforms this process stands in.
func (g *standInGateways) introduce(w io.Writer) {
	if g == nil {
		return
	}
	fmt.Fprintf(w, "  stand-ins        for %s: calls and connections to these platforms come here\n",
		strings.Join(g.types(), ", "))
	fmt.Fprintf(w, "    accept         every app with any secret\n")
}

// types returns the types of the platforms, sorted.
func (g *standInGateways) types() []string { return slices.Sorted(maps.Keys(g.of)) }

// firstBot returns the type and the settings of a bot for a first call, and how to say something to
// a bot with a name: with a platform that this process stands in for, it works at once.
func (g *standInGateways) firstBot() (platformType, settings, send string) {
	if g == nil {
		return "DingTalk", exampleApps["DingTalk"], ""
	}
	of := g.types()[0]
	return of, `"Receive":"Stream",` + exampleApps[of], " --mode stream --user alice whoami"
}
