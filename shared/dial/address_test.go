package dial_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/dial"
)

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "47.96.0.1": true, "2400:3200::1": true, "2606:4700::1111": true,
		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "127.8.8.8": false, "10.0.0.1": false,
		"172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.100.100.200": false, "100.64.0.1": false,
		"192.0.0.192": false, "192.0.2.1": false,
		"198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "240.0.0.1": false,
		"255.255.255.255": false,
		"192.88.99.1":     false, "172.15.0.1": true, "172.32.0.1": true, "100.63.255.255": true, "100.128.0.1": true,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:8.8.8.8": true, "::ffff:10.0.0.1": false,
		"::127.0.0.1": false, "fe80::1": false, "fe80::1%eth0": false,
		"fd00::1": false, "fc00::1": false, "ff02::1": false, "fec0::1": false, "64:ff9b::7f00:1": false,
		"::ffff:0:7f00:1": false, "64:ff9b:1::1": false, "2002:7f00:1::": false,
		"2001::1": false, "2001:db8::1": false, "100::1": false, "3fff::1": false, "5f00::1": false,
	} {
		if got := dial.Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("Public(%s) = %v, want %v", text, got, want)
		}
	}
	if dial.Public(netip.Addr{}) {
		t.Error("the zero address is public")
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost.": true, "127.0.0.1": true, "127.8.8.8": true, "::1": true,
		"::ffff:127.0.0.1": true,
		"":                 false, "x.localhost": false, "localhost.example": false,
		"127.0.0.1.example": false, "10.0.0.1": false,
		"0.0.0.0": false, "::": false,
	} {
		if got := dial.Loopback(host); got != want {
			t.Errorf("Loopback(%q) = %v, want %v", host, got, want)
		}
	}
}

func TestNetworks(t *testing.T) {
	networks := dial.Networks{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128")}
	for _, test := range []struct {
		host           string
		public, inside bool // without networks, and with these
	}{
		{"8.8.8.8", true, true}, {"hooks.example.com", true, true}, {"localhost.example.com", true, true},
		{"10.1.2.3", false, true}, {"::ffff:10.1.2.3", false, true}, {"::1", false, true}, {"::1%lo", false, true},
		{"localhost", false, true}, {"x.Localhost.", false, true}, {"restart.internal", false, true},
		{"printer.local", false, true},
		{"10.2.0.1", false, false}, {"10.1", false, false}, {"2130706433", false, false}, {"0x7f.1", false, false},
		{"0x7f000001", false, false}, {"", false, false},
	} {
		if got := (dial.Networks)(nil).AllowHost(test.host); got != test.public {
			t.Errorf("without networks, AllowHost(%q) = %v", test.host, got)
		}
		if got := networks.AllowHost(test.host); got != test.inside {
			t.Errorf("AllowHost(%q) = %v", test.host, got)
		}
	}
	if got, want := networks.String(), "the public Internet or 10.1.0.0/16, ::1/128"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	if got, want := (dial.Networks)(nil).String(), "the public Internet"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
}

func TestCheckHost(t *testing.T) {
	long := strings.Repeat("a", 63)
	for text, want := range map[string]string{
		"https://x": "", "https://x:1/": "", "https://x:65535/": "", "https://a_b.example.com.:0443/": "",
		"https://[2400:3200::1]": "", "https://" + long + ".example": "",
		"https://x:0/":     "invalid port \"0\"; use a number from 1 to 65535, or none",
		"https://x:65536/": "invalid port", "https://x:/": "invalid port",
		"https://[fe80::1%25eth0]/": "has a zone", "https://" + long + "a.example": "has a part of 64 characters",
		"https://a..b": "has a part of 0 characters",
		"https://" + strings.Repeat(long+".", 4) + "com": "has 259 characters; the limit is 253",
		"https://a!b": "has a character other than", "https://\u4f8b": "as xn--…",
		"https://-a": "starts or ends with '-'", "https://a-.b": "starts or ends with '-'",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := dial.CheckHost(u); (err == nil) != (want == "") || err != nil &&
			!strings.Contains(err.Error(), want) {
			t.Errorf("CheckHost(%q) = %v, want %q", text, err, want)
		}
	}
}

func TestHowToAllow(t *testing.T) {
	for host, network := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", "172.16.0.1": "172.16.0.1/32", "127.0.0.2": "127.0.0.2/32", "::1": "::1/128",
		"fd00::1": "fd00::1/128", "::ffff:192.168.1.1": "192.168.1.1/32", "localhost": "127.0.0.0/8",
		"LOCALHOST.": "127.0.0.0/8", "printer.local": "its network, such as 10.1.0.0/16,",
		"x.Internal.": "its network, such as 10.1.0.0/16,",
		// a metadata service, and what has no network to allow
		"169.254.169.254": "", "100.100.100.200": "", "fe80::1%eth0": "", "0.0.0.0": "", "8.8.8.8": "",
		"hooks.example.com": "", "127.1": "", "": "",
	} {
		want := ""
		if network != "" {
			want = "to allow it, add " + network + " to CHATCONF_TARGET_NETWORKS of the service"
		}
		if got := dial.HowToAllow(host); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}
