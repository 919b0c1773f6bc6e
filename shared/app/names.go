package app

import (
	"maps"
	"slices"
	"strings"

	"chatconf/shared/chat"
)

// prefix begins the name of every setting.
const prefix = "CHATCONF_"

// Settings that are read elsewhere than in readSettings.
var elsewhere = []string{
	"CHATCONF_ENDPOINT",     // by the command-line tool
	"CHATCONF_FC_ENDPOINT",  // by functions of Function Compute
	"CHATCONF_KMS_ENDPOINT", // likewise
}

// What the project's own tests read begins so.
var ofTests = []string{"E2E_", "TEST_", "BENCH_", "MOTO_SERVER", "PEERS", "REQUIRE_EXTERNAL", "DYNALITE"}

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

// An UnknownSetting is a name that begins as those of the settings do, and is none of them.
type UnknownSetting struct {
	Name    string
	Nearest string   // the setting that is probably meant; empty if none is near
	Known   []string // all settings
}

// Error says what to write.
func (e *UnknownSetting) Error() string {
	if e.Nearest != "" {
		return e.Name + ": unknown setting; did you mean " + e.Nearest + "?"
	}
	return e.Name + ": unknown setting; the settings are " + strings.Join(e.Known, ", ")
}

// unknownSettings returns an error for each name that looks like a setting, and is none that was asked for or is read elsewhere.
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
	var short []string // the prefix, which all have, makes all of them near
	for _, name := range sorted {
		short = append(short, strings.TrimPrefix(name, prefix))
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		if len(name) < len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) || known[name] || isForeign(name, getenv(name)) {
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

// nearest returns the one of the known names that is probably meant: by a slip, or as a part of the other, as ADDRESS is of ADDR.
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

// isForeign reports whether a variable that begins as ours is somebody else's: of the project's tests, or of Kubernetes, which tells every container
// where a service called chatconf is. https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
func isForeign(name, value string) bool {
	rest := name[len(prefix):]
	for _, begin := range ofTests {
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
		if ok && strings.Contains("_"+port, "_PORT_") && (strings.HasSuffix(port, "_TCP") || strings.HasSuffix(port, "_UDP") || strings.HasSuffix(port, "_SCTP")) {
			return true
		}
	}
	return strings.HasSuffix(rest, "SERVICE_HOST") || strings.Contains(rest, "SERVICE_PORT")
}
