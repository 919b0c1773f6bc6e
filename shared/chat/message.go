package chat

import "time"

// A Message is what a person sent to a bot, proven to come from the platform and freed of its markup.
type Message struct {
	ID           string    // the platform's own, the same when it delivers the message again; never empty
	Conversation string    // as ConversationIds writes it; one-to-one conversations have one too
	Direct       bool      // one to one with the bot
	User         string    // as grants write it; empty if the platform could not say, and then nothing is allowed
	UserName     string    // for people; proves nothing
	Text         string    // mentions of the bot taken off, entities decoded, line ends as \n; else as it was typed
	Sent         time.Time // zero if the platform does not say
	ReplyTo      ReplyTo   // where an answer goes that comes too late for the delivery's own; zero if nowhere
}

// A ReplyTo is a way to answer a message later. It is kept sealed, since some ways are addresses that anybody could use.
type ReplyTo struct {
	Kind    string    // which way, in the platform's own terms, such as response_url
	URL     Secret    // where to, if the platform gave an address
	ID      string    // of the message or person to answer, if the platform wants one
	Expires time.Time // zero if it does not
}
