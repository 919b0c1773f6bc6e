// Package stream holds the connections that chatconf opens to chat platforms, for configurations
// whose Receive is Stream. The connection proves a delivery. From then on the delivery is handled
// as a callback is.
//
// A Supervisor follows the configurations. Each has a goroutine that opens its connection, reads
// it, and opens another one when it ends. A delivery is recorded first and acknowledged second, so
// the platform delivers again what was not recorded. A lease is an item of the table that says
// which process may hold a connection. So of all processes on a table, one holds the connection of
// a configuration; that process is its holder.
package stream
