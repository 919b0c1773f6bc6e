package console

// A live is what the script needs to show the parts of a page anew.
type live struct {
	Every int    // seconds from one look to the next
	From  string // the address of a page that has these parts; empty: that of the page itself
}

// How often the pages look, in seconds. The chart costs several lists.
const (
	commandsEvery = 5
	chartEvery    = 30
	laterEvery    = 2
)
