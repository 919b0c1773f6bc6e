package webhook

import (
	"strconv"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// MaxReceivers is maxReceivers.
const MaxReceivers = maxReceivers

// KeptReceivers makes the receivers of n configurations and returns how many of them are kept.
func KeptReceivers(n int) int {
	r := receivers{
		make: map[string]func(callback.Settings) (callback.Receiver,
			error){"": func(callback.Settings) (callback.Receiver, error) { return nil, nil }}}
	for i := range n {
		if _, err := r.of(&command.Endpoint{Name: strconv.Itoa(i)}); err != nil {
			panic(err)
		}
	}
	return len(r.made)
}
