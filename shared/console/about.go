package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// About are facts of a service that people may see. A page leaves out what is zero.
type About struct {
	Version, Revision string // of the program
	Endpoint          string // of the API, if the service is elsewhere
	Store             string
	Account, Region   string
	Limits            *Limits // nil: not known
	// Networks are those that targets may be in, besides public addresses.
	Networks []string
}

// Limits are the limits in force of a service.
type Limits struct {
	Bots        int           // of one account and region
	History     int           // revisions of a bot
	RequestBody int           // of a call of the API, in bytes
	MessageBody int           // of a callback, in bytes
	Rate        float64       // requests per second of an access key; 0: there is no limit
	Streams     int           // connections to platforms
	Retention   time.Duration // of records of commands
}

// An aboutPage is what the page about the service shows.
type aboutPage struct {
	part  // the facts but the version
	Facts []namedText
	Known bool // the limits
}

// showAbout shows the facts of the service. The version is for everyone who is signed in. The rest
// is for those who may list the bots of the service, which these facts are about.
func (v *visit) showAbout() error {
	a := v.console.options.About
	page := aboutPage{Known: a.Limits != nil}
	err := v.api.Call(v.r.Context(), "ListChatConfigurations", map[string]string{"MaxResults": "1"}, new(any))
	if page.part, err = partOf(err); err != nil {
		return err
	}
	if page.Lacks != "" {
		a = About{Version: a.Version, Revision: a.Revision}
	}
	page.Facts = v.factsOf(&a)
	return v.show(http.StatusOK, "about", "about", page)
}

// factsOf returns the facts that are not zero, with their names.
func (v *visit) factsOf(a *About) []namedText {
	var facts []namedText
	add := func(word, text string) {
		if text != "" {
			facts = append(facts, namedText{v.word(word), text})
		}
	}
	add("about.version", a.Version)
	add("about.revision", a.Revision)
	add("about.endpoint", a.Endpoint)
	add("about.store", a.Store)
	add("about.account", a.Account)
	add("about.region", a.Region)
	if l := a.Limits; l != nil {
		rate := v.word("about.nolimit")
		if l.Rate > 0 {
			rate = strconv.FormatFloat(l.Rate, 'g', -1, 64)
		}
		networks := v.word("about.public")
		if len(a.Networks) > 0 {
			networks += ", " + strings.Join(a.Networks, ", ")
		}
		add("about.networks", networks)
		add("about.bots", strconv.Itoa(l.Bots))
		add("about.history", strconv.Itoa(l.History))
		add("about.requestbody", strconv.Itoa(l.RequestBody>>10)+" KiB")
		add("about.messagebody", strconv.Itoa(l.MessageBody>>10)+" KiB")
		add("about.rate", rate)
		add("about.streams", strconv.Itoa(l.Streams))
		add("about.retention", v.word("about.days", int(l.Retention/(24*time.Hour))))
	}
	return facts
}
