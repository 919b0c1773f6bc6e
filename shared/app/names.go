package app

import (
	"maps"
	"slices"
	"strings"

	"chatconf/shared/chat"
)

const prefix = "CHATCONF_"

// elsewhere are the settings that readSettings does not read.
var elsewhere = []string{
	"CHATCONF_ENDPOINT",     // by the command-line tool
	"CHATCONF_CLOUD",        // likewise
	"CHATCONF_FC_ENDPOINT",  // by functions of Function Compute
	"CHATCONF_KMS_ENDPOINT", // likewise
	"CHATCONF_OOS_ENDPOINT", // likewise
	"CHATCONF_STS_ENDPOINT", // likewise
	"CHATCONF_MNS_ENDPOINT", // likewise
}

// ofTests are the prefixes of variables that the project's own tests read.
var ofTests = []string{"E2E_", "TEST_", "BENCH_", "MOTO_SERVER", "PEERS", "REQUIRE_EXTERNAL", "DYNALITE"}

// ofPrograms are the prefixes of variables that programs of CHATCONF_PROGRAMS get. They may call
// the command-line tool.
var ofPrograms = []string{"PARAM", "COMMAND_ID", "DRY_RUN"}

// Names returns the names of an environment, as os.Environ has it, that have a value.
func Names(environ []string) []string {
	var names []string
	for _, pair := range environ {
		if name, value, _ := strings.Cut(pair, "="); value != "" {
			names = append(names, name)
		}
	}
	return names
}

// An UnknownSetting is a name that begins with CHATCONF_ but is not a setting.
type UnknownSetting struct {
	Name    string
	Nearest string   // the setting that is probably meant; empty if unclear
	Known   []string // all settings
}

// Error returns the name, and what may be meant.
func (e *UnknownSetting) Error() string {
	if e.Nearest != "" {
		return e.Name + ": unknown setting; did you mean " + e.Nearest + "?"
	}
	return e.Name + ": unknown setting; the settings are " + strings.Join(e.Known, ", ")
}

// unknownSettings returns an error for each name with the prefix that is neither asked for nor read
// elsewhere.
func unknownSettings(getenv func(string) string, names []string, asked map[string]bool) (unknown []error) {
	known := make(map[string]bool)
	for _, name := range elsewhere {
		known[name] = true
	}
	for name := range asked {
		if strings.HasPrefix(name, prefix) {
			known[name] = true
		}
	}
	sorted := slices.Sorted(maps.Keys(known))
	var short []string // without the prefix, which would make all of them near
	for _, name := range sorted {
		short = append(short, strings.TrimPrefix(name, prefix))
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		ours := len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
		if !ours || known[name] || isForeign(name, getenv(name)) {
			continue
		}
		e := &UnknownSetting{Name: name, Known: sorted}
		if nearest, ok := nearest(strings.ToUpper(name[len(prefix):]), short); ok {
			e.Nearest = prefix + nearest
		}
		unknown = append(unknown, e)
	}
	return unknown
}

// nearest returns the known name that is probably meant: one with a typing error, or one that is a
// part of the other, such as ADDR of ADDRESS.
func nearest(name string, known []string) (nearest string, ok bool) {
	if nearest, ok = chat.Nearest(name, known); ok {
		return nearest, true
	}
	for _, k := range known {
		part := strings.Contains(k, name) || strings.Contains(name, k)
		if part && min(len(k), len(name)) > 2 && (!ok || len(k) < len(nearest)) {
			nearest, ok = k, true
		}
	}
	return nearest, ok
}

// isForeign reports whether a variable with our prefix is not a setting. It may be for the tests or
// for a program. Kubernetes also sets such variables for a service called chatconf.
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
func isForeign(name, value string) bool {
	rest := name[len(prefix):]
	for _, begin := range slices.Concat(ofTests, ofPrograms) {
		if strings.HasPrefix(rest, begin) {
			return true
		}
	}
	for _, scheme := range [...]string{"tcp://", "udp://", "sctp://"} { // of …_PORT and …_PORT_9000_TCP
		if strings.HasPrefix(value, scheme) {
			return true
		}
	}
	for _, end := range [...]string{"_PROTO", "_PORT", "_ADDR"} {
		port, ok := strings.CutSuffix(rest, end)
		if !ok || !strings.Contains("_"+port, "_PORT_") {
			continue
		}
		if strings.HasSuffix(port, "_TCP") || strings.HasSuffix(port, "_UDP") || strings.HasSuffix(port, "_SCTP") {
			return true
		}
	}
	return strings.HasSuffix(rest, "SERVICE_HOST") || strings.Contains(rest, "SERVICE_PORT")
}
