// Package stream holds the connections that chatconf opens to chat platforms, for configurations
// whose Receive is Stream. What arrives over them takes the way of a callback from its proof on.
package stream
