// Package stream holds the connections that chatconf opens to chat platforms, for configurations
// whose Receive is Stream. What arrives over them takes the way of a callback from its proof on.
//
// A Supervisor follows the configurations. Each has a goroutine that opens its connection, reads
// it, and opens another one when it ends. A delivery is recorded first and acknowledged second, so
// the platform delivers again what was not recorded. Leases make sure that of all processes on one
// table only one holds the connection of a configuration.
package stream
