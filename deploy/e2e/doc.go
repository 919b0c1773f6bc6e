// Package e2e holds the end-to-end tests: black box, through the built program, real HTTP, a real
// store and the official clients.
//
// CHATCONF_E2E_STORE says which store the services of a run keep their data in: file, which is the
// default; tablestore, which is "chatconf ots", one for the whole run; or dynamodb, for which
// moto's server stands in, the program that CHATCONF_MOTO_SERVER names, and, for services with many
// writers at once, the repository's own stand-in, which unlike moto's isolates transactions.
//
// CHATCONF_E2E_TARGET has the services be the functions of a cloud instead, from the zip files in
// CHATCONF_E2E_DIST ("make zips"; dist of the repository if it is not set), under the cloud's
// runtime: fc, each service over a Tablestore emulator of its own; or lambda, over what stands in
// for DynamoDB. The suite is the same, and the tests of the functions' event sources come to it.
//
// A test that is about some of them only says so first, and is skipped in the other runs; "make
// e2e" does the file and both targets, which between them run every test: the targets' stores are
// Tablestore's emulator and moto.
//
// The chat platforms are played by other people's implementations of their signatures and
// encryption: those in Go are linked, and those of Node are in deploy/peers, or in the folder that
// CHATCONF_PEERS names, once "make peers" has installed them; without them their tests are skipped.
// So are the vendor's clients of Node and Java. PHP's, which Debian does not have, is imitated by a
// program in PHP. Tablestore's SDKs of Python, which "make moto" installs, of Node and, where a JDK
// with Maven is, of Java are held against its emulator. schemathesis, from there too, tries the
// service by the description of its API.
//
// The gateways that stand in for the platforms' own, to which programs connect, are tried with the
// platforms' official clients: those of Go in folder streampeer, and those of Node and Python in
// deploy/peers/stream.
//
// The console is tried in Chromium, as people see it, with axe-core from deploy/peers. Chromium is
// Debian's package, or the program that CHATCONF_E2E_CHROMIUM names. Pictures of every page go to
// the folder that CHATCONF_E2E_SCREENSHOTS names; with "make e2e" it is dist/screenshots. A test
// that fails adds a picture of what it saw.
//
// It is a module of its own, because the official SDK's module graph would raise the versions of
// what the functions depend on. It imports nothing of the main module: what it knows is what a user
// knows, the program's flags and files, the API's documents and the wire as the vendor describes
// it. The requests that no SDK can be made to send are signed by a second, naive signer.
//
// The program is built once a run, with the race detector if the tests have it, and a race or a
// panic that it reports fails the test that drove it. The go command does not see that these tests
// depend on the program, so run them with -count=1.
//
// Folder quickstart holds the program of the README, which a test runs as it stands there, and
// otsquickstart the first program of a user of the Tablestore emulator. Folder say holds a
// function of one's own.
package e2e
