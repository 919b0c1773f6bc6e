// Package bench holds benchmarks of the Tablestore emulator against dynalite 4.0.0, the nearest
// tool that people use: the same work through each one's official Go SDK, by turns, in one run.
//
//	CHATCONF_DYNALITE=$(deploy/bench/dynalite.sh DIR) \
//	  go test ./deploy/bench -run '^$' -bench . -benchtime 5s
//
// Servers are processes of their own on the client's machine. The emulator keeps its data in a
// file, and what it acknowledges is on the disk; dynalite keeps them in memory. BenchmarkSDK is
// what a program sees, whose SDK takes its share of the machine's CPU. BenchmarkCeiling is the same
// with a server that sends the emulator's earlier answers without a look at the request: no server
// could do better, and where its ratio is low too, it is the SDK that the time goes to.
// BenchmarkServer is what the servers can do, with requests that the SDKs have signed and a client
// that reads no answer.
//
// Besides the rates of both, and how many times the one is of the other, they report what one
// operation costs the server in CPU time (Linux only). A rate, or a ratio, is that of the round in
// the middle. The ratios depend on how many cores there are: the clients share them with the
// servers, and dynalite uses one.
package bench
